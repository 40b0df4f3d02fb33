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
	"os"
	"path/filepath"
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
	fmt.Fprintln(table, "SENT\tSTATUS\tCHALLENGE\tREASON IN THE LOG")
	wrong := 0
	var refusal, line string // one of each in full
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
		if a.reason == claims.ErrIDToken {
			line = s.log.line()
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s%s\n", a.sent, response.StatusCode, short(challenge), cut(reason), note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if refusal != "" {
		fmt.Fprintf(stdout, "\nCHALLENGE is only the error code of WWW-Authenticate. Here is a 403 in full; it tells the client what to ask for:\n\n%s\n", refusal)
		fmt.Fprintf(stdout, "\nREASON IN THE LOG is cut. Here is the line of an ID Token in full:\n\n    %s\n", line)
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

// invite prints what a person may try while the API is there. The tokens are in
// files of the directory, since three of them would fill the terminal.
func (s *scene) invite(stdout io.Writer, directory string) error {
	fmt.Fprint(stdout, "\nTry it yourself. The API serves until Ctrl-C, and its log is printed here.\n\n")
	if s.own == nil {
		fmt.Fprintln(stdout, "ACCESS=… # an access token of your tenant, for this audience")
	} else {
		api := authtest.Audience(s.audience)
		for _, v := range []struct{ variable, token string }{
			{"ACCESS", s.own.Token(api, authtest.Scope("read:patients"))},
			{"NOSCOPE", s.own.Token(api)},
			{"ID", s.own.IDToken()},
		} {
			file := filepath.Join(directory, v.variable)
			if err := os.WriteFile(file, []byte(v.token), 0o600); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s=$(cat %s)\n", v.variable, quote(file))
		}
		fmt.Fprintf(stdout, "MACHINE=$(curl -s %s -u reporter:reporter-secret \\\n", s.own.TokenURL())
		fmt.Fprintf(stdout, "  -d grant_type=client_credentials --data-urlencode %s |\n", quote("audience="+s.audience))
		fmt.Fprintln(stdout, `  sed 's/.*"access_token":"\([^"]*\).*/\1/')`)
	}
	line := func(variable, path, about string) {
		authorization := ""
		if variable != "" {
			authorization = fmt.Sprintf(` -H "Authorization: Bearer $%s"`, variable)
		}
		fmt.Fprintf(stdout, "curl -i %s%s%s  # %s\n", s.api, path, authorization, about)
	}
	fmt.Fprintln(stdout)
	line("ACCESS", "/patients", "200")
	if s.own != nil {
		line("MACHINE", "/patients", "200")
		line("NOSCOPE", "/patients", "403")
		line("NOSCOPE", "/me", "200: any access token")
		line("ID", "/me", "401: no ID Token")
	}
	line("", "/patients", "401")
	fmt.Fprintln(stdout)
	return nil
}

// quote quotes a text for a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

var errorPattern = regexp.MustCompile(`error="([^"]*)"`)

// errorCode returns the error of a challenge.
func errorCode(challenge string) string {
	if match := errorPattern.FindStringSubmatch(challenge); match != nil {
		return match[1]
	}
	return ""
}

// short returns what a table has room for of a challenge.
func short(challenge string) string {
	switch code := errorCode(challenge); {
	case challenge == "":
		return "-"
	case code == "":
		return "without error"
	default:
		return code
	}
}

// cut returns what a table has room for of a reason: without what is the same for
// all of its kind, and where that is not enough, without its end.
func cut(reason string) string {
	const most = 55
	reason = strings.TrimPrefix(strings.TrimPrefix(reason, "claims: "), "middleware: ")
	reason = strings.Replace(reason, ", not an access token: ", ": ", 1)
	switch {
	case reason == "":
		return "-"
	case len(reason) > most:
		return reason[:most-1] + "…"
	default:
		return reason
	}
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
