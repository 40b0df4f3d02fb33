package authtest

import (
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
)

// A TokenOption changes what a token says. Options apply in the order in which
// they are given, except that [Like] comes first, wherever it stands.
type TokenOption struct {
	plan  func(*plan)  // before there is a token: whose it is, and in which shape
	apply func(*draft) // afterwards
}

// A plan is what is known of a token before it is made.
type plan struct {
	shape           Shape
	subject, client string
	machine         bool // it speaks of the client
}

// A draft is a token before it is signed.
type draft struct {
	fakeissuer.Token
	shape   Shape
	idToken bool
	opaque  bool // it is no JWT, so that no option has anything to change
}

// Claim sets a claim to any value that encoding/json can write, also one that
// is not allowed there.
func Claim(name string, value any) TokenOption {
	return TokenOption{apply: func(d *draft) { d.Claims[name] = value }}
}

// WithoutClaim removes a claim.
func WithoutClaim(name string) TokenOption {
	return TokenOption{apply: func(d *draft) { delete(d.Claims, name) }}
}

// Scope sets the scopes, "scope" (RFC 8693 §4.2), or "scp" in the shapes that have
// that instead.
func Scope(scopes ...string) TokenOption {
	return TokenOption{apply: func(d *draft) {
		name, value := d.shape.scope(scopes)
		d.Claims[name] = value
	}}
}

// Audience sets the audience, "aud" (RFC 7519 §4.1.3): a string for one, an array
// for several.
func Audience(audience ...string) TokenOption {
	if len(audience) == 1 {
		return Claim("aud", audience[0])
	}
	return Claim("aud", audience)
}

// IssuedBy sets who is said to have issued the token, "iss" (RFC 7519 §4.1.1). The
// key remains that of the issuer.
func IssuedBy(issuer string) TokenOption { return Claim("iss", issuer) }

// Subject sets whom the token speaks of, "sub" (RFC 7519 §4.1.2). An ID Token has
// the profile that [Issuer.AddUser] gave this subject.
func Subject(subject string) TokenOption {
	return TokenOption{
		plan:  func(p *plan) { p.subject = subject },
		apply: func(d *draft) { d.Claims["sub"] = subject },
	}
}

// ClientID sets the client that the token was issued to: "client_id" (RFC 9068
// §2.2), or what the shape has instead. Of an ID Token, it is the audience
// (OpenID Connect Core §2).
func ClientID(id string) TokenOption {
	return TokenOption{
		plan: func(p *plan) { p.client = id },
		apply: func(d *draft) {
			if !d.idToken {
				d.Claims[d.shape.client()] = id
				return
			}
			d.Claims["aud"] = id
			if _, has := d.Claims["azp"]; has {
				d.Claims["azp"] = id
			}
		},
	}
}

// Machine makes the token one that a client got for itself, by the client credentials
// grant (RFC 6749 §4.4), as the shape has it: nothing in it is of a user, and
// claims.Claims.SubjectKind is claims.MachineSubject. The subject is
//
//   - the client (RFC 9068 §2.2, Okta, Cognito), with "@clients" and gty at Auth0;
//   - a made-up ID of the client's own at Keycloak, which tells by preferred_username,
//     and at Entra ID, which tells by idtyp.
//
// Entra ID gives machines roles and no scopes: Claim("roles", …) sets them. It puts idtyp
// into tokens of those APIs only whose registration asks for that; those of others,
// WithoutClaim("idtyp"), are claims.UnknownSubject. So may be those of a client of
// Keycloak whose ID has capitals, since preferred_username is in lower case. A token like
// Google's is opaque and says nothing. There are no ID Tokens of machines: of one, the
// client alone is set.
func Machine(clientID string) TokenOption {
	client := ClientID(clientID)
	return TokenOption{
		plan: func(p *plan) {
			client.plan(p)
			p.machine = true
		},
		apply: func(d *draft) {
			client.apply(d)
			if !d.idToken {
				d.Claims["sub"] = d.shape.machine(clientID)
			}
		},
	}
}

// Expiry sets when the token's time is over, "exp" (RFC 7519 §4.1.4). For a token
// that has expired, it is time.Now().Add(-time.Hour).
func Expiry(at time.Time) TokenOption { return Claim("exp", at.Unix()) }

// NotBefore sets when the token's time begins, "nbf" (RFC 7519 §4.1.5).
func NotBefore(at time.Time) TokenOption { return Claim("nbf", at.Unix()) }

// IssuedAt sets when the token was issued, "iat" (RFC 7519 §4.1.6).
func IssuedAt(at time.Time) TokenOption { return Claim("iat", at.Unix()) }

// TokenID sets the JWT ID, "jti" (RFC 7519 §4.1.7), which is random otherwise.
func TokenID(id string) TokenOption { return Claim("jti", id) }

// AuthTime sets when the user logged in, "auth_time" (RFC 9068 §2.2.1), for routes
// that want that to be recent, or a user (middleware.User): without it, a token of the
// shape of RFC 9068 or Auth0 has no sign of one, as those of such issuers.
func AuthTime(at time.Time) TokenOption { return Claim("auth_time", at.Unix()) }

// ACR sets how the user logged in, "acr" (RFC 9068 §2.2.1), for routes that want
// that to be strong.
func ACR(acr string) TokenOption { return Claim("acr", acr) }

// Header sets a member of the header to any value that encoding/json can write. It
// panics if that is "alg": see [Algorithm], and [RawHeader] for a header that says
// something else.
func Header(name string, value any) TokenOption {
	if name == "alg" {
		panic(`authtest: Header("alg", …): use Algorithm, or RawHeader for a token that lies about it`)
	}
	return TokenOption{apply: func(d *draft) { d.Header[name] = value }}
}

// WithoutHeader removes a member of the header, also "kid" and "alg".
func WithoutHeader(name string) TokenOption {
	return TokenOption{apply: func(d *draft) { d.Header[name] = fakeissuer.Absent{} }}
}

// Type sets the type that the header declares, "typ" (RFC 9068 §2.1).
func Type(typ string) TokenOption { return Header("typ", typ) }

// KeyID sets the key ID in the header, "kid" (RFC 7515 §4.1.4). The token is signed
// with the issuer's key all the same.
func KeyID(id string) TokenOption { return Header("kid", id) }

// Algorithm has the token signed with another algorithm than RS256, one of
// jwks.Algorithms. The issuer has a key for each, and publishes it when it first
// signs with it.
func Algorithm(name string) TokenOption {
	return TokenOption{apply: func(d *draft) { d.Algorithm = name }}
}

// RawHeader is the header, for hostile tokens: a text that is encoded and signed
// as it is, whether or not it is JSON. Nothing is put into it.
func RawHeader(text string) TokenOption {
	return TokenOption{apply: func(d *draft) { d.RawHeader = &text }}
}

// RawPayload is the payload, for hostile tokens: a text that is encoded and signed
// as it is, whether or not it is JSON. Nothing is put into it.
func RawPayload(text string) TokenOption {
	return TokenOption{apply: func(d *draft) { d.RawPayload = &text }}
}

// Like gives the token the shape that an authorization server gives its tokens:
// the claims, and the header, except for the issuer and what other options say.
func Like(shape Shape) TokenOption { return TokenOption{plan: func(p *plan) { p.shape = shape }} }

// unknownAudience stands where an audience should, until an option sets one.
type unknownAudience struct{}

// accessToken returns the access token that the options describe.
func (i *Issuer) accessToken(options []TokenOption) draft {
	i.helper()
	p := planOf(options)
	i.mu.Lock()
	audience := i.audience
	i.mu.Unlock()
	d := draft{Token: i.core.AccessToken(audience), shape: p.shape}
	if audience == "" {
		d.Claims["aud"] = unknownAudience{}
	}
	p.shape.access(&d, i.personOf(p))
	d.finish(options)
	if d.Claims["aud"] == any(unknownAudience{}) && d.RawPayload == nil && !d.opaque {
		i.fail("authtest: the token needs an audience: call Issuer.Validator first, or give authtest.Audience")
	}
	return d
}

// idToken returns the ID Token that the options describe.
func (i *Issuer) idToken(options []TokenOption) draft {
	p := planOf(options)
	d := draft{Token: i.core.IDToken(p.client, p.subject), shape: p.shape, idToken: true}
	p.shape.identity(&d, i.personOf(p))
	d.finish(options)
	return d
}

func planOf(options []TokenOption) plan {
	p := plan{subject: DefaultSubject, client: DefaultClientID}
	for _, option := range options {
		if option.plan != nil {
			option.plan(&p)
		}
	}
	return p
}

func (d *draft) finish(options []TokenOption) {
	for _, option := range options {
		if option.apply != nil {
			option.apply(d)
		}
	}
}

// sign returns the token in compact form.
func (i *Issuer) sign(d draft) string {
	i.helper()
	if d.opaque {
		return opaqueToken()
	}
	signed, err := i.core.Sign(d.Token)
	if err != nil {
		i.fail("authtest: %v", err)
	}
	return signed
}

// list writes scopes as one string.
func list(scopes []string) string { return strings.Join(scopes, " ") }
