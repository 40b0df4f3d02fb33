package jwks_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// pinned returns the keys of a set.
func pinned(t *testing.T, keys ...any) []*jwks.Key {
	t.Helper()
	set, err := jwks.ParseSet(setOf(keys...))
	require.NoError(t, err)
	require.Empty(t, set.LeftOut)
	return set.Keys
}

func TestKeysAreFoundByAlgorithmAndID(t *testing.T) {
	source := jwks.Static(pinned(t,
		rsaJWK.with("kid", "declared").with("alg", "RS256"),
		rsaJWK.with("kid", "any"),
		ecJWK.with("kid", "ec"),
		edJWK,
	)...)
	tests := []struct {
		alg, kid string
		want     []string // nil: unknown
	}{
		{"RS256", "declared", []string{"declared"}},
		{"RS256", "any", []string{"any"}},
		{"PS512", "any", []string{"any"}},
		{"ES256", "ec", []string{"ec"}},
		{"PS256", "declared", nil}, // it declares another
		{"ES256", "any", nil},      // it is of another kind
		{"RS256", "ec", nil},
		{"ES384", "ec", nil},
		{"RS256", "Any", nil}, // compared exactly (RFC 7515 §4.1.4)
		{"RS256", "made-up", nil},

		{"ES256", "", []string{"ec"}}, // the only one that fits
		{"EdDSA", "", []string{""}},
		{"PS256", "", []string{"any"}},
		{"RS256", "", nil}, // two fit
		{"ES384", "", nil}, // none fits

		{"", "", nil},
		{"", "any", nil},
		{"none", "", nil},
		{"HS256", "", nil},
		{"HS256", "any", nil},
		{"rs256", "any", nil},
	}
	for _, tt := range tests {
		t.Run(tt.alg+" "+tt.kid, func(t *testing.T) {
			keys, err := source.Keys(t.Context(), tt.alg, tt.kid)
			if tt.want == nil {
				require.ErrorIs(t, err, jwks.ErrUnknownKey)
				require.NotErrorIs(t, err, jwks.ErrUnavailable)
				require.Empty(t, keys)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, ids(keys))
			for _, key := range keys {
				require.Equal(t, tt.alg, key.Algorithm())
			}
		})
	}
}

// other returns an RSA key that differs from others with other numbers.
func other(number uint) member {
	return rsaJWK.with("n", encode(modulus(2048+number).Bytes()))
}

func TestKeysWithTheSameIDAreAllCandidatesUpToFour(t *testing.T) {
	tests := []struct{ listed, want int }{{1, 1}, {2, 2}, {4, 4}, {5, 4}, {9, 4}}
	for _, tt := range tests {
		var entries []any
		for i := range tt.listed {
			entries = append(entries, other(uint(i)).with("kid", "same"))
		}
		keys := pinned(t, entries...)
		got, err := jwks.Static(keys...).Keys(t.Context(), "RS256", "same")
		require.NoError(t, err)
		require.Len(t, got, tt.want)
		for i, key := range got {
			require.Equal(t, keys[i].Thumbprint(), key.Thumbprint(), "the first ones, in their order")
			require.Equal(t, "RS256", key.Algorithm())
		}
	}
}

func TestTheBoundOnCandidatesIsOneForEachAlgorithm(t *testing.T) {
	var entries []any
	for i := range uint(4) {
		entries = append(entries, other(i).with("kid", "same").with("alg", "RS256"))
	}
	keys := pinned(t, append(entries, ecJWK.with("kid", "same"))...)
	got, err := jwks.Static(keys...).Keys(t.Context(), "ES256", "same")
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestATokenThatNamesNoKeyIsNotTriedAgainstSeveral(t *testing.T) {
	two := pinned(t, other(0), other(1).with("kid", "named"))
	_, err := jwks.Static(two...).Keys(t.Context(), "RS256", "")
	require.ErrorIs(t, err, jwks.ErrUnknownKey)
	require.ErrorContains(t, err, "the token names no key, and the issuer's key set has 2")

	one, err := jwks.Static(two[1]).Keys(t.Context(), "RS256", "")
	require.NoError(t, err)
	require.Equal(t, []string{"named"}, ids(one))
}

func TestAnUnknownKeyIsQuotedAndCutShort(t *testing.T) {
	source := jwks.Static(pinned(t, rsaJWK)...)
	long := strings.Repeat("\n", 10_000)
	for _, named := range []struct{ alg, kid string }{{"RS256", long}, {long, ""}, {long, long}} {
		_, err := source.Keys(t.Context(), named.alg, named.kid)
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 500)
	}
}

func TestAStaticSourceWithoutKeysPanics(t *testing.T) {
	key := pinned(t, rsaJWK)[0]
	require.PanicsWithValue(t, "jwks: Static needs at least one key", func() { jwks.Static() })
	require.PanicsWithValue(t, "jwks: Static was given a nil key", func() { jwks.Static(nil) })
	require.PanicsWithValue(t, "jwks: Static was given a nil key", func() { jwks.Static(key, nil) })
}

func TestAStaticSourceKeepsItsKeys(t *testing.T) {
	keys := pinned(t, rsaJWK.with("kid", "a"))
	source := jwks.Static(keys...)
	keys[0] = nil
	got, err := source.Keys(t.Context(), "RS256", "a")
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, ids(got))
}
