package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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

func get(h http.Handler, path, token string) { send("GET", h, path, token) }

func send(method string, h http.Handler, path, token string) {
	r := httptest.NewRequest(method, path, nil)
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
	mux := http.NewServeMux()
	mux.Handle("GET /news", guard.Require(middleware.Scopes(scope.Any("editor", "admin")))(http.NotFoundHandler()))
	mux.Handle("GET /labs", guard.Require(middleware.Scopes(scope.Any("admin").Or(scope.All("read:patients", "read:labs"))))(http.NotFoundHandler()))

	get(mux, "/news", issuer.Token(authtest.Scope("admin")))
	get(mux, "/labs", issuer.Token(authtest.Scope("read:labs", "read:patients")))
	get(mux, "/labs", issuer.Token(authtest.Scope("read:labs")))
	// Output:
	// 404
	// 404
	// 403 Bearer realm="api", error="insufficient_scope", error_description="the access token lacks a scope that this resource needs", scope="admin"
}

// Only tokens that were issued to these clients.
func ExampleClients() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Require(middleware.Clients("mobile-app", "portal"))(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.ClientID("portal")))
	get(h, "/", issuer.Token(authtest.ClientID("another")))
	// Output:
	// 404
	// 403 Bearer realm="api"
}

// Several clients, one API. The portal's own customers get in by its client only, and
// the mobile app reads.
func ExampleClients_several() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.Require(middleware.Clients("mobile-app", "portal"))(http.NotFoundHandler()))
	mux.Handle("PUT /patients", guard.Require(middleware.Clients("portal"))(http.NotFoundHandler()))
	// This client logs users in too, so its machine's token must be one.
	mux.Handle("POST /import", guard.Require(middleware.Clients("portal"), middleware.Machine())(http.NotFoundHandler()))

	for _, request := range []struct{ method, path, client, subject string }{
		{"GET", "/patients", "mobile-app", "user-1"},
		{"PUT", "/patients", "mobile-app", "user-1"},
		{"PUT", "/patients", "portal", "user-1"},
		{"POST", "/import", "portal", "user-1"},
		{"POST", "/import", "portal", "portal"}, // by client credentials
	} {
		r := httptest.NewRequest(request.method, request.path, nil)
		issuer.Authorize(r, authtest.ClientID(request.client), authtest.Subject(request.subject))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(request.method, request.path, request.client, request.subject, w.Code)
	}
	// Output:
	// GET /patients mobile-app user-1 404
	// PUT /patients mobile-app user-1 403
	// PUT /patients portal user-1 404
	// POST /import portal user-1 403
	// POST /import portal portal 404
}

// People only: a machine's token is refused, and so is one that does not say whose it
// is. Whether an issuer's tokens do is in the table above.
func ExampleUser() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Require(middleware.User())(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.Claim("sid", "session-1"))) // a user who has logged in
	get(h, "/", issuer.Token(authtest.Claim("gty", "client-credentials")))
	get(h, "/", issuer.Token())
	// Output:
	// 404
	// 403 Bearer realm="api"
	// 403 Bearer realm="api"
}

// A partner's authorization server is trusted as well, but not for everything.
func ExampleIssuers() {
	own, partner := exampleIssuer(), exampleIssuer()
	const audience = "https://example.com/health-api"
	guard := middleware.New(own.Validator(audience, claims.WithIssuer(partner.Config(audience))))
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(http.NotFoundHandler()))
	mux.Handle("GET /staff", guard.Require(middleware.Issuers(own.URL()), middleware.Scopes(scope.All("admin")))(http.NotFoundHandler()))

	// Scopes hold across issuers, so the partner can write admin into its tokens.
	token := partner.Token(authtest.Scope("read:patients", "admin"))
	get(mux, "/patients", token)
	get(mux, "/staff", token)
	get(mux, "/staff", own.Token(authtest.Scope("admin")))
	// Output:
	// 404
	// 403 Bearer realm="api"
	// 404
}

// A route for the nightly job, and one for people.
func ExampleMachine() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux := http.NewServeMux()
	mux.Handle("POST /reports", guard.Require(middleware.Machine())(http.NotFoundHandler()))
	mux.Handle("GET /me", guard.Require(middleware.NotMachine())(http.NotFoundHandler()))

	machine := issuer.Token(authtest.Subject("nightly"), authtest.ClientID("nightly")) // sub is the client: RFC 9068 §2.2
	user := issuer.Token(authtest.Subject("ada"), authtest.AuthTime(time.Now()))       // there was a login
	for _, token := range []string{machine, user} {
		send("POST", mux, "/reports", token)
		get(mux, "/me", token)
	}
	// Output:
	// 404
	// 403 Bearer realm="api"
	// 403 Bearer realm="api"
	// 404
}

// The organization in the path is the token's.
func ExampleClaimName_EqualsPathValue() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	sameOrg := middleware.Claim("org_id").EqualsPathValue("org")
	mux := http.NewServeMux()
	mux.Handle("GET /orgs/{org}/patients", guard.Require(sameOrg)(http.NotFoundHandler()))

	token := issuer.Token(authtest.Claim("org_id", "org-1"))
	get(mux, "/orgs/org-1/patients", token)
	get(mux, "/orgs/org-2/patients", token)
	// Output:
	// 404
	// 403 Bearer realm="api"
}

// One of several roles, in a claim of one's own or where Keycloak has them.
func ExampleClaimName_ContainsAny() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux := http.NewServeMux()
	mux.Handle("GET /a", guard.Require(middleware.Claim("https://example.com/roles").ContainsAny("nurse", "doctor"))(http.NotFoundHandler()))
	mux.Handle("GET /b", guard.Require(middleware.Claim("realm_access", "roles").ContainsAny("nurse", "doctor"))(http.NotFoundHandler()))

	get(mux, "/a", issuer.Token(authtest.Claim("https://example.com/roles", []string{"doctor", "night shift"})))
	get(mux, "/b", issuer.Token(authtest.Claim("realm_access", map[string]any{"roles": []string{"nurse"}})))
	get(mux, "/b", issuer.Token())
	// Output:
	// 404
	// 404
	// 403 Bearer realm="api"
}

// All of these: each must be among the elements.
func ExampleClaimName_ContainsAll() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Require(middleware.Claim("groups").ContainsAll("staff", "surgery"))(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.Claim("groups", []string{"staff", "surgery", "choir"})))
	get(h, "/", issuer.Token(authtest.Claim("groups", []string{"staff"})))
	// Output:
	// 404
	// 403 Bearer realm="api"
}

// Step-up (RFC 9470): the user has logged in with a second factor, and lately. A
// client that is told so has the user log in again.
func ExampleACR() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Require(middleware.ACR("mfa"), middleware.MaxAuthAge(5*time.Minute))(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.Claim("acr", "mfa"), authtest.Claim("auth_time", time.Now().Unix())))
	get(h, "/", issuer.Token())
	// Output:
	// 404
	// 401 Bearer realm="api", error="insufficient_user_authentication", error_description="a stronger authentication is needed", acr_values="mfa", max_age="300"
}

// A route that answers several methods.
func ExampleByMethod() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Require(middleware.ByMethod(map[string]middleware.Requirement{
		"GET": middleware.Scopes(scope.All("read:patients")),
		"PUT": middleware.Scopes(scope.All("write:patients")),
	}))(http.NotFoundHandler())

	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		r := httptest.NewRequest(method, "/patients/7", nil)
		issuer.Authorize(r, authtest.Scope("read:patients"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(method, w.Code)
	}
	// Output:
	// GET 404
	// HEAD 404
	// PUT 403
	// DELETE 403
}

// A function of one's own. Its error goes to the log, and never to the client.
func ExampleFunc() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	blocked := map[string]bool{"user-2": true}
	notBlocked := middleware.Func("user is not blocked", func(_ *http.Request, c *claims.Claims) error {
		if blocked[c.Subject] {
			return errors.New("the user is blocked")
		}
		return nil
	})
	h := guard.Require(notBlocked)(http.NotFoundHandler())

	get(h, "/", issuer.Token())
	get(h, "/", issuer.Token(authtest.Subject("user-2")))
	// Output:
	// 404
	// 403 Bearer realm="api"
}

// A function of one's own that decides what the client is told.
func ExampleFunc_status() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	quota := middleware.Func("within the quota", func(*http.Request, *claims.Claims) error {
		return &middleware.Error{Status: 429, Code: "quota_exceeded", Description: "too many requests this hour", RetryAfter: 10 * time.Minute}
	})
	r := httptest.NewRequest("GET", "/", nil)
	issuer.Authorize(r)
	w := httptest.NewRecorder()
	guard.Require(quota)(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Retry-After"), w.Body)
	// Output: 429 600 {"error":"quota_exceeded","error_description":"too many requests this hour"}
}

// Visitors may read, and who has a token is known.
func ExampleGuard_Optional() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	h := guard.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := claims.FromContext(r.Context()); ok {
			fmt.Println("welcome back,", c.Subject)
			return
		}
		fmt.Println("welcome")
	}))

	get(h, "/news", "")
	get(h, "/news", issuer.Token())
	get(h, "/news", "expired-or-forged")
	// Output:
	// welcome
	// 200
	// welcome back, user-1
	// 200
	// 401 Bearer realm="api", error="invalid_token", error_description="the access token is expired, malformed or not meant for this API"
}

// What each route asks for, and which was forgotten: in a test, fail for those. For
// chi and gin, packages chiguard and ginguard list the routes.
func ExamplePolicyOf() {
	guard := middleware.New(exampleIssuer().Validator("https://example.com/health-api"))
	routes := map[string]http.Handler{
		"GET /me":        guard.Handler(http.NotFoundHandler()),
		"GET /news":      guard.Optional(http.NotFoundHandler()),
		"GET /patients":  guard.RequireScope("read:patients")(http.NotFoundHandler()),
		"POST /patients": http.NotFoundHandler(),
	}
	mux := http.NewServeMux()
	for _, pattern := range slices.Sorted(maps.Keys(routes)) {
		mux.Handle(pattern, routes[pattern])
		fmt.Printf("%s: %s\n", pattern, middleware.PolicyOf(routes[pattern]))
	}
	// Output:
	// GET /me: any access token
	// GET /news: anyone, or a good access token
	// GET /patients: scope read:patients
	// POST /patients: unprotected
}

// A browser's EventSource can set no header. Its token is in the URL, so it should
// be short-lived, and the URL kept out of the access log.
func ExampleAllowQueryToken() {
	issuer := exampleIssuer()
	validator := issuer.Validator("https://example.com/health-api")
	guard := middleware.New(validator)
	events := middleware.New(validator, middleware.AllowQueryToken()) // for this route alone
	mux := http.NewServeMux()
	mux.Handle("GET /events", events.Handler(http.NotFoundHandler()))
	mux.Handle("GET /patients", guard.Handler(http.NotFoundHandler()))

	token := issuer.Token()
	get(mux, "/events?access_token="+token, "")
	get(mux, "/events?access_token="+token, token)
	get(mux, "/patients?access_token="+token, "")
	// Output:
	// 404
	// 400 Bearer realm="api", error="invalid_request", error_description="the request must have one access token, sent in one way"
	// 401 Bearer realm="api"
}

// Pages of the API's own site send the token as a cookie, which another site cannot
// use for them.
func ExampleAllowCookieToken() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"),
		middleware.AllowCookieToken("__Host-token", nil))
	h := guard.Handler(http.NotFoundHandler())

	for _, site := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest("POST", "/patients", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-token", Value: issuer.Token()})
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(site, w.Code)
	}
	// Output:
	// same-origin 404
	// cross-site 403
}

// A client that knows only the API's address, such as one of the Model Context
// Protocol, finds out where to get a token and what to ask for (RFC 9728).
func ExampleWithResourceMetadata() {
	validator, err := claims.NewValidator(claims.Config{Issuer: "https://login.example.com/", Audience: "https://api.example.com/mcp"})
	if err != nil {
		panic(err)
	}
	guard := middleware.New(validator, middleware.WithResourceMetadata(middleware.ResourceMetadata{Name: "Health API"}))
	mux := http.NewServeMux()
	mux.Handle(guard.ResourceMetadata())
	mux.Handle("POST /mcp", guard.RequireScope("tools:call")(http.NotFoundHandler()))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/mcp", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-protected-resource/mcp", nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 Bearer realm="api", scope="tools:call", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"
	// 200 {"resource":"https://api.example.com/mcp","authorization_servers":["https://login.example.com/"],"scopes_supported":["tools:call"],"bearer_methods_supported":["header"],"resource_name":"Health API"}
}

// Why requests were refused, in the log.
func ExampleLogDecisions() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"),
		middleware.WithObserver(middleware.LogDecisions(logger)))
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(http.NotFoundHandler()))

	r := httptest.NewRequest("GET", "/patients", nil)
	r.Header.Set("Authorization", "Bearer "+issuer.IDToken())
	mux.ServeHTTP(httptest.NewRecorder(), r)
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/patients", nil))
	// Output:
	// level=INFO msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=401 reason="claims: the token is an ID Token, not an access token: it has nonce"
	// level=INFO msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=401 reason="middleware: no access token: there is no Authorization header"
}

// withoutTime leaves out what differs from run to run.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "duration" {
		return slog.Attr{}
	}
	return a
}

// Count the decisions by what they were: there are few reasons, and few outcomes.
func ExampleDecision() {
	type label struct {
		outcome middleware.Outcome
		reason  error
	}
	counts := map[label]int{} // with Prometheus, a CounterVec
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"),
		middleware.WithObserver(func(_ context.Context, d middleware.Decision) { counts[label{d.Outcome, d.Reason}]++ }))
	h := guard.RequireScope("read:patients")(http.NotFoundHandler())

	get(h, "/", issuer.Token(authtest.Scope("read:patients")))
	get(h, "/", issuer.IDToken())
	get(h, "/", "")
	fmt.Println(counts[label{middleware.Allowed, nil}], counts[label{middleware.Refused, claims.ErrIDToken}], counts[label{middleware.Refused, middleware.ErrNoToken}])
	// Output:
	// 404
	// 401 Bearer realm="api", error="invalid_token", error_description="the access token is expired, malformed or not meant for this API", scope="read:patients"
	// 401 Bearer realm="api", scope="read:patients"
	// 1 1 1
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

// A handler that finds out late that it cannot answer. The reason goes to the log.
func ExampleGuard_Refuse() {
	issuer := exampleIssuer()
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	find := func(context.Context) error { return fmt.Errorf("the database is down: %w", middleware.ErrUnavailable) }
	h := guard.RequireScope("read:patients")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := find(r.Context()); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		fmt.Fprintln(w, "patients")
	}))

	r := httptest.NewRequest("GET", "/patients", nil)
	issuer.Authorize(r, authtest.Scope("read:patients"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Retry-After"), w.Body)
	// Output: 503 5 {"error":"temporarily_unavailable","error_description":"what this request depends on is not available now; try again later"}
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
