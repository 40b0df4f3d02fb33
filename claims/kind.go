package claims

import (
	"fmt"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// An issuer signs more than access tokens, with the same key and often for the
// same audience. What they are for is told by three things: the type that the
// header declares, marks that only other kinds carry, and, for a token that
// declares nothing, whether it describes a user or grants access.

// declaredType is how an access token declares that it is one (RFC 9068 §2.1).
const declaredType = "at+jwt"

// checkKind returns [ErrIDToken] or [ErrTokenType] unless the token may be an
// access token. typ is the header's, as a media type in lower case.
func checkKind(typ string, payload *strictjson.Object) error {
	declared := typ == declaredType
	if !declared && typ != "jwt" && typ != "" {
		return fmt.Errorf("%w: its typ is %s", ErrTokenType, strictjson.Excerpt(typ))
	}
	if err := checkMarks(declared, payload); err != nil {
		return err
	}
	if declared {
		return nil
	}
	return checkEvidence(payload)
}

// checkMarks refuses a token with a claim that only other kinds have. A mark
// counts by being there, whatever its value.
func checkMarks(declared bool, payload *strictjson.Object) error {
	// Keycloak says in the payload what kind of token it is.
	var keycloak string
	if value, ok := payload.Lookup("typ"); ok {
		keycloak, _ = value.Text()
		switch keycloak {
		case "ID":
			return fmt.Errorf("%w: its claim typ is %q", ErrIDToken, keycloak)
		case "Refresh", "Offline", "Logout":
			return fmt.Errorf("%w: its claim typ is %q", ErrTokenType, keycloak)
		}
	}
	// So does Cognito.
	if value, ok := payload.Lookup("token_use"); ok {
		switch use, _ := value.Text(); use {
		case "access":
		case "id":
			return fmt.Errorf("%w: its token_use is %q", ErrIDToken, use)
		default:
			return fmt.Errorf("%w: its token_use is %s", ErrTokenType, strictjson.Excerpt(use))
		}
	}
	// Logout tokens and security events (OpenID Connect Back-Channel Logout 1.0
	// §2.4, RFC 8417 §2.2).
	if payload.Has("events") {
		return fmt.Errorf("%w: it tells of events", ErrTokenType)
	}
	// OpenID Connect Core §3.1.3.6, §3.3.2.11; s_hash is FAPI's.
	for _, mark := range [...]string{"at_hash", "c_hash", "s_hash"} {
		if payload.Has(mark) {
			return fmt.Errorf("%w: it has %s", ErrIDToken, mark)
		}
	}
	// The nonce of a login is the ID Token's (OpenID Connect Core §2). Two are
	// excused: a token that declares its type, and those of older Keycloaks,
	// which put the nonce into access tokens too.
	if payload.Has("nonce") && !declared && keycloak != "Bearer" {
		return fmt.Errorf("%w: it has nonce", ErrIDToken)
	}
	return nil
}

var (
	// identity has the claims that say who somebody is or how he logged in
	// (OpenID Connect Core §2, §5.1).
	identity = [...]string{
		"email", "email_verified", "phone_number", "phone_number_verified",
		"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username",
		"profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "address", "updated_at",
		"upn", "unique_name", // Entra ID
		"auth_time", "amr", "acr", "sid",
	}

	// access has the claims that say what may be done, or by which client. Not
	// among them: azp, roles and groups, which ID Tokens have too.
	access = [...]string{
		"scope", "scp", "client_id", "cid", "appid", "permissions", "gty", "idtyp",
		"authorization_details", "act", "token_use",
	}
)

// checkEvidence refuses a token of undeclared type that describes a user and
// grants nothing: an ID Token in disguise. It is one even if its audience is this
// API, which happens where the client's ID and the API's identifier are the same.
// A bare token, which does neither, is let in.
func checkEvidence(payload *strictjson.Object) error {
	for _, name := range access {
		// A token_use other than "access" was refused before.
		if value, ok := payload.Lookup(name); ok && saysSomething(value) {
			return nil
		}
	}
	if value, ok := payload.Lookup("typ"); ok {
		if keycloak, _ := value.Text(); keycloak == "Bearer" {
			return nil
		}
	}
	for _, name := range identity {
		if payload.Has(name) {
			return fmt.Errorf("%w: it has %s and nothing that access tokens have, such as scope or client_id", ErrIDToken, name)
		}
	}
	return nil
}

// saysSomething reports whether a claim is evidence of anything: a text, an array
// or an object that is not empty. A mark that refuses counts by being there; what
// excuses has to say something.
func saysSomething(value strictjson.Value) bool {
	switch value.Kind() {
	case strictjson.KindString:
		text, _ := value.Text()
		return text != ""
	case strictjson.KindArray:
		elements, _ := value.Elements()
		return len(elements) > 0
	case strictjson.KindObject:
		object, err := value.Object()
		return err == nil && len(object.Members()) > 0
	default:
		return false
	}
}
