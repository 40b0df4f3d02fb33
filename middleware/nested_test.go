package middleware_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

// scoped returns a validator for which the token is the list of scopes, with _ for a space.
func scoped() middleware.Validator {
	return validatorFunc(func(_ context.Context, token string) (*claims.Claims, error) {
		return &claims.Claims{Scope: scope.FromToken(strings.ReplaceAll(token, "_", " "))}, nil
	})
}

// A client asks for what the challenge names and nothing else. If guards that stand
// behind one another named only what each asks for itself, it would lose the one scope
// while it gets the other, for ever.
func TestAClientThatAsksForWhatItIsToldGetsIn(t *testing.T) {
	guard := middleware.New(scoped())
	logged := func(next http.Handler) http.Handler { return http.HandlerFunc(next.ServeHTTP) }
	handlers := map[string]http.Handler{
		"one guard with two requirements": guard.Require(middleware.Scopes(scope.All("a")), middleware.Scopes(scope.All("b")))(ok),
		"a guard behind another":          guard.RequireScope("a")(guard.RequireScope("b")(ok)),
		"something in between":            guard.RequireScope("a")(logged(guard.RequireScope("b")(ok))),
		"three":                           guard.RequireScope("a")(logged(guard.Handler(logged(guard.RequireScope("b")(guard.RequireScope("c")(ok)))))),
		"by the method":                   guard.RequireScope("a")(logged(guard.Require(middleware.ByMethod(map[string]middleware.Requirement{"GET": middleware.Scopes(scope.Any("b", "c"))}))(ok))),
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			for _, token := range []string{"", "x", "a", "b", "c", "a_c"} {
				r := request()
				for range 4 {
					if token != "" {
						r = request("Bearer " + token)
					}
					w := serve(h, r)
					if w.Code == 200 {
						break
					}
					_, rest, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), `scope="`)
					asked, _, _ := strings.Cut(rest, `"`)
					token = strings.ReplaceAll(asked, " ", "_")
				}
				require.Equal(t, 200, serve(h, request("Bearer "+token)).Code, "the client ends with %q", token)
			}
		})
	}
}

// What one branch asks for is nothing to the other.
func TestGuardsSideBySideDoNotAddUp(t *testing.T) {
	guard := middleware.New(scoped())
	var challenges []string
	h := guard.RequireScope("a")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"b", "c"} {
			w := httptest.NewRecorder()
			guard.RequireScope(name)(ok).ServeHTTP(w, r)
			challenges = append(challenges, w.Header().Get("WWW-Authenticate"))
		}
	}))
	serve(h, request("Bearer a"))
	require.Len(t, challenges, 2)
	require.Contains(t, challenges[0], `scope="a b"`)
	require.Contains(t, challenges[1], `scope="a c"`)
}

func TestAPassageDoesNotOutliveItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(time.Minute)
		guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) {
			if !time.Now().Before(end) {
				return nil, claims.ErrExpired
			}
			return &claims.Claims{Expiry: end}, nil
		}))
		var before, after int
		serve(guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute - 1)
			before = serve(guard.Handler(http.NotFoundHandler()), r).Code
			time.Sleep(time.Nanosecond)
			after = serve(guard.Handler(http.NotFoundHandler()), r).Code
		})), request("Bearer token"))
		require.Equal(t, 404, before)
		require.Equal(t, 401, after)
	})
}

func TestAZeroGuardOpensNothing(t *testing.T) {
	var guard middleware.Guard
	require.PanicsWithValue(t, "middleware: the Guard is a zero value; make one with New", func() { guard.Handler(ok) })
	require.PanicsWithValue(t, "middleware: the Guard is a zero value; make one with New", func() { guard.Optional(ok) })
	_, err := guard.Check(request("Bearer token"))
	require.ErrorContains(t, err, "temporarily_unavailable")
}

func TestPublic(t *testing.T) {
	h := middleware.Public(ok)
	require.Equal(t, middleware.Open, middleware.PolicyOf(h).Access)
	require.Equal(t, "public", middleware.PolicyOf(h).String())
	require.Panics(t, func() { middleware.Public(nil) })

	var seen []middleware.Decision
	r := request()
	r = r.WithContext(middleware.ContextWithObserver(r.Context(), func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }))
	require.Equal(t, 204, serve(middleware.Public(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })), r).Code)
	require.Len(t, seen, 1)
	require.Equal(t, middleware.Anonymous, seen[0].Outcome)
	require.Equal(t, "public", seen[0].Policy.String())

	// A guard behind it is one all the same, and says so.
	guard := middleware.New(&tokens{})
	require.Equal(t, "scope a", middleware.PolicyOf(middleware.Public(guard.RequireScope("a")(ok))).String())
	require.Equal(t, 401, serve(middleware.Public(guard.Handler(ok)), request()).Code)
}

func TestAPreflightHasNoCredentials(t *testing.T) {
	guard := middleware.New(&tokens{}, middleware.AllowPreflight(), middleware.AllowQueryToken(), middleware.AllowCookieToken("at", nil))
	ask := func(target string, headers ...string) int {
		r := httptest.NewRequest("OPTIONS", target, nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return serve(guard.Handler(http.NotFoundHandler()), r).Code
	}
	require.Equal(t, 404, ask("/"))
	require.Equal(t, 401, ask("/?access_token=bad"))
	require.NotEqual(t, 404, ask("/", "Cookie", "at=bad"))
	require.Equal(t, 401, ask("/", "Authorization", "Bearer bad"))
	require.Equal(t, 401, ask("/", "Authorization", "Basic dXNlcjpwYXNz"))
}

func TestAMalformedTokenIsNoMissingToken(t *testing.T) {
	guard := middleware.New(&tokens{}, middleware.AllowQueryToken(), middleware.AllowCookieToken("at", nil), middleware.AllowFormToken())
	tests := []struct {
		name, target string
		header       [2]string
	}{
		{"a semicolon in the query", "/?access_token=bad;", [2]string{}},
		{"a broken escape in the query", "/?access_token=bad%zz", [2]string{}},
		{"a cookie that is no ASCII", "/", [2]string{"Cookie", "at=ba\xffd"}},
		{"a tab for a space", "/", [2]string{"Authorization", "Bearer\tbad"}},
		{"a comma for a space", "/", [2]string{"Authorization", "Bearer,bad"}},
		{"an equal sign for a space", "/", [2]string{"Authorization", "Bearer=bad"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.target, nil)
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			require.Equal(t, 400, serve(guard.Optional(http.NotFoundHandler()), r).Code)
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", `other="x"; at="reader"`)
	require.Equal(t, 404, serve(guard.Handler(http.NotFoundHandler()), r).Code, "quotes around a cookie are no part of it")

	r.Header.Set("Cookie", "x=1; at=")
	require.Equal(t, 404, serve(guard.Optional(http.NotFoundHandler()), r).Code, "an empty cookie is none")
	require.Equal(t, 401, serve(guard.Handler(http.NotFoundHandler()), r).Code)
}

func TestNumbersOfAnErrorThatAreOutOfBounds(t *testing.T) {
	answer := func(e middleware.Error) http.Header {
		return serve(middleware.New(&tokens{}).Require(failing(&e))(ok), request("Bearer reader")).Header()
	}
	require.Equal(t, "86400", answer(middleware.Error{Status: 503, RetryAfter: math.MaxInt64}).Get("Retry-After"))
	require.Equal(t, "5", answer(middleware.Error{Status: 503, RetryAfter: math.MinInt64}).Get("Retry-After"))
	require.NotContains(t, answer(middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication, MaxAge: time.Millisecond}).Get("WWW-Authenticate"), "max_age")
}

func TestALongMethodIsCut(t *testing.T) {
	var seen middleware.Decision
	guard := middleware.New(&tokens{}, middleware.WithObserver(func(_ context.Context, d middleware.Decision) { seen = d }))
	r := request()
	r.Method = strings.Repeat("A", 1<<20)
	serve(guard.Handler(ok), r)
	require.Equal(t, strings.Repeat("A", 24), seen.Method)
	require.True(t, errors.Is(seen.Reason, middleware.ErrNoToken))
}
