package userinfo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxAbroad is how many calls may be out that were given up: only a transport
	// that ignores its context leaves any, and it must not pile them up.
	maxAbroad = 32

	// A transport that heeds its context comes back this soon after that has ended.
	// Until then its call counts as in flight: a slow issuer must not look like a
	// transport that is deaf.
	comesBackWithin = time.Second

	// maxInFlight is how many calls may be in flight, each with a goroutine and a
	// connection, and maxOfOne how many of them for one user: who has many tokens
	// and finds the issuer slow must not keep the others waiting.
	maxInFlight = 256
	maxOfOne    = 16
)

// givenUp counts the calls that were given up and have not come back.
type givenUp struct{ abroad atomic.Int32 }

// check returns an error where there are so many that no other call may start.
func (g *givenUp) check() error {
	if g.abroad.Load() < maxAbroad {
		return nil
	}
	return fmt.Errorf("%w: %d calls that were given up have not ended: the transport ignores its context", ErrUnavailable, maxAbroad)
}

// within asks until ctx ends, whatever the transport does: one of the user's may
// panic, end its goroutine or not heed its context. Neither may take the process
// along, nor those who wait. What comes too late is not looked at. over is called once,
// when the call has come back or counts as given up.
func within[T any](ctx context.Context, g *givenUp, ask func(context.Context) (T, error), over func()) (T, error) {
	type landing struct {
		value T
		err   error
	}
	const (
		out int32 = iota
		abroad
		back
	)
	var where atomic.Int32
	landed := make(chan landing, 1)
	go func() {
		l := landing{err: fmt.Errorf("%w: the transport ended its goroutine", ErrUnavailable)}
		defer func() {
			if v := recover(); v != nil { // what it is may have the token in it
				l = landing{err: fmt.Errorf("%w: panic while asking, with a %T", ErrUnavailable, v)}
			}
			if where.Swap(back) == abroad {
				g.abroad.Add(-1)
			} else {
				over()
			}
			landed <- l
		}()
		l.value, l.err = ask(ctx)
	}()
	select {
	case l := <-landed:
		return l.value, l.err
	case <-ctx.Done():
		time.AfterFunc(comesBackWithin, func() {
			if where.CompareAndSwap(out, abroad) {
				g.abroad.Add(1)
				over()
			}
		})
		var none T
		return none, fmt.Errorf("%w: no answer in time", ErrUnavailable)
	}
}

// places bound the calls that are in flight.
type places struct {
	all chan struct{} // of everybody

	mu  sync.Mutex
	ofs map[string]*placesOfOne // by subject, while somebody has one or waits
}

type placesOfOne struct {
	taken chan struct{}
	users int // who have one or wait
}

func newPlaces() *places {
	return &places{all: make(chan struct{}, maxInFlight), ofs: map[string]*placesOfOne{}}
}

// take waits for a place for a call about the subject, and returns what gives it back.
// The error says which places are taken.
func (p *places) take(ctx context.Context, subject string) (leave func(), _ error) {
	one := p.of(subject)
	select {
	case one.taken <- struct{}{}:
	case <-ctx.Done():
		p.release(subject, one)
		return nil, fmt.Errorf("%w: %d calls about this user are in flight, and none of their places was free in time", ErrUnavailable, maxOfOne)
	}
	leaveOne := func() {
		<-one.taken
		p.release(subject, one)
	}
	select {
	case p.all <- struct{}{}:
	case <-ctx.Done():
		leaveOne()
		return nil, fmt.Errorf("%w: %d calls are in flight, and none of their places was free in time", ErrUnavailable, maxInFlight)
	}
	return func() {
		<-p.all
		leaveOne()
	}, nil
}

// of returns the places for calls about the subject, to be released.
func (p *places) of(subject string) *placesOfOne {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.ofs[subject]
	if one == nil {
		one = &placesOfOne{taken: make(chan struct{}, maxOfOne)}
		p.ofs[subject] = one
	}
	one.users++
	return one
}

func (p *places) release(subject string, one *placesOfOne) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(p.ofs, subject)
	}
}
