package authtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A challenge is one of those in WWW-Authenticate (RFC 9110 §11.6.1).
type challenge struct {
	scheme     string
	parameters []parameter // in this order
}

type parameter struct{ name, value string }

// value returns the value of a parameter, "" where there is none.
func (c challenge) value(name string) string {
	at := slices.IndexFunc(c.parameters, func(p parameter) bool { return p.name == name })
	if at < 0 {
		return ""
	}
	return c.parameters[at].value
}

var (
	listSeparators = regexp.MustCompile(`^[\t ,]*`)
	schemeOfList   = regexp.MustCompile(`^([!#$%&'*+.^_\x60|~0-9A-Za-z-]+)(?: +|$|[\t ]*,)`)
	parameterOf    = regexp.MustCompile(`^([!#$%&'*+.^_\x60|~0-9A-Za-z-]+)[\t ]*=[\t ]*([!#$%&'*+.^_\x60|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*")[\t ]*(?:,|$)`)
	token68OfList  = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*[\t ]*(?:,|$)`)
	escapeInQuotes = regexp.MustCompile(`\\(.)`)
)

// parseChallenges reads the values of WWW-Authenticate. The names of parameters are
// in lower case.
func parseChallenges(values []string) ([]challenge, error) {
	var all []challenge
	rest := strings.Join(values, ", ")
	for {
		rest = rest[len(listSeparators.FindString(rest)):]
		if rest == "" {
			return all, nil
		}
		if found := parameterOf.FindStringSubmatch(rest); found != nil && len(all) > 0 {
			rest = rest[len(found[0]):]
			name, value := strings.ToLower(found[1]), found[2]
			if value[0] == '"' {
				value = escapeInQuotes.ReplaceAllString(value[1:len(value)-1], "$1")
			}
			last := &all[len(all)-1]
			last.parameters = append(last.parameters, parameter{name, value})
			continue
		}
		found := schemeOfList.FindStringSubmatch(rest)
		if found == nil {
			return nil, fmt.Errorf("%q is neither a scheme nor a parameter", rest)
		}
		rest = rest[len(found[0]):]
		all = append(all, challenge{scheme: found[1]})
		if strings.HasSuffix(found[0], " ") && parameterOf.FindString(rest) == "" {
			rest = rest[len(token68OfList.FindString(rest)):] // such as Negotiate has
		}
	}
}

// The characters that RFC 6750 §3 permits.
var bearerCharacters = map[string]*regexp.Regexp{
	"scope":             regexp.MustCompile(`^[ \x21\x23-\x5B\x5D-\x7E]*$`),
	"error":             regexp.MustCompile(`^[\x20\x21\x23-\x5B\x5D-\x7E]*$`),
	"error_description": regexp.MustCompile(`^[\x20\x21\x23-\x5B\x5D-\x7E]*$`),
	"error_uri":         regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]*$`),
}

// bearerChallenge returns the challenge for the scheme Bearer, and what is wrong with
// it.
func bearerChallenge(values []string) (found challenge, problem string) {
	all, err := parseChallenges(values)
	if err != nil {
		return challenge{}, fmt.Sprintf("the challenge cannot be read: %v (RFC 9110 §11.6.1)", err)
	}
	at := slices.IndexFunc(all, func(c challenge) bool { return strings.EqualFold(c.scheme, "Bearer") })
	if at < 0 || len(all[at].parameters) == 0 {
		return challenge{}, "there is no challenge WWW-Authenticate: Bearer with a parameter (RFC 6750 §3)"
	}
	found = all[at]
	seen := map[string]bool{}
	for _, p := range found.parameters {
		if seen[p.name] {
			return found, fmt.Sprintf("the challenge has %s more than once (RFC 6750 §3)", p.name)
		}
		seen[p.name] = true
		if permitted := bearerCharacters[p.name]; permitted != nil && !permitted.MatchString(p.value) {
			return found, fmt.Sprintf("the challenge has characters in %s that cannot be there (RFC 6750 §3)", p.name)
		}
	}
	return found, ""
}
