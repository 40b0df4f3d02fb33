package scope_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	var (
		both   = scope.All("read:patients", "read:labs")
		either = scope.Any("read:patients", "admin")
		mixed  = scope.Any("admin").Or(both)
	)
	tests := []struct {
		name    string
		rule    scope.Rule
		have    string
		allows  bool
		closest string
		missing string
	}{
		{"all of two", both, "read:labs read:patients openid", true, "read:patients read:labs", ""},
		{"one of two is not all", both, "read:labs", false, "read:patients read:labs", "read:patients"},
		{"none of two", both, "", false, "read:patients read:labs", "read:patients read:labs"},
		{"any, the second", either, "admin", true, "admin", ""},
		{"any, none: the first written", either, "openid", false, "read:patients", "read:patients"},
		{"or, the short way", mixed, "admin", true, "admin", ""},
		{"or, the long way", mixed, "read:patients read:labs", true, "read:patients read:labs", ""},
		{"or, equally far: the first written", mixed, "read:labs", false, "admin", "admin"},
		{"or, nothing: the fewest missing", both.Or(scope.All("admin")), "", false, "admin", "admin"},
		{"a prefix is not enough", scope.All("read:patients"), "read read: read:patient", false, "read:patients", "read:patients"},
		{"case matters", scope.All("read:patients"), "Read:patients", false, "read:patients", "read:patients"},
		{"a repetition counts once", scope.All("a", "a"), "a", true, "a", ""},
		{"the zero rule allows nothing", scope.Rule{}, "admin", false, "", ""},
		{"or with the zero rule changes nothing", scope.Rule{}.Or(scope.All("a")), "", false, "a", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			have := scope.FromToken(tt.have)
			require.Equal(t, tt.allows, tt.rule.Allows(have), "Allows")
			require.Equal(t, tt.closest, tt.rule.Closest(have).String(), "Closest")
			require.Equal(t, tt.missing, tt.rule.Missing(have).String(), "Missing")
		})
	}
}

func TestRuleInWords(t *testing.T) {
	for want, rule := range map[string]scope.Rule{
		"nothing":                                scope.Rule{},
		"a":                                      scope.All("a"),
		"a and b":                                scope.All("a", "b"),
		"a or b":                                 scope.Any("a", "b"),
		"admin or (read:patients and read:labs)": scope.Any("admin").Or(scope.All("read:patients", "read:labs")),
	} {
		require.Equal(t, want, rule.String())
	}
}

func TestAMistakeInARulePanicsAndSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name string
		make func()
		want string
	}{
		{"no scope, All", func() { scope.All() }, "scope: All needs at least one scope"},
		{"no scope, Any", func() { scope.Any() }, "scope: Any needs at least one scope"},
		{"empty scope", func() { scope.All("") }, "scope: not a list of scopes: a scope is empty (one space separates two scopes)"},
		{"a space", func() { scope.All("a", "b c") }, `scope: not a list of scopes: "b c" has a space, so it is several scopes: give each by itself`},
		{"a quote", func() { scope.Any(`a"`) }, `scope: not a list of scopes: "a\"" has a character other than printable ASCII without space, " and \`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.PanicsWithValue(t, tt.want, tt.make)
		})
	}
}

func TestARuleDoesNotChangeWithItsArguments(t *testing.T) {
	words := []string{"read:patients", "admin"}
	rule := scope.All(words...)
	words[1] = "openid"
	require.Equal(t, "read:patients and admin", rule.String())

	either := scope.Any("a")
	_ = either.Or(scope.Any("b"))
	_ = either.Or(scope.Any("c"))
	require.Equal(t, "a", either.String())
}
