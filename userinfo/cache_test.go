package userinfo_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func TestHowLongAnAnswerIsKept(t *testing.T) {
	tests := []struct {
		name   string
		issuer *issuer
		config userinfo.Config
		expiry time.Duration // of the token; zero: it does not say
		kept   time.Duration
	}{
		{"a profile", saysJSON(`{"sub":"ada"}`), userinfo.Config{}, time.Hour, time.Minute},
		{"as configured", saysJSON(`{"sub":"ada"}`), userinfo.Config{MaxAge: time.Second}, time.Hour, time.Second},
		{"not at all", saysJSON(`{"sub":"ada"}`), userinfo.Config{MaxAge: userinfo.NoCache}, time.Hour, 0},
		{"never beyond the token's time", saysJSON(`{"sub":"ada"}`), userinfo.Config{MaxAge: time.Hour}, 90 * time.Second, 90 * time.Second},
		{"a token in its leeway", saysJSON(`{"sub":"ada"}`), userinfo.Config{}, -time.Second, 5 * time.Second},
		{"at the end of its time", saysJSON(`{"sub":"ada"}`), userinfo.Config{}, 1, 1},
		{"in its leeway, as configured", saysJSON(`{"sub":"ada"}`), userinfo.Config{MaxAge: time.Second}, -time.Second, time.Second},
		{"in its leeway, without a cache", saysJSON(`{"sub":"ada"}`), userinfo.Config{MaxAge: userinfo.NoCache}, -time.Second, 0},
		{"a token without a time", saysJSON(`{"sub":"ada"}`), userinfo.Config{}, 0, time.Minute},
		{"another's", saysJSON(`{"sub":"eve"}`), userinfo.Config{}, time.Hour, 0},
		{"nonsense", saysJSON(`[]`), userinfo.Config{}, time.Hour, 0},
		{"401", says(401, "", ""), userinfo.Config{}, time.Hour, 10 * time.Second},
		{"401 of a token that ends", says(401, "", ""), userinfo.Config{}, 4 * time.Second, 10 * time.Second},
		{"401 in its leeway", says(401, "", ""), userinfo.Config{}, -time.Second, 10 * time.Second},
		{"401 with a wish", says(401, "", "", "Retry-After", "50"), userinfo.Config{}, time.Hour, 10 * time.Second},
		{"401 without a cache", says(401, "", ""), userinfo.Config{MaxAge: userinfo.NoCache}, time.Hour, 10 * time.Second},
		{"403", says(403, "", ""), userinfo.Config{}, time.Hour, 10 * time.Second},
		{"403 in its leeway", says(403, "", ""), userinfo.Config{}, -time.Second, 10 * time.Second},
		{"429 with a wish in its leeway", says(429, "", "", "Retry-After", "50"), userinfo.Config{}, -time.Second, 50 * time.Second},
		{"429", says(429, "", ""), userinfo.Config{}, time.Hour, time.Second},
		{"429 with a wish", says(429, "", "", "Retry-After", "50"), userinfo.Config{}, time.Hour, 50 * time.Second},
		{"429 with a long wish", says(429, "", "", "Retry-After", "7200"), userinfo.Config{}, time.Hour, time.Minute},
		{"500", says(500, "", ""), userinfo.Config{}, time.Hour, 0},
		{"503 with a wish", says(503, "", "", "Retry-After", "5"), userinfo.Config{}, time.Hour, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				users := tt.issuer.client(t, tt.config)
				who := ada()
				who.Expiry = time.Time{}
				if tt.expiry != 0 {
					who.Expiry = time.Now().Add(tt.expiry)
				}
				ctx := behind(t.Context(), token, who)
				_, first := users.Profile(ctx)
				before := wait(first)
				asked := tt.issuer.asked.Load()
				if tt.kept > 0 {
					time.Sleep(tt.kept - 1)
					_, again := users.Profile(ctx)
					require.Equal(t, fmt.Sprint(first), fmt.Sprint(again))
					require.Equal(t, asked, tt.issuer.asked.Load(), "it is kept until then")
					require.Equal(t, max(before-tt.kept+1, 0), wait(again), "what is left of the wait")
					time.Sleep(1 * time.Nanosecond)
				}
				_, _ = users.Profile(ctx)
				require.Equal(t, asked+1, tt.issuer.asked.Load(), "and no longer")
			})
		})
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	i := saysJSON(`{"sub":"ada"}`)
	users := i.client(t, userinfo.Config{MaxEntries: 3})
	who := ada()
	ask := func(n int) int32 {
		before := i.asked.Load()
		_, err := users.Profile(behind(t.Context(), fmt.Sprint(token, n), who))
		require.NoError(t, err)
		return i.asked.Load() - before
	}
	for n := range 4 {
		require.EqualValues(t, 1, ask(n))
	}
	for _, n := range []int{1, 2, 3} {
		require.Zero(t, ask(n), "the last three are kept")
	}
	require.EqualValues(t, 1, ask(0), "the first went")
	require.EqualValues(t, 1, ask(1), "for which the next oldest goes")
	require.Zero(t, ask(3))
}

// A token is as good as a password while it lasts (RFC 9700 §4.9.3): once the request is
// over, it is nowhere in the memory of the process.
func TestNoTokenIsKeptInTheClear(t *testing.T) {
	hide := func(text string) []byte { // so that it is not found here
		hidden := []byte(text)
		for n := range hidden {
			hidden[n] ^= 0xff
		}
		return hidden
	}
	const marker = "the profile that is kept"
	i := &issuer{answer: func(*http.Request) (*http.Response, error) { // which holds on to no request
		return response(nil, 200, "application/json", strings.NewReader(`{"sub":"ada","name":"`+marker+`"}`)), nil
	}}
	users := i.client(t, userinfo.Config{MaxAge: time.Hour})
	secret := hide("eyJhbGciOiJSUzI1NiJ9.e30." + rand.Text() + rand.Text())
	synctest.Test(t, func(t *testing.T) { // when it is over, so are all its goroutines and their stacks
		who := ada()
		for range 2 {
			_, err := users.Profile(behind(context.Background(), string(hide(string(secret))), who))
			require.NoError(t, err)
		}
	})
	require.EqualValues(t, 1, i.asked.Load())

	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	require.NoError(t, err)
	for range 3 {
		runtime.GC()
	}
	debug.WriteHeapDump(file.Fd())
	require.NoError(t, file.Close())
	dump, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	for n := range dump {
		dump[n] ^= 0xff
	}
	require.False(t, bytes.Contains(dump, secret[len(secret)-20:]), "the token was found")
	require.True(t, bytes.Contains(dump, hide(`"name":"`+marker)), "else the dump has nothing to tell")
	runtime.KeepAlive(users)
}

// Two validators of a program's own may find different users in one token. Neither
// gets the other's profile.
func TestWhatIsKeptIsForTheSubjectOnly(t *testing.T) {
	i := saysJSON(`{"sub":"ada"}`)
	users := i.client(t, userinfo.Config{})
	eve := ada()
	eve.Subject = "eve"
	_, err := users.Profile(behind(t.Context(), token, ada()))
	require.NoError(t, err)
	_, err = users.Profile(behind(t.Context(), token, eve))
	require.ErrorIs(t, err, userinfo.ErrSubject)
	_, err = users.Profile(behind(t.Context(), token, ada()))
	require.NoError(t, err)
	require.EqualValues(t, 1, i.asked.Load())
}

// However an answer is written, what is kept of it is its text, and once more what has
// escapes in it.
func TestWhatIsKeptTakesLittleMoreThanItsText(t *testing.T) {
	const size = 64 << 10
	many := func(member string) string { // as often as there is room for
		var text strings.Builder
		text.WriteString(`{"sub":"ada"`)
		for n := 0; text.Len()+len(member)+8 < size; n++ {
			fmt.Fprintf(&text, ","+member, n)
		}
		return text.String() + "}"
	}
	bodies := map[string]string{
		"many names": many(`"%x":0`),
		"one text":   `{"sub":"ada","name":"` + strings.Repeat("x", size-100) + `"}`,
		"escapes":    `{"sub":"ada","name":"` + strings.Repeat("x", size-100) + `\n"}`,
		"an address": `{"sub":"ada","address":` + many(`"\u%04x":0`) + `}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			users := saysJSON(body).client(t, userinfo.Config{MaxAge: time.Hour, MaxSize: 2 * size})
			const many = 20
			heap := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			before := heap()
			for n := range many {
				_, err := users.Profile(behind(t.Context(), fmt.Sprint(token, n), ada()))
				require.NoError(t, err)
			}
			each := (heap() - before) / many
			require.Less(t, each, int64(2*len(body)+8<<10)) // to round up, and what else there is
			runtime.KeepAlive(users)
		})
	}
}

func TestRequestsWithOneTokenShareACallThatIsNobodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := saysJSON(`{"sub":"ada","name":"Ada"}`)
		good := i.answer
		var deadline time.Time
		i.answer = func(r *http.Request) (*http.Response, error) {
			deadline, _ = r.Context().Deadline()
			time.Sleep(2 * time.Second)
			return good(r)
		}
		users := i.client(t, userinfo.Config{})
		began := time.Now()
		who := ada()

		first, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() {
			_, err := users.Profile(behind(first, token, who))
			gaveUp <- err
		}()
		synctest.Wait()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := users.Profile(behind(t.Context(), token, who))
				if err != nil || got.Name != "Ada" {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		time.Sleep(time.Second)
		cancel()
		err := <-gaveUp
		require.ErrorIs(t, err, userinfo.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(began), "who gives up does not wait")
		all.Wait()
		require.Equal(t, 2*time.Second, time.Since(began))
		require.EqualValues(t, 1, i.asked.Load())
		require.Equal(t, began.Add(5*time.Second), deadline)

		_, err = users.Profile(behind(t.Context(), token+"2", who))
		require.NoError(t, err)
		require.EqualValues(t, 2, i.asked.Load(), "another token is another call")
	})
}

func TestARequestThatIsOverStartsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := saysJSON(`{"sub":"ada"}`)
		ctx, cancel := context.WithCancel(t.Context())
		seen := behind(ctx, token, ada())
		cancel()
		_, err := i.client(t, userinfo.Config{}).Profile(seen)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, claims.ErrUnavailable)
		synctest.Wait() // a call would be on a goroutine of its own
		require.Zero(t, i.asked.Load())
	})
}

// A busy context does something whenever somebody asks whether it is over.
type busy struct {
	context.Context
	do func()
}

func (b *busy) Err() error {
	do := b.do
	if b.do = nil; do != nil {
		do()
	}
	return b.Context.Err()
}

// Between a request's look at the cache and its call, another's call may come back.
func TestAnAnswerThatHasJustComeIsNotAskedForAgain(t *testing.T) {
	i := saysJSON(`{"sub":"ada","name":"Ada"}`)
	users := i.client(t, userinfo.Config{})
	late, who := &busy{Context: t.Context()}, ada()
	ctx := behind(late, token, who)
	late.do = func() {
		_, err := users.Profile(behind(t.Context(), token, who))
		require.NoError(t, err)
	}
	got, err := users.Profile(ctx)
	require.NoError(t, err)
	require.Equal(t, "Ada", got.Name)
	require.Nil(t, late.do, "the other came in between")
	require.EqualValues(t, 1, i.asked.Load())
}

func TestManyAtOnce(t *testing.T) {
	i := saysJSON(`{"sub":"ada"}`)
	users := i.client(t, userinfo.Config{MaxEntries: 5, MaxAge: time.Millisecond})
	who := ada()
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for m := range 100 {
				if _, err := users.Profile(behind(t.Context(), fmt.Sprint(token, (n+m)%10), who)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
