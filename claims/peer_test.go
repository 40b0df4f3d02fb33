package claims_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/stretchr/testify/require"
)

// The peer is jwx, another reading of the same RFCs. What is accepted here must be
// the same token to it: a claim that two readers see differently is a hole.

// precise lets the peer keep fractions of a second, which it drops otherwise.
var precise = sync.OnceFunc(func() { jwt.Settings(jwt.WithNumericDateParsePrecision(9)) })

// peerRead is the peer's reading of a token, signature included, times and
// contents not. Being pedantic, it does not guess that a claims set which has a
// claim "payload" is a token in turn.
func peerRead(token string) (jwt.Token, error) {
	precise()
	return jwt.ParseString(token, jwt.WithKey(jwa.RS256, &trustedKey().PublicKey), jwt.WithValidate(false), jwt.WithPedantic(true))
}

// peerAccepts is the peer's verdict with the same configuration as newValidator's.
func peerAccepts(token string) error {
	precise()
	_, err := jwt.ParseString(token, jwt.WithKey(jwa.RS256, &trustedKey().PublicKey), jwt.WithPedantic(true),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithRequiredClaim("exp"), jwt.WithAcceptableSkew(30*time.Second))
	return err
}

// requireAgreement wants the registered claims to be the same to both.
func requireAgreement(t *testing.T, ours *claims.Claims, peers jwt.Token) {
	t.Helper()
	require.Equal(t, peers.Issuer(), ours.Issuer)
	require.Equal(t, peers.Subject(), ours.Subject)
	require.Equal(t, peers.Audience(), ours.Audience)
	require.Equal(t, peers.JwtID(), ours.TokenID)
	for name, pair := range map[string][2]time.Time{
		"exp": {peers.Expiration(), ours.Expiry},
		"nbf": {peers.NotBefore(), ours.NotBefore},
		"iat": {peers.IssuedAt(), ours.IssuedAt},
	} {
		require.WithinDuration(t, pair[0], pair[1], time.Microsecond, name)
		require.Equal(t, pair[0].IsZero(), pair[1].IsZero(), name)
	}
}

// A plainReading is a claims set or a header as encoding/json alone reads it.
type plainReading map[string]any

// readPlainly reads an object with numbers as they are written.
func readPlainly(t *testing.T, text string) plainReading {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var reading plainReading
	require.NoError(t, decoder.Decode(&reading))
	require.NotNil(t, reading)
	require.NoError(t, onlyOnce(text))
	return reading
}

// onlyOnce returns an error if the object has a name twice.
func onlyOnce(object string) error {
	decoder := json.NewDecoder(strings.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		if seen[name.(string)] {
			return fmt.Errorf("%q is there twice", name)
		}
		seen[name.(string)] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
	}
	_, err := decoder.Token()
	return err
}

// has reports whether one of these members is there, whatever its value.
func (r plainReading) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, there := r[name]; return there })
}

// text returns a member that is a string, or "".
func (r plainReading) text(name string) string {
	text, _ := r[name].(string)
	return text
}

// seconds returns a member that is a number.
func (r plainReading) seconds(t *testing.T, name string) float64 {
	t.Helper()
	number, ok := r[name].(json.Number)
	require.True(t, ok, "%s is no number: %v", name, r[name])
	seconds, err := number.Float64()
	require.NoError(t, err, name)
	return seconds
}

// beyondThePeer reports whether an object has a number that the peer, which keeps
// numbers as float64, cannot hold, or a date with a sign, which it takes for a
// date of RFC 3339. Neither is a rule of RFC 7519.
func (r plainReading) beyondThePeer() bool {
	for _, name := range []string{"exp", "nbf", "iat"} {
		if number, ok := r[name].(json.Number); ok && strings.HasPrefix(number.String(), "-") {
			return true
		}
	}
	return hasHugeNumber(map[string]any(r))
}

func hasHugeNumber(value any) bool {
	switch value := value.(type) {
	case json.Number:
		_, err := value.Float64()
		return err != nil
	case []any:
		return slices.ContainsFunc(value, hasHugeNumber)
	case map[string]any:
		for _, member := range value {
			if hasHugeNumber(member) {
				return true
			}
		}
	}
	return false
}

// mediaTypeOf returns typ or cty as RFC 7515 §4.1.9 has them compared.
func mediaTypeOf(text string) string {
	lower := string(bytes.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, []byte(text)))
	return strings.TrimPrefix(lower, "application/")
}
