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
// # Prove an API
//
// [Issuer.Suite] does that for everything that a route must refuse: forged and
// confused algorithms, keys and kids, headers, encodings, issuers, audiences,
// times, scopes, ID Tokens of each provider, bound tokens, credentials in wrong
// places, what is remembered, handlers that run behind a refusal; and it demands that
// good tokens get in.
//
//	func TestPatientsStand(t *testing.T) {
//		authtest.NewIssuer(t).Suite(t, authtest.Target{
//			Handler:  func(v middleware.Validator) http.Handler { return NewAPI(middleware.New(v)) },
//			Request:  httptest.NewRequest("GET", "/patients", nil),
//			Audience: "https://example.com/health-api",
//			Scope:    []string{"read:patients"},
//		})
//	}
//
// An API that trusts several issuers names the others in [Target], as fake ones, and
// stands where no token gets in that mixes two of them up.
//
// [Issuer.Routes] tests all routes of an API at once: that each asks for what its
// policy says, and that none was forgotten.
//
//	issuer.Routes(t, r, chiguard.Routes(r))
//
// # What tokens say
//
// There is an option for each registered claim and header, [Claim] and [Header] for
// all others, and [RawHeader] and [RawPayload] for texts that no honest issuer
// signs. [Like] gives tokens the shape that a provider gives them, and [Machine] makes
// those that a client gets for itself. For a handler that is tested alone, without its
// guard, [Claims] makes what claims.FromContext finds.
//
// # What goes wrong
//
// The issuer can change its keys in each of the ways in which that happens
// ([Issuer.Rotate], [Issuer.AnnounceKey], [Issuer.RotateUnpublished]), be down, slow
// or silent ([Issuer.SetDown], [Issuer.SetDelay], [Issuer.Hang]), and serve key sets
// that are empty or broken ([Issuer.SetKeySet]); and it counts what it is asked.
//
// An [Issuer] of [NewIssuer] is in memory and lives as long as the test; it
// works inside a testing/synctest bubble, where tokens expire by the bubble's
// clock, if it is made there. One of [Start] listens on a port of this machine, for programs.
package authtest
