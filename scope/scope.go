// Package scope has the words of OAuth 2.0 permissions: a [Set] of scopes that
// a token carries, and a [Rule] over them that a route asks for.
//
//	rule := scope.All("read:patients", "read:labs")
//	have, err := scope.Parse("openid read:patients")
//	if err != nil {
//		log.Fatal(err)
//	}
//	rule.Allows(have)  // false
//	rule.Missing(have) // read:labs
//
// A scope is an opaque, case-sensitive word (RFC 6749 §3.3). Two scopes match
// when they are the same bytes, and not otherwise: "read" does not include
// "read:patients", and "Read:Patients" is another scope.
package scope

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ErrSyntax is wrapped by the errors of [Parse]: the text is not a list of
// scopes as RFC 6749 §3.3 defines it.
var ErrSyntax = errors.New("scope: not a list of scopes")

// A Set is a set of scopes. It is immutable, and safe for concurrent use. The
// zero value is the empty set.
type Set struct {
	words []string // each once, in the order of first appearance
}

// Parse reads a list of scopes as RFC 6749 §3.3 writes it: words separated by
// one space each. It is strict and meant for what programmers and operators
// write; the error wraps [ErrSyntax]. The empty text is an error too, since a
// list that is empty by mistake would ask for nothing. What a token carries is
// read by [FromToken].
func Parse(list string) (Set, error) {
	if list == "" {
		return Set{}, fmt.Errorf("%w: it is empty", ErrSyntax)
	}
	words := strings.Split(list, " ")
	for _, word := range words {
		if err := checkWord(word); err != nil {
			return Set{}, err
		}
	}
	return Set{words: distinct(words)}, nil
}

// FromToken reads a list of scopes as a token carries it. It is lenient where that
// is safe: empty pieces are ignored, and a piece outside the grammar of RFC 6749
// §3.3 is dropped, so that it grants nothing and spoils nothing. Only the space
// separates.
func FromToken(list string) Set {
	// A list of nothing but spaces must not cost sixteen times its length.
	const most = 16
	words := make([]string, 0, min(most, 1+strings.Count(list, " ")))
	for list != "" {
		var word string
		if word, list, _ = strings.Cut(list, " "); isWord(word) {
			words = append(words, word)
		}
	}
	return Set{words: distinct(words)}
}

// FromArray reads the elements of a JSON array of scopes, with the leniency of
// [FromToken]. Each element is one scope: one with a space in it is dropped like
// any other that is none, since "not admin" must not grant "admin".
func FromArray(elements ...string) Set {
	var words []string
	for _, element := range elements {
		if isWord(element) {
			words = append(words, element)
		}
	}
	return Set{words: distinct(words)}
}

// Union returns the scopes of both sets.
func (s Set) Union(other Set) Set {
	switch {
	case other.Len() == 0:
		return s
	case s.Len() == 0:
		return other
	}
	return Set{words: distinct(slices.Concat(s.words, other.words))}
}

// Contains reports whether the scope is in the set, byte for byte.
func (s Set) Contains(scope string) bool {
	for _, have := range s.words {
		if have == scope {
			return true
		}
	}
	return false
}

// Len returns the number of scopes in the set.
func (s Set) Len() int { return len(s.words) }

// Values iterates over the scopes, in the order in which they were written.
func (s Set) Values() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, word := range s.words {
			if !yield(word) {
				return
			}
		}
	}
}

// String returns the scopes as a list that [Parse] reads: separated by one
// space, in the order in which they were written.
func (s Set) String() string { return strings.Join(s.words, " ") }

// MarshalText is [Set.String], so that a set is text in JSON and in logs.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// distinct returns words without repetitions, in order. It may reuse words.
func distinct(words []string) []string {
	// Up to here comparing costs less than hashing; beyond it, a token made of
	// thousands of scopes must not cost their square.
	const few = 16
	if len(words) <= few {
		kept := words[:0]
		for _, word := range words {
			if !(Set{words: kept}).Contains(word) {
				kept = append(kept, word)
			}
		}
		return kept
	}
	seen := make(map[string]struct{}, len(words))
	kept := words[:0]
	for _, word := range words {
		if _, repeated := seen[word]; !repeated {
			seen[word] = struct{}{}
			kept = append(kept, word)
		}
	}
	if cap(kept) > 2*len(kept) { // who keeps the set must not keep the repetitions
		kept = slices.Clone(kept)
	}
	return kept
}

// isWord reports whether word is a scope-token of RFC 6749 §3.3:
//
//	scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
//
// Double quote and backslash are left out there, so a scope can stand in a
// quoted string of a challenge as it is.
func isWord(word string) bool {
	for i := range len(word) {
		if c := word[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return word != ""
}

// checkWord says what is wrong with word, for the one who wrote it.
func checkWord(word string) error {
	switch {
	case isWord(word):
		return nil
	case word == "":
		return fmt.Errorf("%w: a scope is empty (one space separates two scopes)", ErrSyntax)
	case strings.Contains(word, " "):
		return fmt.Errorf("%w: %q has a space, so it is several scopes: give each by itself", ErrSyntax, word)
	default:
		return fmt.Errorf(`%w: %q has a character other than printable ASCII without space, " and \`, ErrSyntax, word)
	}
}
