package fakeissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// DefaultAlgorithm is the one that tokens are signed with which name no other.
const DefaultAlgorithm = "RS256"

// A Key is a private key, and its public half as it is published.
type Key struct {
	algorithm string
	private   crypto.Signer
	public    jwk.Key
}

// spare has the RSA keys that closed issuers have given back. Making one takes a
// good part of a second, and a test suite may make hundreds of issuers.
var spare struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

// newKey returns a key that no other living issuer has, for an algorithm and a
// use, which is "sig" or "enc" (RFC 7517 §4.2).
func newKey(algorithm, use string) (*Key, error) {
	private, err := newPrivateKey(algorithm)
	if err != nil {
		return nil, err
	}
	public, err := jwk.FromRaw(private.Public())
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		public.Set(jwk.AlgorithmKey, algorithm),
		public.Set(jwk.KeyUsageKey, use),
		jwk.AssignKeyID(public), // its RFC 7638 thumbprint
	)
	return &Key{algorithm: algorithm, private: private, public: public}, err
}

func newPrivateKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return newRSA()
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, fmt.Errorf("the algorithm %q is none that the fake issuer signs with", algorithm)
	}
}

func newRSA() (*rsa.PrivateKey, error) {
	spare.Lock()
	defer spare.Unlock()
	if n := len(spare.keys); n > 0 {
		key := spare.keys[n-1]
		spare.keys = spare.keys[:n-1]
		return key, nil
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// giveBack lets other issuers have the keys.
func giveBack(keys []*Key) {
	spare.Lock()
	defer spare.Unlock()
	for _, key := range keys {
		if private, ok := key.private.(*rsa.PrivateKey); ok {
			spare.keys = append(spare.keys, private)
		}
	}
}

// ID returns the key ID under which the key is published.
func (k *Key) ID() string { return k.public.KeyID() }

// Algorithm returns the algorithm that the key is for.
func (k *Key) Algorithm() string { return k.algorithm }

// Private returns the private key.
func (k *Key) Private() crypto.Signer { return k.private }

// JWK returns the public half as it is published.
func (k *Key) JWK() json.RawMessage {
	text, err := json.Marshal(k.public)
	if err != nil { // it has been made here, of what can be written
		panic(fmt.Sprintf("fakeissuer: writing a key: %v", err))
	}
	return text
}

// Sign returns the signature over input: with the key's own algorithm, or with
// another one that its kind can be used with, which no honest issuer does.
func (k *Key) Sign(algorithm string, input []byte) ([]byte, error) {
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(algorithm))
	if err != nil {
		return nil, err
	}
	return signer.Sign(input, k.private)
}

// sign returns the token in compact form.
func (k *Key) sign(t Token) (string, error) {
	header, payload, err := t.Texts(k)
	if err != nil {
		return "", err
	}
	input := Encode([]byte(header)) + "." + Encode([]byte(payload))
	signature, err := k.Sign(k.algorithm, []byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + Encode(signature), nil
}

// Encode returns what stands for these bytes in a token (RFC 7515 §2).
func Encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// verify returns the payload of a token that the key has signed.
func (k *Key) verify(token string) ([]byte, error) {
	return jws.Verify([]byte(token), jws.WithKey(jwa.SignatureAlgorithm(k.algorithm), k.private.Public()))
}

// publicSet writes the key set that has these keys, and some that are given as
// text.
func publicSet(keys []*Key, others ...string) string {
	texts := others[:len(others):len(others)]
	for _, key := range keys {
		texts = append(texts, string(key.JWK()))
	}
	return `{"keys":[` + strings.Join(texts, ",") + `]}`
}

// newID returns an identifier that nobody has seen before.
func newID() string { return rand.Text() }
