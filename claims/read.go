package claims

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/scope"
)

// read reads the registered claims of a claims set, and its scopes from the claims of
// these names. One with another type than RFC 7519 gives it is an error: whoever wrote it
// may be misunderstood.
func (c *ownClaims) read(set *strictjson.Object, scopeClaims []string) error {
	texts := []struct {
		name  string
		value *string
	}{
		{"iss", &c.Issuer},
		{"sub", &c.Subject},
		{"jti", &c.TokenID},
	}
	for _, t := range texts {
		if value, ok := set.Lookup(t.name); ok {
			if *t.value, ok = value.Text(); !ok {
				return wrongType(t.name, value, "a string")
			}
		}
	}
	dates := []struct {
		name  string
		value *time.Time
	}{
		{"exp", &c.Expiry},
		{"nbf", &c.NotBefore},
		{"iat", &c.IssuedAt},
	}
	for _, d := range dates {
		if value, ok := set.Lookup(d.name); ok {
			if *d.value, ok = numericDate(value); !ok {
				return wrongType(d.name, value, "a number of seconds from 1970 to 9999")
			}
		}
	}
	if value, ok := set.Lookup("aud"); ok {
		if text, one := value.Text(); one {
			c.Audience = append(c.audience[:0], text)
		} else if c.Audience, ok = value.Texts(); !ok {
			return wrongType("aud", value, "a string or an array of strings")
		}
	}
	if value, ok := set.Lookup("cnf"); ok {
		if _, err := value.Object(); err != nil {
			return fmt.Errorf("%w: its cnf: %w", ErrMalformed, err)
		}
	}
	c.ClientID = clientID(set)
	c.Scope = scopes(set, scopeClaims)
	c.AuthTime, c.ACR, c.AMR = login(set)
	return nil
}

func wrongType(name string, value strictjson.Value, want string) error {
	if name == "sub" || name == "jti" { // what stands there may be personal
		return fmt.Errorf("%w: its %s is a JSON %s, and should be %s", ErrMalformed, name, value.Kind(), want)
	}
	return fmt.Errorf("%w: its %s is the JSON %s %s, and should be %s",
		ErrMalformed, name, value.Kind(), strictjson.Excerpt(value.JSON()), want)
}

// numericDate reads a NumericDate: seconds since 1970, perhaps with a fraction
// (RFC 7519 §2). What is before 1970 or after 9999 is no date that an issuer
// means, and the bounds keep the conversions from overflowing.
func numericDate(value strictjson.Value) (time.Time, bool) {
	const end = 253402300800 // 10000-01-01T00:00:00Z
	if value.Kind() != strictjson.KindNumber {
		return time.Time{}, false
	}
	if whole, err := strconv.ParseUint(value.JSON(), 10, 64); err == nil && whole < end { // nearly always
		return time.Unix(int64(whole), 0), true
	}
	seconds, err := strconv.ParseFloat(value.JSON(), 64)
	if err != nil || seconds < 0 || seconds >= end {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// clientID returns the client that a token was issued to, by whatever name its
// issuer has for it. The first name that is there decides, also where its value is
// no text: another one must not speak in its place.
func clientID(set *strictjson.Object) string {
	for _, name := range [...]string{"client_id", "azp", "cid", "appid"} {
		if value, ok := set.Lookup(name); ok {
			id, _ := value.Text()
			return id
		}
	}
	return ""
}

// login returns when and how the user has logged in. What is of another type than
// RFC 9068 §2.2.1 gives it says nothing: most APIs never ask, and need not refuse
// a token for it.
func login(set *strictjson.Object) (at time.Time, acr string, amr []string) {
	value, _ := set.Lookup("auth_time")
	at, _ = numericDate(value)
	value, _ = set.Lookup("acr")
	acr, _ = value.Text()
	value, _ = set.Lookup("amr")
	amr, _ = value.Texts()
	return at, acr, amr
}

// scopes returns what a token permits. A claim of another type than a string or
// an array of strings grants nothing.
func scopes(set *strictjson.Object, claims []string) scope.Set {
	var permitted scope.Set
	for _, name := range claims {
		value, ok := set.Lookup(name)
		if !ok {
			continue
		}
		if list, ok := value.Text(); ok {
			permitted = permitted.Union(scope.FromToken(list))
		} else if elements, ok := value.Texts(); ok {
			permitted = permitted.Union(scope.FromArray(elements...))
		}
	}
	return permitted
}
