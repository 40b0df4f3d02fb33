package chiguard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"
)

// inventory returns what Routes says, in lines.
func inventory(r chi.Routes) []string {
	var lines []string
	for _, route := range chiguard.Routes(r) {
		lines = append(lines, route.String())
	}
	return lines
}

// unserved is a handler that Routes must not run.
func unserved(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("a handler was served") }
}

// passing returns a middleware that knows nothing of guards, and must not be served.
func passing(t *testing.T) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.Error("a middleware was served")
			next.ServeHTTP(w, r)
		})
	}
}

func TestRoutesFindsGuardsInEveryPlace(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	handler, logging := unserved(t), passing(t)
	scope := func(name string) func(http.Handler) http.Handler { return chiguard.RequireScope(guard, name) }

	inner := chi.NewRouter()
	inner.Use(logging, scope("inner"), logging)
	inner.Get("/", handler)
	inner.With(scope("with")).Get("/{id}", handler)

	bare := chi.NewRouter()
	bare.Get("/{id}", handler)

	r := chi.NewRouter()
	r.Use(logging)
	r.NotFound(handler)
	r.MethodNotAllowed(handler)
	r.Get("/health", handler)
	r.With(logging, chiguard.Handler(guard), logging).Get("/with", handler)
	r.With(chiguard.Optional(guard)).Get("/optional", handler)
	r.With(chiguard.Optional(guard), scope("a")).Get("/optional/stacked", handler)
	r.With(chiguard.Require(guard, middleware.Clients("portal"), middleware.ACR("mfa"))).Get("/require", handler)
	r.With(scope("a")).With(logging).With(scope("b")).Put("/stacked", handler)
	r.Method("GET", "/method", scope("method")(handler))
	r.With(scope("a")).Method("GET", "/method/stacked", scope("b")(handler))
	r.Group(func(r chi.Router) {
		r.Use(scope("group"))
		r.Get("/group", handler)
		r.Mount("/group/mounted", bare)
		r.Route("/group/route", func(r chi.Router) {
			r.Use(logging)
			r.Get("/{id:[0-9]+}", handler)
		})
	})
	r.Route("/route/{id}", func(r chi.Router) {
		r.Use(logging, scope("route"))
		r.Get("/", handler)
		r.Mount("/inner", inner)
	})
	r.With(scope("mount")).Mount("/mount", bare)
	r.Mount("/naked", bare)

	require.Equal(t, []string{
		"GET /group: scope group",
		"GET /group/mounted/{id}: scope group",
		"GET /group/route/{id:[0-9]+}: scope group",
		"GET /health: unprotected",
		"GET /method: scope method",
		"GET /method/stacked: scope a, scope b",
		"GET /mount/{id}: scope mount",
		"GET /naked/{id}: unprotected",
		"GET /optional: anyone, or a good access token",
		"GET /optional/stacked: scope a",
		"GET /require: client portal, acr mfa",
		"GET /route/{id}/: scope route",
		"GET /route/{id}/inner/: scope route, scope inner",
		"GET /route/{id}/inner/{id}: scope route, scope inner, scope with",
		"PUT /stacked: scope a, scope b",
		"GET /with: any access token",
	}, inventory(r))
}

// With a guard in Use of the outermost router, nothing is unprotected.
func TestRoutesFindsAGuardInUse(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	handler, logging := unserved(t), passing(t)
	sub := chi.NewRouter()
	sub.Use(logging)
	sub.Get("/{id}", handler)
	r := chi.NewRouter()
	r.Use(logging, chiguard.Handler(guard), logging)
	r.Get("/", handler)
	r.Mount("/sub", sub)
	r.With(chiguard.RequireScope(guard, "admin")).Delete("/everything", handler)
	r.Mount("/plain", handler)

	want := []string{"GET /: any access token", "DELETE /everything: scope admin"}
	for _, method := range []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"} {
		want = append(want, method+" /plain/*: any access token")
	}
	require.Equal(t, append(want, "GET /sub/{id}: any access token"), inventory(r))
}

// grouped is a middleware of one's own that stands for a guard and tells of it.
type grouped struct{ http.Handler }

func (g grouped) Policy() middleware.Policy { return middleware.PolicyOf(g.Handler) }

// What is documented as not to be seen is named unprotected, and never the other
// way round.
func TestWhatRoutesDoesNotSee(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	handler, logging := unserved(t), passing(t)
	composed := func(next http.Handler) http.Handler { return logging(guard.Handler(next)) }
	tells := func(next http.Handler) http.Handler { return grouped{guard.Handler(next)} }
	sub := chi.NewRouter()
	sub.Get("/{id}", handler)

	r := chi.NewRouter()
	r.With(composed).Get("/composed", handler)
	r.With(tells).Get("/tells", handler)
	r.Method("GET", "/wrapped", logging(guard.Handler(handler)))
	r.Get("/function", guard.Handler(handler).ServeHTTP)
	r.Mount("/plain", guard.Handler(handler))
	r.Mount("/router", guard.Handler(sub))

	r.With(guard.Handler).Get("/seen/function", handler)
	r.With(guard.Handler).Mount("/seen/plain", handler)
	r.With(guard.Handler).Mount("/seen/router", sub)
	r.Handle("/seen/handle/*", guard.Handler(handler))

	policies := map[string]map[string]bool{}
	for _, route := range chiguard.Routes(r) {
		if policies[route.Pattern] == nil {
			policies[route.Pattern] = map[string]bool{}
		}
		policies[route.Pattern][route.Policy.String()] = true
	}
	unprotected, guarded := map[string]bool{"unprotected": true}, map[string]bool{"any access token": true}
	require.Equal(t, map[string]map[string]bool{
		"/composed": unprotected, "/wrapped": unprotected, "/function": unprotected, "/plain/*": unprotected, "/router/*": unprotected,
		"/tells": guarded, "/seen/function": guarded, "/seen/plain/*": guarded, "/seen/router/{id}": guarded, "/seen/handle/*": guarded,
	}, policies)
}

// The list changes nothing, and nothing is served for it.
func TestRoutesLeavesTheRouterAlone(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	served := 0
	r := chi.NewRouter()
	r.Use(chimiddleware.GetHead)
	r.With(chiguard.RequireScope(guard, "a")).Get("/", func(http.ResponseWriter, *http.Request) { served++ })
	first := inventory(r)
	require.Equal(t, first, inventory(r))
	require.Zero(t, served)
	require.Empty(t, inventory(chi.NewRouter()))
}

func TestHandlersThatAreLaidOverAMountedRouterAreListed(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	sub := chi.NewRouter()
	sub.Use(guard.Handler)
	sub.Get("/users", http.NotFound)
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler { return next })
	r.Mount("/api", sub)
	r.Get("/api/*", http.NotFound)
	r.With(guard.RequireScope("admin")).Post("/api/*", http.NotFound)
	var got []string
	for _, route := range chiguard.Routes(r) {
		got = append(got, route.String())
	}
	require.Equal(t, []string{
		"GET /api/*: unprotected",
		"POST /api/*: scope admin",
		"GET /api/users: any access token",
	}, got)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/api/users", nil))
	require.Equal(t, 404, w.Code, "it is what chi serves")
}

func TestTheMetadataAreOpenOnPurpose(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience), middleware.WithResourceMetadata(middleware.ResourceMetadata{}))
	r := chi.NewRouter()
	r.Handle(guard.ResourceMetadata())
	for _, route := range chiguard.Routes(r) {
		require.Equal(t, middleware.Open, route.Policy.Access)
	}
	require.NotEmpty(t, chiguard.Routes(r))
}

// What the inventory says is what is enforced.
func TestTheInventoryHolds(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	never := func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }
	r := chi.NewRouter()
	r.Method("GET", "/health", middleware.Public(http.NotFoundHandler()))
	r.With(guard.Handler).Get("/me", never)
	r.Route("/orgs/{org}", func(r chi.Router) {
		r.Use(guard.RequireScope("read:orgs"))
		r.With(guard.RequireScope("write:orgs")).Put("/", never)
		r.Get("/dates/{day:\\d{4}-\\d\\d-\\d\\d}", never)
	})
	r.With(guard.Optional).Get("/feed", never)
	routes := chiguard.Routes(r)
	require.Len(t, routes, 5)
	issuer.Routes(t, r, routes)
}
