package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
)

// Config says where a [Remote] gets its keys and how long it believes them. One
// of Issuer and URL is needed; every other field has a default.
type Config struct {
	// Issuer is the issuer identifier of the authorization server, exactly as it
	// stands in the "iss" of its tokens. Where URL is empty, the key set is found
	// by discovery (OpenID Connect Discovery 1.0): the issuer's metadata must
	// name this issuer, to the last slash.
	Issuer string

	// URL is where the key set is, for issuers without discovery. Empty means
	// discovery from Issuer.
	URL string

	// Client fetches. Its transport, cookie jar and timeout are used; redirects
	// are followed on the same host only, whatever its CheckRedirect says. Nil
	// means a client of its own, with the proxy from the environment and no
	// connection kept open.
	Client *http.Client

	// FetchTimeout bounds one fetch, discovery and bodies included, and is not
	// the request's own. Zero means 5 seconds.
	FetchTimeout time.Duration

	// RefreshAfter is the age from which a key set is stale: still served, and
	// refreshed in the background. Zero means 5 minutes.
	RefreshAfter time.Duration

	// OverdueAfter is the age from which a request waits for a refresh, unless
	// one has failed since the last that succeeded. A key that the issuer has
	// removed is honoured no longer than this while the issuer can be reached.
	// Zero means 15 minutes.
	OverdueAfter time.Duration

	// ExpireAfter is the age from which a key set is not used any more, for
	// which an outage of the issuer is survived. Zero means 24 hours.
	ExpireAfter time.Duration

	// InsecureHTTP allows http to hosts other than this machine. Whoever is on
	// the way can then put in keys of their own and open the API: it is for
	// test networks.
	InsecureHTTP bool
}

// A Remote is a [Source] that fetches the key set of one issuer and remembers
// it. It starts no goroutine but those of fetches in flight, and there is
// nothing to close. The package doc says what a request sees.
type Remote struct {
	config  Config
	client  *http.Client
	fetches fetches
}

var _ Source = (*Remote)(nil)

// NewRemote returns a source for the keys of one issuer. It does no I/O, so that
// an API starts while its authorization server is down; see [Remote.Warm].
//
// The error says which field is wrong and what to do.
func NewRemote(config Config) (*Remote, error) {
	if config.Issuer == "" && config.URL == "" {
		return nil, errors.New("jwks: Config.Issuer and Config.URL are both empty: set Issuer to the issuer identifier of your authorization server, such as https://my-domain.auth0.com/")
	}
	if config.URL != "" {
		if err := fetch.CheckURL(config.URL, config.InsecureHTTP); err != nil {
			return nil, fmt.Errorf("jwks: Config.URL: %w", err)
		}
	} else if err := discovery.CheckIssuer(config.Issuer, config.InsecureHTTP); err != nil {
		return nil, fmt.Errorf("jwks: Config.Issuer: %w", err)
	}
	durations := []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"FetchTimeout", &config.FetchTimeout, 5 * time.Second},
		{"RefreshAfter", &config.RefreshAfter, 5 * time.Minute},
		{"OverdueAfter", &config.OverdueAfter, 15 * time.Minute},
		{"ExpireAfter", &config.ExpireAfter, 24 * time.Hour},
	}
	for _, d := range durations {
		if *d.value < 0 {
			return nil, fmt.Errorf("jwks: Config.%s is negative: %v (leave it zero for the default)", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if config.RefreshAfter > config.OverdueAfter || config.OverdueAfter > config.ExpireAfter {
		return nil, fmt.Errorf("jwks: the ages of Config are out of order: RefreshAfter %v, OverdueAfter %v, ExpireAfter %v",
			config.RefreshAfter, config.OverdueAfter, config.ExpireAfter)
	}
	r := &Remote{config: config, client: fetch.NewClient(config.Client)}
	r.fetches.timeout = config.FetchTimeout
	r.fetches.fetch = r.fetch
	return r, nil
}

// Issuer returns [Config].Issuer: whose keys these are, or "" where only a URL
// was given.
func (r *Remote) Issuer() string { return r.config.Issuer }

// Warm fetches the key set now, unless it is fresh, and waits for it: for
// programs that want to be ready before their first request, or to stop where
// the issuer cannot be reached. The error wraps [ErrUnavailable] and says what
// came back; the source works on all the same. It is not for a readiness probe,
// since it fails while the issuer is down, although the last good set serves.
func (r *Remote) Warm(ctx context.Context) error {
	if r.age() < r.config.RefreshAfter {
		return nil
	}
	return r.fetches.wait(ctx, r.fetches.start(always))
}

// Keys implements [Source].
func (r *Remote) Keys(ctx context.Context, alg, kid string) ([]*Key, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	keys, err := r.fetches.latest.Load().index.lookup(alg, kid)
	if !errors.Is(err, ErrUnknownKey) {
		return keys, err
	}
	// The key may be newer than the set (OpenID Connect Core §10.1.1). A flight
	// that was under way before may have missed it, so one more may follow it.
	for range 2 {
		flight := r.fetches.start(forUnknownKey)
		if flight.err != nil {
			return nil, flight.err
		}
		if flight.done == nil {
			break // the limit is reached, and the set is good: the key is made up
		}
		if err := r.fetches.wait(ctx, flight); err != nil {
			return nil, err
		}
		if keys, err = r.fetches.latest.Load().index.lookup(alg, kid); err == nil || flight.own {
			break
		}
	}
	return keys, err
}

// refresh sees to it that there is a key set that may be used, and returns
// [ErrUnavailable] where there is none.
func (r *Remote) refresh(ctx context.Context) error {
	switch age := r.age(); {
	case age < r.config.RefreshAfter:
		return nil
	case age < r.config.OverdueAfter:
		r.fetches.start(unlessFailing)
		return nil
	case age < r.config.ExpireAfter:
		const patience = 2 * time.Second
		flight := r.fetches.start(unlessFailing)
		if flight.failing {
			return nil // an outage: the last good set serves, retries go on behind
		}
		bounded, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = r.fetches.wait(bounded, flight) // whatever it says, there is a set
		return nil
	default:
		flight := r.fetches.start(unlessFailing)
		if flight.err != nil {
			return flight.err
		}
		return r.fetches.wait(ctx, flight)
	}
}

// age returns how long ago the key set was fetched, and the largest duration
// where there is none.
func (r *Remote) age() time.Duration {
	s := r.fetches.latest.Load()
	if s == nil {
		return 1<<63 - 1
	}
	return time.Since(s.fetched)
}

// fetch gets the key set. One without a usable key is an error, so that it never
// replaces a good one.
func (r *Remote) fetch(ctx context.Context) (*snapshot, error) {
	url := r.config.URL
	if url == "" {
		metadata, err := discovery.Get(ctx, r.client, r.config.Issuer, r.config.InsecureHTTP)
		if err != nil {
			return nil, err
		}
		if url = metadata.JWKSURL; url == "" {
			return nil, fmt.Errorf("GET %s: its jwks_uri is missing", discovery.URL(r.config.Issuer))
		}
	}
	document, err := fetch.Get(ctx, r.client, url)
	if err != nil {
		return nil, err
	}
	set, err := ParseSet([]byte(document.Body))
	if err != nil {
		return nil, document.Invalid(err)
	}
	return &snapshot{index: newIndex(set.Keys), fetched: time.Now()}, nil
}
