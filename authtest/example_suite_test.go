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

// In a test file, this is TestPatientsOfTwoIssuers.
func testPatientsOfTwoIssuers(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(middleware.New(v)) },
		Request:  httptest.NewRequest("GET", "/patients", nil),
		Audience: "https://example.com/health-api",
		Scope:    []string{"read:patients"},
		Issuers: []authtest.TrustedIssuer{{
			Issuer:   authtest.NewIssuer(t),
			Audience: "api://health",
			Token:    []authtest.TokenOption{authtest.Like(authtest.EntraIDv1)},
		}},
	})
}

// How do I prove an API that trusts two issuers, by claims.WithIssuer? The suite mixes
// them up: the key of one, the name of the other.
func ExampleTrustedIssuer() {
	_ = []testing.InternalTest{{Name: "TestPatientsOfTwoIssuers", F: testPatientsOfTwoIssuers}}
}
