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
//   - gty is client-credentials (Auth0), idtyp is app (Entra ID): the issuer says so;
//   - the subject is the client: sub is the client ID (RFC 9068 §2.2, Okta,
//     Cognito), or that with "@clients" (Auth0);
//   - preferred_username is "service-account-" and the client ID (Keycloak).
//
// Of a user, that he has logged in or what he is called: auth_time, amr, sid, name,
// given_name, family_name, email or phone_number, or idtyp user (Entra ID).
//
// Of the signs of a machine, only the first is the issuer's word. The others are
// names, which a user may have chosen to be taken for the client (RFC 9068 §5): with
// the sign of a user beside them, nothing is known. (auth_time alone takes nothing
// from a subject that is the client, since Cognito gives it to machines too.) An
// issuer that lets users choose their sub, and gives no sign of users, cannot be told
// from one that speaks of the client.
//
// A token without any sign, or a claim that is no text where a text should be, is
// [UnknownSubject]. So are claims that were not read from a token.
func (c *Claims) SubjectKind() SubjectKind {
	if c == nil || c.payload == nil {
		return UnknownSubject
	}
	set := c.payload.object
	if says(set, "gty", "client-credentials") || says(set, "idtyp", "app") {
		return MachineSubject
	}
	user := says(set, "idtyp", "user")
	for _, sign := range [...]string{"amr", "sid", "name", "given_name", "family_name", "email", "phone_number"} {
		user = user || set.Has(sign)
	}
	client := c.ClientID != "" && (c.Subject == c.ClientID || c.Subject == c.ClientID+"@clients")
	user = user || !client && set.Has("auth_time")
	named := c.ClientID != "" && says(set, "preferred_username", "service-account-"+c.ClientID)
	switch machine := client || named; {
	case machine && !user:
		return MachineSubject
	case user && !machine:
		return UserSubject
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
