// Command roles shows what an API does with claims of one's own, roles and an
// organization: a check refuses tokens (401), a requirement refuses requests (403).
//
//	go run ./examples/roles
//
// It starts a fake authorization server and the API on loopback ports, prints how each
// token is answered and why, and ends. api.go is the API.
package main

import (
	"context"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
)

func main() { stage.Main("roles", play) }

func play(ctx context.Context, s *stage.Stage) error {
	validator, err := claims.NewValidator(claims.Config{Issuer: s.Issuer.URL(), Audience: audience, Check: suspended{"org-2": true}.check})
	if err != nil {
		return err
	}
	s.Open(newAPI(validator))
	table := s.Table("/orgs/org-1/charts")
	send := func(want int, who string, token ...authtest.TokenOption) { // of org-1, if it does not say otherwise
		token = append([]authtest.TokenOption{authtest.Audience(audience), read, org("org-1")}, token...)
		table.Send(ctx, who, s.Issuer.Token(token...), want)
	}
	send(200, "a doctor", doctor)
	send(200, "a nurse and auditor", roles("auditor", "nurse"))
	send(403, "a porter", roles("porter"))
	send(403, "a doctor by a claim named roles", authtest.Claim("roles", []string{"doctor"}))
	send(403, "a doctor of org-3", doctor, org("org-3"))
	send(403, "a doctor, openid profile email only", doctor, authtest.Scope("openid", "profile", "email"))
	send(401, "a doctor of org-2, which is suspended", doctor, org("org-2"))
	send(401, "a doctor of no organization", doctor, authtest.WithoutClaim("org_id"))
	send(401, "roles that are no list", authtest.Claim("https://example.com/roles", "doctor"))
	return table.End()
}

var read, doctor = authtest.Scope("read:charts"), roles("doctor")

func org(id string) authtest.TokenOption { return authtest.Claim("org_id", id) }

func roles(all ...string) authtest.TokenOption {
	return authtest.Claim("https://example.com/roles", all)
}
