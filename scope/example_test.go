package scope_test

import (
	"fmt"

	"github.com/bearerguard/bearerguard/scope"
)

func ExampleParse() {
	set, err := scope.Parse("openid read:patients")
	fmt.Println(set, err)

	_, err = scope.Parse("openid, read:patients ")
	fmt.Println(err)
	// Output:
	// openid read:patients <nil>
	// scope: not a list of scopes: a scope is empty (one space separates two scopes)
}

func ExampleAll() {
	rule := scope.All("read:patients", "read:labs")
	have := scope.FromToken("openid read:patients")

	fmt.Println(rule.Allows(have))
	fmt.Println(rule.Missing(have))
	// Output:
	// false
	// read:labs
}

func ExampleAny() {
	rule := scope.Any("read:patients", "admin")
	fmt.Println(rule.Allows(scope.FromToken("admin")))
	// Output: true
}

func ExampleRule_Or() {
	rule := scope.Any("admin").Or(scope.All("read:patients", "read:labs"))
	fmt.Println(rule)
	fmt.Println(rule.Allows(scope.FromToken("read:patients read:labs")))
	// Output:
	// admin or (read:patients and read:labs)
	// true
}

func ExampleRule_Closest() {
	// What a 403 names is what the client has to ask for: all of it.
	rule := scope.All("read:patients", "read:labs")
	fmt.Println(rule.Closest(scope.FromToken("read:patients")))
	// Output: read:patients read:labs
}
