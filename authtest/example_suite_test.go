package authtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
)

// In a test file, this is TestPatients, and go test runs it.
func testPatients(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(middleware.New(v)) },
		Request:  httptest.NewRequest("GET", "/patients", nil),
		Audience: "https://example.com/health-api",
		Scope:    []string{"read:patients"},
	})
}

// How do I prove my API? By a test of five lines, each attack of which is a subtest.
func ExampleIssuer_Suite() {
	_ = []testing.InternalTest{{Name: "TestPatients", F: testPatients}}
}
