package command_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/cmd/bearerguard/internal/command"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	issuer      = "https://issuer.example/"
	audience    = "https://example.com/health-api"
	metadataURL = "https://issuer.example/.well-known/openid-configuration"
	oauthURL    = "https://issuer.example/.well-known/oauth-authorization-server"
	keySetURL   = "https://issuer.example/keys"
	atHeader    = `{"alg":"RS256","kid":"key-1","typ":"at+jwt"}`
	jwtHeader   = `{"alg":"RS256","kid":"key-1","typ":"JWT"}`
)

var configured = []string{"-issuer", issuer, "-audience", audience}

// A page is an answer of the world.
type page struct {
	status int // 0: 200
	header map[string]string
	body   string
	takes  time.Duration
	fails  error
}

// A world is all that the command can reach, in memory.
type world struct {
	pages map[string]page
	ahead time.Duration // of its clock
	tls   *tls.ConnectionState
}

// newWorld returns a world with an issuer in which all is well.
func newWorld() *world {
	return &world{
		pages: map[string]page{
			metadataURL: {body: metadata(issuer, keySetURL)},
			keySetURL:   {body: keySet(jwk(set{"kid": "key-1"})), header: map[string]string{"Cache-Control": "public, max-age=300"}},
		},
		tls: goodFor(90 * 24 * time.Hour),
	}
}

// goodFor returns the state of a TLS connection whose certificate is good for so
// long.
func goodFor(d time.Duration) *tls.ConnectionState {
	return &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{{NotAfter: time.Now().Add(d)}}}
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, exists := w.pages[r.URL.String()]
	if !exists {
		answer = page{status: http.StatusNotFound, body: "nothing here"}
	}
	// Half a second on average is cut off from a Date.
	takes := time.NewTimer(max(answer.takes, time.Millisecond))
	defer takes.Stop()
	select {
	case <-takes.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if answer.fails != nil {
		return nil, answer.fails
	}
	header := http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().Add(w.ahead).UTC().Format(http.TimeFormat)}}
	for name, value := range answer.header {
		header.Set(name, value)
	}
	if header.Get("Date") == "" {
		header.Del("Date")
	}
	return &http.Response{
		StatusCode: max(answer.status, 200), Header: header, Request: r, TLS: w.tls,
		Body: io.NopCloser(strings.NewReader(answer.body)),
	}, nil
}

func metadata(issuer, keySet string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, keySet)
}

// set is a JSON object that a test changes: nil removes a member.
type set map[string]any

func (s set) json(changes set) string {
	members := maps.Clone(s)
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text)
}

var key = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// jwk returns the public key as a member of a key set, with changes.
func jwk(changes set) string {
	return set{
		"kty": "RSA", "use": "sig", "alg": "RS256",
		"n": encode(key().N.Bytes()), "e": encode(big.NewInt(int64(key().E)).Bytes()),
	}.json(changes)
}

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// payload returns the claims of a good access token, with changes.
func payload(changes set) string {
	now := time.Now()
	return set{
		"iss": issuer, "aud": audience, "sub": "user-1", "client_id": "client-1", "jti": "token-1",
		"scope": "openid read:patients", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}.json(changes)
}

// sign returns a token with these parts, signed as RS256 whatever they say.
func sign(header, payload string) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + encode(signature)
}

// A run is what the command was given and what it has done.
type run struct {
	args   []string
	stdin  string
	status int
	stdout string
	stderr string
}

// start runs the command in a world.
func start(ctx context.Context, w http.RoundTripper, stdin string, args ...string) run {
	var stdout, stderr bytes.Buffer
	program := command.Program{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Transport: w,
	}
	status := program.Run(ctx)
	return run{args, stdin, status, stdout.String(), stderr.String()}
}

// invisible has characters that are not seen, that change others, or that are
// written from right to left.
const invisible = "\u202e\u200b\ufeff\u00ad\u2066\u0301\u20dd\u034f\u115f\u3164\uffa0\ufe0f\U000e0041\U000e0100\u2800\u05d0\u0627\u0660\ufe8d\U0001e900"

// requireClean wants nothing in the output that must never be there: no part of
// the token that is a secret, and nothing that a terminal obeys.
func (r run) requireClean(t *testing.T) {
	t.Helper()
	for _, output := range []string{r.stdout, r.stderr} {
		for _, word := range strings.Fields(r.stdin) {
			if len(word) > 30 {
				require.NotContains(t, output, word)
			}
			for part := range strings.SplitSeq(word, ".") {
				if len(part) > 20 {
					require.NotContains(t, output, part[:20], "a part of the token")
					require.NotContains(t, output, part[len(part)-20:], "a part of the token")
				}
			}
		}
		for _, c := range output {
			if c != '\n' {
				require.False(t, c < ' ' || 0x7f <= c && c < 0xa0 || strings.ContainsRune(invisible, c), "%q in %q", c, output)
			}
		}
	}
}

// golden compares a run with a file, or writes that with -update.
func (r run) golden(t *testing.T, name string) {
	t.Helper()
	r.requireClean(t)
	text := fmt.Sprintf("$ bearerguard %s\n%s", strings.Join(r.args, " "), r.stdout)
	if r.stderr != "" {
		text += "--- standard error\n" + r.stderr
	}
	text += fmt.Sprintf("--- exit status %d\n", r.status)
	requireGolden(t, name, text)
}

func requireGolden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test with -update to write it")
	require.Equal(t, string(want), text)
}
