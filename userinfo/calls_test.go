package userinfo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// A crowd is an issuer that takes its time, tells of whoever asks, and counts who is
// there at once. A token is the subject, a dot, and anything.
type crowd struct {
	takes       func(subject string) time.Duration
	there, most atomic.Int32
}

func (c *crowd) RoundTrip(r *http.Request) (*http.Response, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	subject, _, _ := strings.Cut(token, ".")
	for now, most := c.there.Add(1), c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	defer c.there.Add(-1)
	select {
	case <-time.After(c.takes(subject)):
		return response(r, 200, "application/json", strings.NewReader(`{"sub":"`+subject+`"}`)), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (c *crowd) client(t *testing.T, config userinfo.Config) *userinfo.Client {
	t.Helper()
	config.Issuer, config.URL, config.Client = issuerURL, endpoint, &http.Client{Transport: c}
	users, err := userinfo.NewClient(config)
	require.NoError(t, err)
	return users
}

// of returns the context of a handler that a user's n-th token has opened.
func of(ctx context.Context, subject string, n int) context.Context {
	who := ada()
	who.Subject = subject
	return behind(ctx, fmt.Sprint(subject, ".", n), who)
}

// always returns what takes the same for everybody.
func always(takes time.Duration) func(string) time.Duration {
	return func(string) time.Duration { return takes }
}

func TestManyUsersAreAskedAboutAtOnce(t *testing.T) {
	tests := []struct{ users, atOnce, rounds int }{
		{1, 1, 1},
		{33, 33, 1},
		{256, 256, 1},
		{257, 256, 2}, // the last one waits for its turn
		{700, 256, 3},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.users), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{takes: always(time.Second)}
				users := c.client(t, userinfo.Config{})
				began := time.Now()
				var all sync.WaitGroup
				for n := range tt.users {
					all.Go(func() {
						if _, err := users.Profile(of(t.Context(), fmt.Sprint("user", n), 0)); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				require.EqualValues(t, tt.atOnce, c.most.Load())
				require.Equal(t, time.Duration(tt.rounds)*time.Second, time.Since(began))
			})
		})
	}
}

// Who waits does so within the request, and within the Timeout; the error says why it
// was, and that the transport is not to blame.
func TestWhoWaitsForATurnWaitsNoLongerThanConfigured(t *testing.T) {
	tests := []struct {
		name    string
		subject func(n int) string
		crowd   int
		says    string
	}{
		{"all places", func(n int) string { return fmt.Sprint("user", n) }, 256, "256 calls are in flight"},
		{"those of one user", func(int) string { return "eve" }, 16, "16 calls about this user are in flight"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				takes := time.Hour
				c := &crowd{takes: func(string) time.Duration { return takes }}
				users := c.client(t, userinfo.Config{Timeout: 3 * time.Second})
				var all sync.WaitGroup
				for n := range tt.crowd {
					all.Go(func() {
						_, err := users.Profile(of(t.Context(), tt.subject(n), n))
						if err == nil || strings.Contains(err.Error(), "in flight") {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				require.EqualValues(t, tt.crowd, c.there.Load())

				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := users.Profile(of(ctx, tt.subject(1000), 1000))
				require.ErrorIs(t, err, context.DeadlineExceeded, "the request has ended")
				require.Equal(t, time.Second, time.Since(began))
				require.EqualValues(t, tt.crowd, c.most.Load())
				all.Wait()
				require.Equal(t, 3*time.Second, time.Since(began))

				// The call of the one that has waited may have had its turn at the last moment.
				time.Sleep(time.Minute)
				synctest.Wait()

				// Two waves stand before the last one, whose time ends within the second.
				takes, began = 2*time.Second, time.Now()
				for n := range 2 * tt.crowd {
					all.Go(func() { _, _ = users.Profile(of(t.Context(), tt.subject(n), n)) })
				}
				synctest.Wait()
				_, err = users.Profile(of(t.Context(), tt.subject(2000), 2000))
				require.ErrorIs(t, err, userinfo.ErrUnavailable)
				require.ErrorIs(t, err, claims.ErrUnavailable)
				require.ErrorContains(t, err, tt.says)
				require.NotContains(t, err.Error(), "transport")
				require.Equal(t, 3*time.Second, time.Since(began))
				all.Wait()
				require.EqualValues(t, tt.crowd, c.most.Load())
			})
		})
	}
}

// Who has many tokens, and finds the issuer slow, takes 16 places and no more.
func TestWhoHasManyTokensKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{takes: func(subject string) time.Duration {
			if subject == "eve" {
				return 4 * time.Second
			}
			return 100 * time.Millisecond
		}}
		users := c.client(t, userinfo.Config{MaxAge: userinfo.NoCache})
		for n := range 300 {
			go func() { _, _ = users.Profile(of(t.Context(), "eve", n)) }()
		}
		synctest.Wait()
		require.EqualValues(t, 16, c.there.Load())
		for round := range 30 {
			began := time.Now()
			var all sync.WaitGroup
			for n := range 100 {
				all.Go(func() {
					if _, err := users.Profile(of(t.Context(), fmt.Sprint("user", n), round)); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			require.Equal(t, 100*time.Millisecond, time.Since(began))
		}
		time.Sleep(time.Minute)
		require.Zero(t, c.there.Load())
	})
}

// A call that comes back late is no sign of a transport that ignores its context, even
// where hundreds of them end at the same time.
func TestASlowIssuerDoesNotLookLikeADeafTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := time.Hour
		c := &crowd{takes: func(string) time.Duration { return takes }}
		users := c.client(t, userinfo.Config{})
		for range 5 {
			var all sync.WaitGroup
			for n := range 200 {
				all.Go(func() {
					if _, err := users.Profile(of(t.Context(), fmt.Sprint("user", n), 0)); !strings.Contains(fmt.Sprint(err), "no answer in time") && !strings.Contains(fmt.Sprint(err), "takes too long") {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		synctest.Wait()
		takes = time.Second
		_, err := users.Profile(of(t.Context(), "ada", 0))
		require.NoError(t, err)
	})
}

// Calls to a deaf transport are counted once when they are given up, and once when they
// come back, also where both happen at the same moment: else the limit would drift.
func TestCallsThatComeBackAsTheyAreGivenUpAreCountedOnce(t *testing.T) {
	for _, late := range []time.Duration{0, time.Second} { // given up, and counted
		synctest.Test(t, func(t *testing.T) {
			takes := 5*time.Second + late
			i := &issuer{answer: func(*http.Request) (*http.Response, error) {
				time.Sleep(takes)
				return nil, errors.New("too late")
			}}
			users := i.client(t, userinfo.Config{})
			for round := range 20 {
				var all sync.WaitGroup
				for n := range 31 {
					all.Go(func() { _, _ = users.Profile(of(t.Context(), fmt.Sprint("user", n), round)) })
				}
				all.Wait()
				time.Sleep(time.Minute)
			}
			require.EqualValues(t, 20*31, i.asked.Load())

			synctest.Wait()
			takes = time.Hour
			for n := range 100 {
				_, err := users.Profile(of(t.Context(), fmt.Sprint("user", n), 0))
				require.ErrorIs(t, err, userinfo.ErrUnavailable)
				time.Sleep(2 * time.Second)
			}
			require.EqualValues(t, 20*31+32, i.asked.Load())
			time.Sleep(2 * time.Hour)
		})
	}
}

// That the client does not get round to asking says nothing about the endpoint: it is not
// looked for again.
func TestACallThatDoesNotStartCastsNoDoubtOnTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{metadata: metadata(`"` + endpoint + `"`)}
		i := &issuer{answer: s.RoundTrip}
		users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, MaxAge: userinfo.NoCache, Client: &http.Client{Transport: i}})
		require.NoError(t, err)
		_, err = users.Profile(behind(t.Context(), token, ada()))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		i.answer = func(r *http.Request) (*http.Response, error) {
			time.Sleep(4 * time.Second)
			return response(r, 200, "application/json", strings.NewReader(`{"sub":"ada"}`)), nil
		}
		var all sync.WaitGroup
		var waited atomic.Int32
		for n := range 33 { // two waves, and one that has no time left then
			all.Go(func() {
				if _, err := users.Profile(behind(t.Context(), fmt.Sprint(token, n), ada())); err != nil {
					waited.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, waited.Load())
		synctest.Wait()
		i.answer = s.RoundTrip
		_, err = users.Profile(behind(t.Context(), token, ada()))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, s.searches)
	})
}

// Nor does the search for the endpoint pile up calls.
func TestADeafTransportIsNotSearchedWithForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{answer: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Hour)
			return nil, errors.New("at last")
		}}
		users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, Client: &http.Client{Transport: i}})
		require.NoError(t, err)
		for n := range 100 {
			_, err := users.Profile(of(t.Context(), fmt.Sprint("user", n), 0))
			require.ErrorIs(t, err, userinfo.ErrUnavailable)
			time.Sleep(2 * time.Second)
		}
		require.EqualValues(t, 32, i.asked.Load())
		time.Sleep(2 * time.Hour)
	})
}

// Who has waited in vain leaves no place taken behind.
func TestWhoWaitedInVainMayAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{takes: always(4 * time.Second)}
		users := c.client(t, userinfo.Config{})
		var all sync.WaitGroup
		for n := range 512 { // two waves, which take longer than anybody waits
			all.Go(func() { _, _ = users.Profile(of(t.Context(), fmt.Sprint("user", n), 0)) })
		}
		synctest.Wait()
		for n := range 16 {
			all.Go(func() {
				if _, err := users.Profile(of(t.Context(), "ada", n)); !strings.Contains(fmt.Sprint(err), "256 calls are in flight") {
					t.Error(err)
				}
			})
		}
		all.Wait()
		_, err := users.Profile(of(t.Context(), "ada", 0))
		require.NoError(t, err)
	})
}
