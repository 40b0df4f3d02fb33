package authtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// newAPI is the API under test: it takes the guard as production makes it.
func newAPI(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(http.HandlerFunc(listPatients)))
	return mux
}

func listPatients(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context())
	fmt.Fprintf(w, "patients of %s", c.Subject)
}

// status sends a request with a token, and returns the status of the answer.
func status(api http.Handler, token string) int {
	request := httptest.NewRequest("GET", "/patients", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	response := httptest.NewRecorder()
	api.ServeHTTP(response, request)
	return response.Code
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

// Does the route need its scope?
func ExampleScope() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	api := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))

	fmt.Println(status(api, issuer.Token(authtest.Scope("openid", "read:patients"))))
	fmt.Println(status(api, issuer.Token(authtest.Scope("write:patients"))))
	fmt.Println(status(api, issuer.Token()))
	// Output:
	// 200
	// 403
	// 403
}

// Does it refuse tokens that have expired? (A test in a testing/synctest bubble can
// also sleep until a good one has.)
func ExampleExpiry() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	api := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))

	needed := authtest.Scope("read:patients")
	fmt.Println(status(api, issuer.Token(needed, authtest.Expiry(time.Now().Add(time.Minute)))))
	fmt.Println(status(api, issuer.Token(needed, authtest.Expiry(time.Now().Add(-time.Minute)))))
	// Output:
	// 200
	// 401
}

// Does it work with the tokens of my provider? And does it refuse its ID Tokens?
func ExampleLike() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	api := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))

	needed := authtest.Scope("read:patients") // "scp" at Okta
	fmt.Println(status(api, issuer.Token(authtest.Like(authtest.Okta), needed)))
	fmt.Println(status(api, issuer.IDToken(authtest.Like(authtest.Okta), needed)))
	// Output:
	// 200
	// 401
}

// Is the route for machines, in the tokens of each provider, and not for users?
func ExampleMachine() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	api := guard.Require(middleware.Machine())(http.HandlerFunc(listPatients))

	for _, shape := range []authtest.Shape{authtest.RFC9068, authtest.Auth0, authtest.Keycloak} {
		fmt.Println(shape, status(api, issuer.Token(authtest.Like(shape), authtest.Machine("reporter"))),
			status(api, issuer.Token(authtest.Like(shape))))
	}
	// Output:
	// RFC 9068 200 403
	// Auth0 200 403
	// Keycloak 200 403
}

// Does it refuse what no honest issuer signs?
func ExampleRawPayload() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")

	_, err := validator.Validate(context.Background(), issuer.Token(authtest.RawPayload(`{"aud":"another","aud":"https://example.com/health-api"}`)))
	fmt.Println(errors.Is(err, claims.ErrMalformed))
	// Output: true
}

// How do I test a handler alone, without its guard?
func ExampleClaims() {
	t := new(testing.T)

	c := authtest.Claims(t, authtest.Subject("ada"), authtest.Claim("org_id", "org-1"))
	r := httptest.NewRequest("GET", "/patients", nil)
	w := httptest.NewRecorder()
	listPatients(w, r.WithContext(claims.NewContext(r.Context(), c)))
	fmt.Println(w.Body)

	custom, err := claims.As[struct {
		Organization string `json:"org_id"`
	}](c)
	fmt.Println(custom.Organization, err)
	// Output:
	// patients of ada
	// org-1 <nil>
}

// How do I test an API that configures more than an audience?
func ExampleIssuer_Config() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)

	config := issuer.Config("https://example.com/health-api")
	config.ScopeClaims = []string{"permissions"}
	validator, err := claims.NewValidator(config)
	if err != nil {
		t.Fatal(err)
	}
	api := newAPI(middleware.New(validator))
	fmt.Println(status(api, issuer.Token(authtest.Claim("permissions", []string{"read:patients"}))))
	// Output: 200
}

// What happens when the issuer changes its keys?
func ExampleIssuer_Rotate() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	api := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))
	needed := authtest.Scope("read:patients")

	old := issuer.Token(needed)
	fmt.Println(status(api, old), issuer.KeyFetches())

	issuer.Rotate()
	fmt.Println(status(api, issuer.Token(needed)), issuer.KeyFetches()) // the new key is looked for
	fmt.Println(status(api, old), issuer.KeyFetches())                  // the old one is still good
	// Output:
	// 200 1
	// 200 2
	// 200 2
}

// What happens when the issuer is down?
func ExampleIssuer_SetDown() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	needed := authtest.Scope("read:patients")

	started := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))
	fmt.Println("before:", status(started, issuer.Token(needed)))

	issuer.SetDown(true)
	starting := newAPI(middleware.New(issuer.Validator("https://example.com/health-api")))
	fmt.Println("keys known:", status(started, issuer.Token(needed)))
	fmt.Println("keys not known:", status(starting, issuer.Token(needed)))
	// Output:
	// before: 200
	// keys known: 200
	// keys not known: 503
}
