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
	"github.com/bearerguard/bearerguard/scope"
	"github.com/go-chi/chi/v5"
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

// router has guards in every place where chi takes a middleware.
func router(guard *middleware.Guard) http.Handler {
	patients := chi.NewRouter()
	patients.Use(chiguard.RequireScope(guard, "read:patients"))
	patients.Get("/", subject)
	patients.With(chiguard.Require(guard, middleware.Scopes(scope.Any("write:patients", "admin")))).Put("/{id}", subject)

	r := chi.NewRouter()
	r.Get("/health", subject)
	r.With(chiguard.Handler(guard)).Get("/me", subject)
	r.With(guard.RequireScope("read:labs")).Get("/labs/{id}", subject)
	r.Route("/api", func(r chi.Router) {
		r.Use(chiguard.Handler(guard))
		r.Mount("/patients", patients)
	})
	r.Group(func(r chi.Router) {
		r.Use(chiguard.RequireScope(guard, "admin"))
		r.Delete("/everything", subject)
	})
	return r
}

func TestRoutes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	guard := middleware.New(issuer.Validator(audience),
		middleware.WithObserver(func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }))
	h := router(guard)

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
		{"GET", "/labs/7", reader, 403, "", "/labs/{id}"},
		{"GET", "/api/patients", reader, 200, "user-1", "/api/patients"},
		{"GET", "/api/patients", nil, 401, "", "/api/*"},
		{"PUT", "/api/patients/7", reader, 403, "", "/api/patients/{id}"},
		{"PUT", "/api/patients/7", []authtest.TokenOption{authtest.Scope("read:patients", "admin")}, 200, "user-1", "/api/patients/{id}"},
		{"PUT", "/api/patients/7", []authtest.TokenOption{authtest.Scope("admin")}, 403, "", "/api/patients/*"},
		{"DELETE", "/everything", reader, 403, "", "/everything"},
		{"DELETE", "/everything", []authtest.TokenOption{authtest.Scope("admin")}, 200, "user-1", "/everything"},
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
			h.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code, w.Body)
			if tt.status == 200 {
				require.Equal(t, tt.body, w.Body.String())
			} else {
				require.Contains(t, w.Body.String(), `"error_description"`)
				require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
			}
			if tt.pattern == "" {
				require.Empty(t, seen)
				return
			}
			require.Equal(t, tt.pattern, seen[len(seen)-1].Pattern)
		})
	}
}

func TestMistakesPanicWhenTheRoutesAreSetUp(t *testing.T) {
	guard := middleware.New(authtest.NewIssuer(t).Validator(audience))
	require.Panics(t, func() { chiguard.RequireScope(guard) })
	require.Panics(t, func() { chiguard.RequireScope(guard, "a b") })
	require.Panics(t, func() { chiguard.Require(guard) })
}
