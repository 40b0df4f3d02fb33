package ginguard_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

// inventory returns what Routes says, in lines.
func inventory(e *gin.Engine) []string {
	var lines []string
	for _, route := range ginguard.Routes(e) {
		lines = append(lines, route.String())
	}
	return lines
}

func nothing(*gin.Context) {}

func TestRoutesFindsGuardsInEveryPlace(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	logging := gin.LoggerWithWriter(io.Discard)

	e := gin.New()
	e.Use(logging, gin.RecoveryWithWriter(io.Discard))
	e.GET("/health", nothing)
	e.GET("/me", ginguard.Handler(guard), logging, nothing)
	e.GET("/feed", ginguard.Optional(guard), nothing)
	e.GET("/feed/own", ginguard.Optional(guard), ginguard.RequireScope(guard, "read:feed"), nothing)
	e.GET("/patients/:id/labs/:lab", ginguard.Require(guard, middleware.Scopes(scope.All("read:labs")), middleware.Clients("portal")), nothing)
	e.GET("/files/*path", ginguard.RequireScope(guard, "read:files"), nothing)
	e.Any("/legacy", gin.WrapH(guard.RequireScope("legacy")(http.NotFoundHandler())))
	api := e.Group("/api", ginguard.Handler(guard))
	api.GET("/", nothing)
	v1 := api.Group("/v1/:tenant")
	v1.Use(ginguard.RequireScope(guard, "tenant")) // not seen behind the group's
	v1.DELETE("/everything", nothing)
	e.GET("/forgotten/:id", nothing)

	want := []string{
		"GET /api/: any access token",
		"DELETE /api/v1/:tenant/everything: any access token",
		"GET /feed: anyone, or a good access token",
		"GET /feed/own: scope read:feed",
		"GET /files/*path: scope read:files",
		"GET /forgotten/:id: unprotected",
		"GET /health: unprotected",
	}
	for _, method := range []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"} {
		want = append(want, method+" /legacy: scope legacy")
	}
	want = append(want,
		"GET /me: any access token",
		"GET /patients/:id/labs/:lab: scope read:labs, client portal")
	require.Equal(t, want, inventory(e))
}

// Whatever the routes beside it are called, each is found by its own request.
func TestRoutesThatLookAlike(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	e := gin.New()
	for _, pattern := range []string{"/:x", "/inventory", "/inv:x", "/patients/:id", "/patients/inventory", "/patients/id", `/patients\:batch`, "/files/*rest", "/:x/y"} {
		e.GET(pattern, ginguard.RequireScope(guard, "read"), nothing)
	}
	want := []string{
		"GET /:x: scope read", "GET /:x/y: scope read", "GET /files/*rest: scope read", "GET /inv:x: scope read", "GET /inventory: scope read",
		"GET /patients/:id: scope read", "GET /patients/id: scope read", "GET /patients/inventory: scope read", "GET /patients:batch: scope read",
	}
	require.Equal(t, want, inventory(e))
	require.Equal(t, want, inventory(e), "gin itself has changed its patterns meanwhile")
}

// A guard on some paths of a router within says nothing of the others.
func TestARouterWithinIsUnprotectedUnlessAllOfItIs(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	mux := http.NewServeMux()
	mux.Handle("/some/{path}", guard.Handler(http.NotFoundHandler()))
	e := gin.New()
	e.GET("/some/*path", gin.WrapH(mux))
	e.GET("/all/*path", gin.WrapH(guard.Handler(mux)))
	require.Equal(t, []string{"GET /all/*path: any access token", "GET /some/*path: unprotected"}, inventory(e))
}

// Handlers without a guard are run. Whatever they do, the list is complete.
func TestRoutesRunsUnprotectedHandlersOnce(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	runs := map[string]int{}
	note := func(c *gin.Context) { runs[c.FullPath()]++ }
	e := gin.New()
	e.Use(note)
	e.GET("/", nothing)
	e.GET("/panics", func(*gin.Context) { panic("a handler's own") })
	e.GET("/aborts", func(*gin.Context) { panic(http.ErrAbortHandler) })
	e.GET("/waits", func(c *gin.Context) { <-c.Request.Context().Done() })
	e.GET("/streams", func(c *gin.Context) { // until the client has gone
		c.Stream(func(w io.Writer) bool { fmt.Fprint(w, "more"); return true })
	})
	e.GET("/flushes", ginguard.Optional(guard), func(c *gin.Context) {
		c.SSEvent("message", "hello")
		c.Writer.Flush()
		if err := http.NewResponseController(c.Writer).Flush(); err != nil {
			t.Error(err)
		}
	})
	e.GET("/hijacks", func(c *gin.Context) { c.Writer.Hijack() })
	e.POST("/reads", func(c *gin.Context) { c.ShouldBindJSON(&struct{}{}) })
	e.GET("/empty", func(c *gin.Context) { c.Request.ParseForm() })
	e.GET("/last", ginguard.Handler(guard), func(*gin.Context) { t.Error("the handler ran") })
	require.Equal(t, []string{
		"GET /: unprotected", "GET /aborts: unprotected", "GET /empty: unprotected", "GET /flushes: anyone, or a good access token",
		"GET /hijacks: unprotected", "GET /last: any access token", "GET /panics: unprotected", "POST /reads: unprotected",
		"GET /streams: unprotected", "GET /waits: unprotected",
	}, inventory(e))
	for pattern, n := range runs {
		require.Equal(t, 1, n, pattern)
	}
}

// What is documented as not to be seen is named unprotected, and never the other
// way round.
func TestWhatRoutesDoesNotSee(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	e := gin.New()
	e.NoRoute(ginguard.Handler(guard), nothing)
	e.GET("/login", gin.BasicAuth(gin.Accounts{"user": "password"}), ginguard.Handler(guard), nothing)
	e.GET("/behind", nothing, nothing)
	require.Equal(t, []string{"GET /behind: unprotected", "GET /login: unprotected"}, inventory(e))
}

func TestWhatAnswersBeforeTheGuardIsUnprotected(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	answer := func(c *gin.Context) { c.String(200, "secret") }
	quiet := func(c *gin.Context) { c.Status(204) }
	e := gin.New()
	e.GET("/handler-first", answer, ginguard.Handler(guard))
	e.GET("/quiet-handler-first", quiet, ginguard.Handler(guard))
	e.GET("/handler-on-both-sides", answer, ginguard.Handler(guard), answer)
	e.GET("/guard-alone", ginguard.Handler(guard))
	e.GET("/as-it-should-be", ginguard.Handler(guard), answer)
	e.GET("/health", ginguard.Public(), answer)
	got := map[string]string{}
	for _, route := range ginguard.Routes(e) {
		got[route.Pattern] = route.Policy.String()
	}
	require.Equal(t, map[string]string{
		"/handler-first":         "unprotected",
		"/quiet-handler-first":   "unprotected",
		"/handler-on-both-sides": "unprotected",
		"/guard-alone":           "unprotected",
		"/as-it-should-be":       "any access token",
		"/health":                "public",
	}, got)
}

func TestTheMetadataAreOpenOnPurpose(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience), middleware.WithResourceMetadata(middleware.ResourceMetadata{}))
	e := gin.New()
	e.GET(ginguard.ResourceMetadata(guard))
	routes := ginguard.Routes(e)
	require.Len(t, routes, 1)
	require.Equal(t, "GET /.well-known/oauth-protected-resource/health-api: public", routes[0].String())
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", routes[0].Pattern, nil))
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"resource":"https://example.com/health-api"`)
}

// What the inventory says is what is enforced.
func TestTheInventoryHolds(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	never := func(*gin.Context) { t.Error("the handler ran") }
	e := gin.New()
	e.GET("/health", ginguard.Public(), func(*gin.Context) {})
	e.GET("/me", ginguard.Handler(guard), never)
	orgs := e.Group("/orgs/:org", ginguard.RequireScope(guard, "read:orgs"))
	orgs.PUT("/", never)
	orgs.GET("/files/*path", never)
	routes := ginguard.Routes(e)
	require.Len(t, routes, 4)
	issuer.Routes(t, e, routes)
}
