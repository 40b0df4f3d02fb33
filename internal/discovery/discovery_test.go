package discovery_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/stretchr/testify/require"
)

// A provider answers each request with one document.
type provider struct {
	document string
	asked    *string
}

func (p provider) RoundTrip(r *http.Request) (*http.Response, error) {
	*p.asked = r.URL.String()
	return &http.Response{
		StatusCode: 200,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(p.document)),
		Request:    r,
	}, nil
}

// get returns what is made of a document.
func get(t *testing.T, issuer, document string, insecureHTTP bool) (discovery.Metadata, error) {
	t.Helper()
	var asked string
	client := fetch.NewClient(&http.Client{Transport: provider{document, &asked}})
	metadata, err := discovery.Get(t.Context(), client, issuer, 1<<20, insecureHTTP)
	require.Equal(t, discovery.URL(issuer), asked)
	return metadata, err
}

func TestOneSlashAtTheEndIsTakenOffBeforeTheWellKnownPath(t *testing.T) {
	tests := []struct{ issuer, want string }{
		{"https://example.com", "https://example.com/.well-known/openid-configuration"},
		{"https://example.com/", "https://example.com/.well-known/openid-configuration"},
		{"https://example.com/tenant", "https://example.com/tenant/.well-known/openid-configuration"},
		{"https://example.com/tenant/", "https://example.com/tenant/.well-known/openid-configuration"},
		{"https://example.com//", "https://example.com//.well-known/openid-configuration"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, discovery.URL(tt.issuer))
	}
}

func TestAnIssuerIsAURLWithoutQueryOrFragment(t *testing.T) {
	tests := []struct {
		issuer   string
		insecure bool
		says     string // "": it is one
	}{
		{"https://example.com", false, ""},
		{"https://example.com/", false, ""},
		{"https://example.com/tenant/", false, ""},
		{"http://127.0.0.1:8080/", false, ""},
		{"http://example.com/", true, ""},
		{"http://example.com/", false, "use https"},
		{"example.com", false, "write it as https://host/path"},
		{"https://me:secret@example.com/", false, "take them out"},
		{"https://example.com/?tenant=1", false, "a query or a fragment"},
		{"https://example.com/?", false, "a query or a fragment"},
		{"https://example.com/#", false, "a query or a fragment"},
		{"https://example.com/#tenant", false, "a fragment"},
	}
	for _, tt := range tests {
		t.Run(tt.issuer, func(t *testing.T) {
			err := discovery.CheckIssuer(tt.issuer, tt.insecure)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestMetadataAreThoseOfTheIssuer(t *testing.T) {
	issuer := fakeissuer.New("https://issuer.example/")
	defer issuer.Close()
	got, err := discovery.Get(t.Context(), fetch.NewClient(issuer.Client()), issuer.URL(), 1<<20, false)
	require.NoError(t, err)
	require.Equal(t, discovery.Metadata{
		Issuer:      "https://issuer.example/",
		JWKSURL:     "https://issuer.example/.well-known/jwks.json",
		UserinfoURL: "https://issuer.example/userinfo",
	}, got)
}

// Whoever asks for keys must not be refused for an endpoint that he never asks.
func TestAUserinfoEndpointThatCannotBeUsedKeepsNoKeysAway(t *testing.T) {
	for endpoint, want := range map[string]string{
		`"http://example.com/userinfo"`: "http://example.com/userinfo",
		`"::"`:                          "::",
		`7`:                             "",
		`null`:                          "",
	} {
		got, err := get(t, "https://example.com", `{"issuer":"https://example.com","jwks_uri":"https://example.com/keys","userinfo_endpoint":`+endpoint+`}`, false)
		require.NoError(t, err)
		require.Equal(t, "https://example.com/keys", got.JWKSURL)
		require.Equal(t, want, got.UserinfoURL)
	}
}

func TestAnEndpointThatIsNotNamedIsEmpty(t *testing.T) {
	got, err := get(t, "https://example.com", `{"issuer":"https://example.com"}`, false)
	require.NoError(t, err)
	require.Equal(t, discovery.Metadata{Issuer: "https://example.com"}, got)
}

func TestNamesAreMatchedExactly(t *testing.T) {
	got, err := get(t, "https://example.com", `{
		"issuer": "https://example.com", "ISSUER": "https://evil.example",
		"JWKS_URI": "https://evil.example/keys", "jwks_uri": "https://example.com/keys", "Jwks_Uri": 1
	}`, false)
	require.NoError(t, err)
	require.Equal(t, "https://example.com", got.Issuer)
	require.Equal(t, "https://example.com/keys", got.JWKSURL)
}

func TestMetadataOfAnotherIssuerAreRefused(t *testing.T) {
	tests := []struct{ name, want, got, says string }{
		{"another host", "https://example.com", `"https://evil.example"`, `configured is "https://example.com", it says "https://evil.example"`},
		{"a slash is missing", "https://example.com", `"https://example.com/"`, "add the slash at the end"},
		{"a slash too many", "https://example.com/", `"https://example.com"`, "take off the slash at the end"},
		{"a path", "https://example.com/a", `"https://example.com/b"`, "names another issuer"},
		{"another case", "https://example.com/a", `"https://example.com/A"`, "names another issuer"},
		{"another case of the host", "https://example.com", `"https://EXAMPLE.com"`, "names another issuer"},
		{"a default port", "https://example.com", `"https://example.com:443"`, "names another issuer"},
		{"two slashes", "https://example.com", `"https://example.com//"`, "names another issuer"},
		{"a space", "https://example.com", `"https://example.com "`, "names another issuer"},
		{"none", "https://example.com", `""`, `it says ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := get(t, tt.want, `{"issuer":`+tt.got+`,"jwks_uri":"https://example.com/keys"}`, false)
			require.ErrorIs(t, err, discovery.ErrIssuer)
			require.ErrorContains(t, err, "GET "+discovery.URL(tt.want)+": ")
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, got)
		})
	}
	t.Run("no issuer at all", func(t *testing.T) {
		_, err := get(t, "https://example.com", `{"jwks_uri":"https://example.com/keys"}`, false)
		require.ErrorIs(t, err, discovery.ErrIssuer)
	})
	t.Run("a long one", func(t *testing.T) {
		_, err := get(t, "https://example.com", `{"issuer":"`+strings.Repeat(`\n`, 10_000)+`"}`, false)
		require.ErrorIs(t, err, discovery.ErrIssuer)
		require.Less(t, len(err.Error()), 500)
		require.NotContains(t, err.Error(), "\n")
	})
}

func TestWhatIsNoStrictObjectIsRefusedAndShown(t *testing.T) {
	for _, document := range []string{
		``, `null`, `[]`, `<html>`, `{"issuer":"https://example.com"} x`,
		`{"issuer":"https://evil.example","issuer":"https://example.com"}`,
		`{"issuer":"https://evil.example","\u0069ssuer":"https://example.com"}`,
		"{\"issuer\":\"https://example.com\xff\"}",
	} {
		t.Run(document, func(t *testing.T) {
			_, err := get(t, "https://example.com", document, false)
			require.ErrorIs(t, err, strictjson.ErrSyntax)
			require.ErrorContains(t, err, "GET https://example.com/.well-known/openid-configuration: answered 200 ")
			require.ErrorContains(t, err, "it starts with "+strictjson.Excerpt(document))
		})
	}
}

func TestAMemberThatIsNoStringIsRefused(t *testing.T) {
	tests := []struct{ document, says string }{
		{`{"issuer":null}`, "its issuer is a JSON null, not a string"},
		{`{"issuer":["https://example.com"]}`, "its issuer is a JSON array, not a string"},
		{`{"issuer":"https://example.com","jwks_uri":1}`, "its jwks_uri is a JSON number, not a string"},
		{`{"issuer":"https://example.com","jwks_uri":{}}`, "its jwks_uri is a JSON object, not a string"},
	}
	for _, tt := range tests {
		_, err := get(t, "https://example.com", tt.document, false)
		require.ErrorContains(t, err, tt.says)
	}
}

func TestTheKeySetMayBeFetchedFrom(t *testing.T) {
	tests := []struct {
		name, url string
		insecure  bool
		says      string // "": it may
	}{
		{"the same host", "https://example.com/keys", false, ""},
		{"another host", "https://keys.example/keys?v=1", false, ""},
		{"loopback", "http://127.0.0.1:8080/keys", false, "is http, and the issuer is https"},
		{"loopback by name", "http://localhost:2375/keys", false, "is http, and the issuer is https"},
		{"loopback where it is allowed", "http://127.0.0.1:8080/keys", true, ""},
		{"http where it is allowed", "http://keys.example/keys", true, ""},
		{"http", "http://example.com/keys", false, "use https"},
		{"http on another host", "http://keys.example/keys", false, "use https"},
		{"a path", "/keys", false, "write it as https://host/path"},
		{"a file", "file:///etc/passwd", false, "write it as https://host/path"},
		{"credentials", "https://me:secret@example.com/keys", false, "take them out"},
		{"a fragment", "https://example.com/keys#1", false, "take it out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := get(t, "https://example.com", `{"issuer":"https://example.com","jwks_uri":"`+tt.url+`"}`, tt.insecure)
			if tt.says == "" {
				require.NoError(t, err)
				require.Equal(t, tt.url, got.JWKSURL)
				return
			}
			require.ErrorContains(t, err, "its jwks_uri cannot be used: ")
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "secret")
			require.Empty(t, got)
		})
	}
}

func TestAnIssuerOnThisMachineMayHaveItsKeysThere(t *testing.T) {
	got, err := get(t, "http://127.0.0.1:8080", `{"issuer":"http://127.0.0.1:8080","jwks_uri":"http://127.0.0.1:8080/keys"}`, false)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8080/keys", got.JWKSURL)
}

// What other endpoints say is not our business here: it must not keep the keys
// away.
func TestOtherMembersDoNoHarm(t *testing.T) {
	got, err := get(t, "https://example.com", `{"issuer":"https://example.com","jwks_uri":"https://example.com/keys","userinfo_endpoint":null,"x":[1]}`, false)
	require.NoError(t, err)
	require.Equal(t, "https://example.com/keys", got.JWKSURL)
}

func TestAnIssuerThatIsDownIsAnError(t *testing.T) {
	issuer := fakeissuer.New("https://issuer.example/")
	defer issuer.Close()
	issuer.SetDown(true)
	_, err := discovery.Get(t.Context(), fetch.NewClient(issuer.Client()), issuer.URL(), 1<<20, false)
	var status *fetch.StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusServiceUnavailable, status.StatusCode)
}
