package authtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/bearerguard/bearerguard/middleware"
)

// A witness records an answer, and whether something goes on behind the refusal of a
// guard: where a return is missing, the status and the challenge are right, and the
// handler runs all the same.
type witness struct {
	*httptest.ResponseRecorder

	mu       sync.Mutex // what serves a request may do so in a goroutine of its own
	decided  []middleware.Decision
	statuses int  // that were set since the last decision
	read     bool // the request's body was, since the last decision
}

func newWitness() *witness { return &witness{ResponseRecorder: httptest.NewRecorder()} }

// context returns one that has guards tell the witness what they decide.
func (w *witness) context(ctx context.Context) context.Context {
	return middleware.ContextWithObserver(ctx, func(_ context.Context, d middleware.Decision) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.decided = append(w.decided, d)
		w.statuses, w.read = 0, false
	})
}

// WriteHeader implements [http.ResponseWriter].
func (w *witness) WriteHeader(status int) {
	if status >= http.StatusOK { // those below are only a prelude
		w.mu.Lock()
		w.statuses++
		w.mu.Unlock()
	}
	w.ResponseRecorder.WriteHeader(status)
}

// body returns the request's body, which the witness watches.
func (w *witness) body(body io.ReadCloser) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return body
	}
	return &watchedBody{body, w}
}

type watchedBody struct {
	io.ReadCloser
	witness *witness
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.witness.mu.Lock()
	b.witness.read = true
	b.witness.mu.Unlock()
	return b.ReadCloser.Read(p)
}

// decisions returns what guards have decided so far.
func (w *witness) decisions() []middleware.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.decided[:len(w.decided):len(w.decided)]
}

// behind returns what has happened behind the refusal of the last guard, or "". It
// sees a status that is set once more, a body that is read, and what is written
// behind the refusal's own body, where that is the one that a guard writes by itself:
// nobody knows where that of an error handler ends.
func (w *witness) behind() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.decided) == 0 || w.decided[len(w.decided)-1].Refusal == nil {
		return ""
	}
	switch own := bodyOf(w.decided[len(w.decided)-1].Refusal); {
	case w.statuses > 1:
		return "the status is set once more behind the guard's refusal"
	case w.read:
		return "the request's body is read behind the guard's refusal"
	case strings.HasPrefix(w.Body.String(), own) && w.Body.Len() > len(own):
		return "something is written behind the guard's refusal"
	default:
		return ""
	}
}

// bodyOf returns the body that a guard without an error handler of one's own writes.
func bodyOf(e *middleware.Error) string {
	text, err := json.Marshal(struct {
		Code        string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{e.Code, e.Description})
	if err != nil { // two strings can always be written
		panic(err)
	}
	return string(text) + "\n"
}
