package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

func TestItRunsAsItShould(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, stage.Run(t.Context(), &out, play))
	for _, row := range []string{
		`a doctor +200 +charts of org-1 for user-1, \[doctor\]`,
		`a doctor by a claim named roles +403 +the token has no claim https://example.com/roles`,
		`a doctor, openid profile email only +403 +the token lacks a scope: read:charts`,
		`a doctor of org-2, which is suspended +401 +the organization is suspended`,
	} {
		require.Regexp(t, `(?m)^`+row+`$`, out.String())
	}
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
}

func TestItEndsWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, stage.Run(ctx, io.Discard, play), context.Canceled)
}

// ask sends a doctor's request of org-1 with these claims besides.
func ask(issuer *authtest.Issuer, api http.Handler, token ...authtest.TokenOption) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/orgs/org-1/charts", nil)
	issuer.Authorize(r, append([]authtest.TokenOption{read, doctor, org("org-1")}, token...)...)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

func newTestAPI(t *testing.T, no suspended) (*authtest.Issuer, http.Handler) {
	t.Helper()
	issuer := authtest.NewIssuer(t)
	config := issuer.Config(audience)
	config.Check = no.check
	validator, err := claims.NewValidator(config)
	require.NoError(t, err)
	return issuer, newAPI(validator)
}

func TestTheHandlerGetsTheClaims(t *testing.T) {
	issuer, api := newTestAPI(t, nil)
	require.Equal(t, "charts of org-1 for user-1, [doctor]\n", ask(issuer, api).Body.String())
}

// The issuer signs for many APIs, and for logins: none of these words is this API's.
func TestProfileScopesPermitNothing(t *testing.T) {
	issuer, api := newTestAPI(t, nil)
	for _, scopes := range [][]string{
		{"openid"}, {"openid", "profile", "email"}, {"openid", "profile", "email", "address", "phone", "offline_access"}, {""},
	} {
		w := ask(issuer, api, authtest.Scope(scopes...))
		require.Equal(t, 403, w.Code, scopes)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`)
	}
	// And beside the permission they do no harm.
	require.Equal(t, 200, ask(issuer, api, authtest.Scope("openid", "profile", "email", "read:charts")).Code)
}

// A check is asked each time, also about a token that was good before.
func TestAnOrganizationIsSuspendedAtOnce(t *testing.T) {
	no := suspended{}
	issuer, api := newTestAPI(t, no)
	r := httptest.NewRequest("GET", "/orgs/org-1/charts", nil)
	issuer.Authorize(r, read, doctor, org("org-1"))
	for n, status := range []int{200, 200, 401} {
		no["org-1"] = n == 2
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		require.Equal(t, status, w.Code)
	}
}

// The names are exact, and there is one of each: nobody gets a role by another way of
// writing it.
func TestRolesAreReadInOneWayOnly(t *testing.T) {
	issuer, api := newTestAPI(t, nil)
	const head = `{"iss":"ISS","aud":"https://example.com/charts-api","client_id":"c","sub":"u","exp":9999999999,"scope":"read:charts","org_id":"org-1"`
	for members, status := range map[string]int{
		`,"https://example.com/roles":["doctor"]`:                                        200,
		`,"https:\/\/example.com\/roles":["doctor"]`:                                     200, // the same name, escaped
		`,"HTTPS://EXAMPLE.COM/ROLES":["doctor"]`:                                        403,
		`,"https://example.com/roles":["porter"],"https://example.com/ROLES":["doctor"]`: 403,
		`,"https://example.com/roles":["porter"],"https://example.com/roles":["doctor"]`: 401, // twice
		`,"https://example.com/roles":"doctor"`:                                          401,
		`,"https://example.com/roles":["Doctor"]`:                                        403,
		`,"https://example.com/roles":null`:                                              403,
		``:                                                                               403,
		`,"ORG_ID":"org-2","https://example.com/roles":["doctor"]`:                       200,
	} {
		payload := bytes.ReplaceAll([]byte(head+members+`}`), []byte("ISS"), []byte(issuer.URL()))
		r := httptest.NewRequest("GET", "/orgs/org-1/charts", nil)
		issuer.Authorize(r, authtest.RawPayload(string(payload)))
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, members)
	}
}

func TestTheClientIsNotToldWhy(t *testing.T) {
	issuer, api := newTestAPI(t, suspended{"org-2": true})
	for _, w := range []*httptest.ResponseRecorder{ask(issuer, api, org("org-2")), ask(issuer, api, roles("porter"))} {
		require.GreaterOrEqual(t, w.Code, 400)
		require.NotContains(t, w.Body.String(), "suspended")
		require.NotContains(t, w.Body.String(), "role")
	}
}

func TestTheAPIStands(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(v) },
		Request:  httptest.NewRequest("GET", "/orgs/org-1/charts", nil),
		Audience: audience,
		Scope:    []string{"read:charts"},
		Token:    []authtest.TokenOption{doctor, org("org-1")},
		Config:   claims.Config{Check: suspended(nil).check},
	})
}
