// Package userinfo tells an API who its user is: it asks the userinfo endpoint of the
// authorization server, with the access token that a request came with (OpenID
// Connect Core §5.3). An access token itself says little more than the subject.
//
//	users, err := userinfo.NewClient(userinfo.Config{
//		Issuer: "https://my-domain.auth0.com/", // as in claims.Config
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//
// Guard the route with the scopes that it takes, so that the guard's challenge names
// them to a client which has asked for too few (RFC 6750 §3.1):
//
//	mux.Handle("GET /me", guard.RequireScope("openid", "email")(me))
//
// In the handler, with the request's context:
//
//	user, err := users.Profile(r.Context())
//	if err != nil {
//		guard.Refuse(w, r, err)
//		return
//	}
//	fmt.Fprintln(w, "hello", user.Name, user.Email)
//	custom, err := userinfo.As[MyClaims](user) // what the issuer says besides
//
// The client must ask for a token with the scope openid, and for profile, email,
// address or phone, by what is to be known (§5.4). Where claims.Config.ScopeClaims has
// the API look for its permissions elsewhere than among these, no guard can ask for
// them; openid is looked for here in any case.
//
// # What is refused
//
// Nothing is sent where the token is a machine's, lacks the scope openid, is of
// another issuer or, where [Config.Audience] asks for it, is not meant for the
// endpoint. A token is sent to that endpoint only, by https, and follows no redirect.
//
// Of what comes back, this is refused:
//
//   - anything about another subject than the token's (§5.3.2): a profile is not
//     mixed up;
//   - what is larger than [Config.MaxSize], no JSON object, or can be read in two
//     ways, such as a name twice;
//   - a signed answer (application/jwt) unless its signature is the issuer's, its iss
//     the issuer and its aud the client that the token was issued to. It must have
//     both, although §5.3.2 only says that it should, or any JWT of the issuer could
//     pass for one. For the same reason it must have no mark of another kind of JWT,
//     such as nonce or events (RFC 8725 §3.12), and where it says when it was
//     signed (iat), that must be within 10 minutes of now. An encrypted answer is for
//     the client alone.
//
// # What to answer
//
// A handler gives the error to its guard's method Refuse, as above, and a requirement
// (middleware.Func) returns it as it is. Either way the client is answered so:
//
//	401 invalid_token        ErrUnauthorized
//	401                      ErrNoToken
//	403 insufficient_scope   ErrScope
//	403                      ErrNoUser, ErrIssuer, ErrAudience, ErrForbidden
//	503, with Retry-After    ErrUnavailable
//
// All that is the issuer's fault wraps [ErrUnavailable] and claims.ErrUnavailable, beside
// a word for what it is: see those below it. [ErrNoToken] comes of a guard that lets
// requests without a token through; behind none at all, it is a mistake in the program.
//
// # What is kept
//
// A profile is kept for a minute ([Config.MaxAge]), not beyond the token's time, or for
// 5 seconds where that is over and a guard lets the token in nevertheless, and for a
// bounded number of tokens; a token is known by its SHA-256. That the issuer does not
// accept a token (401, 403) is kept for 10 seconds, and that it asks to be left alone
// with a token (Retry-After) for a minute at the most; with another it is asked, since
// issuers count by the user or the client. Other failures are not kept: the next request
// asks again. The endpoint is looked for again after a day and where it does not answer,
// at most once a minute; until there is one, once a second.
//
// Requests with the same token that come at the same time share one call, which belongs
// to none of them. At one issuer 256 calls may be in flight, and 16 of them about one
// user, so that who has many tokens keeps nobody else waiting; further ones wait for
// their turn, for [Config.Timeout] at the most. [Client.Status] counts all of this.
//
// Neither a token nor any text of an issuer's is in an error, for it may be personal; but
// where its endpoint is, as scheme, host and path.
package userinfo
