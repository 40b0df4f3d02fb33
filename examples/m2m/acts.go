package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"golang.org/x/oauth2"
)

// A stage is where it happens.
type stage struct {
	issuer *authtest.Issuer
	server string                                         // URL of the service that is called
	log    *bytes.Buffer                                  // of that service
	as     func(id, secret, audience string) *http.Client // a caller
}

// An act is one request, and what the caller should see of its answer.
type act struct {
	title  string
	client *http.Client
	want   string // a regular expression
}

func (s *stage) acts() []act {
	nightly := s.as("nightly", "nightly-secret", audience)
	late := s.as("nightly", "nightly-secret", audience)
	// What a caller holds that had a good token when it sent, and whose request was an
	// hour on its way. (A test lets that hour pass.)
	late.Transport.(*caller).token = s.token(time.Minute, authtest.Subject("nightly"), authtest.ClientID("nightly"), authtest.Expiry(time.Now().Add(-time.Hour)))
	user := s.as("", "", audience)
	user.Transport.(*caller).token = s.token(time.Hour, authtest.AuthTime(time.Now()))
	return []act{
		{"The nightly job sends a report, for which it gets a token", nightly, `^201 7 bytes from nightly$`},
		{"The token expires on the way: it gets another, and sends the report again", late, `^201 7 bytes from nightly$`},
		{"Its secret is wrong", s.as("nightly", "yesterday's", audience), `"invalid_client"`},
		{"It asks for a token for an API that it may not call", s.as("nightly", "nightly-secret", "https://example.com/reports"), `"invalid_target"`},
		{"A machine without the scope", s.as("viewer", "viewer-secret", audience), `^403 .*insufficient_scope.*scope="write:reports"`},
		{"A user's token, which has the scope", user, `^403 Bearer realm="api"$`},
	}
}

// token returns a token that a caller believes to be good for so long.
func (s *stage) token(good time.Duration, options ...authtest.TokenOption) *oauth2.Token {
	token := s.issuer.Token(append(options, authtest.Audience(audience), authtest.Scope("write:reports"))...)
	return &oauth2.Token{AccessToken: token, Expiry: time.Now().Add(good)}
}

var reason = regexp.MustCompile(`status=.*reason=("[^"]*"|\S+)`)

// play sends the request, and prints what the caller sees and what the service logs.
func (s *stage) play(ctx context.Context, a act, stdout io.Writer) error {
	s.log.Reset()
	saw, err := send(ctx, a.client, s.server)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s.\n    the caller sees  %s\n", a.title, saw)
	for line := range strings.Lines(s.log.String()) {
		fmt.Fprintf(stdout, "    reports logs     %s\n", reason.FindString(line))
	}
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
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) {
		return fmt.Sprintf("no token: %q (%d)", refused.ErrorCode, refused.Response.StatusCode), nil
	}
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if challenge := response.Header.Get("WWW-Authenticate"); challenge != "" {
		return fmt.Sprint(response.StatusCode, " ", challenge), err
	}
	return fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(body))), err
}
