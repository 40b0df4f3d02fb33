package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
)

// documentClient answers with the same text every time, made once.
func documentClient(text []byte) *http.Client {
	body := string(text)
	return client(func(r *http.Request) (*http.Response, error) {
		return answer(r, http.StatusOK, "application/json", body), nil
	})
}

// BenchmarkKeys is what a request pays for its key: from a fresh set, and from a
// stale one that is being refreshed all the time.
func BenchmarkKeys(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		text := setOf(numberedKeys(n)...)
		kids := make([]string, n)
		for i := range kids {
			kids[i] = fmt.Sprint(i)
		}
		for _, state := range []struct {
			name         string
			refreshAfter time.Duration
		}{{"fresh", time.Hour}, {"refreshing", time.Microsecond}} {
			b.Run(fmt.Sprintf("keys=%d/%s", n, state.name), func(b *testing.B) {
				remote, err := jwks.NewRemote(jwks.Config{
					URL: keysURL, Client: documentClient(text), RefreshAfter: state.refreshAfter, OverdueAfter: 2 * time.Hour,
				})
				if err != nil {
					b.Fatal(err)
				}
				if err := remote.Warm(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					ctx := b.Context()
					for i := 0; pb.Next(); i++ {
						if _, err := remote.Keys(ctx, "RS256", kids[i%n]); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.StopTimer()
				b.ReportMetric(float64(fetches(remote)), "fetches")
			})
		}
	}
}

func BenchmarkParseSet(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		text := setOf(numberedKeys(n)...)
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := jwks.ParseSet(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFlood is what an honest request pays while somebody sends made-up key
// IDs as fast as he can, and how many fetches all of them cause.
func BenchmarkFlood(b *testing.B) {
	for _, attackers := range []int{0, 1, 4} {
		b.Run(fmt.Sprintf("attackers=%d", attackers), func(b *testing.B) {
			remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Client: documentClient(setOf(numberedKeys(10)...))})
			if err != nil {
				b.Fatal(err)
			}
			if err := remote.Warm(b.Context()); err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			var madeUp atomic.Int64
			ended := make(chan error, attackers)
			for range attackers {
				go func() {
					for ctx.Err() == nil {
						_, err := remote.Keys(ctx, "RS256", fmt.Sprintf("made-up-%d", madeUp.Add(1)))
						if !errors.Is(err, jwks.ErrUnknownKey) && ctx.Err() == nil {
							ended <- fmt.Errorf("a made-up key: %w", err)
							return
						}
					}
					ended <- nil
				}()
			}
			took := make([]time.Duration, 1<<16) // of the last requests
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if _, err := remote.Keys(ctx, "RS256", "9"); err != nil {
					b.Fatal(err)
				}
				took[n%len(took)] = time.Since(start)
				n++
			}
			stop()
			for range attackers {
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
			took = took[:min(n, len(took))]
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
			b.ReportMetric(float64(fetches(remote)), "fetches")
			b.ReportMetric(float64(madeUp.Load()), "made-up")
		})
	}
}
