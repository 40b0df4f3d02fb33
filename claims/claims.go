package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/contextkey"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/scope"
)

// Claims is what an access token says, once it has been found good. Each request
// gets its own; a handler may change it without anyone else noticing.
type Claims struct {
	// Issuer is who issued the token, "iss" (RFC 7519 §4.1.1).
	Issuer string

	// Subject is whom the token speaks of, "sub" (RFC 7519 §4.1.2): a user, or
	// the client itself where no user is involved. It is unique within the
	// issuer only. Empty where the token has none.
	Subject string

	// Audience has the identifiers of the APIs that the token is meant for,
	// "aud" (RFC 7519 §4.1.3); that of this API is among them.
	Audience []string

	// ClientID is the client that the token was issued to: "client_id"
	// (RFC 9068 §2.2), or what issuers have instead, in this order: "azp"
	// (OpenID Connect Core §2), "cid" (Okta), "appid" (Entra ID v1). Empty where
	// the token has none of them.
	ClientID string

	// Expiry is when the token's time is over, "exp" (RFC 7519 §4.1.4).
	Expiry time.Time

	// NotBefore is when the token's time begins, "nbf" (RFC 7519 §4.1.5). Zero
	// where the token has none.
	NotBefore time.Time

	// IssuedAt is when the token was issued, "iat" (RFC 7519 §4.1.6). Zero where
	// the token has none.
	IssuedAt time.Time

	// TokenID is the JWT ID, which no other token of the issuer has, "jti"
	// (RFC 7519 §4.1.7). Empty where the token has none.
	TokenID string

	// Scope is what the token permits: "scope" (RFC 8693 §4.2) and "scp" (Okta,
	// Entra ID), or the claims of [Config].ScopeClaims, each a list in one string
	// or an array of strings. A claim that is neither grants nothing.
	Scope scope.Set

	// AuthTime is when the user last logged in at the issuer, "auth_time"
	// (RFC 9068 §2.2.1, OpenID Connect Core §2). Zero where the token has none,
	// or one that is no date: that refuses no token here, so a route that wants a
	// recent login must not be content with zero.
	AuthTime time.Time

	// ACR is the class of the login, such as with a second factor, "acr"
	// (RFC 9068 §2.2.1, OpenID Connect Core §2). What its values mean is between
	// the issuer and its APIs. Empty where the token has none, or no string.
	ACR string

	// AMR has the methods of the login, such as "pwd" and "otp" of RFC 8176, "amr"
	// (RFC 9068 §2.2.1, OpenID Connect Core §2). Nil where the token has none, or
	// no array of strings.
	AMR []string

	// KeyID is the ID of the key that verified the signature, for logs: as it
	// stands in the issuer's key set, not in the token (RFC 7517 §4.5). Empty where
	// the key has none.
	KeyID string

	// The pointer keeps what fmt and slog print of Claims short.
	payload *payload
}

// ownClaims are claims with room for their audience, which is short, so that it
// takes no memory besides.
type ownClaims struct {
	Claims
	audience [2]string
}

// clone returns claims of the caller's own.
func (c *Claims) clone() *Claims {
	own := &ownClaims{Claims: *c}
	if c.Audience != nil {
		own.Audience = append(own.audience[:0], c.Audience...)
	}
	own.AMR = slices.Clone(c.AMR)
	return &own.Claims
}

// A payload is the claims set that a token carries, for [As].
type payload struct{ object strictjson.Object }

// As returns the claims set decoded into a T, a struct with json tags as for
// encoding/json. Names are matched exactly, at every level of T: a claim "Roles"
// never ends up in a field that is named roles. A name that occurs twice in an
// object that T looks into is an error; so is a claim whose type does not fit.
//
//	type Custom struct {
//		Roles []string `json:"https://example.com/roles"`
//	}
//	custom, err := claims.As[Custom](c)
//
// Claims that were not read from a token, such as a literal, are an error.
func As[T any](c *Claims) (T, error) {
	var decoded T
	if c == nil || c.payload == nil {
		return decoded, errors.New("claims: these claims were not read from a token")
	}
	if err := c.payload.object.Decode(&decoded); err != nil {
		var zero T
		return zero, fmt.Errorf("claims: as %T: %w", zero, err)
	}
	return decoded, nil
}

// NewContext returns a context that carries c to [FromContext]. A guard of package
// middleware does this; others need it to test a handler alone. (For a handler
// that uses [As], Claims of package authtest makes them of a real token.) It does
// not open a guarded route: a guard believes only what it has verified itself.
func NewContext(ctx context.Context, c *Claims) context.Context {
	return context.WithValue(ctx, contextkey.Claims{}, c)
}

// FromContext returns the claims of the access token that a request came with.
// It reports false where the request did not pass a guard.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, ok := ctx.Value(contextkey.Claims{}).(*Claims)
	return c, ok && c != nil
}
