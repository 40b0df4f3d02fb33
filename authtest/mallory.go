package authtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
)

// attacker is in the texts that the attacker chooses, so that an echo of them is
// found.
const attacker = "mallory"

// A mallory is the attacker: an issuer that nobody trusts, on a server that must
// never be asked.
type mallory struct {
	server      *httptest.Server
	issuer      *fakeissuer.Issuer
	key         *fakeissuer.Key
	certificate []byte // of the key, in DER

	mu       sync.Mutex
	requests []string
}

func newMallory(tb testing.TB, algorithm string) *mallory {
	tb.Helper()
	m := &mallory{}
	m.server = httptest.NewServer(http.HandlerFunc(m.serve))
	m.issuer = fakeissuer.New(m.server.URL + "/")
	tb.Cleanup(func() {
		m.server.Close()
		m.issuer.Close()
	})
	var err error
	if m.key, err = m.issuer.Key(algorithm); err != nil {
		tb.Fatalf("authtest: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: attacker},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	private := m.key.Private()
	if m.certificate, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		tb.Fatalf("authtest: %v", err)
	}
	return m
}

// certificatePath is where the certificate is, for "x5u".
const certificatePath = "/certificate.pem"

// serve answers whoever believes a token's address, so that a forgery with it
// succeeds.
func (m *mallory) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.requests = append(m.requests, r.Method+" "+m.server.URL+r.URL.Path)
	m.mu.Unlock()
	if r.URL.Path == certificatePath {
		_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: m.certificate}) // an error means that the client is gone
		return
	}
	m.issuer.ServeHTTP(w, r)
}

// asked returns the requests that the server has got.
func (m *mallory) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.requests...)
}

// sign returns the token with these texts, signed by the attacker's key.
func (m *mallory) sign(header, payload string) string {
	return seal(m.key, encode(header), encode(payload))
}

func encode(text string) string { return fakeissuer.Encode([]byte(text)) }

// seal signs two parts as they are, also where they are no base64url.
func seal(key *fakeissuer.Key, header, payload string) string {
	return sealAs(key, key.Algorithm(), header, payload)
}

// sealAs signs two parts with an algorithm that is not the key's own.
func sealAs(key *fakeissuer.Key, algorithm, header, payload string) string {
	signature, err := key.Sign(algorithm, []byte(header+"."+payload))
	if err != nil { // a key's kind fits the algorithms that are asked for here
		panic(fmt.Sprintf("authtest: forging a token: %v", err))
	}
	return header + "." + payload + "." + fakeissuer.Encode(signature)
}

// hs256 returns the token with these texts, signed by HMAC with a secret.
func hs256(secret []byte, header, payload string) string {
	input := encode(header) + "." + encode(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + fakeissuer.Encode(mac.Sum(nil))
}

// publicForms returns the issuer's public key as others may get it, for forgeries
// that use it as a shared secret.
func publicForms(key *fakeissuer.Key) (inPEM, inDER, inJWK []byte) {
	der, err := x509.MarshalPKIXPublicKey(key.Private().Public())
	if err != nil { // it is of a kind that X.509 has
		panic(fmt.Sprintf("authtest: forging a token: %v", err))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), der, key.JWK()
}

// before puts raw JSON members at the beginning of an object, and behind puts them
// at its end.
func before(members, object string) string { return "{" + members + "," + object[1:] }
func behind(object, members string) string { return object[:len(object)-1] + "," + members + "}" }

// quote writes a text in JSON.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil { // a string can always be written
		panic(err)
	}
	return string(quoted)
}

func standardBase64(bytes []byte) string { return base64.StdEncoding.EncodeToString(bytes) }

// describe returns what a token says, in lines for a report. The signature is left
// out: nobody can read it, and a log must not have good tokens.
func describe(token string) []string {
	if token == "" {
		return nil
	}
	parts := strings.Split(token, ".")
	if len(parts) < 2 {
		return []string{"token    " + excerpt(token)}
	}
	var lines []string
	for n, name := range []string{"header   ", "payload  "} {
		text := parts[n]
		if decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil {
			text = string(decoded)
		}
		lines = append(lines, name+excerpt(text))
	}
	return lines
}

// excerpt returns the beginning of a text, in one line.
func excerpt(text string) string {
	const most = 1000
	cut := ""
	if len(text) > most {
		text, cut = text[:most], " …"
	}
	if printable := bytes.IndexFunc([]byte(text), func(r rune) bool { return r < ' ' || r == utf8.RuneError }) < 0; printable {
		return text + cut
	}
	return fmt.Sprintf("%q", text) + cut
}
