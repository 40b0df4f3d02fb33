package fetch_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/stretchr/testify/require"
)

// maxSize is what the tests allow for a document.
const maxSize = 1 << 20

// A provider answers requests in memory.
type provider func(*http.Request) (*http.Response, error)

func (p provider) RoundTrip(r *http.Request) (*http.Response, error) { return p(r) }

func (p provider) client() *http.Client { return fetch.NewClient(&http.Client{Transport: p}) }

func answer(r *http.Request, status int, contentType string, body io.Reader) *http.Response {
	return &http.Response{
		StatusCode:    status,
		Header:        http.Header{"Content-Type": {contentType}},
		Body:          io.NopCloser(body),
		ContentLength: -1,
		Request:       r,
	}
}

func TestOnlyHTTPSAndLoopbackMayBeFetchedFrom(t *testing.T) {
	tests := []struct {
		url      string
		insecure bool
		says     string // "": it may
	}{
		{"https://example.com", false, ""},
		{"https://example.com/keys?tenant=1", false, ""},
		{"HTTPS://example.com/", false, ""},
		{"https://[2001:db8::1]:8443/", false, ""},
		{"http://127.0.0.1:8080/", false, ""},
		{"http://127.8.9.10/", false, ""},
		{"http://[::1]:8080/", false, ""},
		{"http://localhost/", false, ""},
		{"http://LocalHost:8080/", false, ""},
		{"http://10.0.0.1/", true, ""},
		{"http://example.com/", true, ""},

		{"http://example.com/", false, "use https"},
		{"http://10.0.0.1/", false, "use https"},
		{"http://0.0.0.0/", false, "use https"},
		{"http://localhost.example.com/", false, "use https"},
		{"http://127.0.0.1.example.com/", false, "use https"},
		{"http://127.1/", false, "use https"},
		{"http://2130706433/", false, "use https"},
		{"ftp://example.com/", true, "is not an https URL"},
		{"file://localhost/etc/passwd", true, "is not an https URL"},
		{"", true, "write it as https://host/path"},
		{"example.com", true, "write it as https://host/path"},
		{"/keys", true, "write it as https://host/path"},
		{"//", true, "write it as https://host/path"},
		{"https:", true, "write it as https://host/path"},
		{"https:///keys", true, "write it as https://host/path"},
		{"https://:443/keys", true, "write it as https://host/path"},
		{"https:example.com/keys", true, "write it as https://host/path"},
		{"localhost:8080", true, "write it as https://host/path"},
		{"https://example.com/\nkeys", true, "is not a URL"},
		{"https://example .com/", true, "is not a URL"},
		{"https://example.com/%zz", true, "is not a URL"},
		{"https://me@example.com/", true, "take them out"},
		{"https://example.com/#keys", true, "take it out"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			err := fetch.CheckURL(tt.url, tt.insecure)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestNoErrorAboutAURLShowsItsPassword(t *testing.T) {
	for _, url := range []string{
		"https://me:secret@example.com/",
		"ftp://me:secret@example.com/",
		"https://me:secret@/keys",
		"https://me:secret@example.com/%zz",
		"https://me:secret@exa mple.com/",
		"https://me:sec ret@example.com/",
		"https://me:secret@and@example.com/%zz",
		"me:secret@example.com/keys",
		"://me:secret@example.com/keys",
	} {
		t.Run(url, func(t *testing.T) {
			err := fetch.CheckURL(url, false)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "sec ret")
		})
	}
}

func TestAnErrorAboutAURLIsShortAndOnOneLine(t *testing.T) {
	for _, url := range []string{
		"http://example.com/" + strings.Repeat("a", 10_000),
		"https://me@example.com/" + strings.Repeat("a", 10_000),
		"https://example.com/#" + strings.Repeat("a", 10_000),
		"https://example.com/\n" + strings.Repeat("a", 10_000),
		"ftp://example.com/" + strings.Repeat("a", 10_000),
		strings.Repeat("a", 10_000),
	} {
		err := fetch.CheckURL(url, false)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 300)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestADocumentIsWhatWasAnsweredWith200(t *testing.T) {
	p := provider(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, http.MethodGet, r.Method)
		require.Equal(t, "application/json", r.Header.Get("Accept"))
		require.Equal(t, "bearerguard", r.Header.Get("User-Agent"))
		require.Empty(t, r.Header.Get("Authorization"))
		return answer(r, 200, "application/json", strings.NewReader(`{"a":1}`)), nil
	})
	document, err := fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
	require.NoError(t, err)
	require.Equal(t, fetch.Document{
		URL: "https://example.com/keys", ContentType: "application/json", Body: `{"a":1}`,
	}, document)
}

func TestAnyOtherStatusIsAnErrorThatShowsTheAnswer(t *testing.T) {
	for _, status := range []int{201, 204, 206, 304, 400, 404, 500, 503} {
		p := provider(func(r *http.Request) (*http.Response, error) {
			return answer(r, status, "text/html", strings.NewReader("<html>\n"+strings.Repeat("a", maxSize))), nil
		})
		_, err := fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
		var got *fetch.StatusError
		require.ErrorAs(t, err, &got)
		require.Equal(t, status, got.StatusCode)
		require.Equal(t, "https://example.com/keys", got.URL)
		require.Equal(t, "text/html", got.ContentType)
		require.ErrorContains(t, err, "GET https://example.com/keys: answered ")
		require.ErrorContains(t, err, http.StatusText(status))
		require.ErrorContains(t, err, `("text/html"): "<html>\naaa`)
		require.Less(t, len(err.Error()), 300)
	}
}

func TestAnInvalidDocumentIsShownByItsFirstBytes(t *testing.T) {
	cause := errors.New("it is no key set")
	err := fetch.Document{
		URL: "https://example.com/keys", ContentType: "text/html", Body: "<html>\n" + strings.Repeat("a", 10_000),
	}.Invalid(cause)
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, `GET https://example.com/keys: answered 200 ("text/html"): it is no key set; it starts with "<html>\naaa`)
	require.Less(t, len(err.Error()), 300)
}

// An endless body counts how much of it was read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += len(p)
	return len(p), nil
}

func TestABodyIsReadUpToOneMiB(t *testing.T) {
	get := func(body io.Reader) (fetch.Document, error) {
		p := provider(func(r *http.Request) (*http.Response, error) {
			return answer(r, 200, "application/json", body), nil
		})
		return fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
	}
	document, err := get(strings.NewReader(strings.Repeat("a", maxSize)))
	require.NoError(t, err)
	require.Len(t, document.Body, maxSize)

	_, err = get(strings.NewReader(strings.Repeat("a", maxSize+1)))
	require.ErrorContains(t, err, "GET https://example.com/keys: the answer is larger than 1048576 bytes")

	body := &endless{}
	_, err = get(body)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
	require.Less(t, body.read, 2*maxSize)
}

func TestASmallBodyThatUnpacksToALargeOneIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		bomb := gzip.NewWriter(w)
		_, _ = io.CopyN(bomb, &endless{}, 4*maxSize) // fails when the client has had enough
		_ = bomb.Close()
	}))
	defer server.Close()
	_, err := fetch.Get(t.Context(), fetch.NewClient(nil), server.URL, maxSize, fetch.Validators{})
	require.ErrorContains(t, err, "larger than 1048576 bytes")
}

func TestABodyThatBreaksOffIsAnError(t *testing.T) {
	p := provider(func(r *http.Request) (*http.Response, error) {
		broken := io.MultiReader(strings.NewReader(`{"keys":[]}`), brokenReader{})
		return answer(r, 200, "application/json", broken), nil
	})
	_, err := fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "GET https://example.com/keys: reading the answer: ")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTheBodyIsClosed(t *testing.T) {
	for _, status := range []int{200, 404} {
		closed := false
		p := provider(func(r *http.Request) (*http.Response, error) {
			response := answer(r, status, "application/json", nil)
			response.Body = closing{strings.NewReader("{}"), &closed}
			return response, nil
		})
		_, _ = fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
		require.True(t, closed)
	}
}

type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func TestTheContextBoundsTheFetch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := provider(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done() // of the request that is on its way
		return nil, r.Context().Err()
	})
	_, err := fetch.Get(ctx, p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnAddressThatIsNoneIsAnError(t *testing.T) {
	p := provider(func(*http.Request) (*http.Response, error) { panic("asked") })
	_, err := fetch.Get(t.Context(), p.client(), "https://example.com/%zz", maxSize, fetch.Validators{})
	require.Error(t, err)
}

func TestRedirectsStayWhereTheFetchWasSent(t *testing.T) {
	const first = "https://example.com/0"
	tests := []struct {
		name      string
		redirects map[string]string // from → to; what is not in it answers 200
		says      string            // "": followed
		asked     int
	}{
		{"none", nil, "", 1},
		{"one", map[string]string{first: "https://example.com/1"}, "", 2},
		{"a relative one", map[string]string{first: "1"}, "", 2},
		{"three", map[string]string{first: "/1", "https://example.com/1": "/2", "https://example.com/2": "/3"}, "", 4},
		{"four", map[string]string{first: "/1", "https://example.com/1": "/2", "https://example.com/2": "/3", "https://example.com/3": "/4"},
			"redirected more than 3 times", 4},
		{"a circle", map[string]string{first: first}, "redirected more than 3 times", 4},
		{"to another host", map[string]string{first: "https://evil.example/"}, "https://evil.example", 1},
		{"to another host later", map[string]string{first: "/1", "https://example.com/1": "https://evil.example/"}, "https://evil.example", 2},
		{"to another host without a scheme", map[string]string{first: "//evil.example/"}, "https://evil.example", 1},
		{"to a subdomain", map[string]string{first: "https://www.example.com/"}, "https://www.example.com", 1},
		{"to another port", map[string]string{first: "https://example.com:8443/"}, "https://example.com:8443", 1},
		{"to http", map[string]string{first: "http://example.com/1"}, "http://example.com", 1},
		{"to loopback", map[string]string{first: "http://127.0.0.1/"}, "http://127.0.0.1", 1},
		{"to another scheme", map[string]string{first: "file:///etc/passwd"}, "configure that address if it is right", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			p := provider(func(r *http.Request) (*http.Response, error) {
				asked++
				require.Equal(t, "https", r.URL.Scheme)
				require.Equal(t, "example.com", r.URL.Host)
				to, redirects := tt.redirects[r.URL.String()]
				if !redirects {
					return answer(r, 200, "application/json", strings.NewReader("{}")), nil
				}
				response := answer(r, http.StatusFound, "text/plain", strings.NewReader(""))
				response.Header.Set("Location", to)
				return response, nil
			})
			_, err := fetch.Get(t.Context(), p.client(), first, maxSize, fetch.Validators{})
			require.Equal(t, tt.asked, asked)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestALongRedirectMakesNoLongError(t *testing.T) {
	p := provider(func(r *http.Request) (*http.Response, error) {
		response := answer(r, http.StatusFound, "text/plain", strings.NewReader(""))
		response.Header.Set("Location", "https://"+strings.Repeat("a", 10_000)+"/")
		return response, nil
	})
	_, err := fetch.Get(t.Context(), p.client(), "https://example.com/keys", maxSize, fetch.Validators{})
	require.ErrorContains(t, err, "configure that address if it is right")
	require.Less(t, len(err.Error()), 400)
}

func TestAClientIsThatOfTheCallerButForItsRedirects(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	unwanted := errors.New("the caller's own")
	base := &http.Client{
		Transport:     http.DefaultTransport,
		Jar:           jar,
		Timeout:       7 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return unwanted },
	}
	client := fetch.NewClient(base)
	require.Same(t, base.Transport, client.Transport)
	require.Same(t, jar, client.Jar)
	require.Equal(t, base.Timeout, client.Timeout)

	here, err := http.NewRequest(http.MethodGet, "https://example.com/", nil)
	require.NoError(t, err)
	require.NoError(t, client.CheckRedirect(here, []*http.Request{here}))
	require.ErrorIs(t, base.CheckRedirect(here, nil), unwanted, "the caller's client stays as it was")
}

func TestAClientOfItsOwnUsesTheProxyOfTheEnvironment(t *testing.T) {
	transport, ok := fetch.NewClient(nil).Transport.(*http.Transport)
	require.True(t, ok)
	require.NotNil(t, transport.Proxy)
	require.NotSame(t, http.DefaultTransport, transport)
}

func TestAClientOfItsOwnKeepsNoConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.Close {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer server.Close()
	_, err := fetch.Get(t.Context(), fetch.NewClient(nil), server.URL, maxSize, fetch.Validators{})
	require.NoError(t, err)
}

func TestAClientOfItsOwnBoundsHeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("a", 100<<10))
	}))
	defer server.Close()
	_, err := fetch.Get(t.Context(), fetch.NewClient(nil), server.URL, maxSize, fetch.Validators{})
	require.ErrorContains(t, err, "header")
}
