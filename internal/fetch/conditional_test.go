package fetch_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/stretchr/testify/require"
)

const keysURL = "https://example.com/keys"

// get fetches from a provider that answers with a status, headers (names and
// values by turns) and a body, and returns the request too.
func get(t *testing.T, have fetch.Validators, status int, body string, headers ...string) (fetch.Document, *http.Request, error) {
	t.Helper()
	var asked *http.Request
	p := provider(func(r *http.Request) (*http.Response, error) {
		asked = r
		response := answer(r, status, "application/json", strings.NewReader(body))
		for i := 0; i < len(headers); i += 2 {
			response.Header.Set(headers[i], headers[i+1])
		}
		return response, nil
	})
	document, err := fetch.Get(t.Context(), p.client(), keysURL, maxSize, have)
	return document, asked, err
}

func TestValidatorsMakeARequestConditional(t *testing.T) {
	const date = "Wed, 21 Oct 2015 07:28:00 GMT"
	tests := []struct {
		name string
		have fetch.Validators
		want http.Header
	}{
		{"none", fetch.Validators{}, http.Header{}},
		{"an entity tag", fetch.Validators{ETag: `"1"`}, http.Header{"If-None-Match": {`"1"`}}},
		{"a weak entity tag", fetch.Validators{ETag: `W/"1"`}, http.Header{"If-None-Match": {`W/"1"`}}},
		{"a date", fetch.Validators{LastModified: date}, http.Header{"If-Modified-Since": {date}}},
		{"both", fetch.Validators{ETag: `"1"`, LastModified: date}, http.Header{"If-None-Match": {`"1"`}, "If-Modified-Since": {date}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, asked, err := get(t, tt.have, http.StatusOK, "{}")
			require.NoError(t, err)
			tt.want.Set("Accept", "application/json")
			tt.want.Set("User-Agent", "bearerguard")
			require.Equal(t, tt.want, asked.Header)
		})
	}
}

func TestNotModifiedAnswersAConditionOnly(t *testing.T) {
	tests := []struct {
		name string
		have fetch.Validators
		ok   bool
	}{
		{"none", fetch.Validators{}, false},
		{"an entity tag", fetch.Validators{ETag: `"1"`}, true},
		{"a date", fetch.Validators{LastModified: "Wed, 21 Oct 2015 07:28:00 GMT"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document, _, err := get(t, tt.have, http.StatusNotModified, "", "ETag", `"2"`)
			if tt.ok {
				require.NoError(t, err)
				require.Equal(t, fetch.Document{URL: keysURL, NotModified: true}, document)
				return
			}
			var status *fetch.StatusError
			require.ErrorAs(t, err, &status)
			require.Equal(t, http.StatusNotModified, status.StatusCode)
			require.Equal(t, fetch.Document{}, document)
		})
	}
}

func TestAnAnswerToAConditionMayBeADocumentOrAnError(t *testing.T) {
	have := fetch.Validators{ETag: `"1"`}
	document, _, err := get(t, have, http.StatusOK, `{"a":1}`, "ETag", `"2"`)
	require.NoError(t, err)
	require.Equal(t, fetch.Document{
		URL: keysURL, ContentType: "application/json", Body: `{"a":1}`, Validators: fetch.Validators{ETag: `"2"`},
	}, document)

	for _, status := range []int{http.StatusPreconditionFailed, http.StatusNotFound, http.StatusInternalServerError} {
		document, _, err := get(t, have, status, "", "ETag", `"2"`)
		var got *fetch.StatusError
		require.ErrorAs(t, err, &got)
		require.Equal(t, status, got.StatusCode)
		require.Equal(t, fetch.Document{}, document)
	}
}

func TestValidatorsAreKeptAsTheyCameUnlessTheyAreLong(t *testing.T) {
	long := strings.Repeat("a", 256)
	tests := []struct{ name, sent, kept string }{
		{"none", "", ""},
		{"one", `"1"`, `"1"`},
		{"a weak one", `W/"1"`, `W/"1"`},
		{"without quotes", "1", "1"},
		{"as long as may be", long, long},
		{"too long", long + "a", ""},
		{"much too long", strings.Repeat("a", maxSize), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document, _, err := get(t, fetch.Validators{}, http.StatusOK, "{}", "ETag", tt.sent)
			require.NoError(t, err)
			require.Equal(t, fetch.Validators{ETag: tt.kept}, document.Validators)

			document, _, err = get(t, fetch.Validators{}, http.StatusOK, "{}", "Last-Modified", tt.sent)
			require.NoError(t, err)
			require.Equal(t, fetch.Validators{LastModified: tt.kept}, document.Validators)
		})
	}
}

// What http.ServeContent makes of it is what most servers do.
func TestADocumentIsSentOnceWhileItStaysTheSame(t *testing.T) {
	modified := time.Date(2015, time.October, 21, 7, 28, 0, 0, time.UTC)
	for _, etag := range []string{`"1"`, `W/"1"`, ""} {
		t.Run(etag, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if etag != "" {
					w.Header().Set("ETag", etag)
				}
				http.ServeContent(w, r, "keys.json", modified, strings.NewReader("{}"))
			}))
			defer server.Close()
			client := fetch.NewClient(nil)
			first, err := fetch.Get(t.Context(), client, server.URL, maxSize, fetch.Validators{})
			require.NoError(t, err)
			require.False(t, first.NotModified)
			require.Equal(t, "{}", first.Body)
			second, err := fetch.Get(t.Context(), client, server.URL, maxSize, first.Validators)
			require.NoError(t, err)
			require.True(t, second.NotModified)
		})
	}
}

func TestARedirectedRequestIsConditionalStill(t *testing.T) {
	p := provider(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, `"1"`, r.Header.Get("If-None-Match"))
		if r.URL.Path == "/keys" {
			response := answer(r, http.StatusFound, "text/plain", strings.NewReader(""))
			response.Header.Set("Location", "/elsewhere")
			return response, nil
		}
		return answer(r, http.StatusNotModified, "", strings.NewReader("")), nil
	})
	document, err := fetch.Get(t.Context(), p.client(), keysURL, maxSize, fetch.Validators{ETag: `"1"`})
	require.NoError(t, err)
	require.Equal(t, fetch.Document{URL: keysURL, NotModified: true}, document)
}

func TestTheBodyOfNotModifiedIsClosedUnread(t *testing.T) {
	closed, body := false, &endless{}
	p := provider(func(r *http.Request) (*http.Response, error) {
		response := answer(r, http.StatusNotModified, "", nil)
		response.Body = closing{body, &closed}
		return response, nil
	})
	_, err := fetch.Get(t.Context(), p.client(), keysURL, maxSize, fetch.Validators{ETag: `"1"`})
	require.NoError(t, err)
	require.True(t, closed)
	require.Zero(t, body.read)
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	const longest = math.MaxInt32 * time.Second
	tests := []struct {
		name, value string // in a date, {} is 7 s from now
		want        time.Duration
	}{
		{"none", "", 0},
		{"zero", "0", 0},
		{"seconds", "7", 7 * time.Second},
		{"leading zeros", "007", 7 * time.Second},
		{"as many as fit", "2147483647", longest},
		{"one more", "2147483648", longest},
		{"too many for 64 bits of nanoseconds", "9223372037", longest},
		{"too many for 64 bits", strings.Repeat("9", 30), longest},
		{"a date", "{" + http.TimeFormat + "}", 7 * time.Second},
		{"a date of RFC 850", "{Monday, 02-Jan-06 15:04:05 GMT}", 7 * time.Second},
		{"a date as C writes it", "{" + time.ANSIC + "}", 7 * time.Second},
		{"a date that is past", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"a date that is far off", "Fri, 31 Dec 9999 23:59:59 GMT", longest},
		{"a date of another kind", "{" + time.RFC3339 + "}", 0},
		{"a negative number", "-7", 0},
		{"a sign", "+7", 0},
		{"a fraction", "7.5", 0},
		{"an exponent", "7e1", 0},
		{"underscores", "7_000", 0},
		{"another base", "0x7", 0},
		{"digits of another script", "٧", 0},
		{"a list", "7, 8", 0},
		{"words", "soon", 0},
		{"very many words", strings.Repeat("soon ", 1000), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				value := tt.value
				if strings.HasPrefix(value, "{") {
					value = time.Now().Add(7 * time.Second).UTC().Format(strings.Trim(value, "{}"))
				}
				for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
					_, _, err := get(t, fetch.Validators{}, status, "", "Retry-After", value)
					var got *fetch.StatusError
					require.ErrorAs(t, err, &got)
					require.Equal(t, tt.want, got.RetryAfter)
				}
			})
		})
	}
}

func TestABodyIsReadUpToTheSizeThatIsAllowed(t *testing.T) {
	for _, most := range []int64{1, 100, maxSize, 2 * maxSize} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			of := func(body io.Reader) (fetch.Document, error) {
				p := provider(func(r *http.Request) (*http.Response, error) {
					return answer(r, http.StatusOK, "application/json", body), nil
				})
				return fetch.Get(t.Context(), p.client(), keysURL, most, fetch.Validators{})
			}
			document, err := of(strings.NewReader(strings.Repeat("a", int(most))))
			require.NoError(t, err)
			require.Len(t, document.Body, int(most))

			document, err = of(strings.NewReader(strings.Repeat("a", int(most)+1)))
			require.ErrorContains(t, err, fmt.Sprintf("GET %s: the answer is larger than %d bytes", keysURL, most))
			require.Equal(t, fetch.Document{}, document)

			body := &endless{}
			_, err = of(body)
			require.Error(t, err)
			require.LessOrEqual(t, body.read, int(most)+1)
		})
	}
}

func TestTheGreatestSizeMeansNoBound(t *testing.T) {
	p := provider(func(r *http.Request) (*http.Response, error) {
		return answer(r, http.StatusOK, "application/json", strings.NewReader("{}")), nil
	})
	document, err := fetch.Get(t.Context(), p.client(), keysURL, math.MaxInt64, fetch.Validators{})
	require.NoError(t, err)
	require.Equal(t, "{}", document.Body)
}
