package middleware

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/wiring"
	"github.com/bearerguard/bearerguard/scope"
)

// A Policy is what is asked of requests before a handler runs. The zero value asks
// nothing: the handler is not protected.
type Policy struct {
	// Access says whether a token is needed.
	Access Access

	// Requirements are checked in this order, where there is a token. They are
	// not to be changed.
	Requirements []Requirement
}

// Access says whether a request needs a token.
type Access int

const (
	// Unprotected means that no guard stands before the handler.
	Unprotected Access = iota

	// Open means that anybody is meant to get in: see [Public].
	Open

	// AnonymousAllowed is what [Guard.Optional] asks: a token that is sent must be
	// good.
	AnonymousAllowed

	// TokenRequired means that nobody gets in without a good token, apart from
	// preflights where [AllowPreflight] says so.
	TokenRequired
)

// String returns the name of the constant, in words.
func (a Access) String() string {
	switch a {
	case Unprotected:
		return "unprotected"
	case Open:
		return "public"
	case AnonymousAllowed:
		return "anonymous allowed"
	case TokenRequired:
		return "token required"
	default:
		return fmt.Sprintf("Access(%d)", int(a))
	}
}

// String returns the policy in words, such as "scope read:patients", "any access
// token" or "unprotected".
func (p Policy) String() string {
	words := make([]string, 0, len(p.Requirements)+1)
	switch {
	case p.Access == Unprotected:
		return "unprotected"
	case p.Access == Open:
		return "public"
	case p.Access == AnonymousAllowed:
		words = append(words, "anyone, or a good access token")
	case len(p.Requirements) == 0:
		return "any access token"
	}
	for _, requirement := range p.Requirements {
		words = append(words, requirement.String())
	}
	return strings.Join(words, ", ")
}

// MarshalText is [Policy.String], so that a policy is text in JSON and in logs.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Scopes returns all scopes that the requirements of [Scopes] name, also for one
// method only ([ByMethod]).
func (p Policy) Scopes() scope.Set { return scopesOf(p.Requirements) }

func scopesOf(requirements []Requirement) scope.Set {
	var all scope.Set
	for _, requirement := range requirements {
		switch r := requirement.(type) {
		case scopes:
			all = all.Union(r.rule.Scopes())
		case byMethod:
			for _, method := range slices.Sorted(maps.Keys(r)) {
				all = all.Union(scopesOf([]Requirement{r[method]}))
			}
		}
	}
	return all
}

// Public returns next, marked as open to everybody on purpose: its policy is [Open].
// So a test that every route has a policy finds those that were forgotten, and no
// others. It panics if next is nil.
func Public(next http.Handler) http.Handler {
	if wiring.IsNil(next) {
		panic("middleware: Public was given a nil handler")
	}
	return public{next}
}

type public struct{ next http.Handler }

func (p public) Policy() Policy { return Policy{Access: Open}.and(PolicyOf(p.next)) }

// ServeHTTP implements [http.Handler]. Only the observer of the request hears of it:
// it is no guard's decision.
func (p public) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if observe := observerOf(r.Context()); observe != nil {
		observe(r.Context(), Decision{Outcome: Anonymous, Method: methodOf(r), Pattern: r.Pattern, Policy: Policy{Access: Open}})
	}
	p.next.ServeHTTP(w, r)
}

// PolicyOf returns the policy of a handler that a guard has returned, or of any
// that has the method Policy() Policy. It is [Unprotected] for all others: a
// middleware around a guarded handler hides its policy, unless it has that method
// too.
//
// So a test can see to it that no route was forgotten, where the routes are a list:
//
//	for pattern, handler := range routes {
//		require.NotEqual(t, middleware.Unprotected, middleware.PolicyOf(handler).Access, pattern)
//	}
func PolicyOf(h http.Handler) Policy {
	if h, ok := h.(interface{ Policy() Policy }); ok && !wiring.IsNil(h) {
		return h.Policy()
	}
	return Policy{}
}

// and returns the policy of a handler that is behind both: who gets in must meet
// either.
func (p Policy) and(inner Policy) Policy {
	both := Policy{Access: max(p.Access, inner.Access)}
	both.Requirements = append(append(both.Requirements, p.Requirements...), inner.Requirements...)
	return both
}

// Routes returns the routes of a net/http program, sorted, from the list by which it
// fills its ServeMux, for tests such as authtest.Issuer.Routes. The patterns are those
// of [http.ServeMux].
func Routes(handlers map[string]http.Handler) []Route {
	var routes []Route
	for _, pattern := range slices.Sorted(maps.Keys(handlers)) {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = "", pattern
		}
		routes = append(routes, Route{Method: method, Pattern: strings.TrimLeft(path, " \t"), Policy: PolicyOf(handlers[pattern])})
	}
	return routes
}

// A Route is an entry of a router, and what is asked of requests for it.
type Route struct {
	Method  string // such as "GET"; empty: any
	Pattern string // as the router has it

	// Policy is what is asked for; [Unprotected] where no guard was found.
	Policy Policy
}

// String returns the route in words, such as "GET /patients: scope read:patients".
func (r Route) String() string {
	return strings.TrimLeft(r.Method+" "+r.Pattern, " ") + ": " + r.Policy.String()
}

// needs is what a client should ask the issuer for.
type needs struct {
	scope     scope.Set
	acrValues string
	maxAge    time.Duration
	varies    bool // from request to request
}

// A needer is a requirement that a client can meet by asking for another token.
type needer interface {
	needs(r *http.Request, have scope.Set) needs
}

// needs returns what a request needs, from a client that has these scopes; without
// a request, what all need.
func (p Policy) needs(r *http.Request, have scope.Set) needs {
	var all needs
	for _, requirement := range p.Requirements {
		if n, ok := requirement.(needer); ok {
			all = all.and(n.needs(r, have))
		}
	}
	return all
}

func (n needs) and(other needs) needs {
	n.scope = n.scope.Union(other.scope)
	n.varies = n.varies || other.varies
	n.acrValues = cmp.Or(n.acrValues, other.acrValues)
	if n.maxAge == 0 || (0 < other.maxAge && other.maxAge < n.maxAge) {
		n.maxAge = cmp.Or(other.maxAge, n.maxAge)
	}
	return n
}

// fill tells a client whose token is refused what to ask for, all of it: if it
// asked for one after the other, it might lose the one while it gets the other.
func (n needs) fill(e *Error) {
	e.Scope = cmp.Or(e.Scope, n.scope.String())
	if e.Code == CodeInsufficientUserAuthentication {
		e.ACRValues = cmp.Or(e.ACRValues, n.acrValues)
		if n.maxAge > 0 && (e.MaxAge == 0 || n.maxAge < e.MaxAge) {
			e.MaxAge = n.maxAge
		}
	}
}
