package middleware

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter is what a 503 asks the client to wait where nobody knows better:
// after that the next fetch of the keys is due or near.
const retryAfter = 5 * time.Second

// maxRetryAfter is the longest that a client is asked to wait.
const maxRetryAfter = 24 * time.Hour

// refuse answers a request that is not let through. The header is complete
// before the error handler runs, so that no handler can forget the challenge.
func (p *protected) refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	answer := &refusalWriter{ResponseWriter: w, status: e.Status}
	wait := min(e.RetryAfter, maxRetryAfter)
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if u := p.usual(e); u != nil {
			h["Www-Authenticate"], answer.body = []string{u.challenge}, u.body
		} else {
			h.Set("WWW-Authenticate", p.guard.challenge(e))
		}
	case http.StatusServiceUnavailable:
		if wait <= 0 {
			wait = retryAfter
		}
	}
	if wait > 0 {
		h.Set("Retry-After", seconds(wait))
	}
	p.guard.errorHandler(answer, r, e)
	answer.begin() // a handler that writes nothing would have net/http answer 200
}

// seconds returns whole seconds, rounded up: who comes a moment too early comes in
// vain.
func seconds(d time.Duration) string {
	whole := d / time.Second
	if d%time.Second > 0 {
		whole++
	}
	return strconv.FormatInt(int64(whole), 10)
}

// A refusalWriter answers with the status of the refusal where the error handler
// sends none before the body: else net/http would send 200.
type refusalWriter struct {
	http.ResponseWriter
	status int
	begun  bool
	body   []byte // of writeError, where that is known; not to be changed
}

func (w *refusalWriter) begin() {
	if !w.begun {
		w.WriteHeader(w.status)
	}
}

func (w *refusalWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 // those below are only a prelude
	w.ResponseWriter.WriteHeader(status)
}

func (w *refusalWriter) Write(body []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(body)
}

// FlushError is what http.ResponseController calls.
func (w *refusalWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *refusalWriter) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController find what else the writer can do.
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A usual refusal is one that a route gives again and again to whoever has no token,
// or a bad one. Its answer is made at wiring, since such requests are the cheapest to
// send.
type usual struct {
	code, description, scope string
	challenge                string
	body                     []byte
}

// usuals returns the usual refusals of a route that needs this.
func (g *Guard) usuals(needed needs) []usual {
	var all []usual
	for _, e := range []*Error{missingToken(nil), invalidToken(nil), invalidRequest(sayOneHeader, nil)} {
		if e.Status == http.StatusUnauthorized {
			needed.fill(e)
		}
		all = append(all, usual{e.Code, e.Description, e.Scope, g.challenge(e), bodyOf(e)})
	}
	return all
}

// usual returns the usual refusal that says the same, nil where there is none.
func (p *protected) usual(e *Error) *usual {
	for i := range p.usuals {
		if u := &p.usuals[i]; u.code == e.Code && u.description == e.Description && u.scope == e.Scope {
			return u
		}
	}
	return nil
}

// challenge returns the value of WWW-Authenticate (RFC 6750 §3, RFC 9470 §3,
// RFC 9728 §5.1). The realm is always there, since Bearer must be followed by
// something.
func (g *Guard) challenge(e *Error) string {
	var text strings.Builder
	text.WriteString(`Bearer realm="` + g.realm + `"`)
	// What cannot be quoted is left out: somebody's own Error may have anything.
	add := func(name, value string) {
		if value != "" && isQuotable(value) {
			text.WriteString(`, ` + name + `="` + value + `"`)
		}
	}
	stepUp := e.Code == CodeInsufficientUserAuthentication
	switch e.Code {
	case CodeInvalidRequest, CodeInvalidToken, CodeInsufficientScope, CodeInsufficientUserAuthentication:
		add("error", e.Code)
		add("error_description", e.Description)
	}
	add("scope", e.Scope)
	if stepUp {
		add("acr_values", e.ACRValues)
		if e.MaxAge >= time.Second {
			add("max_age", strconv.FormatInt(int64(e.MaxAge/time.Second), 10))
		}
	}
	add("resource_metadata", g.metadataURL)
	return text.String()
}

// isQuotable reports whether text can stand in a quoted string of a challenge as
// it is (RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E).
func isQuotable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// writeError writes the body of a refusal.
func writeError(w http.ResponseWriter, _ *http.Request, e *Error) {
	var body []byte
	if answer, ok := w.(*refusalWriter); ok {
		body = answer.body
	}
	if body == nil {
		body = bodyOf(e)
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // an error means that the client is gone
}

func bodyOf(e *Error) []byte {
	body, err := json.Marshal(struct {
		Code        string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{e.Code, e.Description})
	if err != nil { // two strings can always be written
		panic(err)
	}
	return append(body, '\n')
}
