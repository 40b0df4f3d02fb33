package authtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
)

// target is the API of the examples, under attack.
func target(handler func(middleware.Validator) http.Handler) authtest.Target {
	return authtest.Target{
		Handler:  handler,
		Request:  httptest.NewRequest("GET", "/patients", nil),
		Audience: audience,
		Scope:    []string{"read:patients"},
	}
}

func guarded(v middleware.Validator) http.Handler { return newAPI(middleware.New(v)) }

func TestAGuardedRouteStands(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, target(guarded))
}
