// Package wiring checks what programs are put together from, for the rooms whose
// configurations have the same parts.
package wiring

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/jwks"
)

// IsNil reports whether v is nil, or a nil pointer or function in an interface,
// which is what an error that nobody looked at leaves behind.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	value := reflect.ValueOf(v)
	return (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// Algorithms returns a copy of what stands in a Config.Algorithms, RS256 where that is
// nil, and an error for what cannot be meant.
func Algorithms(names []string) ([]string, error) {
	if names == nil {
		return []string{"RS256"}, nil
	}
	if len(names) == 0 {
		return nil, errors.New("Config.Algorithms is empty: leave it nil for RS256")
	}
	for _, name := range names {
		if !slices.Contains(jwks.Algorithms(), name) {
			return nil, fmt.Errorf("Config.Algorithms has %q: it must be one of %s", name, strings.Join(jwks.Algorithms(), ", "))
		}
	}
	return slices.Clone(names), nil
}

// CheckKeys returns an error for a Config.Keys that was given and is nil, or has the
// keys of another issuer.
func CheckKeys(keys jwks.Source, issuer string) error {
	if IsNil(keys) {
		return fmt.Errorf("Config.Keys is a nil %T: look at the error of the function that made it", keys)
	}
	if owned, ok := keys.(interface{ Issuer() string }); ok {
		if owner := owned.Issuer(); owner != "" && owner != issuer {
			return fmt.Errorf("Config.Keys has the keys of the issuer %q, and Config.Issuer is %q: they must be the same", owner, issuer)
		}
	}
	return nil
}
