// Package tryout is for those who have no authorization server at hand: it starts a
// fake one, and prints what to send to an example.
package tryout

import (
	"fmt"
	"io"

	"github.com/bearerguard/bearerguard/authtest"
)

// Start starts a fake authorization server, which lives as long as the program, and
// prints curl lines for the API at addr. It returns what a tenant would have told:
// the issuer and the API's audience.
func Start(addr string, out io.Writer) (issuer, audience string, err error) {
	fake, err := authtest.Start("127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	audience = "https://example.com/health-api"
	token := func(scopes ...string) string {
		return fake.Token(authtest.Audience(audience), authtest.Scope(scopes...))
	}
	fmt.Fprintf(out, "No -issuer was given, so there is a fake one at %s. Try, in another shell:\n\n", fake.URL())
	fmt.Fprintf(out, "ACCESS=%s\nNOSCOPE=%s\nID=%s\n\n", token("read:patients"), token(), fake.IDToken())
	for _, line := range []struct{ path, token, answer string }{
		{"/patients", "$ACCESS", "200"},
		{"/patients", "$NOSCOPE", "403: it lacks the scope"},
		{"/me", "$NOSCOPE", "200: any access token"},
		{"/me", "$ID", "401: no ID Token"},
	} {
		fmt.Fprintf(out, "curl -i http://%s%s -H \"Authorization: Bearer %s\"  # %s\n", addr, line.path, line.token, line.answer)
	}
	fmt.Fprintf(out, "curl -i http://%s/health  # 200: anyone\n\nIt serves until Ctrl-C.\n\n", addr)
	return fake.URL(), audience, nil
}
