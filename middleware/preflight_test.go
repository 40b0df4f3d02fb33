package middleware_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// The Fetch standard, "CORS-preflight request".
func TestOnlyATruePreflightPassesAndOnlyWhereAllowed(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		headers []string
		passes  bool
	}{
		{"a preflight", "OPTIONS", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT"}, true},
		{"of a page without an origin", "OPTIONS", []string{"Origin", "null", "Access-Control-Request-Method", "PUT"}, true},
		{"with the headers that will be sent", "OPTIONS", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization"}, true},
		{"without an origin", "OPTIONS", []string{"Access-Control-Request-Method", "PUT"}, false},
		{"without a method", "OPTIONS", []string{"Origin", "https://app.example"}, false},
		{"with an empty method", "OPTIONS", []string{"Origin", "https://app.example", "Access-Control-Request-Method", ""}, false},
		{"with credentials", "OPTIONS", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT", "Authorization", "Bearer bad"}, false},
		{"with empty credentials", "OPTIONS", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT", "Authorization", ""}, false},
		{"another method", "GET", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT"}, false},
		{"a method in other letters", "options", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT"}, false},
		{"bare OPTIONS", "OPTIONS", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			v := &tokens{}
			guard := middleware.New(v, middleware.AllowPreflight(), noting(&seen))
			w := serve(guard.RequireScope("read:patients")(guard.Handler(whoever)), plain(tt.method, "/patients", tt.headers...))
			require.Equal(t, 401, serve(middleware.New(v).Handler(whoever), plain(tt.method, "/patients", tt.headers...)).Code, "not asked for")
			if !tt.passes {
				require.Equal(t, 401, w.Code)
				require.Equal(t, middleware.Refused, seen[0].Outcome)
				return
			}
			require.Equal(t, 200, w.Code)
			require.Equal(t, "nobody", w.Body.String())
			require.Zero(t, v.calls)
			require.Len(t, seen, 2)
			require.Equal(t, middleware.Preflight, seen[0].Outcome)
			require.Empty(t, seen[0].Requirement)
			_, known := seen[0].Claims()
			require.False(t, known)
		})
	}
}
