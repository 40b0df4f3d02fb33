package claims

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
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
	sweep     atomic.Uint32 // the bucket that is looked through next
	counts    [16]hitCount
}

// A bucket has the tokens whose tags are alike in their last bits.
type bucket [8]atomic.Pointer[remembered]

// A hitCount is one of several, on a cache line of its own, so that cores which
// count at the same time do not wait for each other.
type hitCount struct {
	hits, misses atomic.Uint64
	_            [112]byte
}

// A remembered token is known by the bytes that were signed, compared one by one,
// and by the SHA-256 of its signature, since with the signature it could be used.
// Whoever has no token with these claims needs a preimage of that to pass for it.
// Whoever has one could look for a collision, and would have found another way to
// write what he may do anyhow. The tag only finds the entry: tags that collide push
// out tokens, and only tokens of the issuer get in.
type remembered struct {
	tag          uint64
	signingInput string
	signature    [sha256.Size]byte

	issuer     *issuer
	algorithm  string
	keyID      string    // that the token names
	thumbprint string    // of the key that has verified it
	claims     ownClaims // copied for each request

	size     int64
	lastUsed atomic.Int64 // in seconds
}

func newMemory(maxBytes int) *memory {
	const typical = 2 << 10 // of a token, by which the slots are counted
	n := max(1, maxBytes/typical/len(bucket{}))
	return &memory{
		seed:     maphash.MakeSeed(),
		buckets:  make([]bucket, 1<<bits.Len(uint(n-1))),
		maxBytes: int64(maxBytes),
	}
}

// cut cuts a token into what was signed and the signature, both as they were
// written. Any token that is remembered has two dots, and so has what is cut here
// if it is the same.
func cut(token string) (signingInput, signature string) {
	first := strings.IndexByte(token, '.')
	second := first + 1 + strings.IndexByte(token[first+1:], '.')
	if first < 0 || second <= first {
		return "", ""
	}
	return token[:second], token[second+1:]
}

// digest returns the SHA-256 of a text.
func digest(text string) [sha256.Size]byte { return sha256.Sum256(view(text)) }

// view returns a text as bytes without copying it. They must not be changed.
func view(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// recall returns what is remembered of a token, nil where it is not known.
func (m *memory) recall(token string) *remembered {
	signingInput, signature := cut(token)
	count := &m.counts[rand.Uint32()%uint32(len(m.counts))]
	if signature != "" {
		tag := maphash.String(m.seed, signature)
		b := m.bucket(tag)
		for i := range b {
			r := b[i].Load()
			if r != nil && r.tag == tag && r.signingInput == signingInput && r.signature == digest(signature) {
				count.hits.Add(1)
				return r
			}
		}
	}
	count.misses.Add(1)
	return nil
}

func (m *memory) bucket(tag uint64) *bucket { return &m.buckets[tag&uint64(len(m.buckets)-1)] }

// keep remembers an accepted token.
func (m *memory) keep(i *inspection) {
	_, signature := cut(i.token)
	r := &remembered{
		tag:          maphash.String(m.seed, signature),
		signingInput: strings.Clone(i.form.SigningInput), // without the signature behind it
		signature:    digest(signature),
		issuer:       i.issuer,
		algorithm:    i.form.Algorithm,
		keyID:        i.form.KeyID,
		thumbprint:   i.key.Thumbprint(),
	}
	r.claims.copy(i.claims)
	r.size = r.weigh()
	r.lastUsed.Store(i.now.Unix())
	if r.size > m.maxBytes/8 {
		return // it would push out too many
	}
	b := m.bucket(r.tag)
	m.put(&b[b.victim(r, i.now)], r, i.now)
	// Entries whose time is over go as others come, and more than that where the
	// bytes are too many.
	m.clean(i.now, false)
	for range m.buckets {
		if m.bytes.Load() <= m.maxBytes {
			break
		}
		m.clean(i.now, true)
	}
}

// victim returns the slot for a token: its own, a free one, or that of the one that
// was used least recently.
func (b *bucket) victim(r *remembered, now time.Time) int {
	oldest, since := 0, int64(-1)
	for i := range b {
		there := b[i].Load()
		if there == nil || there.isOver(now) || (there.tag == r.tag && there.signingInput == r.signingInput) {
			return i
		}
		if used := there.lastUsed.Load(); since < 0 || used < since {
			oldest, since = i, used
		}
	}
	return oldest
}

// put puts a token, or nil, into a slot.
func (m *memory) put(slot *atomic.Pointer[remembered], r *remembered, now time.Time) {
	if r != nil {
		m.entries.Add(1)
		m.bytes.Add(r.size)
	}
	m.gone(slot.Swap(r), now)
}

// gone counts what was taken out of a slot.
func (m *memory) gone(r *remembered, now time.Time) {
	if r == nil {
		return
	}
	m.entries.Add(-1)
	m.bytes.Add(-r.size)
	if !r.isOver(now) {
		m.evictions.Add(1)
	}
}

// clean looks through the next bucket: entries whose time is over go, and the one
// that was used least recently where there must be room.
func (m *memory) clean(now time.Time, makeRoom bool) {
	b := m.bucket(uint64(m.sweep.Add(1)))
	var oldest *atomic.Pointer[remembered]
	var victim *remembered
	for i := range b {
		switch r := b[i].Load(); {
		case r == nil:
		case r.isOver(now):
			m.drop(&b[i], r, now)
		case oldest == nil || r.lastUsed.Load() < victim.lastUsed.Load():
			oldest, victim = &b[i], r
		}
	}
	if makeRoom && oldest != nil {
		m.drop(oldest, victim, now)
	}
}

// drop takes a token out of a slot, unless another is there by now.
func (m *memory) drop(slot *atomic.Pointer[remembered], r *remembered, now time.Time) {
	if slot.CompareAndSwap(r, nil) {
		m.gone(r, now)
	}
}

// forget takes a token out.
func (m *memory) forget(r *remembered, now time.Time) {
	b := m.bucket(r.tag)
	for i := range b {
		m.drop(&b[i], r, now)
	}
}

// isOver reports whether the token's time is over.
func (r *remembered) isOver(now time.Time) bool {
	return !now.Before(r.claims.Expiry.Add(r.issuer.leeway))
}

// weigh returns about how many bytes the token takes.
func (r *remembered) weigh() int64 {
	const perMember, rest = int64(unsafe.Sizeof(strictjson.Member{})), 512
	size := int64(unsafe.Sizeof(*r)) + int64(len(r.signingInput)) + rest
	if p := r.claims.payload; p != nil {
		size += int64(len(p.object.JSON())) + 2*perMember*int64(len(p.object.Members()))
	}
	return size
}

func (m *memory) status() MemoryStatus {
	s := MemoryStatus{Evictions: m.evictions.Load(), Entries: m.entries.Load(), Bytes: m.bytes.Load()}
	for i := range m.counts {
		s.Hits += m.counts[i].hits.Load()
		s.Misses += m.counts[i].misses.Load()
	}
	return s
}

// validateAgain looks at what may have changed about a token since it was accepted:
// its issuer's keys, the time, and what the user's own check says. It reports false
// where the key that had verified it is not the issuer's any more: then another may
// be.
func (v *Validator) validateAgain(ctx context.Context, r *remembered) (*Claims, error, bool) {
	i := inspection{validator: v, issuer: r.issuer}
	i.form.Algorithm, i.form.KeyID = r.algorithm, r.keyID
	if err := i.findKeys(ctx); err != nil {
		return nil, err, true
	}
	if !i.hasKey(r.thumbprint) {
		v.memory.forget(r, time.Now())
		return nil, nil, false
	}
	i.now, i.claims = time.Now(), r.claims.clone()
	i.claims.KeyID = i.key.ID()
	i.claims.fromMemory = true
	if err := i.checkTimes(ctx); err != nil {
		if r.isOver(i.now) {
			v.memory.forget(r, i.now)
		}
		return nil, err, true
	}
	if now := i.now.Unix(); r.lastUsed.Load() != now { // seldom, since it is shared
		r.lastUsed.Store(now)
	}
	if err := i.ask(ctx); err != nil {
		return nil, err, true
	}
	return i.claims, nil, true
}

// hasKey reports whether the key is among those that may have signed. Keys are made
// anew with each fetch, so it is known by its thumbprint (RFC 7638).
func (i *inspection) hasKey(thumbprint string) bool {
	at := slices.IndexFunc(i.keys, func(key *jwks.Key) bool {
		return key != nil && key.Algorithm() == i.form.Algorithm && key.Thumbprint() == thumbprint
	})
	if at < 0 {
		return false
	}
	i.key = i.keys[at]
	return true
}
