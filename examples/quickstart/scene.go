package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
)

// A scene is what is on stage: an API, the issuer that it trusts, and a stranger.
type scene struct {
	issuer   string
	audience string
	api      string // URL
	log      serverLog

	own      *authtest.Issuer // nil: the issuer is a real tenant, and its tokens are not ours to make
	stranger *authtest.Issuer
}

// An act is a request with some token, and how it should be answered.
type act struct {
	sent   string
	token  string // "": none
	status int
	code   string // "error" of the challenge, "" for none
	reason error  // which the reason in the log begins with, nil for any
}

// play sends the acts' requests and prints the table of what came back.
func (s *scene) play(ctx context.Context, stdout io.Writer) error {
	acts, err := s.acts(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SENT\tSTATUS\tCHALLENGE\tREASON IN THE SERVER'S LOG")
	wrong := 0
	var refusal string // one in full
	for _, a := range acts {
		response, err := s.send(ctx, a.token)
		if err != nil {
			return err
		}
		reason, err := s.log.reason()
		if err != nil {
			return err
		}
		challenge := response.Header.Get("WWW-Authenticate")
		note := ""
		if response.StatusCode != a.status || errorCode(challenge) != a.code ||
			(a.reason != nil && !strings.HasPrefix(reason, a.reason.Error())) {
			wrong++
			note = fmt.Sprintf("  ← WRONG: should be %d %s (%v)", a.status, a.code, a.reason)
		}
		if a.status == http.StatusForbidden {
			refusal = dump(response)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s%s\n", a.sent, response.StatusCode, short(challenge), withoutPrefix(reason), note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if refusal != "" {
		fmt.Fprintf(stdout, "\nThe challenges are cut short. The 403 in full, which tells the client what to ask for:\n\n%s\n", refusal)
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d requests were not answered as they should be", wrong, len(acts))
	}
	fmt.Fprintf(stdout, "\nAll %d requests were answered as they should be.\n", len(acts))
	return nil
}

// acts returns the requests to send. Those that need a token of the issuer are
// left out where it is a real tenant.
func (s *scene) acts(ctx context.Context) ([]act, error) {
	key, err := publicKey(ctx, s.issuer)
	if err != nil {
		return nil, err
	}
	// A forger knows everything but the private key: which claims the API wants
	// to see, and the issuer's public key.
	wanted := s.stranger.Token(authtest.Claim("iss", s.issuer), authtest.Audience(s.audience), authtest.Scope("read:patients"))
	forgeries := []act{
		{"another issuer's access token", s.stranger.Token(authtest.Audience(s.audience), authtest.Scope("read:patients")), 401, "invalid_token", claims.ErrIssuer},
		{"the same, claiming to be of this issuer", wanted, 401, "invalid_token", claims.ErrUnknownKey},
		{"forged: alg none", unsigned(wanted), 401, "invalid_token", claims.ErrAlgorithm},
		{"forged: HS256 with the public key as secret", hs256(wanted, key), 401, "invalid_token", claims.ErrAlgorithm},
		{"an opaque token", "8xLOxBtZp8", 401, "invalid_token", claims.ErrOpaque},
		{"no token", "", 401, "", nil},
	}
	if s.own == nil {
		return forgeries, nil
	}
	read := authtest.Scope("openid", "read:patients")
	machine, err := s.machineToken(ctx)
	if err != nil {
		return nil, err
	}
	api := authtest.Audience(s.audience)
	honest := []act{
		{"access token with read:patients", s.own.Token(api, read), 200, "", nil},
		{"a machine's token (client credentials)", machine, 200, "", nil},
		{"access token without the scope", s.own.Token(api, authtest.Scope("openid")), 403, "insufficient_scope", nil},
		{"the user's ID Token (aud is the client)", s.own.IDToken(), 401, "invalid_token", claims.ErrIDToken},
		{"ID Token whose aud contains the API", s.own.IDToken(authtest.Audience(authtest.DefaultClientID, s.audience)), 401, "invalid_token", claims.ErrIDToken},
		{"expired access token", s.own.Token(api, read, authtest.Expiry(time.Now().Add(-time.Hour))), 401, "invalid_token", claims.ErrExpired},
		{"another API's access token", s.own.Token(authtest.Audience("https://example.com/billing-api"), read), 401, "invalid_token", claims.ErrAudience},
		{"access token with a tampered payload", tampered(s.own.Token(api), "read:patients"), 401, "invalid_token", claims.ErrSignature},
	}
	return append(honest, forgeries...), nil
}

// send asks the API for its patients.
func (s *scene) send(ctx context.Context, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api+"/patients", nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(strings.NewReader(string(body)))
	return response, nil
}

// machineToken gets an access token as a machine does, from the token endpoint
// (RFC 6749 §4.4).
func (s *scene) machineToken(ctx context.Context) (string, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {"reporter"},
		"client_secret": {"reporter-secret"},
		"audience":      {s.audience},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.own.TokenURL(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil {
		return "", fmt.Errorf("reading the token endpoint's answer: %w", err)
	}
	if granted.AccessToken == "" {
		return "", errors.New("the token endpoint has granted no token: " + response.Status)
	}
	return granted.AccessToken, nil
}

// invite prints what a person may try while the API is there.
func (s *scene) invite(stdout io.Writer) error {
	fmt.Fprintln(stdout, "\nTry it yourself; the API serves until Ctrl-C:")
	line := func(about, token, path string) {
		fmt.Fprintf(stdout, "\n# %s\ncurl -i %s%s", about, s.api, path)
		if token != "" {
			fmt.Fprintf(stdout, " -H 'Authorization: Bearer %s'", token)
		}
		fmt.Fprintln(stdout)
	}
	if s.own == nil {
		fmt.Fprint(stdout, "\nTOKEN=… # an access token of your tenant, for this audience\n")
		fmt.Fprintf(stdout, "curl -i %s/patients -H \"Authorization: Bearer $TOKEN\"\n", s.api)
		line("no token", "", "/patients")
		return nil
	}
	api := authtest.Audience(s.audience)
	line("an access token with read:patients, good for an hour", s.own.Token(api, authtest.Scope("read:patients")), "/patients")
	line("one without the scope", s.own.Token(api), "/patients")
	line("the same at a route that needs no scope", s.own.Token(api), "/me")
	line("an ID Token", s.own.IDToken(), "/patients")
	fmt.Fprintf(stdout, "\n# a machine's token\ncurl -s %s -d grant_type=client_credentials -d client_id=reporter -d client_secret=reporter-secret -d audience=%s\n", s.own.TokenURL(), s.audience)
	return nil
}

var (
	errorPattern = regexp.MustCompile(`error="([^"]*)"`)
	aside        = regexp.MustCompile(`(realm|error_description|scope)="[^"]*"(, )?`)
)

// errorCode returns the error of a challenge.
func errorCode(challenge string) string {
	if match := errorPattern.FindStringSubmatch(challenge); match != nil {
		return match[1]
	}
	return ""
}

// short returns a challenge without its realm, description and scope.
func short(challenge string) string {
	if challenge == "" {
		return "-"
	}
	return strings.TrimRight(aside.ReplaceAllString(challenge, ""), ", ")
}

// withoutPrefix takes the package's name off a reason.
func withoutPrefix(reason string) string {
	if reason == "" {
		return "-"
	}
	return strings.TrimPrefix(strings.TrimPrefix(reason, "claims: "), "middleware: ")
}

// dump returns a response as it came, indented.
func dump(response *http.Response) string {
	text, err := httputil.DumpResponse(response, true)
	if err != nil {
		return err.Error()
	}
	lines := strings.ReplaceAll(strings.TrimSpace(string(text)), "\r\n", "\n")
	return "    " + strings.ReplaceAll(lines, "\n", "\n    ")
}
