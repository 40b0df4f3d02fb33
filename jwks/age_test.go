package jwks_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestTheAgeIsTheLongerOfWhatTwoClocksSay(t *testing.T) {
	const (
		m = time.Minute
		h = time.Hour
		d = 24 * time.Hour
	)
	tests := []struct {
		name                       string
		monotonicThen, wallThen    time.Duration
		monotonicNow, wallNow, age time.Duration
	}{
		{"no time has passed", 2 * h, 9 * d, 2 * h, 9 * d, 0},
		{"both go alike", 2 * h, 9 * d, 2*h + m, 9*d + m, m},
		{"from the start of the process", 0, 9 * d, m, 9*d + m, m},
		{"the machine has slept", 2 * h, 9 * d, 2 * h, 10 * d, d},
		{"the machine has slept in between", 2 * h, 9 * d, 2*h + m, 9*d + h, h},
		{"the wall clock is set back a little", 2 * h, 9 * d, 3 * h, 9*d + m, h},
		{"the wall clock is set back before then", 2 * h, 9 * d, 3 * h, 8 * d, h},
		{"the wall clock is set back to 1970", 2 * h, 9 * d, 3 * h, 0, h},
		{"the wall clock is set back before 1970", 2 * h, 9 * d, 3 * h, -d, h},
		{"the wall clock is set forward", 2 * h, 9 * d, 2*h + m, 10 * d, d},
		{"the wall clock is set right after it began in 1970", 0, 0, m, 20_000 * d, 20_000 * d},
		{"a sleep, and the wall clock set back by as much", 2 * h, 9 * d, 2*h + m, 9*d + m, m},
		{"a sleep, and the wall clock set back by more", 2 * h, 9 * d, 2*h + m, 9*d - h, m},
		{"both stand still", 2 * h, 9 * d, 2 * h, 9 * d, 0},
		{"both go back", 2 * h, 9 * d, h, 8 * d, 0},
		{"the monotonic goes back", 2 * h, 9 * d, h, 9*d + m, m},
		{"a nanosecond", 2 * h, 9 * d, 2*h + 1, 9*d + 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.age, jwks.Age(tt.monotonicThen, tt.wallThen, tt.monotonicNow, tt.wallNow))
		})
	}
}

// freshFor warms a source and returns how long its set is fresh.
func freshFor(t *testing.T, remote *jwks.Remote) time.Duration {
	t.Helper()
	require.NoError(t, remote.Warm(t.Context()))
	status := remote.Status()
	require.Equal(t, "fresh", status.Phase)
	return status.NextRefresh.Sub(status.Fetched)
}

// steadyClient always answers with the same keys.
func steadyClient(keys ...any) *http.Client {
	return client(func(r *http.Request) (*http.Response, error) { return keySet(r, keys...), nil })
}

func TestReplicasThatStartTogetherDoNotFetchInStep(t *testing.T) {
	tests := []struct {
		jitter          float64 // of the Config
		earliest        time.Duration
		latest          time.Duration
		before5, after5 bool // some are due clearly before and after the 5 minutes
	}{
		{0, 4*time.Minute + 30*time.Second, 5*time.Minute + 30*time.Second, true, true},
		{0.01, 4*time.Minute + 57*time.Second, 5*time.Minute + 3*time.Second, false, false},
		{0.5, 2*time.Minute + 30*time.Second, 7*time.Minute + 30*time.Second, true, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.jitter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const replicas = 200
				due := map[time.Duration]int{}
				before5, after5 := false, false
				for range replicas {
					// Not newRemote, which takes the jitter out.
					remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Client: steadyClient(ecJWK), Jitter: tt.jitter})
					require.NoError(t, err)
					after := freshFor(t, remote)
					require.GreaterOrEqual(t, after, tt.earliest)
					require.LessOrEqual(t, after, tt.latest)
					before5 = before5 || after < 4*time.Minute+45*time.Second
					after5 = after5 || after > 5*time.Minute+15*time.Second
					due[after]++
				}
				require.Equal(t, tt.before5, before5)
				require.Equal(t, tt.after5, after5)
				require.Greater(t, len(due), replicas*9/10, "few are due at the same moment")
			})
		})
	}
}

func TestWithoutJitterTheAgesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Client: steadyClient(ecJWK), Jitter: jwks.NoJitter})
			require.NoError(t, err)
			require.Equal(t, 5*time.Minute, freshFor(t, remote))
			time.Sleep(15*time.Minute - 1)
			require.Equal(t, "stale", remote.Status().Phase)
			time.Sleep(time.Nanosecond)
			require.Equal(t, "overdue", remote.Status().Phase)
		}
	})
}

func TestEverySetHasAJitterOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Client: steadyClient(ecJWK)})
		require.NoError(t, err)
		due := map[time.Duration]bool{}
		for range 50 {
			due[freshFor(t, remote)] = true
			time.Sleep(20 * time.Minute)
		}
		require.Greater(t, len(due), 45)
	})
}

func TestRefreshAndOverdueAreLongerOrShorterAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			remote, err := jwks.NewRemote(jwks.Config{
				URL: keysURL, Client: steadyClient(ecJWK), Jitter: 0.5,
				RefreshAfter: 10 * time.Minute, OverdueAfter: 20 * time.Minute,
			})
			require.NoError(t, err)
			after := freshFor(t, remote)
			time.Sleep(2*after - time.Millisecond) // what is rounded is nanoseconds
			require.Equal(t, "stale", remote.Status().Phase)
			time.Sleep(2 * time.Millisecond)
			require.Equal(t, "overdue", remote.Status().Phase)
		}
	})
}

func TestAgesThatAreTheSameStayInOrder(t *testing.T) {
	const age = 10 * time.Minute
	tests := []struct {
		name             string
		overdue, expired time.Duration
		next             string // the phase after fresh
	}{
		{"overdue as soon as stale", age, 24 * time.Hour, "overdue"},
		{"expired as soon as overdue", age + age/5, age + age/5, "stale"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 50 {
					remote, err := jwks.NewRemote(jwks.Config{
						URL: keysURL, Client: steadyClient(ecJWK), Jitter: 0.5,
						RefreshAfter: age, OverdueAfter: tt.overdue, ExpireAfter: tt.expired,
					})
					require.NoError(t, err)
					after := freshFor(t, remote)
					require.LessOrEqual(t, after, tt.expired)
					time.Sleep(after - 1)
					require.Equal(t, "fresh", remote.Status().Phase)
					time.Sleep(time.Nanosecond)
					next := tt.next
					if after == tt.expired {
						next = "expired"
					}
					require.Equal(t, next, remote.Status().Phase)
				}
			})
		})
	}
}

func TestNoSetIsUsedBeyondItsExpiryWhateverTheJitter(t *testing.T) {
	for _, expire := range []time.Duration{10 * time.Minute, 24 * time.Hour} {
		t.Run(expire.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 50 {
					remote, err := jwks.NewRemote(jwks.Config{
						URL: keysURL, Client: steadyClient(ecJWK), Jitter: 0.5,
						RefreshAfter: 10 * time.Minute, OverdueAfter: 10 * time.Minute, ExpireAfter: expire,
					})
					require.NoError(t, err)
					require.NoError(t, remote.Warm(t.Context()))
					time.Sleep(expire - 1)
					require.Equal(t, jwks.Ready, remote.Status().State)
					time.Sleep(time.Nanosecond)
					require.Equal(t, "expired", remote.Status().Phase)
					require.Equal(t, jwks.NotReady, remote.Status().State)
				}
			})
		})
	}
}
