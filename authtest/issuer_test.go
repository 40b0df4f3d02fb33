package authtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/stretchr/testify/require"
)

const audience = "https://example.com/health-api"

func TestTokensSayWhatTheOptionsSay(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	now := time.Now().Truncate(time.Second)

	c, err := v.Validate(t.Context(), issuer.Token())
	require.NoError(t, err)
	require.Equal(t, issuer.URL(), c.Issuer)
	require.Equal(t, authtest.DefaultSubject, c.Subject)
	require.Equal(t, authtest.DefaultClientID, c.ClientID)
	require.Equal(t, []string{audience}, c.Audience)
	require.NotEmpty(t, c.TokenID)
	require.Zero(t, c.Scope.Len())
	require.WithinDuration(t, now.Add(time.Hour), c.Expiry, time.Minute)

	c, err = v.Validate(t.Context(), issuer.Token(
		authtest.Scope("read:patients", "openid"), authtest.Audience("https://a.example/", audience), authtest.Subject("user-2"),
		authtest.ClientID("client-2"), authtest.Expiry(now.Add(time.Minute)), authtest.Claim("org_id", "org-1"),
		authtest.WithoutClaim("jti"), authtest.Header("typ", "JWT"), authtest.WithoutHeader("typ"),
	))
	require.NoError(t, err)
	require.Equal(t, "read:patients openid", c.Scope.String())
	require.Equal(t, []string{"https://a.example/", audience}, c.Audience)
	require.Equal(t, "user-2", c.Subject)
	require.Equal(t, "client-2", c.ClientID)
	require.True(t, now.Add(time.Minute).Equal(c.Expiry))
	require.Empty(t, c.TokenID)
	custom, err := claims.As[map[string]any](c)
	require.NoError(t, err)
	require.Equal(t, "org-1", custom["org_id"])
}

func TestOptionsApplyInOrder(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	c, err := issuer.Validator(audience).Validate(t.Context(), issuer.Token(authtest.Subject("first"), authtest.Subject("last")))
	require.NoError(t, err)
	require.Equal(t, "last", c.Subject)
}

func TestHostileTokensAreRefused(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"an ID Token", issuer.IDToken(), claims.ErrIDToken},
		{"an ID Token for the API", issuer.IDToken(authtest.Audience(audience)), claims.ErrIDToken},
		{"another audience", issuer.Token(authtest.Audience("other")), claims.ErrAudience},
		{"no audience", issuer.Token(authtest.WithoutClaim("aud")), claims.ErrAudience},
		{"expired", issuer.Token(authtest.Expiry(time.Now().Add(-time.Hour))), claims.ErrExpired},
		{"an expiry that is text", issuer.Token(authtest.Claim("exp", "tomorrow")), claims.ErrMalformed},
		{"a header of another kind", issuer.Token(authtest.Header("typ", "logout+jwt")), claims.ErrTokenType},
		{"an unknown key", issuer.Token(authtest.Header("kid", "nobody's")), claims.ErrUnknownKey},
		{"another issuer's", authtest.NewIssuer(t).Token(authtest.Audience(audience)), claims.ErrIssuer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.Validate(t.Context(), tt.token)
			require.ErrorIs(t, err, tt.want)
		})
	}
}

// What this library accepts, another one accepts as well, with the same claims.
func TestTokensAreGoodForOthersToo(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	keys, err := issuer.HTTPClient().Get(issuer.KeySetURL())
	require.NoError(t, err)
	defer keys.Body.Close()
	var set json.RawMessage
	require.NoError(t, json.NewDecoder(keys.Body).Decode(&set))
	ours, err := jwks.ParseSet(set)
	require.NoError(t, err)
	require.Len(t, ours.Keys, 1)

	token := issuer.Token(authtest.Audience(audience), authtest.Scope("read:patients"))
	parsed, err := jwt.ParseInsecure([]byte(token))
	require.NoError(t, err)
	require.Equal(t, issuer.URL(), parsed.Issuer())
	require.Equal(t, []string{audience}, parsed.Audience())
}

func TestTheDefaultAudienceIsThatOfTheFirstValidator(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	first, second := issuer.Validator(audience), issuer.Validator("https://example.com/billing-api")
	_, err := first.Validate(t.Context(), issuer.Token())
	require.NoError(t, err)
	_, err = second.Validate(t.Context(), issuer.Token())
	require.ErrorIs(t, err, claims.ErrAudience)
}

// failure records what a test would have failed with.
type failure struct {
	testing.TB
	message string
}

func (f *failure) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f) // as Fatalf, it does not return
}

func TestAMistakeFailsTheTestAndSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name string
		do   func(*authtest.Issuer)
		want string
	}{
		{"no audience", func(i *authtest.Issuer) { i.Token() }, "call Issuer.Validator first, or give authtest.Audience"},
		{"an empty audience", func(i *authtest.Issuer) { i.Validator("") }, "Audience"},
		{"a claim that is no JSON", func(i *authtest.Issuer) { i.IDToken(authtest.Claim("x", func() {})) }, "the claims cannot be written as JSON"},
		{"an algorithm that nobody has", func(i *authtest.Issuer) { i.IDToken(authtest.Algorithm("HS256")) }, "none that the fake issuer signs with"},
		{"no shape", func(i *authtest.Issuer) { i.IDToken(authtest.Like(99)) }, "is no shape"},
		{"a header that is no JSON", func(i *authtest.Issuer) { i.IDToken(authtest.Header("x", func() {})) }, "the header cannot be written as JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &failure{TB: t}
			issuer := authtest.NewIssuer(f)
			require.PanicsWithValue(t, f, func() { tt.do(issuer) })
			require.Contains(t, f.message, tt.want)
		})
	}
}

func TestAuthorizeReplacesTheTokenOfARequest(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	issuer.Validator(audience)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Add("Authorization", "Bearer old")
	r.Header.Add("Authorization", "Bearer older")
	issuer.Authorize(r)
	require.Len(t, r.Header.Values("Authorization"), 1)
	require.NotContains(t, r.Header.Get("Authorization"), " old")
}

func TestIssuersHaveNamesAndKeysOfTheirOwn(t *testing.T) {
	a, b := authtest.NewIssuer(t), authtest.NewIssuer(t)
	require.NotEqual(t, a.URL(), b.URL())
	v := a.Validator(audience)
	_, err := v.Validate(t.Context(), b.Token(authtest.Audience(audience), authtest.Claim("iss", a.URL())))
	require.ErrorIs(t, err, claims.ErrUnknownKey)
}

// What a guard lets in for the scope openid, the same issuer's userinfo endpoint
// answers; and what it does not, that refuses.
func TestUserinfoAndGuardsAgreeOnScopes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	claim := func(name string, value any) []authtest.TokenOption {
		return []authtest.TokenOption{authtest.Claim(name, value)}
	}
	tests := map[string][]authtest.TokenOption{
		"scope in an array":     claim("scope", []string{"openid"}),
		"scp in a text":         claim("scp", "email openid"),
		"two in an element":     claim("scope", []string{"email openid"}),
		"a number among them":   claim("scp", []any{"openid", 7}),
		"a tab between them":    claim("scope", "email\topenid"),
		"an object":             claim("scope", map[string]any{"openid": true}),
		"in each, one is wrong": {authtest.Claim("scope", 7), authtest.Claim("scp", "openid")},
		"in another claim":      claim("permissions", []string{"openid"}),
		"none":                  nil,
	}
	for _, shape := range shapes {
		if shape != authtest.Google { // whose access tokens are for no API
			tests[shape.String()] = []authtest.TokenOption{authtest.Like(shape), authtest.Scope("openid", "email")}
		}
	}
	for name, options := range tests {
		t.Run(name, func(t *testing.T) {
			token := issuer.Token(options...)
			c, err := v.Validate(t.Context(), token)
			require.NoError(t, err)
			want := http.StatusForbidden
			if c.Scope.Contains("openid") {
				want = http.StatusOK
			}
			require.Equal(t, want, askUserinfo(t, issuer, token).StatusCode, "the guard reads %q", c.Scope)
		})
	}
}

func TestRotation(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	old := issuer.Token()
	_, err := v.Validate(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, 1, issuer.KeyFetches())

	issuer.Rotate()
	_, err = v.Validate(t.Context(), issuer.Token())
	require.NoError(t, err, "the new key is looked for at once")
	_, err = v.Validate(t.Context(), old)
	require.NoError(t, err, "the old one is still published")
	require.Equal(t, 2, issuer.KeyFetches())

	issuer.RemoveOldKeys()
	fresh := issuer.Validator(audience)
	_, err = fresh.Validate(t.Context(), old)
	require.ErrorIs(t, err, claims.ErrUnknownKey)
	_, err = fresh.Validate(t.Context(), issuer.Token())
	require.NoError(t, err)
}

func TestAnIssuerThatIsDownIsNobodysFault(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	issuer.SetDown(true)
	_, err := v.Validate(t.Context(), issuer.Token())
	require.ErrorIs(t, err, claims.ErrUnavailable)
	require.ErrorContains(t, err, "503")
}

// Inside a bubble time is the bubble's, and the end of the test awaits what is
// under way: else synctest would report the goroutine that hangs.
func TestInsideABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := authtest.NewIssuer(t)
		v := issuer.Validator(audience)
		token := issuer.Token()
		_, err := v.Validate(t.Context(), token)
		require.NoError(t, err)

		time.Sleep(time.Hour + time.Minute)
		_, err = v.Validate(t.Context(), token)
		require.ErrorIs(t, err, claims.ErrExpired)
	})
}

func TestTheEndOfATestReleasesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := authtest.NewIssuer(t)
		v := issuer.Validator(audience)
		issuer.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := v.Validate(ctx, issuer.Token())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, claims.ErrUnavailable)
		// The fetch hangs on, in nobody's context, until the test ends.
	})
}

func TestARequestThatHangsGoesOnWhenReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := authtest.NewIssuer(t)
		v := issuer.Validator(audience)
		release := issuer.Hang()
		go func() {
			time.Sleep(time.Second)
			release()
			release()
		}()
		start := time.Now()
		_, err := v.Validate(t.Context(), issuer.Token())
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestStart(t *testing.T) {
	issuer, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer issuer.Close()
	require.True(t, strings.HasPrefix(issuer.URL(), "http://127.0.0.1:"))

	// A program that knows nothing but the URL.
	v, err := claims.NewValidator(claims.Config{Issuer: issuer.URL(), Audience: audience})
	require.NoError(t, err)
	issuer.AddClient("machine", "secret", audience, "read:patients", "write:patients")
	response, err := http.PostForm(issuer.TokenURL(), url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"machine"}, "client_secret": {"secret"},
		"audience": {audience}, "scope": {"read:patients"},
	})
	require.NoError(t, err)
	defer response.Body.Close()
	var granted struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&granted))
	require.Equal(t, "Bearer", granted.TokenType)
	require.Equal(t, 3600, granted.ExpiresIn)
	require.Equal(t, "read:patients", granted.Scope)
	c, err := v.Validate(t.Context(), granted.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "machine", c.Subject)
	require.Equal(t, "machine", c.ClientID)
	require.Equal(t, "read:patients", c.Scope.String())

	require.NoError(t, issuer.Close())
	require.NoError(t, issuer.Close(), "closing twice is no harm")
	_, err = http.Get(issuer.URL())
	require.Error(t, err)
}

func TestStartListensOnThisMachineOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "127.0.0.1", ""} {
		_, err := authtest.Start(addr)
		require.ErrorContains(t, err, "127.0.0.1", addr)
	}
	for _, addr := range []string{"localhost:0", "127.0.0.1:0"} {
		issuer, err := authtest.Start(addr)
		require.NoError(t, err)
		require.NoError(t, issuer.Close())
	}
}

// A page in a browser can have its own name resolve to this machine.
func TestAnIssuerOnASocketAnswersToItsNameOnly(t *testing.T) {
	issuer, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer issuer.Close()
	request, err := http.NewRequest("GET", issuer.URL()+".well-known/openid-configuration", nil)
	require.NoError(t, err)
	request.Host = "evil.example"
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusMisdirectedRequest, response.StatusCode)
}

func TestOnASocketAMistakePanics(t *testing.T) {
	issuer, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer issuer.Close()
	require.PanicsWithValue(t, "authtest: the token needs an audience: call Issuer.Validator first, or give authtest.Audience", func() { issuer.Token() })
}
