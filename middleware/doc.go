// Package middleware protects net/http handlers with OAuth 2.0 access tokens.
//
//	guard := middleware.New(validator)
//
//	mux.Handle("GET /me", guard.Handler(me))                                   // any valid access token
//	mux.Handle("GET /patients", guard.RequireScope("read:patients")(patients)) // and this scope
//
// The validator is a *claims.Validator, or anything with its one method. What
// [Guard.RequireScope] returns is a func(http.Handler) http.Handler, so it fits
// chi and every other router that speaks net/http as it is; for gin, see package
// ginguard.
//
// In a handler, claims.FromContext has what the token says:
//
//	c, ok := claims.FromContext(r.Context())
//
// # What a client gets
//
// A request that is not let through is answered as RFC 6750 §3 requires:
//
//	400 invalid_request      the Authorization header is malformed, or there are two
//	401                      there is no token, or another scheme: no error code
//	401 invalid_token        the token is refused, for whatever reason
//	403 insufficient_scope   the token is good, and lacks a scope
//	403 access_denied        the token is good, and another requirement refuses it
//	503                      nothing can be said about the token now: retry
//
// The challenge (WWW-Authenticate) goes with all but the last. The body is JSON,
// {"error":…,"error_description":…}, sent with Cache-Control: no-store. It says
// the same of every token that is refused: which check failed is for [WithObserver].
//
// # What cannot be wired wrong
//
// Each of the guard's middlewares authenticates by itself. Behind another one of
// the same guard it does not verify the token twice; and claims that somebody
// else put into the context open nothing. A requirement that is empty, a nil
// validator or handler panics when the routes are set up, not when a request
// comes.
package middleware
