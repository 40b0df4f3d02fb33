// Package wiring checks what programs are put together from, for the rooms whose
// configurations have the same parts.
package wiring

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
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
// nil, and an error for what cannot be meant, since it is none of the known ones.
func Algorithms(names, known []string) ([]string, error) {
	if names == nil {
		return []string{"RS256"}, nil
	}
	if len(names) == 0 {
		return nil, errors.New("Config.Algorithms is empty: leave it nil for RS256")
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("Config.Algorithms has %q: it must be one of %s", name, strings.Join(known, ", "))
		}
	}
	return slices.Clone(names), nil
}

// CheckKeys returns an error for a Config.Keys that was given and is nil, or has the
// keys of another issuer.
func CheckKeys(keys any, issuer string) error {
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

// BySlash says how a name that nobody knows differs from one that somebody does, where
// that is a slash at the end: the most common mistake of all. It returns "" where it is
// not.
func BySlash(name string, known func(string) bool) string {
	if known(name + "/") {
		return "which lacks the slash at the end of the configured one"
	}
	if without, had := strings.CutSuffix(name, "/"); had && known(without) {
		return "which has a slash at the end that the configured one lacks"
	}
	return ""
}

// Owners knows whose keys the sources of a configuration have.
type Owners map[any]string

// Add notes the source of an issuer's keys. It returns an error where another issuer
// has the same one: whoever holds a key of a shared source could sign for either. (What
// cannot be compared is let pass: it is somebody's own.)
func (o Owners) Add(keys any, issuer string) error {
	if !reflect.ValueOf(keys).Comparable() {
		return nil
	}
	if other, shared := o[keys]; shared {
		return fmt.Errorf("the issuers %q and %q have the same Config.Keys: give each a source of its own, or the keys of one verify what is the other's", other, issuer)
	}
	o[keys] = issuer
	return nil
}

// OrDefault puts a default in the place of zero, and refuses what is negative.
func OrDefault[N time.Duration | int | int64](name string, value *N, zero N) error {
	if *value < 0 {
		return fmt.Errorf("%s is negative: %v (leave it zero for the default)", "Config."+name, *value)
	}
	if duration, is := any(*value).(time.Duration); is && 0 < duration && duration < time.Microsecond {
		return fmt.Errorf("%s is %v: a Duration counts nanoseconds; write 30 * time.Second", "Config."+name, duration)
	}
	if *value == 0 {
		*value = zero
	}
	return nil
}
