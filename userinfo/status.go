package userinfo

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"
)

// A Status tells how a [Client] fares with one issuer, for metrics. There is nothing of
// a user in it.
type Status struct {
	// Issuer is that of the [Config].
	Issuer string

	// Hits counts the questions that were answered with what was kept, refusals
	// included, and Misses the others: those that waited for a call, which they may
	// share. What is refused before any call is neither.
	Hits, Misses uint64

	// Calls counts the calls that have begun, and Failures those that have ended with
	// [ErrUnavailable].
	Calls, Failures uint64

	// Entries is how many answers are kept now, among them some whose time is over.
	Entries int

	// InFlight is how many calls are in flight now, of 256 at the most. GivenUp is how
	// many were given up, and have not ended for a second and longer: only a transport
	// that ignores its context leaves any, and with 32 no other call starts.
	InFlight, GivenUp int
}

// Status returns the status of each issuer, sorted by its identifier. It asks nobody.
func (c *Client) Status() []Status {
	var all []Status
	for _, name := range slices.Sorted(maps.Keys(c.issuers)) {
		p := c.issuers[name]
		all = append(all, Status{
			Issuer: name,
			Hits:   p.counts.hits.Load(), Misses: p.counts.misses.Load(),
			Calls: p.counts.calls.Load(), Failures: p.counts.failures.Load(),
			Entries:  p.cache.len(),
			InFlight: len(p.places.all),
			GivenUp:  max(0, int(p.givenUp.abroad.Load())),
		})
	}
	return all
}

// counts are since the start.
type counts struct{ hits, misses, calls, failures atomic.Uint64 }

// asked counts a question that was answered with what was kept, or was not.
func (c *counts) asked(known bool) {
	if known {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
}

// called counts how a call has ended.
func (c *counts) called(err error) {
	if errors.Is(err, ErrUnavailable) {
		c.failures.Add(1)
	}
}
