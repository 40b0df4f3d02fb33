package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"time"
)

// A Status is what a [Remote] knows, for a readiness page. It is a copy. LastError
// may show the first bytes of what the issuer has answered: a page for the public
// had better leave it out.
type Status struct {
	// Issuer and URL are those of the [Config].
	Issuer string
	URL    string

	// State says whether tokens can be checked.
	State State

	// Phase is what the age of the key set means: "none" where there is none,
	// then "fresh", "stale", "overdue" and "expired".
	Phase string

	// Keys are those of the set that can be used, LeftOut the others.
	Keys    []KeyInfo
	LeftOut []LeftOut

	// Fetched is when the issuer has last said what its keys are, Age how long
	// ago that is. Both are zero where it never has, also while [Config.Initial]
	// serves.
	Fetched time.Time
	Age     time.Duration

	// NextRefresh is when a request, other than for an unknown key, may next
	// cause a fetch. What is past means that the next one does.
	NextRefresh time.Time

	// LastError is why the last fetch failed, "" where it did not.
	LastError string

	// Counts are since the start.
	Counts Counts
}

// A State says whether a [Remote] can do its work.
type State string

// The states of a [Remote].
const (
	Ready    State = "ready"     // there is a set that may be used, and the last fetch, if any, succeeded
	Degraded State = "degraded"  // there is a set that may be used, and the last fetch failed
	NotReady State = "not ready" // there is no set that may be used
)

// Counts count what a [Remote] has done.
type Counts struct {
	Fetches  uint64 // those begun
	Failures uint64 // those failed
}

// A KeyInfo tells of a key.
type KeyInfo struct {
	ID         string // "kid"
	Algorithm  string // "alg", "" where the key declares none
	Thumbprint string // RFC 7638
	Bits       int    // the size of the RSA modulus or of the curve
}

// String returns the ID and what kind of key it is.
func (k KeyInfo) String() string {
	if k.Algorithm == "" {
		return fmt.Sprintf("%q (%d bits)", k.ID, k.Bits)
	}
	return fmt.Sprintf("%q (%s, %d bits)", k.ID, k.Algorithm, k.Bits)
}

func (k *Key) info() KeyInfo {
	info := KeyInfo{ID: k.id, Algorithm: k.algorithm, Thumbprint: k.thumbprint}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		info.Bits = public.N.BitLen()
	case *ecdsa.PublicKey:
		info.Bits = public.Curve.Params().BitSize
	case ed25519.PublicKey:
		info.Bits = 8 * len(public)
	}
	return info
}

// Status returns what the source knows now. It never fetches, so that asking
// often costs the issuer nothing.
func (r *Remote) Status() Status {
	f := &r.fetches
	f.mu.Lock()
	s, lastErr, retryAt, counts := f.latest.Load(), f.lastErr, f.retryAt, f.counts
	f.mu.Unlock()

	now, wall := f.clock.now(), time.Now()
	status := Status{Issuer: r.fetches.config.Issuer, URL: r.fetches.config.URL, State: NotReady, Phase: "none", Counts: counts}
	current, freshFor := expired, time.Duration(0)
	if s != nil {
		old := age(s.fetched, now)
		if !s.at.IsZero() { // else it is that of the Config, and the issuer has not said yet
			status.Fetched, status.Age = s.at, old
		}
		current = s.ages.phase(old)
		status.Phase = current.String()
		status.LeftOut = append(status.LeftOut, s.set.LeftOut...)
		for _, key := range s.set.Keys {
			status.Keys = append(status.Keys, key.info())
		}
		freshFor = max(s.ages.fresh-old, 0)
	}
	if current != expired {
		status.State = Ready
	}
	pause := time.Duration(0)
	if lastErr != nil {
		status.LastError = lastErr.Error()
		due := retryAt.serving
		if current == expired {
			due = retryAt.needed
		} else {
			status.State = Degraded
		}
		pause = due - now.monotonic
	}
	status.NextRefresh = wall.Add(max(freshFor, pause))
	return status
}
