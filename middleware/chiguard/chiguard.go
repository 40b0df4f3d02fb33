// Package chiguard protects chi routes with a guard of package middleware.
//
//	guard := middleware.New(validator)
//	r := chi.NewRouter()
//	r.With(chiguard.Handler(guard)).Get("/me", me)                                     // any valid access token
//	r.With(chiguard.RequireScope(guard, "read:patients")).Get("/patients", patients)   // and this scope
//
// chi's middlewares are those of net/http, so a guard's own methods fit as they
// are, and do the same:
//
//	r.With(guard.RequireScope("read:patients")).Get("/patients", patients)
//
// This package adds the vocabulary of ginguard, so that both read the same, and
// [Routes], by which a test can tell whether a route was forgotten.
//
// In a handler, [Claims] has what the token says.
//
// # Where a guard stands
//
// A guard knows of the route what chi has found out by then. In With, and in Use
// within a Group, that is the pattern and its path values. In Use of a sub-router,
// by Route or Mount, it is the way to there: /orgs/{org}/*. In Use of the outermost
// router it is nothing: such a guard protects unknown paths too, its decisions have
// no pattern, and a requirement about a path value lets nobody through.
package chiguard

import (
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// Handler returns a middleware that lets requests through with a good access
// token, whatever its scope. See [middleware.Guard.Handler].
func Handler(g *middleware.Guard) func(http.Handler) http.Handler { return g.Handler }

// Optional returns a middleware that lets requests through with a good access token
// or none. See [middleware.Guard.Optional].
func Optional(g *middleware.Guard) func(http.Handler) http.Handler { return g.Optional }

// Require returns a middleware that lets requests through that have a good
// access token and meet all of the requirements. It panics if there is none or
// one is nil. See [middleware.Guard.Require].
func Require(g *middleware.Guard, requirements ...middleware.Requirement) func(http.Handler) http.Handler {
	return g.Require(requirements...)
}

// RequireScope returns a middleware that lets requests through whose access
// token has all of the scopes. It panics if there is no scope, or one is not
// well formed. See [middleware.Guard.RequireScope].
func RequireScope(g *middleware.Guard, scopes ...string) func(http.Handler) http.Handler {
	return g.RequireScope(scopes...)
}

// Claims returns the claims of the access token that the request came with. It
// reports false where the request did not pass a guard.
func Claims(r *http.Request) (*claims.Claims, bool) { return claims.FromContext(r.Context()) }
