package claims

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	mathrand "math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/jwks"
)

// DefaultMemorySize is how many bytes a validator spends on remembering tokens that
// it has verified: 8 MiB, which is some 4,500 of them. See [WithMemory].
const DefaultMemorySize = 8 << 20

// minMemorySize has room for a few tokens of the largest usual size.
const minMemorySize = 64 << 10

// WithMemory bounds what the validator spends on remembering tokens that it has
// accepted, in bytes, in place of [DefaultMemorySize]. A token takes nearly two
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
	// Hits and Misses count the tokens that were known, and those that were not. A
	// token that is refused at first sight is a miss each time; one that is refused
	// since it was remembered, such as when it has expired, is a hit.
	Hits, Misses uint64

	// Evictions counts the tokens that were pushed out by others before their time
	// was over. There are a few before the memory is full, as tokens have the choice
	// of eight places each.
	Evictions uint64

	// Entries is how many tokens are remembered now, and Bytes about what they
	// take. Those that have expired go bit by bit, as others come.
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
	gmac     cipher.AEAD
	buckets  []bucket // a power of two
	maxBytes int64

	bytes     atomic.Int64
	entries   atomic.Int64
	evictions atomic.Uint64
	kept      atomic.Uint32 // how many tokens came in
	sweep     atomic.Uint32 // the bucket that is looked through next
	counts    [16]hitCount
}

// A bucket has the tokens whose tags are alike in their last bits. The marks tell enough
// of them that none need be looked at which is not wanted: each is far from the
// processor. Where two change a slot at once, the mark may be another token's than the one
// that is there, or that of none: then this token is not found, or is the first to go, and
// the bucket is as it should be again when others come.
type bucket struct {
	marks [8]atomic.Uint64
	slots [8]atomic.Pointer[remembered]
}

// mark returns the first half of a token's tag, and behind it when the token was last used,
// in seconds, of which half a number is enough until 2106. Zero is the mark of a free slot.
func mark(tag uint64, used time.Time) uint64 { return tag>>32<<32 | uint64(uint32(used.Unix())) }

func isMarkOf(tag, mark uint64) bool { return tag>>32 == mark>>32 }

// wasUsed returns the seconds of a mark.
func wasUsed(mark uint64) uint32 { return uint32(mark) }

// A hitCount is one of several, on a cache line of its own, so that cores which
// count at the same time do not wait for each other.
type hitCount struct {
	hits, misses atomic.Uint64
	_            [112]byte
}

// A remembered token is known by what was signed, compared byte by byte, and a seal of
// the rest, its signature: a GMAC (NIST SP 800-38D §3) under a key that the validator
// makes for itself. To pass for it takes another signature with the same seal; who
// chooses tokens and does not know the key finds one with a chance of less than 2^-116
// for each request (with 32 KiB of it; less with fewer). No seal leaves the memory, so
// nobody learns of the key, after however many tokens. The tag only finds the entry: tags
// that collide push out tokens, and only tokens of the issuer get in.
//
// It is not changed once it is in the table, and holds on to nothing that has the
// token's signature, or that another may change.
type remembered struct {
	// What is looked at when the token is pushed out stands together, in one line of the
	// processor's cache.
	tag   uint64
	until time.Time // its time is over, leeway included
	size  int64

	signed string // what was
	seal   [sealSize]byte

	issuer     *issuer
	algorithm  string
	keyID      string    // that the token names
	thumbprint string    // of the key that has verified it
	claims     ownClaims // shared by those who only read: see belief
	payload    payload   // of the claims
}

// sealSize is what a seal takes: a nonce of 96 bits and a tag of 128.
const sealSize = 12 + 16

func newMemory(maxBytes int) *memory {
	// Half of what a token takes: so there are slots to spare, and it is the bytes
	// that run out.
	const perSlot = 1 << 10
	n := max(1, maxBytes/perSlot/len(bucket{}.slots))
	return &memory{
		seed:     maphash.MakeSeed(),
		gmac:     newGMAC(),
		buckets:  make([]bucket, 1<<bits.Len(uint(n-1))),
		maxBytes: int64(maxBytes),
	}
}

// newGMAC returns a GMAC with a new key: AES in Galois/Counter mode that encrypts
// nothing. The nonces are the mode's own, since in FIPS 140-only mode it takes no others.
func newGMAC() cipher.AEAD {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err == nil {
		var gmac cipher.AEAD
		if gmac, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return gmac
		}
	}
	panic("claims: the memory of verified tokens: " + err.Error()) // not with a key of this size
}

// tag returns by what a token is found: a keyed hash of its end, which is as good as
// random, being a part of the signature.
func (m *memory) tag(token string) uint64 {
	return maphash.String(m.seed, token[max(0, len(token)-32):])
}

// view returns a text as bytes without copying it. They must not be changed.
func view(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// find returns what is remembered of a token, and its mark; nil where it is not known.
func (m *memory) find(token string) (*remembered, *atomic.Uint64) {
	tag := m.tag(token)
	b := m.bucket(tag)
	for n := range b.marks {
		if !isMarkOf(tag, b.marks[n].Load()) {
			continue
		}
		if r := b.slots[n].Load(); r != nil && m.matches(r, token) {
			return r, &b.marks[n]
		}
	}
	return nil, nil
}

// matches reports whether it is this token that is remembered.
func (m *memory) matches(r *remembered, token string) bool {
	signature, begins := strings.CutPrefix(token, r.signed)
	if !begins {
		return false
	}
	_, err := m.gmac.Open(nil, nil, r.seal[:], view(signature))
	return err == nil
}

func (m *memory) bucket(tag uint64) *bucket { return &m.buckets[tag&uint64(len(m.buckets)-1)] }

// count counts a token that was known, or was not.
func (m *memory) count(known bool) {
	c := &m.counts[mathrand.Uint32()%uint32(len(m.counts))]
	if known {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
}

// keep remembers an accepted token, unless it would push out too many.
func (m *memory) keep(i *inspection) {
	if m == nil {
		return
	}
	r, now := i.entry, i.now
	if r.size = r.weigh(len(i.form.SigningInput)); r.size > m.maxBytes/8 {
		return
	}
	r.signed = strings.Clone(i.form.SigningInput) // without the signature behind it
	r.tag = m.tag(i.token)
	r.until = r.claims.Expiry.Add(i.issuer.leeway)
	m.gmac.Seal(r.seal[:0], nil, nil, view(i.token[len(r.signed):]))
	r.issuer, r.algorithm, r.keyID, r.thumbprint = i.issuer, i.form.Algorithm, i.form.KeyID, i.key.Thumbprint()
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
// token that was used least recently, as one whose time is over will soon be. Where the
// bytes have run out, a free one is the last choice, so that a token of this bucket goes
// and no other need be looked at.
func (m *memory) put(r *remembered, now time.Time) {
	const (
		own   = -2
		free  = -1 // all others: the seconds of a mark
		spare = math.MaxUint32 + 1
		none  = spare + 1
	)
	full := m.bytes.Load()+r.size > m.maxBytes
	b := m.bucket(r.tag)
	best, rank := 0, int64(none)
	for n := range b.marks {
		var its int64
		switch there := b.marks[n].Load(); {
		case isMarkOf(r.tag, there):
			its = own
		case there != 0:
			its = int64(wasUsed(there))
		case full:
			its = spare
		default:
			its = free
		}
		if its < rank {
			best, rank = n, its
		}
	}
	m.entries.Add(1)
	m.bytes.Add(r.size)
	there := b.slots[best].Swap(r)
	b.marks[best].Store(mark(r.tag, now))
	m.gone(there, there != nil && there.tag != r.tag && !there.isOver(now))
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
	var victim *remembered
	least, since := 0, uint32(0)
	for n := range b.slots {
		used := wasUsed(b.marks[n].Load())
		switch r := b.slots[n].Load(); {
		case r == nil:
		case r.isOver(now):
			m.drop(b, n, r, false)
		case victim == nil || used < since:
			victim, least, since = r, n, used
		}
	}
	if makeRoom && victim != nil {
		m.drop(b, least, victim, true)
	}
}

// drop takes a token out of a slot, unless another is there by now. The mark of one that
// comes in the meantime stays.
func (m *memory) drop(b *bucket, n int, r *remembered, evicted bool) {
	its := b.marks[n].Load()
	if b.slots[n].CompareAndSwap(r, nil) {
		b.marks[n].CompareAndSwap(its, 0)
		m.gone(r, evicted)
	}
}

// isOver reports whether the token's time is over.
func (r *remembered) isOver(now time.Time) bool { return !now.Before(r.until) }

// weigh returns about how many bytes the token takes of which so many were signed, rather
// too many than too few. It holds on to all that was decoded of them.
func (r *remembered) weigh(signed int) int64 {
	decoded := int64(signed) * 3 / 4
	texts := r.claims.Scope.Len() + len(r.claims.Audience) + len(r.claims.AMR)
	return int64(unsafe.Sizeof(*r)) + int64(signed) +
		2*decoded + // once more for what was escaped
		2*int64(unsafe.Sizeof(""))*int64(texts) +
		r.payload.object.Size()
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
// what may have changed since it was accepted: its issuer's keys, the time, and what
// the user's own check says. It is not known any more where the key that had verified it
// is not the issuer's. The keys that may have signed are returned too, if they were asked
// for.
func (v *Validator) recall(ctx context.Context, token string) (belief, []*jwks.Key, error) {
	m := v.memory
	if m == nil || len(token) > v.maxSize {
		return belief{}, nil, nil
	}
	r, itsMark := m.find(token)
	if r == nil {
		m.count(false)
		return belief{}, nil, nil
	}
	i := inspection{validator: v, issuer: r.issuer}
	i.form.Algorithm, i.form.KeyID = r.algorithm, r.keyID
	err := i.findKeys(ctx)
	known := err != nil || i.hasKey(r.thumbprint)
	m.count(known)
	if err != nil || !known {
		return belief{}, i.keys, err
	}
	i.claims = &r.claims.Claims
	i.lookAtClock()
	if err := i.checkTimes(ctx); err != nil {
		return belief{}, nil, err
	}
	// Once in a second, since it is shared by all cores. Where all tokens are known,
	// this is what cleans up.
	if now, was := mark(r.tag, i.now), itsMark.Load(); was != now && isMarkOf(r.tag, was) {
		itsMark.CompareAndSwap(was, now)
		m.clean(i.now, false)
	}
	// The issuer may have given its key another ID. A check that changes claims is
	// wrong, but must do no harm to others.
	shared := i.key.ID() == r.claims.KeyID && i.issuer.check == nil
	if !shared {
		i.claims = r.claims.clone()
		i.claims.KeyID = i.key.ID()
	}
	if err := i.ask(ctx); err != nil {
		return belief{}, nil, err
	}
	return belief{claims: i.claims, shared: shared, known: true}, nil, nil
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
