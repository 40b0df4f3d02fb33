package main

import (
	"errors"
	"fmt"
	"strings"
)

// bearerChallenge returns the parameters of the first Bearer challenge in the
// values of WWW-Authenticate, and nil where there is none. A value may have several
// challenges, and commas stand between them as well as between parameters (RFC 9110
// §11.6.1). Names are in lower case.
func bearerChallenge(values []string) (map[string]string, error) {
	for _, rest := range values {
		var found map[string]string // while the challenge is a Bearer one
		first := true               // of what stands between two commas
		for {
			rest = strings.TrimLeft(rest, " \t")
			if rest == "" {
				break
			}
			if rest[0] == ',' {
				rest, first = rest[1:], true
				continue
			}
			var word string
			word, rest = cutAny(rest, " \t,=\"")
			after := strings.TrimLeft(rest, " \t")
			switch {
			case strings.HasPrefix(after, "="):
				value, behind, err := parameterValue(strings.TrimLeft(after[1:], " \t"))
				if err != nil {
					return nil, err
				}
				if name := strings.ToLower(word); found != nil {
					if _, twice := found[name]; twice {
						return nil, fmt.Errorf("the challenge has %s twice", name)
					}
					found[name] = value
				}
				rest = behind
			case word == "":
				return nil, errors.New("the challenge has a quotation mark out of place")
			case first && found != nil: // the next challenge
				return found, nil
			case first && strings.EqualFold(word, "Bearer"):
				found = map[string]string{}
			} // else another scheme, or its token68
			first = false
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// parameterValue cuts a token or a quoted string off.
func parameterValue(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		value, rest = cutAny(text, " \t,")
		return value, rest, nil
	}
	var unquoted strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return unquoted.String(), text[i+1:], nil
		case '\\':
			if i++; i == len(text) {
				continue
			}
		}
		unquoted.WriteByte(text[i])
	}
	return "", "", errors.New("a quoted string of the challenge has no end")
}

// cutAny cuts text before the first of these characters.
func cutAny(text, characters string) (before, rest string) {
	if i := strings.IndexAny(text, characters); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}
