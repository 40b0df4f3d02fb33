package claims

import (
	"strings"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

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
//   - preferred_username is "service-account-" and the client ID (Keycloak, which has
//     user names in lower case, and the client ID as it was given), or there is
//     clientHost or clientAddress, which Keycloak writes for service accounts.
//
// Of a user, that he has logged in or what he is called: auth_time, amr, sid, name,
// given_name, family_name, email or phone_number, or idtyp user (Entra ID). One that is
// null or empty makes nobody a user.
//
// Of the signs of a machine, only the first is the issuer's word. The others are
// names, which a user may have chosen to be taken for the client (RFC 9068 §5): with
// the sign of a user beside them, also an empty one, nothing is known. (Cognito's
// auth_time takes nothing from a subject that is the client, since Cognito gives it to
// machines too: its access tokens are those whose token_use is access.) An issuer that
// lets users choose their sub, and gives no sign of users, cannot be told from one that
// speaks of the client.
//
// A token without any sign, or a claim that is no text where a text should be, is
// [UnknownSubject]. So are claims that were not read from a token.
func (c *Claims) SubjectKind() SubjectKind {
	if c == nil || c.payload == nil {
		return UnknownSubject
	}
	switch machine, user := c.machineSign(), c.userSign(); {
	case machine == strong, machine == weak && user == none:
		return MachineSubject
	case user == strong && machine == none:
		return UserSubject
	default:
		return UnknownSubject
	}
}

// A sign is what a token has to say of a kind of subject.
type sign int

const (
	none   sign = iota
	weak        // a name, which a user may have chosen, or a claim that says nothing
	strong      // what the issuer says
)

// machineSign is all that is known of machines: whoever must refuse them goes by it,
// and not by a list of its own. Claims that were not read from a token have a subject
// and a client too.
func (c *Claims) machineSign() sign {
	if c == nil {
		return none
	}
	set := c.set()
	if says(set, "gty", "client-credentials") || says(set, "idtyp", "app") {
		return strong
	}
	if c.isClient() || set.Has("clientHost") || set.Has("clientAddress") {
		return weak
	}
	account, ok := strings.CutPrefix(textOf(set, "preferred_username"), "service-account-")
	if ok && c.ClientID != "" && (account == c.ClientID || account == strings.ToLower(c.ClientID)) {
		return weak
	}
	return none
}

// isClient reports whether the subject is the client.
func (c *Claims) isClient() bool {
	return c.ClientID != "" && (c.Subject == c.ClientID || c.Subject == c.ClientID+"@clients")
}

func (c *Claims) userSign() sign {
	set, found := c.set(), none
	if says(set, "idtyp", "user") {
		return strong
	}
	for _, name := range [...]string{"auth_time", "amr", "sid", "name", "given_name", "family_name", "email", "phone_number"} {
		value, has := set.Lookup(name)
		switch {
		case !has, name == "auth_time" && c.isClient() && says(set, "token_use", "access"):
		case saysNothing(value):
			found = weak
		default:
			return strong
		}
	}
	return found
}

// set returns the claims as they were read, none where they were not.
func (c *Claims) set() *strictjson.Object {
	if c.payload == nil {
		return &strictjson.Object{}
	}
	return &c.payload.object
}

// saysNothing reports whether a claim is null or empty, as a mapper leaves it that
// found nothing.
func saysNothing(value strictjson.Value) bool {
	elements, isArray := value.Elements()
	return value.JSON() == "null" || value.JSON() == `""` || isArray && len(elements) == 0
}

// says reports whether a claim is this text.
func says(set *strictjson.Object, name, is string) bool { return textOf(set, name) == is }

// textOf returns a claim that is a text, and "" where it is none.
func textOf(set *strictjson.Object, name string) string {
	value, _ := set.Lookup(name)
	text, _ := value.Text()
	return text
}
