package jwks_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestAFetchThatHangsEndsAtItsTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		issuer.Hang()
		waited, err := ask(t, remote, "k")
		require.Equal(t, 5*time.Second, waited)
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestAFetchIsInNobodysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type private struct{}
		var value any
		var deadline time.Time
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
			value = r.Context().Value(private{})
			deadline, _ = r.Context().Deadline()
			return keySet(r, rsaJWK), nil
		})})
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), private{}, "secret"), time.Second)
		defer cancel()
		require.NoError(t, remote.Warm(ctx))
		require.Nil(t, value)
		require.Equal(t, 5*time.Second, time.Until(deadline))
	})
}

// Else chance would say whether it is let in, where the fetch ends in the same moment.
func TestARequestThatIsOverIsToldSoEachTime(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
				return keySet(r, rsaJWK.with("kid", "k")), nil
			})})
			_, err := remote.Keys(over, "RS256", "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.ErrorIs(t, err, context.Canceled)
			synctest.Wait()
			keys, err := remote.Keys(over, "RS256", "k")
			require.NoError(t, err, "nothing is to be waited for")
			require.Len(t, keys, 1)
		})
	}
}

func TestRetriesBackOffAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		var fetched []int // seconds after the start
		start := time.Now()
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
			fetched = append(fetched, int(time.Since(start)/time.Second))
			if down {
				return answer(r, http.StatusBadGateway, "text/plain", "down"), nil
			}
			return keySet(r, rsaJWK.with("kid", "k")), nil
		})})
		for range 75 {
			waited, err := ask(t, remote, "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.ErrorContains(t, err, "502 Bad Gateway", "the last failure, also where none is tried")
			require.Zero(t, waited)
			time.Sleep(time.Second)
		}
		require.Equal(t, []int{0, 1, 3, 7, 15, 30, 45, 60}, fetched)

		down = false
		_, err := ask(t, remote, "k")
		require.NoError(t, err)

		// After a success the pauses begin anew.
		down = true
		fetched = nil
		time.Sleep(24 * time.Hour)
		start = time.Now()
		for range 5 {
			_, err := ask(t, remote, "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			time.Sleep(time.Second)
		}
		require.Equal(t, []int{0, 1, 3}, fetched)
	})
}

func TestAStaleSetIsRefreshedNoMoreOftenThanRetriesAreDue(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *fakeissuer.Issuer, remote *jwks.Remote) {
		kid := current(t, issuer)
		require.NoError(t, remote.Warm(t.Context()))
		time.Sleep(5 * time.Minute)
		issuer.SetDown(true)
		for range 60 {
			for range 10 {
				waited, err := ask(t, remote, kid)
				require.NoError(t, err)
				require.Zero(t, waited)
			}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		require.Equal(t, 1+7, fetches(remote)) // after 0, 1, 3, 7, 15, 30 and 45 s
		issuer.SetDown(false)
		_, err := ask(t, remote, kid)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, jwks.Ready, remote.Status().State, "recovered")
	})
}

// What a transport of the user's may do wrong.
func TestATransportThatMisbehavesNeitherKillsNorWedges(t *testing.T) {
	forever := func(r *http.Request, stop <-chan struct{}) (*http.Response, error) {
		<-stop
		return nil, errors.New("stopped")
	}
	tests := []struct {
		name  string
		does  func(r *http.Request, stop <-chan struct{}) (*http.Response, error)
		waits time.Duration
		says  string
	}{
		{"panics", func(*http.Request, <-chan struct{}) (*http.Response, error) { panic("oh no") }, 0, "panic while fetching: oh no"},
		{"panics with nil", func(*http.Request, <-chan struct{}) (*http.Response, error) { panic(nil) }, 0, "panic while fetching"},
		{"ends its goroutine", func(*http.Request, <-chan struct{}) (*http.Response, error) { runtime.Goexit(); return nil, nil }, 0, "the transport ended its goroutine"},
		{"ignores its context", forever, 5 * time.Second, "no answer within 5s"},
		{"returns nothing", func(*http.Request, <-chan struct{}) (*http.Response, error) { return nil, nil }, 0, "nil"},
		{"returns no body", func(r *http.Request, _ <-chan struct{}) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Request: r}, nil
		}, 0, "not a usable key set"},
		{"panics in the body", func(r *http.Request, _ <-chan struct{}) (*http.Response, error) {
			response := keySet(r, rsaJWK)
			response.Body = body{func() (int, error) { panic("oh no") }}
			return response, nil
		}, 0, "panic while fetching: oh no"},
		{"never ends the body", func(r *http.Request, stop <-chan struct{}) (*http.Response, error) {
			response := keySet(r, rsaJWK)
			response.Body = body{func() (int, error) { <-stop; return 0, io.EOF }}
			return response, nil
		}, 5 * time.Second, "no answer within 5s"},
		{"drips", func(r *http.Request, _ <-chan struct{}) (*http.Response, error) {
			response := keySet(r, rsaJWK)
			response.Body = body{func() (int, error) {
				if r.Context().Err() != nil {
					return 0, r.Context().Err()
				}
				time.Sleep(time.Second - 1)
				return 1, nil
			}}
			return response, nil
		}, 5 * time.Second, "context deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				defer close(stop)
				var fetches atomic.Int32 // two may be under way where one ignores its context
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
					if fetches.Add(1) == 1 {
						return tt.does(r, stop)
					}
					return keySet(r, rsaJWK.with("kid", "k")), nil
				})})
				start := time.Now()
				results := make(chan error, 10)
				for range cap(results) {
					go func() {
						_, err := remote.Keys(t.Context(), "RS256", "k")
						results <- err
					}()
				}
				for range cap(results) {
					err := <-results
					require.ErrorIs(t, err, jwks.ErrUnavailable)
					require.ErrorContains(t, err, tt.says)
				}
				require.Equal(t, tt.waits, time.Since(start))

				time.Sleep(time.Second)
				_, err := ask(t, remote, "k")
				require.NoError(t, err, "the next one is as if nothing had happened")
			})
		})
	}
}

// A body is what a function reads.
type body struct{ read func() (int, error) }

func (b body) Read([]byte) (int, error) { return b.read() }
func (b body) Close() error             { return nil }

func TestAnAnswerAfterTheTimeoutDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int32
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
			switch fetches.Add(1) {
			case 1: // ignores its context, and brings what was true when it was asked
				time.Sleep(20 * time.Second)
				return keySet(r, other(0).with("kid", "old")), nil
			default:
				return keySet(r, other(1).with("kid", "new")), nil
			}
		})})
		_, err := ask(t, remote, "old")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		time.Sleep(time.Second)
		_, err = ask(t, remote, "new")
		require.NoError(t, err)

		time.Sleep(time.Minute)
		synctest.Wait()
		_, err = ask(t, remote, "new")
		require.NoError(t, err)
		require.EqualValues(t, 2, fetches.Load())
		_, err = ask(t, remote, "old")
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
	})
}

func TestNothingUnusableReplacesAGoodSet(t *testing.T) {
	type page struct {
		status            int
		contentType, body string
	}
	tests := []struct {
		name string
		page page
	}{
		{"nothing", page{200, "application/json", ""}},
		{"an empty set", page{200, "application/json", `{"keys":[]}`}},
		{"an object", page{200, "application/json", `{}`}},
		{"keys for encryption only", page{200, "application/json", string(setOf(rsaJWK.with("use", "enc")))}},
		{"a weak key only", page{200, "application/json", string(setOf(rsaJWK.with("n", encode(modulus(1024).Bytes()))))}},
		{"a page in HTML", page{200, "text/html", "<html>We are moving"}},
		{"a set that breaks off", page{200, "application/json", string(setOf(rsaJWK))[:100]}},
		{"a set with another status", page{203, "application/json", string(setOf(other(1).with("kid", "other")))}},
		{"a set that is too large", page{200, "application/json", string(setOf(other(1))) + strings.Repeat(" ", 1<<20)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := true
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
					if good {
						return keySet(r, rsaJWK.with("kid", "k")), nil
					}
					return answer(r, tt.page.status, tt.page.contentType, tt.page.body), nil
				})})
				require.NoError(t, remote.Warm(t.Context()))
				good = false
				for _, later := range []time.Duration{5 * time.Minute, 10 * time.Minute, 24*time.Hour - 15*time.Minute - 1} {
					time.Sleep(later)
					_, err := ask(t, remote, "k")
					require.NoError(t, err)
					synctest.Wait()
					require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
				}
				time.Sleep(time.Nanosecond)
				_, err := ask(t, remote, "k")
				require.ErrorIs(t, err, jwks.ErrUnavailable)

				good = true
				time.Sleep(15 * time.Second)
				_, err = ask(t, remote, "k")
				require.NoError(t, err)
			})
		})
	}
}
