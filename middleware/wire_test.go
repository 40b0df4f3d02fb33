package middleware_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// forbidden is a handler that must not run.
func forbidden(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
}

// ask returns a request to a server, with a token unless that is empty.
func ask(t *testing.T, method, url, token string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// do sends a request and returns the response and all of its body.
func do(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(middleware.New(&tokens{}).RequireScope("read:patients")(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.Copy(w, r.Body)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			w.Header().Set("X-Sum", "42")
		})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	tests := []struct {
		token  string
		status int
		want   string
	}{
		{"reader", 200, "hello"},
		{"", 401, `Bearer realm="api", scope="read:patients"`},
		{"bad", 401, `Bearer realm="api", error="invalid_token"`},
		{"nobody", 403, `Bearer realm="api", error="insufficient_scope"`},
		{"unavailable", 503, "temporarily_unavailable"},
	}
	for _, tt := range tests {
		response, body := do(t, server.Client(), ask(t, "POST", server.URL, tt.token, strings.NewReader("hello")))
		require.Equal(t, 2, response.ProtoMajor)
		require.Equal(t, tt.status, response.StatusCode)
		require.Contains(t, response.Header.Get("WWW-Authenticate")+body, tt.want)
		if tt.status == 200 {
			require.Equal(t, "42", response.Trailer.Get("X-Sum"))
		}
	}

	// HTTP/2 may split cookies over several header fields, and never Authorization.
	r := ask(t, "POST", server.URL, "reader", nil)
	r.Header.Add("Authorization", "Bearer reader")
	response, _ := do(t, server.Client(), r)
	require.Equal(t, 400, response.StatusCode)
}

// A request that is refused is not read; one that is let through is limited as
// without a guard, also where the guard has read the form to look for a token.
func TestMaxBytesHandler(t *testing.T) {
	var readError error
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, readError = io.ReadAll(r.Body)
		if readError != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	plain, form := middleware.New(&tokens{}), middleware.New(&tokens{}, middleware.AllowFormToken())
	post := func(h http.Handler, contentType, token, body string) int {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		readError = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const formType = "application/x-www-form-urlencoded"
	outside := func(g *middleware.Guard) http.Handler { return http.MaxBytesHandler(g.Handler(read), 32) }
	inside := func(g *middleware.Guard) http.Handler { return g.Handler(http.MaxBytesHandler(read, 32)) }
	for name, limited := range map[string]func(*middleware.Guard) http.Handler{"outside": outside, "inside": inside} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 200, post(limited(plain), "text/plain", "reader", "short"))
			require.Equal(t, 401, post(limited(plain), "text/plain", "", strings.Repeat("x", 100)))
			require.Equal(t, 413, post(limited(plain), "text/plain", "reader", strings.Repeat("x", 100)))
			var limit *http.MaxBytesError
			require.ErrorAs(t, readError, &limit)

			require.Equal(t, 200, post(limited(form), formType, "", "access_token=reader"))
			require.Equal(t, 413, post(limited(form), formType, "", "access_token=reader&x="+strings.Repeat("x", 100)))
		})
	}
}

// Behind http.TimeoutHandler a handler that writes nothing has answered 200.
func TestTimeoutHandlerPassesRefusalsOn(t *testing.T) {
	quiet := middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) {})
	for name, guard := range map[string]*middleware.Guard{"json": middleware.New(&tokens{}), "an error handler that writes nothing": middleware.New(&tokens{}, quiet)} {
		t.Run(name, func(t *testing.T) {
			h := http.TimeoutHandler(guard.RequireScope("read:patients")(ok), time.Hour, "too slow")
			for token, status := range map[string]int{"reader": 200, "bad": 401, "nobody": 403, "unavailable": 503, "timeout": 503, "cancelled": 503, "nothing": 503} {
				w := serve(h, request("Bearer "+token))
				require.Equal(t, status, w.Code, token)
				require.Equal(t, status == 401 || status == 403, w.Header().Get("WWW-Authenticate") != "", token)
				require.Equal(t, status == 503, w.Header().Get("Retry-After") != "", token)
			}
		})
	}
}

// The time is over while the guard waits for keys: whichever of the two answers,
// it is 503.
func TestATimeoutDuringTheDecisionIsA503(t *testing.T) {
	waiting := validatorFunc(func(ctx context.Context, _ string) (*claims.Claims, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	decided := make(chan middleware.Decision, 1)
	guard := middleware.New(waiting, middleware.WithObserver(func(_ context.Context, d middleware.Decision) { decided <- d }))
	server := newServer(t, http.TimeoutHandler(guard.Handler(forbidden(t)), time.Millisecond, "too slow"))
	response, _ := do(t, server.Client(), ask(t, "GET", server.URL, "reader", nil))
	require.Equal(t, 503, response.StatusCode)
	require.Empty(t, response.Header.Get("WWW-Authenticate"))
	d := <-decided
	require.Equal(t, middleware.Undecided, d.Outcome)
	require.Equal(t, claims.ErrUnavailable, d.Reason)
}

// Whoever has asked has given up, or has been answered by somebody else: what the
// handler does would be done for nobody.
func TestARequestThatEndsBeforeTheDecisionIsNotServed(t *testing.T) {
	over := map[string]func() (context.Context, context.CancelFunc){
		"given up":      func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
		"over its time": func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), -1) },
	}
	for name, end := range over {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := end()
			cancel()
			var told middleware.Decision
			guard := middleware.New(&tokens{}, middleware.WithObserver(func(_ context.Context, d middleware.Decision) { told = d }))
			for _, h := range []http.Handler{guard.Handler(forbidden(t)), guard.RequireScope("read:patients")(forbidden(t)), guard.Optional(forbidden(t))} {
				w := serve(h, request("Bearer reader").WithContext(ctx))
				require.Equal(t, 503, w.Code)
				require.Equal(t, "5", w.Header().Get("Retry-After"))
				require.Equal(t, middleware.Undecided, told.Outcome)
				require.ErrorIs(t, told.Refusal, ctx.Err())
			}
			// What is known without asking anybody is said all the same.
			require.Equal(t, 401, serve(guard.Handler(forbidden(t)), request().WithContext(ctx)).Code)
			require.Equal(t, 401, serve(guard.Handler(forbidden(t)), request("Bearer bad").WithContext(ctx)).Code)
		})
	}

	// It ends on the way from one guard to the next.
	ctx, cancel := context.WithCancel(t.Context())
	guard := middleware.New(&tokens{})
	between := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		guard.Handler(forbidden(t)).ServeHTTP(w, r)
	})
	require.Equal(t, 503, serve(guard.Handler(between), request("Bearer reader").WithContext(ctx)).Code)
}

// Server-sent events reach the client one by one, while the handler runs.
func TestServerSentEventsGoThrough(t *testing.T) {
	next := make(chan struct{})
	guard := middleware.New(&tokens{}, middleware.AllowQueryToken()) // an EventSource can set no header
	server := newServer(t, guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next // the client has read it
		}
	})))
	response, err := server.Client().Do(ask(t, "GET", server.URL+"?access_token=reader", "", nil))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, "private", response.Header.Get("Cache-Control"))
	lines := bufio.NewScanner(response.Body)
	for i := range 3 {
		require.True(t, lines.Scan())
		require.Equal(t, fmt.Sprintf("data: %d", i), lines.Text())
		require.True(t, lines.Scan())
		next <- struct{}{}
	}
	require.False(t, lines.Scan())

	refused, _ := do(t, server.Client(), ask(t, "GET", server.URL, "", nil))
	require.Equal(t, 401, refused.StatusCode)
}

// A connection that is taken over, as for a WebSocket.
func TestHijack(t *testing.T) {
	hijack := map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	}
	for name, hijack := range hijack {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, middleware.New(&tokens{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				connection, both, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer connection.Close()
				line, _ := both.ReadString('\n')
				fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n%s", line)
			})))
			talk := func(token string) string {
				connection, err := net.Dial("tcp", server.Listener.Addr().String())
				require.NoError(t, err)
				defer connection.Close()
				fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\nhello\n", token)
				said, err := io.ReadAll(connection)
				require.NoError(t, err)
				return string(said)
			}
			require.True(t, strings.HasSuffix(talk("reader"), "\r\n\r\nhello\n"))
			require.True(t, strings.HasPrefix(talk("bad"), "HTTP/1.1 401 Unauthorized\r\n"))
		})
	}
}

// What http.ResponseController can do without the guard, it can do behind it, and
// in an error handler.
func TestResponseController(t *testing.T) {
	control := func(w http.ResponseWriter) error {
		c := http.NewResponseController(w)
		for _, err := range []error{c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.EnableFullDuplex(), c.Flush()} {
			if err != nil {
				return err
			}
		}
		return nil
	}
	guard := middleware.New(&tokens{}, middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
		fmt.Fprint(w, e.Code, " ", control(w))
	}))
	server := newServer(t, guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, control(w)) })))
	for token, want := range map[string]string{"reader": "<nil>", "bad": "invalid_token <nil>"} {
		_, body := do(t, server.Client(), ask(t, "GET", server.URL, token, nil))
		require.Equal(t, want, body)
	}
}

func TestTrailers(t *testing.T) {
	server := newServer(t, middleware.New(&tokens{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, r.Trailer.Get("X-Sent"))
		w.Header().Set("X-Announced", "a")
		w.Header().Set(http.TrailerPrefix+"X-Late", "b")
	})))
	send := func(token string) (*http.Response, string) {
		// A reader of unknown length, so that the body is chunked.
		r := ask(t, "POST", server.URL, token, io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Sent": {"sent"}}
		return do(t, server.Client(), r)
	}
	response, body := send("reader")
	require.Equal(t, "sent", body)
	require.Equal(t, http.Header{"X-Announced": {"a"}, "X-Late": {"b"}}, response.Trailer)
	response, _ = send("bad")
	require.Equal(t, 401, response.StatusCode)
	require.Empty(t, response.Trailer)
}

// countingReader counts what is read of a body.
type countingReader struct {
	io.Reader
	read atomic.Int64
}

func (r *countingReader) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	r.read.Add(int64(n))
	return n, err
}

// A client that asks before it sends a large body is refused before it has sent it.
func TestExpectContinue(t *testing.T) {
	server := newServer(t, middleware.New(&tokens{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})))
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Hour}}
	defer client.CloseIdleConnections()
	const size = 4 << 20
	for token, want := range map[string]int{"reader": 200, "bad": 401, "": 401, "unavailable": 503} {
		body := &countingReader{Reader: bytes.NewReader(make([]byte, size))}
		r := ask(t, "POST", server.URL, token, body)
		r.ContentLength = size
		r.Header.Set("Expect", "100-continue")
		response, text := do(t, client, r)
		require.Equal(t, want, response.StatusCode)
		if want == 200 {
			require.Equal(t, fmt.Sprint(size), text)
			require.EqualValues(t, size, body.read.Load())
		} else {
			require.Zero(t, body.read.Load(), "nothing was sent")
		}
	}
}

// cors is a CORS middleware as there are many.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if r.Header.Get("Origin") == "https://page.example" {
			w.Header().Set("Access-Control-Allow-Origin", "https://page.example")
			w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		}
		if r.Method == "OPTIONS" && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Headers", "Authorization")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A page can read why it was refused only where the refusal has CORS headers: so
// the CORS middleware stands before the guard.
func TestCORS(t *testing.T) {
	refusesAll := middleware.New(&tokens{})
	letsPreflights := middleware.New(&tokens{}, middleware.AllowPreflight())
	tests := []struct {
		name          string
		h             http.Handler
		method, token string
		status        int
		readable      bool // by the page
	}{
		{"before: preflight", cors(refusesAll.Handler(ok)), "OPTIONS", "", 204, true},
		{"before: refused", cors(refusesAll.Handler(ok)), "GET", "bad", 401, true},
		{"before: unavailable", cors(refusesAll.Handler(ok)), "GET", "unavailable", 503, true},
		{"before: good", cors(refusesAll.Handler(ok)), "GET", "reader", 200, true},
		{"behind: preflight", refusesAll.Handler(cors(ok)), "OPTIONS", "", 401, false},
		{"behind: preflight, allowed", letsPreflights.Handler(cors(ok)), "OPTIONS", "", 204, true},
		{"behind: refused", letsPreflights.Handler(cors(ok)), "GET", "bad", 401, false},
		{"behind: good", letsPreflights.Handler(cors(ok)), "GET", "reader", 200, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t, tt.h)
			r := ask(t, tt.method, server.URL, tt.token, nil)
			r.Header.Set("Origin", "https://page.example")
			if tt.method == "OPTIONS" {
				r.Header.Set("Access-Control-Request-Method", "GET")
				r.Header.Set("Access-Control-Request-Headers", "authorization")
			}
			response, _ := do(t, server.Client(), r)
			require.Equal(t, tt.status, response.StatusCode)
			require.Equal(t, tt.readable, response.Header.Get("Access-Control-Allow-Origin") != "")
			if tt.status == 401 {
				require.NotEmpty(t, response.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

// The bytes themselves, since http.Client would not show a body behind HEAD.
func TestHEADHasNoBodyAndTheHeaderOfGET(t *testing.T) {
	server := newServer(t, middleware.New(&tokens{}).Handler(ok))
	raw := func(method, token string) (head, body string) {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer connection.Close()
		fmt.Fprintf(connection, "%s / HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", method, token)
		all, err := io.ReadAll(connection)
		require.NoError(t, err)
		head, body, found := strings.Cut(string(all), "\r\n\r\n")
		require.True(t, found)
		var lines []string
		for line := range strings.SplitSeq(head, "\r\n") {
			if !strings.HasPrefix(line, "Date: ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n"), body
	}
	for _, token := range []string{"reader", "bad", "unavailable"} {
		want, body := raw("GET", token)
		require.NotEmpty(t, body)
		got, body := raw("HEAD", token)
		require.Equal(t, want, got)
		require.Empty(t, body)
	}
}
