package middleware

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// LogDecisions returns an observer that writes each decision to the logger: what
// was let through at debug level, refusals at info level with the reason, and
// what could not be decided (503) at error level, or at info level where the
// client itself has given up. There is no token and nothing of the user in it,
// apart from what a requirement of one's own says in its error.
//
// A flood of the same refusal, by level, status, route,
// requirement and reason, does not flood the log: ten records are written in ten
// seconds, and the next one after that says in "suppressed" how many were not. It
// panics if logger is nil.
func LogDecisions(logger *slog.Logger) func(context.Context, Decision) {
	if logger == nil {
		panic("middleware: LogDecisions was given a nil logger")
	}
	floods := &floods{}
	return func(ctx context.Context, d Decision) {
		level, message := slog.LevelDebug, "request let through"
		switch {
		case d.Outcome == Undecided && !errors.Is(d.Refusal, context.Canceled):
			level, message = slog.LevelError, "request undecided"
		case d.Outcome == Undecided:
			level, message = slog.LevelInfo, "request undecided"
		case d.Refusal != nil:
			level, message = slog.LevelInfo, "request refused"
		}
		if !logger.Enabled(ctx, level) {
			return
		}
		suppressed := 0
		if d.Refusal != nil {
			var write bool
			if suppressed, write = floods.admit(floodKey{level, d.Refusal.Status, d.Pattern, d.Requirement, d.Reason}, time.Now()); !write {
				return
			}
		}
		logger.LogAttrs(ctx, level, message, attributes(d, suppressed)...)
	}
}

// attributes returns what the log says of a decision.
func attributes(d Decision, suppressed int) []slog.Attr {
	all := make([]slog.Attr, 0, 12)
	add := func(name, value string) {
		if value != "" {
			all = append(all, slog.String(name, value))
		}
	}
	all = append(all, slog.String("method", d.Method))
	add("route", d.Pattern)
	if d.Policy.Access != Unprotected { // the handler's own has none
		add("policy", d.Policy.String())
	}
	add("issuer", d.Issuer)
	add("client_id", d.ClientID)
	add("kid", d.KeyID)
	if d.Outcome == Anonymous || d.Outcome == Preflight { // the message tells the others
		add("let_through_as", string(d.Outcome))
	}
	if d.Refusal != nil {
		all = append(all, slog.Int("status", d.Refusal.Status))
		if d.Requirement != d.Policy.String() { // else it is the only one
			add("requirement", d.Requirement)
		}
		reason := d.Refusal.Description
		if d.Refusal.Err != nil {
			reason = d.Refusal.Err.Error()
		}
		add("reason", reason)
	}
	all = append(all, slog.Duration("duration", d.Duration))
	if suppressed > 0 {
		all = append(all, slog.Int("suppressed", suppressed))
	}
	return all
}

const (
	floodBurst  = 10
	floodWindow = 10 * time.Second
	floodKinds  = 1000 // that are told apart: whoever sends requests must not fill the memory
)

// floods counts the refusals of each kind.
type floods struct {
	mu     sync.Mutex
	counts map[floodKey]*floodCount
}

// A floodKey has what makes two refusals the same: nothing that the client can make
// up. The level is among it, so that clients which hang up do not hide an outage.
type floodKey struct {
	level       slog.Level
	status      int
	pattern     string
	requirement string
	reason      error // a sentinel
}

type floodCount struct {
	began      time.Time
	written    int
	suppressed int
}

// admit reports whether a refusal is to be written, and how many like it have not
// been since the last that was.
func (f *floods) admit(key floodKey, now time.Time) (suppressed int, write bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := f.counts[key]
	if count == nil {
		if len(f.counts) >= floodKinds {
			key = floodKey{} // all the others together
			count = f.counts[key]
		}
		if count == nil {
			if f.counts == nil {
				f.counts = map[floodKey]*floodCount{}
			}
			count = &floodCount{began: now}
			f.counts[key] = count
		}
	}
	if now.Sub(count.began) >= floodWindow {
		count.began, count.written = now, 0
	}
	if count.written >= floodBurst {
		count.suppressed++
		return 0, false
	}
	count.written++
	suppressed, count.suppressed = count.suppressed, 0
	return suppressed, true
}
