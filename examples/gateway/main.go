// Command gateway shows two APIs in one process, with one issuer and an audience each:
// a token for one is refused by the other, and a token for both opens both.
//
//	go run ./examples/gateway
//
// It starts a fake authorization server and the APIs on loopback ports, sends each
// token to both APIs, prints how they answer, and ends. apis.go is the APIs.
package main

import (
	"context"
	"fmt"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
)

func main() { stage.Main("gateway", play) }

func play(ctx context.Context, s *stage.Stage) error {
	ofHealth, ofBilling, err := newValidators(s.Issuer.URL(), nil)
	if err != nil {
		return err
	}
	s.Open(newGateway(ofHealth, ofBilling))
	fmt.Fprintf(s.Out, "issuer   %s\nhealth   %s%s, audience %s, needs read:patients\nbilling  %s%s, audience %s, needs read:bills\n\n",
		s.Issuer.URL(), s.URL, paths[0], health, s.URL, paths[1], billing)
	table := s.Table(paths...)
	for _, a := range acts(s.Issuer) {
		table.Send(ctx, a.sent, a.token, a.want...)
	}
	if err := table.End(); err != nil {
		return err
	}
	fmt.Fprint(s.Out, "\nIn a token for both, nothing says which scope is whose: it holds at both. So let two\nAPIs of one issuer never mean different things by one word.\n")
	return nil
}

var paths = []string{"/health/patients", "/billing/bills"}

// An act is a token, and how the two APIs should answer.
type act struct {
	sent  string
	token string
	want  []int
}

func acts(issuer *authtest.Issuer) []act {
	aud, scope := authtest.Audience, authtest.Scope
	return []act{
		{"for health, read:patients", issuer.Token(aud(health), scope("read:patients")), []int{200, 401}},
		{"for billing, read:bills", issuer.Token(aud(billing), scope("read:bills")), []int{401, 200}},
		{"for health, with both scopes", issuer.Token(aud(health), scope("read:patients", "read:bills")), []int{200, 401}},
		{"for both, with both scopes", issuer.Token(aud(health, billing), scope("read:patients", "read:bills")), []int{200, 200}},
		{"for both, read:patients", issuer.Token(aud(health, billing), scope("read:patients")), []int{200, 403}},
		{"for health with a slash more", issuer.Token(aud(health+"/"), scope("read:patients")), []int{401, 401}},
		{"ID Token", issuer.IDToken(), []int{401, 401}},
		{"ID Token whose aud has both", issuer.IDToken(aud(authtest.DefaultClientID, health, billing)), []int{401, 401}},
	}
}
