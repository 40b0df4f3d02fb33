package authtest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"time"
)

// A Shape is how an authorization server writes its tokens: by which names, and
// with what else in them, as its documentation has it. See [Like].
type Shape int

const (
	// RFC9068 is the shape of the standard: access tokens as in RFC 9068, ID
	// Tokens as in OpenID Connect Core. It is that of tokens which ask for no
	// other.
	RFC9068 Shape = iota

	// Auth0 is the shape of Auth0's own token profile. (Its other profile is
	// RFC9068.)
	Auth0

	// Okta is the shape of a custom authorization server of Okta.
	Okta

	// EntraIDv1 is the shape of Microsoft Entra ID where the API's registration asks
	// for version 1: of tokens of a user ("delegated"), and with [Machine] of those of
	// an application.
	EntraIDv1

	// EntraIDv2 is the same for version 2. Its access tokens for users always have
	// scopes: without [Scope], one is taken for an ID Token.
	EntraIDv2

	// Keycloak is the shape of Keycloak's tokens for users, and with [Machine] of those
	// for the service account of a client.
	Keycloak

	// Cognito is the shape of an Amazon Cognito user pool, with the access token
	// bound to a resource: otherwise it has no audience.
	Cognito

	// Google is the shape of Google's ID Tokens. Google's access tokens are opaque
	// and for Google's own APIs, so that no API of yours can accept one: that is
	// what [Issuer.Token] returns, whatever the other options say.
	Google
)

// shapes has the names of the shapes, and of the claims that they have names of
// their own for.
var shapes = [...]struct{ name, scope, client string }{
	RFC9068:   {"RFC 9068", "scope", "client_id"},
	Auth0:     {"Auth0", "scope", "azp"},
	Okta:      {"Okta", "scp", "cid"},
	EntraIDv1: {"Entra ID v1", "scp", "appid"},
	EntraIDv2: {"Entra ID v2", "scp", "azp"},
	Keycloak:  {"Keycloak", "scope", "azp"},
	Cognito:   {"Cognito", "scope", "client_id"},
	Google:    {"Google", "scope", "azp"},
}

// String returns the name, such as "Entra ID v2".
func (s Shape) String() string {
	if s < 0 || int(s) >= len(shapes) {
		return fmt.Sprintf("Shape(%d)", int(s))
	}
	return shapes[s].name
}

// client returns the name of the claim that has the client.
func (s Shape) client() string { return shapes[s].client }

// scope returns the claim that has the scopes, and how it has them.
func (s Shape) scope(scopes []string) (name string, value any) {
	if s == Okta {
		return shapes[s].scope, scopes
	}
	return shapes[s].scope, list(scopes)
}

// machine returns the subject of a token that a client got for itself.
func (s Shape) machine(client string) string {
	switch s {
	case Auth0:
		return client + "@clients"
	case EntraIDv1, EntraIDv2, Keycloak:
		return principalID
	default:
		return client // RFC 9068 §2.2
	}
}

// A person is whom a token speaks of, and through which client.
type person struct {
	plan
	profile map[string]any
}

// login is the name that the person logs in by.
func (p person) login() any {
	if email, has := p.profile["email"]; has {
		return email
	}
	return p.subject
}

func (i *Issuer) personOf(p plan) person {
	if p.shape < 0 || int(p.shape) >= len(shapes) {
		i.fail("authtest: %v is no shape", p.shape)
	}
	if p.machine {
		return person{p, nil}
	}
	return person{p, i.core.Profile(p.subject)}
}

// Made-up identifiers: the tenant of Entra ID, the user in it, and what stands for a
// client there, its service principal (at Keycloak, its service account).
const (
	tenantID    = "3c4d5e6f-0000-4000-8000-000000000001"
	objectID    = "3c4d5e6f-0000-4000-8000-000000000002"
	principalID = "3c4d5e6f-0000-4000-8000-000000000003"
)

type members = map[string]any

// access gives an access token of RFC 9068 the shape.
func (s Shape) access(d *draft, p person) {
	d.Claims["sub"] = p.subject
	if s == RFC9068 {
		d.Claims["client_id"] = p.client
		return
	}
	now := time.Now().Unix()
	id := d.Claims["jti"]
	delete(d.Claims, "jti")
	delete(d.Claims, "client_id")
	d.Claims[s.client()] = p.client
	d.Header["typ"] = "JWT"
	switch s {
	case Okta:
		delete(d.Header, "typ")
		maps.Copy(d.Claims, members{"ver": 1, "jti": fmt.Sprint("AT.", id), "uid": "00u1", "auth_time": now})
	case EntraIDv1:
		s.ofEntra(d, p)
		maps.Copy(d.Claims, members{"acr": "1", "appidacr": "0"})
	case EntraIDv2:
		s.ofEntra(d, p)
		d.Claims["azpacr"] = "0"
	case Keycloak:
		maps.Copy(d.Claims, p.profile)
		maps.Copy(d.Claims, members{
			"jti": fmt.Sprint("onrtac:", id), "typ": "Bearer", "sid": newID(), "acr": "1", "auth_time": now,
			"realm_access": members{"roles": []string{"offline_access"}}, "preferred_username": p.login(),
		})
	case Cognito:
		delete(d.Header, "typ")
		s.ofCognito(d, p)
		maps.Copy(d.Claims, members{"token_use": "access", "version": 2, "username": p.login()})
	case Google:
		d.opaque = true
	}
	if p.machine {
		s.ofMachine(d, p)
	}
}

// usersOwn has the claims that each shape's tokens for users have and those for machines
// do not.
var usersOwn = [...][]string{
	Okta:      {"uid", "auth_time"},
	EntraIDv1: {"acr", "amr", "ipaddr", "unique_name", "upn"},
	EntraIDv2: {"preferred_username"},
	Keycloak:  {"sid", "auth_time"},
	Cognito:   {"username", "cognito:groups", "origin_jti", "event_id"}, // auth_time stays
	Google:    nil,
}

// ofMachine has an access token for a user speak of the client, by the signs that
// claims.Claims.SubjectKind goes by.
func (s Shape) ofMachine(d *draft, p person) {
	for _, name := range usersOwn[s] {
		delete(d.Claims, name)
	}
	switch s {
	case Auth0:
		d.Claims["gty"] = "client-credentials"
	case EntraIDv1:
		maps.Copy(d.Claims, members{"idtyp": "app", "oid": principalID, "appidacr": "1"}) // 1: it has a secret
	case EntraIDv2:
		maps.Copy(d.Claims, members{"idtyp": "app", "oid": principalID, "azpacr": "1"})
	case Keycloak:
		// Keycloak stores names of users in lower case, also this one.
		maps.Copy(d.Claims, members{"preferred_username": "service-account-" + strings.ToLower(p.client), "email_verified": false})
	}
}

// identity gives an ID Token of OpenID Connect Core the shape.
func (s Shape) identity(d *draft, p person) {
	now := time.Now().Unix()
	if s != RFC9068 { // each says in its own way when and how the user logged in
		delete(d.Claims, "auth_time")
		delete(d.Claims, "sid")
	}
	switch s {
	case Auth0:
		maps.Copy(d.Claims, members{"sid": newID(), "nickname": p.login(), "updated_at": time.Now().UTC().Format(time.RFC3339)})
	case Okta:
		delete(d.Header, "typ")
		maps.Copy(d.Claims, members{
			"ver": 1, "jti": "ID." + newID(), "amr": []string{"pwd"}, "idp": "00o1", "auth_time": now, "at_hash": newID(),
			"preferred_username": p.login(),
		})
	case EntraIDv1, EntraIDv2:
		s.ofEntra(d, p)
	case Keycloak:
		maps.Copy(d.Claims, members{
			"jti": newID(), "typ": "ID", "azp": p.client, "acr": "1", "sid": newID(), "auth_time": now, "at_hash": newID(),
			"preferred_username": p.login(),
		})
	case Cognito:
		delete(d.Header, "typ")
		s.ofCognito(d, p)
		maps.Copy(d.Claims, members{"token_use": "id", "cognito:username": p.login(), "at_hash": newID()})
	case Google:
		maps.Copy(d.Claims, members{"azp": p.client, "hd": "example.com", "at_hash": newID()})
	}
}

// ofEntra puts in what both kinds of tokens of Entra ID have.
func (s Shape) ofEntra(d *draft, p person) {
	maps.Copy(d.Claims, p.profile)
	delete(d.Claims, "email_verified")
	maps.Copy(d.Claims, members{
		"nbf": time.Now().Unix(), "aio": newID(), "oid": objectID, "rh": newID(), "tid": tenantID, "uti": newID(),
	})
	if s == EntraIDv2 {
		maps.Copy(d.Claims, members{"ver": "2.0", "preferred_username": p.login()})
		return
	}
	d.Header["x5t"] = "made-up"
	maps.Copy(d.Claims, members{
		"ver": "1.0", "amr": []string{"pwd"}, "ipaddr": "192.0.2.1", "unique_name": p.login(), "upn": p.login(),
	})
}

// ofCognito puts in what both kinds of tokens of Cognito have.
func (Shape) ofCognito(d *draft, _ person) {
	maps.Copy(d.Claims, members{
		"jti": newID(), "origin_jti": newID(), "event_id": newID(), "auth_time": time.Now().Unix(),
		"cognito:groups": []string{"us-east-1_EXAMPLE"},
	})
}

// opaqueToken returns a text in the form of Google's access tokens.
func opaqueToken() string { return "ya29." + newID() }

func newID() string { return rand.Text() }
