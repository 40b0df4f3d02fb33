package jwks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// A snapshot is a key set as it was fetched. It is never changed, so that
// requests read it without a lock.
type snapshot struct {
	set     *Set
	index   index
	fetched instant   // when the issuer last said that these are its keys …
	at      time.Time // … the same for people
	inFull  instant   // when it last said so by sending them
	ages    ages
}

// fetches runs one fetch at a time, each in nobody's context, keeps the latest
// snapshot, and says when the next fetch may start.
type fetches struct {
	fetch  func(context.Context, task) (answer, error)
	clock  clock
	config Config
	tell   func(Event) // does not block, and calls nobody

	latest atomic.Pointer[snapshot] // nil until there is a set
	group  singleflight.Group

	// What requests ask that are served in any case, so that they need no lock, by
	// the monotonic clock: until when no fetch can start, and until when there is
	// an outage. A failure from long ago says nothing of now.
	quietUntil  atomic.Int64
	outageUntil atomic.Int64

	// abroad counts the fetches whose transport has not come back.
	abroad atomic.Int32

	mu       sync.Mutex
	flying   bool
	why      reason // of the fetch that flies
	lastErr  error  // of the last fetch, nil where it succeeded
	failures int    // since the last success
	retryAt  retryTimes
	unknown  bucket
	known    knowledge
	counts   Counts
}

// retryTimes say, while the last fetch has failed, when the next may start by
// the monotonic clock. An issuer that asks to be left alone is obeyed for long
// only while there is a set that serves.
type retryTimes struct{ serving, needed time.Duration }

// of returns when a fetch may start for that reason.
func (r retryTimes) of(why reason) time.Duration {
	if why == needed || why == forUnknownKey { // a set without the key serves nobody who has it
		return r.needed
	}
	return r.serving
}

// A reason for a fetch decides when one may start.
type reason int

const (
	asked         reason = iota // somebody asked for it by name: now
	refreshing                  // the set is old, and serves
	needed                      // there is no set that may be used
	forUnknownKey               // a token names a key that is not in the set: rarely
)

// A flight is the answer to a request for a fetch.
type flight struct {
	done <-chan singleflight.Result // nil: there is none to wait for
	why  reason                     // of who waits
	own  bool                       // it started now, rather than earlier
	err  error                      // there is none to wait for, since the last one failed
}

// start starts a fetch, or joins the one under way, or says why there is none.
func (f *fetches) start(why reason) flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.startLocked(why)
}

// startUnlessNewer starts a fetch for a key that is unknown to the set that was
// looked in, unless a newer one has landed since: that one may have the key, and
// fetches for unknown keys are few.
func (f *fetches) startUnlessNewer(lookedIn *snapshot) flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.latest.Load() != lookedIn {
		return flight{done: alreadyLanded, why: forUnknownKey}
	}
	return f.startLocked(forUnknownKey)
}

// alreadyLanded is what is waited for of a flight that has succeeded.
var alreadyLanded = func() chan singleflight.Result {
	c := make(chan singleflight.Result)
	close(c)
	return c
}()

// startLocked is [fetches.start] for who holds the lock.
func (f *fetches) startLocked(why reason) flight {
	joined := flight{why: why}
	if !f.flying {
		if !f.mayStart(why) {
			if f.lastErr != nil {
				joined.err = unavailableFor(f.pauseLocked(why), f.lastErr)
			}
			return joined
		}
		f.flying, f.why = true, why
		f.counts.Fetches++
		f.quietUntil.Store(math.MaxInt64)
		joined.own = true
	}
	// Under the lock: between looking at flying and this call, the flight could
	// land, and the call would start another.
	joined.done = f.group.DoChan("", f.fly)
	return joined
}

// mayStart reports whether a fetch may start now for that reason.
func (f *fetches) mayStart(why reason) bool {
	now := f.clock.now().monotonic
	switch {
	case why == asked:
		return true
	case f.lastErr != nil && now < f.retryAt.of(why):
		return false
	case why == forUnknownKey:
		return f.unknown.take(now, f.config.UnknownKeyBurst, f.config.UnknownKeyInterval)
	default:
		return true
	}
}

// pauseLocked returns how long it takes until a fetch may start for that reason.
// The caller holds the lock.
func (f *fetches) pauseLocked(why reason) time.Duration {
	now := f.clock.now().monotonic
	var pause time.Duration
	if f.lastErr != nil {
		pause = f.retryAt.of(why) - now
	}
	if why == forUnknownKey {
		pause = max(pause, f.unknown.due(f.config.UnknownKeyBurst, f.config.UnknownKeyInterval)-now)
	}
	return max(pause, 0)
}

// refresh starts a fetch for a set that serves, unless none can start. It takes
// no lock where it has nothing to do.
func (f *fetches) refresh(now instant) {
	if int64(now.monotonic) >= f.quietUntil.Load() {
		f.start(refreshing)
	}
}

// wait waits for a flight, within ctx. Its error wraps [ErrUnavailable]. Where it
// is the flight that has failed, the error says when there may be another one;
// where ctx has ended, nobody knows.
func (f *fetches) wait(ctx context.Context, joined flight) error {
	if err := ctx.Err(); err != nil { // else chance would say whether it was in time
		return unavailable(err)
	}
	select {
	case result := <-joined.done:
		if result.Err == nil {
			return nil
		}
		f.mu.Lock()
		pause := f.pauseLocked(joined.why)
		f.mu.Unlock()
		return unavailableFor(pause, result.Err)
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// fly does one fetch, on a goroutine of its own.
func (f *fetches) fly() (any, error) {
	f.mu.Lock()
	failedBefore := f.lastErr
	t := task{known: f.known, why: f.why, failures: f.failures}
	f.mu.Unlock()
	before := f.latest.Load() // nobody else changes it, nor what is known

	began := f.clock.now()
	t.inFull = f.wantsInFull(t, before, began)
	a, wish, err := f.fetchWithin(f.config.FetchTimeout, t)
	now := f.clock.now()

	next := before
	if err == nil {
		next, err = f.newSnapshot(before, a, now)
	}
	event := Event{Duration: age(began, now), Err: err}
	event.describe(before, next, failedBefore)

	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = a.knowledge
	f.lastErr = err
	if err != nil {
		f.failures++
		f.counts.Failures++
		f.retryAt = f.pauses(wish, now.monotonic)
		f.quietUntil.Store(int64(f.retryAt.serving))
		f.outageUntil.Store(int64(max(f.retryAt.serving, after(now.monotonic, f.config.RetryMax+f.config.FetchTimeout))))
	} else {
		f.failures = 0
		f.latest.Store(next)
		f.quietUntil.Store(0)
		f.outageUntil.Store(0)
	}
	f.flying = false
	f.group.Forget("") // whoever comes from now on starts the next one
	event.Failures = f.failures
	f.tell(event) // under the lock, so that the events are in the order of the fetches
	return nil, err
}

// wantsInFull reports whether the issuer must send the set rather than say that it
// is as before. It may be wrong about that, with validators that are too coarse: so
// it is not believed where there is a doubt, nor for longer than a removed key may
// be honoured.
func (f *fetches) wantsInFull(t task, before *snapshot, now instant) bool {
	return before == nil || t.failures > 0 || t.why == needed || t.why == forUnknownKey ||
		age(before.inFull, now) >= f.config.OverdueAfter
}

// fetchWithin fetches within so much time, whatever the transport does: one of
// the user's may panic, end its goroutine, or not heed its context. Neither may
// take the process along, nor leave the requests waiting that share the flight.
// What comes after the time is up is not looked at.
//
// Besides, it returns how long the issuer asks to be left alone.
func (f *fetches) fetchWithin(timeout time.Duration, t task) (answer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	type landing struct {
		answer answer
		wish   time.Duration
		err    error
	}
	known := answer{knowledge: t.known}
	if f.abroad.Add(1) > maxAbroad {
		f.abroad.Add(-1)
		return known, 0, fmt.Errorf("%d fetches that were given up have not ended: the transport ignores its context", maxAbroad)
	}
	var learnt atomic.Pointer[knowledge]
	t.learnt = func(k knowledge) { learnt.Store(&k) }
	landed := make(chan landing, 1)
	go func() {
		defer f.abroad.Add(-1)
		l := landing{answer: known, err: errors.New("the transport ended its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				l.err = fmt.Errorf("panic while fetching: %v", p)
			}
			landed <- l
		}()
		l.answer, l.err = f.fetch(ctx, t)
		if l.err != nil {
			// A transport's error may panic when it is asked for anything: here is
			// where that does no harm.
			_, l.wish = l.err.Error(), retryAfter(l.err)
		}
	}()
	select {
	case l := <-landed:
		return l.answer, l.wish, l.err
	case <-ctx.Done():
		if k := learnt.Load(); k != nil {
			known.knowledge = *k // where the keys are is worth knowing next time
		}
		return known, 0, fmt.Errorf("no answer within %v from %s: %w", timeout, cmp.Or(f.config.URL, f.config.Issuer), ctx.Err())
	}
}

// maxAbroad is how many fetches may be out that were given up: only a transport
// that ignores its context leaves any, and it must not pile them up.
const maxAbroad = 8

// newSnapshot returns the snapshot that an answer makes of the one before.
func (f *fetches) newSnapshot(before *snapshot, a answer, now instant) (*snapshot, error) {
	next := &snapshot{fetched: now, at: time.Now(), ages: f.config.ages().jittered(f.config.Jitter)}
	switch {
	case a.set != nil:
		next.set, next.index, next.inFull = a.set, newIndex(a.set.Keys), now
	case before != nil:
		next.set, next.index, next.inFull = before.set, before.index, before.inFull
	default:
		return nil, errors.New("the issuer says that nothing has changed, and there is nothing yet")
	}
	return next, nil
}

// pauses returns when the next fetch may start after one more failure, where the
// issuer wishes to be left alone for so long.
func (f *fetches) pauses(wish, now time.Duration) retryTimes {
	pause := f.config.RetryMin
	for range f.failures - 1 {
		if pause > f.config.RetryMax/2 {
			pause = f.config.RetryMax
			break
		}
		pause *= 2
	}
	return retryTimes{
		serving: after(now, max(pause, min(wish, f.config.RetryAfterMax))),
		needed:  after(now, max(pause, min(wish, f.config.RetryMax))),
	}
}

// after returns the time that is so much later, the last there is where that would
// be beyond it.
func after(now, pause time.Duration) time.Duration {
	return now + min(pause, math.MaxInt64-now)
}

// A bucket has tokens, each for one fetch that an unknown key ID starts. There
// is one bucket for all of them: a memory per key ID would be a memory that
// whoever makes them up can fill.
type bucket struct {
	spent    int           // tokens that are missing …
	filledAt time.Duration // … as of this time, by the monotonic clock
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Duration, size int, refill time.Duration) bool {
	if b.spent > 0 {
		filled := int(min((now-b.filledAt)/refill, time.Duration(b.spent)))
		b.spent -= filled
		b.filledAt += time.Duration(filled) * refill
	}
	if b.spent == 0 {
		b.filledAt = now
	}
	if b.spent >= size {
		return false
	}
	b.spent++
	return true
}

// due returns when there is a token, by the monotonic clock; it may be past.
func (b *bucket) due(size int, refill time.Duration) time.Duration {
	if b.spent < size {
		return 0
	}
	return after(b.filledAt, refill)
}

// unavailable wraps [ErrUnavailable] around the cause.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// unavailableFor wraps [ErrUnavailable] around the cause, and tells how long it
// takes until there may be another fetch.
func unavailableFor(pause time.Duration, cause error) error {
	return &pausedError{unavailable(cause), pause}
}

// A pausedError says when to retry. It is the outermost, so that it speaks before
// what a transport's error may have to say of that.
type pausedError struct {
	error
	pause time.Duration
}

// RetryAfter returns how long it took until the next fetch might start, when the
// error was made.
func (e *pausedError) RetryAfter() time.Duration { return e.pause }

func (e *pausedError) Unwrap() error { return e.error }
