package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/stretchr/testify/require"
)

func TestAPI(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	api := newAPI(issuer.Validator("https://example.com/health-api"))
	tests := []struct {
		name   string
		path   string
		token  string
		status int
		body   string
	}{
		{"anyone may ask for health", "/health", "", 200, `"ok"`},
		{"any access token opens /me", "/me", issuer.Token(), 200, `{"client":"client-1","subject":"user-1"}`},
		{"the scope opens /patients", "/patients", issuer.Token(authtest.Scope("read:patients")), 200, `["Ada","Grace"]`},
		{"no scope", "/patients", issuer.Token(), 403, "insufficient_scope"},
		{"an ID Token", "/patients", issuer.IDToken(), 401, "invalid_token"},
		{"an ID Token for this API", "/me", issuer.IDToken(authtest.Audience("https://example.com/health-api")), 401, "invalid_token"},
		{"a token for another API", "/me", issuer.Token(authtest.Audience("https://example.com/billing-api")), 401, "invalid_token"},
		{"no token", "/me", "", 401, "no access token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.path, nil)
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code)
			if tt.status == 200 {
				require.Equal(t, tt.body, strings.TrimSpace(w.Body.String()))
			} else {
				require.Contains(t, w.Body.String(), tt.body)
			}
		})
	}
}

// What the table above cannot have: some 200 ways of being wrong, on each route.
func TestTheAPIStands(t *testing.T) {
	for path, scopes := range map[string][]string{"/me": nil, "/patients": {"read:patients"}} {
		t.Run(path, func(t *testing.T) {
			authtest.NewIssuer(t).Suite(t, authtest.Target{
				Handler:  func(v middleware.Validator) http.Handler { return newAPI(v) },
				Request:  httptest.NewRequest("GET", path, nil),
				Audience: "https://example.com/health-api",
				Scope:    scopes,
			})
		})
	}
}

func TestNoRouteIsForgotten(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	r := newAPI(issuer.Validator("https://example.com/health-api"))
	issuer.Routes(t, r, chiguard.Routes(r))
}
