package jwks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/internal/wiring"
)

// Config says where a [Remote] gets its keys and how long it believes them. One
// of Issuer and URL is needed; every other field has a default. What the issuer
// answers changes none of it: its Cache-Control neither lengthens nor shortens an
// age.
type Config struct {
	// Issuer is the issuer identifier of the authorization server, exactly as it
	// stands in the "iss" of its tokens. Where URL is empty, the key set is found
	// by discovery (OpenID Connect Discovery 1.0, or else RFC 8414): the issuer's
	// metadata must name this issuer, to the last slash.
	Issuer string

	// URL is where the key set is, for issuers without discovery. Empty means
	// discovery from Issuer.
	URL string

	// Client fetches. Its transport, cookie jar and timeout are used; redirects
	// are followed on the same host only, whatever its CheckRedirect says. Nil
	// means a client of its own, with the proxy from the environment and no
	// connection kept open.
	Client *http.Client

	// Initial is a set to begin with, so that an API that starts while its issuer
	// is down can serve: keep the text of the issuer's key set, and read it with
	// [ParseSet]. It is stale from the first moment, and expires as if it had been
	// fetched at the start. Nil means that the first request waits for a fetch.
	Initial *Set

	// RefreshAfter is the age from which a key set is stale: still served, and
	// refreshed in the background. Zero means 5 minutes.
	RefreshAfter time.Duration

	// OverdueAfter is the age from which a request waits for a refresh, unless
	// there is an outage: one has just failed, or the issuer has asked to be left
	// alone. A key that the issuer has removed is honoured no longer than about
	// this while the issuer can be reached; therefore the set is also asked for in
	// full at this age, whatever the issuer says of its not having changed. Zero
	// means 15 minutes.
	OverdueAfter time.Duration

	// ExpireAfter is the age from which a key set is not used any more, for
	// which an outage of the issuer is survived. Zero means 24 hours.
	ExpireAfter time.Duration

	// Jitter is the fraction by which RefreshAfter and OverdueAfter are longer or shorter
	// at random, anew for each set, so that replicas do not fetch in step. Zero
	// means 0.1, [NoJitter] none; 0.5 is the most.
	Jitter float64

	// RefreshWait bounds how long a request waits for the refresh of an overdue
	// set, before it is served from that. Zero means 2 seconds.
	RefreshWait time.Duration

	// FetchTimeout bounds one fetch, discovery and bodies included, and is not
	// the request's own. Zero means 5 seconds.
	FetchTimeout time.Duration

	// RetryMin and RetryMax bound the pause after a fetch that failed: it is
	// RetryMin at first and doubles with each further failure. Zero means 1
	// second and 15 seconds.
	RetryMin time.Duration
	RetryMax time.Duration

	// RetryAfterMax is how long the issuer is left alone at the most where it
	// asks for that (Retry-After, RFC 9110 §10.2.3) and a good set serves. Where
	// none does, and for an unknown key, it is RetryMax. Zero means 1 hour.
	RetryAfterMax time.Duration

	// UnknownKeyBurst is how many fetches key IDs that are not in the set may
	// cause in a row, and UnknownKeyInterval how long it takes until there may be
	// one more. All key IDs share them. Zero means 2 and 10 seconds.
	UnknownKeyBurst    int
	UnknownKeyInterval time.Duration

	// RediscoverAfter is the age from which the issuer's metadata are asked for
	// again; they are as well when a fetch has failed, and when two in a row were
	// for unknown keys. Zero means 24 hours.
	RediscoverAfter time.Duration

	// MaxSize is how many bytes the key set or the metadata may have, after
	// decompression, and MaxKeys how many keys may be listed. Larger ones are
	// refused as a whole. Zero means 1 MiB and 1,000.
	MaxSize int64
	MaxKeys int

	// Logger is told of each change: keys added and removed and recovery at info
	// level, a failure when it begins and keys that cannot be used at warning
	// level; what goes on as before at debug level. Nil means that nothing is
	// logged.
	Logger *slog.Logger

	// OnEvent is called after each fetch, one call after the other, on a
	// goroutine of its own: it may take its time, and where it panics nothing
	// else is harmed. Where it falls behind by 64 events, further ones are lost.
	// It should not call Warm, which fetches at once and so causes the next event.
	// Nil means that it is not called.
	OnEvent func(Event)

	// InsecureHTTP allows http to hosts other than this machine. Whoever is on
	// the way can then put in keys of their own and open the API: it is for
	// test networks.
	InsecureHTTP bool
}

// NoJitter is the [Config.Jitter] that gives none.
const NoJitter = -1.0

// ages returns when the phases of a key set end.
func (c *Config) ages() ages {
	return ages{fresh: c.RefreshAfter, stale: c.OverdueAfter, overdue: c.ExpireAfter}
}

// complete checks a Config and fills in the defaults.
func (c *Config) complete() error {
	if c.Issuer == "" && c.URL == "" {
		return errors.New("Config.Issuer and Config.URL are both empty: set Issuer to the issuer identifier of your authorization server, such as https://my-domain.auth0.com/")
	}
	if c.URL != "" {
		if err := fetch.CheckURL(c.URL, c.InsecureHTTP); err != nil {
			return fmt.Errorf("Config.URL: %w", err)
		}
	} else if err := discovery.CheckIssuer(c.Issuer, c.InsecureHTTP); err != nil {
		return fmt.Errorf("Config.Issuer: %w", err)
	}
	if c.Initial != nil && len(c.Initial.Keys) == 0 {
		return errors.New("Config.Initial has no key that can be used: leave it nil")
	}
	if c.Initial != nil && slices.Contains(c.Initial.Keys, nil) {
		return errors.New("Config.Initial has a nil key: take it out")
	}
	for _, err := range []error{
		wiring.OrDefault("RefreshAfter", &c.RefreshAfter, 5*time.Minute),
		wiring.OrDefault("OverdueAfter", &c.OverdueAfter, 15*time.Minute),
		wiring.OrDefault("ExpireAfter", &c.ExpireAfter, 24*time.Hour),
		wiring.OrDefault("RefreshWait", &c.RefreshWait, 2*time.Second),
		wiring.OrDefault("FetchTimeout", &c.FetchTimeout, 5*time.Second),
		wiring.OrDefault("RetryMin", &c.RetryMin, time.Second),
		wiring.OrDefault("RetryMax", &c.RetryMax, 15*time.Second),
		wiring.OrDefault("RetryAfterMax", &c.RetryAfterMax, time.Hour),
		wiring.OrDefault("UnknownKeyBurst", &c.UnknownKeyBurst, 2),
		wiring.OrDefault("UnknownKeyInterval", &c.UnknownKeyInterval, 10*time.Second),
		wiring.OrDefault("RediscoverAfter", &c.RediscoverAfter, 24*time.Hour),
		wiring.OrDefault("MaxSize", &c.MaxSize, defaultMaxSize),
		wiring.OrDefault("MaxKeys", &c.MaxKeys, defaultMaxKeys),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case c.RefreshAfter > c.OverdueAfter || c.OverdueAfter > c.ExpireAfter:
		return fmt.Errorf("the ages of Config are out of order, defaults included: RefreshAfter %v, OverdueAfter %v, ExpireAfter %v: set those that follow too",
			c.RefreshAfter, c.OverdueAfter, c.ExpireAfter)
	case c.RetryMin > c.RetryMax:
		return fmt.Errorf("Config.RetryMin is %v, which is more than RetryMax, %v", c.RetryMin, c.RetryMax)
	case c.Jitter == 0:
		c.Jitter = 0.1
	case c.Jitter != NoJitter && !(0 < c.Jitter && c.Jitter <= 0.5):
		return fmt.Errorf("Config.Jitter is %v: it is a part from 0 to 0.5, or NoJitter", c.Jitter)
	}
	return nil
}

// A Remote is a [Source] that fetches the key set of one issuer and remembers
// it. It starts no goroutine but those of fetches in flight, and there is
// nothing to close. The package doc says what a request sees. Make one with
// [NewRemote]; the zero value has no keys and cannot fetch any.
type Remote struct{ fetches fetches }

var _ Source = (*Remote)(nil)

// NewRemote returns a source for the keys of one issuer. It does no I/O, so that
// an API starts while its authorization server is down; see [Remote.Warm].
//
// The error says which field is wrong and what to do.
func NewRemote(config Config) (*Remote, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	clock := newClock()
	p := &provider{
		issuer:       config.Issuer,
		url:          config.URL,
		client:       fetch.NewClient(config.Client),
		insecureHTTP: config.InsecureHTTP,
		limits:       limits{size: config.MaxSize, keys: config.MaxKeys},
		rediscover:   config.RediscoverAfter,
		clock:        clock,
	}
	var tellers []*teller // one each, so that a slow hook does not hold up the log
	if config.Logger != nil {
		tellers = append(tellers, &teller{hook: func(e Event) { e.log(config.Logger) }})
	}
	if config.OnEvent != nil {
		tellers = append(tellers, &teller{hook: config.OnEvent, logger: config.Logger})
	}
	r := &Remote{}
	r.fetches.fetch = p.fetch
	r.fetches.clock = clock
	if config.Initial != nil {
		set := &Set{Keys: slices.Clone(config.Initial.Keys), LeftOut: slices.Clone(config.Initial.LeftOut)}
		ages := config.ages()
		ages.fresh = 0
		r.fetches.latest.Store(&snapshot{set: set, index: newIndex(set.Keys), fetched: clock.now(), ages: ages})
	}
	config.Initial = nil // the snapshot has it, until there is another
	r.fetches.config = config
	r.fetches.tell = func(e Event) {
		e.Issuer, e.URL = config.Issuer, config.URL
		for _, t := range tellers {
			t.tell(e)
		}
	}
	return r, nil
}

// Issuer returns [Config].Issuer: whose keys these are, or "" where only a URL
// was given.
func (r *Remote) Issuer() string { return r.fetches.config.Issuer }

// Warm fetches the key set now, unless it is fresh, and waits for it: for
// programs that want to be ready before their first request, or to stop where
// the issuer cannot be reached. The error wraps [ErrUnavailable] and says what
// came back; the source works on all the same. When it says to retry is when a
// request may cause the next fetch; Warm itself does not wait for that. It is no
// answer for a readiness probe, since it fails while the issuer is down, although
// the last good set serves: see [Remote.Status].
func (r *Remote) Warm(ctx context.Context) error {
	if err := r.made(); err != nil {
		return err
	}
	_, phase, _ := r.look()
	if phase == fresh {
		return nil
	}
	joined := r.fetches.start(asked)
	if phase == expired {
		joined.why = needed // the pause is that of a source without a set
	}
	return r.fetches.wait(ctx, joined)
}

// Keys implements [Source].
func (r *Remote) Keys(ctx context.Context, alg, kid string) ([]*Key, error) {
	if err := r.made(); err != nil {
		return nil, err
	}
	s, err := r.usable(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.index.lookup(alg, kid)
	if err == nil {
		return keys, nil
	}
	// The key may be newer than the set (OpenID Connect Core §10.1.1). A flight
	// that was under way before may have missed it, so one more may follow it.
	for range 2 {
		joined := r.fetches.startUnlessNewer(s)
		if joined.err != nil {
			return nil, joined.err
		}
		if joined.done == nil {
			break // enough have been fetched for unknown keys, and the last one was good
		}
		if err := r.fetches.wait(ctx, joined); err != nil {
			return nil, err
		}
		s = r.fetches.latest.Load()
		if keys, err = s.index.lookup(alg, kid); err == nil || joined.own {
			break
		}
	}
	return keys, err
}

func init() { known.KeysNow = (*Remote).keysNow }

// keysNow is Keys where that has nothing to do but to look, in a set that is fresh; it
// returns no keys in all other cases. And it tells when it looked.
func (r *Remote) keysNow(alg, kid string) ([]*Key, time.Time) {
	now := time.Now()
	s, phase := r.lookAt(r.fetches.clock.at(now))
	if phase != fresh {
		return nil, time.Time{}
	}
	return s.index.find(alg, kid), now
}

// made returns an error for a zero Remote.
func (r *Remote) made() error {
	if r.fetches.fetch == nil {
		return unavailable(errors.New("the Remote is a zero value; make one with NewRemote"))
	}
	return nil
}

// look returns the latest snapshot and what its age means.
func (r *Remote) look() (*snapshot, phase, instant) {
	now := r.fetches.clock.now()
	s, phase := r.lookAt(now)
	return s, phase, now
}

// lookAt is look at that instant.
func (r *Remote) lookAt(now instant) (*snapshot, phase) {
	s := r.fetches.latest.Load()
	if s == nil {
		return nil, expired
	}
	return s, s.ages.phase(age(s.fetched, now))
}

// usable returns a snapshot that may be used, and [ErrUnavailable] where there is
// none.
func (r *Remote) usable(ctx context.Context) (*snapshot, error) {
	s, phase, now := r.look()
	switch phase {
	case fresh:
		return s, nil
	case stale:
		r.fetches.refresh(now)
		return s, nil
	case overdue:
		if int64(now.monotonic) < r.fetches.outageUntil.Load() {
			// The last good set serves, and retries go on behind.
			r.fetches.refresh(now)
			return s, nil
		}
		bounded, cancel := context.WithTimeout(ctx, r.fetches.config.RefreshWait)
		defer cancel()
		if joined := r.fetches.start(refreshing); joined.done != nil {
			_ = r.fetches.wait(bounded, joined) // whatever it says, there is a set
		}
		return r.fetches.latest.Load(), nil
	default:
		joined := r.fetches.start(needed)
		if joined.err != nil {
			return nil, joined.err
		}
		if err := r.fetches.wait(ctx, joined); err != nil {
			return nil, err
		}
		return r.fetches.latest.Load(), nil
	}
}
