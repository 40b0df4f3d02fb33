package fakeissuer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A keyring has an issuer's keys, one that signs for each algorithm that somebody
// has asked for.
type keyring struct {
	signing    map[string]*Key // algorithm → the key that signs
	next       map[string]*Key // algorithm → the key that is published ahead, if there is one
	encryption map[string]*Key // algorithm → a key that is not for signing
	published  []*Key          // those in the key set, the oldest first
	made       []*Key          // all: none is used by others while this issuer lives
}

func newKeyring() keyring {
	return keyring{signing: map[string]*Key{}, next: map[string]*Key{}, encryption: map[string]*Key{}}
}

// make returns a new key.
func (r *keyring) make(algorithm, use string) (*Key, error) {
	key, err := newKey(algorithm, use)
	if err != nil {
		return nil, err
	}
	r.made = append(r.made, key)
	return key, nil
}

// key returns the key that signs with an algorithm, made and published when it is
// first asked for.
func (r *keyring) key(algorithm string) (*Key, error) {
	if key := r.signing[algorithm]; key != nil {
		return key, nil
	}
	key, err := r.make(algorithm, "sig")
	if err != nil {
		return nil, err
	}
	r.signing[algorithm] = key
	r.published = append(r.published, key)
	return key, nil
}

// algorithms returns those that the issuer has keys for.
func (r *keyring) algorithms() []string {
	if len(r.signing) == 0 {
		r.mustMake(r.key(DefaultAlgorithm))
	}
	return slices.Sorted(maps.Keys(r.signing))
}

// mustMake is for keys of algorithms that a key has been made for before: what
// could fail now is the machine's source of randomness.
func (r *keyring) mustMake(key *Key, err error) *Key {
	if err != nil {
		panic(fmt.Sprintf("fakeissuer: making a key: %v", err))
	}
	return key
}

// announce publishes the keys that the next rotation takes.
func (r *keyring) announce() {
	for _, algorithm := range r.algorithms() {
		if r.next[algorithm] == nil {
			key := r.mustMake(r.make(algorithm, "sig"))
			r.next[algorithm] = key
			r.published = append(r.published, key)
		}
	}
}

// rotate signs with other keys from now on: those that were announced, or new
// ones, which it returns and does not publish.
func (r *keyring) rotate() (unpublished []*Key) {
	for _, algorithm := range r.algorithms() {
		key := r.next[algorithm]
		if key == nil {
			key = r.mustMake(r.make(algorithm, "sig"))
			unpublished = append(unpublished, key)
		}
		delete(r.next, algorithm)
		r.signing[algorithm] = key
	}
	return unpublished
}

// publish puts keys into the key set that are not there.
func (r *keyring) publish(keys []*Key) {
	for _, key := range keys {
		if !slices.Contains(r.published, key) {
			r.published = append(r.published, key)
		}
	}
}

// removeOld leaves the keys in the key set that sign, or are announced.
func (r *keyring) removeOld() {
	r.published = slices.DeleteFunc(r.published, func(key *Key) bool {
		return key != r.signing[key.algorithm] && key != r.next[key.algorithm]
	})
}

// Key returns the key that signs with an algorithm, which is published when it is
// first asked for. After [Issuer.Close] there is none.
func (i *Issuer) Key(algorithm string) (*Key, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, errClosed
	}
	return i.ring.key(algorithm)
}

// EncryptionKey returns a key that could sign with an algorithm, and is said to be
// for encryption where it is published: in [MixedSet].
func (i *Issuer) EncryptionKey(algorithm string) (*Key, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, errClosed
	}
	if key := i.ring.encryption[algorithm]; key != nil {
		return key, nil
	}
	key, err := i.ring.make(algorithm, "enc")
	if err == nil {
		i.ring.encryption[algorithm] = key
	}
	return key, err
}

// Announce publishes the key that the next rotation signs with, for each
// algorithm.
func (i *Issuer) Announce() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ring.announce()
}

// Rotate signs with another key from now on, for each algorithm: the one that was
// announced, or a new one, which it publishes. The old keys stay published until
// [Issuer.RemoveOldKeys].
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ring.publish(i.ring.rotate())
}

// RotateUnpublished signs with another key from now on, as [Issuer.Rotate], and
// publishes it only when the returned function is called.
func (i *Issuer) RotateUnpublished() (publish func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := i.ring.rotate()
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.ring.publish(keys)
	}
}

// RemoveOldKeys takes all keys out of the key set but those that sign or are
// announced.
func (i *Issuer) RemoveOldKeys() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ring.removeOld()
}

// Sign signs a token with the current key for its algorithm. After [Issuer.Close] it
// is an error: others may have the key by then, and would take the token for theirs.
func (i *Issuer) Sign(t Token) (string, error) {
	algorithm := t.Algorithm
	if algorithm == "" {
		algorithm = DefaultAlgorithm
	}
	key, err := i.Key(algorithm)
	if err != nil {
		return "", err
	}
	return key.sign(t)
}

// verifyAny returns the payload of a token that a published key has signed.
func (i *Issuer) verifyAny(token string) ([]byte, error) {
	i.mu.Lock()
	keys := slices.Clone(i.ring.published)
	i.mu.Unlock()
	for _, key := range keys {
		if payload, err := key.verify(token); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("none of the keys has signed it")
}

// A KeySet is what an issuer serves as its key set.
type KeySet int

const (
	GoodSet   KeySet = iota // its keys
	EmptySet                // a key set without keys
	BrokenSet               // a page of HTML, as a proxy in trouble sends it
	MixedSet                // its keys, among others that cannot be used
)

// PublishedSecret is a shared secret that stands in [MixedSet], where everyone
// can read it, under the key ID PublishedSecretID.
const (
	PublishedSecret   = "a secret that everyone can read."
	PublishedSecretID = "odd-secret"
)

// oddKeys cannot be used, each for another reason (RFC 7517 §5).
var oddKeys = []string{
	`{"kty":"OKP","crv":"X99999","kid":"odd-curve","use":"sig","x":"AAAA"}`,
	`{"kty":"future","kid":"odd-type"}`,
	`{"kty":"RSA","kid":"odd-without-modulus","use":"sig","alg":"RS256","e":"AQAB"}`,
	`{"kty":"RSA","kid":"odd-encoding","use":"sig","alg":"RS256","n":"not base64url","e":"AQAB"}`,
	`{"kty":"EC","crv":"P-256","kid":"odd-point","use":"sig","x":"AAAA","y":"AAAA"}`,
	`{"kty":"oct","kid":"` + PublishedSecretID + `","alg":"HS256","k":"` + Encode([]byte(PublishedSecret)) + `"}`,
	`{"kid":7}`,
	`null`,
}

// SetKeySet has the issuer serve that key set.
func (i *Issuer) SetKeySet(set KeySet) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keySet = set
}

// keySetText returns the key set as it is served now, and its media type.
func (i *Issuer) keySetText() (mediaType, text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	algorithms := i.ring.algorithms()
	switch i.keySet {
	case EmptySet:
		return "application/json", publicSet(nil)
	case BrokenSet:
		return "text/html", "<!DOCTYPE html><title>Sign in to the network</title>"
	case MixedSet:
		keys := slices.Clone(i.ring.published)
		for _, algorithm := range algorithms {
			if key := i.ring.encryption[algorithm]; key != nil {
				keys = append(keys, key)
			}
		}
		return "application/json", publicSet(keys, oddKeys...)
	default:
		return "application/json", publicSet(i.ring.published)
	}
}
