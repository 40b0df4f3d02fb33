package claims

import (
	"hash/maphash"
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
func (v *Validator) Slots() int { return len(v.memory.buckets) * len(bucket{}) }

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

// Collide has every remembered token found by the tag of that signature, as if
// somebody had found two signatures with one tag.
func (v *Validator) Collide(signature string) {
	m := v.memory
	tag := maphash.String(m.seed, signature)
	for _, s := range m.slots() {
		if r := s.Swap(nil); r != nil {
			r.tag = tag
			m.bucket(tag)[0].Store(r)
		}
	}
}

func (m *memory) slots() []*slot {
	var all []*slot
	for n := range m.buckets {
		for s := range m.buckets[n] {
			all = append(all, &m.buckets[n][s])
		}
	}
	return all
}

// Unmarked returns a copy of claims that does not tell whether they are from the
// memory.
func (c *Claims) Unmarked() *Claims {
	if c == nil {
		return nil
	}
	copied := *c
	copied.fromMemory = false
	return &copied
}

// Clean looks through the whole memory, as requests at that moment would bit by bit.
func (v *Validator) Clean(now time.Time) {
	for range v.memory.buckets {
		v.memory.clean(now, false)
	}
}
