package jwks_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestTheStatusSaysWhetherTokensCanBeChecked(t *testing.T) {
	const none = -1
	tests := []struct {
		name  string
		age   time.Duration // of the set
		fails bool          // a fetch has just failed
		phase string
		state jwks.State
		next  time.Duration // from now until NextRefresh
	}{
		{"nothing yet", none, false, "none", "not ready", 0},
		{"nothing yet, failing", none, true, "none", "not ready", time.Second},
		{"just fetched", 0, false, "fresh", "ready", 5 * time.Minute},
		{"fresh", 5*time.Minute - 1, false, "fresh", "ready", 1},
		{"stale", 5 * time.Minute, false, "stale", "ready", 0},
		{"stale, failing", 5 * time.Minute, true, "stale", "degraded", time.Second},
		{"stale to the last", 15*time.Minute - 1, false, "stale", "ready", 0},
		{"overdue", 15 * time.Minute, false, "overdue", "ready", 0},
		{"overdue, failing", 15 * time.Minute, true, "overdue", "degraded", time.Second},
		{"overdue to the last", 24*time.Hour - 1, true, "overdue", "degraded", time.Second},
		{"expired", 24 * time.Hour, false, "expired", "not ready", 0},
		{"expired, failing", 24 * time.Hour, true, "expired", "not ready", time.Second},
		{"long expired", 1000 * time.Hour, false, "expired", "not ready", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				on := script{page: showing(other(0).with("kid", "a"))}
				remote := newRemote(t, jwks.Config{Issuer: "https://issuer.example/", URL: keysURL, Client: on.client()})
				want := jwks.Status{Issuer: "https://issuer.example/", URL: keysURL, State: tt.state, Phase: tt.phase}
				if tt.age != none {
					require.NoError(t, remote.Warm(t.Context()))
					want.Fetched, want.Age = time.Now(), tt.age
					want.Keys = []jwks.KeyInfo{told(t, 0, "a", "")}
					want.Counts.Fetches++
					time.Sleep(tt.age)
				}
				if tt.fails {
					on.page = downPage
					require.Error(t, remote.Warm(t.Context()))
					want.LastError = `GET https://issuer.example/keys: answered 503 Service Unavailable ("text/plain"): "down"`
					want.Counts.Fetches++
					want.Counts.Failures++
				}
				got := remote.Status()
				require.WithinDuration(t, want.Fetched, got.Fetched, 0)
				require.Equal(t, tt.next, time.Until(got.NextRefresh))
				want.Fetched, want.NextRefresh = got.Fetched, got.NextRefresh
				require.Equal(t, want, got)
			})
		})
	}
}

func TestTheStatusOfAnInitialSetIsThatOfAStaleOneNeverFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		initial, err := jwks.ParseSet(setOf(other(0).with("kid", "a"), member{"kty": "oct"}))
		require.NoError(t, err)
		on := script{page: downPage}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), Initial: initial})
		for _, step := range []struct {
			sleep time.Duration
			phase string
			state jwks.State
		}{
			{0, "stale", jwks.Ready},
			{15*time.Minute - 1, "stale", jwks.Ready},
			{1, "overdue", jwks.Ready},
			{24*time.Hour - 15*time.Minute, "expired", jwks.NotReady},
		} {
			time.Sleep(step.sleep)
			status := remote.Status()
			require.Equal(t, step.phase, status.Phase)
			require.Equal(t, step.state, status.State)
			require.True(t, status.Fetched.IsZero(), "the issuer has never said what its keys are")
			require.Zero(t, status.Age)
			require.Zero(t, time.Until(status.NextRefresh))
			require.Equal(t, []jwks.KeyInfo{told(t, 0, "a", "")}, status.Keys)
			require.Equal(t, []jwks.LeftOut{{Position: 1, Reason: `its kty "oct" is not known here`}}, status.LeftOut)
		}
	})
}

func TestTheStatusTellsOfEachKindOfKey(t *testing.T) {
	const ( // RFC 7638 §3.1 and RFC 8037 A.3 print these
		rsaPrint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
		edPrint  = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	)
	tests := []struct {
		name   string
		key    member
		want   jwks.KeyInfo // without Thumbprint where none is printed in a standard
		string string
	}{
		{"RSA", rsaJWK.with("kid", "r").with("alg", "RS256"), jwks.KeyInfo{ID: "r", Algorithm: "RS256", Bits: 2048, Thumbprint: rsaPrint}, `"r" (RS256, 2048 bits)`},
		{"RSA without alg", rsaJWK.with("kid", "r"), jwks.KeyInfo{ID: "r", Bits: 2048, Thumbprint: rsaPrint}, `"r" (2048 bits)`},
		{"RSA without kid", rsaJWK, jwks.KeyInfo{Bits: 2048, Thumbprint: rsaPrint}, `"" (2048 bits)`},
		{"a large RSA", rsaJWK.with("kid", "l").with("n", encode(modulus(4096).Bytes())), jwks.KeyInfo{ID: "l", Bits: 4096}, `"l" (4096 bits)`},
		{"P-256", ecJWK.with("kid", "e").with("alg", "ES256"), jwks.KeyInfo{ID: "e", Algorithm: "ES256", Bits: 256}, `"e" (ES256, 256 bits)`},
		{"P-384", jwkOf(&p384().PublicKey).with("kid", "e"), jwks.KeyInfo{ID: "e", Bits: 384}, `"e" (384 bits)`},
		{"P-521", jwkOf(&p521().PublicKey).with("kid", "e"), jwks.KeyInfo{ID: "e", Bits: 521}, `"e" (521 bits)`},
		{"Ed25519", edJWK.with("kid", "d").with("alg", "EdDSA"), jwks.KeyInfo{ID: "d", Algorithm: "EdDSA", Bits: 256, Thumbprint: edPrint}, `"d" (EdDSA, 256 bits)`},
		{"a kid that would break the line", ecJWK.with("kid", "a\nb"), jwks.KeyInfo{ID: "a\nb", Bits: 256}, `"a\nb" (256 bits)`},
	}
	var members []any
	for _, tt := range tests {
		members = append(members, tt.key)
	}
	remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(members...)})
	require.NoError(t, remote.Warm(t.Context()))
	set, err := jwks.ParseSet(setOf(members...))
	require.NoError(t, err)
	got := remote.Status().Keys
	require.Len(t, got, len(tests))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.Thumbprint == "" {
				tt.want.Thumbprint = set.Keys[i].Thumbprint()
			}
			require.Equal(t, tt.want, got[i])
			require.Equal(t, tt.string, got[i].String())
		})
	}
}

func TestTheStatusTellsOfKeysThatAreLeftOut(t *testing.T) {
	remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(member{"kty": "oct", "kid": "old"}, ecJWK, rsaJWK.with("use", "enc"))})
	require.NoError(t, remote.Warm(t.Context()))
	status := remote.Status()
	require.Equal(t, []jwks.LeftOut{
		{Position: 0, ID: "old", Reason: `its kty "oct" is not known here`},
		{Position: 2, Reason: `its use is "enc", not sig`},
	}, status.LeftOut)
	require.Len(t, status.Keys, 1)
}

func TestTheNextRefreshIsWhenARequestFindsOneDue(t *testing.T) {
	retryAfter := func(seconds string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			response := answer(r, http.StatusTooManyRequests, "text/plain", "later")
			response.Header.Set("Retry-After", seconds)
			return response, nil
		}
	}
	tests := []struct {
		name     string
		age      time.Duration // of the set when the fetches fail
		failures int
		page     func(*http.Request) (*http.Response, error)
		next     time.Duration
	}{
		{"failing with none", -1, 1, downPage, time.Second},
		{"failing with none, on and on", -1, 4, downPage, 8 * time.Second},
		{"failing with none for good", -1, 20, downPage, 15 * time.Second},
		{"failing with none, and asked to wait", -1, 1, retryAfter("600"), 15 * time.Second},
		{"failing while serving", 5 * time.Minute, 1, downPage, time.Second},
		{"failing while serving for good", 5 * time.Minute, 20, downPage, 15 * time.Second},
		{"failing while serving, and asked to wait", 5 * time.Minute, 1, retryAfter("600"), 10 * time.Minute},
		{"failing while serving, and asked to wait for long", 5 * time.Minute, 1, retryAfter("86400"), time.Hour},
		{"failing when expired, and asked to wait", 24 * time.Hour, 1, retryAfter("600"), 15 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				on := script{page: showing(ecJWK.with("kid", "k"))}
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client()})
				if tt.age >= 0 {
					require.NoError(t, remote.Warm(t.Context()))
					time.Sleep(tt.age)
				}
				on.page = tt.page
				for range tt.failures {
					require.Error(t, remote.Warm(t.Context()))
				}
				require.Equal(t, tt.next, time.Until(remote.Status().NextRefresh))
				request := func() int {
					_, _ = remote.Keys(t.Context(), "ES256", "k")
					synctest.Wait()
					return fetches(remote)
				}
				before := fetches(remote)
				time.Sleep(tt.next - 1)
				require.Equal(t, time.Duration(1), time.Until(remote.Status().NextRefresh))
				require.Equal(t, before, request())
				time.Sleep(time.Nanosecond)
				require.Zero(t, time.Until(remote.Status().NextRefresh))
				time.Sleep(time.Minute)
				require.Zero(t, time.Until(remote.Status().NextRefresh), "due, and still due")
				require.Equal(t, before, fetches(remote), "by a request only")
				require.Equal(t, before+1, request())
			})
		})
	}
}

// An unknown key may cause a fetch while the set is fresh. Where that fails, the
// set is not refreshed any earlier.
func TestAFailureWhileFreshDoesNotBringTheNextRefreshForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := script{page: showing(ecJWK.with("kid", "k"))}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client()})
		require.NoError(t, remote.Warm(t.Context()))
		on.page = downPage
		_, err := remote.Keys(t.Context(), "ES256", "unknown")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		status := remote.Status()
		require.Equal(t, jwks.Degraded, status.State)
		require.Equal(t, "fresh", status.Phase)
		require.Equal(t, 5*time.Minute, time.Until(status.NextRefresh))

		time.Sleep(5*time.Minute - 1)
		_, err = remote.Keys(t.Context(), "ES256", "k")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 2, fetches(remote))
		time.Sleep(time.Nanosecond)
		_, err = remote.Keys(t.Context(), "ES256", "k")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 3, fetches(remote))
	})
}

func TestTheLastErrorIsThatOfTheLastFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := script{page: downPage}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client()})
		require.Empty(t, remote.Status().LastError)
		require.Error(t, remote.Warm(t.Context()))
		require.Contains(t, remote.Status().LastError, "answered 503")
		on.page = showing(rsaJWK.with("use", "enc"))
		require.Error(t, remote.Warm(t.Context()))
		require.Contains(t, remote.Status().LastError, "none that can be used")
		on.page = showing(ecJWK)
		require.NoError(t, remote.Warm(t.Context()))
		require.Empty(t, remote.Status().LastError)
		require.Equal(t, jwks.Ready, remote.Status().State)
		require.Equal(t, jwks.Counts{Fetches: 3, Failures: 2}, remote.Status().Counts)
	})
}

func TestAConfirmedSetIsAsNewAsAFetchedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := script{page: tagged(showing(ecJWK))}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client()})
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(10 * time.Minute)
		on.page = unchangedPage
		require.NoError(t, remote.Warm(t.Context()))
		status := remote.Status()
		require.WithinDuration(t, time.Now(), status.Fetched, 0)
		require.Zero(t, status.Age)
		require.Equal(t, "fresh", status.Phase)
		require.Len(t, status.Keys, 1)
	})
}

func TestAFetchUnderWayIsCountedFromItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := script{page: downPage, took: time.Second}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client()})
		go func() { _ = remote.Warm(t.Context()) }()
		synctest.Wait()
		require.Equal(t, jwks.Counts{Fetches: 1}, remote.Status().Counts)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, jwks.Counts{Fetches: 1, Failures: 1}, remote.Status().Counts)
	})
}

func TestAskingForTheStatusNeverFetches(t *testing.T) {
	for _, warm := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int32
			remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
				asked.Add(1)
				return keySet(r, ecJWK), nil
			})})
			want := 0
			if warm {
				require.NoError(t, remote.Warm(t.Context()))
				want = 1
			}
			for range 30 * 60 {
				remote.Status()
				time.Sleep(time.Minute)
			}
			synctest.Wait()
			require.EqualValues(t, want, asked.Load())
		})
	}
}

func TestTheStatusIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(other(0).with("kid", "a"), other(1).with("kid", "b"), member{"kty": "oct"})})
		require.NoError(t, remote.Warm(t.Context()))
		changed := remote.Status()
		clear(changed.Keys)
		clear(changed.LeftOut)
		require.Equal(t, []jwks.KeyInfo{told(t, 0, "a", ""), told(t, 1, "b", "")}, remote.Status().Keys)
		require.Equal(t, []jwks.LeftOut{{Position: 2, Reason: `its kty "oct" is not known here`}}, remote.Status().LeftOut)
		for kid, alg := range map[string]string{"a": "RS256", "b": "PS512"} {
			_, err := remote.Keys(t.Context(), alg, kid)
			require.NoError(t, err)
		}
	})
}

func TestTheStatusFitsTogetherWhileFetchesAreUnderWay(t *testing.T) {
	const bad = 3 // each third fetch fails
	var asked atomic.Int32
	remote := newRemote(t, jwks.Config{
		URL: keysURL, RefreshAfter: time.Microsecond, // as good as always stale
		Client: client(func(r *http.Request) (*http.Response, error) {
			if n := asked.Add(1); n%bad != 0 {
				return keySet(r, ecJWK, other(uint(n%2))), nil
			}
			return downPage(r)
		}),
	})
	require.NoError(t, remote.Warm(t.Context()))
	stop := make(chan struct{})
	var watching, fetching sync.WaitGroup
	for range 4 {
		watching.Go(func() {
			var before jwks.Counts
			for {
				status := remote.Status()
				wrong := len(status.Keys) != 2 || status.Phase == "none" ||
					(status.State == jwks.Degraded) != (status.LastError != "") || status.State == jwks.NotReady ||
					status.Counts.Failures > status.Counts.Fetches/bad ||
					status.Counts.Fetches < before.Fetches || status.Counts.Failures < before.Failures
				if wrong {
					t.Errorf("after %+v: %+v", before, status)
					return
				}
				before = status.Counts
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		fetching.Go(func() {
			for range 100 {
				_ = remote.Warm(t.Context())
			}
		})
	}
	fetching.Wait()
	close(stop)
	watching.Wait()
	counts := remote.Status().Counts
	require.EqualValues(t, asked.Load(), counts.Fetches)
	require.Equal(t, counts.Fetches/bad, counts.Failures)
}
