package scope

import (
	"slices"
	"strings"
)

// A Rule is what a route asks of a token's scopes: one or more alternatives,
// each a set of scopes that are needed together. It is immutable, and safe for
// concurrent use. The zero value allows nothing.
type Rule struct {
	alternatives []Set
}

// All returns the rule that needs each of the scopes.
//
// It panics if there is none, or if one is not a scope as RFC 6749 §3.3 defines
// it: a rule is written by a programmer, and a mistake must not wait for the
// first request.
func All(scopes ...string) Rule {
	return Rule{alternatives: []Set{{words: distinct(checked("All", scopes))}}}
}

// Any returns the rule that needs one of the scopes, whichever. It panics as
// [All] does.
func Any(scopes ...string) Rule {
	var rule Rule
	for _, word := range distinct(checked("Any", scopes)) {
		rule.alternatives = append(rule.alternatives, Set{words: []string{word}})
	}
	return rule
}

// Or returns the rule that is satisfied where r or other is.
func (r Rule) Or(other Rule) Rule {
	return Rule{alternatives: slices.Concat(r.alternatives, other.alternatives)}
}

// Allows reports whether have satisfies the rule.
func (r Rule) Allows(have Set) bool {
	for _, needed := range r.alternatives {
		if missing(needed, have) == 0 {
			return true
		}
	}
	return false
}

// Closest returns the alternative that have comes closest to: the one with the
// fewest scopes missing, and of several the one written first. It lists all of
// that alternative's scopes, also those that have contains: this is what a
// challenge names (RFC 6750 §3.1, "the scope necessary to access the protected
// resource"), because a client that asked for the difference alone would get a
// token without the rest.
func (r Rule) Closest(have Set) Set {
	var closest Set
	fewest := -1
	for _, needed := range r.alternatives {
		if n := missing(needed, have); fewest < 0 || n < fewest {
			closest, fewest = needed, n
		}
	}
	return closest
}

// Missing returns the scopes of [Rule.Closest] that have lacks; none where the
// rule allows have. It is meant for logs: what a client should ask for is
// Closest.
func (r Rule) Missing(have Set) Set {
	var lacking Set
	for word := range r.Closest(have).Values() {
		if !have.Contains(word) {
			lacking.words = append(lacking.words, word)
		}
	}
	return lacking
}

// Scopes returns all scopes that the rule names, of whichever alternative.
func (r Rule) Scopes() Set {
	var all Set
	for _, needed := range r.alternatives {
		all = all.Union(needed)
	}
	return all
}

// String returns the rule in words, such as
// "admin or (read:patients and read:labs)", and "nothing" for the zero value.
func (r Rule) String() string {
	if len(r.alternatives) == 0 {
		return "nothing"
	}
	var text strings.Builder
	for i, needed := range r.alternatives {
		if i > 0 {
			text.WriteString(" or ")
		}
		words := strings.Join(needed.words, " and ")
		if len(needed.words) > 1 && len(r.alternatives) > 1 {
			words = "(" + words + ")"
		}
		text.WriteString(words)
	}
	return text.String()
}

// missing counts the scopes of needed that are not in have.
func missing(needed, have Set) int {
	n := 0
	for _, word := range needed.words {
		if !have.Contains(word) {
			n++
		}
	}
	return n
}

// checked returns a copy of the scopes given to the named function, or panics.
func checked(function string, scopes []string) []string {
	if len(scopes) == 0 {
		panic("scope: " + function + " needs at least one scope")
	}
	for _, word := range scopes {
		if err := checkWord(word); err != nil {
			panic(err.Error())
		}
	}
	return slices.Clone(scopes)
}
