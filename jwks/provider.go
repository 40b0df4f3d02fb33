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

// A provider fetches the key set of one issuer. It remembers nothing: what it has
// learnt is in the [knowledge] that it is given and gives back, so that an answer
// which comes too late leaves no trace.
type provider struct {
	issuer       string
	url          string // of the key set; "": by discovery
	client       *http.Client
	insecureHTTP bool
	limits       limits
	rediscover   time.Duration // the age from which the metadata are asked for again
	clock        clock
}

// knowledge is what earlier fetches have brought.
type knowledge struct {
	named      string           // where the metadata say that the key set is; "": not known
	discovered instant          // when they said so
	good       string           // where the key set was that is kept; "": there is none
	validators fetch.Validators // of that set
	missed     bool             // the last fetch was for an unknown key
}

// A task is what a fetch is to do.
type task struct {
	known    knowledge
	why      reason
	failures int  // since the last success
	inFull   bool // the set is wanted, not word that it is as before
	learnt   func(knowledge)
}

// An answer is what a fetch brings. A nil set means that the one which is kept
// is still that of the issuer.
type answer struct {
	set       *Set
	knowledge knowledge
}

// fetch gets the key set. What has been learnt is in the answer also where there
// is an error. A set without a usable key is an error, so that it never replaces
// a good one.
func (p *provider) fetch(ctx context.Context, t task) (answer, error) {
	a := answer{knowledge: t.known}
	a.knowledge.missed = t.why == forUnknownKey
	addresses, err := p.locate(ctx, t, &a.knowledge)
	if err != nil {
		return a, err
	}
	t.learnt(a.knowledge)
	var first error
	for i, address := range addresses {
		err := p.fetchFrom(ctx, address, len(addresses)-i, t.inFull, &a)
		if err == nil {
			return a, nil
		}
		if first == nil {
			first = err
		}
	}
	return a, first
}

// fetchFrom gets the key set from one address, within its part of the time where
// there are more.
func (p *provider) fetchFrom(ctx context.Context, address string, parts int, inFull bool, a *answer) error {
	ctx, cancel := partOf(ctx, parts)
	defer cancel()
	var have fetch.Validators
	if !inFull && address == a.knowledge.good {
		have = a.knowledge.validators
	}
	document, err := fetch.Get(ctx, p.client, address, p.limits.size, have)
	if err != nil {
		return err
	}
	if document.NotModified {
		return nil
	}
	set, err := parseSet(document.Body, p.limits)
	if err != nil {
		return document.Invalid(err)
	}
	a.set, a.knowledge.good, a.knowledge.validators = set, address, document.Validators
	return nil
}

// locate returns where the key set may be: where the metadata say, and behind that
// where it was before, since metadata that are wrong must not keep it away.
func (p *provider) locate(ctx context.Context, t task, k *knowledge) ([]string, error) {
	if p.url != "" {
		return []string{p.url}, nil
	}
	if p.mustAsk(t) {
		if err := p.ask(ctx, k); err != nil && k.named == "" {
			return nil, err
		}
	}
	if k.good == "" || k.good == k.named {
		return []string{k.named}, nil
	}
	return []string{k.named, k.good}, nil
}

// mustAsk reports whether the metadata are to be asked for: when they are old,
// when a fetch has failed, and when one for an unknown key did not settle it. After
// failures it is every second time only, so that every other fetch has all of its
// time for the key set.
func (p *provider) mustAsk(t task) bool {
	return t.known.named == "" ||
		age(t.known.discovered, p.clock.now()) >= p.rediscover ||
		t.failures%2 == 1 ||
		(t.known.missed && t.why == forUnknownKey)
}

// ask asks for the metadata.
func (p *provider) ask(ctx context.Context, k *knowledge) error {
	if k.named != "" {
		var cancel context.CancelFunc
		ctx, cancel = partOf(ctx, 2) // the key set needs the rest
		defer cancel()
	}
	metadata, err := discovery.Get(ctx, p.client, p.issuer, p.limits.size, p.insecureHTTP)
	if err != nil {
		return err
	}
	if metadata.JWKSURL == "" {
		return fmt.Errorf("GET %s: its jwks_uri is missing", discovery.URL(p.issuer))
	}
	k.named, k.discovered = metadata.JWKSURL, p.clock.now()
	return nil
}

// partOf returns a context with one of so many equal parts of the time that is
// left.
func partOf(ctx context.Context, parts int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || parts < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(parts))
}

// retryAfter returns how long the issuer asks to be left alone, zero where it
// does not.
func retryAfter(err error) time.Duration {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok {
		return status.RetryAfter
	}
	return 0
}
