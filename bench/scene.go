// Package bench measures what a request costs that comes with an access token:
// through this library, through what a user would otherwise pick, and at the least,
// which is one SHA-256 and one RSA verification (the floor).
//
//	go run ./bench/cmd/table -raw new.txt        # the table; new.txt is for benchstat
//	go run ./bench/cmd/chart new.txt >bench/speed.svg  # the picture
//	go run ./bench/cmd/load                      # over real sockets
//	go test -bench 'Guard/again' -cpuprofile cpu.out ./bench
//
// A figure is a ratio to the floor of the same run, since nanoseconds are those of
// one machine.
package bench

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

// What all tokens of a [Scene] are about.
const (
	Issuer   = "https://my-domain.auth0.example/"
	Audience = "https://example.com/health-api"
	Scope    = "read:patients"

	keySetURL = Issuer + ".well-known/jwks.json"
)

// A Scene is an authorization server in memory: one key that signs, the documents
// that clients fetch once, and a pool of tokens.
type Scene struct {
	key    *rsa.PrivateKey
	keyID  string
	keySet []byte

	pool *pool
}

// NewScene returns a scene with a new key.
func NewScene() *Scene {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	s := &Scene{key: key, keyID: "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4", pool: new(pool)}
	s.keySet = s.publish(1)
	return s
}

// WithKeys returns the same scene with n keys in the key set, of which still one
// signs. The others are odd numbers, which take as long to find and to leave alone.
func (s *Scene) WithKeys(n int) *Scene {
	return &Scene{key: s.key, keyID: s.keyID, keySet: s.publish(n), pool: s.pool}
}

func (s *Scene) publish(n int) []byte {
	type key struct {
		KeyType   string `json:"kty"`
		Use       string `json:"use"`
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
		Modulus   string `json:"n"`
		Exponent  string `json:"e"`
	}
	keys := []key{{"RSA", "sig", "RS256", s.keyID, encode(s.key.N.Bytes()), "AQAB"}}
	for i := 1; i < n; i++ {
		modulus := make([]byte, 256)
		rand.Read(modulus)
		modulus[0], modulus[255] = modulus[0]|0x80, modulus[255]|1
		keys = append(keys, key{"RSA", "sig", "RS256", fmt.Sprintf("key-%d", i), encode(new(big.Int).SetBytes(modulus).Bytes()), "AQAB"})
	}
	return toJSON(map[string]any{"keys": keys})
}

// Client returns an HTTP client that reaches the scene and nobody else, in memory.
func (s *Scene) Client() *http.Client { return &http.Client{Transport: s} }

// RoundTrip implements [http.RoundTripper].
func (s *Scene) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	switch r.URL.String() {
	case keySetURL:
		body = s.keySet
	case Issuer + ".well-known/openid-configuration":
		body = toJSON(map[string]any{
			"issuer":                                Issuer,
			"jwks_uri":                              keySetURL,
			"authorization_endpoint":                Issuer + "authorize",
			"token_endpoint":                        Issuer + "oauth/token",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	default:
		return nil, fmt.Errorf("bench: nobody is at %s", r.URL)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=86400"}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// A Change makes a token other than [Scene.Token] would.
type Change func(header, claims map[string]any)

// Set sets a claim.
func Set(claim string, value any) Change { return func(_, c map[string]any) { c[claim] = value } }

// SetHeader sets a member of the header, which the signature covers, but does not
// follow: it is made with RS256 and the scene's key.
func SetHeader(name string, value any) Change {
	return func(h, _ map[string]any) { h[name] = value }
}

// Token returns a signed access token as Auth0 makes them, of about 700 bytes, good
// for a day.
func (s *Scene) Token(changes ...Change) string {
	now := time.Now()
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": s.keyID}
	claims := map[string]any{
		"iss":   Issuer,
		"sub":   "auth0|5f7c8ec7c33c6c004bbafe82",
		"aud":   Audience,
		"iat":   now.Unix(),
		"exp":   now.Add(24 * time.Hour).Unix(),
		"scope": "openid profile " + Scope,
		"azp":   "my_client_id_has_32_characters_x",
	}
	for _, change := range changes {
		change(header, claims)
	}
	input := encode(toJSON(header)) + "." + encode(toJSON(claims))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	check(err)
	return input + "." + encode(signature)
}

// Credentials returns the values of n Authorization headers, with as many different
// tokens. To sign takes a good part of a millisecond, so they are kept.
func (s *Scene) Credentials(n int) []string { return s.pool.take(s, n, nil) }

// A pool has the credentials that were made so far.
type pool struct {
	mu   sync.Mutex
	made []string
}

func (p *pool) take(s *Scene, n int, changes []Change) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := len(p.made)
	if have >= n {
		return p.made[:n]
	}
	made := make([]string, n)
	copy(made, p.made)
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := have + w; i < n; i += workers {
				subject := Set("sub", fmt.Sprintf("auth0|%024x", i))
				made[i] = "Bearer " + s.Token(append(changes[:len(changes):len(changes)], subject)...)
			}
		})
	}
	wg.Wait()
	p.made = made
	return made
}

// floor is the work that a token cannot be verified without.
func (s *Scene) floor(credential string) (verify func() error) {
	token := strings.TrimPrefix(credential, "Bearer ")
	dot := strings.LastIndexByte(token, '.')
	input := []byte(token[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	check(err)
	return func() error {
		digest := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, digest[:], signature)
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	check(err)
	return b
}

// check panics: there is nobody to handle a benchmark that cannot be set up.
func check(err error) {
	if err != nil {
		panic(fmt.Errorf("bench: %w", err))
	}
}
