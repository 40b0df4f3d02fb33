package main

import "github.com/bearerguard/bearerguard/authtest"

// An act is a token, and how the API should answer. Where it does not say otherwise,
// the token is of org-1 and has the scope read:charts.
type act struct {
	sent    string
	token   []authtest.TokenOption
	idToken bool
	want    int
}

type options = []authtest.TokenOption

var (
	read   = authtest.Scope("read:charts")
	doctor = roles("doctor")
)

func roles(names ...string) authtest.TokenOption {
	return authtest.Claim("https://example.com/roles", names)
}

func org(id string) authtest.TokenOption { return authtest.Claim("org_id", id) }

var acts = []act{
	{"a doctor", options{doctor}, false, 200},
	{"a nurse and auditor", options{roles("auditor", "nurse")}, false, 200},
	// The requirements of the route: 403.
	{"a porter", options{roles("porter")}, false, 403},
	{"no roles at all", nil, false, 403},
	{"the role in a claim named roles", options{authtest.Claim("roles", []string{"doctor"})}, false, 403},
	{"the role in https://example.com/Roles", options{authtest.Claim("https://example.com/Roles", []string{"doctor"})}, false, 403},
	{"a doctor of org-3", options{doctor, org("org-3")}, false, 403},
	// Profile scopes say what a client may read of the user, and permit nothing here.
	{"a doctor, openid profile email only", options{doctor, authtest.Scope("openid", "profile", "email")}, false, 403},
	// The check in the validator: 401.
	{"a doctor of org-2, which is suspended", options{doctor, org("org-2")}, false, 401},
	{"a doctor of no organization", options{doctor, authtest.WithoutClaim("org_id")}, false, 401},
	{"roles that are no list", options{authtest.Claim("https://example.com/roles", "doctor")}, false, 401},
	{"an ID Token with the roles", options{doctor}, true, 401},
}
