package claims

import (
	"strings"
	"sync/atomic"
	"time"
)

// WithSmallMemory is [WithMemory] without its lower bound, so that a test can fill it.
func WithSmallMemory(bytes int) Option {
	return Option{func(v *Validator) error {
		v.memory = newMemory(bytes)
		return nil
	}}
}

// Slots returns how many tokens fit into the table.
func (v *Validator) Slots() int { return len(v.memory.buckets) * len(bucket{}.slots) }

// Remembered returns the claims of the remembered tokens, for a test to change.
func (v *Validator) Remembered() []*Claims {
	var all []*Claims
	for _, s := range v.memory.slots() {
		if r := s.Load(); r != nil {
			all = append(all, &r.claims.Claims)
		}
	}
	return all
}

// Collide has every remembered token found by the tag of that token, as if somebody
// had found two with one tag.
func (v *Validator) Collide(token string) {
	m := v.memory
	tag := m.tag(token)
	for _, s := range m.slots() {
		if r := s.Swap(nil); r != nil {
			r.tag = tag
			m.put(r, time.Now())
		}
	}
}

func (m *memory) slots() []*atomic.Pointer[remembered] {
	var all []*atomic.Pointer[remembered]
	for n := range m.buckets {
		for s := range m.buckets[n].slots {
			all = append(all, &m.buckets[n].slots[s])
		}
	}
	return all
}

// Clean looks through the whole memory, as requests at that moment would bit by bit.
func (v *Validator) Clean(now time.Time) {
	for range v.memory.buckets {
		v.memory.clean(now, false)
	}
}

// Recall reports whether a token is found.
func (v *Validator) Recall(token string) bool { r, _ := v.memory.find(token); return r != nil }

// Tag finds a token, or not.
func (v *Validator) Tag(token string) uint64 { return v.memory.tag(token) }

// Matches looks at the only token that is remembered, once it is found.
func (v *Validator) Matches(token string) bool {
	for _, s := range v.memory.slots() {
		if r := s.Load(); r != nil {
			return v.memory.matches(r, token)
		}
	}
	return false
}

// Clone returns a copy of the request's own, as a known token gives one.
func (c *Claims) Clone() *Claims { return c.clone() }

// Plant remembers tokens as if they said what the one says that is remembered.
func (v *Validator) Plant(tokens []string) {
	m := v.memory
	var like *remembered
	for _, s := range m.slots() {
		if r := s.Load(); r != nil {
			like = r
		}
	}
	for _, token := range tokens {
		signature := token[len(like.signed):]
		r := &remembered{
			tag: m.tag(token), signed: strings.Clone(like.signed),
			issuer: like.issuer, algorithm: like.algorithm, keyID: like.keyID, thumbprint: like.thumbprint,
			claims: like.claims, size: like.size,
		}
		m.gmac.Seal(r.seal[:0], nil, nil, view(signature))
		m.put(r, time.Now())
	}
}
