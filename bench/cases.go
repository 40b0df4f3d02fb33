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
	// firstSights is more than the memory of a validator holds by default, so that
	// what it costs to push tokens out is in the figures.
	firstSights = 10_000

	fewSights = 1_000
	crowd     = 100_000
)

// Cases are the cases of the table, with the peers.
func Cases(s *Scene) []Case {
	cases := []Case{
		{"floor", floor(s)},
		{"first_sight", firstSight(s, firstSights)},
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
		Case{"keys/1000/first_sight", firstSight(many, firstSights)},
		Case{"keys/1000/again", again(many)})
	cases = append(cases,
		Case{"issuers/10000/first_sight", firstSightAmong(s, 10_000)},
		Case{"issuers/10000/again", againAmong(s, 10_000)})
	for _, n := range []int{1, 100, 200} {
		cases = append(cases,
			Case{fmt.Sprintf("scopes/%d/first_sight", n), firstSight(s, fewSights, ManyScopes(n))},
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
			Case{"peers/" + p.Name + "/first_sight", peer(s, p, firstSights)},
			Case{"peers/" + p.Name + "/again", peer(s, p, 1)})
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

// firstSight has the memory on, and never a token that it knows: as soon as all
// tokens of the pool were seen, a new validator takes over that has seen none. It
// has the same keys, so there is nothing to fetch; making it is a part of the
// figures, and a ten thousandth of it.
func firstSight(s *Scene, n int, changes ...Change) func(*testing.B) {
	own := s.pool
	if changes != nil {
		own = new(pool)
	}
	return func(b *testing.B) {
		credentials := own.take(s, n, changes)
		keys := newKeys(s)
		c := newClient(credentials[0])
		var h guarded
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%n == 0 {
				if h.validator != nil && h.validator.Memory().Hits != 0 {
					panic("bench: a token was known that should not be")
				}
				h = newGuarded(keys, nothing)
			}
			c.authorize(credentials[i%n])
			c.send(h.Handler, http.StatusOK)
		}
		c.report(b)
	}
}

// again has one token, which was seen before.
func again(s *Scene, changes ...Change) func(*testing.B) {
	return func(b *testing.B) {
		h := newGuarded(newKeys(s), nothing)
		c := newClient("Bearer " + s.Token(changes...))
		c.send(h.Handler, http.StatusOK)
		b.ReportAllocs()
		for b.Loop() {
			c.send(h.Handler, http.StatusOK)
		}
		c.report(b)
	}
}

// firstSightAmong is firstSight where the validator trusts n issuers, of which the
// scene's has signed. To make such a validator takes long, and is left out.
func firstSightAmong(s *Scene, n int) func(*testing.B) {
	others := otherIssuers(s, n-1)
	return func(b *testing.B) {
		credentials := s.Credentials(firstSights)
		keys := newKeys(s)
		c := newClient(credentials[0])
		var h guarded
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%firstSights == 0 {
				b.StopTimer()
				h = newGuarded(keys, nothing, others()...)
				if got := len(h.validator.Issuers()); got != n {
					panic(fmt.Sprintf("bench: %d issuers instead of %d", got, n))
				}
				runtime.GC() // what making it has left behind
				b.StartTimer()
			}
			c.authorize(credentials[i%firstSights])
			c.send(h.Handler, http.StatusOK)
		}
		c.report(b)
	}
}

func againAmong(s *Scene, n int) func(*testing.B) {
	others := otherIssuers(s, n-1)
	return func(b *testing.B) {
		h := newGuarded(newKeys(s), nothing, others()...)
		c := newClient("Bearer " + s.Token())
		c.send(h.Handler, http.StatusOK)
		b.ReportAllocs()
		for b.Loop() {
			c.send(h.Handler, http.StatusOK)
		}
		c.report(b)
	}
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
		b.ReportAllocs()
		for b.Loop() {
			c.send(h.Handler, status)
		}
	}
}

// peer sends n tokens in turns. Peers are not given a new validator each n tokens.
func peer(s *Scene, p Peer, n int) func(*testing.B) {
	return func(b *testing.B) {
		credentials := s.Credentials(n)
		h, err := p.Protect(b.Context(), s, nothing)
		check(err)
		c := newClient(credentials[0])
		c.send(h, http.StatusOK)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.authorize(credentials[i%n])
			c.send(h, http.StatusOK)
		}
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
