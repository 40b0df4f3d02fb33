package ginguard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/render"
	"github.com/stretchr/testify/require"
)

const audience = "https://example.com/health-api"

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

func subject(c *gin.Context) {
	found, ok := ginguard.Claims(c)
	if !ok {
		c.String(http.StatusOK, "nobody")
		return
	}
	c.String(http.StatusOK, found.Subject)
}

// Decisions name a route as gin has it, wherever in gin the guard stands.
func TestDecisionsNameTheRoute(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []string
	guard := middleware.New(issuer.Validator(audience), middleware.WithObserver(
		func(_ context.Context, d middleware.Decision) { seen = append(seen, d.Pattern+": "+d.Policy.String()) }))

	e := gin.New()
	e.GET("/labs/:id", ginguard.RequireScope(guard, "read:labs"), subject)
	api := e.Group("/api", ginguard.Handler(guard))
	patients := api.Group("/patients/:id")
	patients.Use(ginguard.RequireScope(guard, "read:patients"))
	patients.GET("", subject)
	patients.GET("/files/*path", ginguard.Require(guard, middleware.Scopes(scope.Any("read:files", "admin"))), subject)
	e.NoRoute(ginguard.Handler(guard), subject)

	tests := []struct {
		path   string
		scopes string
		status int
		want   []string
	}{
		{"/labs/7", "", 403, []string{"/labs/:id: scope read:labs"}},
		{"/api/patients/7", "read:patients", 200, []string{"/api/patients/:id: any access token", "/api/patients/:id: scope read:patients"}},
		{"/api/patients/7/files/a/b", "read:patients", 403, []string{"/api/patients/:id/files/*path: any access token",
			"/api/patients/:id/files/*path: scope read:patients", "/api/patients/:id/files/*path: scope read:files or admin"}},
		{"/unknown", "", 200, []string{": any access token"}},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			seen = nil
			r := httptest.NewRequest("GET", tt.path, nil)
			issuer.Authorize(r, authtest.Scope(tt.scopes))
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code, w.Body)
			require.Equal(t, tt.want, seen)
		})
	}
}

// A guard in Use stands before unknown paths too, so that whoever has no token does
// not learn which there are.
func TestAGuardInUseStandsBeforeUnknownPaths(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	e := gin.New()
	e.Use(ginguard.Handler(guard))
	e.GET("/known", subject)
	for _, path := range []string{"/known", "/unknown"} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 401, w.Code, path)
	}
}

// What stands behind the guard in the chain must not run, and what stands before
// it must see how it ended.
func TestARefusalAbortsTheChain(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	var ran []string
	note := func(name string) gin.HandlerFunc {
		return func(c *gin.Context) {
			ran = append(ran, name)
			c.Next()
			ran = append(ran, name+" again")
		}
	}
	var status int
	var aborted bool
	e := gin.New()
	e.Use(note("before"), func(c *gin.Context) {
		c.Next()
		status, aborted = c.Writer.Status(), c.IsAborted()
	})
	e.GET("/", ginguard.Handler(guard), note("between"), func(c *gin.Context) { ran = append(ran, "handler") })

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 401, w.Code)
	require.Equal(t, []string{"before", "before again"}, ran)
	require.Equal(t, 401, status)
	require.True(t, aborted)

	ran = nil
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	e.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, []string{"before", "between", "handler", "between again", "before again"}, ran)
	require.False(t, aborted)
}

// countingWriter is a writer that a user's middleware puts around gin's.
type countingWriter struct {
	gin.ResponseWriter
	bytes int
}

func (w *countingWriter) Write(body []byte) (int, error) {
	w.bytes += len(body)
	return w.ResponseWriter.Write(body)
}

// Between two guards the writer and the request may be exchanged, as a middleware
// that compresses or traces does.
func TestWhatAMiddlewareBetweenGuardsPutsInPlaceIsKept(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	type key struct{}
	var counting *countingWriter
	e := gin.New()
	e.GET("/", ginguard.Handler(guard), func(c *gin.Context) {
		counting = &countingWriter{ResponseWriter: c.Writer}
		c.Writer = counting
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, "kept"))
	}, ginguard.RequireScope(guard, "admin"), func(c *gin.Context) {
		require.Equal(t, "kept", c.Request.Context().Value(key{}))
		require.Same(t, counting, c.Writer)
		subject(c)
	})
	for scopes, want := range map[string]int{"admin": 200, "": 403} {
		r := httptest.NewRequest("GET", "/", nil)
		issuer.Authorize(r, authtest.Scope(scopes))
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, want, w.Code)
		require.NotZero(t, w.Body.Len())
		require.Equal(t, w.Body.Len(), counting.bytes)
	}
}

func TestTheWriterOfTheChainIsKept(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	var counting *countingWriter
	e := gin.New()
	e.Use(func(c *gin.Context) {
		counting = &countingWriter{ResponseWriter: c.Writer}
		c.Writer = counting
	})
	var inHandler gin.ResponseWriter
	e.GET("/", ginguard.Handler(guard), func(c *gin.Context) {
		inHandler = c.Writer
		_, _ = c.Writer.Write([]byte("hello"))
		c.Writer.Flush()
	})

	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	require.Same(t, counting, inHandler)
	require.Equal(t, 5, counting.bytes)
	require.True(t, w.Flushed)

	w = httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, w.Body.Len(), counting.bytes, "a refusal is written through it too")
}

func TestTheContextReachesTheHandler(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	for _, fallback := range []bool{false, true} {
		e := gin.New()
		e.ContextWithFallback = fallback
		type key struct{}
		e.Use(func(c *gin.Context) {
			c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, "kept"))
			c.Set("gin", "kept too")
		})
		e.GET("/:id", ginguard.Handler(guard), func(c *gin.Context) {
			fromGin, ok := ginguard.Claims(c)
			require.True(t, ok)
			fromRequest, ok := claims.FromContext(c.Request.Context())
			require.True(t, ok)
			require.Same(t, fromGin, fromRequest)
			_, ok = claims.FromContext(c)
			require.Equal(t, fallback, ok, "gin's own context has it where it falls back")
			token, ok := middleware.TokenFromContext(c.Request.Context())
			require.True(t, ok)
			require.Equal(t, "Bearer "+token, c.GetHeader("Authorization"))
			require.Equal(t, "kept", c.Request.Context().Value(key{}))
			require.Equal(t, "kept too", c.GetString("gin"))
			require.Equal(t, "7", c.Param("id"))
		})
		r := httptest.NewRequest("GET", "/7", nil)
		issuer.Authorize(r)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
	}
}

func TestARefusalWithoutABodyIsAnswered(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience),
		middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) {}))
	e := gin.New()
	e.Use(func(c *gin.Context) {
		c.Next()
		if !c.Writer.Written() {
			c.JSON(http.StatusOK, "all is well")
		}
	})
	e.GET("/", ginguard.Handler(guard), subject)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 401, w.Code)
	require.Empty(t, w.Body.String())
}

// A requirement sees of the path what the handler sees, whichever way gin reads it.
func TestRequirementsSeeGinsParameters(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	own := ginguard.Require(guard, middleware.Claim("own").EqualsPathValue("of"))
	for _, raw := range []bool{false, true} {
		e := gin.New()
		e.UseRawPath, e.UnescapePathValues = raw, true
		param := func(c *gin.Context) { c.String(http.StatusOK, c.Param("of")) }
		e.GET("/orgs/:of", own, param)
		e.GET("/files/*of", own, param)
		for path, own := range map[string]string{"/orgs/7": "7", "/orgs/%37": "7", "/orgs/a%20b": "a b", "/files/a/b": "/a/b", "/files/": "/"} {
			for claim, status := range map[string]int{own: 200, "another": 403} {
				r := httptest.NewRequest("GET", path, nil)
				issuer.Authorize(r, authtest.Claim("own", claim))
				w := httptest.NewRecorder()
				e.ServeHTTP(w, r)
				require.Equal(t, status, w.Code, path)
				if status == 200 {
					require.Equal(t, own, w.Body.String())
				}
			}
		}
	}
}

// A panic of a handler, or of a requirement, is recovered from as without a guard.
func TestAbortsAndPanicsStayTheirOwn(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	unreached := func(*gin.Context) { t.Error("the chain went on") }
	broken := middleware.Func("broken", func(*http.Request, *claims.Claims) error { panic("a requirement's own") })
	e := gin.New()
	e.Use(gin.RecoveryWithWriter(io.Discard))
	e.GET("/abort", ginguard.Handler(guard), func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) }, unreached)
	e.GET("/abort-before", func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) }, ginguard.Handler(guard), unreached)
	e.GET("/panic", ginguard.Handler(guard), func(*gin.Context) { panic("a handler's own") }, unreached)
	e.GET("/broken", ginguard.Require(guard, broken), unreached)
	for path, status := range map[string]int{"/abort": 418, "/abort-before": 418, "/panic": 500, "/broken": 500} {
		r := httptest.NewRequest("GET", path, nil)
		issuer.Authorize(r)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}

// Errors in the format of an API that renders them with gin: the error handler
// gets a writer of net/http, and what comes out goes through gin's.
func TestErrorHandlersWriteThroughGin(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience), middleware.WithErrorHandler(
		func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
			w.WriteHeader(e.Status)
			if err := (render.JSON{Data: gin.H{"message": e.Description}}).Render(w); err != nil {
				t.Error(err)
			}
		}))
	var log bytes.Buffer
	e := gin.New()
	e.Use(gin.LoggerWithConfig(gin.LoggerConfig{Output: &log, Formatter: func(p gin.LogFormatterParams) string {
		return fmt.Sprint(p.StatusCode, " ", p.Method, " ", p.Path, " ", p.BodySize)
	}}))
	e.Use(func(c *gin.Context) { // renders what handlers could not
		c.Next()
		if len(c.Errors) > 0 || !c.Writer.Written() {
			c.JSON(http.StatusInternalServerError, "nobody has answered")
		}
	})
	e.GET("/", ginguard.RequireScope(guard, "admin"), func(*gin.Context) { t.Error("the handler ran") })
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	require.Equal(t, 403, w.Code)
	require.JSONEq(t, `{"message":"the access token lacks a scope that this resource needs"}`, w.Body.String())
	require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, fmt.Sprint("403 GET / ", w.Body.Len()), log.String())
}

// A middleware before the guard finds out afterwards who has asked, for its log.
func TestWhatStandsBeforeTheGuardSeesTheClaimsAfterwards(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	var before, after bool
	e := gin.New()
	e.Use(func(c *gin.Context) {
		_, before = ginguard.Claims(c)
		c.Next()
		_, after = ginguard.Claims(c)
	})
	e.GET("/", ginguard.Handler(guard), subject)
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	e.ServeHTTP(httptest.NewRecorder(), r)
	require.False(t, before)
	require.True(t, after)

	e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	require.False(t, after, "nobody was let through")
}

func TestMistakesPanicWhenTheRoutesAreSetUp(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	require.Panics(t, func() { ginguard.RequireScope(guard) })
	require.Panics(t, func() { ginguard.RequireScope(guard, "a b") })
	require.Panics(t, func() { ginguard.Require(guard) })
	require.Panics(t, func() { ginguard.Require(guard, nil) })
}

// Not every recovery aborts the chain: gin would go on to the handler behind the
// guard.
func TestAPanicInTheGuardDoesNotOpenTheRoute(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	panics := func() { panic("somebody's own code") }
	guards := map[string]gin.HandlerFunc{
		"in a requirement": ginguard.Require(middleware.New(issuer.Validator(audience)),
			middleware.Func("panics", func(*http.Request, *claims.Claims) error { panics(); return nil })),
		"in an observer": ginguard.Handler(middleware.New(issuer.Validator(audience),
			middleware.WithObserver(func(context.Context, middleware.Decision) { panics() }))),
		"in an error handler": ginguard.RequireScope(middleware.New(issuer.Validator(audience),
			middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) { panics() })), "a"),
	}
	recoveries := map[string]gin.HandlerFunc{
		"gin's":          gin.RecoveryWithWriter(io.Discard),
		"a custom one":   gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.JSON(500, gin.H{"error": "internal"}) }),
		"one of its own": func(c *gin.Context) { defer func() { _ = recover() }(); c.Next() },
	}
	for where, guard := range guards {
		for by, recovery := range recoveries {
			t.Run(where+", "+by, func(t *testing.T) {
				e := gin.New()
				e.Use(recovery)
				e.GET("/", guard, func(*gin.Context) { t.Error("the handler ran") })
				r := httptest.NewRequest("GET", "/", nil)
				issuer.Authorize(r)
				e.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
	}
}

func TestOfTwoParametersWithOneNameTheHandlersIsChecked(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	e := gin.New()
	e.GET("/orgs/:id/docs/:id", ginguard.Require(guard, middleware.Claim("org_id").EqualsPathValue("id")), func(c *gin.Context) {
		c.String(200, c.Param("id"))
	})
	for path, status := range map[string]int{"/orgs/mine/docs/7": 200, "/orgs/victim/docs/mine": 403} {
		r := httptest.NewRequest("GET", path, nil)
		issuer.Authorize(r, authtest.Claim("org_id", "mine"))
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}

func TestRefuseAnswersAsTheGuardAndAbortsTheChain(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	guard := middleware.New(issuer.Validator(audience), middleware.WithObserver(func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }))
	late := errors.New("secret cause")
	e := gin.New()
	e.GET("/patients/:id", ginguard.RequireScope(guard, "read:patients"), func(c *gin.Context) { ginguard.Refuse(guard, c, late) },
		func(*gin.Context) { t.Error("the next handler ran") })
	e.GET("/required/:id", ginguard.RequireScope(guard, "read:patients"),
		ginguard.Require(guard, middleware.Func("late", func(*http.Request, *claims.Claims) error { return late })), subject)

	ask := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		issuer.Authorize(r, authtest.Scope("read:patients"))
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
	got, want := ask("/patients/7"), ask("/required/7")
	require.Equal(t, 403, got.Code)
	require.Equal(t, want.Header(), got.Header())
	require.Equal(t, want.Body.String(), got.Body.String())
	require.Len(t, seen, 4)
	require.Equal(t, "/patients/:id", seen[1].Pattern)
	require.Equal(t, "the handler", seen[1].Requirement)
	require.Equal(t, middleware.ErrAccessDenied, seen[1].Reason)
}

// An error handler that writes nothing leaves gin a status that it has not sent.
func TestRefuseWithoutABodyIsAnswered(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience),
		middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) {}))
	e := gin.New()
	e.Use(func(c *gin.Context) {
		c.Next()
		if !c.Writer.Written() {
			c.JSON(http.StatusOK, "all is well")
		}
	})
	e.GET("/", func(c *gin.Context) { ginguard.Refuse(guard, c, middleware.ErrNoToken) })
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 401, w.Code)
	require.Empty(t, w.Body.String())
}

// What a handler finds out is no policy of its route.
func TestAHandlerThatRefusesIsNoGuard(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	e := gin.New()
	e.GET("/", func(c *gin.Context) { ginguard.Refuse(guard, c, middleware.ErrNoToken) })
	require.Equal(t, middleware.Unprotected, ginguard.Routes(e)[0].Policy.Access)
}
