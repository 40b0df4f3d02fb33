package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// A counted server knows which of its connections are open.
type countedServer struct {
	*httptest.Server
	mu     sync.Mutex
	open   map[net.Conn]bool
	opened int
}

func newCountedServer(t *testing.T, handler http.HandlerFunc) *countedServer {
	t.Helper()
	s := &countedServer{Server: httptest.NewUnstartedServer(handler), open: map[net.Conn]bool{}}
	s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.open[conn] = true
			s.opened++
		case http.StateClosed, http.StateHijacked:
			delete(s.open, conn)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *countedServer) connections() (open, opened int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open), s.opened
}

// workers returns how many goroutines there are of this package, and of the
// clients of net/http.
func workers() int {
	var stacks []byte
	for size := 1 << 20; ; size *= 2 {
		stacks = make([]byte, size)
		if n := runtime.Stack(stacks, true); n < size {
			stacks = stacks[:n]
			break
		}
	}
	count := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, ours := range []string{"bearerguard/jwks.", "singleflight.", "http.(*persistConn)", "http.(*Transport)"} {
			if strings.Contains(stack, ours) {
				count++
				break
			}
		}
	}
	return count
}

func TestADroppedSourceLeavesNothingBehind(t *testing.T) {
	tests := []struct {
		name string
		does http.HandlerFunc
		err  error
	}{
		{"the issuer is up", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(setOf(ecJWK.with("kid", "k"))) }, nil},
		{"the issuer is down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, jwks.ErrUnavailable},
		{"the issuer hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, jwks.ErrUnavailable},
		{"the issuer hangs in the body", func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, jwks.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const sources = 100
			server := newCountedServer(t, tt.does)
			before := workers()
			var wait sync.WaitGroup
			dropped := make([]weak.Pointer[jwks.Remote], sources)
			for i := range sources {
				wait.Go(func() {
					timeout := 50 * time.Millisecond
					if tt.err == nil {
						timeout = time.Minute // it is not what is tested
					}
					remote, err := jwks.NewRemote(jwks.Config{
						URL: server.URL, FetchTimeout: timeout, OnEvent: func(jwks.Event) {},
					})
					if err != nil {
						t.Error(err)
						return
					}
					dropped[i] = weak.Make(remote)
					for range 3 {
						_, err = remote.Keys(context.Background(), "ES256", "k")
						if !errors.Is(err, tt.err) {
							t.Errorf("got %v", err)
						}
					}
				})
			}
			wait.Wait()
			_, opened := server.connections()
			require.NotZero(t, opened, "on a slow machine, some may have timed out before")
			require.Eventually(t, func() bool {
				open, _ := server.connections()
				return open == 0 && workers() <= before
			}, time.Minute, 10*time.Millisecond)
			require.Eventually(t, func() bool {
				runtime.GC()
				for _, remote := range dropped {
					if remote.Value() != nil {
						return false
					}
				}
				return true
			}, time.Minute, 10*time.Millisecond, "somebody holds a source")
		})
	}
}

// retained returns by how many bytes the heap has grown after f.
func retained(f func()) int64 {
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // what was in a sync.Pool
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := heap()
	f()
	return heap() - before
}

// hangingAfterFirst returns a source whose set is always stale, and whose refresh
// has begun and lasts until the end of the test.
func hangingAfterFirst(t testing.TB, keys ...any) *jwks.Remote {
	t.Helper()
	stop, hanging := make(chan struct{}), make(chan struct{})
	first := true
	remote, err := jwks.NewRemote(jwks.Config{
		URL: keysURL, Jitter: jwks.NoJitter,
		RefreshAfter: time.Microsecond, OverdueAfter: time.Hour, FetchTimeout: time.Hour,
		Client: client(func(r *http.Request) (*http.Response, error) {
			if first {
				first = false
				return keySet(r, keys...), nil
			}
			close(hanging) // twice would panic
			<-stop
			return nil, errors.New("stopped")
		}),
	})
	require.NoError(t, err)
	require.NoError(t, remote.Warm(t.Context()))
	for began := false; !began; {
		_, err = remote.Keys(t.Context(), "RS256", "0")
		require.NoError(t, err)
		select {
		case <-hanging:
			began = true
		default:
			runtime.Gosched()
		}
	}
	t.Cleanup(func() {
		close(stop)
		require.Eventually(t, func() bool { return remote.Status().Counts.Failures == 1 }, time.Minute, time.Millisecond)
	})
	return remote
}

const fewMiB = 3 << 20

func TestAMillionRequestsDuringARefreshRetainNothing(t *testing.T) {
	remote := hangingAfterFirst(t, other(0).with("kid", "0"))
	var failed error
	grown := retained(func() {
		for range 1_000_000 {
			if _, err := remote.Keys(t.Context(), "RS256", "0"); err != nil {
				failed = err
			}
		}
	})
	require.NoError(t, failed)
	require.Less(t, grown, int64(fewMiB))
	require.Equal(t, 2, fetches(remote))
}

func TestMadeUpKeysRetainNothing(t *testing.T) {
	const many = 100_000
	flood := func(ctx context.Context, remote *jwks.Remote, want error) (wrong error) {
		for i := range many {
			if _, err := remote.Keys(ctx, "RS256", fmt.Sprintf("made-up-%d", i)); !errors.Is(err, want) {
				wrong = fmt.Errorf("got %w", err)
			}
		}
		return wrong
	}
	t.Run("while the issuer is up", func(t *testing.T) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(other(0).with("kid", "0"))})
		require.NoError(t, remote.Warm(t.Context()))
		var wrong error
		require.Less(t, retained(func() { wrong = flood(t.Context(), remote, jwks.ErrUnknownKey) }), int64(fewMiB))
		require.NoError(t, wrong)
		require.Equal(t, "fresh", remote.Status().Phase, "it is still used")
	})
	t.Run("while it is down", func(t *testing.T) {
		on := script{page: showing(other(0).with("kid", "0"))}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), RetryMin: time.Hour, RetryMax: time.Hour})
		require.NoError(t, remote.Warm(t.Context()))
		on.page = downPage
		var wrong error
		require.Less(t, retained(func() { wrong = flood(t.Context(), remote, jwks.ErrUnavailable) }), int64(fewMiB))
		require.NoError(t, wrong)
		require.Equal(t, 2, fetches(remote))
	})
	// Whoever waits for a fetch and gives up is forgotten when it ends.
	t.Run("once a fetch has ended that they waited for", func(t *testing.T) {
		on := script{page: showing(other(0).with("kid", "0"))}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), FetchTimeout: time.Hour})
		require.NoError(t, remote.Warm(t.Context()))
		release := make(chan struct{})
		on.page = func(r *http.Request) (*http.Response, error) {
			<-release
			return keySet(r, other(0).with("kid", "0")), nil
		}
		givenUp, cancel := context.WithCancel(t.Context())
		cancel()
		var wrong, last error
		require.Less(t, retained(func() {
			wrong = flood(givenUp, remote, context.Canceled)
			close(release)
			_, last = remote.Keys(t.Context(), "RS256", "made-up")
		}), int64(fewMiB))
		require.NoError(t, wrong)
		require.ErrorIs(t, last, jwks.ErrUnknownKey)
	})
}

// numberedKeys returns keys with the IDs "0", "1" and so on.
func numberedKeys(n int) []any {
	keys := make([]any, n)
	for i := range keys {
		number := modulus(2048)
		number.Add(number, big.NewInt(int64(2*i)))
		keys[i] = rsaJWK.with("n", encode(number.Bytes())).with("kid", fmt.Sprint(i)).with("alg", "RS256")
	}
	return keys
}

func TestAKeyFromMemoryIsNoAllocation(t *testing.T) {
	for _, n := range []int{1, 1000} {
		fresh := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(numberedKeys(n)...)})
		require.NoError(t, fresh.Warm(t.Context()))
		for name, remote := range map[string]*jwks.Remote{"fresh": fresh, "stale, with a refresh under way": hangingAfterFirst(t, numberedKeys(n)...)} {
			t.Run(fmt.Sprintf("%s, of %d", name, n), func(t *testing.T) {
				ctx, last := t.Context(), fmt.Sprint(n-1)
				var failed error
				require.Zero(t, testing.AllocsPerRun(1000, func() {
					if _, err := remote.Keys(ctx, "RS256", last); err != nil {
						failed = err
					}
				}))
				require.NoError(t, failed)
			})
		}
	}
}

func TestAFloodOfUnknownKeysTroublesNobody(t *testing.T) {
	const (
		requests = 10_000
		pause    = 2 * time.Millisecond // so that they last for 20 s
		fetch    = 100 * time.Millisecond
		refill   = 10 * time.Second
	)
	synctest.Test(t, func(t *testing.T) {
		issuer := fakeissuer.New("https://issuer.example/")
		t.Cleanup(issuer.Close)
		transport := issuer.Client().Transport
		remote := newRemote(t, jwks.Config{Issuer: issuer.URL(), Client: client(func(r *http.Request) (*http.Response, error) {
			time.Sleep(fetch)
			return transport.RoundTrip(r)
		})})
		honest := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))

		var attackers sync.WaitGroup
		var rotated, found time.Time
		var rotation sync.WaitGroup
		for i := range requests {
			attackers.Go(func() {
				if _, err := remote.Keys(t.Context(), "RS256", fmt.Sprintf("made-up-%d", i)); !errors.Is(err, jwks.ErrUnknownKey) {
					t.Errorf("got %v", err)
				}
			})
			waited, err := ask(t, remote, honest)
			require.NoError(t, err)
			require.Zero(t, waited)
			if i == requests/3 {
				issuer.Rotate()
				next := current(t, issuer)
				rotated = time.Now()
				rotation.Go(func() {
					for found.IsZero() {
						if _, err := remote.Keys(t.Context(), "RS256", next); err == nil {
							found = time.Now()
						} else {
							time.Sleep(pause)
						}
					}
				})
			}
			time.Sleep(pause)
		}
		attackers.Wait()
		rotation.Wait()
		require.LessOrEqual(t, found.Sub(rotated), refill+fetch+pause)
		require.LessOrEqual(t, issuer.KeyFetches(), 1+2+2, "the first, a burst, and two refills in 20 s")
		require.LessOrEqual(t, issuer.DiscoveryFetches(), 1+2, "the first, and behind others for unknown keys")
	})
}

func TestACertificateOfAnUnknownAuthorityIsNamedAsTheReason(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(setOf(ecJWK.with("kid", "k")))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	remote := newRemote(t, jwks.Config{URL: server.URL})
	err := remote.Warm(t.Context())
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	require.ErrorContains(t, err, "GET "+server.URL+": ")
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	require.Contains(t, remote.Status().LastError, "certificate signed by unknown authority")
}

func TestAClientThatKnowsTheAuthorityIsUsed(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(setOf(ecJWK.with("kid", "k")))
	}))
	defer server.Close()
	remote := newRemote(t, jwks.Config{URL: server.URL, Client: server.Client()})
	require.NoError(t, remote.Warm(t.Context()))
	_, err := remote.Keys(t.Context(), "ES256", "k")
	require.NoError(t, err)
}

func TestTheProxyOfATransportIsUsed(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.String())
		_, _ = w.Write(setOf(ecJWK.with("kid", "k")))
	}))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(address)}
	defer transport.CloseIdleConnections()
	remote := newRemote(t, jwks.Config{URL: "http://issuer.invalid/keys", InsecureHTTP: true, Client: &http.Client{Transport: transport}})
	require.NoError(t, remote.Warm(t.Context()))
	require.Equal(t, []string{"http://issuer.invalid/keys"}, seen)
}

func TestAProxyIsAskedForATunnelToAnIssuerOverHTTPS(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.Host)
		http.Error(w, "not there", http.StatusForbidden)
	}))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	address.User = url.UserPassword("me", "secret")
	transport := &http.Transport{Proxy: http.ProxyURL(address)}
	defer transport.CloseIdleConnections()
	remote := newRemote(t, jwks.Config{URL: "https://issuer.invalid/keys", Client: &http.Client{Transport: transport}})
	err = remote.Warm(t.Context())
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	require.ErrorContains(t, err, "Forbidden")
	require.NotContains(t, err.Error(), "secret")
	require.Equal(t, []string{"CONNECT issuer.invalid:443"}, seen)
}
