package userinfo_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signed returns an answer that an issuer has signed.
func signed(issuer *authtest.Issuer, payload string, options ...authtest.TokenOption) string {
	all := append([]authtest.TokenOption{authtest.Type("JWT"), authtest.RawPayload(strings.ReplaceAll(payload, "ISSUER", issuer.URL()))}, options...)
	return issuer.Token(all...)
}

func answersWith(jwt string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwt")
		fmt.Fprint(w, jwt)
	})
}

func TestASignedAnswerIsVerifiedOrRefused(t *testing.T) {
	issuer, another := authtest.NewIssuer(t), authtest.NewIssuer(t)
	const good = `{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada"}`
	at := func(offset time.Duration) int64 { return time.Now().Add(offset).Unix() }
	tampered := strings.Split(signed(issuer, good), ".")
	tampered[1] = encode(strings.Replace(good, "ISSUER", issuer.URL(), 1) + " ")
	unsigned := encode(`{"alg":"none"}`) + "." + encode(`{"sub":"ada"}`) + "."
	tests := []struct {
		name, jwt string
		want      error
	}{
		{"good", signed(issuer, good), nil},
		{"without typ", signed(issuer, good, authtest.WithoutHeader("typ")), nil},
		{"several audiences", signed(issuer, `{"iss":"ISSUER","aud":["other","client-1"],"sub":"ada","name":"Ada"}`), nil},
		{"a time", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada","exp":%d,"nbf":%d}`, at(time.Minute), at(0))), nil},

		{"just signed", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada","iat":%d}`, at(0))), nil},
		{"signed nine minutes ago", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada","iat":%d}`, at(-9*time.Minute))), nil},
		{"signed by a clock ahead", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada","iat":%d}`, at(9*time.Minute))), nil},
		{"a typ of the user's", signed(issuer, strings.Replace(good, "{", `{"typ":"person","auth_time":1,"sid":"x","client_id":"client-1",`, 1)), nil},

		{"none", unsigned, userinfo.ErrUnverified},
		{"none, with a key's name", encode(`{"alg":"none","kid":"x"}`) + "." + encode(`{"sub":"ada"}`) + ".AA", userinfo.ErrUnverified},
		{"tampered", strings.Join(tampered, "."), userinfo.ErrUnverified},
		{"another issuer's key", signed(another, strings.ReplaceAll(good, "ISSUER", issuer.URL())), userinfo.ErrUnverified},
		{"another algorithm", signed(issuer, good, authtest.Algorithm("ES256")), userinfo.ErrUnverified},
		{"another kind of JWT", signed(issuer, good, authtest.Type("at+jwt")), userinfo.ErrUnverified},
		{"a logout token", signed(issuer, good, authtest.Type("logout+jwt")), userinfo.ErrUnverified},
		{"a long kid", signed(issuer, good, authtest.KeyID(strings.Repeat("k", 1000))), userinfo.ErrUnverified},
		{"another issuer", signed(issuer, `{"iss":"https://evil.example/","aud":"client-1","sub":"ada"}`), userinfo.ErrUnverified},
		{"no issuer", signed(issuer, `{"aud":"client-1","sub":"ada"}`), userinfo.ErrUnverified},
		{"another client", signed(issuer, `{"iss":"ISSUER","aud":["client-2"],"sub":"ada"}`), userinfo.ErrUnverified},
		{"no client", signed(issuer, `{"iss":"ISSUER","sub":"ada"}`), userinfo.ErrUnverified},
		{"an odd audience", signed(issuer, `{"iss":"ISSUER","aud":["client-1",7],"sub":"ada"}`), userinfo.ErrUnverified},
		{"expired", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","exp":%d}`, at(-time.Minute))), userinfo.ErrUnverified},
		{"an odd time", signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada","exp":"never"}`), userinfo.ErrUnverified},
		{"not yet", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","nbf":%d}`, at(time.Minute))), userinfo.ErrUnverified},
		{"old", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","iat":%d}`, at(-11*time.Minute))), userinfo.ErrUnverified},
		{"of the future", signed(issuer, fmt.Sprintf(`{"iss":"ISSUER","aud":"client-1","sub":"ada","iat":%d}`, at(11*time.Minute))), userinfo.ErrUnverified},
		{"ten years old", signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada","iat":1400000000}`), userinfo.ErrUnverified},
		{"an odd iat", signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada","iat":"now"}`), userinfo.ErrUnverified},
		{"another subject", signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"eve"}`), userinfo.ErrSubject},
		{"no subject", signed(issuer, `{"iss":"ISSUER","aud":"client-1"}`), userinfo.ErrMalformed},
		{"a name twice", signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"eve","sub":"ada"}`), userinfo.ErrMalformed},
		{"no object", signed(issuer, `["ada"]`), userinfo.ErrMalformed},
		{"critical", signed(issuer, good, authtest.Header("crit", []string{"x"})), userinfo.ErrMalformed},
		{"a line break", signed(issuer, good) + "\n", userinfo.ErrMalformed},
		{"nested", signed(issuer, good, authtest.Header("cty", "JWT")), userinfo.ErrMalformed},
	}
	keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	require.NoError(t, err)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer.SetUserinfo(answersWith(tt.jwt))
			users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient(), Keys: keys})
			require.NoError(t, err)
			who := ada()
			who.Issuer = issuer.URL()
			got, err := users.Profile(behind(t.Context(), token, who))
			require.ErrorIs(t, err, tt.want)
			if tt.want == nil {
				require.Equal(t, "Ada", got.Name)
				return
			}
			require.ErrorIs(t, err, claims.ErrUnavailable)
			require.Nil(t, got)
		})
	}

	// The client of the access token is not known, so that nobody can say for whom.
	issuer.SetUserinfo(answersWith(signed(issuer, `{"iss":"ISSUER","aud":"","sub":"ada"}`)))
	who := ada()
	who.Issuer, who.ClientID = issuer.URL(), ""
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()}) // keys by discovery
	require.NoError(t, err)
	_, err = users.Profile(behind(t.Context(), token, who))
	require.ErrorIs(t, err, userinfo.ErrUnverified)
}

// An issuer signs other JWTs for the same client, with the same key. None may pass for
// what the issuer says now (RFC 8725 §3.12).
func TestAnotherKindOfJWTIsNoAnswer(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	require.NoError(t, err)
	marks := []string{
		`"nonce":"n"`, `"nonce":null`, `"at_hash":"x"`, `"c_hash":"x"`, `"s_hash":"x"`,
		`"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
		`"token_use":"id"`, `"token_use":"access"`, `"scope":"openid","client_id":"client-1"`,
		`"typ":"ID"`, `"typ":"Refresh"`, `"typ":"Offline"`, `"typ":"Logout"`, `"typ":"Bearer"`, `"typ":"DPoP"`,
	}
	for _, mark := range marks {
		t.Run(mark, func(t *testing.T) {
			issuer.SetUserinfo(answersWith(signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada","name":"Ada",`+mark+`}`)))
			users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient(), Keys: keys})
			require.NoError(t, err)
			who := ada()
			who.Issuer = issuer.URL()
			_, err = users.Profile(behind(t.Context(), token, who))
			require.ErrorIs(t, err, userinfo.ErrUnverified)
			require.ErrorContains(t, err, "another kind of JWT")
		})
	}

	// These are no marks in an answer that is not signed: nobody can have put another
	// JWT in its place.
	got, err := saysJSON(`{"sub":"ada","name":"Ada","nonce":"n","client_id":"x"}`).ask(t)
	require.NoError(t, err)
	require.Equal(t, "Ada", got.Name)
}

func TestTheAlgorithmsOfSignedAnswersAreConfigured(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	issuer.SetUserinfo(answersWith(signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada"}`, authtest.Algorithm("ES256"))))
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient(), Algorithms: []string{"ES256"}})
	require.NoError(t, err)
	who := ada()
	who.Issuer = issuer.URL()
	_, err = users.Profile(behind(t.Context(), token, who))
	require.NoError(t, err)
}

type sourceFunc func() ([]*jwks.Key, error)

func (f sourceFunc) Keys(context.Context, string, string) ([]*jwks.Key, error) { return f() }

func noKeys() ([]*jwks.Key, error) { return nil, jwks.ErrUnknownKey }

type later struct{ error }

func (later) RetryAfter() time.Duration { return 7 * time.Second }

type bomb struct{ error }

func (bomb) RetryAfter() time.Duration { panic("boom") }

func TestWithoutKeysASignedAnswerIsNotDecoded(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	jwt := signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada"}`)
	tests := []struct {
		name string
		keys sourceFunc
		want error
		wait time.Duration
	}{
		{"unknown", func() ([]*jwks.Key, error) { return nil, jwks.ErrUnknownKey }, userinfo.ErrUnverified, 0},
		{"none, and no error", func() ([]*jwks.Key, error) { return nil, nil }, userinfo.ErrUnverified, 0},
		{"a nil one", func() ([]*jwks.Key, error) { return []*jwks.Key{nil, {}}, nil }, userinfo.ErrUnverified, 0},
		{"an outage", func() ([]*jwks.Key, error) { return nil, later{jwks.ErrUnavailable} }, userinfo.ErrUnavailable, 7 * time.Second},
		{"a panic", func() ([]*jwks.Key, error) { panic(token) }, userinfo.ErrUnavailable, 0},
		{"an error that panics", func() ([]*jwks.Key, error) { return nil, bomb{errors.New("x")} }, userinfo.ErrUnavailable, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			users := says(200, "application/jwt", jwt).client(t, userinfo.Config{Keys: tt.keys})
			_, err := users.Profile(behind(t.Context(), token, ada()))
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, tt.wait, wait(err).Round(time.Second))
		})
	}

	// An issuer that is no URL has no keys to be discovered.
	i := says(200, "application/jwt", jwt)
	users, err := userinfo.NewClient(userinfo.Config{Issuer: "accounts.example", URL: endpoint, Client: &http.Client{Transport: i}})
	require.NoError(t, err)
	who := ada()
	who.Issuer = "accounts.example"
	_, err = users.Profile(behind(t.Context(), token, who))
	require.ErrorIs(t, err, userinfo.ErrUnverified)
	require.ErrorContains(t, err, "set Config.Keys")
}

// Whoever holds a key of a shared source could sign what the other issuer says.
func TestNoTwoIssuersShareKeys(t *testing.T) {
	remote, err := jwks.NewRemote(jwks.Config{URL: "https://keys.example/jwks.json"}) // of no issuer in particular
	require.NoError(t, err)
	tests := []struct {
		first, second jwks.Source
		says          string // "": they may
	}{
		{remote, remote, `userinfo: the issuers "https://issuer.example/" and "https://other.example/" have the same Config.Keys`},
		{remote, nil, ""},
		{nil, nil, ""},
		{sourceFunc(noKeys), sourceFunc(noKeys), ""}, // cannot be compared, and must not panic
	}
	for _, tt := range tests {
		_, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, Keys: tt.first},
			userinfo.WithIssuer(userinfo.Config{Issuer: "https://other.example/", Keys: tt.second}))
		if tt.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tt.says)
		}
	}

	// Two that are no URL have no keys, and share none.
	_, err = userinfo.NewClient(userinfo.Config{Issuer: "accounts.example", URL: endpoint},
		userinfo.WithIssuer(userinfo.Config{Issuer: "accounts2.example", URL: endpoint}))
	require.NoError(t, err)
}

// A session that the issuer opens for one user must not go with what is asked for
// another, nor with what is asked for nobody: the metadata and the keys.
func TestNoCookieGoesWithAnything(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var base, answer string
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if len(r.Cookies()) > 0 {
			t.Errorf("%s was sent cookies", r.URL.Path)
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "of somebody", Path: "/"})
		switch r.URL.Path {
		case "/userinfo":
			answersWith(answer).ServeHTTP(w, r)
		case "/jwks":
			fmt.Fprint(w, `{"keys":[]}`)
		default:
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"userinfo_endpoint":%q}`, base, base+"/jwks", base+"/userinfo")
		}
	}))
	defer server.Close()
	base = server.URL
	answer = signed(issuer, `{"iss":"`+base+`","aud":"client-1","sub":"ada"}`)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	users, err := userinfo.NewClient(userinfo.Config{Issuer: base, Client: &http.Client{Jar: jar}})
	require.NoError(t, err)
	who := ada()
	who.Issuer = base
	_, err = users.Profile(behind(t.Context(), token, who))
	require.ErrorIs(t, err, claims.ErrUnavailable) // there are no keys
	require.Contains(t, paths, "/userinfo")
	require.Contains(t, paths, "/jwks")
}

func TestAnAnswerMayHaveToBeSigned(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	require.NoError(t, err)
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"signed", answersWith(signed(issuer, `{"iss":"ISSUER","aud":"client-1","sub":"ada"}`)).ServeHTTP, nil},
		{"not signed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"sub":"ada"}`)
		}, userinfo.ErrContentType},
		{"none", answersWith(encode(`{"alg":"none"}`) + "." + encode(`{"sub":"ada"}`) + ".").ServeHTTP, userinfo.ErrUnverified},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var accept string
			issuer.SetUserinfo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				accept = r.Header.Get("Accept")
				tt.answer(w, r)
			}))
			users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient(), Keys: keys, RequireSigned: true})
			require.NoError(t, err)
			who := ada()
			who.Issuer = issuer.URL()
			_, err = users.Profile(behind(t.Context(), token, who))
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, "application/jwt", accept)
		})
	}

	_, err = userinfo.NewClient(userinfo.Config{Issuer: "accounts.example", URL: endpoint, RequireSigned: true})
	require.ErrorContains(t, err, "userinfo: Config.RequireSigned without Config.Keys")
}
