package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkHit(b *testing.B) {
	for _, memory := range []bool{true, false} {
		b.Run(map[bool]string{true: "again", false: "first"}[memory], func(b *testing.B) {
			issuer := authtest.NewIssuer(b)
			var options []claims.Option
			if !memory {
				options = append(options, claims.WithoutMemory())
			}
			guard := middleware.New(issuer.Validator(audience, options...))
			h := guard.RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest("GET", "/patients", nil)
			issuer.Authorize(r, authtest.Scope("read:patients"))
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
