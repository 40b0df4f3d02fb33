package userinfo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// said is what a server may say and no error may: it is personal.
const said = "alice@example.com"

// texts returns all that an error can be brought to say.
func texts(err error) string {
	text := ""
	for ; err != nil; err = errors.Unwrap(err) {
		text += fmt.Sprintf("%v %+v %#v %q\n", err, err, err, err)
	}
	return text
}

// discovered returns a client for an issuer that is found by discovery, and answers
// with this.
func discovered(t *testing.T, answer func(*http.Request) (*http.Response, error)) *userinfo.Client {
	t.Helper()
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, Client: &http.Client{Transport: &issuer{answer: answer}}})
	require.NoError(t, err)
	return users
}

// names returns answers of an issuer whose metadata name this endpoint, and which answers
// there with a status.
func names(url string, status int, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/.well-known/") {
			return response(r, 200, "application/json", strings.NewReader(metadata(`"`+url+`"`))), nil
		}
		return response(r, status, "", strings.NewReader(""), header...), nil
	}
}

func TestNoWordOfTheServersIsInAnError(t *testing.T) {
	header := func(json string) *issuer { return says(200, "application/jwt", encode(json)+".e30.AA") }
	keys := func(err error) *userinfo.Client {
		return says(200, "application/jwt", encode(`{"alg":"RS256"}`)+".e30.AA").
			client(t, userinfo.Config{Keys: sourceFunc(func() ([]*jwks.Key, error) { return nil, err })})
	}
	asked := func(i *issuer) *userinfo.Client { return i.client(t, userinfo.Config{}) }
	metadataAre := func(status int, body string) *userinfo.Client {
		return discovered(t, func(r *http.Request) (*http.Response, error) {
			return response(r, status, "text/"+said, strings.NewReader(body), "Location", "https://"+said+"/"), nil
		})
	}
	raw := func(text string) *userinfo.Client {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}))
		t.Cleanup(server.Close)
		return over(t, server.URL, nil)
	}
	tests := map[string]*userinfo.Client{
		"a status line":       raw("HTTP/1.1 " + said + " says no\r\n\r\n"),
		"a header":            raw("HTTP/1.1 200 OK\r\n" + said + "\r\n\r\n"),
		"a length":            raw("HTTP/1.1 200 OK\r\nContent-Length: " + said + "\r\n\r\n"),
		"an encoding":         raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + said + "\r\n\r\n"),
		"no HTTP":             raw(said),
		"a bad Location":      asked(says(302, "", "", "Location", "https://login.example/%zz?login_hint="+said)),
		"a Location":          asked(says(302, "", "", "Location", "https://login.example/?login_hint="+said)),
		"the transport":       asked(&issuer{answer: func(*http.Request) (*http.Response, error) { return nil, errors.New(said) }}),
		"its type":            asked(says(200, said, "")),
		"a status' body":      asked(says(500, "application/json", said)),
		"a challenge":         asked(says(401, "", "", "WWW-Authenticate", `Bearer error_description="`+said+`"`)),
		"a name":              asked(saysJSON(`{"sub":"ada","` + said + `":1,"` + said + `":2}`)),
		"a name in address":   asked(saysJSON(`{"sub":"ada","address":{"` + said + `":1,"` + said + `":2}}`)),
		"text":                asked(saysJSON(said)),
		"a subject":           asked(saysJSON(`{"sub":"` + said + `"}`)),
		"a typ":               asked(header(`{"alg":"RS256","typ":"` + said + `"}`)),
		"an alg":              asked(header(`{"alg":"` + said + `"}`)),
		"a kid":               asked(header(`{"alg":"RS256","kid":"` + said + `"}`)),
		"a name in a header":  asked(header(`{"alg":"RS256","` + said + `":1,"` + said + `":2}`)),
		"the keys' source":    keys(errors.New(said)),
		"unknown keys":        keys(fmt.Errorf("%w: %s", jwks.ErrUnknownKey, said)),
		"unavailable keys":    keys(fmt.Errorf("%w: %s", jwks.ErrUnavailable, said)),
		"metadata's body":     metadataAre(500, said),
		"metadata":            metadataAre(200, said),
		"metadata's redirect": metadataAre(302, ""),
		"metadata's issuer":   metadataAre(200, `{"issuer":"https://`+said+`/"}`),
		"a name in metadata":  metadataAre(200, `{"`+said+`":1,"`+said+`":2}`),
		"a type in metadata":  metadataAre(200, `{"issuer":["`+said+`"]}`),
		"a query":             discovered(t, names(endpoint+"?login_hint="+said, 500)),
		"a redirect of that":  discovered(t, names(endpoint+"?login_hint="+said, 302)),
		"a user":              discovered(t, names("https://"+said+"/userinfo", 500)),
		"a fragment":          discovered(t, names(endpoint+"#"+said, 500)),
		"http":                discovered(t, names("http://issuer.example/?"+said, 500)),
		"no URL":              discovered(t, names(said, 500)),
		"a long one":          discovered(t, names(endpoint+"/"+strings.Repeat("x", 200)+said, 500)),
	}
	for name, users := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := users.Profile(behind(t.Context(), token, ada()))
			require.Error(t, err)
			for _, part := range []string{said, "alice", "example.com"} {
				require.NotContains(t, texts(err), part)
			}
			require.Less(t, len(err.Error()), 512)
		})
	}
}

// Where an endpoint is, an error may say, unless that is made of the token: then the
// kind of error and the wait are left.
func TestAnEndpointThatIsMadeOfTheTokenIsInNoError(t *testing.T) {
	tests := []struct {
		url    string
		status int
		want   error
		wait   time.Duration
		says   string
	}{
		{endpoint, 500, userinfo.ErrUnavailable, 0, `"https://issuer.example/userinfo" answered 500`},
		{endpoint + "?x=1", 500, userinfo.ErrUnavailable, 0, `"https://issuer.example/userinfo" answered 500`},
		{endpoint + "/" + strings.Repeat("x", 200), 500, userinfo.ErrUnavailable, 0, `"https://issuer.example/…" answered 500`},
		{"https://" + strings.Repeat("x", 200) + "/userinfo", 500, userinfo.ErrUnavailable, 0, "the endpoint answered 500"},
		{"https://issuer.example/" + token[:20], 500, userinfo.ErrUnavailable, 0, "withheld"},
		{"https://issuer.example/" + token[:16], 401, userinfo.ErrUnauthorized, 0, "withheld"},
		{"https://issuer.example/" + token[40:60], 403, userinfo.ErrForbidden, 0, "withheld"},
		{"https://issuer.example/" + token[len(token)-16:], 429, userinfo.ErrRateLimited, 7 * time.Second, "withheld"},
		{"https://issuer.example/" + token[len(token)-15:], 429, userinfo.ErrRateLimited, 7 * time.Second, "answered 429"},
		{"https://issuer.example/?" + token, 429, userinfo.ErrRateLimited, 7 * time.Second, "answered 429"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			_, err := discovered(t, names(tt.url, tt.status, "Retry-After", "7")).Profile(behind(t.Context(), token, ada()))
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, tt.want == userinfo.ErrUnauthorized || tt.want == userinfo.ErrForbidden, !errors.Is(err, claims.ErrUnavailable))
			if tt.wait > 0 {
				require.Equal(t, tt.wait, wait(err).Round(time.Second))
			}
			require.ErrorContains(t, err, tt.says)
			for n := range len(token) - 16 {
				require.NotContains(t, texts(err), token[n:n+16])
			}
		})
	}
}

// An endpoint is kept, and is in the way of each request.
func TestAnEndpointHasABoundedLength(t *testing.T) {
	for length, want := range map[int]error{2 << 10: userinfo.ErrUnavailable, 2<<10 + 1: userinfo.ErrNoEndpoint, 900 << 10: userinfo.ErrNoEndpoint} {
		url := endpoint + "?" + strings.Repeat("x", length-len(endpoint)-1)
		_, err := discovered(t, names(url, 500)).Profile(behind(t.Context(), token, ada()))
		require.ErrorIs(t, err, want)
		require.Equal(t, want == userinfo.ErrNoEndpoint, errors.Is(err, userinfo.ErrNoEndpoint))
		require.Less(t, len(err.Error()), 512)
	}
}

// What keeps the issuer from answering is told, as far as it is not the issuer's text.
func TestTheReasonIsTold(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	quiet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = c.Close()
		}
	}))
	defer quiet.Close()
	fails := func(err error) *http.Client {
		return &http.Client{Transport: &issuer{answer: func(*http.Request) (*http.Response, error) { return nil, err }}}
	}
	tests := []struct {
		name, url string
		client    *http.Client
		says      string
	}{
		{"an unknown authority", untrusted.URL, &http.Client{Transport: &http.Transport{}}, "an authority that this machine does not know"},
		{"another host", strings.Replace(untrusted.URL, "127.0.0.1", "localhost", 1), untrusted.Client(), "its certificate is for another host"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), nil, "it does not speak TLS"},
		{"refused", gone.URL, nil, "the connection was refused"},
		{"cut off", quiet.URL, nil, "the connection ended before the answer"},
		{"no such host", endpoint, fails(&net.OpError{Op: "dial", Err: &net.DNSError{Err: said, Name: said, IsNotFound: true}}), "DNS does not know its host"},
		{"no way", endpoint, fails(&net.OpError{Op: "dial", Net: said, Err: errors.New(said)}), "the network does not get there"},
		{"a timeout", endpoint, fails(&net.DNSError{Err: said, IsTimeout: true}), "it takes too long"},
		{"a deadline", endpoint, fails(fmt.Errorf("%s: %w", said, context.DeadlineExceeded)), "it takes too long"},
		{"cancelled", endpoint, fails(fmt.Errorf("%s: %w", said, context.Canceled)), "was cancelled"},
		{"anything", endpoint, fails(errors.New(said)), "withheld"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := over(t, tt.url, tt.client).Profile(behind(t.Context(), token, ada()))
			require.ErrorIs(t, err, userinfo.ErrUnavailable)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, texts(err), said)
		})
	}

	// The same of the metadata, with what can be done about it.
	for body, says := range map[string]string{
		"<html>":                              "it is malformed",
		`{"issuer":"https://issuer.example"}`: "it names another issuer than Config.Issuer: they must be the same, to the last slash",
		`{"issuer":7}`:                        "the reason is withheld, since the issuer may have a part in its text; bearerguard doctor shows what comes back",
	} {
		_, err := discovered(t, func(r *http.Request) (*http.Response, error) {
			return response(r, 200, "application/json", strings.NewReader(body)), nil
		}).Profile(behind(t.Context(), token, ada()))
		require.ErrorContains(t, err, "https://issuer.example/.well-known/openid-configuration: "+says)
	}
	_, err := discovered(t, func(r *http.Request) (*http.Response, error) {
		return response(r, 503, "", strings.NewReader("")), nil
	}).Profile(behind(t.Context(), token, ada()))
	require.ErrorContains(t, err, "it answered 503 Service Unavailable")
}

// How long it takes to look for the token in a text must not be the server's choice: a
// text of its own is not looked through, which would take longer than the call may.
func TestALongTextOfTheServersCostsNothing(t *testing.T) {
	long := strings.Repeat("ab", 1<<20)
	who := strings.Repeat("c", 32<<10)
	for _, i := range []*issuer{
		says(302, "", "", "Location", "https://x/%zz"+long),
		{answer: func(*http.Request) (*http.Response, error) { return nil, errors.New(long) }},
	} {
		_, err := i.client(t, userinfo.Config{}).Profile(behind(t.Context(), who, ada()))
		require.ErrorIs(t, err, userinfo.ErrUnavailable)
		require.ErrorContains(t, err, "withheld")
		require.Less(t, len(err.Error()), 512)
	}
}

func TestAsSaysWhatDoesNotFitAndNotWhatItIs(t *testing.T) {
	p, err := saysJSON(`{"sub":"ada","phone_number":4915112345678,"when":"4915112345678","odd":{"4915112345678":1,"4915112345678":2}}`).ask(t)
	require.NoError(t, err)
	_, text := userinfo.As[struct {
		Phone string `json:"phone_number"`
	}](p)
	require.EqualError(t, text, `userinfo: as struct { Phone string "json:\"phone_number\"" }: phone_number is a JSON number, which is no string`)
	_, small := userinfo.As[struct {
		Phone int8 `json:"phone_number"`
	}](p)
	require.ErrorContains(t, small, "phone_number is a JSON number, which is no int8")
	_, own := userinfo.As[struct {
		When time.Time `json:"when"`
	}](p)
	require.ErrorContains(t, own, "a type of its own")
	_, twice := userinfo.As[struct {
		Odd map[string]int `json:"odd"`
	}](p)
	require.ErrorContains(t, twice, "a name occurs twice")
	for _, err := range []error{text, small, own, twice} {
		require.NotContains(t, texts(err), "4915112345678")
	}
}
