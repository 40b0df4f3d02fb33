package jwks_test

import (
	"context"
	"errors"
	"fmt"
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

// A retrier is an error that says when to retry.
type retrier interface {
	error
	RetryAfter() time.Duration
}

// retryAfter returns when to retry, as an error says that must.
func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	require.ErrorIs(t, err, jwks.ErrUnavailable)
	r, says := errors.AsType[retrier](fmt.Errorf("wrapped: %w", err))
	require.True(t, says, err)
	return r.RetryAfter()
}

func TestAnErrorSaysWhenTheNextFetchMayStart(t *testing.T) {
	const none, good, expired = -1, 0, 24 * time.Hour // how old the set is
	down := says(http.StatusBadGateway, "down")
	seconds := func(s ...time.Duration) []time.Duration {
		for i := range s {
			s[i] *= time.Second
		}
		return s
	}
	tests := []struct {
		name   string
		config jwks.Config
		age    time.Duration
		kid    string
		does   reply
		pauses []time.Duration
	}{
		{"down", jwks.Config{}, none, "k", down, seconds(1, 2, 4, 8, 15, 15)},
		{"down, with pauses of its own", jwks.Config{RetryMin: 3 * time.Second, RetryMax: 10 * time.Second}, none, "k", down, seconds(3, 6, 10, 10)},
		{"not found", jwks.Config{}, none, "k", nil, seconds(1, 2, 4)},
		{"out of reach", jwks.Config{}, none, "k", refuses, seconds(1, 2, 4)},
		{"hanging", jwks.Config{}, none, "k", hangs, seconds(1, 2, 4)},
		{"a set without keys", jwks.Config{}, none, "k", serves(), seconds(1, 2, 4)},
		{"a set that has expired", jwks.Config{}, expired, "k", down, seconds(1, 2, 4)},

		{"busy for no time", jwks.Config{}, none, "k", busy(http.StatusServiceUnavailable, "0"), seconds(1, 2, 4)},
		{"busy for a while", jwks.Config{}, none, "k", busy(http.StatusServiceUnavailable, "7"), seconds(7, 7, 7, 8, 15)},
		{"busy for long", jwks.Config{}, none, "k", busy(http.StatusTooManyRequests, "3600"), seconds(15, 15)},
		{"busy for long, with a bound of its own", jwks.Config{RetryMax: time.Minute}, none, "k", busy(http.StatusTooManyRequests, "3600"), seconds(60, 60)},
		{"busy for long, and the set has expired", jwks.Config{}, expired, "k", busy(http.StatusTooManyRequests, "3600"), seconds(15, 15)},

		// What unknown keys may fetch is used up before the retry is due, from the
		// second failure on until the pauses are longer than that takes.
		{"an unknown key", jwks.Config{}, good, "unknown", down, seconds(1, 9, 10, 10, 15, 15)},
		{"an unknown key, of which many may fetch", jwks.Config{UnknownKeyBurst: 9}, good, "unknown", down, seconds(1, 2, 4, 8, 15)},
		{"an unknown key, of which few may fetch", jwks.Config{UnknownKeyBurst: 1, UnknownKeyInterval: time.Minute}, good, "unknown", down, seconds(60, 60)},
		{"an unknown key, busy for long", jwks.Config{}, good, "unknown", busy(http.StatusTooManyRequests, "3600"), seconds(15, 15, 15)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				tt.config.URL, tt.config.Client = keysURL, s.client()
				remote := newRemote(t, tt.config)
				if tt.age != none {
					warm(t, remote)
					time.Sleep(tt.age)
				}
				s.put(keysURL, tt.does)
				before := fetches(remote)
				for i, pause := range tt.pauses {
					// The fetch that was waited for has failed; then there is none to wait for.
					for _, sleep := range []time.Duration{0, pause / 2, pause/2 - 1} {
						time.Sleep(sleep)
						pause -= sleep
						_, err := ask(t, remote, tt.kid)
						require.Equal(t, pause, retryAfter(t, err), "failure %d", i+1)
						require.Equal(t, before+i+1, fetches(remote))
					}
					time.Sleep(pause)
				}
			})
		})
	}
}

func TestAllWhoHaveWaitedAreToldWhenToRetry(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, hangs)
		results := make(chan error)
		for range 20 {
			go func() {
				_, err := remote.Keys(t.Context(), "RS256", "k")
				results <- err
			}()
		}
		for range 20 {
			require.Equal(t, time.Second, retryAfter(t, <-results))
		}
		require.Equal(t, 1, fetches(remote))
	})
}

// Warming does not wait for a retry to be due, but it can say when requests do.
func TestWhereWarmingFailsTheErrorSaysWhenARequestMayFetch(t *testing.T) {
	const none = -1
	tests := []struct {
		name string
		age  time.Duration
		want time.Duration
	}{
		{"no set", none, 15 * time.Second},
		{"a set that serves", 5 * time.Minute, 10 * time.Minute},
		{"a set that is overdue", time.Hour, 10 * time.Minute},
		{"a set that has expired", 24 * time.Hour, 15 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				if tt.age != none {
					warm(t, remote)
					time.Sleep(tt.age)
				}
				s.put(keysURL, busy(http.StatusServiceUnavailable, "600"))
				for range 2 {
					require.Equal(t, tt.want, retryAfter(t, remote.Warm(t.Context())))
					require.Equal(t, tt.want, time.Until(remote.Status().NextRefresh))
					time.Sleep(time.Second)
				}
			})
		})
	}
}

func TestWhereNothingIsKnownNoErrorSaysWhenToRetry(t *testing.T) {
	keys := func(kid string) func(context.Context, *jwks.Remote) error {
		return func(ctx context.Context, r *jwks.Remote) error {
			_, err := r.Keys(ctx, "RS256", kid)
			return err
		}
	}
	warming := func(ctx context.Context, r *jwks.Remote) error { return r.Warm(ctx) }
	tests := []struct {
		name   string
		zero   bool
		warmed bool
		within time.Duration // the request's own time; 0: it is over
		asks   func(context.Context, *jwks.Remote) error
		want   error
	}{
		{"the time is up while waiting for a set", false, false, time.Second, keys("k"), context.DeadlineExceeded},
		{"the time was up before", false, false, 0, keys("k"), context.DeadlineExceeded},
		{"the time is up while waiting for an unknown key", false, true, time.Second, keys("unknown"), context.DeadlineExceeded},
		{"the time is up while warming", false, false, time.Second, warming, context.DeadlineExceeded},
		{"a zero Remote", true, false, time.Second, keys("k"), jwks.ErrUnavailable},
		{"warming a zero Remote", true, false, time.Second, warming, jwks.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := &jwks.Remote{}
				if !tt.zero {
					remote = newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
				}
				if tt.warmed {
					warm(t, remote)
				}
				s.put(keysURL, hangs)
				ctx, cancel := context.WithTimeout(t.Context(), tt.within)
				defer cancel()
				err := tt.asks(ctx, remote)
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.ErrorIs(t, err, tt.want)
				_, says := errors.AsType[retrier](err)
				require.False(t, says)
			})
		})
	}
}

func TestAKeyThatIsUnknownForSureIsNotToBeRetried(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		for range 10 {
			_, err := ask(t, remote, "unknown")
			require.ErrorIs(t, err, jwks.ErrUnknownKey)
			_, says := errors.AsType[retrier](err)
			require.False(t, says)
		}
	})
}

// An opinion is an error of a transport that has its own idea of when to retry.
type opinion struct{ error }

func (opinion) RetryAfter() time.Duration { return 1000 * time.Hour }

func TestATransportDoesNotSayWhenToRetry(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, func(*http.Request) (*http.Response, error) { return nil, opinion{errors.New("not now")} })
		for range 2 { // it is waited for, and it is remembered
			_, err := ask(t, remote, "k")
			require.Equal(t, time.Second, retryAfter(t, err))
			require.ErrorContains(t, err, "not now")
		}
	})
}

func TestWhatAnErrorSaysOfARetryIsNotInItsText(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, says(http.StatusBadGateway, "down"))
		want := "jwks: keys are not available: GET " + keysURL + `: answered 502 Bad Gateway ("text/html"): "down"`
		for range 2 {
			_, err := ask(t, remote, "k")
			require.EqualError(t, err, want)
			time.Sleep(time.Millisecond)
		}
	})
}
