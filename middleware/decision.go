package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/claims"
)

// A Decision is what a guard decided about one request. There is no token in what
// fmt, slog and encoding/json print of it, and nothing of the user.
type Decision struct {
	// Outcome is how it ended.
	Outcome Outcome

	// Method is the request's method, cut short where it is longer than any that
	// there is.
	Method string

	// Pattern is the route that matched, as the router has it in
	// [http.Request.Pattern]; empty where it has none.
	Pattern string

	// Policy is what this guard asks for here. A guard that stands directly behind
	// has a decision of its own. It is zero where the handler has refused
	// ([Guard.Refuse]).
	Policy Policy

	// Requirement is the one that was not met, in words; "the handler" where that has
	// refused ([Guard.Refuse]), and empty where neither was the trouble.
	Requirement string

	// Issuer and ClientID are those of the token, once it has been found good;
	// empty before.
	Issuer   string
	ClientID string

	// KeyID is the ID of the issuer's key that has signed the token, once it has
	// been found good.
	KeyID string

	// FromMemory tells that the token's signature was not verified for this decision,
	// since it had been before: by the same guard further out, or for an earlier request
	// (claims.WithMemory). The latter is not told of a [Validator] of one's own, also
	// where that asks a claims.Validator.
	FromMemory bool

	// Duration is how long the decision took, waiting for keys included.
	Duration time.Duration

	// Reason is a sentinel for why the request was not let through, one of this
	// package or of package claims. There are few, so that it can be counted by:
	// the text of Refusal.Err says more. An outage of the keys is claims.ErrUnavailable,
	// one of what a requirement asks [ErrUnavailable]. Nil where it was let through.
	Reason error

	// Refusal says how the request is refused and why. Nil means that it was let
	// through.
	Refusal *Error

	claims *claims.Claims
}

// Claims returns a copy of the claims of the token, for an observer that wants more of
// it than is good for a log. It reports false where no token was found good.
func (d Decision) Claims() (*claims.Claims, bool) {
	if d.claims == nil {
		return nil, false
	}
	return copyOf(d.claims), true
}

// An Outcome is how a decision ended.
type Outcome string

const (
	// Allowed means that the request was let through with a good token.
	Allowed Outcome = "allowed"

	// Anonymous means that it was let through without a token ([Guard.Optional]).
	Anonymous Outcome = "anonymous"

	// Preflight means that it was let through as a CORS preflight
	// ([AllowPreflight]).
	Preflight Outcome = "preflight"

	// Refused means that it was refused: the client's fault.
	Refused Outcome = "refused"

	// Undecided means that nothing could be said about it, status 503 (or what else
	// above 500 a requirement says): not the client's fault.
	Undecided Outcome = "undecided"
)

// methodOf returns the method of a request, which is longer than any of the registry
// of RFC 9110 §16.1 only where somebody wants to fill a log.
func methodOf(r *http.Request) string { return r.Method[:min(len(r.Method), 24)] }

type observerKey struct{}

// ContextWithObserver returns a context that has observe called for each decision
// about a request that carries it, by whichever guard, besides the guard's own
// observers and those that the context has already: for tests and inventories of
// routes. It panics if observe is nil.
func ContextWithObserver(ctx context.Context, observe func(context.Context, Decision)) context.Context {
	if observe == nil {
		panic("middleware: ContextWithObserver was given a nil function")
	}
	both := observe
	if further := observerOf(ctx); further != nil {
		both = func(ctx context.Context, d Decision) {
			further(ctx, d)
			observe(ctx, d)
		}
	}
	return context.WithValue(ctx, observerKey{}, both)
}

func observerOf(ctx context.Context) func(context.Context, Decision) {
	observe, _ := ctx.Value(observerKey{}).(func(context.Context, Decision))
	return observe
}

// start returns the time, if somebody wants to know of the decision.
func (g *Guard) start(r *http.Request) time.Time {
	if len(g.observers) == 0 && observerOf(r.Context()) == nil {
		return time.Time{}
	}
	return time.Now()
}

// tell tells the observers of a decision.
func (g *Guard) tell(r *http.Request, policy Policy, v *verdict) {
	if v.began.IsZero() {
		return
	}
	d := Decision{
		Outcome:  v.outcome,
		Method:   methodOf(r),
		Pattern:  r.Pattern,
		Policy:   policy,
		Duration: time.Since(v.began),
		Refusal:  v.refusal,
	}
	if v.failed != nil {
		d.Requirement = v.failed.String()
	}
	if v.refusal != nil {
		d.Reason = v.reason()
	}
	if p := v.passage; p != nil {
		d.Issuer, d.ClientID, d.KeyID, d.claims = p.claims.Issuer, p.claims.ClientID, p.claims.KeyID, p.claims
		there, _ := r.Context().Value(passageKey{}).(*passage)
		d.FromMemory = there == p || p.remembered
	}
	for _, observe := range g.observers {
		observe(r.Context(), d)
	}
	if observe := observerOf(r.Context()); observe != nil {
		observe(r.Context(), d)
	}
}
