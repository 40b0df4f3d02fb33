package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

const (
	formType = "application/x-www-form-urlencoded"
	sayOne   = `Bearer realm="api", error="invalid_request", error_description="the request must have one access token, sent in one way"`
)

// everywhere has all ways of sending a token that a guard can allow.
func everywhere() []middleware.Option {
	return []middleware.Option{middleware.AllowFormToken(), middleware.AllowQueryToken(), middleware.AllowCookieToken("session", nil)}
}

// posted returns a request with a form.
func posted(target, form string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", target, strings.NewReader(form))
	r.Header.Set("Content-Type", formType)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// ways has each way of sending a token, on a request that has none.
var ways = []struct {
	name string
	send func(r *http.Request, token string)
}{
	{"header", func(r *http.Request, token string) { r.Header.Add("Authorization", "Bearer "+token) }},
	{"query", func(r *http.Request, token string) { r.URL.RawQuery += "&access_token=" + token }},
	{"form", func(r *http.Request, token string) {
		before, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(before) + "&access_token=" + token))
		r.ContentLength = -1
	}},
	{"cookie", func(r *http.Request, token string) { r.AddCookie(&http.Cookie{Name: "session", Value: token}) }},
}

func TestATokenIsFoundWhereTheGuardWasToldToLook(t *testing.T) {
	none := []middleware.Option{}
	options := map[string][]middleware.Option{
		"none": none, "all": everywhere(), "form": {middleware.AllowFormToken()}, "query": {middleware.AllowQueryToken()},
		"cookie": {middleware.AllowCookieToken("session", nil)},
	}
	for allowed, option := range options {
		for _, way := range ways {
			t.Run(allowed+" allowed, "+way.name+" sent", func(t *testing.T) {
				found := way.name == "header" || allowed == "all" || allowed == way.name
				for _, token := range []string{"reader", "bad"} {
					r := posted("/?x=1", "y=2")
					way.send(r, token)
					w := serve(middleware.New(&tokens{}, option...).Handler(whoever), r)
					switch {
					case !found:
						require.Equal(t, 401, w.Code)
						require.Equal(t, `Bearer realm="api"`, challengeOf(w), "as with no token at all")
					case token == "bad":
						require.Equal(t, 401, w.Code)
						require.Equal(t, invalidToken, challengeOf(w))
					default:
						require.Equal(t, "user-1 by reader", w.Body.String())
					}
				}
			})
		}
	}
}

// RFC 6750 §2, §3.1: also where both are the same token, or one of them is none.
func TestATokenInTwoPlacesIsRefused(t *testing.T) {
	for _, first := range ways {
		for _, second := range ways {
			for _, token := range []string{"reader", "nobody", "bad"} {
				t.Run(first.name+" and "+second.name+" "+token, func(t *testing.T) {
					r := posted("/?x=1", "y=2")
					first.send(r, "reader")
					second.send(r, token)
					v := &tokens{}
					w := serve(middleware.New(v, everywhere()...).Handler(whoever), r)
					require.Equal(t, 400, w.Code)
					require.Contains(t, challengeOf(w), `error="invalid_request"`)
					require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
					require.Zero(t, v.calls)
				})
			}
		}
	}
}

// What the guard was not told of is not even a second token.
func TestWhereNobodyLooksATokenIsNone(t *testing.T) {
	r := posted("/?access_token=nobody", "access_token=nobody", "Authorization", "Bearer reader", "Cookie", "session=nobody; access_token=nobody")
	w := serve(middleware.New(&tokens{}).Handler(whoever), r)
	require.Equal(t, "user-1 by reader", w.Body.String())
	require.Empty(t, w.Header().Get("Cache-Control"))
	r = posted("/?access_token=nobody", "access_token=nobody", "Cookie", "session=nobody; access_token=nobody")
	require.Equal(t, "nobody", serve(middleware.New(&tokens{}).Optional(whoever), r).Body.String())
}

func TestWhatIsNotOneTokenIsRefused(t *testing.T) {
	tests := []struct {
		name    string
		request *http.Request
	}{
		{"an empty parameter", plain("GET", "/?access_token=")},
		{"a parameter without a value", plain("GET", "/?access_token")},
		{"two parameters", plain("GET", "/?access_token=reader&access_token=reader")},
		{"two parameters, one empty", plain("GET", "/?access_token=reader&access_token=")},
		{"an escaped space", plain("GET", "/?access_token=reader+nobody")},
		{"the scheme as well", plain("GET", "/?access_token=Bearer%20reader")},
		{"a NUL", plain("GET", "/?access_token=reader%00")},
		{"an empty field", posted("/", "access_token=")},
		{"two fields", posted("/", "access_token=reader&access_token=reader")},
		{"two cookies", plain("GET", "/", "Cookie", "session=reader; session=nobody")},
		{"two cookie headers", plain("GET", "/", "Cookie", "session=reader", "Cookie", "session=reader")},
		{"a cookie with something else", plain("GET", "/", "Cookie", "session={reader}")},
		{"a header and an empty parameter", plain("GET", "/?access_token=", "Authorization", "Bearer reader")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &tokens{}
			w := serve(middleware.New(v, everywhere()...).Optional(whoever), tt.request)
			require.Equal(t, 400, w.Code)
			require.Equal(t, sayOne, challengeOf(w))
			require.Zero(t, v.calls)
		})
	}
}

func TestAHeaderThatIsMalformedIsRefusedWhateverElseThereIs(t *testing.T) {
	for _, header := range []string{"Bearer", "Bearer a b", "Bearer =="} {
		w := serve(middleware.New(&tokens{}, everywhere()...).Handler(whoever), plain("GET", "/?access_token=reader", "Authorization", header))
		require.Equal(t, 400, w.Code)
	}
	w := serve(middleware.New(&tokens{}, everywhere()...).Handler(whoever), plain("GET", "/?access_token=reader", "Authorization", "Basic eDp4"))
	require.Equal(t, "user-1 by reader", w.Body.String(), "another scheme is no access token")
}

// RFC 6750 §2.2.
func TestOnlyAFormHasATokenInItsBody(t *testing.T) {
	const form = "access_token=reader"
	tests := []struct {
		name, method, kind, body string
		status                   int
	}{
		{"POST", "POST", formType, form, 200},
		{"PUT", "PUT", formType, form, 200},
		{"PATCH", "PATCH", formType, form, 200},
		{"GET", "GET", formType, form, 401},
		{"HEAD", "HEAD", formType, form, 401},
		{"DELETE", "DELETE", formType, form, 401},
		{"OPTIONS", "OPTIONS", formType, form, 401},
		{"a method in other letters", "post", formType, form, 401},
		{"with a charset", "POST", formType + "; charset=UTF-8", form, 200},
		{"a type in other letters", "POST", "Application/X-WWW-Form-URLEncoded", form, 200},
		{"spaces around the type", "POST", " " + formType + " ;charset=utf-8", form, 200},
		{"no type", "POST", "", form, 401},
		{"plain text", "POST", "text/plain", form, 401},
		{"JSON", "POST", "application/json", `{"access_token":"reader"}`, 401},
		{"several parts", "POST", `multipart/form-data; boundary="b"`, "--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nreader\r\n--b--\r\n", 401},
		{"a type that begins alike", "POST", formType + "ed", form, 401},
		{"a type with a malformed parameter, which ParseForm takes", "POST", formType + "; charset", form, 200},
		{"among others", "POST", formType, "a=1&access_token=reader&b=2", 200},
		{"escaped", "POST", formType, "%61ccess_token=r%65ader", 200},
		{"in other letters", "POST", formType, "Access_Token=reader", 401},
		{"beside what cannot be read", "POST", formType, "a=%zz&access_token=reader", 400},
		{"in what cannot be read", "POST", formType, "x;access_token=reader", 400},
		{"empty", "POST", formType, "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			w := serve(middleware.New(&tokens{}, middleware.AllowFormToken()).Handler(whoever), r)
			require.Equal(t, tt.status, w.Code)
		})
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", formType)
	r.Body = nil
	require.Equal(t, 401, serve(middleware.New(&tokens{}, middleware.AllowFormToken()).Handler(whoever), r).Code, "no body at all")
}

// closing is a body that tells whether it was closed.
type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func TestTheHandlerFindsTheBodyAsItWas(t *testing.T) {
	const form = "a=%20&access_token=reader&b=+c"
	guard := middleware.New(&tokens{}, middleware.AllowFormToken())
	closed := false
	r := posted("/", form)
	r.Body = closing{strings.NewReader(form), &closed}
	var body []byte
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var err error
		body, err = io.ReadAll(r.Body)
		require.NoError(t, err)
		require.EqualValues(t, len(form), r.ContentLength)
		require.Nil(t, r.PostForm)
		require.False(t, closed)
		require.NoError(t, r.Body.Close())
	})
	serve(guard.Handler(guard.Handler(h)), r)
	require.Equal(t, form, string(body))
	require.True(t, closed)
}

func TestAHandlerCanParseTheFormAfterwards(t *testing.T) {
	guard := middleware.New(&tokens{}, middleware.AllowFormToken())
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, r.ParseForm())
		require.Equal(t, "c", r.PostForm.Get("b"))
		require.Equal(t, "d", r.FormValue("q"))
		io.WriteString(w, "ran")
	})
	require.Equal(t, "ran", serve(guard.Handler(guard.RequireScope("openid")(h)), posted("/?q=d", "access_token=reader&b=c")).Body.String())
}

func TestAFormThatSomebodyHasParsedBefore(t *testing.T) {
	parsed := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, r.ParseForm())
			next.ServeHTTP(w, r)
		})
	}
	h := parsed(middleware.New(&tokens{}, middleware.AllowFormToken()).Handler(whoever))
	require.Equal(t, "user-1 by reader", serve(h, posted("/", "access_token=reader")).Body.String())
	require.Equal(t, 400, serve(h, posted("/", "access_token=reader&access_token=reader")).Code)
	require.Equal(t, 401, serve(h, posted("/?access_token=reader", "")).Code, "the query's is another")
	h = parsed(middleware.New(&tokens{}, everywhere()...).Handler(whoever))
	require.Equal(t, "user-1 by reader", serve(h, posted("/?access_token=reader", "")).Body.String(), "nor is it counted twice")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// failingReader ends with an error after a few bytes.
type failingReader struct{ err error }

func (f failingReader) Read(p []byte) (int, error) { return copy(p, "access_token=reader"), f.err }

func TestFormsThatCannotBeRead(t *testing.T) {
	const most = 1 << 20
	const tooLarge = `{"error":"invalid_request","error_description":"the form is too large to have an access token in it; send the token in the header"}` + "\n"
	padded := func(size int) string {
		return "access_token=reader&pad=" + strings.Repeat("x", size-len("access_token=reader&pad="))
	}
	chunked := func(form string) *http.Request {
		r := posted("/", form)
		r.ContentLength = -1
		return r
	}
	limited := func(form string, limit int64) *http.Request {
		r := posted("/", form)
		r.Body = http.MaxBytesReader(nil, r.Body, limit)
		return r
	}
	broken := func(err error) *http.Request {
		r := posted("/", "")
		r.Body, r.ContentLength = io.NopCloser(failingReader{err}), -1
		return r
	}
	untouched := posted("/", "")
	untouched.ContentLength = most + 1
	untouched.Body = closing{readerFunc(func([]byte) (int, error) { t.Error("it was read"); return 0, io.EOF }), new(bool)}
	tests := []struct {
		name    string
		request *http.Request
		status  int
		reason  error
	}{
		{"as large as may be", posted("/", padded(most)), 200, nil},
		{"a byte larger", posted("/", padded(most+1)), 413, middleware.ErrInvalidRequest},
		{"as large as may be, of unknown length", chunked(padded(most)), 200, nil},
		{"a byte larger, of unknown length", chunked(padded(most + 1)), 413, middleware.ErrInvalidRequest},
		{"larger, and it is not even read", untouched, 413, middleware.ErrInvalidRequest},
		{"a limit of somebody else", limited(padded(100), 100), 200, nil},
		{"beyond the limit of somebody else", limited(padded(101), 100), 413, middleware.ErrInvalidRequest},
		{"cut off", broken(io.ErrUnexpectedEOF), 400, middleware.ErrInvalidRequest},
		{"an error", broken(errors.New("secret cause")), 400, middleware.ErrInvalidRequest},
		{"given up", broken(context.Canceled), 503, claims.ErrUnavailable},
		{"too late", broken(fmt.Errorf("secret cause: %w", context.DeadlineExceeded)), 503, claims.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			w := serve(middleware.New(&tokens{}, middleware.AllowFormToken(), noting(&seen)).Handler(whoever), tt.request)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.reason, seen[0].Reason)
			require.NotContains(t, w.Body.String(), "secret cause")
			switch tt.status {
			case 413:
				require.Equal(t, tooLarge, w.Body.String())
				require.Empty(t, challengeOf(w))
			case 400:
				require.Equal(t, `Bearer realm="api", error="invalid_request", error_description="the form could not be read to its end"`, challengeOf(w))
			}
		})
	}
}

// As a server does it, whose limit closes the connection.
func TestAFormBeyondMaxBytesHandler(t *testing.T) {
	guard := middleware.New(&tokens{}, middleware.AllowFormToken())
	server := httptest.NewServer(http.MaxBytesHandler(guard.Handler(whoever), 64))
	defer server.Close()
	for form, status := range map[string]int{"access_token=reader": 200, "access_token=reader&pad=" + strings.Repeat("x", 64): 413} {
		response, err := server.Client().Post(server.URL, formType, strings.NewReader(form))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, status, response.StatusCode)
	}
}

// A cookie goes along with what another site has a browser send.
func TestACookieFromAnotherSite(t *testing.T) {
	trusting := http.NewCrossOriginProtection()
	require.NoError(t, trusting.AddTrustedOrigin("https://app.example"))
	bypassing := http.NewCrossOriginProtection()
	bypassing.AddInsecureBypassPattern("/hook")
	tests := []struct {
		name       string
		protection *http.CrossOriginProtection
		method     string
		headers    []string
		status     int
	}{
		{"a browser of before 2023, or none", nil, "POST", nil, 200},
		{"the same origin", nil, "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"the user himself", nil, "POST", []string{"Sec-Fetch-Site", "none"}, 200},
		{"another origin of the site", nil, "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another site", nil, "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, DELETE", nil, "DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, a method of its own", nil, "PURGE", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, a WebSocket of HTTP/2", nil, "CONNECT", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site, GET", nil, "GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		{"another site, HEAD", nil, "HEAD", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		{"another site, OPTIONS", nil, "OPTIONS", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		{"another origin", nil, "POST", []string{"Origin", "https://evil.example"}, 403},
		{"no origin that could be named", nil, "POST", []string{"Origin", "null"}, 403},
		{"this origin", nil, "POST", []string{"Origin", "https://example.com"}, 200},
		{"an origin that begins alike", nil, "POST", []string{"Origin", "https://example.com.evil.example"}, 403},
		{"another site that claims this origin", nil, "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://example.com"}, 403},
		{"a WebSocket from another site", nil, "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a WebSocket from another origin", nil, "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://evil.example"}, 403},
		{"a WebSocket from here", nil, "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://example.com"}, 200},
		{"a WebSocket of no browser", nil, "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 200},
		{"a trusted origin", trusting, "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"}, 200},
		{"a trusted origin of an old browser", trusting, "POST", []string{"Origin", "https://app.example"}, 200},
		{"a WebSocket from a trusted origin", trusting, "GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"}, 200},
		{"another than the trusted origin", trusting, "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"a path without protection", bypassing, "POST", []string{"Sec-Fetch-Site", "cross-site"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, wrap := range []func(*middleware.Guard, http.Handler) http.Handler{(*middleware.Guard).Handler, (*middleware.Guard).Optional} {
				var seen []middleware.Decision
				v := &tokens{}
				guard := middleware.New(v, middleware.AllowCookieToken("session", tt.protection), noting(&seen))
				w := serve(wrap(guard, whoever), plain(tt.method, "https://example.com/hook", append(tt.headers, "Cookie", "session=reader")...))
				require.Equal(t, tt.status, w.Code)
				if tt.status == 403 {
					require.Equal(t, denied, challengeOf(w))
					require.Equal(t, sayDenied, w.Body.String())
					require.Equal(t, middleware.ErrAccessDenied, seen[0].Reason)
					require.Zero(t, v.calls)
				}
			}
			// Only a cookie goes along by itself.
			w := serve(middleware.New(&tokens{}, everywhere()...).Handler(whoever),
				plain(tt.method, "https://example.com/", append(tt.headers, "Authorization", "Bearer reader")...))
			require.Equal(t, 200, w.Code)
		})
	}
}

// RFC 6750 §2.3.
func TestResponsesToATokenInTheQueryArePrivate(t *testing.T) {
	tests := []struct {
		name, target string
		headers      []string
		status       int
		want         string
	}{
		{"by the query", "/?access_token=reader", nil, 200, "private"},
		{"by the header", "/", []string{"Authorization", "Bearer reader"}, 200, ""},
		{"by the cookie", "/", []string{"Cookie", "session=reader"}, 200, "private"},
		{"by the query, refused", "/?access_token=bad", nil, 401, "no-store"},
		{"by the query, undecided", "/?access_token=unavailable", nil, 503, "no-store"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guard := middleware.New(&tokens{}, everywhere()...)
			for _, h := range []http.Handler{guard.Handler(whoever), guard.Optional(whoever), guard.Handler(guard.RequireScope("openid")(whoever))} {
				w := serve(h, plain("GET", tt.target, tt.headers...))
				require.Equal(t, tt.status, w.Code)
				require.Equal(t, tt.want, w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestCheckFindsTheTokenWhereTheGuardDoes(t *testing.T) {
	guard := middleware.New(&tokens{}, everywhere()...)
	r := posted("/", "access_token=reader")
	for range 2 {
		c, err := guard.Check(r)
		require.NoError(t, err)
		require.Equal(t, "user-1", c.Subject)
	}
	_, err := guard.Check(plain("GET", "/?access_token="))
	require.ErrorIs(t, err, middleware.ErrInvalidRequest)
}

func TestACookieNeedsAName(t *testing.T) {
	require.PanicsWithValue(t, "middleware: AllowCookieToken needs the name of the cookie", func() { middleware.AllowCookieToken("", nil) })
}
