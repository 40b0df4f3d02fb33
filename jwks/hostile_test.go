package jwks_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// A failure from long ago is no outage: an API that nobody has used since then
// must not honour a key that was removed hours ago.
func TestARemovedKeyIsNotHonouredOnAnIdleAPI(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		s.put(keysURL, serves("old"))
		warm(t, remote)
		time.Sleep(6 * time.Minute)
		s.put(keysURL, says(http.StatusServiceUnavailable, "a blip"))
		_, err := ask(t, remote, "old")
		require.NoError(t, err)
		synctest.Wait()
		s.put(keysURL, serves("new"))
		for _, quiet := range []time.Duration{20 * time.Minute, 23 * time.Hour} {
			time.Sleep(quiet)
			_, err = ask(t, remote, "old")
			require.ErrorIs(t, err, jwks.ErrUnknownKey)
		}
	})
}

func TestMetadataThatNameAWrongAddressDoNotKeepTheKeysAway(t *testing.T) {
	const wrongURL = "https://issuer.example/nowhere"
	for name, wrong := range map[string]reply{"not found": nil, "hanging": hangs, "a page": says(200, "<html>")} {
		t.Run(name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, names(issuerURL, keysURL))
				s.put(keysURL, serves("k"))
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				warm(t, remote)
				s.put(metadataURL, names(issuerURL, wrongURL))
				s.put(wrongURL, wrong)
				for range 60 { // two and a half days
					time.Sleep(time.Hour)
					_, err := ask(t, remote, "k")
					require.NoError(t, err)
				}
				synctest.Wait()
				s.put(keysURL, serves("new"))
				time.Sleep(time.Hour)
				_, err := ask(t, remote, "new")
				require.NoError(t, err, "the old address is asked behind the wrong one")
			})
		})
	}
}

// What is slow, but within the time by itself, gets there in the end.
func TestASlowProviderIsReachedInTheEnd(t *testing.T) {
	const slow = 3 * time.Second
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, late(slow, names(issuerURL, keysURL)))
		s.put(keysURL, late(slow, serves("k")))
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
		start := time.Now()
		for {
			if _, err := ask(t, remote, "k"); err == nil {
				break
			}
			time.Sleep(time.Second)
			require.Less(t, time.Since(start), time.Minute)
		}

		// Also after a blip, with metadata that hang from now on.
		s.put(metadataURL, hangs)
		s.put(keysURL, refuses)
		time.Sleep(6 * time.Minute)
		require.Error(t, remote.Warm(t.Context()))
		s.put(keysURL, late(slow, serves("k")))
		start = time.Now()
		for remote.Status().State != jwks.Ready {
			_, err := ask(t, remote, "k")
			require.NoError(t, err)
			time.Sleep(time.Second)
			require.Less(t, time.Since(start), time.Minute)
		}
	})
}

func TestAKeySetThatHasMovedQuietlyIsFoundByUnknownKeys(t *testing.T) {
	const newURL = "https://issuer.example/new"
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, names(issuerURL, keysURL))
		s.put(keysURL, serves("old")) // for ever
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
		warm(t, remote)
		s.put(metadataURL, names(issuerURL, newURL))
		s.put(newURL, serves("new"))
		start := time.Now()
		for {
			if _, err := ask(t, remote, "new"); err == nil {
				break
			}
			time.Sleep(time.Second)
			require.Less(t, time.Since(start), time.Minute)
		}
	})
}

// brokenError panics when it is asked for anything, as the nil pointer of an error
// type does.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }
func (e *brokenError) Unwrap() error { return errors.New(e.text) }

func TestAnErrorThatPanicsIsAnError(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		var none *brokenError
		s.put(keysURL, func(*http.Request) (*http.Response, error) { return nil, none })
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client()})
		_, err := ask(t, remote, "k")
		require.ErrorIs(t, err, jwks.ErrUnavailable)
		s.put(keysURL, serves("k"))
		time.Sleep(time.Second)
		_, err = ask(t, remote, "k")
		require.NoError(t, err)
	})
}

// countingHandler counts what is logged at warning level or above.
type countingHandler struct {
	slog.Handler
	warnings *atomic.Int32
}

func (h countingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h countingHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		h.warnings.Add(1)
	}
	return nil
}

func TestASetThatIsShuffledIsNotLoggedAnew(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		enc := []any{rsaJWK.with("kid", "k")}
		for range 100 {
			enc = append(enc, rsaJWK.with("use", "enc"))
		}
		last := len(enc) - 1
		s.put(keysURL, func(r *http.Request) (*http.Response, error) {
			enc[0], enc[last] = enc[last], enc[0]
			return says(http.StatusOK, string(setOf(enc...)))(r)
		})
		var warnings atomic.Int32
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: s.client(), Logger: slog.New(countingHandler{warnings: &warnings})})
		for range 20 {
			warm(t, remote)
			time.Sleep(5 * time.Minute)
		}
		synctest.Wait()
		require.EqualValues(t, 1, warnings.Load())
	})
}

func TestAHookThatHangsDoesNotSilenceTheLog(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		var warnings atomic.Int32
		release := make(chan struct{})
		defer close(release)
		remote := newRemote(t, jwks.Config{
			URL: keysURL, Client: s.client(),
			OnEvent: func(jwks.Event) { <-release },
			Logger:  slog.New(countingHandler{warnings: &warnings}),
		})
		for n := range 5 {
			s.put(keysURL, serves("k"))
			require.NoError(t, remote.Warm(t.Context()))
			s.put(keysURL, refuses)
			time.Sleep(5 * time.Minute)
			require.Error(t, remote.Warm(t.Context()))
			synctest.Wait()
			require.EqualValues(t, n+1, warnings.Load())
		}
	})
}

// A transport that ignores its context leaves a goroutine behind with each fetch.
func TestATransportThatIgnoresItsContextDoesNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		deaf := make(chan struct{})
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: client(func(r *http.Request) (*http.Response, error) {
			if calls.Add(1) <= 8 {
				<-deaf
			}
			return keySet(r, rsaJWK.with("kid", "k")), nil
		})})
		for range 20 {
			_, err := ask(t, remote, "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			time.Sleep(time.Minute)
		}
		require.EqualValues(t, 8, calls.Load())
		require.True(t, strings.Contains(remote.Status().LastError, "ignores its context"), remote.Status().LastError)
		close(deaf)
		synctest.Wait()
		_, err := ask(t, remote, "k")
		require.NoError(t, err)
	})
}

func TestARedirectMayNameTheSameHostInAnotherWay(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(keysURL, headed(says(http.StatusFound, ""), "Location", "https://ISSUER.example:443/moved"))
		s.put("https://ISSUER.example:443/moved", serves("k"))
		warm(t, newRemote(t, jwks.Config{URL: keysURL, Client: s.client()}))
	})
}
