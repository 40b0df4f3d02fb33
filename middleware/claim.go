package middleware

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/claims"
)

// A ClaimName names a claim, for requirements about its value. Make one with
// [Claim].
type ClaimName struct{ path []string }

// Claim returns the name of a claim, for requirements about its value:
//
//	guard.Require(middleware.Claim("org_id").EqualsPathValue("org"))
//	guard.Require(middleware.Claim("https://example.com/roles").ContainsAny("nurse", "doctor"))
//
// A claim that is a member of an object is named by the way to it, so that a dot in
// a name is nothing special:
//
//	guard.Require(middleware.Claim("realm_access", "roles").ContainsAny("nurse", "doctor"))
//
// Names are compared as they are (RFC 7519 §7.3). It panics if there is none, or
// one is empty.
func Claim(path ...string) ClaimName { return ClaimName{texts("Claim", path)} }

// String returns the name as the policy has it: org_id, or realm_access/roles.
func (n ClaimName) String() string { return strings.Join(n.path, "/") }

// Equals returns the requirement that the claim is this text. It panics if the
// value is empty.
func (n ClaimName) Equals(value string) Requirement { return n.OneOf(value) }

// OneOf returns the requirement that the claim is one of these texts. One that is an
// array is none: for that, see [ClaimName.ContainsAny]. It panics if there is none, or
// one is empty.
func (n ClaimName) OneOf(values ...string) Requirement {
	values = texts("Claim.OneOf", values)
	return n.require("is "+quoted(values, " or "), func(_ *http.Request, claim json.RawMessage) string {
		text, ok := textOf(claim)
		switch {
		case claim[0] == '[': // often roles: whoever reads the log is told what fits
			return "is an array, not a text: ask for its elements with ContainsAny or ContainsAll"
		case !ok:
			return "is no text"
		case !slices.Contains(values, text):
			return "is another than the route asks for"
		}
		return ""
	})
}

// ContainsAny returns the requirement that the claim is an array with one of these
// texts among its elements: one of several roles, say. A claim that is a text counts as
// an array of one. It panics if there is none, or one is empty.
func (n ClaimName) ContainsAny(values ...string) Requirement {
	values = texts("Claim.ContainsAny", values)
	return n.require("contains "+quoted(values, " or "), func(_ *http.Request, claim json.RawMessage) string {
		if !slices.ContainsFunc(textsOf(claim), func(element string) bool { return slices.Contains(values, element) }) {
			return "contains nothing of what the route asks for"
		}
		return ""
	})
}

// ContainsAll returns the requirement that the claim is an array with all of these
// texts among its elements. A claim that is a text counts as an array of one. It
// panics if there is none, or one is empty.
func (n ClaimName) ContainsAll(values ...string) Requirement {
	values = texts("Claim.ContainsAll", values)
	return n.require("contains "+quoted(values, " and "), func(_ *http.Request, claim json.RawMessage) string {
		elements := textsOf(claim)
		for _, value := range values {
			if !slices.Contains(elements, value) {
				return "does not contain " + strconv.Quote(value)
			}
		}
		return ""
	})
}

// IsTrue returns the requirement that the claim is true, the JSON value.
func (n ClaimName) IsTrue() Requirement {
	return n.require("is true", func(_ *http.Request, claim json.RawMessage) string {
		if string(claim) != "true" {
			return "is not true"
		}
		return ""
	})
}

// EqualsPathValue returns the requirement that the claim is a text, and the same as
// the path value of that name ([http.Request.PathValue]): {org} in the pattern of a
// route of net/http or chi, :org in one of gin. A route without it lets nobody
// through, nor does a path with a segment . or .. in it, encoded or not: a handler,
// or a server behind it, that cleans the path would find another value there. It
// panics if the name is empty, or written as in a pattern.
func (n ClaimName) EqualsPathValue(name string) Requirement {
	texts("Claim.EqualsPathValue", []string{name})
	if strings.ContainsAny(name, "{}:*/") {
		panic(fmt.Sprintf("middleware: Claim.EqualsPathValue(%q): write the name alone, such as org for {org}", name))
	}
	return n.require("is {"+name+"} of the path", func(r *http.Request, claim json.RawMessage) string {
		value := r.PathValue(name)
		text, ok := textOf(claim)
		switch {
		case value == "":
			return "cannot be compared: the route has no path value " + name + ", or it is empty"
		case hasDotSegment(r.URL.Path):
			return "cannot be compared: the path has . or .. in it"
		case !ok:
			return "is no text"
		case text != value:
			return "is another than the path's"
		}
		return ""
	})
}

// hasDotSegment reports whether the path is another for whoever cleans it. Some take
// \ for / and what follows ; for no part of the name.
func hasDotSegment(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

// require returns a requirement about the claim, which must be there; wrong returns
// what is wrong with it, "" where nothing is. It does not tell what the claim says,
// since that may be personal.
func (n ClaimName) require(what string, wrong func(*http.Request, json.RawMessage) string) Requirement {
	if len(n.path) == 0 {
		panic("middleware: a ClaimName is a zero value; make one with Claim")
	}
	return claim{n, what, wrong}
}

type claim struct {
	name  ClaimName
	what  string
	wrong func(*http.Request, json.RawMessage) string
}

func (c claim) String() string { return "claim " + c.name.String() + " " + c.what }

func (c claim) Check(r *http.Request, all *claims.Claims) error {
	value, ok := all.Lookup(c.name.path...)
	if !ok {
		return fmt.Errorf("the token has no claim %s", c.name)
	}
	if wrong := c.wrong(r, value); wrong != "" {
		return fmt.Errorf("the claim %s %s", c.name, wrong)
	}
	return nil
}

// textOf returns what a claim says that is a string.
func textOf(claim json.RawMessage) (string, bool) {
	var text *string // null leaves it nil
	err := json.Unmarshal(claim, &text)
	if err != nil || text == nil {
		return "", false
	}
	return *text, true
}

// textsOf returns the strings in a claim that is one, or an array of them.
func textsOf(claim json.RawMessage) []string {
	if text, ok := textOf(claim); ok {
		return []string{text}
	}
	var texts []string
	var elements []json.RawMessage
	if json.Unmarshal(claim, &elements) != nil {
		return nil
	}
	for _, element := range elements {
		if text, ok := textOf(element); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

func quoted(values []string, conjunction string) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = strconv.Quote(value)
	}
	return strings.Join(words, conjunction)
}
