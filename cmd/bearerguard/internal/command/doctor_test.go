package command_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A visit is a world that doctor looks at.
type visit struct {
	name   string
	world  func(*world)
	args   []string // in place of -issuer and -audience
	status int
	wants  []string
}

// at returns the flags for an issuer and an audience.
func at(issuer, audience string, further ...string) []string {
	return append([]string{"-issuer", issuer, "-audience", audience}, further...)
}

func refusedBy(err error) func(*world) {
	return func(w *world) {
		w.pages[metadataURL] = page{fails: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
}

var visits = []visit{
	{name: "good", world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"}), jwk(set{"kid": "key-2"})), header: map[string]string{"Cache-Control": "public, max-age=300"}}
	}, status: 0, wants: []string{"OK: an API", "200 in 1 ms", "TLS 1.3", "the certificate is good for another 90 days", "2 of 2 can be used"}},
	{name: "one-key", status: 0, wants: []string{"OK: an API", "keys ok 1 of 1 can be used"}},
	{name: "issuer-without-slash", args: at("https://issuer.example", audience), status: 1, wants: []string{"NOT OK: issuer Why: ", "Likely: Config.Issuer must be", "add the slash at the end"}},
	{name: "issuer-of-somebody-else", status: 1, world: func(w *world) { w.pages[metadataURL] = page{body: metadata("https://evil.example/", keySetURL)} },
		wants: []string{`it says "https://evil.example/"`}},
	{name: "entra-common", args: at("https://login.microsoftonline.com/common/v2.0", "11111111-2222-3333-4444-555555555555"), status: 1,
		world: func(w *world) {
			w.pages["https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"] = page{body: metadata("https://login.microsoftonline.com/{tenantid}/v2.0", keySetURL)}
		}, wants: []string{"TENANT-ID", "the API's own registration"}},
	{name: "okta-org", args: at("https://acme.okta.com", "api://default"), status: 0,
		world: func(w *world) {
			w.pages["https://acme.okta.com/.well-known/openid-configuration"] = page{body: metadata("https://acme.okta.com", keySetURL)}
		}, wants: []string{"https://acme.okta.com/oauth2/default"}},
	{name: "odd-keys", status: 0, world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(
			jwk(set{"kid": "key-1"}),
			jwk(set{"kid": "key-2", "alg": nil}),
			jwk(set{"kid": "encryption", "use": "enc"}),
			jwk(set{"kid": "leaked", "d": "AQAB"}),
			jwk(set{"kid": "padded", "e": "AQAB=="}),
			jwk(set{"kid": "other", "alg": "PS256"}),
			`{"kty":"oct","kid":"secret","k":"AAAA"}`,
			`{"kty":"EC","kid":"curve","crv":"secp256k1","x":"AA","y":"AA"}`,
			`7`,
		)}
	}, wants: []string{"2 of 9 can be used", "must be replaced", "OK, with something to look at: ", `its use is "enc", not sig`, "private member", "not used: its alg is PS256", `its curve "secp256k1" is not known here`}},
	{name: "keys-without-names", status: 0, world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"}), jwk(nil))}
	}, wants: []string{"a key without kid"}},
	{name: "two-keys-of-one-name", status: 0, world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"}), jwk(set{"kid": "key-1", "e": "Aw"}))}
	}, wants: []string{"the same kid"}},
	{name: "no-key-for-RS256", status: 1, world: func(w *world) { w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1", "alg": "PS256"}))} },
		wants: []string{"none is for RS256", "-algorithms"}},
	{name: "another-algorithm", args: at(issuer, audience, "-algorithms", "PS256,ES256"), status: 0,
		world: func(w *world) { w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1", "alg": "PS256"}))} },
		wants: []string{"good for PS256"}},
	{name: "no-key-at-all", status: 1, world: func(w *world) { w.pages[keySetURL] = page{body: keySet(`{"kty":"RSA","kid":"a"}`)} },
		wants: []string{"none that can be used"}},
	{name: "key-set-is-a-page", status: 1, world: func(w *world) {
		w.pages[keySetURL] = page{body: "<!DOCTYPE html>", header: map[string]string{"Content-Type": "text/html"}}
	}, wants: []string{"is this the address of a web page?"}},
	{name: "key-set-missing", status: 1, world: func(w *world) { delete(w.pages, keySetURL) }, wants: []string{"key set FAILED GET https://issuer.example/keys: answered 404 Not Found →"}},
	{name: "no-jwks-uri", status: 1, world: func(w *world) { w.pages[metadataURL] = page{body: `{"issuer":"https://issuer.example/"}`} }, wants: []string{"no jwks_uri"}},
	{name: "rfc8414", status: 0, world: func(w *world) {
		w.pages[oauthURL] = w.pages[metadataURL]
		delete(w.pages, metadataURL)
	}, wants: []string{"the address of RFC 8414"}},
	{name: "no-discovery", status: 1, world: func(w *world) { delete(w.pages, metadataURL) }, wants: []string{"answered 404 Not Found; GET https://issuer.example/.well-known/oauth-authorization-server: answered 404 Not Found →", "there is nothing at that address", "-jwks-url"}},
	{name: "jwks-url", args: at(issuer, audience, "-jwks-url", keySetURL), status: 0, world: func(w *world) { delete(w.pages, metadataURL) },
		wants: []string{"not asked, since -jwks-url says"}},
	{name: "unreachable", status: 1, world: refusedBy(syscall.ECONNREFUSED), wants: []string{"nothing listens there"}},
	{name: "no-such-host", status: 1, world: refusedBy(&net.DNSError{Err: "no such host", Name: "issuer.example", IsNotFound: true}), wants: []string{"typing mistake"}},
	{name: "unknown-authority", status: 1, world: refusedBy(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), wants: []string{"SSL_CERT_FILE", "NOT OK: discovery, TLS"}},
	{name: "certificate-of-another-host", status: 1, world: refusedBy(&tls.CertificateVerificationError{Err: x509.HostnameError{Host: "issuer.example", Certificate: &x509.Certificate{}}}), wants: []string{"is for another host"}},
	{name: "certificate-expired", status: 1, world: refusedBy(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "yesterday"}}), wants: []string{"the issuer must renew it"}},
	{name: "certificate-expires-soon", status: 0, world: func(w *world) { w.tls = goodFor(50 * time.Hour) }, wants: []string{"2 days", "see that it is renewed"}},
	{name: "hangs", args: at(issuer, audience, "-timeout", "3s"), status: 1, world: func(w *world) { w.pages[metadataURL] = page{takes: time.Hour} }, wants: []string{"no answer came in time"}},
	{name: "slow", status: 0, world: func(w *world) {
		w.pages[metadataURL] = page{body: metadata(issuer, keySetURL), takes: 700 * time.Millisecond}
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"})), takes: 800 * time.Millisecond}
	}, wants: []string{"200 in 800 ms", "it took 1.5 s", "Validator.Warm"}},
	{name: "too-slow", status: 1, world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"})), takes: 6 * time.Second}
	}, wants: []string{"FetchTimeout"}},
	{name: "redirects", status: 0, world: func(w *world) {
		w.pages["https://issuer.example/v2/config"] = w.pages[metadataURL]
		w.pages[metadataURL] = page{status: 302, header: map[string]string{"Location": "/v2/config"}}
	}, wants: []string{`/.well-known/openid-configuration to "/v2/config"`}},
	{name: "redirects-elsewhere", status: 1, world: func(w *world) {
		w.pages[metadataURL] = page{status: 302, header: map[string]string{"Location": "https://login.example/"}}
	}, wants: []string{"not where it was sent"}},
	{name: "redirects-to-no-address", status: 1, world: func(w *world) {
		w.pages[metadataURL] = page{status: 302, header: map[string]string{"Location": "https://login.example/\x1b[31m"}}
	}},
	{name: "clock-behind", status: 1, world: func(w *world) { w.ahead = 90500 * time.Millisecond }, wants: []string{"1 min 30 s behind the issuer's", "more than the leeway of 30 s", "new tokens seem to be of the future"}},
	{name: "clock-ahead", status: 0, world: func(w *world) { w.ahead = -20 * time.Second }, wants: []string{"ahead of the issuer's", "worth a look"}},
	{name: "date-of-the-year-9999", status: 1, world: func(w *world) {
		for url, p := range w.pages {
			p.header = map[string]string{"Date": "Fri, 31 Dec 9999 23:59:59 GMT"}
			w.pages[url] = p
		}
	}, wants: []string{"106751 days behind the issuer's"}},
	{name: "no-date", status: 0, world: func(w *world) {
		for url, p := range w.pages {
			p.header = map[string]string{"Date": ""}
			w.pages[url] = p
		}
	}, wants: []string{"no answer has a Date"}},
	{name: "old-cache", status: 0, world: func(w *world) {
		w.ahead = -4 * time.Hour
		for url, p := range w.pages {
			p.header = map[string]string{"Age": "14400"}
			w.pages[url] = p
		}
	}, wants: []string{"in a cache for 4 h", "agrees with the issuer's"}},
	{name: "http", args: at("http://issuer.example/", audience), status: 1, wants: []string{"use https"}},
	{name: "insecure-http", args: at("http://issuer.example/", audience, "-insecure-http"), status: 0, world: func(w *world) {
		w.pages["http://issuer.example/.well-known/openid-configuration"] = page{body: metadata("http://issuer.example/", "http://issuer.example/keys")}
		w.pages["http://issuer.example/keys"] = w.pages[keySetURL]
		w.tls = nil
	}, wants: []string{"http is allowed", "none: this is http"}},
	{name: "password", args: at("https://ada:secret@issuer.example/", audience), status: 1, wants: []string{"has credentials in it"}},
	{name: "well-known-address", args: at(metadataURL, audience), status: 1, wants: []string{"take off /.well-known/"}},
	{name: "audience-of-a-client", args: at(issuer, "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"), status: 0, wants: []string{"OK, with something to look at: ", "the ID of a client of Auth0"}},
	{name: "hostile-text", status: 1, world: func(w *world) {
		w.pages[metadataURL] = page{status: 500, body: strings.Repeat(hostile, 1000), header: map[string]string{"Content-Type": hostile, "Cache-Control": strings.Repeat(hostile, 100)}}
	}},
	{name: "hostile-keys", status: 0, world: func(w *world) {
		w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"}), jwk(set{"kid": hostile, "use": hostile}), jwk(set{"kid": strings.Repeat(hostile, 100)})),
			header: map[string]string{"Cache-Control": strings.Repeat(hostile, 100)}}
	}},
}

// play visits, with further arguments.
func (v visit) play(t *testing.T, further ...string) (r run) {
	key()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		if v.world != nil {
			v.world(w)
		}
		args := v.args
		if args == nil {
			args = configured
		}
		r = start(t.Context(), w, "", slices.Concat([]string{"doctor"}, args, further)...)
	})
	return r
}

func TestDoctor(t *testing.T) {
	for _, v := range visits {
		t.Run(v.name, func(t *testing.T) {
			r := v.play(t)
			r.requireClean(t)
			require.NotContains(t, r.stdout, "secret@")
			r.golden(t, "doctor/"+v.name)
			require.Equal(t, v.status, r.status)
			flat := strings.Join(strings.Fields(r.stdout), " ")
			for _, want := range v.wants {
				require.Contains(t, flat, want)
			}
		})
	}
}

func TestDoctorAsJSON(t *testing.T) {
	for _, v := range visits {
		t.Run(v.name, func(t *testing.T) {
			r := v.play(t, "-json")
			r.requireClean(t)
			require.Equal(t, v.status, r.status)
			require.Equal(t, r.stdout, v.play(t, "-json").stdout)
			var x struct {
				Result, Reason string
				Checks         []struct{ Name, Result string }
			}
			require.NoError(t, json.Unmarshal([]byte(r.stdout), &x))
			require.Equal(t, map[int]string{0: "ok", 1: "not ok"}[v.status], x.Result)
			require.Equal(t, v.status == 0, x.Reason == "")
			require.Contains(t, v.play(t).stdout, "\n"+strings.ToUpper(x.Result), "the text has the same word")
			var names []string
			for _, c := range x.Checks {
				names = append(names, c.Name)
			}
			require.Equal(t, []string{"configuration", "audience", "discovery", "issuer", "key set", "keys", "TLS", "redirects", "caching", "clock"}, names)
			if v.name == "odd-keys" {
				r.golden(t, "doctor/"+v.name+"-json")
			}
		})
	}
}

func TestAnAudienceThatLooksLikeAMistake(t *testing.T) {
	tests := []struct {
		audience string
		want     string
	}{
		{"0oaabcdefghijklmnopq", "Okta"},
		{"abcdefghijklmnopqrstuvwxyz", "Cognito"},
		{"123-abc.apps.googleusercontent.com", "Google"},
		{"https://issuer.example", "it is the issuer"},
		{"https://issuer.example/userinfo", "userinfo endpoint"},
		{"https://issuer.example/api/v2/", "Management API"},
		{"account", "Keycloak"},
		{"00000003-0000-0000-c000-000000000000", "Microsoft Graph"},
		{"api-1, api-2", "looks like a list"},
		{"https://example.com/api/", "it ends with a slash"},
		{"api://default", "nothing is odd"},
	}
	for _, tt := range tests {
		r := start(t.Context(), newWorld(), "", "doctor", "-issuer", issuer, "-audience", tt.audience)
		require.Contains(t, r.stdout, tt.want, tt.audience)
	}
}

func TestManyKeysAreCutShort(t *testing.T) {
	w := newWorld()
	var keys []string
	for i := range 100 {
		keys = append(keys, jwk(set{"kid": fmt.Sprint("key-", i)}))
	}
	w.pages[keySetURL] = page{body: keySet(keys...)}
	r := start(t.Context(), w, "", append([]string{"doctor"}, configured...)...)
	require.Contains(t, r.stdout, "and 60 more")
	require.Less(t, strings.Count(r.stdout, "\n"), 70)

	r = start(t.Context(), w, sign(`{"alg":"RS256","kid":"x"}`, payload(nil)), append([]string{"explain"}, configured...)...)
	require.Contains(t, r.stdout, "92 more")
}

func TestOfManyKeysWithOneKidTheFirstAreUsed(t *testing.T) {
	w := newWorld()
	var keys []string
	for i := range 1000 {
		keys = append(keys, jwk(set{"kid": "key-1", "e": encode([]byte{byte(i/255 + 1), byte(i%255 + 1), 1})}))
	}
	w.pages[keySetURL] = page{body: keySet(keys...)}
	r := start(t.Context(), w, "", append([]string{"doctor", "-json"}, configured...)...)
	require.Equal(t, 0, r.status)
	require.Contains(t, r.stdout, `"detail": "4 of 1000 can be used"`)
	require.Equal(t, 996, strings.Count(r.stdout, `"reason": "not used: of the keys with its kid, only the first 4 are tried"`))
}

// Over sockets and TLS, with the transport of the library.
func TestDoctorOnTheNetwork(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	url := server.URL + "/"
	r := start(t.Context(), nil, "", "doctor", "-issuer", url, "-audience", audience)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stdout, "certificate", "its authority is not known here")

	plain := httptest.NewServer(http.NotFoundHandler())
	url = strings.Replace(plain.URL, "http:", "https:", 1)
	r = start(t.Context(), nil, "", "doctor", "-issuer", url, "-audience", audience)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stdout, "does not speak TLS")

	url = plain.URL
	plain.Close()
	r = start(t.Context(), nil, "", "doctor", "-issuer", url, "-audience", audience)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stdout, "nothing listens there")
}

func TestDoctorEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.pages[metadataURL] = page{takes: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := start(ctx, w, "", append([]string{"doctor"}, configured...)...)
		require.Equal(t, 2, r.status)
		require.Contains(t, r.stderr, "interrupted")
		require.Empty(t, r.stdout)
	})
}
