package jwks_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// pause returns how long requests cause no fetch from now on, as the status says
// and as it turns out.
func pause(t *testing.T, remote *jwks.Remote) time.Duration {
	t.Helper()
	due := time.Until(remote.Status().NextRefresh)
	before := fetches(remote)
	for _, step := range []struct {
		sleep time.Duration
		more  int
	}{{due - 1, 0}, {1, 1}} {
		time.Sleep(step.sleep)
		_, _ = remote.Keys(t.Context(), "RS256", "k")
		synctest.Wait()
		require.Equal(t, before+step.more, fetches(remote), "fetches after %v", due)
	}
	return due
}

// busy answers that one should come back later.
func busy(status int, later string) reply {
	return headed(says(status, "busy"), "Retry-After", later)
}

// in writes a date from now.
func in(later time.Duration, layout string) func() string {
	return func() string { return time.Now().Add(later).UTC().Format(layout) }
}

func TestAnIssuerThatAsksForItIsLeftAlone(t *testing.T) {
	literally := func(text string) func() string { return func() string { return text } }
	tests := []struct {
		name            string
		later           func() string
		needed, serving time.Duration // until the next fetch: where there is no set, and where there is one
	}{
		{"not at all", literally(""), time.Second, time.Second},
		{"no time", literally("0"), time.Second, time.Second},
		{"a second", literally("1"), time.Second, time.Second},
		{"seconds", literally("7"), 7 * time.Second, 7 * time.Second},
		{"as long as one may wait without a set", literally("15"), 15 * time.Second, 15 * time.Second},
		{"a bit longer", literally("16"), 15 * time.Second, 16 * time.Second},
		{"minutes", literally("600"), 15 * time.Second, 10 * time.Minute},
		{"as long as one may wait with a set", literally("3600"), 15 * time.Second, time.Hour},
		{"a second longer", literally("3601"), 15 * time.Second, time.Hour},
		{"beyond 31 bits", literally("2147483648"), 15 * time.Second, time.Hour},
		{"beyond 64 bits of nanoseconds", literally("9223372037"), 15 * time.Second, time.Hour},
		{"beyond 64 bits", literally("99999999999999999999999999"), 15 * time.Second, time.Hour},
		{"a date soon", in(7*time.Second, http.TimeFormat), 7 * time.Second, 7 * time.Second},
		{"a date", in(10*time.Minute, http.TimeFormat), 15 * time.Second, 10 * time.Minute},
		{"a date as C writes it", in(7*time.Second, time.ANSIC), 7 * time.Second, 7 * time.Second},
		{"a date far off", literally("Fri, 31 Dec 9999 23:59:59 GMT"), 15 * time.Second, time.Hour},
		{"now", in(0, http.TimeFormat), time.Second, time.Second},
		{"a date that is past", in(-time.Hour, http.TimeFormat), time.Second, time.Second},
		{"a date long past", literally("Thu, 01 Jan 1970 00:00:00 GMT"), time.Second, time.Second},
		{"less than nothing", literally("-7"), time.Second, time.Second},
		{"a sign", literally("+7"), time.Second, time.Second},
		{"a fraction", literally("7.5"), time.Second, time.Second},
		{"a unit", literally("7s"), time.Second, time.Second},
		{"hexadecimal", literally("0x7"), time.Second, time.Second},
		{"two", literally("7, 8"), time.Second, time.Second},
		{"words", literally("later"), time.Second, time.Second},
	}
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		for _, tt := range tests {
			t.Run(http.StatusText(status)+"/"+tt.name, func(t *testing.T) {
				staged(t, func(t *testing.T, s *stage) {
					remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
					s.put(keysURL, busy(status, tt.later()))
					require.Error(t, remote.Warm(t.Context()))
					require.Equal(t, tt.needed, pause(t, remote))
				})
				staged(t, func(t *testing.T, s *stage) {
					remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
					warm(t, remote)
					time.Sleep(5 * time.Minute)
					s.put(keysURL, busy(status, tt.later()))
					require.Error(t, remote.Warm(t.Context()))
					require.Equal(t, tt.serving, pause(t, remote))
				})
			})
		}
	}
}

func TestAnIssuerThatAsksForLessIsLeftAloneNoLessThanOthers(t *testing.T) {
	for _, later := range []string{"0", "2", "Thu, 01 Jan 1970 00:00:00 GMT"} {
		t.Run(later, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				s.put(keysURL, busy(http.StatusServiceUnavailable, later))
				for range 3 {
					require.Error(t, remote.Warm(t.Context()))
				}
				for _, want := range []time.Duration{4, 8, 15, 15} {
					require.Equal(t, want*time.Second, pause(t, remote))
				}
			})
		})
	}
}

func TestTheLastAnswerSaysHowLongAnIssuerIsLeftAlone(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		warm(t, remote)
		time.Sleep(5 * time.Minute)
		s.put(keysURL, busy(http.StatusServiceUnavailable, "1800"))
		require.Error(t, remote.Warm(t.Context()))
		s.put(keysURL, says(http.StatusServiceUnavailable, "down"))
		require.Error(t, remote.Warm(t.Context()))
		require.Equal(t, 2*time.Second, pause(t, remote))

		s.put(keysURL, busy(http.StatusServiceUnavailable, "1800"))
		require.Error(t, remote.Warm(t.Context()))
		s.put(keysURL, serves("k"))
		require.NoError(t, remote.Warm(t.Context()))
		require.Equal(t, 5*time.Minute, pause(t, remote), "after a success, the age of the set")
	})
}

// A set without the key serves nobody who has it: a rotation must not wait for an
// hour because of what the issuer, or a proxy, has said of somebody's made-up key.
func TestForAnUnknownKeyAnIssuerIsNotLeftAloneForLong(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		warm(t, remote)
		s.put(keysURL, busy(http.StatusTooManyRequests, "3600"))
		for range 600 {
			_, err := ask(t, remote, "unknown")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.ErrorContains(t, err, "429 Too Many Requests")
			_, err = ask(t, remote, "k")
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, s.count(keysURL), 1+1+600/15)
		s.put(keysURL, serves("k", "unknown"))
		time.Sleep(15 * time.Second)
		_, err := ask(t, remote, "unknown")
		require.NoError(t, err)
	})
}

func TestAnIssuerIsNotLeftAloneForLongOnceTheSetHasExpired(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		warm(t, remote)
		time.Sleep(24*time.Hour - 10*time.Second)
		s.put(keysURL, busy(http.StatusServiceUnavailable, "3600"))
		require.Error(t, remote.Warm(t.Context()))

		s.put(keysURL, serves("k"))
		time.Sleep(10 * time.Second)
		_, err := ask(t, remote, "k")
		require.ErrorIs(t, err, jwks.ErrUnavailable, "expired, and asked for less than 15 s ago")
		time.Sleep(5*time.Second - 1)
		_, err = ask(t, remote, "k")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		time.Sleep(time.Nanosecond)
		_, err = ask(t, remote, "k")
		require.NoError(t, err)
	})
}

func TestMetadataMayAskForALaterRetryToo(t *testing.T) {
	tests := []struct {
		name            string
		metadata, oauth reply
	}{
		{"those of OpenID Connect", busy(http.StatusTooManyRequests, "7"), nil},
		{"those of OAuth", nil, busy(http.StatusTooManyRequests, "7")},
		{"those of OAuth, after others that are just not there", busy(http.StatusNotFound, "3600"), busy(http.StatusServiceUnavailable, "7")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, tt.metadata)
				s.put(oauthURL, tt.oauth)
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				require.Error(t, remote.Warm(t.Context()))
				require.Equal(t, 7*time.Second, pause(t, remote))
			})
		})
	}
}
