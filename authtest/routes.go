package authtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// Routes tests the routes of an API, one subtest each: that what is asked for at a
// route is what its policy says, and that a request without a token, with an ID
// Token, with a token for another API, and with one that lacks a scope is refused.
// None of these may come to the route's handler. It fails for a route that is
// [middleware.Unprotected]; what is open on purpose is [middleware.Public].
//
// Package chiguard lists the routes of a chi router and ginguard those of a gin
// engine; for net/http, [middleware.Routes] makes a list:
//
//	issuer := authtest.NewIssuer(t)
//	r := newRouter(middleware.New(issuer.Validator("https://example.com/health-api")))
//	issuer.Routes(t, r, chiguard.Routes(r))
//
// The validator must be of this issuer. A route without a method is asked with those
// that are common. Parameters in a pattern, such as {id}, :id
// and *, are filled in; where a route takes only certain values, put a path in the
// place of its pattern. Routes that let anonymous requests through, or everybody, are
// not asked without a token, since that would run their handlers.
func (i *Issuer) Routes(t *testing.T, api http.Handler, routes []middleware.Route) {
	t.Helper()
	if len(routes) == 0 {
		t.Fatal("authtest: there are no routes to test")
	}
	if i.firstAudience() == "" {
		t.Fatal("authtest: the API must be made with a validator of this issuer: call Issuer.Validator or Issuer.Config first")
	}
	for _, route := range routes {
		t.Run(strings.TrimLeft(route.Method+" "+route.Pattern, " "), func(t *testing.T) {
			methods := []string{route.Method}
			if route.Method == "" {
				methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
			}
			for _, method := range methods {
				route.Method = method
				if failure := i.tryRoute(t.Context(), api, route); failure != "" {
					t.Error(failure)
				}
			}
		})
	}
}

// A probe is a request that must be refused.
type probe struct {
	what   string // that is sent
	token  string // "": none
	status int
	why    string // that matters
}

// tryRoute returns what is wrong with a route, "" where nothing is.
func (i *Issuer) tryRoute(ctx context.Context, api http.Handler, route middleware.Route) string {
	switch route.Policy.Access {
	case middleware.Unprotected:
		return "no guard is seen before the route: protect it, or mark it with middleware.Public if it is open on purpose (a middleware of your own around a guard hides it, unless what it returns has the method Policy)"
	case middleware.Open:
		return ""
	}
	// Only with such a token it is known whether a guard is of this issuer.
	good := i.Token(Claim("scope", strings.Join(slices.Collect(route.Policy.Scopes().Values()), " ")), Expiry(time.Now().Add(-time.Hour)))
	var path string
	var answer *httptest.ResponseRecorder
	var decided []middleware.Decision
	for _, value := range [...]string{"1", "a", "a-1", "2026-01-31", "00000000-0000-4000-8000-000000000000"} {
		path = fill(route.Pattern, value)
		if answer, decided = i.send(ctx, api, route.Method, path, good); len(decided) > 0 {
			break
		}
	}
	switch {
	case len(decided) == 0 && answer.Code < 400:
		return fmt.Sprintf("%s %s answers %d, and no guard was asked: the route is open, whatever its policy says", route.Method, path, answer.Code)
	case len(decided) == 0:
		return fmt.Sprintf("%s %s answers %d, and no guard was asked: if the route takes other values, put such a path in the place of its pattern", route.Method, path, answer.Code)
	case !errors.Is(decided[len(decided)-1].Reason, claims.ErrExpired):
		return fmt.Sprintf("%s %s: the guard says of a token of this issuer, which is good but has expired: %v\nmake its validator with Issuer.Validator or Issuer.Config", route.Method, path, decided[len(decided)-1].Reason)
	}
	for _, p := range i.probes(route.Policy) {
		response, decided := i.send(ctx, api, route.Method, path, p.token)
		var words []string
		for _, d := range decided {
			words = append(words, d.Policy.String())
			if d.Outcome != middleware.Refused && d.Outcome != middleware.Allowed {
				return fmt.Sprintf("%s %s\nwith       %s\nthe guard  could not decide, or did not ask: %s\nmake the API with a validator of this issuer", route.Method, path, p.what, d.Outcome)
			}
		}
		if response.Code != p.status || decided[len(decided)-1].Refusal == nil {
			return fmt.Sprintf("%s %s\nwith       %s\nanswered   %d\nshould be  %d\nwhy        %s", route.Method, path, p.what, response.Code, p.status, p.why)
		}
		if !agree(route.Policy, decided) {
			return fmt.Sprintf("%s %s\nwith       %s\nis asked   %s\nshould be  %s\nwhy        the policy is not what is enforced", route.Method, path, p.what, strings.Join(words, ", then "), route.Policy)
		}
	}
	return ""
}

// probes returns what a route with that policy must refuse.
func (i *Issuer) probes(policy middleware.Policy) []probe {
	probes := []probe{
		{"an ID Token", i.IDToken(), 401, "it says who has logged in at a client, and opens no API"},
		{"an ID Token whose audience has the API", i.IDToken(Audience(DefaultClientID, i.firstAudience())), 401, "it says who has logged in at a client, and opens no API"},
		{"an access token for another API", i.Token(Audience("https://another-api.example/")), 401, "whoever runs that API could use this one"},
	}
	if policy.Access == middleware.TokenRequired {
		probes = append(probes, probe{"no token", "", 401, "anybody could use it"})
	}
	if policy.Scopes().Len() > 0 {
		probes = append(probes, probe{"an access token without a scope", i.Token(), 403, "a client that was given nothing could use it"})
	}
	return probes
}

// agree reports whether the decisions are of guards that ask for what the policy
// says, in this order; those that stand behind a refusal have decided nothing.
func agree(policy middleware.Policy, decided []middleware.Decision) bool {
	rest := policy.Requirements
	for _, d := range decided {
		for _, requirement := range d.Policy.Requirements {
			if len(rest) == 0 || rest[0].String() != requirement.String() {
				return false
			}
			rest = rest[1:]
		}
	}
	return true
}

// firstAudience returns the audience of the first validator.
func (i *Issuer) firstAudience() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.audience
}

// send sends a request, and returns the answer and what guards decided about it.
func (i *Issuer) send(ctx context.Context, api http.Handler, method, path, token string) (*httptest.ResponseRecorder, []middleware.Decision) {
	var decided []middleware.Decision
	ctx = middleware.ContextWithObserver(ctx, func(_ context.Context, d middleware.Decision) {
		decided = append(decided, d)
	})
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w, decided
}

// parameters are what stands for a part of a path in the patterns of net/http and chi,
// of gin, and of a mounted router.
var parameters = regexp.MustCompile(`\{[^/{}]*(\{[^{}]*\}[^/{}]*)*\}|[:*][^/]*`)

// fill returns a path that a pattern matches, with that value for each parameter.
func fill(pattern, value string) string {
	if _, rest, found := strings.Cut(pattern, " "); found { // "GET /path"
		pattern = rest
	}
	if at := strings.IndexByte(pattern, '/'); at > 0 { // a host
		pattern = pattern[at:]
	}
	pattern = strings.TrimSuffix(pattern, "{$}")
	return parameters.ReplaceAllLiteralString(pattern, value)
}
