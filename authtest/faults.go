package authtest

import (
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
)

// Rotate makes a new key, publishes it beside the old ones, and signs with it
// from now on; so it does for each algorithm that the issuer has a key for. A
// guard looks for an unknown key at once, but only twice in a row and then once in
// ten seconds: a test that rotates more often needs a testing/synctest bubble, and
// a sleep.
//
// After [Issuer.AnnounceKey], it signs with the key that was announced.
func (i *Issuer) Rotate() { i.core.Rotate() }

// AnnounceKey publishes the key that the next [Issuer.Rotate] signs with, as
// careful authorization servers do: guards know the key before they see a token.
func (i *Issuer) AnnounceKey() { i.core.Announce() }

// RotateUnpublished signs with a new key from now on, which is not in the key set
// before publish is called, as happens where an authorization server updates its
// parts one after the other. Until then, guards refuse its tokens.
func (i *Issuer) RotateUnpublished() (publish func()) { return i.core.RotateUnpublished() }

// RemoveOldKeys takes all keys out of the key set but those that sign or are
// announced. A guard that knows the old keys goes on accepting them until its next
// refresh, which is due after five minutes: a test of that sleeps in a
// testing/synctest bubble.
func (i *Issuer) RemoveOldKeys() { i.core.RemoveOldKeys() }

// A KeySet is what the issuer serves as its key set, see [Issuer.SetKeySet].
type KeySet int

const (
	// GoodKeySet has the issuer's keys.
	GoodKeySet KeySet = iota

	// EmptyKeySet is a key set without keys.
	EmptyKeySet

	// BrokenKeySet is no key set, but a page of HTML with status 200, as a proxy
	// in trouble sends it.
	BrokenKeySet

	// MixedKeySet has the issuer's keys among odd ones: for encryption, of unknown
	// types, without members, badly encoded, secret. They must not keep the good
	// ones from serving (RFC 7517 §5).
	MixedKeySet
)

// SetKeySet has the issuer serve that key set from now on. The keys that sign
// remain.
func (i *Issuer) SetKeySet(set KeySet) { i.core.SetKeySet(fakeissuer.KeySet(set)) }

// SetDown makes the issuer answer 503 to everything, or stops doing so.
//
// To a guard that has let nothing in yet, that is an outage of the keys: it answers 503
// by itself, and no handler runs. A test of what a handler does when the userinfo
// endpoint is down sends a good request first, so that the keys are known (or calls
// Validator.Warm), and asks with a token that was not sent before, since profiles are
// kept; or it has [Issuer.SetUserinfo] fail alone.
func (i *Issuer) SetDown(down bool) { i.core.SetDown(down) }

// SetDelay makes every answer of the issuer take that long. Tests use it in a
// testing/synctest bubble, where the wait costs no time.
func (i *Issuer) SetDelay(delay time.Duration) { i.core.SetDelay(delay) }

// Hang makes requests to the issuer wait until they are given up, or until the
// returned function is called.
func (i *Issuer) Hang() (release func()) { return i.core.Hang() }

// KeyFetches returns how often the key set was asked for.
func (i *Issuer) KeyFetches() int { return i.core.KeyFetches() }

// DiscoveryFetches returns how often the metadata were asked for, which say where
// the key set is.
func (i *Issuer) DiscoveryFetches() int { return i.core.DiscoveryFetches() }

// SetUserinfo has h answer in the place of the userinfo endpoint from now on, for
// tests of what an API does when that refuses, asks for patience or says something
// odd. Nil means the issuer's own answers.
//
// The keys are served as before: also a guard that has just started lets good requests
// through to the handler, which with [Issuer.SetDown] it does not.
func (i *Issuer) SetUserinfo(h http.Handler) { i.core.SetUserinfo(h) }

// UserinfoRequests returns how often the userinfo endpoint was asked.
func (i *Issuer) UserinfoRequests() int { return i.core.UserinfoRequests() }
