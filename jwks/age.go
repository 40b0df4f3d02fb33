package jwks

import (
	"math/rand/v2"
	"time"
)

// An instant is one moment by two clocks. The monotonic one is not set by
// anybody, but stands still while the machine sleeps; the wall clock goes on,
// but may be set.
type instant struct {
	monotonic time.Duration // since some moment of the process
	wall      time.Duration // since 1970
}

// A clock tells instants.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() instant { return c.at(time.Now()) }

// at returns the instant at which time.Now returned that.
func (c clock) at(now time.Time) instant {
	return instant{monotonic: now.Sub(c.start), wall: time.Duration(now.UnixNano())}
}

// age returns the time from then to now: the longer of what the two clocks say.
// So neither a sleep nor a clock that is set back prolongs the life of a key (both
// at once can, by the shorter of the two), and one that is set forward ends it
// early, which costs one fetch.
func age(then, now instant) time.Duration {
	return max(now.monotonic-then.monotonic, now.wall-then.wall, 0)
}

// A phase is what the age of a key set means for a request.
type phase int

const (
	expired phase = iota // also: there is none
	overdue
	stale
	fresh
)

// String returns the name that a [Status] has for the phase of a key set.
func (p phase) String() string {
	return [...]string{expired: "expired", overdue: "overdue", stale: "stale", fresh: "fresh"}[p]
}

// ages has the ends of the phases of one key set.
type ages struct{ fresh, stale, overdue time.Duration }

// phase returns the phase of a key set of that age.
func (a ages) phase(age time.Duration) phase {
	switch {
	case age < a.fresh:
		return fresh
	case age < a.stale:
		return stale
	case age < a.overdue:
		return overdue
	default:
		return expired
	}
}

// jittered returns the ages with the first two longer or shorter by a random
// part of the fraction, so that many replicas which have started together do not
// fetch together. Both change alike, to stay in order. The last is a promise to
// the operator, and at that age nobody is in step any more.
func (a ages) jittered(fraction float64) ages {
	if fraction <= 0 {
		return a
	}
	factor := 1 + fraction*(2*rand.Float64()-1)
	a.fresh, a.stale = a.scaled(a.fresh, factor), a.scaled(a.stale, factor)
	return a
}

// scaled returns an age that is longer or shorter, and no longer than the last:
// compared before it is a Duration, of which the longest times more than one is
// none.
func (a ages) scaled(age time.Duration, factor float64) time.Duration {
	if scaled := factor * float64(age); scaled < float64(a.overdue) {
		return time.Duration(scaled)
	}
	return a.overdue
}
