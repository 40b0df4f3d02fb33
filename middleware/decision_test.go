package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

func TestADecisionTellsAllOfARequest(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	guard := middleware.New(issuer.Validator(audience), noting(&seen))
	mux := http.NewServeMux()
	mux.Handle("PUT /patients/{id}", guard.Handler(guard.Require(middleware.Clients("portal"), middleware.Scopes(scope.All("write")))(ok)))
	r := plain("PUT", "/patients/7")
	issuer.Authorize(r, authtest.ClientID("portal"))
	require.Equal(t, 403, serve(mux, r).Code)
	require.Len(t, seen, 2, "one for each guard on the way")

	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	response, err := issuer.HTTPClient().Get(issuer.KeySetURL())
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&set))

	for i, d := range seen {
		require.Equal(t, "PUT", d.Method)
		require.Equal(t, "PUT /patients/{id}", d.Pattern)
		require.Equal(t, issuer.URL(), d.Issuer)
		require.Equal(t, "portal", d.ClientID)
		require.Equal(t, set.Keys[0].KeyID, d.KeyID)
		require.Equal(t, i == 1, d.FromMemory)
		require.Positive(t, d.Duration)
		c, known := d.Claims()
		require.True(t, known)
		require.Equal(t, "user-1", c.Subject)
	}
	require.Equal(t, middleware.Allowed, seen[0].Outcome)
	require.Equal(t, "any access token", seen[0].Policy.String())
	require.Empty(t, seen[0].Requirement)
	require.NoError(t, seen[0].Reason)
	require.Nil(t, seen[0].Refusal)

	require.Equal(t, middleware.Refused, seen[1].Outcome)
	require.Equal(t, "client portal, scope write", seen[1].Policy.String())
	require.Equal(t, "scope write", seen[1].Requirement)
	require.Equal(t, middleware.ErrInsufficientScope, seen[1].Reason)
	require.Equal(t, 403, seen[1].Refusal.Status)
	require.EqualError(t, seen[1].Refusal.Err, "middleware: the token lacks a scope: write")
}

func TestTheOutcomeOfEachKindOfRequest(t *testing.T) {
	guard := func(seen *[]middleware.Decision) *middleware.Guard {
		return middleware.New(&tokens{}, middleware.AllowPreflight(), noting(seen))
	}
	tests := []struct {
		name    string
		handler func(*middleware.Guard) http.Handler
		request *http.Request
		outcome middleware.Outcome
		known   bool
	}{
		{"a good token", func(g *middleware.Guard) http.Handler { return g.Handler(ok) }, request("Bearer reader"), "allowed", true},
		{"a good token, optional", func(g *middleware.Guard) http.Handler { return g.Optional(ok) }, request("Bearer reader"), "allowed", true},
		{"no token, optional", func(g *middleware.Guard) http.Handler { return g.Optional(whoever) }, request(), "anonymous", false},
		{"a preflight", func(g *middleware.Guard) http.Handler { return g.Handler(whoever) }, plain("OPTIONS", "/", "Origin", "x", "Access-Control-Request-Method", "PUT"), "preflight", false},
		{"no token", func(g *middleware.Guard) http.Handler { return g.Handler(ok) }, request(), "refused", false},
		{"a bad token", func(g *middleware.Guard) http.Handler { return g.Handler(ok) }, request("Bearer bad"), "refused", false},
		{"without a scope", func(g *middleware.Guard) http.Handler { return g.RequireScope("admin")(ok) }, request("Bearer reader"), "refused", true},
		{"no keys", func(g *middleware.Guard) http.Handler { return g.Handler(ok) }, request("Bearer unavailable"), "undecided", false},
		{"a requirement that cannot say", func(g *middleware.Guard) http.Handler { return g.Require(failing(claims.ErrUnavailable))(ok) }, request("Bearer reader"), "undecided", true},
		{"a 503 of one's own", func(g *middleware.Guard) http.Handler { return g.Require(failing(&middleware.Error{Status: 503}))(ok) }, request("Bearer reader"), "undecided", true},
		{"another status of one's own", func(g *middleware.Guard) http.Handler { return g.Require(failing(&middleware.Error{Status: 429}))(ok) }, request("Bearer reader"), "refused", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			serve(tt.handler(guard(&seen)), tt.request)
			require.Len(t, seen, 1)
			d := seen[0]
			require.Equal(t, tt.outcome, d.Outcome)
			c, known := d.Claims()
			require.Equal(t, tt.known, known)
			require.Equal(t, tt.known, c != nil)
			refused := d.Outcome == middleware.Refused || d.Outcome == middleware.Undecided
			require.Equal(t, refused, d.Refusal != nil)
			require.Equal(t, refused, d.Reason != nil)
		})
	}
}

// Each sentinel that a validator, a requirement or the guard itself may wrap, and
// what it is counted by.
func TestTheReasonOfADecisionIsOneOfAFew(t *testing.T) {
	all := []error{
		claims.ErrMalformed, claims.ErrTooLarge, claims.ErrOpaque, claims.ErrEncrypted, claims.ErrSerialization, claims.ErrCritical,
		claims.ErrUnencoded, claims.ErrCompressed, claims.ErrNested, claims.ErrIssuer, claims.ErrAlgorithm, claims.ErrUnknownKey,
		claims.ErrSignature, claims.ErrIDToken, claims.ErrTokenType, claims.ErrAudience, claims.ErrExpired, claims.ErrNotYetValid,
		claims.ErrBound, claims.ErrMissingClaim, claims.ErrRefused, claims.ErrUnavailable,
	}
	ask := func(v middleware.Validator, wrap func(*middleware.Guard) http.Handler, r *http.Request) middleware.Decision {
		var seen []middleware.Decision
		serve(wrap(middleware.New(v, noting(&seen))), r)
		return seen[0]
	}
	plainly := func(g *middleware.Guard) http.Handler { return g.Handler(ok) }
	saying := func(err error) middleware.Validator {
		return validatorFunc(func(context.Context, string) (*claims.Claims, error) { return nil, err })
	}
	for _, sentinel := range all {
		d := ask(saying(fmt.Errorf("details: %w", sentinel)), plainly, sent("GET", "/"))
		require.Equal(t, sentinel, d.Reason, "of a validator")
	}
	// A requirement that wraps a reason of package claims still only denies.
	for _, sentinel := range all {
		d := ask(&tokens{}, func(g *middleware.Guard) http.Handler { return g.Require(failing(sentinel))(ok) }, request("Bearer reader"))
		want := middleware.ErrAccessDenied
		if sentinel == claims.ErrUnavailable {
			want = middleware.ErrUnavailable // the token itself is good
		}
		require.Equal(t, want, d.Reason, "of a requirement: %v", sentinel)
	}
	requiring := func(requirement middleware.Requirement) func(*middleware.Guard) http.Handler {
		return func(g *middleware.Guard) http.Handler { return g.Require(requirement)(ok) }
	}
	tests := []struct {
		name string
		d    middleware.Decision
		want error
	}{
		{"no token", ask(&tokens{}, plainly, request()), middleware.ErrNoToken},
		{"another scheme", ask(&tokens{}, plainly, request("Basic x")), middleware.ErrNoToken},
		{"malformed", ask(&tokens{}, plainly, request("Bearer")), middleware.ErrInvalidRequest},
		{"two headers", ask(&tokens{}, plainly, request("Bearer a", "Bearer a")), middleware.ErrInvalidRequest},
		{"a validator without a sentinel", ask(&tokens{}, plainly, request("Bearer bad")), middleware.ErrInvalidToken},
		{"a validator that says no token", ask(saying(middleware.ErrNoToken), plainly, sent("GET", "/")), middleware.ErrInvalidToken},
		{"a validator that says nothing", ask(&tokens{}, plainly, request("Bearer nothing")), claims.ErrUnavailable},
		{"a source's error only", ask(saying(jwks.ErrUnknownKey), plainly, sent("GET", "/")), middleware.ErrInvalidToken},
		{"given up", ask(&tokens{}, plainly, request("Bearer cancelled")), claims.ErrUnavailable},
		{"scope", ask(&tokens{}, requiring(middleware.Scopes(scope.All("x"))), request("Bearer reader")), middleware.ErrInsufficientScope},
		{"acr", ask(&tokens{}, requiring(middleware.ACR("x")), request("Bearer reader")), middleware.ErrInsufficientUserAuthentication},
		{"age", ask(&tokens{}, requiring(middleware.MaxAuthAge(time.Hour)), request("Bearer reader")), middleware.ErrInsufficientUserAuthentication},
		{"client", ask(&tokens{}, requiring(middleware.Clients("x")), request("Bearer reader")), middleware.ErrAccessDenied},
		{"what a requirement asks is down", ask(&tokens{}, requiring(failing(middleware.ErrUnavailable)), request("Bearer reader")), middleware.ErrUnavailable},
		{"a requirement has waited too long", ask(&tokens{}, requiring(failing(context.DeadlineExceeded)), request("Bearer reader")), middleware.ErrUnavailable},
		{"one's own 502", ask(&tokens{}, requiring(failing(&middleware.Error{Status: 502})), request("Bearer reader")), middleware.ErrUnavailable},
		{"a validator with a requirement's word for it", ask(saying(middleware.ErrUnavailable), plainly, sent("GET", "/")), claims.ErrUnavailable},
		{"one's own", ask(&tokens{}, requiring(failing(errors.New("x"))), request("Bearer reader")), middleware.ErrAccessDenied},
		{"one's own 401", ask(&tokens{}, requiring(failing(&middleware.Error{Status: 401, Code: "invalid_token"})), request("Bearer reader")), middleware.ErrInvalidToken},
		{"one's own 404", ask(&tokens{}, requiring(failing(&middleware.Error{Status: 404, Code: "not_found"})), request("Bearer reader")), middleware.ErrAccessDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.d.Reason)
		})
	}
}

// What is built in wraps its own sentinel, beside what it is about.
func TestEachRefusalWrapsItsReason(t *testing.T) {
	var seen []middleware.Decision
	guard := middleware.New(&tokens{}, noting(&seen))
	for _, h := range []http.Handler{
		guard.Handler(ok), guard.RequireScope("x")(ok), guard.Require(middleware.ACR("x"))(ok), guard.Require(middleware.Clients("x"))(ok),
		guard.Require(failing(fmt.Errorf("the database: %w", claims.ErrUnavailable)))(ok), guard.Require(failing(middleware.ErrUnavailable))(ok),
	} {
		for _, authorization := range []string{"Bearer reader", "Bearer bad", "Bearer unavailable", "Bearer", "Basic x"} {
			serve(h, request(authorization))
		}
	}
	for _, d := range seen {
		if d.Refusal != nil && d.Reason != claims.ErrUnavailable {
			require.ErrorIs(t, d.Refusal, d.Reason)
		}
	}
}

func TestFromMemoryTellsThatATokenWasNotVerifiedAgain(t *testing.T) {
	var seen []middleware.Decision
	v := &tokens{}
	guard, other := middleware.New(v, noting(&seen)), middleware.New(&tokens{}, noting(&seen))
	exchange := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer nobody")
			next.ServeHTTP(w, r)
		})
	}
	serve(guard.Handler(guard.Optional(other.Handler(guard.Handler(guard.Handler(exchange(guard.Handler(ok))))))), request("Bearer reader"))
	var memory []bool
	for _, d := range seen {
		memory = append(memory, d.FromMemory)
	}
	// A guard that stands between puts its own token into the context.
	require.Equal(t, []bool{false, true, false, false, true, false}, memory)
	require.Equal(t, 3, v.calls)
}

func TestDurationIncludesTheWaitForKeysAndNotTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []middleware.Decision
		slow := validatorFunc(func(context.Context, string) (*claims.Claims, error) {
			time.Sleep(3 * time.Second)
			return &claims.Claims{}, nil
		})
		wait := middleware.Func("slow", func(*http.Request, *claims.Claims) error { time.Sleep(2 * time.Second); return nil })
		late := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) })
		serve(middleware.New(slow, noting(&seen)).Require(wait)(late), sent("GET", "/"))
		require.Equal(t, 5*time.Second, seen[0].Duration)
	})
}

// Whatever somebody does with a decision, the token and the user are not in it.
func TestADecisionShowsNothingOfTheUser(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	guard := middleware.New(issuer.Validator(audience), noting(&seen))
	token := issuer.Token(authtest.Subject("private-subject"), authtest.Claim("email", "private@example.com"), authtest.Claim("org_id", "private-org"))
	for _, h := range []http.Handler{
		guard.Handler(ok),
		guard.RequireScope("x")(ok),
		guard.Require(middleware.Claim("org_id").Equals("other"))(ok),
		guard.Require(middleware.ACR("mfa"), middleware.MaxAuthAge(time.Minute))(ok),
		guard.Require(middleware.ByMethod(map[string]middleware.Requirement{"GET": middleware.Func("no", func(*http.Request, *claims.Claims) error { return errors.New("no") })}))(ok),
	} {
		serve(h, request("Bearer "+token))
		serve(h, request("Bearer "+token[:len(token)-8]+"AAAAAAAA"))
		serve(h, request("Bearer "+token+" x"))
	}
	require.Len(t, seen, 15)
	for _, d := range seen {
		for _, value := range []any{d, &d} {
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("text", "decision", value)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "decision", value)
			text, err := json.Marshal(value)
			require.NoError(t, err)
			everything := fmt.Sprintf("%v\n%+v\n%#v\n%s\n%s", value, value, value, text, log.String())
			require.NotContains(t, everything, "private")
			require.NotContains(t, everything, token[:20])
			require.NotContains(t, everything, token[len(token)-40:len(token)-8])
			require.NotContains(t, log.String(), "!ERROR")
		}
	}
}

func TestAnObserverOfOneRequest(t *testing.T) {
	var own, all []middleware.Decision
	guard, other := middleware.New(&tokens{}, noting(&all)), middleware.New(&tokens{})
	h := guard.Handler(other.RequireScope("admin")(ok))
	r := request("Bearer reader")
	type key struct{}
	ctx := context.WithValue(r.Context(), key{}, "of the request")
	ctx = middleware.ContextWithObserver(ctx, func(ctx context.Context, d middleware.Decision) {
		require.Equal(t, "of the request", ctx.Value(key{}))
		own = append(own, d)
	})
	serve(h, r.WithContext(ctx))
	require.Len(t, own, 2, "of whichever guard")
	require.Len(t, all, 1, "and the guard's own is called as well")
	require.Equal(t, all[0], own[0])
	require.Equal(t, "scope admin", own[1].Requirement)

	serve(h, request("Bearer reader"))
	require.Len(t, own, 2, "of no other request")
	require.Panics(t, func() { middleware.ContextWithObserver(t.Context(), nil) })
}

func TestObserversOfOneRequestAreCalledInOrder(t *testing.T) {
	var called []string
	r := request("Bearer bad")
	ctx := r.Context()
	for _, name := range []string{"a", "b", "c"} {
		ctx = middleware.ContextWithObserver(ctx, func(context.Context, middleware.Decision) { called = append(called, name) })
	}
	serve(middleware.New(&tokens{}).Handler(ok), r.WithContext(ctx))
	require.Equal(t, []string{"a", "b", "c"}, called)
}

func TestCheckCallsNoObserver(t *testing.T) {
	var seen []middleware.Decision
	guard := middleware.New(&tokens{}, noting(&seen))
	r := request("Bearer reader")
	_, err := guard.Check(r.WithContext(middleware.ContextWithObserver(r.Context(), func(context.Context, middleware.Decision) { t.Error("called") })))
	require.NoError(t, err)
	require.Empty(t, seen)
}

// Observers come before the handler and before the reply.
func TestObserversAreCalledBeforeAnythingIsWritten(t *testing.T) {
	var order []string
	note := func(what string) { order = append(order, what) }
	guard := middleware.New(&tokens{},
		middleware.WithObserver(func(context.Context, middleware.Decision) { note("observer") }),
		middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) { note("reply") }))
	h := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { note("handler") }))
	serve(h, request("Bearer reader"))
	serve(h, request("Bearer bad"))
	require.Equal(t, []string{"observer", "handler", "observer", "reply"}, order)
}
