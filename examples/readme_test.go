// Package examples_test has the code of README.md, so that it compiles.
package examples_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
)

func newGuard(mux *http.ServeMux, me, patients http.Handler) {
	validator, err := claims.NewValidator(claims.Config{
		Issuer:   "https://my-domain.auth0.com/",   // exact, compared as it is
		Audience: "https://example.com/health-api", // the API identifier
	})
	if err != nil {
		log.Fatal(err)
	}
	guard := middleware.New(validator)

	mux.Handle("GET /me", guard.Handler(me))                                   // any valid access token
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(patients)) // and this scope
}

func chiRoutes(r chi.Router, guard *middleware.Guard, list http.HandlerFunc) {
	r.With(guard.RequireScope("read:patients")).Get("/patients", list) // chi
}

func ginRoutes(e *gin.Engine, guard *middleware.Guard, list gin.HandlerFunc) {
	e.GET("/patients", ginguard.RequireScope(guard, "read:patients"), list) // gin: middleware/ginguard
}

func requirements(mux *http.ServeMux, guard *middleware.Guard, handler, news http.Handler) {
	read, write := middleware.Scopes(scope.All("read:patients")), middleware.Scopes(scope.All("write:patients"))
	patients := guard.Require(
		middleware.Scopes(scope.Any("read:labs", "write:labs")),                  // one of these scopes
		middleware.Clients("mobile-app", "portal"),                               // issued to one of these clients
		middleware.Claim("org_id").EqualsPathValue("org"),                        // {org} in the pattern of the route
		middleware.Claim("realm_access", "roles").ContainsAny("nurse", "doctor"), // one of these roles
		middleware.ACR("mfa"),                // step-up (RFC 9470): log in with a second factor,
		middleware.MaxAuthAge(5*time.Minute), // and not longer ago than this
		middleware.ByMethod(map[string]middleware.Requirement{"GET": read, "PUT": write}),
		middleware.Func("weekdays only", weekdays), // a function of your own
	)
	mux.Handle("/orgs/{org}/patients", patients(handler))
	mux.Handle("GET /news", guard.Optional(news)) // anyone; a token that is sent must be good
}

func weekdays(*http.Request, *claims.Claims) error { return errors.New("it is Sunday") }

// errorer is what a test tells of its failures.
type errorer interface{ Error(...any) }

func inventory(t errorer, routes map[string]http.Handler) {
	for pattern, handler := range routes { // net/http: a map, from which the program fills the mux
		if middleware.PolicyOf(handler).Access == middleware.Unprotected {
			t.Error(pattern)
		}
	}
}

func chiInventory(t errorer, r chi.Router) {
	for _, route := range chiguard.Routes(r) { // chi; for gin: ginguard.Routes(e)
		if route.Policy.Access == middleware.Unprotected {
			t.Error(route) // such as "GET /patients: unprotected"
		}
	}
}

func discoverable(mux *http.ServeMux, validator *claims.Validator) *middleware.Guard {
	guard := middleware.New(validator, middleware.WithResourceMetadata(middleware.ResourceMetadata{}))
	mux.Handle(guard.ResourceMetadata()) // open to everyone, at /.well-known/oauth-protected-resource…
	return guard
}

func observed(validator *claims.Validator, refusals *expvar.Map) *middleware.Guard {
	guard := middleware.New(validator,
		middleware.WithObserver(middleware.LogDecisions(slog.Default())),
		middleware.WithObserver(func(_ context.Context, d middleware.Decision) {
			if d.Refusal != nil {
				refusals.Add(fmt.Sprint(d.Pattern, " ", d.Reason), 1) // an expvar.Map
			}
		}))
	return guard
}

func memory(mux *http.ServeMux, validator *claims.Validator) {
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { // as Prometheus reads them
		m := validator.Memory()
		fmt.Fprintf(w, "tokens_known_total %d\ntokens_not_known_total %d\n", m.Hits, m.Misses)
		fmt.Fprintf(w, "tokens_evicted_total %d\ntokens_remembered %d\n", m.Evictions, m.Entries)
	})
}

func newAPI(guard *middleware.Guard) http.Handler {
	return guard.RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func TestPatients(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))

	r := httptest.NewRequest("GET", "/patients", nil)
	issuer.Authorize(r, authtest.Scope("read:patients")) // a real token, signed for this test
	w := httptest.NewRecorder()
	newAPI(guard).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
}

func TestPatientsStand(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(middleware.New(v)) },
		Request:  httptest.NewRequest("GET", "/patients", nil),
		Audience: "https://example.com/health-api",
		Scope:    []string{"read:patients"},
	})
}

func TestTheRoutesOfTheREADMEAreGuarded(t *testing.T) {
	gin.SetMode(gin.TestMode)
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux, r, e := http.NewServeMux(), chi.NewRouter(), gin.New()
	newGuard(mux, http.NotFoundHandler(), http.NotFoundHandler())
	chiRoutes(r, guard, func(http.ResponseWriter, *http.Request) {})
	ginRoutes(e, guard, func(*gin.Context) {})
	for _, h := range []http.Handler{mux, r, e} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/patients", nil))
		require.Equal(t, 401, w.Code)
	}
}

func TestTheRequirementsOfTheREADMEAreChecked(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux := http.NewServeMux()
	requirements(mux, guard, http.NotFoundHandler(), http.NotFoundHandler())
	tests := []struct {
		path    string
		options []authtest.TokenOption // of the token; nil: none is sent
		status  int
		body    string
	}{
		{"/news", nil, 404, ""},
		{"/news", []authtest.TokenOption{authtest.Audience("another")}, 401, "invalid_token"},
		{"/orgs/a/patients", nil, 401, ""},
		{"/orgs/a/patients", []authtest.TokenOption{authtest.Scope("read:patients")}, 403, "insufficient_scope"},
		{"/orgs/a/patients", []authtest.TokenOption{
			authtest.Scope("read:patients", "read:labs"), authtest.ClientID("portal"), authtest.Claim("org_id", "a"),
			authtest.Claim("realm_access", map[string]any{"roles": []string{"nurse"}}),
		}, 401, "insufficient_user_authentication"},
		{"/orgs/a/patients", []authtest.TokenOption{
			authtest.Scope("read:patients", "read:labs"), authtest.ClientID("portal"), authtest.Claim("org_id", "a"),
			authtest.Claim("realm_access", map[string]any{"roles": []string{"nurse"}}),
			authtest.Claim("acr", "mfa"), authtest.Claim("auth_time", time.Now().Unix()),
		}, 403, "access_denied"}, // the last one
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", tt.path, nil)
		if tt.options != nil {
			issuer.Authorize(r, tt.options...)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		require.Equal(t, tt.status, w.Code, "%s", w.Body)
		require.Contains(t, w.Body.String(), tt.body)
	}
}

// told has what a test was told of.
type told []string

func (all *told) Error(of ...any) { *all = append(*all, fmt.Sprint(of...)) }

func TestTheInventoriesOfTheREADMEFindAForgottenRoute(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	open := http.NotFoundHandler()
	var forgotten told
	inventory(&forgotten, map[string]http.Handler{"GET /me": guard.Handler(open), "GET /patients": open})
	require.Equal(t, told{"GET /patients"}, forgotten)

	r := chi.NewRouter()
	r.Method("GET", "/health", middleware.Public(http.HandlerFunc(open.ServeHTTP)))
	r.With(guard.Handler).Get("/me", open.ServeHTTP)
	r.Get("/patients", open.ServeHTTP)
	forgotten = nil
	chiInventory(&forgotten, r)
	require.Equal(t, told{"GET /patients: unprotected"}, forgotten)
}

func TestTheMetadataOfTheREADMEAreServed(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	mux := http.NewServeMux()
	guard := discoverable(mux, issuer.Validator("https://example.com/health-api"))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-protected-resource/health-api", nil))
	require.Contains(t, w.Body.String(), `"authorization_servers":["`+issuer.URL()+`"]`)
	w = httptest.NewRecorder()
	guard.Handler(mux).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Contains(t, w.Header().Get("WWW-Authenticate"), `resource_metadata="https://example.com/.well-known/oauth-protected-resource/health-api"`)
}

func TestTheObserversOfTheREADMECount(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	refusals := new(expvar.Map)
	mux := http.NewServeMux()
	mux.Handle("GET /me", observed(issuer.Validator("https://example.com/health-api"), refusals).Handler(http.NotFoundHandler()))
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/me", nil))
	require.Equal(t, `{"GET /me middleware: no access token": 1}`, refusals.String())
}

func TestTheMetricsOfTheREADMECountWhatIsRemembered(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	for range 3 {
		middleware.New(validator).Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	}
	mux := http.NewServeMux()
	memory(mux, validator)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, "tokens_known_total 2\ntokens_not_known_total 1\ntokens_evicted_total 0\ntokens_remembered 1\n", w.Body.String())
}

// Every line of Go in README.md stands in this file.
func TestTheCodeOfTheREADMEIsCompiled(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	compiled := map[string]bool{}
	for line := range strings.Lines(string(source)) {
		compiled[normal(line)] = true
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 11)
	for _, block := range blocks {
		for line := range strings.Lines(string(block[1])) {
			require.True(t, compiled[normal(line)], "%q is not compiled", line)
		}
	}
}

// normal returns a line without its comment and the white space in it.
func normal(line string) string {
	code, _, _ := strings.Cut(line, "// ")
	return strings.Join(strings.Fields(code), " ")
}
