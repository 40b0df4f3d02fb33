package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/contextkey"
	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/internal/wiring"
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
	validator      Validator
	ours           bool // the validator is that of package claims
	realm          string
	observers      []func(context.Context, Decision)
	errorHandler   func(http.ResponseWriter, *http.Request, *Error)
	allowPreflight bool
	sources        sources
	metadata       *ResourceMetadata // nil: not configured
	metadataURL    string

	mu     sync.Mutex
	scopes scope.Set // of all routes, for the metadata
}

// New returns a guard that asks v about tokens. It panics if v is nil, including
// a nil pointer: look at the error of claims.NewValidator.
func New(v Validator, options ...Option) *Guard {
	if wiring.IsNil(v) {
		panic("middleware: New was given a nil validator: look at the error of claims.NewValidator")
	}
	g := &Guard{validator: v, realm: "api", errorHandler: writeError}
	_, g.ours = v.(*claims.Validator)
	for _, option := range options {
		if option.apply != nil { // the zero Option sets nothing
			option.apply(g)
		}
	}
	return g
}

// Handler returns a handler that calls next for requests with a good access
// token, whatever its scope. As a func(http.Handler) http.Handler it is a
// middleware itself. It panics if next is nil.
//
// The handler has the method Policy() [Policy], as all have that a guard returns.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return g.protect(Policy{Access: TokenRequired}, next)
}

// Optional returns a handler that calls next for requests with a good access token
// and for requests with none at all. A token that is sent must be good: a bad one
// is refused, since a client that sends it believes to be known. It panics if next
// is nil.
//
// In next, claims.FromContext tells the two apart: it reports false where there
// was no token.
func (g *Guard) Optional(next http.Handler) http.Handler {
	return g.protect(Policy{Access: AnonymousAllowed}, next)
}

// Require returns a middleware that lets requests through that have a good access
// token and meet all of the requirements. They are checked in the order in which
// they are written, and the first that is not met answers.
//
// It panics if there is none or one is nil, and where [Issuers] name one that the
// validator says it does not trust.
func (g *Guard) Require(requirements ...Requirement) func(http.Handler) http.Handler {
	if len(requirements) == 0 {
		panic("middleware: Require needs at least one requirement; Handler lets any good access token through")
	}
	for _, requirement := range requirements {
		if wiring.IsNil(requirement) {
			panic("middleware: Require was given a nil requirement")
		}
		checkTrusted(g.validator, requirement)
	}
	requirements = slices.Clone(requirements)
	return func(next http.Handler) http.Handler {
		return g.protect(Policy{Access: TokenRequired, Requirements: requirements}, next)
	}
}

// RequireScope returns a middleware that lets requests through whose access
// token has all of the scopes. It is Require(Scopes(scope.All(scopes...))), and
// panics as scope.All does: where there is no scope, or one is not well formed.
func (g *Guard) RequireScope(scopes ...string) func(http.Handler) http.Handler {
	return g.Require(Scopes(scope.All(scopes...)))
}

// Check decides about a request as [Guard.Handler] does, and nothing more: it
// writes nothing, checks no requirement, calls no observer and puts nothing into
// a context. The error is an *[Error]; it wraps [ErrNoToken] where the request has
// no token.
func (g *Guard) Check(r *http.Request) (*claims.Claims, error) {
	p, refusal := g.authenticate(r)
	if refusal == nil {
		refusal = ended(r)
	}
	if refusal != nil {
		return nil, refusal
	}
	return copyOf(p.claims), nil // a handler may have changed its own
}

// protect returns the handler that stands before next.
func (g *Guard) protect(policy Policy, next http.Handler) *protected {
	switch {
	case g.validator == nil:
		panic("middleware: the Guard is a zero value; make one with New")
	case wiring.IsNil(next):
		panic("middleware: a guard was given a nil handler")
	}
	g.mu.Lock()
	g.scopes = g.scopes.Union(policy.Scopes())
	g.mu.Unlock()
	needed := policy.needs(nil, scope.Set{})
	return &protected{guard: g, policy: policy, needed: needed, usuals: g.usuals(needed), next: next}
}

// A protected handler is what a guard stands before.
type protected struct {
	guard  *Guard
	policy Policy
	needed needs // by who has no token, where that does not depend on the request
	usuals []usual
	next   http.Handler
}

// Policy returns what is asked of requests, by this guard and by those that stand
// directly behind it.
func (p *protected) Policy() Policy { return p.policy.and(PolicyOf(p.next)) }

// ServeHTTP implements [http.Handler].
func (p *protected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := verdict{began: p.guard.start(r)}
	p.decide(r, &v)
	p.guard.tell(r, p.policy, &v)
	switch {
	case v.refusal != nil:
		p.refuse(w, r, v.refusal)
		return
	case v.passage != nil && (v.passage.from == inQuery || v.passage.from == inCookie):
		// Caches know of the Authorization header only (RFC 6750 §2.3, RFC 9111 §3.5).
		if h := w.Header(); !strings.Contains(h.Get("Cache-Control"), "no-store") {
			h.Set("Cache-Control", "private")
		}
	}
	if v.request == nil { // nobody is known
		v.request = v.passage.attach(r, nil)
	}
	p.next.ServeHTTP(w, v.request)
}

// A verdict is what is decided about a request.
type verdict struct {
	outcome Outcome
	passage *passage      // nil: no token was found good
	request *http.Request // as the requirements and the handler see it; nil without a passage
	met     []Requirement // of the guards further out
	failed  Requirement   // that is not met
	refusal *Error        // nil: the request is let through

	began time.Time // zero: nobody wants to know how long it took
}

// decide decides about a request. It writes nothing.
func (p *protected) decide(r *http.Request, v *verdict) {
	v.passage, v.refusal = p.guard.authenticate(r)
	if p.guard.allowPreflight && v.refusal != nil && v.refusal.isMissingToken() && isPreflight(r) {
		v.outcome, v.refusal = Preflight, nil
		return
	}
	if v.refusal == nil {
		// Requirements see what the handler will: some ask the issuer, with the token.
		v.met = v.passage.met
		v.request = v.passage.attach(r, p.policy.Requirements)
		v.failed, v.refusal = meet(p.policy.Requirements, v.request, v.passage.claims)
	}
	if v.refusal == nil {
		v.refusal = ended(r)
	}
	switch refusal := v.refusal; {
	case refusal == nil:
		v.outcome = Allowed
	case p.policy.Access == AnonymousAllowed && v.passage == nil && refusal.isMissingToken():
		v.outcome, v.refusal = Anonymous, nil
	default:
		p.conclude(r, v)
	}
}

// conclude completes the verdict on a request that is refused.
func (p *protected) conclude(r *http.Request, v *verdict) {
	if v.refusal.Status >= 500 {
		v.outcome = Undecided
		return
	}
	v.outcome = Refused
	p.explain(r, v)
}

// explain completes a refusal with what the resource needs, so that the client asks
// for the right token at once (RFC 6750 §3, RFC 9470 §3). What the guards further
// out have asked for is part of it: a token with the rest alone would not come as far
// again.
func (p *protected) explain(r *http.Request, v *verdict) {
	_, lacksScope := behindMethod(v.failed, r).(scopes) // what one of somebody's own says stands
	if v.refusal.Status != http.StatusUnauthorized && !lacksScope {
		return
	}
	needed := p.needed
	switch {
	case v.passage != nil:
		all := Policy{Requirements: slices.Concat(v.met, p.policy.Requirements)}
		needed = all.needs(r, v.passage.claims.Scope)
	case needed.varies:
		needed = p.policy.needs(r, scope.Set{})
	}
	if lacksScope {
		v.refusal.Scope = ""
	}
	needed.fill(v.refusal)
}

// ended returns the refusal of a request whose context has ended while it was
// decided about: the client has given up, or http.TimeoutHandler has answered it.
// What a handler did now would be done for nobody.
func ended(r *http.Request) *Error {
	if err := r.Context().Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// A passage is what a guard has found out about a request, and the context of what
// stands behind it. One value holds all of it, under a key that no other package
// has: a context in which the parts do not belong together cannot be made.
type passage struct {
	context.Context // of the request as it came
	guard           *Guard
	token           string
	from            place
	remembered      bool           // the token was verified for an earlier request
	claims          *claims.Claims // the validator's: what is believed; see validate
	met             []Requirement  // of the guards that the request has come to

	// The handler's copy of the claims, which it may change. It is made when it is
	// asked for, and is that of the first passage of several.
	copied atomic.Pointer[claims.Claims]
	first  *passage // nil: this is the first
}

// own returns the handler's copy of the claims, the same one each time.
func (p *passage) own() *claims.Claims {
	if p.first != nil {
		return p.first.own()
	}
	if c := p.copied.Load(); c != nil {
		return c
	}
	p.copied.CompareAndSwap(nil, copyOf(p.claims))
	return p.copied.Load()
}

func copyOf(believed *claims.Claims) *claims.Claims {
	copied := *believed
	copied.Audience, copied.AMR = slices.Clone(believed.Audience), slices.Clone(believed.AMR)
	return &copied
}

// Value implements [context.Context].
func (p *passage) Value(key any) any {
	switch key.(type) {
	case passageKey:
		return p
	case contextkey.Claims:
		return p.own()
	case contextkey.Believed: // whoever wraps the context sees what this returns
		return copyOf(p.claims)
	default:
		return p.Context.Value(key)
	}
}

// Format implements [fmt.Formatter]: a context is printed now and then, and the token
// must not be.
func (p *passage) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.String()) }

// String is what the contexts that are derived from it print.
func (p *passage) String() string { return "middleware: the context of a request" }

type passageKey struct{}

// authenticate finds the token of a request and has it validated.
func (g *Guard) authenticate(r *http.Request) (*passage, *Error) {
	if g.validator == nil {
		return nil, unavailable(errors.New("middleware: the Guard is a zero value; make one with New"))
	}
	found, refusal := g.credential(r)
	if refusal != nil {
		return nil, refusal
	}
	// Behind a middleware of the same guard there is no need to verify the same
	// token again. Another guard's passage is for another API.
	if p, _ := r.Context().Value(passageKey{}).(*passage); p != nil && p.guard == g && p.token == found.token && p.lasts() {
		return p, nil
	}
	c, remembered, err := g.validate(r.Context(), found.token)
	switch {
	case err != nil && g.ours && !wasRead(err) && !isToken68(found.token):
		return nil, invalidRequest(sayOneHeader, errNotOneToken)
	case isOurs(err):
		return nil, unavailable(err)
	case err != nil:
		return nil, invalidToken(err)
	case c == nil:
		return nil, unavailable(errors.New("middleware: the validator returned neither claims nor an error"))
	}
	return &passage{guard: g, token: found.token, from: found.from, remembered: remembered, claims: c}, nil
}

// validate asks the validator. What it says may be shared with other requests, so
// whoever is not of this package gets a copy.
func (g *Guard) validate(ctx context.Context, token string) (_ *claims.Claims, remembered bool, _ error) {
	if !g.ours {
		c, err := g.validator.Validate(ctx, token)
		return c, false, err
	}
	c, remembered, err := known.Validate(g.validator, ctx, token)
	if err != nil {
		return nil, false, err
	}
	return c.(*claims.Claims), remembered, nil
}

// wasRead reports whether the validator's error says that the token is as a b64token
// must be, or too large to be looked at. What it does not tell of is looked at, so the
// list has those that come before any cryptography, where a look would cost as much as
// all the rest.
func wasRead(err error) bool {
	return errors.Is(err, claims.ErrTooLarge) || errors.Is(err, claims.ErrIssuer) || errors.Is(err, claims.ErrAlgorithm) ||
		errors.Is(err, claims.ErrUnknownKey)
}

// lasts reports whether the token was good for longer than until now: a passage may
// be met hours later, in what a connection is kept open for.
func (p *passage) lasts() bool { return p.claims.Expiry.IsZero() || time.Now().Before(p.claims.Expiry) }

// attach returns the request with the passage and its claims in its context, which
// is r itself where they are there already. The requirements are those that the
// request must meet to come further. A nil passage hides what somebody else has put
// there: nobody is known to this guard.
func (p *passage) attach(r *http.Request, met []Requirement) *http.Request {
	ctx := r.Context()
	there, _ := ctx.Value(passageKey{}).(*passage)
	switch {
	case p == nil:
		if c, _ := claims.FromContext(ctx); there == nil && c == nil {
			return r
		}
		ctx = claims.NewContext(context.WithValue(ctx, passageKey{}, p), nil)
	case there != p: // it is a new one
		p.Context, p.met = ctx, met
		ctx = p
	case len(met) > 0:
		ctx = &passage{
			Context: ctx, guard: p.guard, token: p.token, from: p.from, remembered: p.remembered, claims: p.claims,
			met: slices.Concat(p.met, met), first: cmp.Or(p.first, p),
		}
	default: // somebody may have put other claims behind it
		if c, _ := claims.FromContext(ctx); c == p.own() {
			return r
		}
		ctx = claims.NewContext(ctx, p.own())
	}
	return r.WithContext(ctx)
}

// TokenFromContext returns the access token that a request came with, as it was
// sent, for handlers that pass it on. It is a secret: whoever has it can do what
// its bearer can. It reports false where the request did not pass a guard, or had
// no token.
func TokenFromContext(ctx context.Context) (string, bool) {
	p, _ := ctx.Value(passageKey{}).(*passage)
	if p == nil {
		return "", false
	}
	return p.token, true
}
