package discovery_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/stretchr/testify/require"
)

const (
	issuer    = "https://example.com/t"
	openidURL = "https://example.com/t/.well-known/openid-configuration"
	oauthURL  = "https://example.com/.well-known/oauth-authorization-server/t"
	good      = `{"issuer":"https://example.com/t","jwks_uri":"https://example.com/keys"}`
)

var errOutOfReach = errors.New("connection refused")

// A page is an answer; a status of 0 is none.
type page struct {
	status  int
	body    string
	headers http.Header
}

// pages answers by URL, and notes what it was asked.
type pages struct {
	pages map[string]page
	asked []string
}

func (p *pages) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked = append(p.asked, r.URL.String())
	page, exists := p.pages[r.URL.String()]
	if !exists {
		page.status = http.StatusNotFound
	}
	if page.status == 0 {
		return nil, errOutOfReach
	}
	header := page.headers.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: page.status, Header: header, Body: io.NopCloser(strings.NewReader(page.body)), Request: r}, nil
}

// find asks for the metadata of an issuer whose two documents are these.
func find(t *testing.T, openid, oauth page) (discovery.Metadata, []string, error) {
	t.Helper()
	p := &pages{pages: map[string]page{openidURL: openid, oauthURL: oauth}}
	metadata, err := discovery.Get(t.Context(), fetch.NewClient(&http.Client{Transport: p}), issuer, 1<<20, false)
	return metadata, p.asked, err
}

func TestTheWellKnownPathOfOAuthStandsBeforeThatOfTheIssuer(t *testing.T) {
	const wellKnown = "/.well-known/oauth-authorization-server"
	tests := []struct{ issuer, want string }{
		{"https://example.com", "https://example.com" + wellKnown},
		{"https://example.com/", "https://example.com" + wellKnown},
		{"https://example.com:8443/", "https://example.com:8443" + wellKnown},
		{"https://example.com/t", "https://example.com" + wellKnown + "/t"},
		{"https://example.com/t/", "https://example.com" + wellKnown + "/t"},
		{"https://example.com:8443/a/b/", "https://example.com:8443" + wellKnown + "/a/b"},
		{"https://example.com/a%20b", "https://example.com" + wellKnown + "/a%20b"},
		{"http://[::1]:8080/t", "http://[::1]:8080" + wellKnown + "/t"},
	}
	for _, tt := range tests {
		t.Run(tt.issuer, func(t *testing.T) {
			p := &pages{pages: map[string]page{
				tt.want: {status: http.StatusOK, body: `{"issuer":"` + tt.issuer + `","jwks_uri":"https://example.com/keys"}`},
			}}
			metadata, err := discovery.Get(t.Context(), fetch.NewClient(&http.Client{Transport: p}), tt.issuer, 1<<20, false)
			require.NoError(t, err)
			require.Equal(t, discovery.Metadata{Issuer: tt.issuer, JWKSURL: "https://example.com/keys"}, metadata)
			require.Equal(t, []string{discovery.URL(tt.issuer), tt.want}, p.asked)
		})
	}
}

func TestMetadataOfOAuthWillDoWhereThoseOfOpenIDConnectAreNotThere(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 406, 410, 451, 499} {
		metadata, asked, err := find(t, page{status: status}, page{status: http.StatusOK, body: good})
		require.NoError(t, err, status)
		require.Equal(t, "https://example.com/keys", metadata.JWKSURL)
		require.Equal(t, []string{openidURL, oauthURL}, asked)
	}
}

func TestMetadataOfOAuthAreNotAskedForInTheirPlace(t *testing.T) {
	tests := []struct {
		name   string
		openid page
		fails  bool
	}{
		{"there", page{status: 200, body: good}, false},
		{"of another issuer", page{status: 200, body: `{"issuer":"https://example.com","jwks_uri":"https://example.com/keys"}`}, true},
		{"a page", page{status: 200, body: "<html>"}, true},
		{"too large", page{status: 200, body: good + strings.Repeat(" ", 1<<20)}, true},
		{"201", page{status: 201, body: good}, true},
		{"304", page{status: 304}, true},
		{"elsewhere", page{status: 302, headers: http.Header{"Location": {"https://evil.example/"}}}, true},
		{"408", page{status: 408}, true},
		{"429", page{status: 429}, true},
		{"500", page{status: 500}, true},
		{"501", page{status: 501}, true},
		{"502", page{status: 502}, true},
		{"503", page{status: 503}, true},
		{"504", page{status: 504}, true},
		{"out of reach", page{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, asked, err := find(t, tt.openid, page{status: http.StatusOK, body: good})
			require.Equal(t, tt.fails, err != nil, "%v", err)
			require.Equal(t, []string{openidURL}, asked)
		})
	}
}

func TestWhereBothFailBothAreNamed(t *testing.T) {
	tests := []struct {
		name  string
		oauth page
		is    error
		says  string
	}{
		{"not found", page{status: 404}, nil, "404 Not Found"},
		{"down", page{status: 503}, nil, "503 Service Unavailable"},
		{"out of reach", page{}, errOutOfReach, "connection refused"},
		{"a page", page{status: 200, body: "<html>"}, strictjson.ErrSyntax, "<html>"},
		{"of another issuer", page{status: 200, body: `{"issuer":"https://evil.example"}`}, discovery.ErrIssuer, "https://evil.example"},
		{"of the issuer but for the slash", page{status: 200, body: `{"issuer":"https://example.com/t/"}`}, discovery.ErrIssuer, "add the slash at the end"},
		{"with keys over http", page{status: 200, body: `{"issuer":"https://example.com/t","jwks_uri":"http://example.com/keys"}`}, nil, "its jwks_uri cannot be used"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			metadata, asked, err := find(t, page{status: 410}, tt.oauth)
			require.Equal(t, []string{openidURL, oauthURL}, asked)
			require.Empty(t, metadata)
			require.ErrorContains(t, err, "GET "+openidURL+": answered 410 Gone")
			require.ErrorContains(t, err, "GET "+oauthURL+": ")
			require.ErrorContains(t, err, tt.says)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
		})
	}
}

// What to do next is in the second answer: the first says only that there is
// nothing.
func TestTheStatusOfBothIsThatOfTheSecond(t *testing.T) {
	_, _, err := find(t, page{status: 404, headers: http.Header{"Retry-After": {"3600"}}}, page{status: 429})
	var status *fetch.StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusTooManyRequests, status.StatusCode)
	require.Zero(t, status.RetryAfter)
}
