package bench_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/bench"
	"github.com/stretchr/testify/require"
)

// Whoever lets a token through without having looked at it is fast: so each peer
// must let the good one in and refuse the others, as the guard does.
func TestAllCheckTheSame(t *testing.T) {
	s := bench.NewScene()
	good := s.Token()
	require.InDelta(t, 700, len(good), 70)
	require.Len(t, s.Credentials(3), 3)

	parts := strings.Split(good, ".")
	other := strings.Split(s.Token(bench.Set("sub", "somebody else")), ".")
	unsigned := s.Token(bench.SetHeader("alg", "none"))
	tests := []struct {
		name, token string
		want        int
	}{
		{"good", good, 200},
		{"good, from the pool", strings.TrimPrefix(s.Credentials(3)[2], "Bearer "), 200},
		{"with 200 scopes", s.Token(bench.ManyScopes(200)), 200},
		{"none", "", 401},
		{"malformed", "8xLOxBtZp8", 401},
		{"a bad signature", parts[0] + "." + parts[1] + "." + other[2], 401},
		{"no signature", parts[0] + "." + parts[1] + ".", 401},
		{"another key's", bench.NewScene().Token(), 401},
		{"no algorithm", unsigned[:strings.LastIndexByte(unsigned, '.')+1], 401},
		{"another issuer", s.Token(bench.Set("iss", "https://evil.example/")), 401},
		{"another audience", s.Token(bench.Set("aud", "https://example.com/other")), 401},
		{"expired", s.Token(bench.Set("exp", time.Now().Add(-time.Hour).Unix())), 401},
		{"no scope", s.Token(bench.Set("scope", "openid profile")), 403},
		{"a longer scope", s.Token(bench.Set("scope", "read:patients:all")), 403},
	}
	peers := append([]bench.Peer{{Name: "bearerguard", Protect: bench.Protect}}, bench.Peers...)
	for _, peer := range peers {
		t.Run(peer.Name, func(t *testing.T) {
			served := false
			h, err := peer.Protect(t.Context(), s, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
			require.NoError(t, err)
			for _, tt := range tests {
				for range 2 { // the second time, it may be remembered
					served = false
					r := httptest.NewRequest("GET", "/patients", nil)
					if tt.token != "" {
						r.Header.Set("Authorization", "Bearer "+tt.token)
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					got := w.Code
					if got == 400 { // how some answer to no or half a token
						got = 401
					}
					require.Equal(t, tt.want, got, "%s: %s", tt.name, w.Body)
					require.Equal(t, tt.want == 200, served, tt.name)
				}
			}
		})
	}
}
