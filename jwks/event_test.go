package jwks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// A notebook notes events in the order in which they are told.
type notebook struct {
	mu     sync.Mutex
	events []jwks.Event
}

func (n *notebook) note(e jwks.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

func (n *notebook) all() []jwks.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]jwks.Event(nil), n.events...)
}

// A script answers each request with the page that is on.
type script struct {
	page func(*http.Request) (*http.Response, error)
	took time.Duration
}

func (s *script) client() *http.Client {
	return client(func(r *http.Request) (*http.Response, error) {
		time.Sleep(s.took) // in bubbles only
		return s.page(r)
	})
}

func showing(keys ...any) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) { return keySet(r, keys...), nil }
}

func unchangedPage(r *http.Request) (*http.Response, error) {
	return answer(r, http.StatusNotModified, "", ""), nil
}

func downPage(r *http.Request) (*http.Response, error) {
	return answer(r, http.StatusServiceUnavailable, "text/plain", "down"), nil
}

// tagged is a page with a validator, so that the next request is a conditional one.
func tagged(page func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		response, err := page(r)
		response.Header.Set("ETag", `"1"`)
		return response, err
	}
}

// told is what an event and a status tell of the key other(number).
func told(t *testing.T, number uint, kid, alg string) jwks.KeyInfo {
	t.Helper()
	set, err := jwks.ParseSet(setOf(other(number)))
	require.NoError(t, err)
	return jwks.KeyInfo{ID: kid, Algorithm: alg, Thumbprint: set.Keys[0].Thumbprint(), Bits: int(2048 + number)}
}

func TestAnEventTellsWhatAFetchHasChanged(t *testing.T) {
	a, b, c := other(0).with("kid", "a"), other(1).with("kid", "b"), other(2).with("kid", "c")
	weak := rsaJWK.with("n", encode(modulus(1024).Bytes())).with("kid", "weak")
	aTold, bTold, cTold := told(t, 0, "a", ""), told(t, 1, "b", ""), told(t, 2, "c", "")
	bound := told(t, 2, "c", "PS256")
	infos := func(keys ...jwks.KeyInfo) []jwks.KeyInfo { return keys }
	steps := []struct {
		name string
		page func(*http.Request) (*http.Response, error)
		want jwks.Event // without Issuer, URL and Duration, which are the same for all
		err  string
	}{
		{"down from the start", downPage, jwks.Event{Kind: "failed", Failures: 1}, "answered 503"},
		{"the first set", tagged(showing(a, b)), jwks.Event{Kind: "recovered", Added: infos(aTold, bTold)}, ""},
		{"the same again", tagged(showing(a, b)), jwks.Event{Kind: "refreshed"}, ""},
		{"not modified", unchangedPage, jwks.Event{Kind: "refreshed"}, ""},
		{"in another order", showing(b, a), jwks.Event{Kind: "refreshed"}, ""},
		{"one for another", showing(b, c), jwks.Event{Kind: "rotated", Added: infos(cTold), Removed: infos(aTold)}, ""},
		{"one more", showing(b, c, a), jwks.Event{Kind: "rotated", Added: infos(aTold)}, ""},
		{"one less", showing(b, c), jwks.Event{Kind: "rotated", Removed: infos(aTold)}, ""},
		{"a key that is left out", showing(b, c, weak), jwks.Event{Kind: "refreshed",
			LeftOut: []jwks.LeftOut{{Position: 2, ID: "weak", Reason: "the RSA key has 1024 bits, and 2048 are the least"}}}, ""},
		{"still left out", showing(b, c, weak), jwks.Event{Kind: "refreshed"}, ""},
		{"left out elsewhere", showing(weak, b, c), jwks.Event{Kind: "refreshed"}, ""},
		{"no longer left out", showing(b, c), jwks.Event{Kind: "refreshed"}, ""},
		{"down", downPage, jwks.Event{Kind: "failed", Failures: 1}, "answered 503"},
		{"still down", downPage, jwks.Event{Kind: "failed", Failures: 2}, "answered 503"},
		{"unreachable", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, jwks.Event{Kind: "failed", Failures: 3}, "no route"},
		{"no usable key", showing(weak), jwks.Event{Kind: "failed", Failures: 4}, "none that can be used"},
		{"up again", showing(b, c), jwks.Event{Kind: "recovered"}, ""},
		{"up", showing(b, c), jwks.Event{Kind: "refreshed"}, ""},
		{"down once more", downPage, jwks.Event{Kind: "failed", Failures: 1}, "answered 503"},
		{"up with another set", showing(a, b), jwks.Event{Kind: "recovered", Added: infos(aTold), Removed: infos(cTold)}, ""},
		{"one with an algorithm now", showing(a, c.with("alg", "PS256")), jwks.Event{Kind: "rotated", Added: infos(bound), Removed: infos(bTold)}, ""},
		{"the same key under another ID", showing(a.with("kid", "b")), jwks.Event{Kind: "rotated",
			Added: infos(told(t, 0, "b", "")), Removed: infos(aTold, bound)}, ""},
	}
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		on := script{took: 20 * time.Millisecond}
		remote := newRemote(t, jwks.Config{Issuer: "https://issuer.example/", URL: keysURL, Client: on.client(), OnEvent: notes.note})
		for i, step := range steps {
			on.page = step.page
			err := remote.Warm(t.Context())
			synctest.Wait()
			events := notes.all()
			require.Len(t, events, i+1, step.name)
			got := events[i]
			if step.err == "" {
				require.NoError(t, err, step.name)
				require.NoError(t, got.Err, step.name)
			} else {
				require.ErrorContains(t, got.Err, step.err, step.name)
				require.ErrorIs(t, err, got.Err, step.name)
			}
			step.want.Issuer, step.want.URL = "https://issuer.example/", keysURL
			step.want.Err, step.want.Duration = got.Err, 20*time.Millisecond
			require.Equal(t, step.want, got, step.name)
			time.Sleep(5 * time.Minute)
		}
	})
}

func TestTheFirstSetIsRefreshedWithAllOfItsKeysAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(other(0).with("kid", "a"), member{"kty": "oct"}), OnEvent: notes.note})
		require.NoError(t, remote.Warm(t.Context()))
		synctest.Wait()
		require.Equal(t, []jwks.Event{{
			Kind: jwks.EventRefreshed, URL: keysURL, Added: []jwks.KeyInfo{told(t, 0, "a", "")},
			LeftOut: []jwks.LeftOut{{Position: 1, Reason: `its kty "oct" is not known here`}},
		}}, notes.all())
	})
}

func TestAnInitialSetIsWhatTheFirstFetchIsComparedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		initial, err := jwks.ParseSet(setOf(other(0).with("kid", "a")))
		require.NoError(t, err)
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(other(1).with("kid", "b")), OnEvent: notes.note, Initial: initial})
		require.NoError(t, remote.Warm(t.Context()))
		synctest.Wait()
		require.Equal(t, []jwks.Event{{
			Kind: jwks.EventRotated, URL: keysURL,
			Added: []jwks.KeyInfo{told(t, 1, "b", "")}, Removed: []jwks.KeyInfo{told(t, 0, "a", "")},
		}}, notes.all())
	})
}

func TestThereIsOneEventForAFetchAndNoneForARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		on := script{page: showing(other(0).with("kid", "a")), took: time.Second}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), OnEvent: notes.note})
		all := func(kid string) {
			var wait sync.WaitGroup
			for range 500 {
				wait.Go(func() { _, _ = remote.Keys(t.Context(), "RS256", kid) })
			}
			wait.Wait()
			synctest.Wait()
		}
		all("a") // none yet
		require.Len(t, notes.all(), 1)
		all("a") // fresh
		require.Len(t, notes.all(), 1)
		time.Sleep(5 * time.Minute)
		all("a") // stale
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, notes.all(), 2)
		for range 10 {
			all("made-up")
		}
		require.Len(t, notes.all(), fetches(remote))
		require.Len(t, notes.all(), 2+2)
	})
}

func TestEventsAreToldInTheOrderOfTheirFetches(t *testing.T) {
	var notes notebook
	remote := newRemote(t, jwks.Config{URL: keysURL, OnEvent: notes.note, Client: client(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("down")
	})})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 500 {
				_ = remote.Warm(t.Context())
			}
		})
	}
	wait.Wait()
	require.Eventually(t, func() bool { return len(notes.all()) >= 64 }, time.Minute, time.Millisecond)
	before := 0
	for _, e := range notes.all() { // some may be lost, and some are still to come
		require.Greater(t, e.Failures, before)
		before = e.Failures
	}
}

func TestWhatAHookDoesWrongHarmsNothingElse(t *testing.T) {
	tests := []struct {
		name string
		does func()
		logs string
	}{
		{"panics", func() { panic("oh no") }, `msg="the hook for events of keys has panicked" issuer=https://issuer.example/ panic="oh no"`},
		{"panics with nil", func() { panic(nil) }, "panic called with nil argument"},
		{"ends its goroutine", runtime.Goexit, ""},
		{"dereferences nil", func() { var e *jwks.Event; e.Failures++ }, "nil pointer dereference"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var notes notebook
				var log bytes.Buffer
				remote := newRemote(t, jwks.Config{
					Issuer: "https://issuer.example/", URL: keysURL, Client: steadyClient(ecJWK.with("kid", "k")),
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
					OnEvent: func(e jwks.Event) {
						notes.note(e)
						tt.does()
					},
				})
				for i := range 10 {
					require.NoError(t, remote.Warm(t.Context()))
					_, err := remote.Keys(t.Context(), "ES256", "k")
					require.NoError(t, err)
					synctest.Wait()
					require.Len(t, notes.all(), i+1)
					time.Sleep(5 * time.Minute)
				}
				require.Contains(t, log.String(), tt.logs)
			})
		})
	}
}

func TestAHookThatPanicsWithoutALoggerIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(ecJWK), OnEvent: func(e jwks.Event) {
			notes.note(e)
			panic("oh no")
		}})
		for range 3 {
			require.NoError(t, remote.Warm(t.Context()))
			synctest.Wait()
			time.Sleep(5 * time.Minute)
		}
		require.Len(t, notes.all(), 3)
	})
}

// A panicking handler is one whose every line is a panic.
type panickingHandler struct{ slog.Handler }

func (panickingHandler) Handle(_ context.Context, _ slog.Record) error { panic("the disk is full") }

func TestALoggerThatPanicsHarmsNeitherTheProcessNorTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		remote := newRemote(t, jwks.Config{
			URL: keysURL, Client: steadyClient(ecJWK), OnEvent: notes.note,
			Logger: slog.New(panickingHandler{slog.NewTextHandler(&bytes.Buffer{}, nil)}),
		})
		for range 3 {
			require.NoError(t, remote.Warm(t.Context()))
			synctest.Wait()
			time.Sleep(5 * time.Minute)
		}
		require.Len(t, notes.all(), 3)
	})
}

func TestAHookThatBlocksHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes notebook
		unblock := make(chan struct{})
		on := script{page: showing(ecJWK.with("kid", "k"))}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), OnEvent: func(e jwks.Event) {
			<-unblock
			notes.note(e)
		}})
		require.NoError(t, remote.Warm(t.Context())) // its event blocks
		synctest.Wait()
		time.Sleep(5 * time.Minute)
		on.page = downPage
		for range 100 {
			require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
			start := time.Now()
			_, err := remote.Keys(t.Context(), "ES256", "k")
			require.NoError(t, err)
			require.Zero(t, time.Since(start))
		}
		require.Equal(t, 1+100, fetches(remote))
		require.Empty(t, notes.all())

		close(unblock)
		synctest.Wait()
		var failures []int
		for _, e := range notes.all() {
			failures = append(failures, e.Failures)
		}
		require.Len(t, failures, 1+64, "the one that has blocked, and those that have waited")
		for i, n := range failures {
			require.Equal(t, i, n, "the first ones, in order")
		}

		require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
		synctest.Wait()
		require.Len(t, notes.all(), 1+64+1)
		require.Equal(t, 101, notes.all()[65].Failures, "the next one is told again, and has the true number")
	})
}

func TestHooksAreCalledOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, calls int // no lock: the race detector would tell
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: steadyClient(ecJWK), OnEvent: func(jwks.Event) {
			running++
			most = max(most, running)
			calls++
			time.Sleep(time.Hour)
			running--
		}})
		for range 10 {
			require.NoError(t, remote.Warm(t.Context()))
			time.Sleep(5 * time.Minute)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Equal(t, 10, calls)
		require.Equal(t, 1, most)
	})
}

func TestAHookMayUseItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var remote *jwks.Remote
		var seen []string
		on := script{page: showing(ecJWK.with("kid", "k"))}
		remote = newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), OnEvent: func(e jwks.Event) {
			_, known := remote.Keys(t.Context(), "ES256", "k")
			_, unknown := remote.Keys(t.Context(), "ES256", "unknown") // may cause a fetch, so another event
			on.page = showing(ecJWK.with("kid", "k"))                  // from now on
			warm := remote.Warm(t.Context())
			seen = append(seen, fmt.Sprintln(e.Kind, known, errors.Is(unknown, jwks.ErrUnknownKey), warm, remote.Status().State))
		}})
		require.NoError(t, remote.Warm(t.Context()))
		synctest.Wait()
		want := fmt.Sprintln("refreshed", nil, true, nil, "ready")
		require.Equal(t, []string{want, want, want}, seen, "the fetch, and the two that unknown keys may cause")

		time.Sleep(5 * time.Minute)
		on.page, seen = downPage, nil
		require.ErrorIs(t, remote.Warm(t.Context()), jwks.ErrUnavailable)
		synctest.Wait()
		require.NotEmpty(t, seen)
		require.Equal(t, fmt.Sprintln("failed", nil, false, nil, "ready"), seen[0])
		require.Equal(t, fmt.Sprintln("recovered", nil, true, nil, "ready"), seen[1], "by its Warm")
	})
}

func TestAHookThatChangesItsEventChangesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := newRemote(t, jwks.Config{
			URL: keysURL, Client: steadyClient(other(0).with("kid", "a"), member{"kty": "oct"}),
			OnEvent: func(e jwks.Event) {
				for i := range e.Added {
					e.Added[i].ID = "changed"
				}
				for i := range e.LeftOut {
					e.LeftOut[i].Reason = "changed"
				}
			},
		})
		require.NoError(t, remote.Warm(t.Context()))
		synctest.Wait()
		status := remote.Status()
		require.Equal(t, "a", status.Keys[0].ID)
		require.Equal(t, `its kty "oct" is not known here`, status.LeftOut[0].Reason)
	})
}

// logTo returns a logger of every level, without what differs from run to run.
func logTo(log *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func TestTheLogSaysWhatHasChanged(t *testing.T) {
	a, b := other(0).with("kid", "a").with("alg", "RS256"), other(1).with("kid", "b")
	private := edJWK.with("kid", "mine").with("d", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	const issuer = " issuer=https://issuer.example/ "
	const url = "url=https://issuer.example/keys"
	const down = `error="GET https://issuer.example/keys: answered 503 Service Unavailable (\"text/plain\"): \"down\""`
	steps := []struct {
		name string
		page func(*http.Request) (*http.Response, error)
		want []string
	}{
		{"the first fetch", showing(a), []string{
			`level=INFO msg="keys refreshed"` + issuer + url + ` added="[\"a\" (RS256, 2048 bits)]"`,
		}},
		{"nothing new", showing(a), []string{
			`level=DEBUG msg="keys refreshed"` + issuer + url,
		}},
		{"a rotation", showing(b, ecJWK), []string{
			`level=INFO msg="keys rotated"` + issuer + url + ` added="[\"b\" (2049 bits) \"\" (256 bits)]" removed="[\"a\" (RS256, 2048 bits)]"`,
		}},
		{"keys left out", showing(b, ecJWK, private, member{"kty": "oct", "kid": "old\nlevel=INFO"}), []string{
			`level=DEBUG msg="keys refreshed"` + issuer + url,
			`level=WARN msg="keys left out"` + issuer + `count=2 reasons="key 2 (\"mine\"): it has the private member \"d\", so whoever can read the set can sign with it; ` +
				`key 3 (\"old\\nlevel=INFO\"): its kty \"oct\" is not known here"`,
		}},
		{"still left out", showing(b, ecJWK, private, member{"kty": "oct", "kid": "old\nlevel=INFO"}), []string{
			`level=DEBUG msg="keys refreshed"` + issuer + url,
		}},
		{"a failure", downPage, []string{
			`level=WARN msg="keys failed"` + issuer + url + ` failures=1 ` + down,
		}},
		{"a failure that goes on", downPage, []string{
			`level=DEBUG msg="keys failed"` + issuer + url + ` failures=2 ` + down,
		}},
		{"a recovery", showing(b, ecJWK), []string{
			`level=INFO msg="keys recovered"` + issuer + url,
		}},
		{"another failure", downPage, []string{
			`level=WARN msg="keys failed"` + issuer + url + ` failures=1 ` + down,
		}},
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		on := script{}
		remote := newRemote(t, jwks.Config{Issuer: "https://issuer.example/", URL: keysURL, Client: on.client(), Logger: logTo(&log)})
		for _, step := range steps {
			on.page = step.page
			_ = remote.Warm(t.Context())
			synctest.Wait()
			require.Equal(t, step.want, strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n"), step.name)
			log.Reset()
			time.Sleep(5 * time.Minute)
		}
	})
}

func TestTheLogSaysHowLongAFetchTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		on := script{page: showing(ecJWK), took: 123 * time.Millisecond}
		remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, remote.Warm(t.Context()))
		synctest.Wait()
		require.Contains(t, log.String(), " took=123ms\n")
	})
}

func TestAnOutageUnderLoadIsTensOfEventsAndOneWarning(t *testing.T) {
	tests := []struct {
		name  string
		warm  bool
		kid   string
		lines int // that are no debug ones
	}{
		{"with a set to serve from", true, "k", 2}, // of the first fetch, and the warning
		{"with a set, and unknown keys", true, "made-up", 2},
		{"with none", false, "k", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var notes notebook
				var log bytes.Buffer
				on := script{page: showing(ecJWK.with("kid", "k"))}
				remote := newRemote(t, jwks.Config{URL: keysURL, Client: on.client(), Logger: logTo(&log), OnEvent: notes.note})
				if tt.warm {
					require.NoError(t, remote.Warm(t.Context()))
				}
				time.Sleep(5 * time.Minute)
				on.page = downPage
				for range 10 * 60 * 10 {
					_, err := remote.Keys(t.Context(), "ES256", tt.kid)
					require.Equal(t, tt.warm && tt.kid == "k", err == nil)
					time.Sleep(100 * time.Millisecond)
				}
				synctest.Wait()
				require.Len(t, notes.all(), fetches(remote))
				require.GreaterOrEqual(t, fetches(remote), 30)
				require.LessOrEqual(t, fetches(remote), 50)
				require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
				require.Equal(t, tt.lines, strings.Count(log.String(), "\n")-strings.Count(log.String(), "level=DEBUG"))
			})
		})
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	const metadataURL = "https://issuer.example/.well-known/openid-configuration"
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2VjcmV0"
	page := func(body string) map[string]func(*http.Request) *http.Response {
		return map[string]func(*http.Request) *http.Response{metadataURL: json200(body)}
	}
	private := rsaJWK.with("d", "secret").with("kid", "k")
	tests := []struct {
		name  string
		pages map[string]func(*http.Request) *http.Response
	}{
		{"the metadata name a URL with a password", page(`{"issuer":"https://issuer.example/","jwks_uri":"https://me:secret@issuer.example/keys"}`)},
		{"the same over http", page(`{"issuer":"https://issuer.example/","jwks_uri":"http://me:secret@issuer.example/keys"}`)},
		{"a redirect to another host with a password", map[string]func(*http.Request) *http.Response{metadataURL: to("https://me:secret@evil.example/")}},
		{"a redirect to the same host with a password", map[string]func(*http.Request) *http.Response{metadataURL: to("https://me:secret@issuer.example/nothing")}},
		{"a private key", map[string]func(*http.Request) *http.Response{
			metadataURL: json200(`{"issuer":"https://issuer.example/","jwks_uri":"` + keysURL + `"}`),
			keysURL:     json200(string(setOf(ecJWK, private))),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var notes notebook
				var log bytes.Buffer
				var asked []string
				remote := newRemote(t, jwks.Config{
					Issuer: "https://issuer.example/", Client: client(site(&asked, tt.pages)),
					Logger: logTo(&log), OnEvent: notes.note,
				})
				for range 10 { // a token where the key ID belongs
					_, err := remote.Keys(t.Context(), "RS256", token)
					require.Error(t, err)
					require.NotContains(t, err.Error(), "secret")
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				require.NotEmpty(t, log.String())
				everything := log.String() + fmt.Sprintf("%+v %+v", remote.Status(), notes.all())
				require.NotContains(t, everything, "secret")
				require.NotContains(t, everything, token[:20])
			})
		})
	}
}
