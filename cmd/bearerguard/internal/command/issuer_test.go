package command_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/cmd/bearerguard/internal/command"
	"github.com/stretchr/testify/require"
)

// A buffer can be written and read at once.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A running issuer is one that serves on a port of this machine.
type running struct {
	Issuer   string
	Audience string
	KeySet   string `json:"jwks_uri"`
	Token    string `json:"token_endpoint"`
	ID       string `json:"client_id"`
	Secret   string `json:"client_secret"`

	log  *buffer
	stop func() int // and the exit status
}

// runIssuer runs the issuer, and returns when it has told where it is.
func runIssuer(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	r := &running{log: &buffer{}}
	ended := make(chan int, 1)
	program := command.Program{
		Args:   append([]string{"issuer", "-addr", "127.0.0.1:0", "-json"}, args...),
		Stdout: writer, Stderr: r.log, Getenv: func(string) string { return "" },
	}
	go func() {
		ended <- program.Run(ctx)
		writer.Close()
	}()
	line, err := bufio.NewReader(reader).ReadBytes('\n')
	require.NoError(t, err, r.log)
	require.NoError(t, json.Unmarshal(line, r))
	r.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case status := <-ended:
			return status
		case <-time.After(20 * time.Second):
			t.Error("it does not end")
			return -1
		}
	})
	t.Cleanup(func() { r.stop() })
	return r
}

// ask sends a request, changed as the test likes it, and returns status and body.
func (r *running) ask(t *testing.T, method, path, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.Issuer+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(request)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(text)
}

func (r *running) form() string {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {r.ID}, "client_secret": {r.Secret}, "audience": {r.Audience}}.Encode()
}

// The tokens are real: explain and doctor, over the same sockets, find them good.
func TestTheIssuersTokensAreGood(t *testing.T) {
	r := runIssuer(t)
	response, answered := r.ask(t, http.MethodPost, "oauth/token", r.form(), nil)
	require.Equal(t, 200, response.StatusCode, answered)
	require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"))

	explain := []string{"explain", "-issuer", r.Issuer, "-audience", r.Audience, "-scope", "read:patients"}
	explained := start(t.Context(), nil, answered, explain...)
	require.Equal(t, 0, explained.status, explained.stdout)
	require.Contains(t, explained.stdout, "this machine's clock agrees with the")

	diagnosis := start(t.Context(), nil, "", "doctor", "-issuer", r.Issuer, "-audience", r.Audience)
	require.Equal(t, 0, diagnosis.status, diagnosis.stdout)

	withSecret := func(request *http.Request) { request.SetBasicAuth(r.ID, r.Secret) }
	tests := []struct {
		path   string
		status int
		want   string
	}{
		{"dev/access-token", 0, "ACCEPTED"},
		{"dev/access-token?sub=ada&client_id=app", 0, `"ada"`},
		{"dev/access-token?scope=", 1, "no scope at all"},
		{"dev/access-token?expires_in=-3600", 1, "1 h ago"},
		{"dev/access-token?expires_in=9000", 0, "another 2 h"},
		{"dev/access-token?aud=another", 1, `for another audience: "another"`},
		{"dev/access-token?iss=https://evil.example/", 1, `"https://evil.example/"`},
		{"dev/access-token?acr=mfa", 0, `acr        "mfa"`},
		{"dev/access-token?auth_time=-60", 0, ", 1 min"},
		{"dev/access-token?auth_time=0", 0, "claim   auth_time"},
		{"dev/access-token?auth_time=86400", 0, "86400  1970-01-02T00:00:00Z"},
		{"dev/access-token?claim.org_id=acme", 0, `org_id     "acme"`},
		{"dev/access-token?claim.level=7", 0, "level      7\n"},
		{"dev/access-token?claim.big=12345678901234567890", 0, "12345678901234567890\n"},
		{"dev/access-token?claim.level=%227%22", 0, `level      "7"`},
		{"dev/access-token?claim.admin=true", 0, "admin      true\n"},
		{"dev/access-token?claim.zoneinfo=truely", 0, `"truely"`},
		{"dev/access-token?claim.a.b=", 0, `a.b        ""`},
		{"dev/access-token?claim.realm_access=%7B%22roles%22:%5B%22nurse%22%5D%7D", 0, `{"roles":["nurse"]}`},
		{"dev/access-token?claim.jti=[1", 0, `"[1"`},
		{"dev/access-token?claim.exp=1", 1, "1970-01-01T00:00:01Z"},
		{"dev/id-token?acr=mfa", 1, `acr             "mfa"`},
		{"dev/id-token", 1, "ID Token"},
	}
	for _, tt := range tests {
		response, token := r.ask(t, http.MethodGet, tt.path, "", withSecret)
		require.Equal(t, 200, response.StatusCode, token)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		explained := start(t.Context(), nil, token, explain...)
		explained.requireClean(t)
		require.Equal(t, tt.status, explained.status, explained.stdout)
		require.Contains(t, explained.stdout, tt.want, tt.path)
	}
	for query, culprit := range map[string]string{
		"role=admin": "role", "expires_in=1h": "expires_in", "auth_time=yesterday": "auth_time", "auth_time=": "auth_time",
		"sub=a&sub=b": "sub", "claim.=a": "claim.", "claim=a": "claim", "scope=a&x%1b%5b2J=1": `x\u001b[2J`,
	} {
		response, body := r.ask(t, http.MethodGet, "dev/access-token?"+query, "", withSecret)
		require.Equal(t, 400, response.StatusCode, query)
		require.True(t, strings.HasPrefix(body, culprit+": "), body)
	}
	response, _ = r.ask(t, http.MethodGet, "dev/access-token?sub=%zz", "", withSecret)
	require.Equal(t, 400, response.StatusCode)
	response, _ = r.ask(t, http.MethodGet, "dev/nothing", "", withSecret)
	require.Equal(t, 404, response.StatusCode)
	require.Equal(t, 0, r.stop())
	require.Contains(t, r.log.String(), "POST /oauth/token 200\n")
	require.NotContains(t, r.log.String(), "expires_in", "queries are not for the log")
	require.NotContains(t, r.log.String(), r.Secret)
}

func TestTheIssuerWantsItsSecret(t *testing.T) {
	r := runIssuer(t, "-quiet")
	require.GreaterOrEqual(t, len(r.Secret), 26)
	require.NotEqual(t, r.Secret, runIssuer(t).Secret)
	for _, secret := range []string{"", "secret", r.Secret + "x"} {
		for _, path := range []string{"dev/access-token", "dev/id-token"} {
			response, _ := r.ask(t, http.MethodGet, path, "", func(request *http.Request) { request.SetBasicAuth(r.ID, secret) })
			require.Equal(t, 401, response.StatusCode)
			require.NotEmpty(t, response.Header.Get("WWW-Authenticate"))
		}
		response, _ := r.ask(t, http.MethodPost, "oauth/token", strings.Replace(r.form(), r.Secret, secret, 1), nil)
		require.Equal(t, 401, response.StatusCode)
	}
	require.Empty(t, r.log.String())
}

// DNS rebinding: for a browser, evil.example is where this server is.
func TestTheIssuerAnswersToLoopbackNamesOnly(t *testing.T) {
	r := runIssuer(t)
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(r.Issuer, "http://"), "/"))
	require.NoError(t, err)
	tests := []struct {
		host   string
		status int
	}{
		{"127.0.0.1:" + port, 200},
		{"localhost:" + port, 200},
		{"LOCALHOST:" + port, 200},
		{"localhost:9000", 200}, // behind a tunnel
		{"[::1]:" + port, 200},
		{"localhost", 200},
		{"evil.example", 421},
		{"evil.example:" + port, 421},
		{"127.0.0.1.evil.example", 421},
		{"localhost.evil.example:" + port, 421},
		{"10.0.0.1:" + port, 421},
		{"0.0.0.0:" + port, 421},
	}
	for _, tt := range tests {
		for _, path := range []string{".well-known/openid-configuration", ".well-known/jwks.json"} {
			response, body := r.ask(t, http.MethodGet, path, "", func(request *http.Request) { request.Host = tt.host })
			require.Equal(t, tt.status, response.StatusCode, tt.host)
			require.NotContains(t, body, r.Secret)
		}
		response, _ := r.ask(t, http.MethodPost, "oauth/token", r.form(), func(request *http.Request) { request.Host = tt.host })
		require.Equal(t, tt.status, response.StatusCode, tt.host)
	}
}

func TestPagesOfOtherOriginsAreRefusedUnlessNamed(t *testing.T) {
	const app = "http://localhost:3000"
	from := func(origin string) func(*http.Request) {
		return func(request *http.Request) { request.Header.Set("Origin", origin) }
	}
	closed, open := runIssuer(t), runIssuer(t, "-cors-origin", app+",http://localhost:5173")
	tests := []struct {
		r       *running
		origin  string
		allowed bool
	}{
		{closed, app, false},
		{closed, "null", false},
		{open, app, true},
		{open, "http://localhost:5173", true},
		{open, "http://localhost:3001", false},
		{open, "https://localhost:3000", false},
		{open, "null", false},
		{open, "http://localhost:3000.evil.example", false},
	}
	for _, tt := range tests {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			response, body := tt.r.ask(t, method, "oauth/token", tt.r.form(), from(tt.origin))
			require.Contains(t, response.Header.Get("Vary"), "Origin")
			if !tt.allowed {
				require.Equal(t, 403, response.StatusCode, tt.origin)
				require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"))
				require.NotContains(t, body, "access_token")
				continue
			}
			require.Less(t, response.StatusCode, 300, tt.origin)
			require.Equal(t, tt.origin, response.Header.Get("Access-Control-Allow-Origin"))
			require.Empty(t, response.Header.Get("Access-Control-Allow-Credentials"))
			if method == http.MethodOptions {
				require.Equal(t, "Authorization, Content-Type", response.Header.Get("Access-Control-Allow-Headers"))
			}
		}
	}
}

// What a page only loads, such as an image, has no Origin.
func TestWhatPagesOfOtherSitesLoadIsRefused(t *testing.T) {
	const app = "http://localhost:3000"
	closed, open := runIssuer(t), runIssuer(t, "-cors-origin", app)
	tests := []struct {
		r            *running
		site, origin string
		status       int
	}{
		{closed, "", "", 200},
		{closed, "none", "", 200},
		{closed, "same-origin", "", 200},
		{closed, "same-site", "", 403},
		{closed, "cross-site", "", 403},
		{closed, "cross-site", app, 403},
		{closed, "anything", "", 403},
		{open, "cross-site", "", 403},
		{open, "cross-site", app, 200},
		{open, "same-site", app, 200},
		{open, "cross-site", "https://evil.example", 403},
	}
	for _, tt := range tests {
		response, _ := tt.r.ask(t, http.MethodGet, ".well-known/jwks.json", "", func(request *http.Request) {
			for name, value := range map[string]string{"Sec-Fetch-Site": tt.site, "Origin": tt.origin} {
				if value != "" {
					request.Header.Set(name, value)
				}
			}
		})
		require.Equal(t, tt.status, response.StatusCode, "%q %q", tt.site, tt.origin)
	}
}

func TestBeyondThisMachineOnlyWhenTold(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "10.0.0.1:80", "example.com:80", "127.0.0.1.example.com:80"} {
		r := start(t.Context(), nil, "", "issuer", "-addr", addr)
		require.Equal(t, 2, r.status, addr)
		require.Contains(t, r.stderr, "-insecure-listen-anywhere")
		require.Empty(t, r.stdout)
	}
	r := runIssuer(t, "-insecure-listen-anywhere", "-url", "http://host.docker.internal:8765/")
	require.Equal(t, "http://host.docker.internal:8765/", r.Issuer)
	_ = r.stop()
}

// Beyond this machine it is known by a name, which -url says, or by an address,
// which no page can have point elsewhere.
func TestHostsBeyondThisMachine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stderr := &buffer{}, &buffer{}
	ended := make(chan int, 1)
	listener := httptest.NewServer(nil) // to find a port that is free
	addr := listener.Listener.Addr().String()
	listener.Close()
	go func() {
		ended <- (&command.Program{
			Args:   []string{"issuer", "-addr", addr, "-insecure-listen-anywhere", "-url", "http://Host.docker.internal:8765/"},
			Stdout: stdout, Stderr: stderr, Getenv: func(string) string { return "" },
		}).Run(ctx)
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Ctrl-C stops it") }, 10*time.Second, 10*time.Millisecond, stderr)
	require.Contains(t, stdout.String(), "It listens beyond this machine")
	r := &running{Issuer: "http://" + addr + "/"}
	for host, status := range map[string]int{
		"host.docker.internal:8765": 200, "192.168.1.7:8765": 200, "localhost": 200, "evil.example": 421,
	} {
		response, _ := r.ask(t, http.MethodGet, ".well-known/openid-configuration", "", func(request *http.Request) { request.Host = host })
		require.Equal(t, status, response.StatusCode, host)
	}
	cancel()
	require.Equal(t, 0, <-ended)
	require.Contains(t, stdout.String(), "stopped")
}

func TestAPortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	r := start(t.Context(), nil, "", "issuer", "-addr", taken.Addr().String())
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "already")
	require.Contains(t, r.stderr, "-addr 127.0.0.1:0")
	require.NotContains(t, r.stderr, "-h tells", "the flags are right")
}

var (
	portPattern   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	secretPattern = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
)

func TestTheLinesToPasteHaveTheNameOfTheProgram(t *testing.T) {
	var stdout, stderr buffer
	p := command.Program{Name: "go run ./x", Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	p.Args = []string{"issuer", "-none"}
	require.Equal(t, 2, p.Run(t.Context()))
	require.Contains(t, stderr.String(), "(go run ./x issuer -h tells of the flags)")

	ctx, cancel := context.WithCancel(t.Context())
	p.Args = []string{"issuer", "-addr", "127.0.0.1:0"}
	ended := make(chan int, 1)
	go func() { ended <- p.Run(ctx) }()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), `echo "$ID" | go run ./x explain -issuer `) }, 10*time.Second, 10*time.Millisecond)
	cancel()
	<-ended
}

func TestWhatTheIssuerTells(t *testing.T) {
	for name, args := range map[string][]string{
		"issuer/plain":  {"issuer", "-addr", "127.0.0.1:0"},
		"issuer/quoted": {"issuer", "-addr", "127.0.0.1:0", "-quiet", "-audience", "api's own", "-scope", "a&b c"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stdout := &buffer{}
		ended := make(chan int, 1)
		go func() {
			ended <- (&command.Program{Args: args, Stdout: stdout, Stderr: &buffer{}, Getenv: func(string) string { return "" }}).Run(ctx)
		}()
		require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Ctrl-C stops it") }, 10*time.Second, 10*time.Millisecond)
		cancel()
		require.Equal(t, 0, <-ended)
		text := portPattern.ReplaceAllString(stdout.String(), "127.0.0.1:PORT")
		requireGolden(t, name, secretPattern.ReplaceAllString(text, "SECRET"))
	}
}
