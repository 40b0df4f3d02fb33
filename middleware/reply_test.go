package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// hinting is an error that says when to try again.
type hinting time.Duration

func (h hinting) Error() string             { return "secret cause" }
func (h hinting) RetryAfter() time.Duration { return time.Duration(h) }

func TestA503SaysWhenToTryAgain(t *testing.T) {
	const most = time.Duration(math.MaxInt64)
	own := func(wait time.Duration) error { return &middleware.Error{Status: 503, RetryAfter: wait} }
	ours := func(wait time.Duration) error { return fmt.Errorf("%w: %w", claims.ErrUnavailable, hinting(wait)) }
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no hint", claims.ErrUnavailable, "5"},
		{"the end of a context", context.Canceled, "5"},
		{"a hint", ours(7 * time.Second), "7"},
		{"a hint, rounded up", ours(7*time.Second + 1), "8"},
		{"a moment", ours(1), "1"},
		{"a hint of none", ours(0), "1"},
		{"a hint below zero", ours(-time.Minute), "1"},
		{"an hour", ours(time.Hour), "3600"},
		{"more than an hour", ours(time.Hour + 1), "3600"},
		{"forever", ours(most), "3600"},
		{"a hint beside the end of a context", fmt.Errorf("%w: %w", hinting(7*time.Second), context.DeadlineExceeded), "7"},
		{"a hint deep within", fmt.Errorf("a: %w", errors.Join(claims.ErrUnavailable, fmt.Errorf("b: %w", hinting(9*time.Second)))), "9"},
		{"one's own without", own(0), "5"},
		{"one's own", own(90 * time.Second), "90"},
		{"one's own, rounded up", own(1), "1"},
		{"one's own, a day", own(24 * time.Hour), "86400"},
		{"one's own, below zero", own(-1), "5"},
		{"one's own, forever", own(most), "86400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			handlers := []http.Handler{middleware.New(&tokens{}).Require(failing(tt.err))(ok)}
			if !strings.HasPrefix(tt.name, "one's own") {
				v := validatorFunc(func(context.Context, string) (*claims.Claims, error) { return nil, tt.err })
				handlers = append(handlers, middleware.New(v).Handler(ok), middleware.New(v).Optional(ok))
			}
			for _, h := range handlers {
				w := serve(h, request("Bearer reader"))
				require.Equal(t, 503, w.Code)
				require.Equal(t, tt.want, w.Header().Get("Retry-After"))
				require.Empty(t, challengeOf(w))
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestOtherStatusesSayWhenToTryAgainWhereARequirementDoes(t *testing.T) {
	tests := []struct {
		name      string
		err       error
		status    int
		wait      string
		challenge string
	}{
		{"too many requests", &middleware.Error{Status: 429, RetryAfter: 1500 * time.Millisecond}, 429, "2", ""},
		{"too many requests, without", &middleware.Error{Status: 429}, 429, "", ""},
		{"too many requests, below zero", &middleware.Error{Status: 429, RetryAfter: -time.Second}, 429, "", ""},
		{"forbidden for a while", &middleware.Error{Status: 403, Code: "access_denied", RetryAfter: time.Minute}, 403, "60", denied},
		{"a reason that hints is no hint", hinting(time.Minute), 403, "", denied},
		{"a reason that hints, in one's own", &middleware.Error{Status: 429, Err: hinting(time.Minute)}, 429, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(middleware.New(&tokens{}).Require(failing(tt.err))(ok), request("Bearer reader"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.wait, w.Header().Get("Retry-After"))
			require.Equal(t, tt.challenge, challengeOf(w))
		})
	}
}

// From the issuer's answer to the client's, through all rooms of the house.
func TestTheWaitForKeysReachesTheClient(t *testing.T) {
	tests := []struct {
		name, later string // what the issuer says
		want        string
	}{
		{"it says nothing", "", "1"},
		{"it asks for seconds", "7", "7"},
		{"it asks for longer than a request without keys may wait", "600", "15"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := authtest.NewIssuer(t)
				busy := true
				client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					if !busy {
						return issuer.HTTPClient().Do(r)
					}
					w := httptest.NewRecorder()
					if tt.later != "" {
						w.Header().Set("Retry-After", tt.later)
					}
					w.WriteHeader(503)
					response := w.Result()
					response.Request = r
					return response, nil
				})}
				keys, err := jwks.NewRemote(jwks.Config{URL: issuer.KeySetURL(), Client: client})
				require.NoError(t, err)
				v, err := claims.NewValidator(claims.Config{Issuer: issuer.URL(), Audience: audience, Keys: keys})
				require.NoError(t, err)
				h := middleware.New(v).Handler(ok)
				r := request()
				issuer.Authorize(r, authtest.Audience(audience))

				w := serve(h, r)
				require.Equal(t, 503, w.Code)
				require.Equal(t, tt.want, w.Header().Get("Retry-After"))
				require.Equal(t, sayUnavailable+"\n", w.Body.String())

				// Half a second later there is less to wait, and it is rounded up.
				time.Sleep(500 * time.Millisecond)
				require.Equal(t, tt.want, serve(h, r).Header().Get("Retry-After"))
				time.Sleep(500 * time.Millisecond)
				if tt.want != "1" {
					require.Equal(t, fmt.Sprint(atoi(t, tt.want)-1), serve(h, r).Header().Get("Retry-After"))
				}
				// Who waits as long as he was told, finds the keys.
				busy = false
				wait := serve(h, r).Header().Get("Retry-After")
				if wait != "" {
					time.Sleep(time.Duration(atoi(t, wait)) * time.Second)
				}
				require.Equal(t, 200, serve(h, r).Code)
			})
		})
	}
}

func atoi(t *testing.T, text string) (n int) {
	_, err := fmt.Sscan(text, &n)
	require.NoError(t, err)
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What a requirement of one's own says: quoted where it can be, and left out where
// not (RFC 6750 §3).
func TestWhatARequirementSaysIsQuotedOrLeftOut(t *testing.T) {
	const start = `Bearer realm="api", error="insufficient_user_authentication"`
	stepUp := func(e middleware.Error) *middleware.Error {
		e.Status, e.Code = 401, middleware.CodeInsufficientUserAuthentication
		return &e
	}
	tests := []struct {
		name string
		err  *middleware.Error
		want string
	}{
		{"nothing", stepUp(middleware.Error{}), start},
		{"all", stepUp(middleware.Error{Description: "log in", Scope: "a b", ACRValues: "x y", MaxAge: time.Minute}),
			start + `, error_description="log in", scope="a b", acr_values="x y", max_age="60"`},
		{"every character that may stand", stepUp(middleware.Error{Description: printable}), start + `, error_description="` + printable + `"`},
		{"quotes", stepUp(middleware.Error{Description: `say "x"`, Scope: `a"b`, ACRValues: `a"b`}), start},
		{"a backslash", stepUp(middleware.Error{Description: `a\b`, Scope: `a\b`, ACRValues: `a\b`}), start},
		{"line breaks", stepUp(middleware.Error{Description: "a\r\nb", Scope: "a\nb", ACRValues: "a\rb"}), start},
		{"a tab", stepUp(middleware.Error{Description: "a\tb", Scope: "a\tb"}), start},
		{"the last control character", stepUp(middleware.Error{Description: "a\x1fb", Scope: "a\x1fb"}), start},
		{"a NUL and a DEL", stepUp(middleware.Error{Description: "a\x00", Scope: "a\x7f"}), start},
		{"beyond ASCII", stepUp(middleware.Error{Description: "é", Scope: "\xff"}), start},
		{"a comma and an equals sign stay within", stepUp(middleware.Error{Description: "a, error=x"}), start + `, error_description="a, error=x"`},
		{"one of many cannot", stepUp(middleware.Error{Description: `"`, Scope: "a", ACRValues: "x"}), start + `, scope="a", acr_values="x"`},
		{"an age below a second", stepUp(middleware.Error{MaxAge: 1}), start + ``},
		{"an age with a fraction", stepUp(middleware.Error{MaxAge: 1999 * time.Millisecond}), start + `, max_age="1"`},
		{"an age below zero", stepUp(middleware.Error{MaxAge: -time.Second}), start},
		{"step-up only with its code", &middleware.Error{Status: 401, Code: "invalid_token", ACRValues: "x", MaxAge: time.Second}, `Bearer realm="api", error="invalid_token"`},
		{"a code that is not defined", &middleware.Error{Status: 401, Code: "made_up", Description: "x", Scope: "a"}, `Bearer realm="api", scope="a"`},
		{"no code", &middleware.Error{Status: 401, Description: "x", Scope: "a"}, `Bearer realm="api", scope="a"`},
		{"a code with what would break out", &middleware.Error{Status: 400, Code: `x", error="y`}, `Bearer realm="api"`},
		{"402 has no challenge", &middleware.Error{Status: 402, Code: "invalid_token", Scope: "a"}, ""},
		{"500 has no challenge", &middleware.Error{Status: 500, Code: "invalid_token", Scope: "a"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(middleware.New(&tokens{}).Require(failing(tt.err))(ok), request("Bearer reader"))
			require.Equal(t, tt.err.Status, w.Code)
			require.Equal(t, tt.want, challengeOf(w))
		})
	}
}

// printable has all characters of an error_description (RFC 6750 §3).
var printable = func() string {
	var all strings.Builder
	for c := byte(0x20); c <= 0x7e; c++ {
		if c != '"' && c != '\\' {
			all.WriteByte(c)
		}
	}
	return all.String()
}()

func TestARealmIsInEachChallenge(t *testing.T) {
	for _, realm := range []string{"patients", "", printable} {
		guard := middleware.New(&tokens{}, middleware.WithRealm(realm))
		for _, authorization := range []string{"Basic x", "Bearer", "Bearer bad"} {
			challenge := challengeOf(serve(guard.Handler(ok), request(authorization)))
			require.True(t, strings.HasPrefix(challenge, `Bearer realm="`+realm+`"`), challenge)
		}
	}
}

// What somebody has put into the header before is not what is answered.
func TestARefusalReplacesWhatStandsInTheHeader(t *testing.T) {
	h := middleware.New(&tokens{}).Handler(ok)
	before := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
		h.ServeHTTP(w, r)
	})
	w := serve(before, request())
	require.Equal(t, []string{`Bearer realm="api"`}, w.Header().Values("WWW-Authenticate"))
	require.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	require.Equal(t, "https://app.example", w.Header().Get("Access-Control-Allow-Origin"), "a page may read why it was refused")
}

// An error handler has what the server's writer can do.
func TestAnErrorHandlerReachesTheWriterBehind(t *testing.T) {
	var err error
	guard := middleware.New(&tokens{}, middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
		err = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute))
	}))
	server := httptest.NewServer(guard.Handler(ok))
	defer server.Close()
	response, failed := server.Client().Get(server.URL)
	require.NoError(t, failed)
	response.Body.Close()
	require.NoError(t, err)
	require.Equal(t, 401, response.StatusCode)
}

// The same over HTTP/2, where the reply comes before the body has.
func TestATokenInAFormOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(middleware.New(&tokens{}, middleware.AllowFormToken()).Handler(whoever))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for form, status := range map[string]int{"access_token=reader": 200, "access_token=bad": 401, "x=" + strings.Repeat("x", 2<<20): 413, "": 401} {
		response, err := server.Client().Post(server.URL, formType, strings.NewReader(form))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, 2, response.ProtoMajor)
		require.Equal(t, status, response.StatusCode)
	}
}

// What Check returns is what the guard has verified, also behind a handler that has
// changed its own.
func TestCheckReturnsWhatWasVerified(t *testing.T) {
	guard := middleware.New(&tokens{})
	h := guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mine, _ := claims.FromContext(r.Context())
		mine.Subject = "changed"
		c, err := guard.Check(r)
		require.NoError(t, err)
		require.Equal(t, "user-1", c.Subject)
		c.Subject = "changed as well"
		again, _ := guard.Check(r)
		require.Equal(t, "user-1", again.Subject)
	}))
	require.Equal(t, 200, serve(h, request("Bearer reader")).Code)
}
