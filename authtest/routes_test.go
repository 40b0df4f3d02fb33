package authtest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

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
	mfa := middleware.Func("mfa", func(*http.Request, *claims.Claims) error { return errors.New("no second factor") })
	strict := middleware.Func("strict", func(*http.Request, *claims.Claims) error { return errors.New("no") })
	custom := middleware.New(issuer.Validator(routesAudience), middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
		http.Error(w, "no", e.Status)
	}))
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
		{"any token where another requirement is declared", guard.Handler(any), required(mfa), "answered   200, and nobody has asked for: mfa"},
		{"a scope where another requirement is declared besides", guard.Require(reading)(any), required(reading, mfa), "answered   200, and nobody has asked for: mfa"},
		{"a scope where two are declared", guard.Require(reading)(any), required(reading, middleware.Scopes(scope.All("b"))), "answered   200, and nobody has asked for: scope b"},
		{"a requirement that hides what is behind", guard.Require(mfa)(guard.Require(reading)(any)), required(mfa, reading), "refused    for \"mfa\", so that it is not seen whether a guard behind asks for: scope read:patients"},
		{"a guard behind a requirement that is not met", guard.Require(mfa)(guard.Require(strict)(any)), required(mfa, strict), "refused    for \"mfa\", so that it is not seen whether a guard behind asks for: strict\ngive Routes"},
		{"nothing behind a requirement that is not met", guard.Require(mfa)(any), required(mfa, strict), "so that it is not seen whether a guard behind asks for: strict"},
		{"no return behind a refusal: more is written", behindRefusal(guard.Require(reading), func(w http.ResponseWriter) { _, _ = io.WriteString(w, "Ada") }), required(reading), "answered   401, and something is written behind the guard's refusal"},
		{"no return behind a refusal: a status", behindRefusal(guard.Require(reading), func(w http.ResponseWriter) { w.WriteHeader(200) }), required(reading), "answered   401, and the status is set once more behind the guard's refusal"},
		{"no return behind a refusal of an error handler: a status", behindRefusal(custom.Require(reading), func(w http.ResponseWriter) { w.WriteHeader(200) }), required(reading), "the status is set once more"},
		{"a guard that is asked once", once(guard.Handler(any)), required(), "with       an ID Token\nanswered   401, and no guard was asked, though one was with another token"},
		{"a guard that is not asked about good tokens", onlyBad(guard.Handler(any)), required(), "with       an access token with all scopes of the policy\nanswered   200, and no guard was asked"},
		{"an API that panics", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no database") }), required(), "the API panics: no database"},
		{"an API that panics at ID Tokens", panicking(guard.Handler(any)), required(), "the API    panics: no database"},
		{"an API that panics where it is let in", guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no database") })), required(mfa), "the API    panics: no database"},
		{"another API of the issuer's", middleware.New(issuer.Validator("https://second.example/")).Handler(any), required(), "for another audience\nif the route is of another API of the issuer's, give its audience"},
		{"another acr each time", guard.Require(&moody{})(any), required(&moody{}, mfa), "whatever acr a token has, another one is asked for"},
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
		"example.com/a/{b}/c":     "example.com/a/1/c",
		"/files/{rest...}":        "/files/1",
		"/all/{$}":                "/all/",
		"/dates/{day:[0-9]{4}}/x": "/dates/1/x",
		"/patients/:id/labs/:lab": "/patients/1/labs/1",
		"/static/*path":           "/static/1",
		"/api/*":                  "/api/1",
		"/":                       "/",
		"/a-{b}.{c}":              "/a-1.1",
	} {
		host, path := authtest.Fill(pattern, "1")
		require.Equal(t, want, host+path, pattern)
	}
}

// behindRefusal lets something happen behind each refusal.
func behindRefusal(protect func(http.Handler) http.Handler, happens func(http.ResponseWriter)) http.Handler {
	guarded := protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guarded.ServeHTTP(w, r)
		happens(w)
	})
}

// once asks a guard about the first request, and refuses the others itself.
func once(guarded http.Handler) http.Handler {
	asked := false
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked {
			w.WriteHeader(401)
			return
		}
		asked = true
		guarded.ServeHTTP(w, r)
	})
}

// payloadOf returns what a request's token says.
func payloadOf(r *http.Request) string {
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	if len(parts) != 3 {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(payload)
}

// onlyBad asks no guard about tokens that are for the API and have a login.
func onlyBad(guarded http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var payload struct {
			ClientID string `json:"client_id"`
			Aud      any
			Exp      int64
		}
		_ = json.Unmarshal([]byte(payloadOf(r)), &payload)
		if payload.ClientID == "" || payload.Aud != routesAudience || payload.Exp < time.Now().Unix() {
			guarded.ServeHTTP(w, r)
		}
	})
}

// panicking panics at ID Tokens.
func panicking(guarded http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(payloadOf(r), "nonce") {
			panic("no database")
		}
		guarded.ServeHTTP(w, r)
	})
}

// moody asks for another acr each time.
type moody struct{ asked int }

func (m *moody) Check(*http.Request, *claims.Claims) error {
	m.asked++
	return &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication, Description: "no", ACRValues: strconv.Itoa(m.asked)}
}

func (*moody) String() string { return "a mood" }

// Guards that stand one behind the other are all seen, and no handler runs: not even
// where something recovers panics.
func TestRoutesSeesAllGuardsOfARoute(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(routesAudience))
	second := middleware.New(issuer.Validator("https://second.example/"))
	literal := middleware.New(issuer.Validator("https://another-api.example/"))
	a, b := middleware.Scopes(scope.All("a")), middleware.Scopes(scope.Any("b", "c"))
	portal, fresh, strong := middleware.Clients("portal"), middleware.MaxAuthAge(time.Minute), middleware.ACR("mfa", "phr")
	chain := func(g *middleware.Guard, all ...middleware.Requirement) http.Handler {
		h := reached(t)
		for n := len(all) - 1; n >= 0; n-- {
			h = g.Require(all[n])(h)
		}
		return g.Handler(h)
	}
	tests := []struct {
		name    string
		api     http.Handler
		options []authtest.TokenOption
	}{
		{"two scopes", chain(guard, a, b), nil},
		{"scopes behind a login", chain(guard, fresh, strong, a), nil},
		{"a login behind scopes", chain(guard, a, strong, fresh), nil},
		{"logins only", chain(guard, strong, fresh), nil},
		{"a client", chain(guard, portal, a), []authtest.TokenOption{authtest.ClientID("portal")}},
		{"one that is last and not met", chain(guard, a, portal), nil},
		{"a second API", chain(second, a, b), []authtest.TokenOption{authtest.Audience("https://second.example/")}},
		{"an API that is called as one of the tests", chain(literal, a), []authtest.TokenOption{authtest.Audience("https://another-api.example/")}},
		{"a handler that recovers", recovering{chain(guard, a, b)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle("GET api.example.org/patients", tt.api)
			routes := middleware.Routes(map[string]http.Handler{"GET api.example.org/patients": tt.api})
			issuer.Routes(t, mux, routes, tt.options...)
		})
	}
}

// recovering recovers all panics, and answers.
type recovering struct{ next http.Handler }

func (h recovering) Policy() middleware.Policy { return middleware.PolicyOf(h.next) }

func (h recovering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if recover() != nil {
			w.WriteHeader(500)
		}
	}()
	h.next.ServeHTTP(w, r)
}
