package jwks

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Event tells of one fetch: there is one for each, however many requests have
// waited for it. The fields tell what it has changed.
type Event struct {
	// Kind says what has happened, in a word.
	Kind EventKind

	// Issuer and URL are those of the [Config].
	Issuer string
	URL    string

	// Added and Removed are the keys that the set has now and had not before,
	// and the other way round. On the first success, all keys are added, but those
	// of [Config.Initial].
	Added   []KeyInfo
	Removed []KeyInfo

	// LeftOut are the keys of the set that cannot be used, where they are others
	// than before.
	LeftOut []LeftOut

	// Failures is how many fetches have failed in a row, this one included.
	Failures int

	// Err is why the fetch failed, nil where it did not.
	Err error

	// Duration is how long the fetch took.
	Duration time.Duration
}

// An EventKind is what an [Event] tells of.
type EventKind string

// The kinds of events. A fetch that succeeds is the first of these that fits:
// recovered, rotated, refreshed.
const (
	EventFailed    EventKind = "failed"    // the set could not be had, or has no usable key
	EventRecovered EventKind = "recovered" // it could be had after a failure
	EventRotated   EventKind = "rotated"   // its keys are others than before
	EventRefreshed EventKind = "refreshed" // its keys are as before, or the first
)

// describe fills in what the snapshots tell.
func (e *Event) describe(before, next *snapshot, failedBefore error) {
	if e.Err != nil {
		e.Kind = EventFailed
		return
	}
	var had *Set
	if before != nil {
		had = before.set
	}
	e.Added, e.Removed = keysWithout(next.set, had), keysWithout(had, next.set)
	if had == nil || !sameLeftOut(had.LeftOut, next.set.LeftOut) {
		e.LeftOut = slices.Clone(next.set.LeftOut)
	}
	switch {
	case failedBefore != nil:
		e.Kind = EventRecovered
	case before != nil && len(e.Added)+len(e.Removed) > 0:
		e.Kind = EventRotated
	default:
		e.Kind = EventRefreshed
	}
}

// keysWithout tells of the keys of one set that are not in the other.
func keysWithout(set, other *Set) []KeyInfo {
	if set == nil || set == other {
		return nil
	}
	known := map[KeyInfo]bool{}
	if other != nil {
		for _, key := range other.Keys {
			known[key.info()] = true
		}
	}
	var keys []KeyInfo
	for _, key := range set.Keys {
		if info := key.info(); !known[info] {
			keys = append(keys, info)
		}
	}
	return keys
}

// sameLeftOut reports whether the same keys are left out for the same reasons,
// wherever they stand: some issuers shuffle their set with each answer.
func sameLeftOut(a, b []LeftOut) bool {
	if len(a) != len(b) {
		return false
	}
	times := map[LeftOut]int{}
	for _, left := range a {
		left.Position = 0
		times[left]++
	}
	for _, left := range b {
		left.Position = 0
		if times[left]--; times[left] < 0 {
			return false
		}
	}
	return true
}

// log writes the event: what needs somebody's attention above debug level, and
// a failure that goes on only when it begins.
func (e Event) log(logger *slog.Logger) {
	level := slog.LevelInfo
	switch {
	case e.Kind == EventFailed && e.Failures == 1:
		level = slog.LevelWarn
	case e.Kind == EventFailed, e.Kind == EventRefreshed && len(e.Added) == 0:
		level = slog.LevelDebug
	}
	ctx := context.Background() // a fetch is in nobody's context
	attributes := make([]slog.Attr, 0, 6)
	attributes = append(attributes, slog.String("issuer", e.Issuer))
	if e.URL != "" {
		attributes = append(attributes, slog.String("url", e.URL))
	}
	for _, keys := range []struct {
		name string
		keys []KeyInfo
	}{{"added", e.Added}, {"removed", e.Removed}} {
		if len(keys.keys) > 0 {
			attributes = append(attributes, slog.String(keys.name, fmt.Sprint(keys.keys)))
		}
	}
	if e.Err != nil {
		attributes = append(attributes, slog.Int("failures", e.Failures), slog.String("error", e.Err.Error()))
	}
	attributes = append(attributes, slog.Duration("took", e.Duration))
	logger.LogAttrs(ctx, level, "keys "+string(e.Kind), attributes...)
	if n := len(e.LeftOut); n > 0 {
		const most = 5
		var reasons []string
		for _, left := range e.LeftOut[:min(n, most)] {
			reasons = append(reasons, left.String())
		}
		logger.LogAttrs(ctx, slog.LevelWarn, "keys left out",
			slog.String("issuer", e.Issuer), slog.Int("count", n), slog.String("reasons", strings.Join(reasons, "; ")))
	}
}

// A teller calls a hook, for one event after the other, on no request's goroutine
// and under no lock: a hook that is slow or panics does not hold up or break what
// it is told of.
type teller struct {
	hook   func(Event)
	logger *slog.Logger // is told of panics; may be nil

	mu      sync.Mutex
	waiting []Event
	telling bool
}

// maxWaiting is how many events wait for a slow hook; the next ones are lost.
const maxWaiting = 64

func (t *teller) tell(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == maxWaiting {
		return
	}
	t.waiting = append(t.waiting, e)
	if !t.telling {
		t.telling = true
		go t.work()
	}
}

// work tells what is waiting, and ends.
func (t *teller) work() {
	finished := false
	defer func() {
		if !finished {
			go t.work() // the hook has ended this goroutine
		}
	}()
	for {
		t.mu.Lock()
		if len(t.waiting) == 0 {
			t.telling, finished = false, true
			t.mu.Unlock()
			return
		}
		e := t.waiting[0]
		t.waiting = t.waiting[1:]
		t.mu.Unlock()
		if p := panicOf(func() { t.hook(e) }); p != nil && t.logger != nil {
			panicOf(func() {
				t.logger.Error("the hook for events of keys has panicked", "issuer", e.Issuer, "panic", fmt.Sprint(p))
			})
		}
	}
}

// panicOf calls f and returns what it has panicked with, nil where it has not.
func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}
