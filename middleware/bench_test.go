package middleware_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// BenchmarkFloor is what a token cannot be verified for less than: one SHA-256
// and one RSA verification of 2048 bits, over as many bytes.
func BenchmarkFloor(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	input := make([]byte, 400)
	digest := sha256.Sum256(input)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256(input)
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGuard is a request through RequireScope and a handler that does
// nothing: let through, refused after the signature, and refused before it.
func BenchmarkGuard(b *testing.B) {
	issuer := authtest.NewIssuer(b)
	guard := middleware.New(issuer.Validator(audience))
	h := guard.RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	benchmarks := []struct {
		name   string
		token  string
		status int
	}{
		{"good", issuer.Token(authtest.Scope("read:patients")), 200},
		{"without the scope", issuer.Token(), 403},
		{"ID Token", issuer.IDToken(), 401},
		{"another issuer", issuer.Token(authtest.Claim("iss", "https://evil.example/")), 401},
		{"opaque", "8xLOxBtZp8", 401},
		{"none", "", 401},
	}
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/patients", nil)
			if bench.token != "" {
				r.Header.Set("Authorization", "Bearer "+bench.token)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != bench.status {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// A sink is a writer that allocates nothing, so that what is counted is the
// guard's.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(body []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return len(body), nil
}

func (s *sink) reset() { clear(s.header); s.status = 0 }

// BenchmarkGuardAlone is a request through a guard whose validator and writer cost
// nothing: what remains is the guard's own.
func BenchmarkGuardAlone(b *testing.B) {
	c := &claims.Claims{ClientID: "portal", ACR: "mfa", AuthTime: time.Now(), Scope: scope.FromToken("read:patients openid"), Audience: []string{audience}}
	v := validatorFunc(func(_ context.Context, token string) (*claims.Claims, error) {
		switch token {
		case "good":
			return c, nil
		case "unavailable":
			return nil, claims.ErrUnavailable
		}
		return nil, claims.ErrExpired
	})
	guard := middleware.New(v)
	observed := middleware.New(v, middleware.WithObserver(func(context.Context, middleware.Decision) {}))
	everywhere := middleware.New(v, everywhere()...)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	both := scope.Any("admin").Or(scope.All("read:patients", "openid"))
	benchmarks := []struct {
		name    string
		handler http.Handler
		header  string
		status  int
	}{
		{"pass", guard.Handler(next), "Bearer good", 200},
		{"pass with a scope", guard.RequireScope("read:patients")(next), "Bearer good", 200},
		{"pass with many requirements", guard.Require(middleware.Scopes(both), middleware.Clients("portal"), middleware.ACR("mfa"), middleware.MaxAuthAge(24*time.Hour))(next), "Bearer good", 200},
		{"pass observed", observed.RequireScope("read:patients")(next), "Bearer good", 200},
		{"pass twice", guard.Handler(guard.RequireScope("read:patients")(next)), "Bearer good", 200},
		{"pass, other places allowed", everywhere.Handler(next), "Bearer good", 200},
		{"anonymous", guard.Optional(next), "", 200},
		{"refused without a token", guard.RequireScope("read:patients")(next), "", 401},
		{"refused with a bad token", guard.RequireScope("read:patients")(next), "Bearer bad", 401},
		{"refused, malformed", guard.Handler(next), "Bearer a b", 400},
		{"refused without a scope", guard.RequireScope("admin")(next), "Bearer good", 403},
		{"refused by a client", guard.Require(middleware.Clients("other"))(next), "Bearer good", 403},
		{"refused, step-up", guard.Require(middleware.ACR("phr"))(next), "Bearer good", 401},
		{"refused observed", observed.RequireScope("admin")(next), "Bearer good", 403},
		{"undecided", guard.Handler(next), "Bearer unavailable", 503},
	}
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/patients", nil)
			if bench.header != "" {
				r.Header.Set("Authorization", bench.header)
			}
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				bench.handler.ServeHTTP(w, r)
				if w.status != bench.status {
					b.Fatal(w.status)
				}
			}
		})
	}
}
