package bench

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
)

// A Case is one benchmark.
type Case struct {
	Name string
	Run  func(*testing.B)
}

// Sizes of the pools of tokens.
const (
	firstSights = 4_000 // for which the memory of a validator has room by default
	filling     = 5_000 // for which it has not

	fewSights = 1_000 // of which larger ones do not all fit
	crowd     = 100_000
)

// Cases are the cases of the table, with the peers.
func Cases(s *Scene) []Case {
	cases := []Case{
		{"floor", floor(s)},
		{"first_sight", firstSight(s, 0)},
		{"first_sight_full_memory", firstSight(s, filling)},
		{"again", again(s)},

		{"refused/no_token", refused(s, "", 401)},
		{"refused/malformed", refused(s, "Bearer 8xLOxBtZp8", 401)},
		{"refused/malformed_payload", refused(s, "Bearer "+strings.Replace(s.Token(), ".", ".!", 1), 400)},
		{"refused/oversized_64KB", refused(s, "Bearer "+strings.Repeat("a", 64<<10), 401)},
		{"refused/oversized_1MB", refused(s, "Bearer "+strings.Repeat("a", 1<<20), 401)},
		{"refused/wrong_alg", refused(s, "Bearer "+s.Token(SetHeader("alg", "HS256")), 401)},
		{"refused/unknown_issuer", refused(s, "Bearer "+s.Token(Set("iss", "https://evil.example/")), 401)},
		{"refused/unknown_kid", refused(s, "Bearer "+s.Token(SetHeader("kid", "nobodys")), 401)},
	}
	// Of the keys, one signs; so does one of the issuers.
	many := s.WithKeys(1000)
	cases = append(cases,
		Case{"keys/1000/first_sight", firstSight(many, 0)},
		Case{"keys/1000/again", again(many)})
	cases = append(cases,
		Case{"issuers/10000/first_sight", firstSightAmong(s, 10_000)},
		Case{"issuers/10000/again", againAmong(s, 10_000)})
	for _, n := range []int{1, 100, 200} {
		cases = append(cases,
			Case{fmt.Sprintf("scopes/%d/first_sight", n), firstSightOf(s, ManyScopes(n))},
			Case{fmt.Sprintf("scopes/%d/again", n), again(s, ManyScopes(n))})
	}
	seenOnce := handlerThatKnows(s, 1)
	for _, cores := range coreCounts() {
		cases = append(cases,
			Case{"parallel/" + cores.name + "/floor", cores.limit(parallelFloor(s))},
			Case{"parallel/" + cores.name + "/again", cores.limit(parallel(s, 1, seenOnce))})
	}
	for _, p := range Peers {
		cases = append(cases,
			Case{"peers/" + p.Name + "/first_sight", peerFirstSight(s, p)},
			Case{"peers/" + p.Name + "/again", peerAgain(s, p)})
	}
	return cases
}

// Crowd are the cases with 100,000 tokens, and the floor beside them. They have a
// run of their own, since so many tokens take up memory, and a larger heap is
// collected less often.
func Crowd(s *Scene) []Case {
	cases := []Case{{"crowd/floor", floor(s)}}
	fewKnown := handlerThatKnows(s, 1)
	allKnown := handlerThatKnows(s, crowd, claims.WithMemory(512<<20))
	for _, cores := range coreCounts() {
		cases = append(cases,
			Case{"crowd/" + cores.name + "/default_memory", cores.limit(parallel(s, crowd, fewKnown))},
			Case{"crowd/" + cores.name + "/large_memory", cores.limit(parallel(s, crowd, allKnown))})
	}
	return cases
}

// Protect returns next behind the guard, as a [Peer] does.
func Protect(_ context.Context, s *Scene, next http.Handler) (http.Handler, error) {
	return newGuarded(newKeys(s), next), nil
}

// A guarded handler wants one scope. The validator is for a look at its memory. (It
// is the Handler in it that requests are sent to: to make an interface of the whole
// would take memory each time.)
type guarded struct {
	http.Handler
	validator *claims.Validator
}

// newKeys returns the scene's keys, fetched already.
func newKeys(s *Scene) *jwks.Remote {
	keys, err := jwks.NewRemote(jwks.Config{Issuer: Issuer, Client: s.Client()})
	check(err)
	_, err = keys.Keys(context.Background(), "RS256", s.keyID)
	check(err)
	return keys
}

func newGuarded(keys jwks.Source, next http.Handler, options ...claims.Option) guarded {
	v, err := claims.NewValidator(claims.Config{Issuer: Issuer, Audience: Audience, Keys: keys}, options...)
	check(err)
	return guarded{middleware.New(v).RequireScope(Scope)(next), v}
}

// nothing is the handler of the API.
var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// A client sends requests to a handler, again and again the same one with another
// credential. Nothing of it takes memory.
type client struct {
	request *http.Request
	values  []string // of the Authorization header
	header  http.Header
	status  int
}

func newClient(credential string) *client {
	r, err := http.NewRequest("GET", "/patients", nil)
	check(err)
	c := &client{request: r, values: make([]string, 1), header: http.Header{}}
	if credential != "" {
		c.authorize(credential)
	}
	return c
}

func (c *client) authorize(credential string) {
	c.values[0] = credential
	c.request.Header["Authorization"] = c.values
}

// send panics if the answer is not what it should be: a benchmark of something else
// is worth nothing.
func (c *client) send(h http.Handler, want int) {
	c.status = http.StatusOK
	clear(c.header)
	h.ServeHTTP(c, c.request)
	if c.status != want {
		panic(fmt.Sprintf("bench: status %d instead of %d", c.status, want))
	}
}

// report adds the size of the token to the figures.
func (c *client) report(b *testing.B) {
	b.ReportMetric(float64(len(c.values[0])-len("Bearer ")), "B/token")
}

// The methods of http.ResponseWriter.
func (c *client) Header() http.Header         { return c.header }
func (c *client) Write(b []byte) (int, error) { return len(b), nil }
func (c *client) WriteHeader(status int)      { c.status = status }

// floor verifies one token and no more, over and over: what it is made of stays in
// the processor's caches, which is as fast as it gets.
func floor(s *Scene) func(*testing.B) {
	return func(b *testing.B) {
		verify := s.floor(s.Credentials(1)[0])
		b.ReportAllocs()
		for b.Loop() {
			check(verify())
		}
	}
}

// firstSight has tokens that the memory does not know, but so many others. As soon as all
// tokens were seen, a new validator takes over. It has the same keys, so there is nothing
// to fetch.
func firstSight(s *Scene, others int, options ...claims.Option) func(*testing.B) {
	return func(b *testing.B) {
		credentials := s.Credentials(firstSights + others)
		sendNew(b, s, credentials[:firstSights], credentials[firstSights:], options)
	}
}

// firstSightOf is firstSight for tokens of another kind.
func firstSightOf(s *Scene, changes ...Change) func(*testing.B) {
	var own pool
	return func(b *testing.B) { sendNew(b, s, own.take(s, fewSights, changes), nil, nil) }
}

// firstSightAmong is firstSight where the validator trusts n issuers, of which the
// scene's has signed.
func firstSightAmong(s *Scene, n int) func(*testing.B) {
	others := otherIssuers(s, n-1)
	return func(b *testing.B) { firstSight(s, 0, others()...)(b) }
}

// sendNew sends tokens to validators that do not know them, but others. Each option is
// another issuer.
func sendNew(b *testing.B, s *Scene, tokens, others []string, options []claims.Option) {
	keys := newKeys(s)
	var h guarded
	sendAll(b, s, tokens, func() http.Handler {
		if h.validator != nil && h.validator.Memory().Hits != 0 {
			panic("bench: a token was known that should not be")
		}
		h = newGuarded(keys, nothing, options...)
		if got, want := len(h.validator.Issuers()), 1+len(options); got != want {
			panic(fmt.Sprintf("bench: %d issuers instead of %d", got, want))
		}
		c := newClient("")
		for _, credential := range others {
			c.authorize(credential)
			c.send(h.Handler, http.StatusOK)
		}
		return h.Handler
	})
}

// sendAll sends one token after the other, over and over. The handler that takes them is
// asked for each time before the first one.
//
// The tokens are looked at just before: a server has read them from the network when it
// comes to the guard, so that they are in the processor's caches. Here, they would come
// from a pool that is larger than these.
func sendAll(b *testing.B, s *Scene, credentials []string, handler func() http.Handler) {
	const few = 8 // of which the length of credentials is a multiple
	c := newClient(credentials[0])
	var h http.Handler
	at := 0
	s.measure(b, few, func() {
		if at %= len(credentials); at == 0 {
			h = handler()
			runtime.GC() // what making it has left behind
		}
		for _, credential := range credentials[at : at+few] {
			strings.IndexByte(credential, 0) // is nowhere in it
		}
	}, func() {
		c.authorize(credentials[at])
		c.send(h, http.StatusOK)
		at++
	})
	c.report(b)
}

// again has one token, which was seen before.
func again(s *Scene, changes ...Change) func(*testing.B) {
	return func(b *testing.B) { sendAgain(b, s, newGuarded(newKeys(s), nothing).Handler, s.Token(changes...)) }
}

func againAmong(s *Scene, n int) func(*testing.B) {
	others := otherIssuers(s, n-1)
	return func(b *testing.B) { sendAgain(b, s, newGuarded(newKeys(s), nothing, others()...).Handler, s.Token()) }
}

// sendAgain sends the same token over and over.
func sendAgain(b *testing.B, s *Scene, h http.Handler, token string) {
	c := newClient("Bearer " + token)
	c.send(h, http.StatusOK)
	s.measure(b, 200, nil, func() { c.send(h, http.StatusOK) })
	c.report(b)
}

// otherIssuers returns n issuers besides the scene's, made when they are asked for.
// Their names begin as the scene's does, and all have a key of the same ID.
func otherIssuers(s *Scene, n int) func() []claims.Option {
	return sync.OnceValue(func() []claims.Option {
		private, err := rsa.GenerateKey(cryptorand.Reader, 2048)
		check(err)
		key, err := jwks.NewKey(s.keyID, "RS256", &private.PublicKey)
		check(err)
		others := make([]claims.Option, n)
		for i := range others {
			others[i] = claims.WithIssuer(claims.Config{Issuer: fmt.Sprintf("%s%d/", Issuer, i), Audience: Audience, Keys: jwks.Static(key)})
		}
		return others
	})
}

func refused(s *Scene, credential string, status int) func(*testing.B) {
	return func(b *testing.B) {
		h := newGuarded(newKeys(s), nothing)
		c := newClient(credential)
		s.measure(b, 100, nil, func() { c.send(h.Handler, status) })
	}
}

// peerFirstSight is firstSight for a peer, which is not made anew for each round of the
// tokens: none remembers any.
func peerFirstSight(s *Scene, p Peer) func(*testing.B) {
	return func(b *testing.B) {
		h, err := p.Protect(b.Context(), s, nothing)
		check(err)
		sendAll(b, s, s.Credentials(firstSights), func() http.Handler { return h })
	}
}

// peerAgain is again for a peer.
func peerAgain(s *Scene, p Peer) func(*testing.B) {
	return func(b *testing.B) {
		h, err := p.Protect(b.Context(), s, nothing)
		check(err)
		sendAgain(b, s, h, s.Token())
	}
}

// handlerThatKnows returns a handler that has seen n tokens, made when it is asked
// for.
func handlerThatKnows(s *Scene, n int, options ...claims.Option) func() guarded {
	return sync.OnceValue(func() guarded {
		h := newGuarded(newKeys(s), nothing, options...)
		c := newClient("")
		for _, credential := range s.Credentials(n) {
			c.authorize(credential)
			c.send(h.Handler, http.StatusOK)
		}
		return h
	})
}

// parallel has clients on all cores that send n tokens, each from somewhere in the
// pool on. Which share of them was known is a figure of its own.
func parallel(s *Scene, n int, handler func() guarded) func(*testing.B) {
	return func(b *testing.B) {
		h, credentials := handler(), s.Credentials(n)
		before := h.validator.Memory()
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			c := newClient(credentials[0])
			for i := rand.IntN(n); pb.Next(); i++ {
				c.authorize(credentials[i%n])
				c.send(h.Handler, http.StatusOK)
			}
		})
		after := h.validator.Memory()
		hits, misses := after.Hits-before.Hits, after.Misses-before.Misses
		b.ReportMetric(float64(hits)/float64(hits+misses), "known/op")
	}
}

func parallelFloor(s *Scene) func(*testing.B) {
	return func(b *testing.B) {
		credential := s.Credentials(1)[0]
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			verify := s.floor(credential)
			for pb.Next() {
				check(verify())
			}
		})
	}
}

// cores is how many may be used.
type cores struct {
	name string
	n    int
}

func coreCounts() []cores {
	return []cores{{"one_core", 1}, {"all_cores", runtime.NumCPU()}}
}

func (c cores) limit(run func(*testing.B)) func(*testing.B) {
	return func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.n))
		run(b)
	}
}

// ManyScopes gives a token n scopes, of which the last is the one that is asked for.
func ManyScopes(n int) Change {
	var words strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&words, "read:resource-%03d ", i)
	}
	return Set("scope", words.String()+Scope)
}
