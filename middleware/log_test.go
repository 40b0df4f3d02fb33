package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// logged returns a logger, and the text that it has written, without the times.
func logged(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var log bytes.Buffer
	return slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{}
			}
			return a
		},
	})), &log
}

func TestLogDecisions(t *testing.T) {
	const route = `method=GET route="GET /patients" policy="scope read:patients"`
	tests := []struct {
		token string
		level slog.Level
		want  string
	}{
		{"reader", slog.LevelDebug, `level=DEBUG msg="request let through" ` + route + ` issuer=https://issuer.example/ client_id=client-1` + "\n"},
		{"reader", slog.LevelInfo, ""},
		{"nobody", slog.LevelInfo, `level=INFO msg="request refused" ` + route + ` status=403 reason="middleware: the token lacks a scope: read:patients"` + "\n"},
		{"bad", slog.LevelInfo, `level=INFO msg="request refused" ` + route + ` status=401 reason="secret cause"` + "\n"},
		{"a b", slog.LevelInfo, `level=INFO msg="request refused" ` + route + ` status=400 reason="middleware: the request is malformed: what follows Bearer is not one token"` + "\n"},
		{"unavailable", slog.LevelError, `level=ERROR msg="request undecided" ` + route + ` status=503 reason="claims: tokens cannot be checked now: secret cause"` + "\n"},
		{"timeout", slog.LevelError, `level=ERROR msg="request undecided" ` + route + ` status=503 reason="secret cause: context deadline exceeded"` + "\n"},
		{"cancelled", slog.LevelInfo, `level=INFO msg="request undecided" ` + route + ` status=503 reason="secret cause: context canceled"` + "\n"},
		{"cancelled", slog.LevelWarn, ""},
		{"bad", slog.LevelWarn, ""},
		{"unavailable", slog.LevelError + 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.token, func(t *testing.T) {
			logger, log := logged(tt.level)
			guard := middleware.New(&tokens{}, middleware.WithObserver(middleware.LogDecisions(logger)))
			mux := http.NewServeMux()
			mux.Handle("GET /patients", guard.RequireScope("read:patients")(ok))
			serve(mux, request("Bearer "+tt.token))
			require.Equal(t, tt.want, log.String())
		})
	}
}

func TestTheLogTellsWhoWasLetThroughWithoutAToken(t *testing.T) {
	logger, log := logged(slog.LevelDebug)
	guard := middleware.New(&tokens{}, middleware.AllowPreflight(), middleware.WithObserver(middleware.LogDecisions(logger)))
	serve(guard.Optional(whoever), request())
	require.Equal(t, `level=DEBUG msg="request let through" method=GET policy="anyone, or a good access token" let_through_as=anonymous`+"\n", log.String())
	log.Reset()
	serve(guard.Handler(whoever), plain("OPTIONS", "/", "Origin", "x", "Access-Control-Request-Method", "PUT"))
	require.Equal(t, `level=DEBUG msg="request let through" method=OPTIONS policy="any access token" let_through_as=preflight`+"\n", log.String())
}

func TestARefusalWithoutAReasonIsLoggedWithItsDescription(t *testing.T) {
	logger, log := logged(slog.LevelInfo)
	guard := middleware.New(&tokens{}, middleware.WithObserver(middleware.LogDecisions(logger)))
	serve(guard.Require(failing(&middleware.Error{Status: 409, Description: "not now"}))(ok), request("Bearer reader"))
	require.Contains(t, log.String(), `status=409 reason="not now"`)
}

func TestTheLogHasTheDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&log, nil))
		slow := validatorFunc(func(context.Context, string) (*claims.Claims, error) {
			time.Sleep(3 * time.Second)
			return nil, errors.New("refused")
		})
		serve(middleware.New(slow, middleware.WithObserver(middleware.LogDecisions(logger))).Handler(ok), sent("GET", "/"))
		var record struct{ Duration time.Duration }
		require.NoError(t, json.Unmarshal(log.Bytes(), &record))
		require.Equal(t, 3*time.Second, record.Duration)
	})
}

// A flood is of refusals that an observer is told of, and what it logs.
type flood struct {
	observe func(context.Context, middleware.Decision)
	log     *bytes.Buffer
}

func newFlood(level slog.Level) flood {
	logger, log := logged(level)
	return flood{middleware.LogDecisions(logger), log}
}

// refuse tells of n refusals, and returns what was logged of them.
func (f flood) refuse(n, status int, pattern string, reason error) []string {
	f.log.Reset()
	outcome := middleware.Refused
	if status == 503 {
		outcome = middleware.Undecided
	}
	for range n {
		f.observe(context.Background(), middleware.Decision{
			Outcome: outcome, Method: "GET", Pattern: pattern, Reason: reason,
			Refusal: &middleware.Error{Status: status, Err: reason},
		})
	}
	return strings.Split(strings.TrimSuffix(f.log.String(), "\n"), "\n")
}

func TestAFloodOfTheSameRefusalDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlood(slog.LevelInfo)
		lines := f.refuse(1000, 401, "/a", claims.ErrExpired)
		require.Len(t, lines, 10)
		require.NotContains(t, f.log.String(), "suppressed")

		time.Sleep(10*time.Second - 1)
		require.Equal(t, []string{""}, f.refuse(5, 401, "/a", claims.ErrExpired))
		time.Sleep(time.Nanosecond)
		lines = f.refuse(20, 401, "/a", claims.ErrExpired)
		require.Len(t, lines, 10)
		require.Contains(t, lines[0], "suppressed=995")
		for _, line := range lines[1:] {
			require.NotContains(t, line, "suppressed")
		}

		time.Sleep(time.Hour)
		lines = f.refuse(1, 401, "/a", claims.ErrExpired)
		require.Contains(t, lines[0], "suppressed=10")
		time.Sleep(time.Hour)
		require.NotContains(t, f.refuse(1, 401, "/a", claims.ErrExpired)[0], "suppressed")
	})
}

func TestOtherRefusalsAreLoggedBesideAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlood(slog.LevelInfo)
		f.refuse(1000, 401, "/a", claims.ErrExpired)
		require.Len(t, f.refuse(20, 401, "/b", claims.ErrExpired), 10, "another route")
		require.Len(t, f.refuse(20, 401, "/a", claims.ErrIDToken), 10, "another reason")
		require.Len(t, f.refuse(20, 403, "/a", claims.ErrExpired), 10, "another status")
		require.Equal(t, []string{""}, f.refuse(20, 401, "/a", claims.ErrExpired))
	})
}

// Who gives up his requests must not keep an outage out of the log.
func TestRequestsThatWereGivenUpDoNotHideAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := logged(slog.LevelInfo)
		h := middleware.New(&tokens{}, middleware.WithObserver(middleware.LogDecisions(logger))).Handler(ok)
		for range 100 {
			serve(h, request("Bearer cancelled"))
		}
		log.Reset()
		serve(h, request("Bearer unavailable"))
		require.Contains(t, log.String(), "level=ERROR")
	})
}

// Whoever makes up routes, or has a router without patterns for them, fills no
// memory.
func TestTheKindsOfRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlood(slog.LevelInfo)
		written := 0
		for i := range 5000 {
			if f.refuse(1, 401, fmt.Sprint("/", i), claims.ErrExpired)[0] != "" {
				written++
			}
		}
		require.Equal(t, 1000+10, written, "the others together")
		require.Equal(t, []string{""}, f.refuse(1, 403, "/other", claims.ErrIDToken))
		require.NotEqual(t, []string{""}, f.refuse(1, 401, "/0", claims.ErrExpired), "what is known has its own count")
		time.Sleep(10 * time.Second)
		require.Contains(t, f.refuse(1, 403, "/another", claims.ErrIDToken)[0], "suppressed=3991")
	})
}

func TestWhatIsLetThroughIsNoFlood(t *testing.T) {
	logger, log := logged(slog.LevelDebug)
	observe := middleware.LogDecisions(logger)
	for range 100 {
		observe(t.Context(), middleware.Decision{Outcome: middleware.Allowed, Method: "GET"})
	}
	require.Equal(t, 100, strings.Count(log.String(), "\n"))
}

func TestRefusalsThatNobodyReadsAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var level slog.LevelVar
		var log bytes.Buffer
		observe := middleware.LogDecisions(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: &level})))
		f := flood{observe, &log}
		level.Set(slog.LevelError)
		require.Equal(t, []string{""}, f.refuse(1000, 401, "/a", claims.ErrExpired))
		level.Set(slog.LevelInfo)
		require.NotContains(t, f.refuse(1, 401, "/a", claims.ErrExpired)[0], "suppressed")
	})
}

func TestTwoLoggersCountForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newFlood(slog.LevelInfo).refuse(1000, 401, "/a", claims.ErrExpired)
		require.Len(t, newFlood(slog.LevelInfo).refuse(5, 401, "/a", claims.ErrExpired), 5)
	})
}

// Of what is told by several goroutines at once, nothing is lost or written twice.
func TestAFloodFromAllSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlood(slog.LevelInfo)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for range 20 {
					f.observe(t.Context(), refused401)
				}
			})
		}
		all.Wait()
		require.Equal(t, 10, strings.Count(f.log.String(), "\n"))
		time.Sleep(10 * time.Second)
		require.Contains(t, f.refuse(1, 401, "", claims.ErrExpired)[0], "suppressed=990")
	})
}

// Whoever writes the log may be slow, or have a guard of its own.
func TestLoggersAreCalledUnderNoLock(t *testing.T) {
	h := &reentrant{Handler: slog.DiscardHandler}
	h.observe = middleware.LogDecisions(slog.New(h))
	h.observe(t.Context(), refused401)
	require.Equal(t, 2, h.calls)
}

var refused401 = middleware.Decision{Outcome: middleware.Refused, Method: "GET", Reason: claims.ErrExpired, Refusal: &middleware.Error{Status: 401, Err: claims.ErrExpired}}

// reentrant makes a decision known while it writes one.
type reentrant struct {
	slog.Handler
	observe func(context.Context, middleware.Decision)
	calls   int
}

func (h *reentrant) Enabled(context.Context, slog.Level) bool { return true }

func (h *reentrant) Handle(ctx context.Context, _ slog.Record) error {
	if h.calls++; h.calls == 1 {
		h.observe(ctx, refused401)
	}
	return nil
}
