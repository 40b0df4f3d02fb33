package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// newAPI is the API under test: it takes the guard as production makes it.
func newAPI(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			c, _ := claims.FromContext(r.Context())
			fmt.Fprintf(w, "patients of %s", c.Subject)
		})))
	return mux
}

// The test of a guarded route: what it lets through, and what it refuses. In a
// test file, t is the test's own.
func ExampleNewIssuer() {
	t := new(testing.T)

	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	api := newAPI(guard)

	send := func(authorize func(*http.Request)) {
		request := httptest.NewRequest("GET", "/patients", nil)
		authorize(request)
		response := httptest.NewRecorder()
		api.ServeHTTP(response, request)
		fmt.Println(response.Code, response.Body)
	}
	send(func(r *http.Request) { issuer.Authorize(r, authtest.Scope("read:patients")) })
	send(func(r *http.Request) { issuer.Authorize(r) })
	send(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+issuer.IDToken()) })
	// Output:
	// 200 patients of user-1
	// 403 {"error":"insufficient_scope","error_description":"the access token lacks a scope that this resource needs"}
	//
	// 401 {"error":"invalid_token","error_description":"the access token is expired, malformed or not meant for this API"}
}
