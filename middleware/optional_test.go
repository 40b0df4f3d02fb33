package middleware_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

// whoever answers with whom it knows, by the claims and by the token.
var whoever = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	who := "nobody"
	if c, ok := claims.FromContext(r.Context()); ok {
		who = c.Subject
	}
	if token, ok := middleware.TokenFromContext(r.Context()); ok {
		who += " by " + token
	}
	io.WriteString(w, who)
})

func TestOptionalLetsAnonymousThroughAndNoBadToken(t *testing.T) {
	tests := []struct {
		name          string
		authorization []string
		status        int
		outcome       middleware.Outcome
		body          string
		challenge     string
	}{
		{"no token", nil, 200, middleware.Anonymous, "nobody", ""},
		{"another scheme", []string{"Basic dXNlcjpwYXNz"}, 200, middleware.Anonymous, "nobody", ""},
		{"an empty header", []string{""}, 200, middleware.Anonymous, "nobody", ""},
		{"a good token", []string{"Bearer reader"}, 200, middleware.Allowed, "user-1 by reader", ""},
		{"a bad token", []string{"Bearer bad"}, 401, middleware.Refused, "", invalidToken},
		{"no token after the scheme", []string{"Bearer"}, 400, middleware.Refused, "", ""},
		{"two headers", []string{"Bearer reader", "Bearer reader"}, 400, middleware.Refused, "", ""},
		{"two headers of another scheme", []string{"Basic eDp4", "Basic eDp4"}, 400, middleware.Refused, "", ""},
		{"keys not to be had", []string{"Bearer unavailable"}, 503, middleware.Undecided, "", ""},
		{"the request was given up", []string{"Bearer cancelled"}, 503, middleware.Undecided, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			w := serve(middleware.New(&tokens{}, noting(&seen)).Optional(whoever), request(tt.authorization...))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.outcome, seen[0].Outcome)
			require.Equal(t, "anyone, or a good access token", seen[0].Policy.String())
			if tt.status == 200 {
				require.Equal(t, tt.body, w.Body.String())
				require.Len(t, w.Header(), 1, "only what net/http says of the type")
				require.Nil(t, seen[0].Refusal)
				require.NoError(t, seen[0].Reason)
			}
			if tt.challenge != "" {
				require.Equal(t, tt.challenge, challengeOf(w))
			}
		})
	}
}

// A validator must not be able to make a refusal look like a request without a
// token.
func TestATokenThatIsRefusedIsNeverAnonymous(t *testing.T) {
	for _, reason := range []error{middleware.ErrNoToken, &middleware.Error{Status: 401, Err: middleware.ErrNoToken}} {
		guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) { return nil, reason }))
		require.Equal(t, 401, serve(guard.Optional(whoever), sent("GET", "/")).Code)
	}
}

// To a handler behind Optional, nobody is known whom this guard does not know.
func TestOptionalHidesWhatSomebodyElseHasPutIntoTheContext(t *testing.T) {
	guard, other := middleware.New(&tokens{}), middleware.New(&tokens{}, middleware.AllowQueryToken())
	forge := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(claims.NewContext(r.Context(), &claims.Claims{Subject: "forged"})))
		})
	}
	hide := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(claims.NewContext(r.Context(), nil)))
		})
	}
	tests := []struct {
		name    string
		handler http.Handler
		header  []string
		want    string
	}{
		{"forged claims", forge(guard.Optional(whoever)), nil, "nobody"},
		{"forged claims and a token", forge(guard.Optional(whoever)), []string{"Authorization", "Bearer reader"}, "user-1 by reader"},
		{"forged claims behind another Optional", guard.Optional(forge(guard.Optional(whoever))), nil, "nobody"},
		{"forged claims between two that know the token", guard.Optional(forge(guard.Optional(whoever))), []string{"Authorization", "Bearer reader"}, "user-1 by reader"},
		{"another guard, by the query", other.Handler(whoever), nil, "user-1 by reader"},
		{"behind another guard, by the query", other.Handler(guard.Optional(whoever)), nil, "nobody"},
		{"behind another guard and forged claims", other.Handler(forge(guard.Optional(whoever))), nil, "nobody"},
		{"behind another guard, whose claims somebody has hidden", other.Handler(hide(guard.Optional(whoever))), nil, "nobody"},
		{"behind both, the first again", other.Handler(guard.Optional(other.Handler(whoever))), nil, "user-1 by reader"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(tt.handler, plain("GET", "/?access_token=reader", tt.header...))
			if tt.header != nil {
				w = serve(tt.handler, plain("GET", "/", tt.header...))
			}
			require.Equal(t, 200, w.Code)
			require.Equal(t, tt.want, w.Body.String())
		})
	}
}

func TestAPreflightHidesWhatSomebodyElseHasPutIntoTheContext(t *testing.T) {
	h := middleware.New(&tokens{}, middleware.AllowPreflight()).Handler(whoever)
	r := plain("OPTIONS", "/", "Origin", "https://app.example", "Access-Control-Request-Method", "PUT")
	w := serve(h, r.WithContext(claims.NewContext(r.Context(), &claims.Claims{Subject: "forged"})))
	require.Equal(t, "nobody", w.Body.String())
}

func TestRequireWithinOptionalStillRefuses(t *testing.T) {
	guard := middleware.New(&tokens{})
	inner := guard.RequireScope("admin")(whoever)
	h := guard.Optional(inner)
	require.Equal(t, 401, serve(h, request()).Code)
	require.Equal(t, 403, serve(h, request("Bearer reader")).Code)
	require.Equal(t, 401, serve(guard.Optional(guard.Handler(whoever)), request()).Code)
	require.Equal(t, 401, serve(guard.Handler(guard.Optional(whoever)), request()).Code, "nor is the outer one softened")
	require.Equal(t, middleware.TokenRequired, middleware.PolicyOf(h).Access)
}

func TestBehindOptionalATokenIsVerifiedOnce(t *testing.T) {
	v := &tokens{}
	guard := middleware.New(v)
	h := guard.Optional(guard.Require(middleware.Scopes(scope.All("read:patients")))(whoever))
	require.Equal(t, 200, serve(h, request("Bearer reader")).Code)
	require.Equal(t, 1, v.calls)
}

func TestAnonymousRequestsAreHandedOnAsTheyAre(t *testing.T) {
	var got *http.Request
	r := request()
	middleware.New(&tokens{}).Optional(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(nil, r)
	require.Same(t, r, got)
}
