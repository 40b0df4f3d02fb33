package jwks_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// A slowBody has a byte for each pause, as long as its request lasts, and then
// ends in an error of its own.
type slowBody struct {
	request *http.Request
	text    string
	pause   time.Duration
	ends    error
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.text) == 0 {
		return 0, b.ends
	}
	select {
	case <-b.request.Context().Done():
		return 0, b.request.Context().Err()
	case <-time.After(b.pause):
		n := copy(p[:1], b.text)
		b.text = b.text[n:]
		return n, nil
	}
}

func (b *slowBody) Close() error { return nil }

// drips answers with a text, a byte for each pause, and then with an error.
func drips(text string, pause time.Duration, ends error) reply {
	return func(r *http.Request) (*http.Response, error) {
		response := answer(r, http.StatusOK, "application/json", "")
		response.Body = &slowBody{r, text, pause, ends}
		return response, nil
	}
}

// late is a reply that takes its time.
func late(by time.Duration, do reply) reply {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(by):
			return do(r)
		}
	}
}

func TestAProviderThatIsOnlySlowIsWaitedFor(t *testing.T) {
	set := string(setOf(rsaJWK.with("kid", "k")))
	tests := []struct {
		name     string
		metadata reply
		keys     reply
		waits    time.Duration
	}{
		{"its key set", names(issuerURL, keysURL), late(5*time.Second-1, serves("k")), 5*time.Second - 1},
		{"its metadata", late(5*time.Second-1, names(issuerURL, keysURL)), serves("k"), 5*time.Second - 1},
		{"both", late(2*time.Second, names(issuerURL, keysURL)), late(2*time.Second, serves("k")), 4 * time.Second},
		{"a byte a millisecond", names(issuerURL, keysURL), drips(set, time.Millisecond, io.EOF), time.Duration(len(set)) * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(metadataURL, tt.metadata)
				s.put(keysURL, tt.keys)
				waited, err := ask(t, newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}), "k")
				require.NoError(t, err)
				require.Equal(t, tt.waits, waited)
			})
		})
	}
}

func TestAnOddProviderCostsNoMoreThanTheTimeout(t *testing.T) {
	set := string(setOf(rsaJWK.with("kid", "k")))
	tests := []struct {
		name  string
		does  reply
		takes time.Duration
		says  string
	}{
		{"too slow by next to nothing", late(5*time.Second+1, serves("k")), 5 * time.Second, "context deadline exceeded"},
		{"a byte a second", drips(set, time.Second, io.EOF), 5 * time.Second, "context deadline exceeded"},
		{"a header and then nothing", drips(set, time.Hour, io.EOF), 5 * time.Second, "context deadline exceeded"},
		{"a connection that drops at once", func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, 0, "unexpected EOF"},
		{"a connection that drops within the body", drips(set[:len(set)/2], 0, io.ErrUnexpectedEOF), 0, "reading the answer: unexpected EOF"},
		{"a connection that drops after the body", drips(set, 0, io.ErrUnexpectedEOF), 0, "reading the answer: unexpected EOF"},
		{"half a set", says(http.StatusOK, set[:len(set)/2]), 0, "not a usable key set"},
		{"a set and a half", says(http.StatusOK, set+set[:len(set)/2]), 0, "not a usable key set"},
		{"a page", says(http.StatusOK, "<!DOCTYPE html><title>Log in</title>"), 0, "<!DOCTYPE html>"},
		{"429", says(http.StatusTooManyRequests, set), 0, "429 Too Many Requests"},
		{"503", says(http.StatusServiceUnavailable, set), 0, "503 Service Unavailable"},
		{"no content", says(http.StatusNoContent, ""), 0, "204 No Content"},
		{"a part of it", says(http.StatusPartialContent, set), 0, "206 Partial Content"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(keysURL, tt.does)
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				waited, err := ask(t, remote, "k")
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.NotErrorIs(t, err, jwks.ErrUnknownKey)
				require.ErrorContains(t, err, issuerURL)
				require.ErrorContains(t, err, tt.says)
				require.Equal(t, tt.takes, waited)

				s.put(keysURL, serves("k"))
				time.Sleep(time.Second)
				_, err = ask(t, remote, "k")
				require.NoError(t, err, "once it is itself again")

				s.put(keysURL, tt.does)
				for _, later := range []struct{ sleep, most time.Duration }{
					{5*time.Minute - 1, 0}, {1, 0}, {time.Minute, 0}, {10 * time.Minute, 2 * time.Second}, {23 * time.Hour, 2 * time.Second},
				} {
					time.Sleep(later.sleep)
					waited, err = ask(t, remote, "k")
					require.NoError(t, err, "who has a key needs nobody")
					require.LessOrEqual(t, waited, later.most)
					synctest.Wait()
				}
				waited, err = ask(t, remote, "unknown")
				require.ErrorIs(t, err, jwks.ErrUnavailable)
				require.LessOrEqual(t, waited, 5*time.Second)
			})
		})
	}
}

// The same over a socket, where it is net/http that notices.
func TestAnAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	set := setOf(rsaJWK.with("kid", "k"))
	tests := []struct {
		name  string
		serve func(w http.ResponseWriter)
	}{
		{"before its header", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		{"before its length", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(set)+1))
			_, _ = w.Write(set)
		}},
		{"within a chunk", func(w http.ResponseWriter) {
			_, _ = w.Write(set)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"within its compression", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			_, _ = packed.Write(set)
			_ = packed.Flush() // all of the set, but not the end
		}},
		{"not at all, and is not compressed as it says", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(set)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var good atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if good.Load() {
					_, _ = w.Write(set)
					return
				}
				tt.serve(w)
			}))
			defer server.Close()
			remote := newRemote(t, jwks.Config{URL: server.URL})
			err := remote.Warm(t.Context())
			require.ErrorIs(t, err, jwks.ErrUnavailable)
			require.Empty(t, remote.Status().Keys)

			good.Store(true)
			require.NoError(t, remote.Warm(t.Context()))
			_, err = ask(t, remote, "k")
			require.NoError(t, err)
		})
	}
}

func TestAProviderMayRotateBetweenAnyTwoRequests(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
		warm(t, remote)
		before := "k"
		for i := range 50 {
			kid := fmt.Sprint("k-", i)
			s.put(keysURL, serves(kid))
			waited, err := ask(t, remote, kid)
			require.NoError(t, err, "the new one is good at once")
			require.Zero(t, waited)
			_, err = ask(t, remote, before)
			require.ErrorIs(t, err, jwks.ErrUnknownKey, "the old one no more")
			time.Sleep(20 * time.Second) // as long as two fetches for unknown keys need
			before = kid
		}
	})
}

func TestAProviderMayRotateBetweenItsMetadataAndItsKeySet(t *testing.T) {
	staged(t, func(t *testing.T, s *stage) {
		s.put(metadataURL, func(r *http.Request) (*http.Response, error) {
			s.put(keysURL, serves("new"))
			return names(issuerURL, keysURL)(r)
		})
		_, err := ask(t, newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()}), "new")
		require.NoError(t, err)
	})
}

func TestAProviderThatFlapsFailsNoRequestWithAKnownKey(t *testing.T) {
	tests := []struct {
		name  string
		down  reply
		every time.Duration // a request
		most  time.Duration // that one waits
	}{
		{"down, many requests", says(http.StatusServiceUnavailable, "down"), time.Minute, 0},
		{"down, few requests", says(http.StatusServiceUnavailable, "down"), 20 * time.Minute, 0},
		{"down, very few requests", says(http.StatusServiceUnavailable, "down"), 11 * time.Hour, 0},
		{"busy", busy(http.StatusTooManyRequests, "3600"), time.Minute, 0},
		{"without keys", serves(), time.Minute, 0},
		{"out of reach", refuses, time.Minute, 0},
		{"hanging, many requests", hangs, time.Minute, 0},
		{"hanging, few requests", hangs, 20 * time.Minute, 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				remote := newRemote(t, jwks.Config{Issuer: issuerURL, Client: s.client()})
				warm(t, remote)
				var flaps atomic.Int32
				s.put(keysURL, func(r *http.Request) (*http.Response, error) {
					if flaps.Add(1)%2 == 0 {
						return serves("k")(r)
					}
					return tt.down(r)
				})
				for start := time.Now(); time.Since(start) < max(25*time.Hour, 10*tt.every); time.Sleep(tt.every) {
					waited, err := ask(t, remote, "k")
					require.NoError(t, err)
					require.LessOrEqual(t, waited, tt.most)
					synctest.Wait()
				}
				counts := remote.Status().Counts
				require.NotZero(t, counts.Failures)
				require.InDelta(t, counts.Fetches, 2*counts.Failures, 2, "it has flapped")
			})
		})
	}
}
