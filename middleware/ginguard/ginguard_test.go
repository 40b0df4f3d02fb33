package ginguard_test

import (
	"bytes"
	"context"
	"errors"
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

func TestRoutes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	guard := middleware.New(issuer.Validator(audience),
		middleware.WithObserver(func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }))

	e := gin.New()
	e.GET("/health", subject)
	e.GET("/me", ginguard.Handler(guard), subject)
	e.GET("/labs/:id", ginguard.RequireScope(guard, "read:labs"), subject)
	patients := e.Group("/api/patients", ginguard.RequireScope(guard, "read:patients"))
	patients.GET("", subject)
	patients.PUT("/:id", ginguard.Require(guard, middleware.Scopes(scope.Any("write:patients", "admin"))), subject)

	reader := []authtest.TokenOption{authtest.Scope("read:patients")}
	tests := []struct {
		method, path string
		token        []authtest.TokenOption // nil: none is sent
		status       int
		body         string
		pattern      string // of the last decision
	}{
		{"GET", "/health", nil, 200, "nobody", ""},
		{"GET", "/me", reader, 200, "user-1", "/me"},
		{"GET", "/me", nil, 401, "", "/me"},
		{"GET", "/labs/7", reader, 403, "", "/labs/:id"},
		{"GET", "/api/patients", reader, 200, "user-1", "/api/patients"},
		{"GET", "/api/patients", nil, 401, "", "/api/patients"},
		{"PUT", "/api/patients/7", reader, 403, "", "/api/patients/:id"},
		{"PUT", "/api/patients/7", []authtest.TokenOption{authtest.Scope("read:patients", "admin")}, 200, "user-1", "/api/patients/:id"},
		{"PUT", "/api/patients/7", []authtest.TokenOption{authtest.Scope("admin")}, 403, "", "/api/patients/:id"},
		{"GET", "/me", []authtest.TokenOption{authtest.Audience("https://other.example/")}, 401, "", "/me"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			seen = nil
			r := httptest.NewRequest(tt.method, tt.path, nil)
			if tt.token != nil {
				issuer.Authorize(r, tt.token...)
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code, w.Body)
			if tt.status == 200 {
				require.Equal(t, tt.body, w.Body.String())
			} else {
				require.Contains(t, w.Body.String(), `"error_description"`)
				require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
				require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			}
			if tt.pattern == "" {
				require.Empty(t, seen)
				return
			}
			require.Equal(t, tt.pattern, seen[len(seen)-1].Pattern)
		})
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

// pathIs is a requirement that looks at the path.
type pathIs struct{ id string }

func (p pathIs) Check(r *http.Request, _ *claims.Claims) error {
	if r.PathValue("id") != p.id {
		return errors.New("another patient")
	}
	return nil
}

func (p pathIs) String() string { return "id is " + p.id }

func TestRequirementsSeePathParameters(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	e := gin.New()
	e.GET("/patients/:id", ginguard.Require(guard, pathIs{"7"}), subject)
	for path, status := range map[string]int{"/patients/7": 200, "/patients/8": 403} {
		r := httptest.NewRequest("GET", path, nil)
		issuer.Authorize(r)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}

func TestAHandlersAbortAndPanicStayItsOwn(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	e := gin.New()
	e.Use(gin.RecoveryWithWriter(io.Discard))
	e.GET("/abort", ginguard.Handler(guard), func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) }, func(*gin.Context) {
		t.Error("the chain went on after Abort")
	})
	e.GET("/panic", ginguard.Handler(guard), func(*gin.Context) { panic("a handler's own") })
	for path, status := range map[string]int{"/abort": http.StatusTeapot, "/panic": http.StatusInternalServerError} {
		r := httptest.NewRequest("GET", path, nil)
		issuer.Authorize(r)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, path)
	}
}

func TestErrorHandlersAndTheStatusInGinsLog(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience), middleware.WithErrorHandler(
		func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(e.Status)
			io.WriteString(w, `{"title":"no"}`)
		}))
	var log bytes.Buffer
	e := gin.New()
	e.Use(gin.LoggerWithWriter(&log))
	refuse := ginguard.Require(guard, refusal{})
	e.GET("/", refuse, func(*gin.Context) { t.Error("the handler ran") })
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	require.Equal(t, 403, w.Code)
	require.Equal(t, `{"title":"no"}`, w.Body.String())
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Contains(t, log.String(), "403")
}

// refusal is a requirement that nothing meets.
type refusal struct{}

func (refusal) Check(*http.Request, *claims.Claims) error { return errors.New("never") }
func (refusal) String() string                            { return "the impossible" }

func TestMistakesPanicWhenTheRoutesAreSetUp(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	require.Panics(t, func() { ginguard.RequireScope(guard) })
	require.Panics(t, func() { ginguard.RequireScope(guard, "a b") })
	require.Panics(t, func() { ginguard.Require(guard) })
}
