package authtest

import (
	"cmp"
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
// It fails for a route that is [middleware.Unprotected]; what is open on purpose is
// [middleware.Public].
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
//
// The options are what good tokens say besides, for routes that ask for more than
// scopes, and [Audience] for an API that is not the first one of the issuer's: test
// the routes of each with a call of its own.
//
// # What is seen
//
// The last request of a route has a token with all the scopes of its policy, and is
// stopped by a panic, http.ErrAbortHandler, as soon as the guards have asked for all
// that the policy says: middlewares run until then, the handler does not. So a handler
// runs only where a test fails: where no guard stands before it, or one that asks for
// less than is declared.
//
// A requirement is seen where a guard asks for it, and known by its words: whether it
// refuses what it should is for a test of the requirement, except for scopes. Where
// guards stand one behind the other, the token must be let in by all but the last: if
// it is not, the test fails, and asks for options. What further guards ask for beyond
// the policy is not seen.
//
// A handler that runs behind a refusal, since a return is missing, is seen where it
// sets a status, or writes behind the body of the refusal. With an error handler
// ([middleware.WithErrorHandler]), nobody knows where that body ends, so that what is
// written without a status is not seen: [Issuer.Suite] compares with the good answer.
func (i *Issuer) Routes(t *testing.T, api http.Handler, routes []middleware.Route, options ...TokenOption) {
	t.Helper()
	if len(routes) == 0 {
		t.Fatal("authtest: there are no routes to test")
	}
	if i.firstAudience() == "" {
		t.Fatal("authtest: the API must be made with a validator of this issuer: call Issuer.Validator or Issuer.Config first")
	}
	i.Token(options...) // a mistake in them is one of this test, and not of a subtest's
	for _, route := range routes {
		t.Run(strings.TrimLeft(route.Method+" "+route.Pattern, " "), func(t *testing.T) {
			methods := []string{route.Method}
			if route.Method == "" {
				methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
			}
			for _, method := range methods {
				route.Method = method
				if failure := i.tryRoute(t.Context(), api, route, options); failure != "" {
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
func (i *Issuer) tryRoute(ctx context.Context, api http.Handler, route middleware.Route, options []TokenOption) string {
	switch route.Policy.Access {
	case middleware.Unprotected:
		return "no guard is seen before the route: protect it, or mark it with middleware.Public if it is open on purpose (a middleware of your own around a guard hides it, unless what it returns has the method Policy)"
	case middleware.Open:
		return ""
	}
	// Only with such a token it is known whether a guard is of this issuer.
	good := slices.Concat([]TokenOption{
		Claim("scope", strings.Join(slices.Collect(route.Policy.Scopes().Values()), " ")), AuthTime(time.Now()),
	}, options)
	expired := i.Token(slices.Concat(good, []TokenOption{Expiry(time.Now().Add(-time.Hour))})...)
	host, pattern := cutHost(route.Pattern)
	send := func(path, token string, stop func(middleware.Decision) bool) exchange {
		return i.send(ctx, api, route.Method, host, path, token, stop)
	}
	var path string
	var first exchange
	for _, value := range [...]string{"1", "a", "a-1", "2026-01-31", "00000000-0000-4000-8000-000000000000"} {
		path = fill(pattern, value)
		if first = send(path, expired, nil); first.panicked != nil || len(first.decided) > 0 {
			break
		}
	}
	switch at := fmt.Sprintf("%s %s%s", route.Method, host, path); {
	case first.panicked != nil:
		return fmt.Sprintf("%s: the API panics: %v", at, first.panicked)
	case len(first.decided) == 0 && first.status < 400:
		return fmt.Sprintf("%s answers %d, and no guard was asked: the route is open, whatever its policy says", at, first.status)
	case len(first.decided) == 0:
		return fmt.Sprintf("%s answers %d, and no guard was asked: if the route takes other values, put such a path in the place of its pattern", at, first.status)
	}
	switch reason := first.last().Reason; {
	case errors.Is(reason, claims.ErrAudience):
		return fmt.Sprintf("%s %s: the guard says of a good token of this issuer: %v\nif the route is of another API of the issuer's, give its audience: a call of Routes for each, with authtest.Audience", route.Method, path, reason)
	case !errors.Is(reason, claims.ErrExpired):
		return fmt.Sprintf("%s %s: the guard says of a token of this issuer, which is good but has expired: %v\nmake its validator with Issuer.Validator or Issuer.Config", route.Method, path, reason)
	}
	if route.Policy.Scopes().Len() > 0 { // a guard may ask for an acr first
		if e := send(path, i.Token(slices.Concat(good, []TokenOption{withoutScopes})...), nil); len(e.decided) > 0 {
			if acr := namedACR(e.last()); acr != "" {
				options = append(options[:len(options):len(options)], ACR(acr), AuthTime(time.Now()))
				good = append(good, ACR(acr))
			}
		}
	}
	for _, p := range i.probes(route.Policy, options) {
		if failure := p.judge(route, path, send(path, p.token, nil)); failure != "" {
			return failure
		}
	}
	return i.tryAll(route, path, good, send)
}

// judge returns what is wrong with what came of a probe, or "".
func (p probe) judge(route middleware.Route, path string, e exchange) string {
	about := fmt.Sprintf("%s %s\nwith       %s\n", route.Method, path, p.what)
	for _, d := range e.decided {
		if d.Outcome != middleware.Refused && d.Outcome != middleware.Allowed {
			return about + fmt.Sprintf("the guard  could not decide, or did not ask: %s\nmake the API with a validator of this issuer", d.Outcome)
		}
	}
	switch {
	case e.panicked != nil:
		return about + fmt.Sprintf("the API    panics: %v", e.panicked)
	case len(e.decided) == 0:
		return about + fmt.Sprintf("answered   %d, and no guard was asked, though one was with another token\nshould be  %d, by a guard\nwhy        %s", e.status, p.status, p.why)
	case e.status != p.status || e.last().Refusal == nil:
		return about + fmt.Sprintf("answered   %d\nshould be  %d\nwhy        %s", e.status, p.status, p.why)
	case e.behind != "":
		return about + fmt.Sprintf("answered   %d, and %s\nwhy        is a return missing behind the guard? then the handler runs all the same", e.status, e.behind)
	}
	if _, agrees := leftover(route.Policy, e.decided); !agrees {
		return about + disagreement(route.Policy, e.decided)
	}
	return ""
}

func disagreement(policy middleware.Policy, decided []middleware.Decision) string {
	var words []string
	for _, d := range decided {
		words = append(words, d.Policy.String())
	}
	return fmt.Sprintf("is asked   %s\nshould be  %s\nwhy        the policy is not what is enforced", strings.Join(words, ", then "), policy)
}

// tryAll sends a token that is let in as far as possible, and returns which of the
// declared requirements no guard has asked for.
func (i *Issuer) tryAll(route middleware.Route, path string, good []TokenOption, send func(path, token string, stop func(middleware.Decision) bool) exchange) string {
	var asked []middleware.Decision
	all := func(d middleware.Decision) bool {
		asked = append(asked, d)
		rest, agrees := leftover(route.Policy, asked)
		return len(rest) == 0 || !agrees
	}
	const attempts = 3 // each with what the last refusal has named
	for range attempts {
		asked = nil
		e := send(path, i.Token(good...), all)
		rest, agrees := leftover(route.Policy, asked)
		about := fmt.Sprintf("%s %s\nwith       an access token with all scopes of the policy\n", route.Method, path)
		switch {
		case !agrees:
			return about + disagreement(route.Policy, asked)
		case len(rest) == 0 && len(asked) > 0:
			return ""
		case e.panicked != nil:
			return about + fmt.Sprintf("the API    panics: %v", e.panicked)
		case len(asked) == 0:
			return about + fmt.Sprintf("answered   %d, and no guard was asked, though one was with another token", e.status)
		}
		missing := middleware.Policy{Access: middleware.TokenRequired, Requirements: rest}
		last := asked[len(asked)-1]
		if last.Refusal == nil {
			return about + fmt.Sprintf("answered   %d, and nobody has asked for: %s\nwhy        the policy is not what is enforced", e.status, missing)
		}
		if acr := namedACR(last); acr != "" {
			good = append(good[:len(good):len(good)], ACR(acr))
			continue
		}
		return about + fmt.Sprintf("refused    for %q, so that it is not seen whether a guard behind asks for: %s\ngive Routes what a token must say to get there, such as authtest.Claim or authtest.ClientID", cmp.Or(last.Requirement, fmt.Sprint(last.Reason)), missing)
	}
	return fmt.Sprintf("%s %s: whatever acr a token has, another one is asked for", route.Method, path)
}

// probes returns what a route with that policy must refuse.
func (i *Issuer) probes(policy middleware.Policy, options []TokenOption) []probe {
	ours, _ := i.accessToken(options).Claims["aud"].(string)
	with := func(further ...TokenOption) string { return i.Token(slices.Concat(options, further)...) }
	probes := []probe{
		{"an ID Token", i.IDToken(), 401, "it says who has logged in at a client, and opens no API"},
		{"an ID Token whose audience has the API", i.IDToken(Audience(DefaultClientID, ours)), 401, "it says who has logged in at a client, and opens no API"},
		{"an access token for another API", with(Audience("https://another-api-" + strings.ToLower(newID()) + ".example/")), 401, "whoever runs that API could use this one"},
	}
	if policy.Access == middleware.TokenRequired {
		probes = append(probes, probe{"no token", "", 401, "anybody could use it"})
	}
	if policy.Scopes().Len() > 0 {
		probes = append(probes, probe{"an access token without a scope", with(withoutScopes), 403, "a client that was given nothing could use it"})
	}
	return probes
}

// withoutScopes takes them away, in whichever claim options have put them.
var withoutScopes = withoutClaims([]string{"scope", "scp", "scopes", "permissions", "roles"})

// namedACR returns one of those that a refusal asks for, or "".
func namedACR(d middleware.Decision) string {
	if d.Refusal == nil {
		return ""
	}
	acr, _, _ := strings.Cut(d.Refusal.ACRValues, " ")
	return acr
}

// leftover returns the requirements of the policy that none of the guards has asked
// for, and whether those that they ask for are the policy's, in this order.
func leftover(policy middleware.Policy, decided []middleware.Decision) (rest []middleware.Requirement, agrees bool) {
	rest = policy.Requirements
	for _, d := range decided {
		for _, requirement := range d.Policy.Requirements {
			if len(rest) == 0 || rest[0].String() != requirement.String() {
				return rest, false
			}
			rest = rest[1:]
		}
	}
	return rest, true
}

// firstAudience returns the audience of the first validator.
func (i *Issuer) firstAudience() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.audience
}

// An exchange is what came of a request.
type exchange struct {
	status   int
	decided  []middleware.Decision // by guards
	behind   string                // what has happened behind a refusal
	panicked any
}

// last returns the last decision; there must be one.
func (e exchange) last() middleware.Decision { return e.decided[len(e.decided)-1] }

// send sends a request. It is stopped at the decision to let it through of which stop
// says so.
func (i *Issuer) send(ctx context.Context, api http.Handler, method, host, path, token string, stop func(middleware.Decision) bool) exchange {
	if stop != nil {
		ctx = middleware.ContextWithObserver(ctx, func(_ context.Context, d middleware.Decision) {
			// What recovers panics lets this one pass, and what does not stops as well.
			if stop(d) && d.Refusal == nil {
				panic(http.ErrAbortHandler)
			}
		})
	}
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	r.Host = cmp.Or(host, r.Host)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w, panicked := serve(api, r)
	if stop != nil && panicked == http.ErrAbortHandler {
		panicked = nil
	}
	return exchange{w.Code, w.decisions(), w.behind(), panicked}
}

// parameters are what stands for a part of a path in the patterns of net/http and chi,
// of gin, and of a mounted router.
var parameters = regexp.MustCompile(`\{[^/{}]*(\{[^{}]*\}[^/{}]*)*\}|[:*][^/]*`)

// fill returns a path that a pattern matches, with that value for each parameter.
func fill(pattern, value string) string {
	return parameters.ReplaceAllLiteralString(strings.TrimSuffix(pattern, "{$}"), value)
}

// cutHost returns the host and the path of a pattern of net/http, which may begin
// with a method, and of any other.
func cutHost(pattern string) (host, path string) {
	if _, rest, found := strings.Cut(pattern, " "); found { // "GET /path"
		pattern = strings.TrimLeft(rest, " \t")
	}
	if at := strings.IndexByte(pattern, '/'); at > 0 {
		return pattern[:at], pattern[at:]
	}
	return "", pattern
}
