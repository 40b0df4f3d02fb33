package jwks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// Retries after failures: soon at first, so that recovery is quick, and
	// never further apart than the second.
	firstRetry = time.Second
	lastRetry  = 15 * time.Second

	// Fetches for unknown key IDs: a rotation needs one at once, a flood of
	// made-up IDs gets this many and then one per interval.
	unknownBurst    = 2
	unknownInterval = 10 * time.Second
)

// A snapshot is a key set as it was fetched. It is never changed, so that
// requests read it without a lock.
type snapshot struct {
	index   index
	fetched time.Time
}

// fetches runs one fetch at a time, each in nobody's context, keeps the latest
// snapshot, and says when the next fetch may start.
type fetches struct {
	fetch   func(context.Context) (*snapshot, error)
	timeout time.Duration

	latest atomic.Pointer[snapshot] // nil until a fetch has succeeded
	group  singleflight.Group

	mu       sync.Mutex
	flying   bool
	failures int       // since the last success
	lastErr  error     // of the last fetch, nil where it succeeded
	retryAt  time.Time // while failing: no fetch before
	tokens   int       // what is left for unknown key IDs …
	filledAt time.Time // … as of this time
}

// A reason for a fetch decides when one may start.
type reason int

const (
	always        reason = iota // somebody asked for it by name
	unlessFailing               // the set is old: not before the retry is due
	forUnknownKey               // a token names a key that is not in the set: rarely
)

// A flight is the answer to a request for a fetch.
type flight struct {
	done    <-chan singleflight.Result // nil: there is none to wait for
	own     bool                       // it started now, rather than earlier
	failing bool                       // the last fetch failed
	err     error                      // there is none to wait for, since the last one failed
}

// start starts a fetch, or joins the one under way, or says why there is none.
func (f *fetches) start(why reason) flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := flight{failing: f.lastErr != nil}
	if !f.flying {
		now := time.Now()
		mayStart := why == always || f.lastErr == nil || !now.Before(f.retryAt)
		if why == forUnknownKey {
			mayStart = mayStart && f.takeToken(now)
		}
		if !mayStart {
			if f.lastErr != nil {
				answer.err = unavailable(f.lastErr)
			}
			return answer
		}
		f.flying = true
		answer.own = true
	}
	// Under the lock: between looking at flying and this call, the flight could
	// land, and the call would start another.
	answer.done = f.group.DoChan("", f.fly)
	return answer
}

// takeToken takes a token for an unknown key ID, if there is one.
func (f *fetches) takeToken(now time.Time) bool {
	if refill := int(now.Sub(f.filledAt) / unknownInterval); f.filledAt.IsZero() || f.tokens+refill >= unknownBurst {
		f.tokens, f.filledAt = unknownBurst, now
	} else {
		f.tokens += refill
		f.filledAt = f.filledAt.Add(time.Duration(refill) * unknownInterval)
	}
	if f.tokens == 0 {
		return false
	}
	f.tokens--
	return true
}

// wait waits for a flight, within ctx. Its error wraps [ErrUnavailable].
func (f *fetches) wait(ctx context.Context, flight flight) error {
	select {
	case result := <-flight.done:
		if result.Err != nil {
			return unavailable(result.Err)
		}
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// fly does one fetch, on a goroutine of its own.
func (f *fetches) fly() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()

	// One goroutine further down, since a transport of the user's may panic, end
	// its goroutine, or not heed its context: neither may take the process
	// along, nor leave the requests waiting that share this flight. What comes
	// after the time is up is not looked at.
	type landing struct {
		snapshot *snapshot
		err      error
	}
	landed := make(chan landing, 1)
	go func() {
		l := landing{err: errors.New("the transport ended its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				l.err = fmt.Errorf("panic while fetching: %v", p)
			}
			landed <- l
		}()
		l.snapshot, l.err = f.fetch(ctx)
	}()
	var l landing
	select {
	case l = <-landed:
	case <-ctx.Done():
		l.err = fmt.Errorf("no answer within %v: %w", f.timeout, ctx.Err())
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying = false
	f.group.Forget("") // whoever comes from now on starts the next one
	f.lastErr = l.err
	if l.err == nil {
		f.failures = 0
		f.latest.Store(l.snapshot)
		return nil, nil
	}
	f.retryAt = time.Now().Add(pauseAfter(f.failures))
	f.failures++
	return nil, l.err
}

// pauseAfter returns the pause after a failure that follows so many others.
func pauseAfter(failures int) time.Duration {
	pause := firstRetry
	for range failures {
		if pause *= 2; pause >= lastRetry {
			return lastRetry
		}
	}
	return pause
}

// unavailable wraps [ErrUnavailable] around the cause.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}
