package middleware

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/scope"
)

// Codes of [Error.Code]. The first three are those of RFC 6750 §3.1.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"

	// CodeAccessDenied is the code of a 403 that is not about scopes. It stands
	// in the body and not in the challenge, where it is not defined.
	CodeAccessDenied = "access_denied"

	// CodeUnavailable is the code of a 503. It stands in the body only, with
	// RFC 6749 §4.1.2.1's word for it.
	CodeUnavailable = "temporarily_unavailable"
)

// An Error is a refusal: what the client is told, and why.
type Error struct {
	// Status is the HTTP status: 400, 401, 403 or 503, or what a requirement of
	// one's own says, from 400 to 599. A challenge goes with the first three.
	Status int

	// Code is the error code, one of the constants above. It is empty where the
	// request had no token at all: then there is no error to tell of
	// (RFC 6750 §3.1).
	Code string

	// Description is a sentence for the client's developer. It is the same for
	// all tokens that are refused. It is printable ASCII without " and \.
	Description string

	// Scope has the scopes that the client should ask for, separated by spaces;
	// empty where that is not known or not the trouble.
	Scope string

	// Err is the reason, for logs. The client must not see it, so it is left out
	// of JSON.
	Err error `json:"-"`
}

// Error returns the code and the description: what the client is told as well.
func (e *Error) Error() string {
	if e.Code == "" {
		return "middleware: " + e.Description
	}
	return "middleware: " + e.Code + ": " + e.Description
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func missingToken(reason error) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Description: "no access token was sent; send it in the header Authorization: Bearer TOKEN",
		Err:         reason,
	}
}

func invalidRequest(reason error) *Error {
	return &Error{
		Status:      http.StatusBadRequest,
		Code:        CodeInvalidRequest,
		Description: "the request must have one Authorization header, with Bearer and one access token",
		Err:         reason,
	}
}

// invalidToken says the same of every token: which check failed is of use to
// whoever is trying out forgeries, and to nobody whose token is honest.
func invalidToken(reason error) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidToken,
		Description: "the access token is expired, malformed or not meant for this API",
		Err:         reason,
	}
}

func insufficientScope(rule scope.Rule, have scope.Set) *Error {
	return &Error{
		Status:      http.StatusForbidden,
		Code:        CodeInsufficientScope,
		Description: "the access token lacks a scope that this resource needs",
		Scope:       rule.Closest(have).String(),
		Err:         fmt.Errorf("middleware: the scope %s is missing", rule.Missing(have)),
	}
}

func accessDenied(reason error) *Error {
	return &Error{
		Status:      http.StatusForbidden,
		Code:        CodeAccessDenied,
		Description: "the access token does not permit this request",
		Err:         reason,
	}
}

func unavailable(reason error) *Error {
	return &Error{
		Status:      http.StatusServiceUnavailable,
		Code:        CodeUnavailable,
		Description: "the access token cannot be checked now; try again later",
		Err:         reason,
	}
}

// retryAfter is what a 503 asks the client to wait, in seconds: after that the
// next fetch of the keys is due or near.
const retryAfter = 5

// refuse answers a request that is not let through. The header is complete
// before the error handler runs, so that no handler can forget the challenge.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		h.Set("WWW-Authenticate", challenge(g.realm, e))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	answer := &refusalWriter{ResponseWriter: w, status: e.Status}
	g.errorHandler(answer, r, e)
	answer.begin() // a handler that writes nothing would have net/http answer 200
}

// A refusalWriter answers with the status of the refusal where the error handler
// sends none before the body: else net/http would send 200.
type refusalWriter struct {
	http.ResponseWriter
	status int
	begun  bool
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

// challenge returns the value of WWW-Authenticate (RFC 6750 §3). The realm is
// always there, since Bearer must be followed by something.
func challenge(realm string, e *Error) string {
	var text strings.Builder
	text.WriteString(`Bearer realm="` + realm + `"`)
	switch e.Code {
	case CodeInvalidRequest, CodeInvalidToken, CodeInsufficientScope:
		text.WriteString(`, error="` + e.Code + `"`)
		if e.Description != "" && isQuotable(e.Description) {
			text.WriteString(`, error_description="` + e.Description + `"`)
		}
	}
	if e.Scope != "" && isQuotable(e.Scope) {
		text.WriteString(`, scope="` + e.Scope + `"`)
	}
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
	body, err := json.Marshal(struct {
		Code        string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{e.Code, e.Description})
	if err != nil { // two strings can always be written
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n')) // an error means that the client is gone
}
