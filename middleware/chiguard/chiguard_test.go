package chiguard_test

import (
	"context"
	"io"
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

const audience = "https://example.com/health-api"

func subject(w http.ResponseWriter, r *http.Request) {
	c, ok := chiguard.Claims(r)
	if !ok {
		io.WriteString(w, "nobody")
		return
	}
	io.WriteString(w, c.Subject)
}

// In every place where chi takes a middleware, a guard protects what is behind it.
// What its decision says of the route is what chi has found out by then.
func TestGuardsInEveryPlace(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []string
	guard := middleware.New(issuer.Validator(audience), middleware.WithObserver(
		func(_ context.Context, d middleware.Decision) { seen = append(seen, d.Pattern+": "+d.Policy.String()) }))

	labs := chi.NewRouter()
	labs.Use(chiguard.RequireScope(guard, "read:labs"))
	labs.Get("/", subject)
	labs.Get("/{lab}", subject)

	admin := chi.NewRouter()
	admin.Get("/users/{user}", subject)

	r := chi.NewRouter()
	r.Get("/health", subject)
	r.With(chiguard.Handler(guard)).Get("/with/{id}", subject)
	r.Group(func(r chi.Router) {
		r.Use(chiguard.RequireScope(guard, "admin"))
		r.Delete("/group/{id}", subject)
		r.Mount("/admin", admin)
	})
	r.Route("/route/{id}", func(r chi.Router) {
		r.Use(chiguard.Handler(guard))
		r.Get("/", subject)
		r.With(chiguard.RequireScope(guard, "admin")).Get("/deep", subject)
		r.Mount("/labs", labs)
	})
	r.Get("/wrapped/{id}", guard.RequireScope("admin")(http.HandlerFunc(subject)).ServeHTTP)
	r.Mount("/plain", guard.Handler(http.HandlerFunc(subject)))

	const any, isAdmin, isLab = ": any access token", ": scope admin", ": scope read:labs"
	tests := []struct {
		method, path string
		scopes       string // "-": no token
		status       int
		want         []string
	}{
		{"GET", "/health", "-", 200, nil},
		{"GET", "/with/7", "", 200, []string{"/with/{id}" + any}},
		{"GET", "/with/7", "-", 401, []string{"/with/{id}" + any}},
		{"DELETE", "/group/7", "admin", 200, []string{"/group/{id}" + isAdmin}},
		{"DELETE", "/group/7", "", 403, []string{"/group/{id}" + isAdmin}},
		{"GET", "/admin/users/7", "admin", 200, []string{"/admin/*" + isAdmin}},
		{"GET", "/admin/users/7", "", 403, []string{"/admin/*" + isAdmin}},
		{"GET", "/admin/unknown", "", 403, []string{"/admin/*" + isAdmin}},
		{"GET", "/route/7", "", 200, []string{"/route/{id}" + any}},
		{"GET", "/route/7/deep", "admin", 200, []string{"/route/{id}/*" + any, "/route/{id}/deep" + isAdmin}},
		{"GET", "/route/7/labs", "read:labs", 200, []string{"/route/{id}/*" + any, "/route/{id}/labs" + isLab}},
		{"GET", "/route/7/labs/8", "", 403, []string{"/route/{id}/*" + any, "/route/{id}/labs/*" + isLab}},
		{"GET", "/route/7/unknown", "-", 401, []string{"/route/{id}/*" + any}},
		{"GET", "/wrapped/7", "admin", 200, []string{"/wrapped/{id}" + isAdmin}},
		{"GET", "/plain/anything", "", 200, []string{"/plain/*" + any}},
		{"GET", "/plain/anything", "-", 401, []string{"/plain/*" + any}},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path+" "+tt.scopes, func(t *testing.T) {
			seen = nil
			request := httptest.NewRequest(tt.method, tt.path, nil)
			if tt.scopes != "-" {
				issuer.Authorize(request, authtest.Scope(tt.scopes))
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, request)
			require.Equal(t, tt.status, w.Code, w.Body)
			require.Equal(t, tt.want, seen)
		})
	}
}

// A guard in Use of the outermost router decides before chi has found the route.
func TestAGuardInUseOfTheOutermostRouterKnowsNoPattern(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []string
	guard := middleware.New(issuer.Validator(audience), middleware.WithObserver(
		func(_ context.Context, d middleware.Decision) { seen = append(seen, d.Pattern) }))
	r := chi.NewRouter()
	r.Use(chiguard.Handler(guard))
	r.With(chiguard.RequireScope(guard, "read:patients")).Get("/patients/{id}", subject)

	for _, path := range []string{"/patients/7", "/unknown"} { // neither is told to whoever has no token
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 401, w.Code, path)
	}
	request := httptest.NewRequest("GET", "/patients/7", nil)
	issuer.Authorize(request, authtest.Scope("read:patients"))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	require.Equal(t, 200, w.Code)
	require.Equal(t, []string{"", "", "", "/patients/{id}"}, seen)
}

// A requirement about a path value sees what chi has found by then: so it stands
// where the pattern is known, and else refuses.
func TestPathValuesAreThereOnceChiHasRouted(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	ownOrg := chiguard.Require(guard, middleware.Claim("org_id").EqualsPathValue("org"))

	with := chi.NewRouter()
	with.With(ownOrg).Get("/orgs/{org}/patients", subject)
	route := chi.NewRouter()
	route.Route("/orgs/{org}", func(r chi.Router) {
		r.Use(ownOrg)
		r.Get("/patients", subject)
	})
	patients := chi.NewRouter()
	patients.Use(ownOrg)
	patients.Get("/", subject)
	mounted := chi.NewRouter()
	mounted.Mount("/orgs/{org}/patients", patients)
	inUse := chi.NewRouter()
	inUse.Use(ownOrg)
	inUse.Get("/orgs/{org}/patients", subject)

	for name, tt := range map[string]struct {
		r   http.Handler
		own int
	}{"With": {with, 200}, "Route": {route, 200}, "Mount": {mounted, 200}, "Use, where it is not known yet": {inUse, 403}} {
		for org, status := range map[string]int{"org-1": tt.own, "org-2": 403} {
			r := httptest.NewRequest("GET", "/orgs/"+org+"/patients", nil)
			issuer.Authorize(r, authtest.Claim("org_id", "org-1"))
			w := httptest.NewRecorder()
			tt.r.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, "%s, %s", name, org)
		}
	}
}

// chi hands on a path value as it was sent where that is not how Go would escape
// it. Claim and path then differ, and the request is refused.
func TestAPathValueThatIsEscapedOddlyIsRefused(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	r := chi.NewRouter()
	r.With(chiguard.Require(guard, middleware.Claim("org_id").EqualsPathValue("org"))).Get("/orgs/{org}", subject)
	for path, status := range map[string]int{"/orgs/org%201": 200, "/orgs/%6Frg%201": 403, "/orgs/org 1": 200} {
		request := httptest.NewRequest("GET", "/", nil)
		var err error
		request.URL, err = request.URL.Parse(path)
		require.NoError(t, err)
		issuer.Authorize(request, authtest.Claim("org_id", "org 1"))
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		require.Equal(t, status, w.Code, path)
	}
}

// chi's own middlewares around a guard work as without it.
func TestChisMiddlewaresAroundTheGuard(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	var logged int
	r := chi.NewRouter()
	r.Use(chimiddleware.RequestID, chimiddleware.Recoverer, chimiddleware.GetHead, chimiddleware.StripSlashes, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			logging := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(logging, r)
			logged = logging.Status()
		})
	})
	r.With(chiguard.Handler(guard)).Get("/me", func(w http.ResponseWriter, r *http.Request) {
		require.NotEmpty(t, chimiddleware.GetReqID(r.Context()))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range []string{"/me", "/me/"} {
			request := httptest.NewRequest(method, path, nil)
			w := httptest.NewRecorder()
			r.ServeHTTP(w, request)
			require.Equal(t, 401, w.Code)
			require.Equal(t, 401, logged)

			issuer.Authorize(request)
			w = httptest.NewRecorder()
			r.ServeHTTP(w, request)
			require.Equal(t, 200, w.Code)
			require.True(t, w.Flushed)
			require.Equal(t, 200, logged)
		}
	}
}

func TestMistakesPanicWhenTheRoutesAreSetUp(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	require.Panics(t, func() { chiguard.RequireScope(guard) })
	require.Panics(t, func() { chiguard.RequireScope(guard, "a b") })
	require.Panics(t, func() { chiguard.Require(guard) })
	require.Panics(t, func() { chiguard.Require(guard, nil) })
}
