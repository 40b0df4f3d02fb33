package scope_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

func TestParseAcceptsTheGrammarAndNothingElse(t *testing.T) {
	tests := []struct {
		list string
		want []string // nil: refused
	}{
		{"read:patients", []string{"read:patients"}},
		{"openid profile email", []string{"openid", "profile", "email"}},
		{"a b a", []string{"a", "b"}},
		{"https://example.com/scope#x", []string{"https://example.com/scope#x"}},
		{"!#[]~", []string{"!#[]~"}},
		{"", nil},
		{" ", nil},
		{" a", nil},
		{"a ", nil},
		{"a  b", nil},
		{"a\tb", nil},
		{"a\nb", nil},
		{`a"b`, nil},
		{`a\b`, nil},
		{"a\x7f", nil},
		{"lire:données", nil},
		{"a\u00a0b", nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%q", tt.list), func(t *testing.T) {
			got, err := scope.Parse(tt.list)
			if tt.want == nil {
				require.ErrorIs(t, err, scope.ErrSyntax)
				require.Zero(t, got.Len())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, slices.Collect(got.Values()))
		})
	}
}

func TestFromTokenDropsWhatIsNoScopeAndKeepsTheRest(t *testing.T) {
	tests := []struct{ list, want string }{
		{"", ""},
		{"   ", ""},
		{" read:patients  write:patients ", "read:patients write:patients"},
		{"a b a", "a b"},
		{"a\tb c", "c"},
		{"a,b", "a,b"},
		{"a\u00a0b c", "c"},
		{`a"b c\d e`, "e"},
		{"a\x00 b", "b"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%q", tt.list), func(t *testing.T) {
			require.Equal(t, tt.want, scope.FromToken(tt.list).String())
		})
	}
}

func TestFromArrayTakesEachElementAsOneScope(t *testing.T) {
	tests := []struct {
		elements []string
		want     string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"read:patients", "write:patients"}, "read:patients write:patients"},
		{[]string{"a", "b", "a"}, "a b"},
		{[]string{"not admin", "a"}, "a"},
		{[]string{" a", "b"}, "b"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%q", tt.elements), func(t *testing.T) {
			require.Equal(t, tt.want, scope.FromArray(tt.elements...).String())
		})
	}
}

func TestUnion(t *testing.T) {
	a, b, none := scope.FromToken("a b"), scope.FromToken("b c"), scope.Set{}
	require.Equal(t, "a b c", a.Union(b).String())
	require.Equal(t, "b c a", b.Union(a).String())
	require.Equal(t, "a b", a.Union(none).String())
	require.Equal(t, "a b", none.Union(a).String())
	require.Zero(t, none.Union(none).Len())
	require.Equal(t, "a b", a.String(), "neither changes")
}

func TestMatchingIsExact(t *testing.T) {
	have := scope.FromToken("read:patients openid")
	require.True(t, have.Contains("read:patients"))
	for _, other := range []string{"", "read", "read:", "read:patient", "read:patients:all", "Read:Patients", "patients", "read:patients openid", "*"} {
		require.False(t, have.Contains(other), "%q", other)
	}
}

func TestManyScopesKeepOrderAndLoseRepetitions(t *testing.T) {
	var words []string
	for i := range 500 {
		words = append(words, fmt.Sprintf("s%d", i))
	}
	list := strings.Join(words, " ")
	got, err := scope.Parse(list + " " + list)
	require.NoError(t, err)
	require.Equal(t, list, got.String())
}

func TestASetIsTextInJSON(t *testing.T) {
	got, err := json.Marshal(scope.FromToken("a b"))
	require.NoError(t, err)
	require.JSONEq(t, `"a b"`, string(got))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a", "read:patients write:patients", "", " a", "a\tb", `"`, "a a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		strict, err := scope.Parse(list)
		lenient := scope.FromToken(list)
		if err != nil {
			// What a token carries grants at most what its pieces say.
			for word := range lenient.Values() {
				require.Contains(t, strings.Split(list, " "), word)
			}
			return
		}
		require.Equal(t, strict, lenient, "a well-formed list reads the same both ways")
		again, err := scope.Parse(strict.String())
		require.NoError(t, err)
		require.Equal(t, strict, again)
		require.Equal(t, len(strict.String()) == len(list), strict.String() == list, "only repetitions are left out")
	})
}
