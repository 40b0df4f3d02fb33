package middleware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
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
