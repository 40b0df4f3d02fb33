package claims

import "github.com/bearerguard/bearerguard/internal/strictjson"

// A SubjectKind says whether a token speaks of a user or of a machine.
type SubjectKind string

// The kinds of subjects.
const (
	UnknownSubject SubjectKind = "unknown" // the token has no sign of either, or of both
	UserSubject    SubjectKind = "user"
	MachineSubject SubjectKind = "machine"
)

// SubjectKind returns whether the token speaks of a user, or of the client itself,
// which got it by the client credentials grant (RFC 6749 §4.4). No claim says so
// everywhere, so it goes by signs. Of a machine:
//
//   - the subject is the client: sub is the client ID (RFC 9068 §2.2, Okta,
//     Cognito), or that with "@clients" (Auth0);
//   - gty is client-credentials (Auth0), idtyp is app (Entra ID);
//   - preferred_username is "service-account-" and the client ID (Keycloak), and
//     there is no sign of a user, since users may choose their names.
//
// Of a user, that he has logged in or what he is called: auth_time, amr, sid, name,
// given_name, family_name, email or phone_number, or idtyp user (Entra ID).
//
// A token without any sign, or a claim that is no text where a text should be, is
// [UnknownSubject]. So are claims that were not read from a token.
func (c *Claims) SubjectKind() SubjectKind {
	if c == nil || c.payload == nil {
		return UnknownSubject
	}
	set := c.payload.object
	if c.ClientID != "" && (c.Subject == c.ClientID || c.Subject == c.ClientID+"@clients") ||
		says(set, "gty", "client-credentials") || says(set, "idtyp", "app") {
		return MachineSubject
	}
	user := says(set, "idtyp", "user")
	for _, sign := range [...]string{"auth_time", "amr", "sid", "name", "given_name", "family_name", "email", "phone_number"} {
		user = user || set.Has(sign)
	}
	named := c.ClientID != "" && says(set, "preferred_username", "service-account-"+c.ClientID)
	switch {
	case user && !named:
		return UserSubject
	case named && !user:
		return MachineSubject
	default:
		return UnknownSubject
	}
}

// says reports whether a claim is this text.
func says(set strictjson.Object, name, text string) bool {
	value, _ := set.Lookup(name)
	is, ok := value.Text()
	return ok && is == text
}
