package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/scope"
)

// ACR returns the requirement that the user has logged in by one of these
// authentication context classes, "acr" (RFC 9470 §3, OpenID Connect Core §2).
// Where that is not so, or the token does not say, the answer is 401 and
// insufficient_user_authentication with these acr_values, so that the client has
// the user log in again.
//
// It panics if there is none, or one is empty, has a space or cannot stand in a
// challenge.
func ACR(values ...string) Requirement {
	values = texts("ACR", values)
	for _, value := range values {
		if strings.Contains(value, " ") || !isQuotable(value) {
			panic(fmt.Sprintf(`middleware: ACR(%q): a value is printable ASCII without space, " and \`, value))
		}
	}
	return acr(values)
}

type acr []string

func (values acr) Check(_ *http.Request, c *claims.Claims) error {
	if slices.Contains(values, c.ACR) {
		return nil
	}
	reason := "the user has logged in in another way (acr)"
	if c.ACR == "" {
		reason = "the token does not say how the user has logged in (acr is missing)"
	}
	e := insufficientAuthentication("a stronger authentication is needed", reason)
	e.ACRValues = values.list()
	return e
}

func (values acr) list() string                         { return strings.Join(values, " ") }
func (values acr) String() string                       { return "acr " + strings.Join(values, " or ") }
func (values acr) needs(*http.Request, scope.Set) needs { return needs{acrValues: values.list()} }

// MaxAuthAge returns the requirement that the user's login, "auth_time", is not
// longer ago than d (RFC 9470 §3, OpenID Connect Core §2). Where it is, or the token
// does not say, the answer is 401 and insufficient_user_authentication with d as
// max_age, so that the client has the user log in again.
//
// The times are of two clocks, the issuer's and this machine's: choose d larger
// than they may be apart. It panics if d is less than a second, or not a whole
// number of them.
func MaxAuthAge(d time.Duration) Requirement {
	if d < time.Second || d%time.Second != 0 {
		panic(fmt.Sprintf("middleware: MaxAuthAge(%v): it must be whole seconds, such as 5 * time.Minute", d))
	}
	return maxAuthAge(d)
}

type maxAuthAge time.Duration

// maxAhead is how far the issuer's clock may be ahead of this machine's: a login
// that is still to come is none.
const maxAhead = time.Minute

func (m maxAuthAge) Check(_ *http.Request, c *claims.Claims) error {
	age := time.Since(c.AuthTime)
	if !c.AuthTime.IsZero() && -maxAhead <= age && age <= time.Duration(m) {
		return nil
	}
	reason := "the user's login is too long ago (auth_time)"
	if c.AuthTime.IsZero() {
		reason = "the token does not say when the user has logged in (auth_time is missing)"
	} else if age < 0 {
		reason = "the user's login is in the future (auth_time): a clock is wrong"
	}
	e := insufficientAuthentication("a more recent authentication is needed", reason)
	e.MaxAge = time.Duration(m)
	return e
}

func (m maxAuthAge) String() string                       { return "login within " + time.Duration(m).String() }
func (m maxAuthAge) needs(*http.Request, scope.Set) needs { return needs{maxAge: time.Duration(m)} }
