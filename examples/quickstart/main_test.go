package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/stretchr/testify/require"
)

func TestOnce(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once"}, &out))
	for _, row := range []string{
		`access token with read:patients +200 +- +-`,
		`a machine's token \(client credentials\) +200 +- +-`,
		`access token without the scope +403 +insufficient_scope +the token lacks a scope: read:patients`,
		`the user's ID Token \(aud is the client\) +401 +invalid_token +the token is an ID Token: it has nonce$`,
		`ID Token whose aud contains the API +401 +invalid_token +the token is an ID Token: it has nonce$`,
		`expired access token +401 +invalid_token +the token has expired`,
		`another API's access token +401 +invalid_token +the token is for another audience`,
		`access token with a tampered payload +401 +invalid_token +the token's signature is wrong`,
		`another issuer's access token +401 +invalid_token +the token is not from a trusted issuer`,
		`the same, claiming to be of this issuer +401 +invalid_token +the token's key is not the issuer's`,
		`forged: alg none +401 +invalid_token +the token's algorithm is not accepted`,
		`forged: HS256 with the public key as secret +401 +invalid_token +the token's algorithm is not accepted`,
		`an opaque token +401 +invalid_token +the token is opaque`,
		`no token +401 +without error +no access token: there is no Authorization header`,
		`CHALLENGE is only the error code of WWW-Authenticate\. Here is a 403 in full`,
		`REASON IN THE LOG is cut\. Here is the line of an ID Token in full`,
		`    Www-Authenticate: Bearer realm="api", error="insufficient_scope", .*scope="read:patients"`,
		`    \{"time":.*"status":401,"reason":"claims: the token is an ID Token, not an access token: it has nonce",.*\}`,
		`All 14 requests were answered as they should be\.`,
	} {
		require.Regexp(t, regexp.MustCompile(`(?m)^`+row), out.String())
	}
	require.NotContains(t, out.String(), "curl")
}

// A wrong answer must show, or the table proves nothing.
func TestAWrongAnswerIsAnError(t *testing.T) {
	open := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("everything")) })}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go open.Serve(listener)
	defer open.Close()
	own, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer own.Close()
	own.AddClient("reporter", "reporter-secret", "https://example.com/health-api", "read:patients")

	s := scene{issuer: own.URL(), audience: "https://example.com/health-api", own: own, stranger: own, api: "http://" + listener.Addr().String()}
	_, err = s.log.Write([]byte("{}"))
	require.NoError(t, err)
	var out bytes.Buffer
	require.EqualError(t, s.play(t.Context(), &out), "12 of 14 requests were not answered as they should be")
	require.Equal(t, 12, strings.Count(out.String(), "WRONG"))
}

// output is a buffer that a test reads while the program writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestServesUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out output
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, &out) }()
	const serving = "# 401\n\n"
	require.Eventually(t, func() bool { return strings.HasSuffix(out.String(), serving) }, time.Minute, 10*time.Millisecond)

	for line := range strings.Lines(out.String()[strings.Index(out.String(), "Try it yourself"):]) {
		require.Less(t, len(line), 160, line)
	}
	file := regexp.MustCompile(`(?m)^ACCESS=\$\(cat '(.+)'\)$`).FindStringSubmatch(out.String())
	require.NotNil(t, file)
	directory, err := os.Stat(filepath.Dir(file[1]))
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o700), directory.Mode().Perm())
	}
	token, err := os.ReadFile(file[1])
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^curl -i (\S+) -H "Authorization: Bearer \$ACCESS"  # 200$`).FindStringSubmatch(out.String())
	require.NotNil(t, line)
	request, err := http.NewRequest("GET", line[1], nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 200, response.StatusCode)
	require.Contains(t, out.String(), `"msg":"request let through","method":"GET","route":"GET /patients"`, "the log is shown")

	interrupt()
	require.NoError(t, <-ended)
	require.Contains(t, out.String(), "stopping")
	require.NoDirExists(t, filepath.Dir(file[1]), "the tokens go with the program")
}

func TestARealTenant(t *testing.T) {
	tenant, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer tenant.Close()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once", "-issuer", tenant.URL(), "-audience", "https://example.com/mine"}, &out))
	require.Contains(t, out.String(), "All 6 requests were answered as they should be.")
	require.Contains(t, out.String(), "audience  https://example.com/mine")
}

func TestMistakesAreOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a taken port", []string{"-addr", taken.Addr().String()}, "address already in use (-addr takes another host:port)"},
		{"an address that is none", []string{"-addr", "nowhere"}, "-addr takes another host:port"},
		{"an unknown flag", []string{"-twice"}, "-h tells of the flags"},
		{"a malformed flag", []string{"-once=maybe"}, "-h tells of the flags"},
		{"an argument", []string{"once"}, `"once" is no flag`},
		{"an issuer without an audience", []string{"-issuer", "https://issuer.example/"}, "-issuer needs -audience"},
		{"an http issuer", []string{"-issuer", "http://issuer.example/", "-audience", "a"}, "use https"},
		{"an issuer that does not answer", []string{"-issuer", "http://" + closed.Addr().String() + "/", "-audience", "a"}, "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), tt.args, &out)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, out.String())
		})
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	require.Error(t, run(t.Context(), []string{"-h"}, &out))
	require.Contains(t, out.String(), "-issuer URL")
}
