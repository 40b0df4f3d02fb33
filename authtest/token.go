package authtest

import (
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
)

// A TokenOption changes what a token says. Options apply in the order in which
// they are given.
type TokenOption struct{ apply func(*fakeissuer.Token) }

// Claim sets a claim to any value that encoding/json can write, also one that
// is not allowed there.
func Claim(name string, value any) TokenOption {
	return TokenOption{func(t *fakeissuer.Token) { t.Claims[name] = value }}
}

// WithoutClaim removes a claim.
func WithoutClaim(name string) TokenOption {
	return TokenOption{func(t *fakeissuer.Token) { delete(t.Claims, name) }}
}

// Scope sets the scopes.
func Scope(scopes ...string) TokenOption { return Claim("scope", strings.Join(scopes, " ")) }

// Audience sets the audience: a string for one, an array for several.
func Audience(audience ...string) TokenOption {
	if len(audience) == 1 {
		return Claim("aud", audience[0])
	}
	return Claim("aud", audience)
}

// Subject sets whom the token speaks of.
func Subject(subject string) TokenOption { return Claim("sub", subject) }

// ClientID sets the client that the token was issued to.
func ClientID(id string) TokenOption { return Claim("client_id", id) }

// Expiry sets when the token's time is over.
func Expiry(at time.Time) TokenOption { return Claim("exp", at.Unix()) }

// Header sets a member of the header, such as "typ" or "kid". It panics if that is
// "alg": the token is signed with RS256, and would say something else.
func Header(name string, value any) TokenOption {
	if name == "alg" {
		panic("authtest: the header alg cannot be set: the token is signed with RS256")
	}
	return TokenOption{func(t *fakeissuer.Token) { t.Header[name] = value }}
}

// WithoutHeader removes a member of the header. "alg" and "kid" are put in by
// signing.
func WithoutHeader(name string) TokenOption {
	return TokenOption{func(t *fakeissuer.Token) { delete(t.Header, name) }}
}
