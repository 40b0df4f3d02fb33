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
// Everything but an access token of the issuer, for the audience, within its
// time. In the order of the checks:
//
//   - what is no JWS in compact form with a claims set, or can be read in two
//     ways: a name twice, padded base64, text that is not UTF-8;
//   - another issuer, to the last slash;
//   - another algorithm than RS256, "none" and HMAC among them;
//   - a key that is not the issuer's, and a wrong signature;
//   - an ID Token, told by its declared type, by claims that only ID Tokens
//     have, or by telling of a person and not of access; other kinds of tokens
//     too;
//   - another audience, the client's among them;
//   - a token that has expired, has no expiry, or is not valid yet;
//   - a token that is bound to a key ("cnf"), since nothing here asks for proof.
//
// A token that tells of nothing, with no more than issuer, subject, audience and
// times, is let in: nothing in it says that it is not an access token.
//
// Where nothing can be said about the token, since the keys cannot be had, the
// error wraps [ErrUnavailable], and it is not the client's fault.
package claims
