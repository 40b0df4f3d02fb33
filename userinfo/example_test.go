package userinfo_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
)

// exampleAPI returns a fake authorization server, a guard for its tokens and a client
// for its userinfo endpoint; a program configures its own with the same Issuer, and
// needs no Client.
func exampleAPI() (*authtest.Issuer, *middleware.Guard, *userinfo.Client) {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	issuer.AddUser("ada", map[string]any{
		"name": "Ada Example", "email": "ada@example.com", "email_verified": true,
		"https://example.com/department": "cardiology",
	})
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	if err != nil {
		panic(err)
	}
	return issuer, guard, users
}

func get(h http.Handler, token string) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.TrimSpace(w.Header().Get("Retry-After")+" "+w.Body.String()))
}

// What is the address of the current user?
func Example() {
	issuer, guard, users := exampleAPI()

	// The guard asks for the scopes, so that its challenge names them.
	h := guard.RequireScope("openid", "email")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context())
		if err != nil {
			http.Error(w, "who are you?", http.StatusForbidden) // for more, see the other examples
			return
		}
		fmt.Fprintln(w, user.Name, user.Email, user.EmailVerified)
	}))

	get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile", "email")))
	get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("read:patients")))
	fmt.Println("calls of the endpoint:", issuer.UserinfoRequests())
	// Output:
	// 200 Ada Example ada@example.com true
	// 403 {"error":"insufficient_scope","error_description":"the access token lacks a scope that this resource needs"}
	// calls of the endpoint: 1
}

// What does the issuer say of the user besides?
func ExampleAs() {
	issuer, guard, users := exampleAPI()
	type custom struct {
		Department string `json:"https://example.com/department"`
	}

	h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context())
		if err != nil {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		mine, err := userinfo.As[custom](user)
		fmt.Fprintln(w, mine.Department, err)
	}))

	get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid")))
	// Output: 200 cardiology <nil>
}

// What is to be answered while the issuer cannot tell, or does not?
func ExampleClient_Profile_errors() {
	issuer, guard, users := exampleAPI()

	h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context())
		if err != nil {
			guard.Refuse(w, r, err)
			return
		}
		fmt.Fprintln(w, "hello,", user.Name)
	}))

	ask := func() { get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))) }
	ask()
	issuer.SetUserinfo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	ask()
	issuer.SetUserinfo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	ask()
	issuer.SetDown(true) // the guard's keys are known, so it works on
	ask()
	// Output:
	// 200 hello, Ada Example
	// 503 30 {"error":"temporarily_unavailable","error_description":"what this request depends on is not available now; try again later"}
	// 401 {"error":"invalid_token","error_description":"the access token is not accepted by its issuer"}
	// 503 5 {"error":"temporarily_unavailable","error_description":"what this request depends on is not available now; try again later"}
}

// How do I open a route to those only whose profile says something?
func ExampleClient_Profile_requirement() {
	issuer, guard, users := exampleAPI()
	issuer.AddUser("eve", map[string]any{"email": "eve@example.com", "email_verified": false})

	verified := middleware.Func("a verified email address", func(r *http.Request, _ *claims.Claims) error {
		user, err := users.Profile(r.Context())
		if err != nil {
			return err // 401, 403 or 503, by what it is
		}
		if !user.EmailVerified {
			return errors.New("the address is not verified")
		}
		return nil
	})
	h := guard.Require(verified)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := users.Profile(r.Context()) // the one from before
		fmt.Fprintln(w, "hello,", user.Name)
	}))

	get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile", "email")))
	get(h, issuer.Token(authtest.Subject("eve"), authtest.Scope("openid", "profile", "email")))
	get(h, issuer.Token(authtest.Subject("ada")))
	fmt.Println("calls of the endpoint:", issuer.UserinfoRequests())
	issuer.SetDown(true)
	get(h, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile", "email")))
	// Output:
	// 200 hello, Ada Example
	// 403 {"error":"access_denied","error_description":"the access token does not permit this request"}
	// 403 {"error":"insufficient_scope","error_description":"the access token lacks the scope openid, without which its issuer does not tell of the user"}
	// calls of the endpoint: 2
	// 503 5 {"error":"temporarily_unavailable","error_description":"what this request depends on is not available now; try again later"}
}

// How do I ask the issuer that a token is from, where the API takes those of two?
func ExampleWithIssuer() {
	t := new(testing.T)
	old, current := authtest.NewIssuer(t), authtest.NewIssuer(t)
	old.AddUser("ada", map[string]any{"name": "Ada Example"})
	current.AddUser("7", map[string]any{"name": "Ada Example-Smith"})

	const audience = "https://example.com/health-api"
	validator, err := claims.NewValidator(current.Config(audience), claims.WithIssuer(old.Config(audience)))
	if err != nil {
		t.Fatal(err)
	}
	users, err := userinfo.NewClient(
		userinfo.Config{Issuer: current.URL(), Client: current.HTTPClient()},
		userinfo.WithIssuer(userinfo.Config{Issuer: old.URL(), Client: old.HTTPClient()}),
	)
	if err != nil {
		t.Fatal(err)
	}
	h := middleware.New(validator).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context())
		if err != nil {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, user.Name)
	}))

	get(h, current.Token(authtest.Subject("7"), authtest.Scope("openid", "profile")))
	get(h, old.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile")))
	// Output:
	// 200 Ada Example-Smith
	// 200 Ada Example
}
