package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// exampleIssuer is a fake authorization server; a program has a
// claims.NewValidator with the issuer and the audience of its own. In a test, t
// is the test's.
func exampleIssuer() *authtest.Issuer {
	t := new(testing.T)
	return authtest.NewIssuer(t)
}

func get(h http.Handler, path, token string) {
	r := httptest.NewRequest("GET", path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))))
}

func Example() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))

	patients := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := claims.FromContext(r.Context())
		fmt.Fprintln(w, "patients of", c.Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(patients))

	get(mux, "/patients", issuer.Token(authtest.Scope("read:patients")))
	get(mux, "/patients", issuer.Token(authtest.Scope("openid")))
	get(mux, "/patients", issuer.IDToken())
	get(mux, "/patients", "")
	// Output:
	// 200
	// 403 Bearer realm="api", error="insufficient_scope", error_description="the access token lacks a scope that this resource needs", scope="read:patients"
	// 401 Bearer realm="api", error="invalid_token", error_description="the access token is expired, malformed or not meant for this API", scope="read:patients"
	// 401 Bearer realm="api", scope="read:patients"
}

// One of several scopes, or combinations of them.
func ExampleScopes() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	rule := scope.Any("admin").Or(scope.All("read:patients", "read:labs"))
	h := guard.Require(middleware.Scopes(rule))(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.Scope("read:labs", "read:patients")))
	get(h, "/", issuer.Token(authtest.Scope("read:labs")))
	// Output:
	// 404
	// 403 Bearer realm="api", error="insufficient_scope", error_description="the access token lacks a scope that this resource needs", scope="admin"
}

// sameOrg is a requirement of one's own: the organization in the path is that of
// the token.
type sameOrg struct{}

func (sameOrg) Check(r *http.Request, c *claims.Claims) error {
	custom, err := claims.As[struct {
		Org string `json:"org_id"`
	}](c)
	if err != nil {
		return err
	}
	if custom.Org == "" || custom.Org != r.PathValue("org") {
		return errors.New("the organization in the path is not the token's")
	}
	return nil
}

func (sameOrg) String() string { return "org in the path equals org_id" }

func ExampleGuard_Require() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	protect := guard.Require(middleware.Scopes(scope.All("read:patients")), sameOrg{})
	mux := http.NewServeMux()
	mux.Handle("GET /orgs/{org}/patients", protect(http.NotFoundHandler()))

	token := issuer.Token(authtest.Scope("read:patients"), authtest.Claim("org_id", "org-1"))
	get(mux, "/orgs/org-1/patients", token)
	get(mux, "/orgs/org-2/patients", token)
	// Output:
	// 404
	// 403 Bearer realm="api"
}

// Why a request was refused is for the log; the client is not told.
func ExampleWithObserver() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"),
		middleware.WithObserver(func(_ context.Context, d middleware.Decision) {
			if d.Refusal != nil {
				fmt.Println(d.Refusal.Status, d.Refusal.Err)
			}
		}))
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r, authtest.Claim("nonce", "n"), authtest.Header("typ", "JWT"))
	guard.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	// Output: 401 claims: the token is an ID Token, not an access token: it has nonce
}

// Errors in a format of one's own, here that of RFC 9457. The challenge is set
// already.
func ExampleWithErrorHandler() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"),
		middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(e.Status)
			json.NewEncoder(w).Encode(map[string]any{"title": e.Description, "status": e.Status})
		}))
	w := httptest.NewRecorder()
	guard.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Header().Get("WWW-Authenticate"))
	fmt.Println(w.Body)
	// Output:
	// Bearer realm="api"
	// {"status":401,"title":"no access token was sent; send it in the header Authorization: Bearer TOKEN"}
}

func ExampleGuard_Check() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r, authtest.Audience("https://example.com/another-api"))

	_, err := guard.Check(r)
	fmt.Println(err)
	fmt.Println(errors.Is(err, claims.ErrAudience))
	// Output:
	// middleware: invalid_token: the access token is expired, malformed or not meant for this API
	// true
}
