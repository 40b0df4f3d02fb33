package claims_test

import (
	"container/list"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"hash/maphash"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

// What a token costs that is known, and its parts; and beside them what it would
// cost to know tokens in other ways. Compare within one run, interleaved:
//
//	go test -run '^$' -bench Hit -count 10 -cpu 1,2 ./claims | benchstat -

// usualToken is of a usual size, some 800 bytes.
func usualToken(n int) string {
	return sign(`{"alg":"RS256","typ":"JWT","kid":"key-1"}`, payload(set{
		"sub": fmt.Sprintf("auth0|%024d", n), "aud": []string{audience, "https://my-domain.auth0.com/userinfo"},
		"azp": "my_client_id_my_client_id_my_cli", "scope": "openid profile email read:patients write:patients",
		"permissions": []string{"read:patients"},
	}))
}

func BenchmarkHit(b *testing.B) {
	v, token := newValidator(b), usualToken(0)
	c, err := v.Validate(b.Context(), token)
	require.NoError(b, err)
	source := trustedSource(b)
	ctx := context.Background()
	parts := []struct {
		name string
		run  func()
	}{
		{"whole", func() { _, _ = v.Validate(ctx, token) }},
		{"recall", func() { v.Recall(token) }},
		{"recall/tag", func() { v.Tag(token) }},
		{"recall/match", func() { v.Matches(token) }},
		{"keys", func() { _, _ = source.Keys(ctx, "RS256", kid) }},
		{"now", func() { now = time.Now() }},
		{"claims", func() { c.Clone() }},
	}
	for _, part := range parts {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				part.run()
			}
		})
	}
	b.Run("unknown", func(b *testing.B) {
		unknown := token[:len(token)-1]
		for b.Loop() {
			v.Recall(unknown)
		}
	})
	b.Run("first sight", func(b *testing.B) {
		v := newValidator(b, claims.WithoutMemory())
		for b.Loop() {
			_, _ = v.Validate(ctx, token)
		}
	})
}

// By what a token could be known. The last is not for who has a token and wants to pass
// with an altered one: its author does not call it collision-resistant.
func BenchmarkHitSeal(b *testing.B) {
	token := usualToken(0)
	input, signature := cut(token)
	remembered := strings.Clone(input)
	view := func(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	seeds := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	macs := sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}
	block, err := aes.NewCipher(secret)
	require.NoError(b, err)
	gmac, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(b, err)
	ofToken, ofSignature := gmac.Seal(nil, nil, nil, view(token)), gmac.Seal(nil, nil, nil, view(signature))
	var sum [32]byte
	ways := []struct {
		name string
		run  func()
	}{
		{"GMAC of the token", func() { _, _ = gmac.Open(nil, nil, ofToken, view(token)) }},
		{"GMAC of the signature", func() { _, _ = gmac.Open(nil, nil, ofSignature, view(signature)); same = input == remembered }},
		{"SHA-256 of the signature", func() { sum = sha256.Sum256(view(signature)); same = input == remembered }},
		{"SHA-512,256 of the signature", func() { sum = sha512.Sum512_256(view(signature)); same = input == remembered }},
		{"SHA-256 of the token", func() { sum = sha256.Sum256(view(token)) }},
		{"HMAC-SHA-256 of the token", func() {
			mac := macs.Get().(hash.Hash)
			mac.Reset()
			_, _ = mac.Write(view(token))
			mac.Sum(sum[:0])
			macs.Put(mac)
		}},
		{"maphash of the token, twice", func() { tags = [2]uint64{maphash.String(seeds[0], token), maphash.String(seeds[1], token)} }},
	}
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				way.run()
			}
		})
	}
	_ = sum
}

// cut cuts a token into what was signed and the signature.
func cut(token string) (signingInput, signature string) {
	dot := strings.LastIndexByte(token, '.')
	return token[:dot], token[dot+1:]
}

var (
	same bool
	tags [2]uint64
	now  time.Time
)

// BenchmarkHitAtOnce has all cores ask for one token, or each for another of many.
// Beside the memory stands what is usually taken: maps in shards, each with a lock
// and a list of what was used last.
func BenchmarkHitAtOnce(b *testing.B) {
	const tokens = 100_000
	for _, many := range []int{1, tokens} {
		v, shards := newValidator(b, claims.WithMemory(512<<20)), &lockedShards{}
		made := make([]string, many)
		made[0] = usualToken(0)
		_, err := v.Validate(b.Context(), made[0])
		require.NoError(b, err)
		input, _ := cut(made[0])
		for n := range made {
			if n > 0 { // to sign so many takes minutes
				signature := make([]byte, 256)
				_, _ = rand.Read(signature)
				made[n] = input + "." + encode(string(signature))
			}
			shards.put(made[n])
		}
		v.Plant(made[1:])
		ways := []struct {
			name string
			run  func(string)
		}{
			{"memory", func(token string) { v.Recall(token) }},
			{"shards", func(token string) { shards.recall(token) }},
			{"whole", func(token string) { _, _ = v.Validate(context.Background(), token) }},
		}
		for _, way := range ways {
			b.Run(fmt.Sprintf("tokens=%d/%s", many, way.name), func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for n := mathrand.IntN(many); pb.Next(); n = (n + 7919) % many {
						way.run(made[n])
					}
				})
			})
		}
	}
}

// lockedShards are maps in shards, each with a lock and a list.
type lockedShards [64]struct {
	mu     sync.Mutex
	byTag  map[uint64]*list.Element
	latest list.List
	_      [64]byte
}

type lockedEntry struct {
	signingInput string
	signature    [sha256.Size]byte
}

var shardSeed = maphash.MakeSeed()

func (l *lockedShards) put(token string) {
	input, signature := cut(token)
	tag := maphash.String(shardSeed, signature)
	s := &l[tag%uint64(len(l))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byTag == nil {
		s.byTag = map[uint64]*list.Element{}
	}
	s.byTag[tag] = s.latest.PushFront(&lockedEntry{strings.Clone(input), sha256.Sum256([]byte(signature))})
}

func (l *lockedShards) recall(token string) bool {
	input, signature := cut(token)
	tag := maphash.String(shardSeed, signature)
	e := l.find(tag)
	return e != nil && e.signingInput == input && e.signature == sha256.Sum256([]byte(signature))
}

func (l *lockedShards) find(tag uint64) *lockedEntry {
	s := &l[tag%uint64(len(l))]
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byTag[tag]
	if found == nil {
		return nil
	}
	s.latest.MoveToFront(found)
	return found.Value.(*lockedEntry)
}
