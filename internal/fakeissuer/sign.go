package fakeissuer

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// A signingKey is a private key and its public half as it is published.
type signingKey struct {
	private   *rsa.PrivateKey
	published jwk.Key
}

// spare has the keys that closed issuers have given back. Making a key takes a
// good part of a second, and a test suite may make hundreds of issuers.
var spare struct {
	sync.Mutex
	keys []*signingKey
}

// newKey returns a key that no other living issuer has.
func newKey() *signingKey {
	spare.Lock()
	defer spare.Unlock()
	if n := len(spare.keys); n > 0 {
		key := spare.keys[n-1]
		spare.keys = spare.keys[:n-1]
		return key
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(fmt.Sprintf("fakeissuer: making a key: %v", err))
	}
	published, err := jwk.FromRaw(&private.PublicKey)
	if err != nil {
		panic(fmt.Sprintf("fakeissuer: making a key: %v", err))
	}
	err = errors.Join(
		published.Set(jwk.AlgorithmKey, jwa.RS256),
		published.Set(jwk.KeyUsageKey, jwk.ForSignature),
		jwk.AssignKeyID(published), // its RFC 7638 thumbprint
	)
	if err != nil {
		panic(fmt.Sprintf("fakeissuer: making a key: %v", err))
	}
	return &signingKey{private: private, published: published}
}

// giveBack lets other issuers have the keys.
func giveBack(keys []*signingKey) {
	spare.Lock()
	defer spare.Unlock()
	spare.keys = append(spare.keys, keys...)
}

// sign returns the token in compact form. The header's "alg" is RS256.
func (k *signingKey) sign(t Token) (string, error) {
	payload, err := json.Marshal(t.Claims)
	if err != nil {
		return "", fmt.Errorf("the claims cannot be written as JSON: %w", err)
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.KeyIDKey, k.published.KeyID()); err != nil {
		return "", err
	}
	for name, value := range t.Header {
		if err := header.Set(name, value); err != nil {
			return "", fmt.Errorf("the header %q: %w", name, err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.RS256, k.private, jws.WithProtectedHeaders(header)))
	return string(signed), err
}

// publicSet returns the key set that has these keys.
func publicSet(keys []*signingKey) (jwk.Set, error) {
	set := jwk.NewSet()
	for _, key := range keys {
		if err := set.AddKey(key.published); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// verifyAny returns the payload of a token that one of the keys has signed.
func verifyAny(keys []*signingKey, token string) ([]byte, error) {
	for _, key := range keys {
		if payload, err := jws.Verify([]byte(token), jws.WithKey(jwa.RS256, &key.private.PublicKey)); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("none of the keys has signed it")
}

// newID returns an identifier that nobody has seen before.
func newID() string { return rand.Text() }
