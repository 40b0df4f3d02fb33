package middleware_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// What a request may take of memory. Times are in bench/, since they are those of a
// machine; these are those of the code. A first sight is one with the memory of
// verified tokens on.
func TestAllocationBudgets(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	h := guard.RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	// As Auth0 makes them, some 700 bytes.
	good := func(n int) string {
		return "Bearer " + issuer.Token(authtest.Header("typ", "JWT"), authtest.WithoutClaim("jti"), authtest.WithoutClaim("client_id"),
			authtest.Subject(fmt.Sprintf("auth0|%024x", n)), authtest.Claim("azp", "my_client_id_has_32_characters_x"),
			authtest.Scope("openid", "profile", "read:patients"))
	}
	again := []string{good(0)}
	firstSights := make([]string, 200)
	for i := range firstSights {
		firstSights[i] = good(1 + i)
	}
	tests := []struct {
		name        string
		credentials []string
		status      int
		allocations float64
		bytes       float64
	}{
		{"first sight", firstSights, 200, 18, 3584},
		{"again", again, 200, 2, 512},
		{"no token", nil, 401, 6, 320},
		{"malformed", []string{"Bearer 8xLOxBtZp8"}, 401, 8, 512},
		{"oversized", []string{"Bearer " + strings.Repeat("a", 1<<20)}, 401, 9, 512},
		{"another issuer", []string{"Bearer " + issuer.Token(authtest.Claim("iss", "https://evil.example/"))}, 401, 10, 768},
		{"an unknown key", []string{"Bearer " + issuer.Token(authtest.Header("kid", "nobodys"))}, 401, 18, 1024},
	}
	// Keys are fetched, and the unknown one is known to be so.
	for _, credentials := range [][]string{again, tests[len(tests)-1].credentials} {
		for range 3 {
			newSender(credentials).send(h)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSender(tt.credentials)
			allocations, bytes := measure(max(len(tt.credentials), 100), func() { s.send(h) })
			require.Equal(t, tt.status, s.status)
			if raceEnabled {
				t.Logf("%.0f allocations, %.0f bytes: not compared, since the race detector adds some", allocations, bytes)
				return
			}
			require.LessOrEqual(t, allocations, tt.allocations, "allocations")
			require.LessOrEqual(t, bytes, tt.bytes, "bytes")
		})
	}
}

// measure is testing.AllocsPerRun that counts bytes as well: as there, what the
// runtime takes for itself now and then is rounded away.
func measure(runs int, f func()) (allocations, bytes float64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	per := func(n uint64) float64 { return math.Floor(float64(n) / float64(runs)) }
	return per(after.Mallocs - before.Mallocs), per(after.TotalAlloc - before.TotalAlloc)
}

// A sender sends requests with one credential after the other. It takes no memory.
type sender struct {
	credentials []string
	sent        int
	request     *http.Request
	header      http.Header
	status      int
}

func newSender(credentials []string) *sender {
	return &sender{credentials: credentials, request: httptest.NewRequest("GET", "/patients", nil), header: http.Header{}}
}

func (s *sender) send(h http.Handler) {
	s.status = http.StatusOK
	clear(s.header)
	if n := len(s.credentials); n > 0 {
		s.request.Header["Authorization"] = s.credentials[s.sent%n : s.sent%n+1]
		s.sent++
	}
	h.ServeHTTP(s, s.request)
}

// The methods of http.ResponseWriter.
func (s *sender) Header() http.Header         { return s.header }
func (s *sender) Write(b []byte) (int, error) { return len(b), nil }
func (s *sender) WriteHeader(status int)      { s.status = status }
