// Package authtest tests APIs that package middleware guards, with real tokens
// of a fake issuer: no network, no key files, no back door.
//
//	func TestPatients(t *testing.T) {
//		issuer := authtest.NewIssuer(t)
//		guard := middleware.New(issuer.Validator("https://example.com/health-api"))
//		api := NewAPI(guard)
//
//		request := httptest.NewRequest("GET", "/patients", nil)
//		issuer.Authorize(request, authtest.Scope("read:patients"))
//		response := httptest.NewRecorder()
//		api.ServeHTTP(response, request)
//		// response.Code is 200
//	}
//
// The tokens are signed, and the guard verifies them as it does in production:
// a test passes because the route lets this token through, not because somebody
// has switched the check off. So a test can also show what a route refuses:
//
//	issuer.Authorize(request)                                  // 403: no scope
//	issuer.Authorize(request, authtest.Audience("another"))    // 401
//	request.Header.Set("Authorization", "Bearer "+issuer.IDToken()) // 401
//
// An [Issuer] of [NewIssuer] is in memory and lives as long as the test; it
// works inside a testing/synctest bubble, where tokens expire by the bubble's
// clock. One of [Start] listens on a port of this machine, for programs.
package authtest
