// Package claims decides whether a token is an access token for this API, and
// says what it permits.
//
//	validator, err := claims.NewValidator(claims.Config{
//		Issuer:   "https://my-domain.auth0.com/",   // exact, compared as it is
//		Audience: "https://example.com/health-api", // the API identifier
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	c, err := validator.Validate(ctx, token)
//
// Most programs hand the validator to package middleware and see only the
// claims, in their handlers:
//
//	c, ok := claims.FromContext(r.Context())
//
// # What is refused
//
// Every token is refused except an access token of the issuer, for the audience,
// within its time. In the order of the checks, these are refused:
//
//   - what is not a JWS in compact form with a claims set, or can be read in two
//     ways: a name twice, padded base64, text that is not UTF-8;
//   - another issuer, to the last slash;
//   - any algorithm that is not configured: RS256 is, "none" and HMAC cannot be;
//   - a key that is not the issuer's, and a wrong signature;
//   - an ID Token, recognised by its declared type, by claims that only ID Tokens
//     have, or because it describes a user and grants nothing; other kinds of
//     tokens too;
//   - another audience, the client's among them;
//   - a token that has expired, has no expiry, or is not valid yet;
//   - a token that is bound to a key ("cnf"), since nothing here asks for proof;
//   - what a check of one's own refuses ([Config].Check).
//
// [Validator.Explain] runs all of them and reports on each.
//
// # What cannot be told apart
//
// A bare token, with no declared type and no more than issuer, subject, audience
// and times, is let in: nothing in it says that it is not an access token. An
// issuer may make a bare ID Token as well, or put client_id or scope into one. Its
// audience is the client, so it opens nothing, unless the API's identifier is a
// client's ID, or what else clients may choose as the audience of an ID Token: give
// the API one of its own. Where the issuer declares the type of its access tokens, the [Profile]
// [RFC9068] closes the gap altogether.
//
// # When nothing can be said
//
// Where the keys are not available, the error wraps [ErrUnavailable], and it is
// not the client's fault. It may say when to retry.
package claims
