package claims

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// DefaultMemorySize is how many bytes a validator spends on remembering tokens that
// it has verified: 8 MiB, which is some 4,000 of them. See [WithMemory].
const DefaultMemorySize = 8 << 20

// minMemorySize has room for a few tokens of the largest usual size.
const minMemorySize = 64 << 10

// WithMemory bounds what the validator spends on remembering tokens that it has
// accepted, in bytes, in place of [DefaultMemorySize]. A token takes about two
// kilobytes. It must be 64 KiB or more; for none, see [WithoutMemory].
//
// What is remembered is that these bytes were signed with that key, which stays true
// for ever, and what they say. Whether the key is still the issuer's, the token's
// time, and [Config.Check] are looked at anew each time. Refused tokens are not
// remembered, so that whoever sends them pushes nothing out; nor is any token or
// signature kept in the clear.
func WithMemory(bytes int) Option {
	return Option{func(v *Validator) error {
		if bytes < minMemorySize {
			return fmt.Errorf("WithMemory(%d): it must be %d bytes or more; WithoutMemory has none", bytes, minMemorySize)
		}
		v.memory = newMemory(bytes)
		return nil
	}}
}

// WithoutMemory has the validator verify each token each time.
func WithoutMemory() Option {
	return Option{func(v *Validator) error {
		v.memory = nil
		return nil
	}}
}

// MemoryStatus tells how the memory of a validator fares.
type MemoryStatus struct {
	// Hits and Misses count the tokens that were known, and those that were not.
	// Refused tokens are misses.
	Hits, Misses uint64

	// Evictions counts the tokens that were pushed out by others before their time
	// was over.
	Evictions uint64

	// Entries is how many tokens are remembered now, and Bytes about what they
	// take.
	Entries, Bytes int64
}

// Memory returns the status of the memory of verified tokens, all zero where there
// is none.
func (v *Validator) Memory() MemoryStatus {
	if v.memory == nil {
		return MemoryStatus{}
	}
	return v.memory.status()
}

// A memory knows tokens that were accepted. It is a table of small buckets whose
// slots are swapped atomically: nobody waits for anybody, and what it can hold is
// fixed when it is made.
type memory struct {
	seed     maphash.Seed
	buckets  []bucket // a power of two
	maxBytes int64

	bytes     atomic.Int64
	entries   atomic.Int64
	evictions atomic.Uint64
	kept      atomic.Uint32 // how many tokens came in
	sweep     atomic.Uint32 // the bucket that is looked through next
	counts    [16]hitCount
}

// A bucket has the tokens whose tags are alike in their last bits.
type bucket [8]slot

type slot = atomic.Pointer[remembered]

// A hitCount is one of several, on a cache line of its own, so that cores which
// count at the same time do not wait for each other.
type hitCount struct {
	hits, misses atomic.Uint64
	_            [112]byte
}

// A remembered token is known by the bytes that were signed, compared one by one,
// and by the SHA-256 of its signature, since with the signature it could be used.
// To pass for it takes another signature with that SHA-256, a second preimage,
// which nobody can find. Tokens that an attacker chooses do not help: two that
// collide must both be signed by the issuer to matter. The tag only finds the
// entry: tags that collide push out tokens, and only tokens of the issuer get in.
//
// It is not changed once it is in the table, and holds on to nothing that has the
// token's signature, or that another may change.
type remembered struct {
	tag          uint64
	signingInput string
	signature    [sha256.Size]byte

	until    time.Time    // its time is over, leeway included
	lastUsed atomic.Int64 // in seconds
	size     int64

	issuer     *issuer
	algorithm  string
	keyID      string    // that the token names
	thumbprint string    // of the key that has verified it
	claims     ownClaims // copied for each request
	payload    payload   // of the claims
}

func newMemory(maxBytes int) *memory {
	// Half of what a token takes: so there are slots to spare, and it is the bytes
	// that run out.
	const perSlot = 1 << 10
	n := max(1, maxBytes/perSlot/len(bucket{}))
	return &memory{
		seed:     maphash.MakeSeed(),
		buckets:  make([]bucket, 1<<bits.Len(uint(n-1))),
		maxBytes: int64(maxBytes),
	}
}

// cut cuts a token into what was signed and the signature, both as they were
// written. What has another form than a token is cut into something that is not
// remembered.
func cut(token string) (signingInput, signature string) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	return token[:min(len(header)+1+len(payload), len(token))], signature
}

// digest returns the SHA-256 of a text.
func digest(text string) [sha256.Size]byte { return sha256.Sum256(view(text)) }

// view returns a text as bytes without copying it. They must not be changed.
func view(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// recall returns what is remembered of a token, nil where it is not known.
func (m *memory) recall(token string) *remembered {
	signingInput, signature := cut(token)
	tag := maphash.String(m.seed, signature)
	b := m.bucket(tag)
	for n := range b {
		if r := b[n].Load(); r != nil && r.is(tag, signingInput) && r.signature == digest(signature) {
			return r
		}
	}
	return nil
}

func (m *memory) bucket(tag uint64) *bucket { return &m.buckets[tag&uint64(len(m.buckets)-1)] }

func (r *remembered) is(tag uint64, signingInput string) bool {
	return r.tag == tag && r.signingInput == signingInput
}

// count counts a token that was known, or was not.
func (m *memory) count(known bool) {
	c := &m.counts[rand.Uint32()%uint32(len(m.counts))]
	if known {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
}

// entry returns what is to be remembered of a token that is good but for the
// user's own check; nil where there is no memory, or the token would push out too
// many.
func (m *memory) entry(i *inspection) *remembered {
	if m == nil {
		return nil
	}
	_, signature := cut(i.token)
	r := &remembered{
		tag:          maphash.String(m.seed, signature),
		signingInput: strings.Clone(i.form.SigningInput), // without the signature behind it
		signature:    digest(signature),
		issuer:       i.issuer,
		algorithm:    i.form.Algorithm,
		keyID:        i.form.KeyID,
		thumbprint:   i.key.Thumbprint(),
		until:        i.claims.Expiry.Add(i.issuer.leeway),
	}
	r.claims.copy(i.claims)
	r.claims.KeyID = "" // the issuer may rename its key
	// Nothing stays of the first request's claims, which its handler may fill with
	// anything.
	r.payload = *i.claims.payload
	r.claims.payload = &r.payload
	r.lastUsed.Store(i.now.Unix())
	if r.size = r.weigh(); r.size > m.maxBytes/8 {
		return nil
	}
	return r
}

// keep remembers an accepted token.
func (m *memory) keep(r *remembered, now time.Time) {
	if r == nil {
		return
	}
	m.put(r, now)
	// Entries whose time is over go as others come, and more than that where the
	// bytes are too many. A bucket that nobody has looked at for long is far from the
	// processor, so it is one bucket for several tokens.
	if m.kept.Add(1)%8 == 0 {
		m.clean(now, false)
	}
	for range m.buckets {
		if m.bytes.Load() <= m.maxBytes {
			break
		}
		m.clean(now, true)
	}
}

// put puts a token into its bucket: into its own slot, a free one, or that of the
// token that was used least recently.
func (m *memory) put(r *remembered, now time.Time) {
	b := m.bucket(r.tag)
	least, since := &b[0], int64(math.MaxInt64)
	for n := range b {
		there, used := b[n].Load(), int64(math.MinInt64)
		switch {
		case there == nil || there.isOver(now):
		case there.is(r.tag, r.signingInput):
			least, since = &b[n], used
		default:
			used = there.lastUsed.Load()
		}
		if used < since {
			least, since = &b[n], used
		}
	}
	m.entries.Add(1)
	m.bytes.Add(r.size)
	there := least.Swap(r)
	m.gone(there, there != nil && !there.is(r.tag, r.signingInput) && !there.isOver(now))
}

// gone counts a token, or nil, that was taken out of a slot.
func (m *memory) gone(r *remembered, evicted bool) {
	if r != nil {
		m.entries.Add(-1)
		m.bytes.Add(-r.size)
	}
	if evicted {
		m.evictions.Add(1)
	}
}

// clean looks through the next bucket: entries whose time is over go, and the one
// that was used least recently where there must be room.
func (m *memory) clean(now time.Time, makeRoom bool) {
	b := m.bucket(uint64(m.sweep.Add(1)))
	var least *slot
	var victim *remembered
	for n := range b {
		switch r := b[n].Load(); {
		case r == nil:
		case r.isOver(now):
			m.drop(&b[n], r, false)
		case victim == nil || r.lastUsed.Load() < victim.lastUsed.Load():
			least, victim = &b[n], r
		}
	}
	if makeRoom && victim != nil {
		m.drop(least, victim, true)
	}
}

// drop takes a token out of a slot, unless another is there by now.
func (m *memory) drop(s *slot, r *remembered, evicted bool) {
	if s.CompareAndSwap(r, nil) {
		m.gone(r, evicted)
	}
}

// isOver reports whether the token's time is over.
func (r *remembered) isOver(now time.Time) bool { return !now.Before(r.until) }

// weigh returns about how many bytes the token takes, rather too many than too
// few.
func (r *remembered) weigh() int64 {
	decoded := len(r.signingInput) * 3 / 4
	texts := r.claims.Scope.Len() + len(r.claims.Audience) + len(r.claims.AMR)
	return int64(unsafe.Sizeof(*r)) + int64(len(r.signingInput)) +
		2*int64(decoded) + // once more for what was escaped
		2*int64(unsafe.Sizeof(""))*int64(texts) +
		r.claims.payload.object.Size()
}

func (m *memory) status() MemoryStatus {
	s := MemoryStatus{Evictions: m.evictions.Load(), Entries: m.entries.Load(), Bytes: m.bytes.Load()}
	for n := range m.counts {
		s.Hits += m.counts[n].hits.Load()
		s.Misses += m.counts[n].misses.Load()
	}
	return s
}

// recall looks for the token in the validator's memory and, where it is known, at
// what may have changed since it was accepted: its issuer's keys, the time, and
// what the user's own check says. It reports false where it is not known, or where
// the key that had verified it is not the issuer's any more: then another may be.
func (i *inspection) recall(ctx context.Context) (known bool, _ error) {
	m := i.validator.memory
	if m == nil || len(i.token) > i.validator.maxSize {
		return false, nil
	}
	r := m.recall(i.token)
	if r == nil {
		m.count(false)
		return false, nil
	}
	i.issuer = r.issuer
	i.form.Algorithm, i.form.KeyID = r.algorithm, r.keyID
	err := i.findKeys(ctx)
	known = err != nil || i.hasKey(r.thumbprint)
	m.count(known)
	if err != nil || !known {
		return known, err
	}
	i.now, i.claims = time.Now(), r.claims.clone()
	i.claims.KeyID = i.key.ID()
	i.claims.fromMemory = true
	if err := i.checkTimes(ctx); err != nil {
		return true, err
	}
	// Once in a second, since it is shared by all cores. Where all tokens are known,
	// this is what cleans up.
	if now := i.now.Unix(); r.lastUsed.Load() != now {
		r.lastUsed.Store(now)
		m.clean(i.now, false)
	}
	return true, i.ask(ctx)
}

// hasKey reports whether the key is among those that may have signed. Keys are made
// anew with each fetch, so it is known by its thumbprint (RFC 7638).
func (i *inspection) hasKey(thumbprint string) bool {
	for _, key := range i.keys {
		if key != nil && key.Algorithm() == i.form.Algorithm && key.Thumbprint() == thumbprint {
			i.key = key
			return true
		}
	}
	return false
}
