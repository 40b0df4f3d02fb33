package userinfo_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// Whose token it is decides where it is sent, and a handler cannot change that, not by
// mistake either: one that takes two names of a company for the same writes into its
// claims, and must not send the live token of one issuer to the other.
func TestWhatAHandlerDoesToItsClaimsSendsATokenNowhereElse(t *testing.T) {
	const other = "https://other.example/"
	tests := map[string]func(*claims.Claims){
		"the issuer":      func(c *claims.Claims) { c.Issuer = other },
		"an unknown one":  func(c *claims.Claims) { c.Issuer = "https://unknown.example/" },
		"the subject":     func(c *claims.Claims) { c.Subject = "eve" },
		"no subject":      func(c *claims.Claims) { c.Subject = "" },
		"the time":        func(c *claims.Claims) { c.Expiry = time.Now().Add(-time.Hour) },
		"the scope":       func(c *claims.Claims) { c.Scope = scope.Set{} },
		"the audience":    func(c *claims.Claims) { c.Audience[0] = "elsewhere" },
		"all of it":       func(c *claims.Claims) { *c = claims.Claims{} },
		"nothing at all":  func(*claims.Claims) {},
		"another's whole": func(c *claims.Claims) { *c = claims.Claims{Issuer: other, Subject: "eve"} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			its, others := saysJSON(`{"sub":"ada"}`), saysJSON(`{"sub":"ada"}`)
			users, err := userinfo.NewClient(
				userinfo.Config{Issuer: issuerURL, URL: endpoint, Audience: endpoint, Client: &http.Client{Transport: its}},
				userinfo.WithIssuer(userinfo.Config{Issuer: other, URL: other + "userinfo", Client: &http.Client{Transport: others}}))
			require.NoError(t, err)
			who := ada()
			who.Audience = []string{endpoint}
			ctx := behind(t.Context(), token, who)
			mine, _ := claims.FromContext(ctx)
			change(mine)
			got, err := users.Profile(ctx)
			require.NoError(t, err)
			require.Equal(t, "ada", got.Subject)
			_, err = users.Profile(claims.NewContext(ctx, mine))
			require.NoError(t, err, "nor do claims that are put over them")
			require.EqualValues(t, 1, its.asked.Load(), "it is one token, and one answer")
			require.Zero(t, others.asked.Load())
		})
	}
}

// The claims are those of the guard that has let the token in: behind two guards, of the
// inner one.
func TestTokenAndClaimsAreOfOnePassage(t *testing.T) {
	outer, inner := authtest.NewIssuer(t), authtest.NewIssuer(t)
	users, err := userinfo.NewClient(
		userinfo.Config{Issuer: outer.URL(), Client: outer.HTTPClient()},
		userinfo.WithIssuer(userinfo.Config{Issuer: inner.URL(), Client: inner.HTTPClient()}))
	require.NoError(t, err)
	outerToken := outer.Token(authtest.Audience(audience), authtest.Subject("ada"), authtest.Scope("openid"))
	innerToken := inner.Token(authtest.Audience(audience), authtest.Subject("ada"), authtest.Scope("openid"))
	exchanged := func(token string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			next.ServeHTTP(w, r)
		})
	}
	first := middleware.New(outer.Validator(audience)).Handler
	second := middleware.New(inner.Validator(audience))

	ctx := behindGuard(t.Context(), func(next http.Handler) http.Handler {
		return first(exchanged(innerToken, second.Handler(next)))
	}, outerToken)
	require.NotNil(t, ctx)
	_, err = users.Profile(ctx)
	require.NoError(t, err)
	require.Zero(t, outer.UserinfoRequests())
	require.Equal(t, 1, inner.UserinfoRequests())

	// A guard that lets in whoever has no token hides the outer one's.
	ctx = behindGuard(t.Context(), func(next http.Handler) http.Handler {
		return first(exchanged("", second.Optional(next)))
	}, outerToken)
	require.NotNil(t, ctx)
	_, err = users.Profile(ctx)
	require.ErrorIs(t, err, userinfo.ErrNoToken)
	require.Zero(t, outer.UserinfoRequests())
}
