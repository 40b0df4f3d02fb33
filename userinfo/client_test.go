package userinfo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

const audience = "https://example.com/health-api"

func TestAConfigThatCannotBeMeantIsAnError(t *testing.T) {
	var noKeys *jwks.Remote
	another, err := jwks.NewRemote(jwks.Config{Issuer: "https://another.example/"})
	require.NoError(t, err)
	tests := []struct {
		name   string
		config userinfo.Config
		says   string // "": it is good
	}{
		{"the least", userinfo.Config{Issuer: issuerURL}, ""},
		{"a URL, and an issuer that is none", userinfo.Config{Issuer: "accounts.example", URL: endpoint}, ""},
		{"loopback", userinfo.Config{Issuer: "http://127.0.0.1:8080/"}, ""},
		{"http in a test network", userinfo.Config{Issuer: "http://issuer/", InsecureHTTP: true}, ""},
		{"no cache", userinfo.Config{Issuer: issuerURL, MaxAge: userinfo.NoCache}, ""},
		{"pinned keys", userinfo.Config{Issuer: issuerURL, Algorithms: []string{"ES256"}}, ""},

		{"no issuer", userinfo.Config{URL: endpoint}, "Config.Issuer is empty"},
		{"white space", userinfo.Config{Issuer: " " + issuerURL}, "take it off"},
		{"white space in the audience", userinfo.Config{Issuer: issuerURL, Audience: endpoint + "\n"}, "take it off"},
		{"an issuer without URL that is none", userinfo.Config{Issuer: "accounts.example"}, "write it as https://"},
		{"http", userinfo.Config{Issuer: "http://issuer.example/"}, "would get the tokens"},
		{"http endpoint", userinfo.Config{Issuer: issuerURL, URL: "http://issuer.example/userinfo"}, "would get the tokens"},
		{"a password", userinfo.Config{Issuer: issuerURL, URL: "https://me:secret@issuer.example/"}, "take them out"},
		{"nanoseconds", userinfo.Config{Issuer: issuerURL, Timeout: 5}, "counts nanoseconds"},
		{"a negative timeout", userinfo.Config{Issuer: issuerURL, Timeout: -time.Second}, "Config.Timeout is negative"},
		{"a negative age", userinfo.Config{Issuer: issuerURL, MaxAge: -time.Second}, "NoCache"},
		{"negative entries", userinfo.Config{Issuer: issuerURL, MaxEntries: -1}, "Config.MaxEntries is negative"},
		{"a negative size", userinfo.Config{Issuer: issuerURL, MaxSize: -1}, "Config.MaxSize is negative"},
		{"no algorithms", userinfo.Config{Issuer: issuerURL, Algorithms: []string{}}, "leave it nil"},
		{"none", userinfo.Config{Issuer: issuerURL, Algorithms: []string{"none"}}, "it must be one of"},
		{"HMAC", userinfo.Config{Issuer: issuerURL, Algorithms: []string{"HS256"}}, "it must be one of"},
		{"a nil source", userinfo.Config{Issuer: issuerURL, Keys: noKeys}, "nil *jwks.Remote"},
		{"keys of another", userinfo.Config{Issuer: issuerURL, Keys: another}, "they must be the same"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := userinfo.NewClient(tt.config)
			_, second := userinfo.NewClient(userinfo.Config{Issuer: "https://first.example/"}, userinfo.Option{}, userinfo.WithIssuer(tt.config))
			if tt.says == "" {
				require.NoError(t, errors.Join(err, second))
				return
			}
			require.ErrorContains(t, err, tt.says)
			require.ErrorContains(t, err, "userinfo: ")
			require.NotContains(t, err.Error(), "secret")
			require.EqualError(t, second, err.Error())
		})
	}
	_, err = userinfo.NewClient(userinfo.Config{Issuer: issuerURL}, userinfo.WithIssuer(userinfo.Config{Issuer: issuerURL}))
	require.ErrorContains(t, err, "configured twice")
}

func TestNothingIsSentForATokenThatIsNotForThis(t *testing.T) {
	with := func(change func(*claims.Claims)) *claims.Claims {
		c := ada()
		change(c)
		return c
	}
	machine := authtest.Claims(t, authtest.Subject("robot"), authtest.ClientID("robot"), authtest.Scope("openid"))
	machine.Issuer = issuerURL
	open := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) { return ada(), nil })).Optional
	tests := []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"no guard", t.Context(), userinfo.ErrNoToken},
		{"claims that somebody has put there", claims.NewContext(t.Context(), ada()), userinfo.ErrNoToken},
		{"claims that somebody has taken away", claims.NewContext(behind(t.Context(), token, ada()), nil), userinfo.ErrNoToken},
		{"a guard that lets everybody in", behindGuard(t.Context(), open, ""), userinfo.ErrNoToken},
		{"another issuer", behind(t.Context(), token, with(func(c *claims.Claims) { c.Issuer = "https://issuer.example" })), userinfo.ErrIssuer},
		{"no issuer", behind(t.Context(), token, with(func(c *claims.Claims) { c.Issuer = "" })), userinfo.ErrIssuer},
		{"a machine", behind(t.Context(), token, machine), userinfo.ErrNoUser},
		{"no subject", behind(t.Context(), token, with(func(c *claims.Claims) { c.Subject = "" })), userinfo.ErrNoUser},
		{"no openid", behind(t.Context(), token, with(func(c *claims.Claims) { c.Scope = scope.FromToken("profile OpenID openid2") })), userinfo.ErrScope},
		{"another audience", behind(t.Context(), token, with(func(c *claims.Claims) { c.Audience = []string{audience, endpoint + "/"} })), userinfo.ErrAudience},
		{"no audience", behind(t.Context(), token, ada()), userinfo.ErrAudience},
	}
	i := saysJSON(`{"sub":"ada"}`)
	config := userinfo.Config{Issuer: issuerURL, Client: &http.Client{Transport: i}, Audience: endpoint}
	users, err := userinfo.NewClient(config) // by discovery, which is not asked either
	require.NoError(t, err)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NotNil(t, tt.ctx)
			got, err := users.Profile(tt.ctx)
			require.ErrorIs(t, err, tt.want)
			require.NotErrorIs(t, err, claims.ErrUnavailable)
			require.Nil(t, got)
		})
	}
	require.Zero(t, i.asked.Load())

	good := with(func(c *claims.Claims) { c.Audience = []string{audience, endpoint} })
	_, err = i.client(t, userinfo.Config{Audience: endpoint}).Profile(behind(t.Context(), token, good))
	require.NoError(t, err)
}

func TestWhatToDoAboutAnotherIssuerIsSaid(t *testing.T) {
	tests := []struct{ configured, token, says string }{
		{"https://issuer.example/", "https://issuer.example", `"https://issuer.example", which lacks the slash at the end of the configured one: write Config.Issuer exactly as the token's iss`},
		{"https://issuer.example", "https://issuer.example/", `"https://issuer.example/", which has a slash at the end that the configured one lacks: write Config.Issuer exactly as the token's iss`},
		{"https://issuer.example/", "https://other.example/", `"https://other.example/", for which the client has no Config: give it one, by WithIssuer`},
		{"https://issuer.example/", "", `"", for which the client has no Config: give it one, by WithIssuer`},
	}
	for _, tt := range tests {
		users, err := userinfo.NewClient(userinfo.Config{Issuer: tt.configured, URL: endpoint})
		require.NoError(t, err)
		who := ada()
		who.Issuer = tt.token
		_, err = users.Profile(behind(t.Context(), token, who))
		require.ErrorIs(t, err, userinfo.ErrIssuer)
		require.EqualError(t, err, "userinfo: the token is from another issuer: "+tt.says)
	}
}

// An API may look for its permissions elsewhere; the scope openid is between the
// client and the issuer.
func TestOpenIDIsFoundWhereverTheAPILooksForItsScopes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	config := issuer.Config(audience)
	config.ScopeClaims = []string{"permissions"}
	v, err := claims.NewValidator(config)
	require.NoError(t, err)
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	require.NoError(t, err)
	tests := []struct {
		name   string
		option authtest.TokenOption
		want   error
	}{
		{"scope", authtest.Claim("scope", "email openid"), nil},
		{"scp", authtest.Claim("scp", []string{"email", "openid"}), nil},
		{"permissions", authtest.Claim("permissions", []string{"openid"}), userinfo.ErrForbidden},
		{"none", authtest.Claim("scope", "email"), userinfo.ErrScope},
		{"an odd one", authtest.Claim("scope", map[string]any{"openid": true}), userinfo.ErrScope},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := behindGuard(t.Context(), middleware.New(v).Handler, issuer.Token(tt.option))
			require.NotNil(t, ctx)
			_, err := users.Profile(ctx)
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	var got *http.Request
	i := &issuer{}
	i.answer = func(r *http.Request) (*http.Response, error) {
		got = r
		return says(200, "Application/JSON; charset=utf-8", `{"sub":"ada"}`).answer(r)
	}
	_, err := i.ask(t)
	require.NoError(t, err)
	require.Equal(t, "GET "+endpoint, got.Method+" "+got.URL.String())
	require.Equal(t, http.Header{
		"Accept":        {"application/json, application/jwt"},
		"Authorization": {"Bearer " + token},
		"User-Agent":    {"bearerguard"},
	}, got.Header)
}

func TestAStatusIsOneSentinel(t *testing.T) {
	tests := []struct {
		status     int
		retryAfter string
		want       error
		wait       time.Duration
		answer     int // of a guard whose requirement returns the error
	}{
		{204, "", userinfo.ErrUnavailable, 0, 503},
		{301, "", userinfo.ErrUnavailable, 0, 503},
		{304, "", userinfo.ErrUnavailable, 0, 503},
		{400, "", userinfo.ErrUnavailable, 0, 503},
		{401, "", userinfo.ErrUnauthorized, 0, 401},
		{401, "60", userinfo.ErrUnauthorized, 0, 401},
		{403, "", userinfo.ErrForbidden, 0, 403},
		{404, "", userinfo.ErrUnavailable, 0, 503},
		{408, "", userinfo.ErrUnavailable, 0, 503},
		{429, "", userinfo.ErrRateLimited, time.Second, 503},
		{429, "7", userinfo.ErrRateLimited, 7 * time.Second, 503},
		{429, "soon", userinfo.ErrRateLimited, time.Second, 503},
		{429, "7200", userinfo.ErrRateLimited, 2 * time.Hour, 503},
		{500, "", userinfo.ErrUnavailable, 0, 503},
		{502, "", userinfo.ErrUnavailable, 0, 503},
		{503, "9", userinfo.ErrUnavailable, 9 * time.Second, 503},
		{504, "0", userinfo.ErrUnavailable, 0, 503},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, " ", tt.retryAfter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := says(tt.status, "application/json", `{"sub":"ada"}`, "Retry-After", tt.retryAfter, "Location", "/elsewhere")
				users := i.client(t, userinfo.Config{})
				got, err := users.Profile(behind(t.Context(), token, ada()))
				require.Nil(t, got)
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, fmt.Sprint(tt.status))
				require.Equal(t, tt.answer == 503, errors.Is(err, claims.ErrUnavailable))
				require.Equal(t, tt.wait, wait(err))
				require.EqualValues(t, 1, i.asked.Load())

				guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) { return ada(), nil }))
				h := guard.Require(middleware.Func("a profile", func(r *http.Request, _ *claims.Claims) error {
					_, err := users.Profile(r.Context())
					return err
				}))(http.NotFoundHandler())
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, tt.answer, w.Code)
			})
		})
	}
}

func TestARequirementThatReturnsTheErrorSaysWhatToAskFor(t *testing.T) {
	tests := []struct {
		scope  string
		status int
		says   string
	}{
		{"read", 403, `error="insufficient_scope", error_description="the access token lacks the scope openid, without which its issuer does not tell of the user", scope="openid"`},
		{"openid", 401, `error="invalid_token", error_description="the access token is not accepted by its issuer"`},
	}
	for _, tt := range tests {
		users := says(401, "", "").client(t, userinfo.Config{})
		guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) {
			c := ada()
			c.Scope = scope.FromToken(tt.scope)
			return c, nil
		}))
		h := guard.Require(middleware.Func("a profile", func(r *http.Request, _ *claims.Claims) error {
			_, err := users.Profile(r.Context())
			return err
		}))(http.NotFoundHandler())
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, tt.status, w.Code)
		require.Equal(t, `Bearer realm="api", `+tt.says, w.Header().Get("WWW-Authenticate"))
	}
}

// One issuer that hangs holds up nobody who has a token of another.
func TestIssuersDoNotTouchEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := authtest.NewIssuer(t), authtest.NewIssuer(t)
		release := bad.Hang()
		defer release()
		users, err := userinfo.NewClient(
			userinfo.Config{Issuer: bad.URL(), Client: bad.HTTPClient()},
			userinfo.WithIssuer(userinfo.Config{Issuer: good.URL(), Client: good.HTTPClient()}),
		)
		require.NoError(t, err)
		ask := func(issuer *authtest.Issuer) error {
			c := ada()
			c.Issuer = issuer.URL()
			_, err := users.Profile(behind(t.Context(), issuer.Token(authtest.Audience(audience), authtest.Scope("openid"), authtest.Subject("ada")), c))
			return err
		}
		go func() { _ = ask(bad) }()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, ask(good))
		require.Zero(t, time.Since(began))
		require.ErrorIs(t, ask(bad), userinfo.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Zero(t, bad.UserinfoRequests())
	})
}
