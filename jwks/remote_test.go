package jwks_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestASourceThatCouldNotWorkIsRefusedWithWhatToDo(t *testing.T) {
	const issuer = "https://issuer.example/"
	tests := []struct {
		name   string
		config jwks.Config
		says   []string
	}{
		{"neither issuer nor URL", jwks.Config{}, []string{"Config.Issuer and Config.URL are both empty", "set Issuer to"}},
		{"an issuer over http", jwks.Config{Issuer: "http://issuer.example/"}, []string{"Config.Issuer", "use https"}},
		{"a URL over http", jwks.Config{URL: "http://issuer.example/keys"}, []string{"Config.URL", "use https"}},
		{"a URL over http beside a good issuer", jwks.Config{Issuer: issuer, URL: "http://issuer.example/keys"}, []string{"Config.URL", "use https"}},
		{"http on a private network", jwks.Config{Issuer: "http://10.0.0.1/"}, []string{"Config.Issuer", "use https"}},
		{"no URL as issuer", jwks.Config{Issuer: "issuer.example"}, []string{"Config.Issuer", "write it as https://host/path"}},
		{"no URL", jwks.Config{URL: "https://issuer .example/"}, []string{"Config.URL", "is not a URL"}},
		{"a file", jwks.Config{URL: "file://localhost/keys"}, []string{"Config.URL", "not an https URL"}},
		{"credentials in the issuer", jwks.Config{Issuer: "https://me:secret@issuer.example/"}, []string{"Config.Issuer", "take them out"}},
		{"credentials in the URL", jwks.Config{URL: "https://me:secret@issuer.example/keys"}, []string{"Config.URL", "take them out"}},
		{"a fragment in the issuer", jwks.Config{Issuer: issuer + "#a"}, []string{"Config.Issuer", "take it out"}},
		{"a fragment in the URL", jwks.Config{URL: issuer + "keys#a"}, []string{"Config.URL", "take it out"}},
		{"a query in the issuer", jwks.Config{Issuer: issuer + "?a"}, []string{"Config.Issuer", "a query or a fragment, which no issuer has"}},
		{"a negative timeout", jwks.Config{Issuer: issuer, FetchTimeout: -1}, []string{"Config.FetchTimeout is negative: -1ns"}},
		{"a negative age to refresh", jwks.Config{Issuer: issuer, RefreshAfter: -1}, []string{"Config.RefreshAfter is negative"}},
		{"a negative age to wait", jwks.Config{Issuer: issuer, OverdueAfter: -1}, []string{"Config.OverdueAfter is negative"}},
		{"a negative age to expire", jwks.Config{Issuer: issuer, ExpireAfter: -1}, []string{"Config.ExpireAfter is negative"}},
		{"refreshed after it is overdue", jwks.Config{Issuer: issuer, RefreshAfter: time.Hour}, []string{"out of order", "RefreshAfter 1h0m0s", "OverdueAfter 15m0s"}},
		{"overdue after it expires", jwks.Config{Issuer: issuer, OverdueAfter: 48 * time.Hour}, []string{"out of order", "OverdueAfter 48h0m0s", "ExpireAfter 24h0m0s"}},
		{"expired before it is refreshed", jwks.Config{Issuer: issuer, ExpireAfter: time.Second}, []string{"out of order", "ExpireAfter 1s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			remote, err := jwks.NewRemote(tt.config)
			require.ErrorContains(t, err, "jwks: ")
			for _, part := range tt.says {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "secret")
			require.Nil(t, remote)
		})
	}
}

func TestASourceThatCouldWorkIsAccepted(t *testing.T) {
	tests := []struct {
		name   string
		config jwks.Config
	}{
		{"an issuer", jwks.Config{Issuer: "https://issuer.example/"}},
		{"a URL", jwks.Config{URL: "https://issuer.example/keys?tenant=1"}},
		{"a URL, and an issuer that is no URL", jwks.Config{Issuer: "urn:issuer", URL: "https://issuer.example/keys"}},
		{"http to this machine", jwks.Config{Issuer: "http://127.0.0.1:8080/"}},
		{"http to this machine by IPv6", jwks.Config{URL: "http://[::1]:8080/keys"}},
		{"http to this machine by name", jwks.Config{Issuer: "http://localhost:8080/"}},
		{"http where it is allowed", jwks.Config{Issuer: "http://issuer.test/", InsecureHTTP: true}},
		{"all ages the same", jwks.Config{URL: "https://issuer.example/", RefreshAfter: time.Second, OverdueAfter: time.Second, ExpireAfter: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			remote, err := jwks.NewRemote(tt.config)
			require.NoError(t, err)
			require.Equal(t, tt.config.Issuer, remote.Issuer())
		})
	}
}

// bubble runs f in a synctest bubble, which fails if a goroutine is left at its
// end, with a fake issuer and a source for it.
func bubble(t *testing.T, f func(*testing.T, *fakeissuer.Issuer, *jwks.Remote)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		issuer := fakeissuer.New("https://issuer.example/")
		t.Cleanup(issuer.Close)
		f(t, issuer, newRemote(t, jwks.Config{Issuer: issuer.URL(), Client: issuer.Client()}))
	})
}

func newRemote(t *testing.T, config jwks.Config) *jwks.Remote {
	t.Helper()
	if config.Jitter == 0 {
		config.Jitter = jwks.NoJitter // so that ages are exact
	}
	remote, err := jwks.NewRemote(config)
	require.NoError(t, err)
	return remote
}

// current returns the ID of the key that an issuer signs with.
func current(t *testing.T, issuer *fakeissuer.Issuer) string {
	t.Helper()
	token, err := issuer.Sign(issuer.AccessToken("api"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(token, ".")
	var header struct{ Kid string }
	require.NoError(t, json.Unmarshal(decode(first), &header))
	return header.Kid
}

// fetches returns how many fetches a source has begun.
func fetches(remote *jwks.Remote) int { return int(remote.Status().Counts.Fetches) }

// ask asks for a key and returns how long that took, by the clock of the bubble.
func ask(t *testing.T, source jwks.Source, kid string) (time.Duration, error) {
	t.Helper()
	start := time.Now()
	keys, err := source.Keys(t.Context(), "RS256", kid)
	if err == nil {
		require.NotEmpty(t, keys)
	} else {
		require.Empty(t, keys)
	}
	for _, key := range keys {
		require.Equal(t, "RS256", key.Algorithm())
		if kid != "" {
			require.Equal(t, kid, key.ID())
		}
	}
	return time.Since(start), err
}

func TestTheKeysOfAnIssuerVerifyItsTokens(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		token, err := issuer.Sign(issuer.AccessToken("api"))
		require.NoError(t, err)
		keys, err := remote.Keys(t.Context(), "RS256", current(t, issuer))
		require.NoError(t, err)
		require.Len(t, keys, 1)
		dot := strings.LastIndexByte(token, '.')
		require.True(t, keys[0].Verify([]byte(token[:dot]), decode(token[dot+1:])))
	})
}

func TestTheZeroRemoteHasNoKeys(t *testing.T) {
	var remote jwks.Remote
	_, err := remote.Keys(t.Context(), "RS256", "k")
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	require.ErrorContains(t, err, "make one with NewRemote")
	require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
	require.Equal(t, jwks.NotReady, remote.Status().State)
}

// The other door to a Remote, for package claims, opens where there is nothing to do, and
// to the same keys.
func TestKeysNowHasThoseOfAFreshSet(t *testing.T) {
	keysNow := known.KeysNow.(func(*jwks.Remote, string, string) ([]*jwks.Key, time.Time))
	keys, now := keysNow(&jwks.Remote{}, "RS256", "any")
	require.Empty(t, keys)
	require.Zero(t, now)
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		keys, now := keysNow(remote, "RS256", kid)
		require.Empty(t, keys, "there is no set")
		require.Zero(t, now)
		require.Zero(t, fetches(remote))

		require.NoError(t, remote.Warm(t.Context()))
		for _, name := range []string{kid, ""} {
			want, err := remote.Keys(t.Context(), "RS256", name)
			require.NoError(t, err)
			keys, now := keysNow(remote, "RS256", name)
			require.Equal(t, want, keys)
			require.Equal(t, time.Now(), now)
		}
		for _, other := range [][2]string{{"RS256", "nobody's"}, {"ES256", kid}, {"none", ""}} {
			keys, _ := keysNow(remote, other[0], other[1])
			require.Empty(t, keys)
		}
		time.Sleep(5*time.Minute - 1)
		keys, _ = keysNow(remote, "RS256", kid)
		require.NotEmpty(t, keys)
		time.Sleep(time.Nanosecond)
		keys, now = keysNow(remote, "RS256", kid)
		require.Empty(t, keys, "it is stale: there is something to do")
		require.Zero(t, now)
		require.Equal(t, 1, fetches(remote))
	})
}

func TestNothingIsFetchedBeforeTheFirstUse(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		require.Zero(t, issuer.DiscoveryFetches()+issuer.KeyFetches())
		_, err := ask(t, remote, current(t, issuer))
		require.NoError(t, err)
		require.Equal(t, 1, issuer.DiscoveryFetches())
		require.Equal(t, 1, issuer.KeyFetches())
	})
}

func TestNothingIsFetchedWhileNobodyAsks(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		require.Equal(t, 1, issuer.KeyFetches())
	})
}

func TestAURLNeedsNoDiscovery(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, _ *jwks.Remote) {
		remote := newRemote(t, jwks.Config{URL: issuer.URL() + ".well-known/jwks.json", Client: issuer.Client()})
		_, err := ask(t, remote, current(t, issuer))
		require.NoError(t, err)
		require.Equal(t, 1, issuer.KeyFetches())
		require.Zero(t, issuer.DiscoveryFetches())
	})
}

func TestManyRequestsShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		release := issuer.Hang()
		results := make(chan error, 100)
		for range cap(results) {
			go func() {
				_, err := remote.Keys(t.Context(), "RS256", kid)
				results <- err
			}()
		}
		synctest.Wait()
		require.Empty(t, results)
		release()
		for range cap(results) {
			require.NoError(t, <-results)
		}
		require.Equal(t, 1, issuer.DiscoveryFetches())
		require.Equal(t, 1, issuer.KeyFetches())
	})
}

// The table of the package's documentation.
func TestARequestGoesByTheAgeOfTheKeySet(t *testing.T) {
	const (
		up = iota
		down
		hanging
	)
	tests := []struct {
		name        string
		age         time.Duration
		issuer      int
		waits       time.Duration
		fetches     int
		unavailable bool
	}{
		{"none yet", -1, up, 0, 1, false},
		{"none yet, down", -1, down, 0, 1, true},
		{"none yet, hanging", -1, hanging, 5 * time.Second, 1, true},
		{"just fetched", 0, up, 0, 0, false},
		{"fresh", 5*time.Minute - 1, up, 0, 0, false},
		{"fresh, down", 5*time.Minute - 1, down, 0, 0, false},
		{"fresh, hanging", 5*time.Minute - 1, hanging, 0, 0, false},
		{"stale", 5 * time.Minute, up, 0, 1, false},
		{"stale, down", 5 * time.Minute, down, 0, 1, false},
		{"stale, hanging", 5 * time.Minute, hanging, 0, 1, false},
		{"still stale, hanging", 15*time.Minute - 1, hanging, 0, 1, false},
		{"overdue", 15 * time.Minute, up, 0, 1, false},
		{"overdue, down", 15 * time.Minute, down, 0, 1, false},
		{"overdue, hanging", 15 * time.Minute, hanging, 2 * time.Second, 1, false},
		{"still overdue, hanging", 24*time.Hour - 1, hanging, 2 * time.Second, 1, false},
		{"expired", 24 * time.Hour, up, 0, 1, false},
		{"expired, down", 24 * time.Hour, down, 0, 1, true},
		{"expired, hanging", 24 * time.Hour, hanging, 5 * time.Second, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
				if tt.age >= 0 {
					require.NoError(t, remote.Warm(t.Context()))
					time.Sleep(tt.age)
				}
				before := fetches(remote)
				switch tt.issuer {
				case down:
					issuer.SetDown(true)
				case hanging:
					issuer.Hang()
				}
				waited, err := ask(t, remote, current(t, issuer))
				require.Equal(t, tt.waits, waited)
				if tt.unavailable {
					require.ErrorIs(t, err, jwks.ErrUnavailable)
					require.NotErrorIs(t, err, jwks.ErrUnknownKey)
				} else {
					require.NoError(t, err)
				}
				synctest.Wait()
				require.Equal(t, tt.fetches, fetches(remote)-before)
			})
		})
	}
}

func TestTheAgesAreThoseOfTheConfig(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, _ *jwks.Remote) {
		remote := newRemote(t, jwks.Config{
			Issuer: issuer.URL(), Client: issuer.Client(),
			FetchTimeout: 3 * time.Second, RefreshAfter: time.Minute, OverdueAfter: 2 * time.Minute, ExpireAfter: 3 * time.Minute,
		})
		kid := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		issuer.Hang()
		for _, step := range []struct {
			sleep       time.Duration
			fetches     int
			waits       time.Duration
			unavailable bool
		}{
			{time.Minute - 1, 1, 0, false},
			{1, 2, 0, false},
			{time.Minute, 3, 2 * time.Second, false}, // overdue
			{2 * time.Second, 3, 0, false},           // one has just failed
			{time.Minute, 4, 3 * time.Second, true},
		} {
			time.Sleep(step.sleep)
			waited, err := ask(t, remote, kid)
			synctest.Wait()
			require.Equal(t, step.fetches, fetches(remote))
			require.Equal(t, step.waits, waited)
			require.Equal(t, step.unavailable, errors.Is(err, jwks.ErrUnavailable))
		}
	})
}

func TestAnOverdueSetServesAtOnceAfterAFailure(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(time.Hour)
		release := issuer.Hang()
		for _, want := range []time.Duration{2 * time.Second, 2 * time.Second, time.Second, 0, 0} {
			waited, err := ask(t, remote, kid)
			require.NoError(t, err)
			require.Equal(t, want, waited) // the fetch fails after 5 s
		}
		require.Equal(t, 2, fetches(remote))

		time.Sleep(time.Second) // the retry is due, and hangs as well
		waited, err := ask(t, remote, kid)
		require.NoError(t, err)
		require.Zero(t, waited)
		synctest.Wait()
		require.Equal(t, 3, fetches(remote))

		release()
		synctest.Wait()
		time.Sleep(5*time.Minute - 1) // fresh again
		_, err = ask(t, remote, kid)
		require.NoError(t, err)
		require.Equal(t, 3, fetches(remote))
	})
}

func TestARemovedKeyIsHonouredNoLongerAfterARefresh(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		old := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		issuer.Rotate()
		issuer.RemoveOldKeys()
		time.Sleep(5 * time.Minute)
		_, err := ask(t, remote, old)
		require.NoError(t, err, "stale, and served while it is refreshed")
		synctest.Wait()
		_, err = ask(t, remote, old)
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
	})
}

func TestARemovedKeyIsNotHonouredByAnOverdueSet(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		old := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		issuer.Rotate()
		issuer.RemoveOldKeys()
		time.Sleep(15 * time.Minute)
		_, err := ask(t, remote, old)
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
	})
}

func TestARotatedKeyIsFoundAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		old := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		issuer.Rotate()
		for range 2 { // the second time it is in memory
			for _, kid := range []string{current(t, issuer), old} {
				waited, err := ask(t, remote, kid)
				require.NoError(t, err)
				require.Zero(t, waited)
			}
			require.Equal(t, 2, issuer.KeyFetches())
		}
	})
}

func TestAMadeUpKeyIsUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		for _, named := range []struct{ alg, kid string }{
			{"RS256", "made-up"},
			{"ES256", ""},
			{"PS256", current(t, issuer)}, // the key declares RS256
			{"none", ""},
		} {
			keys, err := remote.Keys(t.Context(), named.alg, named.kid)
			require.ErrorIs(t, err, jwks.ErrUnknownKey)
			require.NotErrorIs(t, err, jwks.ErrUnavailable)
			require.Empty(t, keys)
		}
	})
}

func TestATokenThatNamesNoKeyFindsTheOnlyOne(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		_, err := ask(t, remote, "")
		require.NoError(t, err)
		issuer.Rotate()
		time.Sleep(15 * time.Minute)
		_, err = ask(t, remote, "")
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
	})
}

func TestMadeUpKeysDoNotFloodTheIssuer(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		require.NoError(t, remote.Warm(t.Context()))
		flood := func(n int) {
			for i := range n {
				waited, err := ask(t, remote, fmt.Sprintf("made-up-%d", i))
				require.ErrorIs(t, err, jwks.ErrUnknownKey)
				require.Zero(t, waited)
			}
		}
		flood(1)
		require.Equal(t, 1+1, issuer.KeyFetches())
		flood(10_000)
		require.Equal(t, 1+2, issuer.KeyFetches())
		for i := range 6 {
			time.Sleep(10*time.Second - 1)
			flood(10)
			require.Equal(t, 1+2+i, issuer.KeyFetches())
			time.Sleep(time.Nanosecond)
			flood(10)
			require.Equal(t, 1+2+i+1, issuer.KeyFetches())
		}
		_, err := ask(t, remote, current(t, issuer))
		require.NoError(t, err, "the real one serves all the same")
	})
}

func TestMadeUpKeysAtTheSameTimeDoNotFloodTheIssuer(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		const many = 1000
		release := issuer.Hang()
		results := make(chan error, many)
		for i := range many {
			go func() {
				_, err := remote.Keys(t.Context(), "RS256", fmt.Sprintf("made-up-%d", i))
				results <- err
			}()
		}
		synctest.Wait()
		release()
		for range many {
			require.ErrorIs(t, <-results, jwks.ErrUnknownKey)
		}
		require.LessOrEqual(t, issuer.KeyFetches(), 1+2)
	})
}

// A key that the issuer has published while a fetch was under way may not be in
// what that fetch brings.
func TestAKeyThatAFlightHasMissedIsFoundByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		landing := make(chan struct{})
		fetches := 0
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
			switch fetches++; fetches {
			case 1:
				return keySet(r, other(0).with("kid", "old")), nil
			case 2:
				<-landing
				return keySet(r, other(0).with("kid", "old")), nil
			default:
				return keySet(r, other(0).with("kid", "old"), other(1).with("kid", "new")), nil
			}
		})})
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(5 * time.Minute)
		_, err := ask(t, remote, "old") // starts the second
		require.NoError(t, err)
		found := make(chan error, 1)
		go func() {
			_, err := remote.Keys(t.Context(), "RS256", "new")
			found <- err
		}()
		synctest.Wait()
		close(landing)
		require.NoError(t, <-found)
		require.Equal(t, 3, fetches)
	})
}

func TestAnUnknownKeyWhileTheIssuerIsDownIsNobodysFault(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		issuer.SetDown(true)
		for range 100 {
			_, err := ask(t, remote, "unknown")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
		}
		require.Equal(t, 1+1, fetches(remote), "the next one when its retry is due")
		for range 60 {
			_, err := ask(t, remote, "unknown")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.NotErrorIs(t, err, jwks.ErrUnknownKey)
			require.ErrorContains(t, err, "answered 503")
			_, err = ask(t, remote, kid)
			require.NoError(t, err, "a known one serves")
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, fetches(remote), 1+2+6)

		issuer.SetDown(false)
		time.Sleep(15 * time.Second)
		_, err := ask(t, remote, "unknown")
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
		require.NotErrorIs(t, err, jwks.ErrUnavailable)
	})
}

func TestAKnownKeyDoesNotWaitForAnUnknownOne(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		require.NoError(t, remote.Warm(t.Context()))
		issuer.Hang()
		var unknown error
		var took time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			start := time.Now()
			_, unknown = remote.Keys(t.Context(), "RS256", "unknown")
			took = time.Since(start)
		}()
		synctest.Wait()
		waited, err := ask(t, remote, current(t, issuer))
		require.NoError(t, err)
		require.Zero(t, waited)
		<-done
		require.ErrorIs(t, unknown, jwks.ErrUnavailable)
		require.Equal(t, 5*time.Second, took)
	})
}

func TestARequestThatIsGivenUpDoesNotFailTheOthers(t *testing.T) {
	for name, age := range map[string]time.Duration{"none yet": 0, "expired": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
				kid := current(t, issuer)
				if age > 0 {
					require.NoError(t, remote.Warm(t.Context()))
					time.Sleep(age)
				}
				before := fetches(remote)
				release := issuer.Hang()
				ctx, cancel := context.WithCancel(t.Context())
				first, second := make(chan error, 1), make(chan error, 1)
				go func() {
					_, err := remote.Keys(ctx, "RS256", kid) // starts the fetch
					first <- err
				}()
				synctest.Wait()
				go func() {
					_, err := remote.Keys(t.Context(), "RS256", kid)
					second <- err
				}()
				synctest.Wait()
				cancel()
				err := <-first
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.ErrorIs(t, err, context.Canceled)
				synctest.Wait()
				require.Empty(t, second)
				release()
				require.NoError(t, <-second)
				require.Equal(t, 1, fetches(remote)-before)
			})
		})
	}
}

func TestARequestWaitsWithinItsOwnTime(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		issuer.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := remote.Keys(ctx, "RS256", "k")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestARequestThatIsGivenUpWhileTheSetIsOverdueIsServed(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(time.Hour)
		issuer.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := remote.Keys(ctx, "RS256", kid)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestWarmingFetchesOnceWhileTheSetIsFresh(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		require.NoError(t, remote.Warm(t.Context()))
		require.NoError(t, remote.Warm(t.Context()))
		require.Equal(t, 1, issuer.KeyFetches())
		time.Sleep(5 * time.Minute)
		require.NoError(t, remote.Warm(t.Context()))
		require.Equal(t, 2, issuer.KeyFetches())
	})
}

func TestWarmingDoesNotWaitForARetryToBeDue(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		issuer.SetDown(true)
		for range 5 {
			require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
		}
		issuer.SetDown(false)
		require.NoError(t, remote.Warm(t.Context()))
		_, err := ask(t, remote, current(t, issuer))
		require.NoError(t, err)
	})
}

func TestWarmingWaitsWithinItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		issuer.Hang()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := remote.Warm(ctx)
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
	})
}

const keysURL = "https://issuer.example/keys"

// A provider answers requests in memory.
type provider func(*http.Request) (*http.Response, error)

func (p provider) RoundTrip(r *http.Request) (*http.Response, error) { return p(r) }

func client(p provider) *http.Client { return &http.Client{Transport: p} }

func answer(r *http.Request, status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {contentType}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    r,
	}
}

func keySet(r *http.Request, keys ...any) *http.Response {
	return answer(r, http.StatusOK, "application/json", string(setOf(keys...)))
}

func redirect(r *http.Request, to string) *http.Response {
	response := answer(r, http.StatusFound, "text/plain", "")
	response.Header.Set("Location", to)
	return response
}

// site answers by URL, and notes what it was asked.
func site(asked *[]string, pages map[string]func(*http.Request) *http.Response) provider {
	return func(r *http.Request) (*http.Response, error) {
		*asked = append(*asked, r.URL.String())
		if page, exists := pages[r.URL.String()]; exists {
			return page(r), nil
		}
		return answer(r, http.StatusNotFound, "text/html", "<html>no such page"), nil
	}
}

func json200(body string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response { return answer(r, http.StatusOK, "application/json", body) }
}

func to(url string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response { return redirect(r, url) }
}

func TestWarmingSaysWhatCameBack(t *testing.T) {
	const metadataURL = "https://issuer.example/.well-known/openid-configuration"
	metadata := json200(`{"issuer":"https://issuer.example/","jwks_uri":"` + keysURL + `"}`)
	tests := []struct {
		name  string
		pages map[string]func(*http.Request) *http.Response
		says  []string
	}{
		{"no metadata", nil,
			[]string{"GET " + metadataURL, "404 Not Found", "text/html", "<html>no such page"}},
		{"metadata that are a page", map[string]func(*http.Request) *http.Response{metadataURL: func(r *http.Request) *http.Response {
			return answer(r, 200, "text/html", "<html>Log in")
		}}, []string{"GET " + metadataURL, "answered 200", "text/html", "not strict JSON", "<html>Log in"}},
		{"metadata without jwks_uri", map[string]func(*http.Request) *http.Response{metadataURL: json200(`{"issuer":"https://issuer.example/"}`)},
			[]string{"GET " + metadataURL, "its jwks_uri is missing"}},
		{"a jwks_uri over http", map[string]func(*http.Request) *http.Response{
			metadataURL: json200(`{"issuer":"https://issuer.example/","jwks_uri":"http://keys.example/"}`)},
			[]string{"GET " + metadataURL, "its jwks_uri cannot be used", "http://keys.example/", "use https"}},
		{"no key set", map[string]func(*http.Request) *http.Response{metadataURL: metadata},
			[]string{"GET " + keysURL, "404 Not Found", "text/html", "<html>no such page"}},
		{"a key set that is a page", map[string]func(*http.Request) *http.Response{metadataURL: metadata, keysURL: func(r *http.Request) *http.Response {
			return answer(r, 200, "text/html; charset=utf-8", "<html>Log in")
		}}, []string{"GET " + keysURL, "answered 200", "text/html; charset=utf-8", "not a usable key set", "<html>Log in"}},
		{"a key set without usable keys", map[string]func(*http.Request) *http.Response{metadataURL: metadata, keysURL: json200(`{"keys":[{"kty":"oct"}]}`)},
			[]string{"GET " + keysURL, "answered 200", "application/json", "none that can be used", `its kty "oct"`}},
		{"a key set that is too large", map[string]func(*http.Request) *http.Response{metadataURL: metadata,
			keysURL: json200(string(setOf(rsaJWK)) + strings.Repeat(" ", 1<<20))},
			[]string{"GET " + keysURL, "larger than 1048576 bytes"}},
		{"a redirect to another host", map[string]func(*http.Request) *http.Response{metadataURL: metadata, keysURL: to("https://keys.example/")},
			[]string{"GET " + keysURL, "https://keys.example", "configure that address if it is right"}},
		{"a redirect to http", map[string]func(*http.Request) *http.Response{metadataURL: to("http://issuer.example/")},
			[]string{"GET " + metadataURL, "http://issuer.example", "configure that address if it is right"}},
		{"redirects without end", map[string]func(*http.Request) *http.Response{metadataURL: metadata, keysURL: to(keysURL)},
			[]string{"GET " + keysURL, "redirected more than 3 times"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			remote := newRemote(t, jwks.Config{Issuer: "https://issuer.example/", Client: client(site(&asked, tt.pages))})
			err := remote.Warm(t.Context())
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			for _, part := range tt.says {
				require.ErrorContains(t, err, part)
			}
			require.Less(t, len(err.Error()), 500)
			for _, url := range asked {
				require.True(t, strings.HasPrefix(url, "https://issuer.example/"), "%s was asked", url)
			}

			_, err = remote.Keys(t.Context(), "RS256", "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable, "a request gets the same")
			require.ErrorContains(t, err, tt.says[0])
		})
	}
}

func TestMetadataOfAnotherIssuerAreNotBelieved(t *testing.T) {
	tests := []struct{ configured, answered, says string }{
		{"https://issuer.example", "https://issuer.example/", "add the slash at the end"},
		{"https://issuer.example/", "https://issuer.example", "take off the slash at the end"},
		{"https://issuer.example/", "https://evil.example/", `it says "https://evil.example/"`},
	}
	for _, tt := range tests {
		var asked []string
		remote := newRemote(t, jwks.Config{Issuer: tt.configured, Client: client(site(&asked, map[string]func(*http.Request) *http.Response{
			"https://issuer.example/.well-known/openid-configuration": json200(`{"issuer":"` + tt.answered + `","jwks_uri":"` + keysURL + `"}`),
			keysURL: json200(string(setOf(rsaJWK))),
		}))})
		err := remote.Warm(t.Context())
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorIs(t, err, discovery.ErrIssuer)
		require.ErrorContains(t, err, tt.says)
		require.Len(t, asked, 1, "its key set is not even asked for")
	}
}

func TestTheKeySetMayBeElsewhere(t *testing.T) {
	tests := []struct {
		name  string
		pages map[string]func(*http.Request) *http.Response
	}{
		{"on another host that the issuer names", map[string]func(*http.Request) *http.Response{
			"https://issuer.example/.well-known/openid-configuration": json200(`{"issuer":"https://issuer.example","jwks_uri":"https://keys.example/"}`),
			"https://keys.example/":                                   json200(string(setOf(rsaJWK))),
		}},
		{"three redirects on", map[string]func(*http.Request) *http.Response{
			"https://issuer.example/.well-known/openid-configuration": json200(`{"issuer":"https://issuer.example","jwks_uri":"` + keysURL + `"}`),
			keysURL:                    to("/1"),
			"https://issuer.example/1": to("/2"),
			"https://issuer.example/2": to("/3"),
			"https://issuer.example/3": json200(string(setOf(rsaJWK))),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			remote := newRemote(t, jwks.Config{Issuer: "https://issuer.example", Client: client(site(&asked, tt.pages))})
			require.NoError(t, remote.Warm(t.Context()))
			require.Len(t, asked, len(tt.pages))
		})
	}
}

func TestASmallAnswerThatUnpacksToALargeOneIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		bomb := gzip.NewWriter(w)
		defer bomb.Close()
		_, _ = bomb.Write(setOf(rsaJWK)) // a good set, and then white space
		spaces := []byte(strings.Repeat(" ", 1<<20))
		for range 4 {
			if _, err := bomb.Write(spaces); err != nil {
				return // the client has had enough
			}
		}
	}))
	defer server.Close()
	remote := newRemote(t, jwks.Config{URL: server.URL})
	err := remote.Warm(t.Context())
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
}

func TestASourceWithoutAClientHasOneOfItsOwn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(setOf(rsaJWK.with("kid", "k")))
	}))
	defer server.Close()
	_, err := ask(t, newRemote(t, jwks.Config{URL: server.URL}), "k")
	require.NoError(t, err)
}
