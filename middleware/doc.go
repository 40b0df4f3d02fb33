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
// # What a route can ask for
//
// [Guard.Require] takes any of these, and checks them in the order in which they
// are written:
//
//	middleware.Scopes(scope.Any("read:labs", "write:labs"))
//	middleware.Clients("mobile-app", "portal")              // issued to one of these
//	middleware.Issuers("https://login.example.com/")        // of those that the validator trusts
//	middleware.Machine(), middleware.User()                 // signs of the one, and none of the other
//	middleware.NotMachine()                                 // no sign of a machine
//	middleware.Claim("org_id").EqualsPathValue("org")       // {org} in the pattern of the route
//	middleware.Claim("realm_access", "roles").ContainsAny("nurse", "doctor")
//	middleware.ACR("mfa"), middleware.MaxAuthAge(5*time.Minute) // step-up, RFC 9470
//	middleware.ByMethod(map[string]middleware.Requirement{…})
//	middleware.Func("weekdays only", func(r *http.Request, c *claims.Claims) error {…})
//
// [Guard.Optional] lets requests without a token through as well.
//
// # What a client gets
//
// A request that is not let through is answered as RFC 6750 §3 requires:
//
//	400 invalid_request      the credentials are malformed, or there are two
//	401                      there is no token, or another scheme: no error code
//	401 invalid_token        the token is refused, for whatever reason
//	401 insufficient_user_authentication
//	                         the user must log in again, as the challenge says (RFC 9470)
//	403 insufficient_scope   the token is good, and lacks a scope
//	403 access_denied        the token is good, and another requirement refuses it
//	503                      nothing can be said now about the token, or by a requirement: retry
//
// The challenge (WWW-Authenticate) goes with all but the last. The body is JSON,
// {"error":…,"error_description":…} (without error where no token was sent), with
// Cache-Control: no-store. It says
// the same of every token that is refused: which check failed is for [WithObserver]. A
// handler that finds out late that it must refuse answers alike by [Guard.Refuse].
//
// The token is looked for in the Authorization header. [AllowFormToken],
// [AllowQueryToken] and [AllowCookieToken] add other places.
//
// With [WithResourceMetadata], a client that knows only the API's address finds
// out where to get a token (RFC 9728).
//
// # What cannot be wired wrong
//
// Each of the guard's middlewares authenticates by itself. Behind another one of
// the same guard it does not verify the token twice; and claims that somebody
// else put into the context open nothing. A requirement that is empty, a nil
// validator or handler panics when the routes are set up, not when a request
// comes. And a test can see to it that no route was forgotten: [PolicyOf] tells
// what a handler asks for, and packages chiguard and ginguard list a router's
// routes.
package middleware
