package claims_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// A validator with a memory and one without must give the same answer to the same
// request at the same moment, whatever has happened before. So two of them live
// through the same story, which is told by bytes: random ones in the test below,
// and what the fuzzer thinks of.
//
// Each has a Remote of its own, which asks the same issuer at the same times: were
// it one, the first validator's question would change what the second is told.
// They are asked side by side, since asking takes time where the issuer hangs. And
// that both have fetched equally often is part of the answer.

func TestMemoryChangesNoAnswer(t *testing.T) {
	const stories = 200
	seen := &census{did: map[string]int{}}
	for seed := range uint64(stories) {
		random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
		script := make([]byte, 240)
		_, _ = random.Read(script)
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { tellStory(t, script, seen) }) {
			return // one is enough
		}
	}
	t.Logf("%d stories, %+v", stories, seen)
	require.Greater(t, seen.hits, uint64(stories), "the memory was hardly asked")
	require.Greater(t, seen.evictions, uint64(stories)/4, "the memory was hardly full")
	require.Greater(t, seen.accepted, stories)
	for _, sentinel := range []error{
		claims.ErrMalformed, claims.ErrUnknownKey, claims.ErrSignature, claims.ErrAudience, claims.ErrExpired,
		claims.ErrNotYetValid, claims.ErrRefused, claims.ErrUnavailable, jwks.ErrUnavailable, errRevoked,
	} {
		require.NotZero(t, seen.did[sentinel.Error()], "no answer was: %v", sentinel)
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 1, 0})
	f.Add([]byte("a token, a rotation, a token, an outage, a token: \x00\x00\x01\x00\x05\x00\x01\x00\x09\x00\x01\x00"))
	for seed := range byte(8) {
		script := make([]byte, 120)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(script)
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		tellStory(t, script[:min(len(script), 400)], &census{did: map[string]int{}})
	})
}

// A census counts what happened, lest a test be content with nothing.
type census struct {
	accepted        int
	hits, evictions uint64
	did             map[string]int
}

var errRevoked = errors.New("it is revoked")

// A story is what happens to two validators.
type story struct {
	t      *testing.T
	script *bytes.Reader
	told   []string // for who wants to know how it came to that
	seen   *census

	issuer *keyServer
	both   [2]*claims.Validator // with a memory and without
	ask    string               // how the user's own check is minded

	keys   []*storyKey // all that there were
	tokens []storyToken
	minted int
}

// A storyToken is a token that may come again.
type storyToken struct {
	text   string
	expiry time.Time
}

// tellStory fails the test where the two are not of one mind, and tells how it came
// to that.
func tellStory(t *testing.T, script []byte, seen *census) {
	synctest.Test(t, func(t *testing.T) {
		s := &story{t: t, script: bytes.NewReader(script), seen: seen, issuer: &keyServer{}, ask: "accept"}
		defer func() {
			if t.Failed() {
				t.Logf("the story:\n%s", strings.Join(s.told, "\n"))
			}
		}()
		s.begin()
		for s.script.Len() > 0 && !t.Failed() {
			s.goOn()
		}
		s.end()
	})
}

// pick returns a number below n that the script chooses, 0 where it is over.
func (s *story) pick(n int) int {
	if n == 0 {
		return 0
	}
	b, _ := s.script.ReadByte()
	return int(b) % n
}

func (s *story) tell(format string, args ...any) {
	s.told = append(s.told, time.Since(epoch).String()+" "+fmt.Sprintf(format, args...))
}

// epoch is when bubbles begin.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *story) begin() {
	memory := [...]int{14 << 10, 20 << 10, 256 << 10}[s.pick(3)]
	s.tell("a memory of %d bytes", memory)
	s.addKey()
	for n := range s.both {
		remote, err := jwks.NewRemote(jwks.Config{
			URL:    "https://issuer.example/jwks",
			Client: &http.Client{Transport: s.issuer.counting(n)},
			Jitter: jwks.NoJitter,
		})
		require.NoError(s.t, err)
		option := claims.WithSmallMemory(memory)
		if n == 1 {
			option = claims.WithoutMemory()
		}
		s.both[n], err = claims.NewValidator(claims.Config{
			Issuer: issuer, Audience: audience, Keys: remote, Algorithms: []string{"EdDSA", "ES256"}, Check: s.check,
		}, option)
		require.NoError(s.t, err)
	}
}

func (s *story) end() {
	s.issuer.release()
	time.Sleep(time.Minute) // until nobody fetches any more
	status := s.both[0].Memory()
	s.seen.hits += status.Hits
	s.seen.evictions += status.Evictions
	require.Zero(s.t, s.both[1].Memory())
}

// check is the user's own. It breaks its contract by changing claims: the memory
// must not make that worse.
func (s *story) check(_ context.Context, c *claims.Claims) error {
	c.TokenID += " checked"
	switch s.ask {
	case "refuse":
		return errRevoked
	case "refuse every other":
		if len(c.Subject)%2 == 0 {
			return errRevoked
		}
	case "unavailable":
		return fmt.Errorf("the list cannot be reached: %w", claims.ErrUnavailable)
	case "give up":
		return context.DeadlineExceeded
	}
	return nil
}

// goOn tells the next thing that happens.
func (s *story) goOn() {
	switch what := s.pick(32); what {
	default: // a token comes again
		if len(s.tokens) > 0 {
			s.present(s.tokens[s.pick(len(s.tokens))].text, s.pick(32))
			return
		}
		s.mint()
	case 0, 1, 2, 3, 4:
		s.mint()
	case 5, 6:
		s.forge()
	case 7:
		s.tell("a key is added")
		s.addKey()
	case 8:
		if n := len(s.issuer.keys); n > 1 || n == 1 && s.pick(4) == 0 {
			s.tell("the oldest key is removed")
			s.issuer.keys = slices.Delete(slices.Clone(s.issuer.keys), 0, 1)
		}
	case 9:
		s.replaceKey()
	case 10:
		if key := s.keys[s.pick(len(s.keys))]; !slices.Contains(s.issuer.keys, key) {
			s.tell("key %s is back", key.id)
			s.issuer.keys = append(slices.Clone(s.issuer.keys), key)
		}
	case 11:
		s.issuer.mood = [...]string{"", "", "", "", "down", "garbled", "empty"}[s.pick(7)]
		s.tell("the issuer is now: %q", s.issuer.mood)
	case 12:
		if s.pick(4) == 0 {
			s.tell("the issuer hangs")
			s.issuer.hang()
		} else {
			s.tell("the issuer goes on")
			s.issuer.release()
		}
	case 13, 14, 15:
		steps := [...]time.Duration{
			time.Nanosecond, time.Second, 2 * time.Second, 10 * time.Second, 29 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
			6 * time.Minute, 10 * time.Minute, 10 * time.Minute, 15 * time.Minute, 16 * time.Minute, time.Hour, 25 * time.Hour,
		}
		time.Sleep(steps[s.pick(len(steps))])
		s.tell("later")
	case 16, 17:
		s.sleepToEdge()
	case 18, 19:
		s.ask = [...]string{"accept", "accept", "accept", "refuse every other", "refuse every other", "refuse", "unavailable", "give up"}[s.pick(8)]
		s.tell("the check is to %s", s.ask)
	case 20:
		if len(s.tokens) > 0 {
			s.explain(s.tokens[s.pick(len(s.tokens))].text)
		}
	case 21:
		s.tell("a crowd")
		for range 12 {
			s.mint()
		}
	}
}

// mint makes a token and presents it.
func (s *story) mint() {
	key := s.keys[len(s.keys)-1]
	if s.pick(8) > 0 && len(s.issuer.keys) > 0 {
		key = s.issuer.keys[s.pick(len(s.issuer.keys))]
	}
	lives := [...]time.Duration{
		time.Hour, 2 * time.Hour, 3 * time.Hour, 24 * time.Hour, 10 * time.Minute, time.Minute, time.Second, 0, -29 * time.Second, -30 * time.Second, -31 * time.Second, 1500 * time.Millisecond,
	}
	expiry := time.Now().Add(lives[s.pick(len(lives))])
	s.minted++
	members := set{
		"iss": issuer, "aud": audience, "sub": strings.Repeat("u", 1+s.minted%3), "scope": "a b", "amr": []string{"pwd"},
		"exp": json.Number(fmt.Sprintf("%d.%06d", expiry.Unix(), expiry.Nanosecond()/1000)),
		"jti": fmt.Sprint(s.minted),
	}
	header := set{"alg": key.algorithm, "kid": key.id, "typ": "at+jwt"}
	kind := s.pick(40)
	switch kind {
	case 0:
		members["nbf"] = time.Now().Add(29 * time.Second).Unix()
	case 1:
		members["nbf"] = time.Now().Add(31 * time.Second).Unix()
	case 2:
		members["iat"] = time.Now().Add(2 * time.Minute).Unix()
	case 3:
		members["aud"] = "another"
	case 4:
		members["aud"] = []string{"x", audience, "y"}
	case 5:
		delete(header, "kid")
	case 6:
		members["cnf"] = set{"jkt": "x"}
	case 7:
		header["typ"] = "logout+jwt"
	case 8:
		members["iss"] = "https://evil.example/"
	case 9:
		header["kid"] = "nobody"
	case 10:
		members["x"] = strings.Repeat("x", 3000) // too large for a small memory
	case 11:
		header["alg"] = map[string]string{"EdDSA": "ES256", "ES256": "EdDSA"}[key.algorithm]
	case 12:
		delete(members, "exp")
	}
	text := func(members set) string {
		text, err := json.Marshal(members)
		require.NoError(s.t, err)
		return encode(string(text))
	}
	input := text(header) + "." + text(members)
	token := input + "." + base64.RawURLEncoding.EncodeToString(key.sign(input))
	s.tell("token %d is of key %s, kind %d", len(s.tokens), key.id, kind)
	expiry = time.UnixMicro(expiry.UnixMicro())
	if len(s.tokens) < 24 {
		s.tokens = append(s.tokens, storyToken{token, expiry})
	} else {
		s.tokens[s.minted%len(s.tokens)] = storyToken{token, expiry}
	}
	s.present(token, 0)
	if s.pick(2) == 0 {
		s.present(token, 0)
	}
}

// forge presents what somebody makes of tokens that were seen.
func (s *story) forge() {
	if len(s.tokens) == 0 {
		return
	}
	one := strings.Split(s.tokens[s.pick(len(s.tokens))].text, ".")
	other := strings.Split(s.tokens[s.pick(len(s.tokens))].text, ".")
	how := s.pick(9)
	s.tell("forged, kind %d", how)
	flip := func(text string) string {
		at := s.pick(len(text))
		return text[:at] + string(text[at]^1) + text[at+1:]
	}
	forged := [...]func() string{
		func() string { return one[0] + "." + one[1] + "." + other[2] },
		func() string { return one[0] + "." + other[1] + "." + one[2] },
		func() string { return other[0] + "." + one[1] + "." + one[2] },
		func() string { return flip(one[0]) + "." + one[1] + "." + one[2] },
		func() string { return one[0] + "." + flip(one[1]) + "." + one[2] },
		func() string { return one[0] + "." + one[1] + "." + flip(one[2]) },
		func() string { return one[0] + "." + one[1] + "." },
		func() string { return strings.Join(one, ".") + [...]string{".", "=", "\n", "A"}[s.pick(4)] },
		func() string { return one[0] + "." + one[1] + "." + otherHalf(one[2]) }, // as good as the first
	}[how]()
	s.present(forged, 0)
	s.present(forged, 0)
}

// otherHalf returns the other signature that ECDSA takes for the same, where it is
// one of ECDSA: with n-s in the place of s.
func otherHalf(signature string) string {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		return signature
	}
	half := new(big.Int).SetBytes(raw[32:])
	half.Mod(half.Sub(elliptic.P256().Params().N, half), elliptic.P256().Params().N)
	half.FillBytes(raw[32:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

// sleepToEdge sleeps to the end of a token's time.
func (s *story) sleepToEdge() {
	if len(s.tokens) == 0 {
		return
	}
	n := s.pick(len(s.tokens))
	edge := s.tokens[n].expiry.Add(30*time.Second + [...]time.Duration{-1, 0, 1}[s.pick(3)])
	if wait := time.Until(edge); wait > 0 {
		time.Sleep(wait)
	}
	s.tell("at the edge of token %d", n)
	s.present(s.tokens[n].text, 0)
}

// An answer is what a validator says, and what it took.
type answer struct {
	claims  *claims.Claims
	err     string
	is      []error
	took    time.Duration
	fetches int
}

// present presents a token to both.
func (s *story) present(token string, how int) {
	var answers [2]answer
	s.sideBySide(func(n int) {
		ctx, began := s.t.Context(), time.Now()
		switch how {
		case 1:
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			ctx = cancelled
		case 2, 3:
			bounded, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			ctx = bounded
		}
		c, err := s.both[n].Validate(ctx, token)
		a := &answers[n]
		a.claims, a.took = c, time.Since(began)
		if err != nil {
			a.err = err.Error()
		}
		for _, sentinel := range append(sentinels, jwks.ErrUnavailable, jwks.ErrUnknownKey, errRevoked, context.DeadlineExceeded, context.Canceled) {
			if errors.Is(err, sentinel) {
				a.is = append(a.is, sentinel)
			}
		}
		// Of the end of a request and the end of a fetch at the same moment, chance
		// says which one is told of.
		if how >= 1 && how <= 3 && errors.Is(err, jwks.ErrUnavailable) {
			a.err, a.is = jwks.ErrUnavailable.Error(), []error{claims.ErrUnavailable, jwks.ErrUnavailable}
		}
	})
	for n := range answers {
		answers[n].fetches = s.issuer.fetches(n)
	}
	s.tell("  presented (%d): %q %v", how, answers[1].err, answers[1].took)
	if !reflect.DeepEqual(answers[0], answers[1]) {
		s.t.Errorf("%s\nwith a memory:    %+v\nwithout a memory: %+v", token, answers[0], answers[1])
		return
	}
	for n, a := range answers {
		if a.claims == nil {
			continue
		}
		if n == 0 {
			s.seen.accepted++
		}
		spoil(a.claims)
	}
	for _, is := range answers[0].is {
		s.seen.did[is.Error()]++
	}
}

// spoil changes claims as a handler may.
func spoil(c *claims.Claims) {
	for _, list := range [][]string{c.Audience, c.AMR} {
		for n := range list {
			list[n] = "spoilt"
		}
	}
	c.Audience = append(c.Audience, "spoilt")
	c.AMR = append(c.AMR, "spoilt")
}

// explain has both explain a token: that changes nothing in the memory.
func (s *story) explain(token string) {
	var reports [2]string
	before := s.both[0].Memory()
	s.sideBySide(func(n int) {
		report := s.both[n].Explain(s.t.Context(), token)
		report.UnverifiedClaims = nil // a pointer; the checks tell what they say
		reports[n] = fmt.Sprintf("%+v", report)
	})
	s.tell("explained")
	if reports[0] != reports[1] || before != s.both[0].Memory() {
		s.t.Errorf("%s\nwith a memory:    %s %+v\nwithout a memory: %s %+v", token, reports[0], before, reports[1], s.both[0].Memory())
	}
}

// sideBySide runs both at the same time, until nothing is under way any more but
// what the issuer lets hang.
func (s *story) sideBySide(run func(n int)) {
	var group sync.WaitGroup
	for n := range s.both {
		group.Go(func() { run(n) })
	}
	group.Wait()
	synctest.Wait()
}

// A storyKey signs, at no great cost.
type storyKey struct {
	id, algorithm string
	sign          func(input string) []byte
	published     map[string]string
}

// newStoryKey returns a key that is made of the number, so that a story can be
// told again.
func newStoryKey(number byte) *storyKey {
	seed := sha256.Sum256([]byte{number})
	encoded := func(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
	key := &storyKey{id: fmt.Sprint("key-", number)}
	if number%2 == 0 {
		private := ed25519.NewKeyFromSeed(seed[:])
		key.algorithm = "EdDSA"
		key.published = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encoded(private.Public().(ed25519.PublicKey))}
		key.sign = func(input string) []byte { return ed25519.Sign(private, []byte(input)) }
		return key
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		panic(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	key.algorithm = "ES256"
	key.published = map[string]string{"kty": "EC", "crv": "P-256", "x": encoded(point[1:33]), "y": encoded(point[33:])}
	key.sign = func(input string) []byte {
		digest := sha256.Sum256([]byte(input))
		der, err := private.Sign(nil, digest[:], crypto.SHA256) // without randomness, it is always the same
		if err != nil {
			panic(err)
		}
		return fromDER(der)
	}
	return key
}

// fromDER returns R and S side by side (RFC 7518 §3.4).
func fromDER(der []byte) []byte {
	raw, rest := make([]byte, 64), der[2:]
	for n := range 2 {
		length := int(rest[1])
		new(big.Int).SetBytes(rest[2 : 2+length]).FillBytes(raw[32*n : 32*n+32])
		rest = rest[2+length:]
	}
	return raw
}

var storyKeys = sync.OnceValue(func() []*storyKey {
	var keys []*storyKey
	for number := range byte(16) {
		keys = append(keys, newStoryKey(number))
	}
	return keys
})

func (s *story) addKey() *storyKey {
	key := *storyKeys()[len(s.keys)%len(storyKeys())]
	s.keys = append(s.keys, &key)
	s.issuer.keys = append(slices.Clone(s.issuer.keys), &key)
	return &key
}

// replaceKey has the issuer do what it should not: another key by the name of one
// that was there, or a key by another name.
func (s *story) replaceKey() {
	if len(s.issuer.keys) == 0 {
		return
	}
	n := s.pick(len(s.issuer.keys))
	changed := *s.issuer.keys[n]
	if s.pick(3) == 0 {
		changed.id += "'"
		s.tell("key %s is called %s", s.issuer.keys[n].id, changed.id)
	} else {
		changed = *storyKeys()[(len(s.keys)+1)%len(storyKeys())]
		changed.id = s.issuer.keys[n].id
		s.tell("there is another key %s, for %s", changed.id, changed.algorithm)
	}
	s.keys = append(s.keys, &changed)
	s.issuer.keys = slices.Clone(s.issuer.keys)
	s.issuer.keys[n] = &changed
}

// A keyServer has the key set of an issuer.
type keyServer struct {
	keys []*storyKey // replaced, not changed
	mood string

	mu      sync.Mutex
	hanging chan struct{}
	asked   [2]int
}

func (k *keyServer) hang() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hanging == nil {
		k.hanging = make(chan struct{})
	}
}

func (k *keyServer) release() {
	k.mu.Lock()
	if k.hanging != nil {
		close(k.hanging)
		k.hanging = nil
	}
	k.mu.Unlock()
	synctest.Wait()
}

func (k *keyServer) fetches(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked[n]
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// counting returns the way to the issuer for one of the two.
func (k *keyServer) counting(n int) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		k.mu.Lock()
		k.asked[n]++
		hanging := k.hanging
		k.mu.Unlock()
		if hanging != nil {
			select {
			case <-hanging:
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		status, body := http.StatusOK, ""
		switch k.mood {
		case "down":
			status = http.StatusServiceUnavailable
		case "garbled":
			body = `{"keys":[}`
		case "empty":
			body = `{"keys":[]}`
		default:
			set := []map[string]string{}
			for _, key := range k.keys {
				published := map[string]string{"kid": key.id, "alg": key.algorithm, "use": "sig"}
				for name, value := range key.published {
					published[name] = value
				}
				set = append(set, published)
			}
			text, err := json.Marshal(map[string]any{"keys": set})
			if err != nil {
				return nil, err
			}
			body = string(text)
		}
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	})
}
