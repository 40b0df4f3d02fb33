package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

func TestItRunsAsItShould(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, stage.Run(t.Context(), &out, play))
	for _, row := range []string{
		`for health, read:patients +200 +401 +Ada, Grace; the token is for another audience$`,
		`for both, with both scopes +200 +200 +Ada, Grace; 12.50$`,
		`for both, read:patients +200 +403 +Ada, Grace; the token lacks a scope: read:bills$`,
		`ID Token whose aud has both +401 +401 +the token is an ID Token`,
	} {
		require.Regexp(t, `(?m)^`+row, out.String())
	}
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
}

func TestItEndsWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, stage.Run(ctx, io.Discard, play), context.Canceled)
}

func newTestGateway(t *testing.T) (*authtest.Issuer, http.Handler) {
	t.Helper()
	issuer := authtest.NewIssuer(t)
	ofHealth, ofBilling, err := newValidators(issuer.URL(), issuer.HTTPClient())
	require.NoError(t, err)
	return issuer, newGateway(ofHealth, ofBilling)
}

func TestEachAPIAnswersForItself(t *testing.T) {
	issuer, gateway := newTestGateway(t)
	for _, a := range acts(issuer) {
		for n, path := range paths {
			for range 2 { // what one API has seen and remembers opens nothing at the other
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Authorization", "Bearer "+a.token)
				w := httptest.NewRecorder()
				gateway.ServeHTTP(w, r)
				require.Equal(t, a.want[n], w.Code, "%s at %s", a.sent, path)
			}
		}
	}
	require.Equal(t, 1, issuer.KeyFetches(), "the keys are fetched once for both")
}

// What is asked for is the API's own: a client that comes with the other's token is
// told of the scope of this one.
func TestARefusalNamesTheScopeOfTheAPI(t *testing.T) {
	issuer, gateway := newTestGateway(t)
	r := httptest.NewRequest("GET", "/billing/bills", nil)
	issuer.Authorize(r, authtest.Audience(health), authtest.Scope("read:patients"))
	w := httptest.NewRecorder()
	gateway.ServeHTTP(w, r)
	require.Equal(t, 401, w.Code)
	require.Contains(t, w.Header().Get("WWW-Authenticate"), `scope="read:bills"`)
	require.NotContains(t, w.Header().Get("WWW-Authenticate"), "read:patients")
}

func TestAMistakeShowsAtTheStart(t *testing.T) {
	_, _, err := newValidators("http://issuer.example/", nil)
	require.ErrorContains(t, err, "https")
}

func TestBothAPIsStand(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	issuer.Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newGateway(v, issuer.Validator(billing)) },
		Request:  httptest.NewRequest("GET", "/health/patients", nil),
		Audience: health,
		Scope:    []string{"read:patients"},
	})
	issuer = authtest.NewIssuer(t)
	issuer.Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newGateway(issuer.Validator(health), v) },
		Request:  httptest.NewRequest("GET", "/billing/bills", nil),
		Audience: billing,
		Scope:    []string{"read:bills"},
	})
}
