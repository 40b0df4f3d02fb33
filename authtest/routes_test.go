package authtest_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

const routesAudience = "https://example.com/health-api"

// reached fails where a request comes to the handler that must not.
func reached(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
}

func TestRoutes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(routesAudience), middleware.WithResourceMetadata(middleware.ResourceMetadata{}))
	handlers := map[string]http.Handler{
		"GET /me":                     guard.Handler(reached(t)),
		"GET /patients":               guard.RequireScope("read:patients")(reached(t)),
		"PUT /patients/{id}":          guard.Require(middleware.Scopes(scope.All("write:patients")), middleware.MaxAuthAge(1e9*60))(reached(t)),
		"GET /labs/{id}/files/{x...}": guard.Require(middleware.Scopes(scope.Any("read:labs", "admin")))(reached(t)),
		"DELETE /all/{$}":             guard.RequireScope("admin")(guard.RequireScope("delete:all")(reached(t))),
		"/any/{method}":               guard.Require(middleware.Clients("portal"))(reached(t)),
		"GET /feed":                   guard.Optional(reached(t)),
		"GET /health":                 middleware.Public(reached(t)),
	}
	mux := http.NewServeMux()
	var routes []middleware.Route
	for pattern, h := range handlers {
		mux.Handle(pattern, h)
		routes = append(routes, middleware.Route{Method: methodOf(pattern), Pattern: pattern, Policy: middleware.PolicyOf(h)})
	}
	issuer.Routes(t, mux, routes)
}

func methodOf(pattern string) string {
	for i := range pattern {
		if pattern[i] == ' ' {
			return pattern[:i]
		}
	}
	return "GET"
}

// Each mistake, and what is said of it.
func TestWhatIsWrongWithARoute(t *testing.T) {
	issuer, stranger := authtest.NewIssuer(t), authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(routesAudience))
	any := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	lax := middleware.Func("scope read:patients", func(*http.Request, *claims.Claims) error { return nil })
	required := func(requirements ...middleware.Requirement) middleware.Policy {
		return middleware.Policy{Access: middleware.TokenRequired, Requirements: requirements}
	}
	reading := middleware.Scopes(scope.All("read:patients"))
	tests := []struct {
		name    string
		handler http.Handler
		policy  middleware.Policy
		want    string
	}{
		{"as declared", guard.RequireScope("read:patients")(any), required(reading), ""},
		{"no guard", any, middleware.Policy{}, "no guard is seen before the route"},
		{"no guard where one is declared", any, required(), "GET /patients answers 200, and no guard was asked: the route is open"},
		{"no scope where one is declared", guard.Handler(any), required(reading), "an access token without a scope\nanswered   200\nshould be  403"},
		{"another scope than is declared", guard.RequireScope("read:labs")(any), required(reading), "is asked   scope read:labs\nshould be  scope read:patients"},
		{"a scope where none is declared", guard.RequireScope("read:labs")(any), required(), "should be  any access token"},
		{"a requirement that only has the name", guard.Require(lax)(any), required(reading), "an access token without a scope\nanswered   200\nshould be  403"},
		{"anonymous requests where a token is declared", guard.Optional(any), required(), "no token"},
		{"a guard of another issuer", middleware.New(stranger.Validator(routesAudience)).Handler(any), required(), "not from a trusted issuer\nmake its validator with Issuer.Validator"},
		{"another route", http.NotFoundHandler(), required(), "GET /patients answers 404, and no guard was asked: if the route takes other values"},
		{"a guard of an issuer that is down", middleware.New(undecided{}).Handler(any), required(), "tokens cannot be checked now"},
		{"a guard whose refusal somebody hides", hiding(guard.Handler(any)), required(), "answered   404\nshould be  401"},
		{"a guard that comes too late", late(guard.Handler(any)), required(), "answered   200\nshould be  401"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := issuer.TryRoute(t.Context(), tt.handler, middleware.Route{Method: "GET", Pattern: "/patients", Policy: tt.policy})
			if tt.want == "" {
				require.Empty(t, got)
			} else {
				require.Contains(t, got, tt.want)
			}
		})
	}
}

// undecided is a validator that cannot say.
type undecided struct{}

func (undecided) Validate(context.Context, string) (*claims.Claims, error) {
	return nil, claims.ErrUnavailable
}

// hiding answers 404 where something else is refused.
func hiding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(hider{w}, r)
	})
}

type hider struct{ http.ResponseWriter }

func (h hider) WriteHeader(int) { h.ResponseWriter.WriteHeader(404) }

// late answers before the guard does.
func late(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		next.ServeHTTP(w, r)
	})
}

func TestPathsOfPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"/patients":               "/patients",
		"GET /patients/{id}":      "/patients/1",
		"example.com/a/{b}/c":     "/a/1/c",
		"/files/{rest...}":        "/files/1",
		"/all/{$}":                "/all/",
		"/dates/{day:[0-9]{4}}/x": "/dates/1/x",
		"/patients/:id/labs/:lab": "/patients/1/labs/1",
		"/static/*path":           "/static/1",
		"/api/*":                  "/api/1",
		"/":                       "/",
		"/a-{b}.{c}":              "/a-1.1",
	} {
		require.Equal(t, want, authtest.Fill(pattern, "1"), pattern)
	}
}
