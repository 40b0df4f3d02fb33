// Command m2m shows a service that calls another as itself: it gets access tokens by the
// client credentials grant (RFC 6749 §4.4), and renews them.
//
//	go run ./examples/m2m
//
// It prints what happens when all is well and when it is not, and ends. The service that
// is called is reports.go, the client of the other caller.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"golang.org/x/oauth2"
)

const audience = "https://example.com/reports-api"

func main() { stage.Main("m2m", play) }

func play(ctx context.Context, s *stage.Stage) error {
	s.Issuer.AddClient("nightly", "nightly-secret", audience, "read:reports", "write:reports")
	s.Issuer.AddClient("viewer", "viewer-secret", audience, "read:reports")
	validator, err := claims.NewValidator(claims.Config{Issuer: s.Issuer.URL(), Audience: audience})
	if err != nil {
		return err
	}
	s.Open(newReports(validator))
	to, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "issuer   %s\nreports  %s/reports, for machines with the scope write:reports\n", s.Issuer.URL(), s.URL)
	for _, a := range acts(s.Issuer, to) {
		if err := a.show(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// An act is one request, and what the caller should see of its answer.
type act struct {
	title  string
	client *http.Client
	want   string // a regular expression
}

func acts(issuer *authtest.Issuer, to *url.URL) []act {
	as := func(id, secret, audience string) *http.Client {
		return newCaller(credentials(issuer.TokenURL(), id, secret, audience), to, http.DefaultTransport)
	}
	// has puts a token into the caller's hand, which believes it to be good for an hour.
	has := func(client *http.Client, options ...authtest.TokenOption) *http.Client {
		token := issuer.Token(append(options, authtest.Audience(audience), authtest.Scope("write:reports"))...)
		<-client.Transport.(*caller).kept
		client.Transport.(*caller).kept <- kept{token: &oauth2.Token{AccessToken: token, Expiry: time.Now().Add(time.Hour)}}
		return client
	}
	nightly := as("nightly", "nightly-secret", audience)
	// What a caller holds whose request was an hour on its way. (A test lets that pass.)
	late := has(as("nightly", "nightly-secret", audience), authtest.Subject("nightly"), authtest.ClientID("nightly"), authtest.Expiry(time.Now().Add(-time.Hour)))
	user := has(as("", "", audience), authtest.AuthTime(time.Now()))
	return []act{
		{"The nightly job sends a report, for which it gets a token", nightly, `^201 7 bytes from nightly$`},
		{"The token expires on the way: it gets another, and sends the report again", late, `^201 7 bytes from nightly$`},
		{"Its secret is wrong", as("nightly", "yesterday's", audience), `"invalid_client"`},
		{"It asks for a token for an API that it may not call", as("nightly", "nightly-secret", "https://example.com/reports"), `"invalid_target"`},
		{"A machine without the scope", as("viewer", "viewer-secret", audience), `^403 .*insufficient_scope.*scope="write:reports"`},
		{"A user's token, which has the scope", user, `^403 Bearer realm="api"$`},
	}
}

// show sends the report, and prints why the service refuses and what the caller sees.
func (a act) show(ctx context.Context, s *stage.Stage) error {
	saw, err := send(ctx, a.client, s.URL)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Out, "\n"+a.title+".")
	for _, refusal := range s.Refusals() {
		fmt.Fprintf(s.Out, "    reports refuses  %s\n", refusal)
	}
	fmt.Fprintf(s.Out, "    the caller sees  %s\n", saw)
	if !regexp.MustCompile(a.want).MatchString(saw) {
		return fmt.Errorf("%s: the caller should see %s", a.title, a.want)
	}
	return nil
}

// send sends a report, and returns what the caller sees in one line.
func send(ctx context.Context, client *http.Client, server string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/reports", strings.NewReader("all ok\n"))
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if refused, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return fmt.Sprintf("no token: %q (%d)", refused.ErrorCode, refused.Response.StatusCode), nil
	} else if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if challenge := response.Header.Get("WWW-Authenticate"); challenge != "" {
		return fmt.Sprint(response.StatusCode, " ", challenge), nil
	}
	body, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(body))), err
}
