package jwks_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// saved returns a set as a program may have saved it.
func saved(t *testing.T, kids ...string) *jwks.Set {
	t.Helper()
	var keys []any
	for i, kid := range kids {
		keys = append(keys, other(uint(i)).with("kid", kid))
	}
	return &jwks.Set{Keys: pinned(t, keys...)}
}

func TestAnInitialSetServesFromTheFirstMoment(t *testing.T) {
	tests := []struct {
		name     string
		provider reply
	}{
		{"up", serves("k")},
		{"down", says(http.StatusServiceUnavailable, "down")},
		{"hanging", hangs},
		{"out of reach", refuses},
		{"a page", says(http.StatusOK, "<html>")},
		{"empty", serves()},
		{"not modified", unmodified},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(keysURL, tt.provider)
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: saved(t, "k")})
				require.Empty(t, s.urls(), "nothing is fetched before the first request")
				for range 60 {
					waited, err := ask(t, remote, "k")
					require.NoError(t, err)
					require.Zero(t, waited)
					time.Sleep(time.Second)
				}
				require.NotEmpty(t, s.urls())
			})
		})
	}
}

func TestAnInitialSetIsStaleFromTheFirstMoment(t *testing.T) {
	for _, refreshAfter := range []time.Duration{0, time.Microsecond, 10 * time.Minute} {
		t.Run(refreshAfter.String(), func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: saved(t, "k"), RefreshAfter: refreshAfter})
				require.Equal(t, "stale", remote.Status().Phase)
				require.Equal(t, jwks.Ready, remote.Status().State)
				_, err := ask(t, remote, "k")
				require.NoError(t, err)
				synctest.Wait()
				require.Equal(t, 1, s.count(keysURL), "the first request refreshes it")
				require.Equal(t, [2]string{}, condition(s.requests(keysURL)[0]))
				require.Equal(t, "fresh", remote.Status().Phase)
			})
		})
	}
}

func TestAnInitialSetIsOverdueAndExpiresAsIfFetchedAtTheStart(t *testing.T) {
	tests := []struct {
		name     string
		age      time.Duration
		provider reply
		waits    time.Duration
		served   bool
	}{
		{"stale", 15*time.Minute - 1, hangs, 0, true},
		{"overdue", 15 * time.Minute, hangs, 2 * time.Second, true},
		{"still overdue", 24*time.Hour - 1, hangs, 2 * time.Second, true},
		{"still overdue, down", 24*time.Hour - 1, says(503, "down"), 0, true},
		{"expired", 24 * time.Hour, hangs, 5 * time.Second, false},
		{"expired, down", 24 * time.Hour, says(503, "down"), 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(keysURL, tt.provider)
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: saved(t, "k")})
				time.Sleep(tt.age)
				waited, err := ask(t, remote, "k")
				require.Equal(t, tt.waits, waited)
				if tt.served {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, jwks.ErrUnavailable)
				}
			})
		})
	}
}

func TestTheFirstSetThatIsFetchedReplacesTheInitialOne(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(keysURL, says(http.StatusServiceUnavailable, "down"))
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: saved(t, "k")})
		require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable, "it is not fresh, so warming fetches")
		_, err := ask(t, remote, "new")
		require.ErrorIs(t, err, jwks.ErrUnavailable, "nobody can say")

		s.put(keysURL, serves("new"))
		time.Sleep(time.Second)
		waited, err := ask(t, remote, "new")
		require.NoError(t, err)
		require.Zero(t, waited)
		_, err = ask(t, remote, "k")
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
		time.Sleep(5*time.Minute - 1)
		require.Equal(t, "fresh", remote.Status().Phase, "with ages of its own")
	})
}

func TestAnInitialSetWithoutKeysIsRefused(t *testing.T) {
	tests := []struct {
		name    string
		initial *jwks.Set
		says    string
	}{
		{"empty", &jwks.Set{}, "Config.Initial has no key that can be used: leave it nil"},
		{"all left out", &jwks.Set{LeftOut: []jwks.LeftOut{{ID: "k", Reason: "weak"}}}, "Config.Initial has no key that can be used: leave it nil"},
		{"a key that is nil", &jwks.Set{Keys: append(pinned(t, ecJWK), nil)}, "Config.Initial has a nil key: take it out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Initial: tt.initial})
			require.ErrorContains(t, err, "jwks: "+tt.says)
			require.Nil(t, remote)
		})
	}
}

func TestWhatHappensToTheInitialSetLaterDoesNotMatter(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(keysURL, refuses)
		initial := saved(t, "k", "l")
		initial.LeftOut = []jwks.LeftOut{{Position: 2, ID: "m", Reason: "weak"}}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: initial})
		before := remote.Status()

		initial.Keys[0] = saved(t, "evil").Keys[0]
		initial.Keys = append(initial.Keys[:1], nil)
		initial.LeftOut[0].Reason = "changed"
		require.Equal(t, before, remote.Status())
		for _, kid := range []string{"k", "l"} {
			_, err := ask(t, remote, kid)
			require.NoError(t, err)
		}
		_, err := ask(t, remote, "evil")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
	})
}

func TestAnInitialSetMayBeOneThatParseSetHasRead(t *testing.T) {
	set, err := jwks.ParseSet(setOf(rsaJWK.with("kid", "k"), member{"kty": "oct"}))
	require.NoError(t, err)
	staged(t, func(t *testing.T, s *stage) {
		s.put(keysURL, refuses)
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Initial: set})
		require.Equal(t, set.LeftOut, remote.Status().LeftOut)
		_, err := ask(t, remote, "k")
		require.NoError(t, err)
	})
}
