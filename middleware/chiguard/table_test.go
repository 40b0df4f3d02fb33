package chiguard_test

import (
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/internal/adaptertest"
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/go-chi/chi/v5"
)

// What chi's users register answers as net/http does.
func TestTable(t *testing.T) {
	words := adaptertest.Words[func(http.Handler) http.Handler]{
		Handler: chiguard.Handler, Optional: chiguard.Optional, Require: chiguard.Require, RequireScope: chiguard.RequireScope,
	}
	adaptertest.Run(t, words, func(routes []adaptertest.Route[func(http.Handler) http.Handler]) http.Handler {
		r := chi.NewRouter()
		for _, route := range routes {
			r.With(route.Guards...).Method(route.Method, route.Pattern, route.Handler)
		}
		return r
	})
}
