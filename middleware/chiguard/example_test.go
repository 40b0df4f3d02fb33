package chiguard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/go-chi/chi/v5"
)

func Example() {
	t := new(testing.T) // in a test, its own
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))

	r := chi.NewRouter()
	r.With(chiguard.RequireScope(guard, "read:patients")).Get("/patients/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, _ := chiguard.Claims(r)
		fmt.Fprintf(w, "patient %s, asked for by %s", chi.URLParam(r, "id"), c.Subject)
	})

	request := httptest.NewRequest("GET", "/patients/7", nil)
	issuer.Authorize(request, authtest.Scope("read:patients"))
	response := httptest.NewRecorder()
	r.ServeHTTP(response, request)
	fmt.Println(response.Code, response.Body)
	// Output: 200 patient 7, asked for by user-1
}

// A test that no route was forgotten.
func ExampleRoutes() {
	t := new(testing.T) // in a test, its own
	guard := middleware.New(authtest.NewIssuer(t).Validator("https://example.com/health-api"))
	handler := func(http.ResponseWriter, *http.Request) {}
	r := chi.NewRouter()
	r.With(chiguard.RequireScope(guard, "read:patients")).Get("/patients/{id}", handler)
	r.Get("/labs", handler)

	for _, route := range chiguard.Routes(r) {
		if route.Policy.Access == middleware.Unprotected {
			fmt.Println(route) // t.Error(route)
		}
	}
	// Output: GET /labs: unprotected
}
