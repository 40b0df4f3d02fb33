package middleware_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

func TestEachHandlerSaysWhatItAsksFor(t *testing.T) {
	guard, other := middleware.New(&tokens{}), middleware.New(&tokens{})
	clients, mfa := middleware.Clients("portal"), middleware.ACR("mfa", "phr")
	tests := []struct {
		name    string
		handler http.Handler
		access  middleware.Access
		words   string
	}{
		{"nil", nil, middleware.Unprotected, "unprotected"},
		{"a plain handler", ok, middleware.Unprotected, "unprotected"},
		{"a router", http.NewServeMux(), middleware.Unprotected, "unprotected"},
		{"Handler", guard.Handler(ok), middleware.TokenRequired, "any access token"},
		{"Optional", guard.Optional(ok), middleware.AnonymousAllowed, "anyone, or a good access token"},
		{"RequireScope", guard.RequireScope("a", "b")(ok), middleware.TokenRequired, "scope a and b"},
		{"any-of", guard.Require(middleware.Scopes(scope.Any("admin").Or(scope.All("a", "b"))))(ok), middleware.TokenRequired, "scope admin or (a and b)"},
		{"several", guard.Require(clients, mfa, middleware.MaxAuthAge(5*time.Minute))(ok), middleware.TokenRequired, "client portal, acr mfa or phr, login within 5m0s"},
		{"one's own", guard.Require(sameOrg{})(ok), middleware.TokenRequired, "org in the path equals org_id"},
		{"by method", guard.Require(middleware.ByMethod(map[string]middleware.Requirement{
			"PUT": middleware.Scopes(scope.All("w")), "GET": middleware.Scopes(scope.All("r")),
		}))(ok), middleware.TokenRequired, "GET: scope r; PUT: scope w"},
		{"nested", guard.Handler(guard.RequireScope("a")(guard.Require(clients)(ok))), middleware.TokenRequired, "scope a, client portal"},
		{"nested in Optional", guard.Optional(guard.Handler(ok)), middleware.TokenRequired, "any access token"},
		{"Optional nested", guard.Handler(guard.Optional(ok)), middleware.TokenRequired, "any access token"},
		{"Optional twice", guard.Optional(guard.Optional(ok)), middleware.AnonymousAllowed, "anyone, or a good access token"},
		{"two guards", guard.RequireScope("a")(other.RequireScope("b")(ok)), middleware.TokenRequired, "scope a, scope b"},
		{"hidden by a middleware", http.StripPrefix("/api", guard.Handler(ok)), middleware.Unprotected, "unprotected"},
		{"behind a middleware", guard.Handler(http.StripPrefix("/api", guard.RequireScope("a")(ok))), middleware.TokenRequired, "any access token"},
		{"a middleware that tells", telling{guard.RequireScope("a")(ok)}, middleware.TokenRequired, "scope a"},
		{"a nil one that would tell", (*nilTelling)(nil), middleware.Unprotected, "unprotected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			policy := middleware.PolicyOf(tt.handler)
			require.Equal(t, tt.access, policy.Access)
			require.Equal(t, tt.words, policy.String())
			require.Equal(t, "GET /x: "+tt.words, middleware.Route{Method: "GET", Pattern: "/x", Policy: policy}.String())
		})
	}
}

// telling is a middleware that hands on the policy.
type telling struct{ http.Handler }

func (h telling) Policy() middleware.Policy { return middleware.PolicyOf(h.Handler) }

// nilTelling panics where it is nil.
type nilTelling struct{ telling }

func TestScopesOfAPolicy(t *testing.T) {
	guard := middleware.New(&tokens{})
	byMethod := middleware.ByMethod(map[string]middleware.Requirement{
		"PUT":    middleware.Scopes(scope.All("write", "labs")),
		"GET":    middleware.Scopes(scope.Any("read", "admin")),
		"DELETE": middleware.ByMethod(map[string]middleware.Requirement{"DELETE": middleware.Scopes(scope.All("delete"))}),
		"POST":   middleware.Clients("portal"),
	})
	tests := []struct {
		name    string
		handler http.Handler
		want    string
	}{
		{"none", guard.Handler(ok), ""},
		{"other requirements", guard.Require(middleware.Clients("portal"))(ok), ""},
		{"all alternatives", guard.Require(middleware.Scopes(scope.Any("admin").Or(scope.All("a", "b"))))(ok), "admin a b"},
		{"several requirements", guard.Require(middleware.Scopes(scope.All("b")), middleware.Scopes(scope.All("a", "b")))(ok), "b a"},
		{"of all methods, by their names", guard.Require(byMethod)(ok), "delete read admin write labs"},
		{"nested", guard.RequireScope("b")(guard.RequireScope("a")(ok)), "b a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // the order is no map's
				require.Equal(t, tt.want, middleware.PolicyOf(tt.handler).Scopes().String())
			}
		})
	}
}

// Whoever changes a policy that he was given changes his own.
func TestAPolicyOfAHandlerIsACopy(t *testing.T) {
	guard := middleware.New(&tokens{})
	h := guard.RequireScope("admin")(ok)
	middleware.PolicyOf(h).Requirements[0] = failing(nil)
	require.Equal(t, "scope admin", middleware.PolicyOf(h).String())
	require.Equal(t, 403, serve(h, request("Bearer reader")).Code)
}

func TestARequirementWithoutAListCanBeWrapped(t *testing.T) {
	either := middleware.Func("scope admin, or client portal", func(r *http.Request, c *claims.Claims) error {
		admin := middleware.Scopes(scope.All("admin")).Check(r, c)
		if admin == nil || middleware.Clients("portal").Check(r, c) == nil {
			return nil
		}
		return admin
	})
	h := middleware.New(&tokens{}).Require(either)(ok)
	require.Equal(t, lacking+`"admin"`, challengeOf(serve(h, request("Bearer reader"))))
	require.Equal(t, 200, serve(saying(claims.Claims{ClientID: "portal"}).Require(either)(ok), request("Bearer x")).Code)
}

// The five lines that a user writes, and what they find.
func TestEveryRouteHasAPolicy(t *testing.T) {
	guard := middleware.New(&tokens{})
	routes := map[string]http.Handler{
		"GET /patients": guard.RequireScope("read:patients")(ok),
		"GET /news":     guard.Optional(ok),
		"GET /forgot":   ok,
		"GET /wrapped":  http.StripPrefix("/", guard.Handler(ok)),
	}
	var forgotten []string
	for pattern, handler := range routes {
		if middleware.PolicyOf(handler).Access == middleware.Unprotected {
			forgotten = append(forgotten, pattern)
		}
	}
	slices.Sort(forgotten)
	require.Equal(t, []string{"GET /forgot", "GET /wrapped"}, forgotten)
}

// A guard may be wired and asked at the same time.
func TestWiringWhileRequestsCome(t *testing.T) {
	guard := metadataGuard(middleware.ResourceMetadata{Resource: "https://api.example", AuthorizationServers: []string{"https://issuer.example"}})
	_, metadata := guard.ResourceMetadata()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			guard.RequireScope(fmt.Sprint("scope:", i))(ok)
		}
	}()
	for range 100 {
		require.Equal(t, 200, serve(metadata, plain("GET", "/")).Code)
	}
	<-done
	require.Contains(t, serve(metadata, plain("GET", "/")).Body.String(), `"scope:99"`)
}

func TestRoutesOfAServeMux(t *testing.T) {
	guard := having("a")
	routes := middleware.Routes(map[string]http.Handler{
		"GET /b":              guard.RequireScope("a")(ok),
		"/a":                  ok,
		"POST example.com/c/": middleware.Public(ok),
	})
	var got []string
	for _, route := range routes {
		got = append(got, route.String())
	}
	require.Equal(t, []string{"/a: unprotected", "GET /b: scope a", "POST example.com/c/: public"}, got)
	require.Equal(t, middleware.Route{Method: "", Pattern: "/a"}, routes[0])
	require.Empty(t, middleware.Routes(nil))
}
