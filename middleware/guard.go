package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/scope"
)

// A Validator decides whether a token is good; *claims.Validator does. An error
// refuses the token, except one that wraps claims.ErrUnavailable or the end of
// a context: then nothing is said about it.
type Validator interface {
	Validate(ctx context.Context, token string) (*claims.Claims, error)
}

var _ Validator = (*claims.Validator)(nil)

// A Guard lets requests through that come with a good access token. It is safe
// for concurrent use. Make one for each API, with [New].
type Guard struct {
	validator    Validator
	realm        string
	observers    []func(context.Context, Decision)
	errorHandler func(http.ResponseWriter, *http.Request, *Error)
}

// An Option is a setting of [New].
type Option struct{ apply func(*Guard) }

// New returns a guard that asks v about tokens. It panics if v is nil, including
// a nil pointer: look at the error of claims.NewValidator.
func New(v Validator, options ...Option) *Guard {
	if isNil(v) {
		panic("middleware: New was given a nil validator: look at the error of claims.NewValidator")
	}
	g := &Guard{validator: v, realm: "api", errorHandler: writeError}
	for _, option := range options {
		if option.apply != nil { // the zero Option sets nothing
			option.apply(g)
		}
	}
	return g
}

// isNil reports whether v is nil, or a nil pointer or function in an interface,
// which is what an error that nobody looked at leaves behind.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	value := reflect.ValueOf(v)
	return (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// WithRealm names the protected area in challenges (RFC 9110 §11.5), in place of
// "api". It panics if the name has a character other than printable ASCII
// without " and \.
func WithRealm(realm string) Option {
	if !isQuotable(realm) {
		panic(fmt.Sprintf(`middleware: WithRealm(%q): a realm is printable ASCII without " and \`, realm))
	}
	return Option{func(g *Guard) { g.realm = realm }}
}

// WithObserver has observe called once for each decision, let through or not,
// before the handler runs or the refusal is written. This is where a program
// learns why a request was refused; [LogDecisions] writes it to a log.
//
// It runs on the request's goroutine, with the request's context, so it must be
// quick and safe for concurrent use. Several observers are called in the order in
// which they are given. It panics if observe is nil.
func WithObserver(observe func(context.Context, Decision)) Option {
	if observe == nil {
		panic("middleware: WithObserver was given a nil function")
	}
	return Option{func(g *Guard) { g.observers = append(g.observers, observe) }}
}

// WithErrorHandler has write called for each refusal, in place of the JSON body
// of this package. The challenge, Cache-Control and Retry-After are in the header
// already; write sends the status, e.Status, and the body it likes. Where it
// sends no status of its own, e.Status is sent.
//
// It must not show e.Unwrap() to the client: that is the reason. It panics if
// write is nil.
func WithErrorHandler(write func(w http.ResponseWriter, r *http.Request, e *Error)) Option {
	if write == nil {
		panic("middleware: WithErrorHandler was given a nil function")
	}
	return Option{func(g *Guard) { g.errorHandler = write }}
}

// Handler returns a handler that calls next for requests with a good access
// token, whatever its scope. As a func(http.Handler) http.Handler it is a
// middleware itself. It panics if next is nil.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return g.protect(nil, next)
}

// Require returns a middleware that lets requests through that have a good access
// token and meet all of the requirements. They are checked in the order in which
// they are written, and the first that is not met answers.
//
// It panics if there is none or one is nil.
func (g *Guard) Require(requirements ...Requirement) func(http.Handler) http.Handler {
	if len(requirements) == 0 {
		panic("middleware: Require needs at least one requirement; Handler lets any good access token through")
	}
	for _, requirement := range requirements {
		if isNil(requirement) {
			panic("middleware: Require was given a nil requirement")
		}
	}
	requirements = slices.Clone(requirements)
	return func(next http.Handler) http.Handler { return g.protect(requirements, next) }
}

// RequireScope returns a middleware that lets requests through whose access
// token has all of the scopes. It is Require(Scopes(scope.All(scopes...))), and
// panics as scope.All does: where there is no scope, or one is not well formed.
func (g *Guard) RequireScope(scopes ...string) func(http.Handler) http.Handler {
	return g.Require(Scopes(scope.All(scopes...)))
}

// Check decides about a request as [Guard.Handler] does, and nothing more: it
// writes nothing, checks no requirement, calls no observer and puts nothing into
// a context. The error is an *[Error].
func (g *Guard) Check(r *http.Request) (*claims.Claims, error) {
	p, refusal := g.authenticate(r)
	if refusal != nil {
		return nil, refusal
	}
	return p.copied, nil
}

// protect returns the handler that stands before next.
func (g *Guard) protect(requirements []Requirement, next http.Handler) http.Handler {
	if isNil(next) {
		panic("middleware: a guard was given a nil handler")
	}
	policy := describe(requirements)
	needed := neededScope(requirements)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, refusal := g.authenticate(r)
		if refusal == nil {
			refusal = meet(requirements, r, p.claims)
		} else if refusal.Status == http.StatusUnauthorized {
			// The scope that the resource needs, so that the client asks for the
			// right token at once (RFC 6750 §3).
			refusal.Scope = needed
		}
		if len(g.observers) > 0 {
			decision := newDecision(r, policy, p, refusal)
			for _, observe := range g.observers {
				observe(r.Context(), decision)
			}
		}
		if refusal != nil {
			g.refuse(w, r, refusal)
			return
		}
		next.ServeHTTP(w, p.attach(r))
	})
}

// A passage is what a guard has found out about a request. One value holds all
// of it, under a key that no other package has: a context in which the three do
// not belong together cannot be made.
type passage struct {
	guard  *Guard
	token  string
	claims *claims.Claims // the validator's: what is believed
	copied *claims.Claims // the handler's, which may change them
}

func newPassage(g *Guard, token string, c *claims.Claims) *passage {
	copied := *c
	copied.Audience, copied.AMR = slices.Clone(c.Audience), slices.Clone(c.AMR)
	return &passage{guard: g, token: token, claims: c, copied: &copied}
}

type passageKey struct{}

// authenticate finds the token of a request and has it validated.
func (g *Guard) authenticate(r *http.Request) (*passage, *Error) {
	token, refusal := bearerToken(r.Header)
	if refusal != nil {
		return nil, refusal
	}
	// Behind a middleware of the same guard there is no need to verify the same
	// token again. Another guard's passage is for another API.
	if p, ok := r.Context().Value(passageKey{}).(*passage); ok && p.guard == g && p.token == token {
		return p, nil
	}
	c, err := g.validator.Validate(r.Context(), token)
	switch {
	case isOurs(err):
		return nil, unavailable(err)
	case err != nil:
		return nil, invalidToken(err)
	case c == nil:
		return nil, unavailable(errors.New("middleware: the validator returned neither claims nor an error"))
	}
	return newPassage(g, token, c), nil
}

// isOurs reports whether an error is no fault of the client's: there is nothing
// wrong with the token, only nobody could say whether it is good. Answering
// invalid_token then would have clients throw good tokens away.
func isOurs(err error) bool {
	return errors.Is(err, claims.ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// attach returns the request with the passage and its claims in its context,
// which is r itself where they are there already.
func (p *passage) attach(r *http.Request) *http.Request {
	ctx := r.Context()
	if there, _ := ctx.Value(passageKey{}).(*passage); there != p {
		ctx = context.WithValue(ctx, passageKey{}, p)
	}
	if c, _ := claims.FromContext(ctx); c != p.copied {
		ctx = claims.NewContext(ctx, p.copied)
	}
	if ctx == r.Context() {
		return r
	}
	return r.WithContext(ctx)
}

// TokenFromContext returns the access token that a request came with, as it was
// sent, for handlers that pass it on. It is a secret: whoever has it can do what
// its bearer can. It reports false where the request did not pass a guard.
func TokenFromContext(ctx context.Context) (string, bool) {
	p, ok := ctx.Value(passageKey{}).(*passage)
	if !ok {
		return "", false
	}
	return p.token, true
}

// bearerToken returns the token of a request (RFC 6750 §2.1). It is looked for in
// the Authorization header only: one in a form or a query is no credential here.
func bearerToken(header http.Header) (string, *Error) {
	credentials := header.Values("Authorization")
	switch {
	case len(credentials) == 0:
		return "", missingToken(errors.New("middleware: there is no Authorization header"))
	case len(credentials) > 1: // RFC 6750 §3.1: more than one method
		return "", invalidRequest(fmt.Errorf("middleware: there are %d Authorization headers", len(credentials)))
	}
	// The scheme is compared without case (RFC 9110 §11.1), and one or more
	// spaces follow it (RFC 9110 §11.4).
	scheme, token, _ := strings.Cut(credentials[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", missingToken(errors.New("middleware: the Authorization header does not begin with Bearer and a space"))
	}
	token = strings.TrimLeft(token, " ")
	if !isToken68(token) {
		return "", invalidRequest(errors.New("middleware: what follows Bearer is not one token"))
	}
	return token, nil
}

// isToken68 reports whether text is a b64token of RFC 6750 §2.1:
//
//	b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isToken68(text string) bool {
	body := strings.TrimRight(text, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return body != ""
}
