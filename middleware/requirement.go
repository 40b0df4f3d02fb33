package middleware

import (
	"errors"
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/scope"
)

// A Requirement is what a route asks of a request beyond a good access token.
type Requirement interface {
	// Check returns nil where the request and the claims of its token meet the
	// requirement. It must not change the claims. An error refuses the request:
	//
	//   - an *[Error] with a status of 400 to 599 as it says;
	//   - one that wraps claims.ErrUnavailable, or the end of a context, with 503;
	//   - any other with 403 and access_denied. It goes to the observer, and
	//     never to the client.
	Check(r *http.Request, c *claims.Claims) error

	// String describes the requirement in a few words, for policies and logs.
	String() string
}

// Scopes returns the requirement that a token's scopes satisfy the rule. Where
// they do not, the answer is 403 and insufficient_scope, and names all the
// scopes of the alternative that the token comes closest to (RFC 6750 §3.1). It
// panics if the rule is the zero one, which nothing satisfies.
func Scopes(rule scope.Rule) Requirement {
	if rule.Closest(scope.Set{}).Len() == 0 {
		panic("middleware: Scopes was given an empty rule; make one with scope.All or scope.Any")
	}
	return scopes{rule}
}

type scopes struct{ rule scope.Rule }

func (s scopes) Check(_ *http.Request, c *claims.Claims) error {
	if s.rule.Allows(c.Scope) {
		return nil
	}
	return insufficientScope(s.rule, c.Scope)
}

func (s scopes) String() string { return "scope " + s.rule.String() }

// meet returns why a request is refused that has a good token.
func meet(requirements []Requirement, r *http.Request, c *claims.Claims) *Error {
	for _, requirement := range requirements {
		if err := requirement.Check(r, c); err != nil {
			return refusalOf(err)
		}
	}
	return nil
}

// refusalOf returns the refusal that a requirement's error stands for. Somebody
// else has made that error: whatever it is, the request is refused.
func refusalOf(err error) *Error {
	var e *Error
	switch found := errors.As(err, &e); {
	case found && e == nil:
		return accessDenied(errors.New("middleware: a requirement returned a nil *Error"))
	case found && 400 <= e.Status && e.Status <= 599:
		return e
	case isOurs(err):
		return unavailable(err)
	default:
		return accessDenied(err)
	}
}

// describe returns the requirements in words.
func describe(requirements []Requirement) string {
	if len(requirements) == 0 {
		return "any access token"
	}
	words := make([]string, len(requirements))
	for i, requirement := range requirements {
		words[i] = requirement.String()
	}
	return strings.Join(words, ", ")
}

// neededScope returns the scopes that a client should ask for which has no good
// token yet.
func neededScope(requirements []Requirement) string {
	var needed scope.Set
	for _, requirement := range requirements {
		if s, ok := requirement.(scopes); ok {
			needed = needed.Union(s.rule.Closest(scope.Set{}))
		}
	}
	return needed.String()
}
