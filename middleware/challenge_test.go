package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// A challenge is what stands in WWW-Authenticate, as a client reads it.
type challenge struct {
	scheme string
	params map[string]string
}

// parseChallenges reads what RFC 9110 §11.6.1 says, by its grammar and nothing of
// the guard's code:
//
//	WWW-Authenticate = #challenge
//	challenge        = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	auth-param       = token BWS "=" BWS ( token / quoted-string )
//
// The names of parameters are compared without case, and each stands once (§11.2).
func parseChallenges(text string) ([]challenge, error) {
	var all []challenge
	take := func(r *regexp.Regexp) []string {
		found := r.FindStringSubmatch(text)
		if found != nil {
			text = text[len(found[0]):]
		}
		return found
	}
	for text != "" {
		if found := take(paramStart); found != nil {
			if len(all) == 0 {
				return nil, fmt.Errorf("%s is of no scheme", found[1])
			}
			name, value := strings.ToLower(found[1]), found[2]
			if strings.HasPrefix(value, `"`) {
				value = quotedPair.ReplaceAllString(value[1:len(value)-1], "$1")
			}
			if _, twice := all[len(all)-1].params[name]; twice {
				return nil, fmt.Errorf("%s stands twice", name)
			}
			all[len(all)-1].params[name] = value
		} else if found := take(schemeStart); found != nil {
			all = append(all, challenge{found[1], map[string]string{}})
			continue
		} else {
			return nil, fmt.Errorf("what is %q?", text)
		}
		if text != "" && take(commaStart) == nil {
			return nil, fmt.Errorf("a comma is missing before %q", text)
		}
	}
	return all, nil
}

const (
	tokenText    = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	quotedString = `"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"`
)

var (
	schemeStart = regexp.MustCompile(`^(` + tokenText + `)(?: +|$)`)
	paramStart  = regexp.MustCompile(`^(` + tokenText + `)[ \t]*=[ \t]*(` + tokenText + `|` + quotedString + `)`)
	commaStart  = regexp.MustCompile(`^[ \t]*,[ \t]*`)
	quotedPair  = regexp.MustCompile(`\\(.)`)
)

func TestTheParserOfChallengesReadsWhatOthersWrite(t *testing.T) {
	type params = map[string]string
	tests := []struct {
		text string
		want []challenge
	}{
		{`Bearer realm="api"`, []challenge{{"Bearer", params{"realm": "api"}}}},
		{`Bearer realm="a, b=\"c\"", Error=x`, []challenge{{"Bearer", params{"realm": `a, b="c"`, "error": "x"}}}},
		{`Bearer realm = "a" , scope="b c"`, []challenge{{"Bearer", params{"realm": "a", "scope": "b c"}}}},
		{`Basic realm="a", Bearer realm="b"`, []challenge{{"Basic", params{"realm": "a"}}, {"Bearer", params{"realm": "b"}}}},
		{`Negotiate`, []challenge{{"Negotiate", params{}}}},
	}
	for _, tt := range tests {
		got, err := parseChallenges(tt.text)
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
	for _, bad := range []string{
		`Bearer realm="a", Realm="b"`, `Bearer realm="a`, `Bearer realm="a" scope="b"`, `Bearer realm="a"b"`, "Bearer realm=\"a\nb\"",
		`realm="a"`, `Bearer realm=`, `Bearer realm="\`,
	} {
		_, err := parseChallenges(bad)
		require.Error(t, err, bad)
	}
}

// The values that RFC 6750 §3 lets a parameter have; those of RFC 9470 §3 and
// RFC 9728 §5.1 are spelled alike.
var (
	described = regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)
	codes     = map[string]bool{"invalid_request": true, "invalid_token": true, "insufficient_scope": true, "insufficient_user_authentication": true}
)

// FuzzChallenge has a requirement of somebody's own say what it likes. What the
// client reads is that, or nothing of it.
func FuzzChallenge(f *testing.F) {
	seed := func(status int, code, description, scope, acr string, maxAge, wait int64, realm, resource string) {
		f.Add(status, code, description, scope, acr, maxAge, wait, realm, resource)
	}
	seed(401, "insufficient_user_authentication", "log in again", "a b", "mfa phr", int64(time.Minute), 0, "api", "https://example.com/api?x=1")
	seed(403, "insufficient_scope", "no", "a", "", 0, int64(time.Second), "", "https://example.com/")
	seed(400, "invalid_request", `"`, `\`, "\x00", -1, -1, "a, b", "https://example.com:8443/a%2Fb/")
	seed(401, `x", error="y`, `a\"`, "a\r\nSet-Cookie: x", "\"", 1, 1, "'", "https://h/é")
	seed(401, "invalid_token", printable, printable, printable, 1<<62, 1<<62, printable, "https://h/'~!$&()*+,;=:@")
	seed(503, "temporarily_unavailable", "later", "", "", 0, -1<<63, `"`, "http://h")
	seed(429, "made_up", "slowly", "", "", 0, 1<<63-1, "", "")
	seed(200, "", "", "", "", 0, 0, "", "")
	f.Fuzz(func(t *testing.T, status int, code, description, scopes, acr string, maxAge, wait int64, realm, resource string) {
		var options []middleware.Option
		wired := func(make func() middleware.Option) (good bool) {
			defer func() { good = recover() == nil }()
			option := make()
			middleware.New(refusing, option) // some look at the guard
			options = append(options, option)
			return
		}
		hasRealm := wired(func() middleware.Option { return middleware.WithRealm(realm) })
		require.Equal(t, realm == "" || described.MatchString(realm), hasRealm, "%q", realm)
		hasResource := wired(func() middleware.Option {
			return middleware.WithResourceMetadata(middleware.ResourceMetadata{Resource: resource, AuthorizationServers: []string{"https://issuer.example"}})
		})
		said := &middleware.Error{
			Status: status, Code: code, Description: description, Scope: scopes, ACRValues: acr,
			MaxAge: time.Duration(maxAge), RetryAfter: time.Duration(wait), Err: errors.New("secret cause"),
		}
		guard := middleware.New(&tokens{}, options...)
		w := serve(guard.Require(failing(said))(ok), request("Bearer reader"))

		if status < 400 || status > 599 {
			status, said = 403, &middleware.Error{Code: middleware.CodeAccessDenied}
		}
		require.Equal(t, status, w.Code)
		require.NotContains(t, w.Body.String(), "secret cause")
		for name, values := range w.Header() {
			require.Len(t, values, 1, name)
			require.NotContains(t, values[0], "\n", name)
			require.NotContains(t, values[0], "\r", name)
		}
		if wait := w.Header().Get("Retry-After"); wait != "" {
			require.Regexp(t, `^[1-9][0-9]*$`, wait)
		}
		if status != 400 && status != 401 && status != 403 {
			require.Empty(t, challengeOf(w))
			return
		}

		all, err := parseChallenges(challengeOf(w))
		require.NoError(t, err, challengeOf(w))
		require.Len(t, all, 1)
		require.Equal(t, "Bearer", all[0].scheme)
		got := all[0].params
		want := map[string]string{"realm": "api"}
		if hasRealm {
			want["realm"] = realm
		}
		put := func(name, value string) {
			if described.MatchString(value) {
				want[name] = value
			}
		}
		if codes[said.Code] {
			put("error", said.Code)
			put("error_description", said.Description)
		}
		put("scope", said.Scope)
		if said.Code == "insufficient_user_authentication" {
			put("acr_values", said.ACRValues)
			if said.MaxAge > 0 {
				put("max_age", fmt.Sprint(maxAge/1e9))
			}
		}
		if hasResource {
			url := got["resource_metadata"]
			host, path, found := strings.Cut(url, "/.well-known/oauth-protected-resource")
			require.True(t, found, url)
			require.Regexp(t, `^https://[^/?#]+$`, host)
			require.True(t, path == "" || path[0] == '/' || path[0] == '?', url)
			require.Regexp(t, described, url)
			want["resource_metadata"] = url
		}
		require.Equal(t, want, got)
	})
}

// credentials are what RFC 6750 §2.1 calls so: the scheme, of which RFC 9110 §11.1
// says that its case does not matter, spaces and one b64token.
var credentials = regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)

// scheme is what an Authorization header begins with: a token of RFC 9110 §5.6.2.
var scheme = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]*")

// FuzzAuthorization sends whatever it likes. The validator is asked about what the
// grammar calls a token, byte for byte, and about nothing else; and nothing that
// was sent comes back.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer x", "bearer  a.b.c", "BEARER aZ09-._~+/==", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer =", "Bearer x==", "Bearer x=y",
		"Bearer\tx", "Bearer x\t", "Bearer x ", " Bearer x", "Bearer \x00", "Bearer é", "Bearer x,y", `Bearer "x"`, "Bearer x\r\nX: y", "BearerX", "Be\u0430rer x",
		"Bearer <script>alert(1)</script>", "DPoP eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
	} {
		f.Add(seed)
	}
	words := func(h http.Handler) string { return fmt.Sprint(serve(h, plain("GET", "/")).Header()) }
	f.Fuzz(func(t *testing.T, header string) {
		var asked []string
		guard := middleware.New(validatorFunc(func(_ context.Context, token string) (*claims.Claims, error) {
			asked = append(asked, token)
			return nil, errors.New("refused: " + token)
		}))
		h := guard.RequireScope("read:patients")(ok)
		w := serve(h, plain("GET", "/", "Authorization", header))
		reply := fmt.Sprint(w.Header(), w.Body)
		if found := credentials.FindStringSubmatch(header); found != nil {
			require.Equal(t, found[1:], asked)
			require.Equal(t, 401, w.Code)
			require.Contains(t, challengeOf(w), `error="invalid_token"`)
		} else {
			require.Empty(t, asked)
			if strings.ToLower(scheme.FindString(header)) == "bearer" {
				require.Equal(t, 400, w.Code)
				require.Contains(t, challengeOf(w), `error="invalid_request"`)
			} else {
				require.Equal(t, 401, w.Code)
				require.NotContains(t, challengeOf(w), "error")
				require.Equal(t, words(h), fmt.Sprint(w.Header()), "the same as without a header")
			}
		}
		all, err := parseChallenges(challengeOf(w))
		require.NoError(t, err)
		require.Len(t, all, 1)

		// What was sent is not in the reply, unless it is of our own words: those
		// that are sent to somebody who has sent something else.
		own := ownWords(h)
		for _, part := range append(strings.Fields(header), header) {
			if len(part) > 3 && !strings.Contains(own, part) {
				require.NotContains(t, reply, part)
			}
		}
	})
}

// ownWords returns all that the handler says to requests without anything of
// anybody's in them.
func ownWords(h http.Handler) string {
	var all strings.Builder
	for _, header := range []string{"Basic 0", "Bearer", "Bearer 0"} {
		w := serve(h, plain("GET", "/", "Authorization", header))
		fmt.Fprint(&all, w.Header(), w.Body)
	}
	return all.String()
}
