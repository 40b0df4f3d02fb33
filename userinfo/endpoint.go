package userinfo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"golang.org/x/sync/singleflight"
)

const (
	// rediscoverAfter is the age from which the metadata are asked for again.
	rediscoverAfter = 24 * time.Hour

	// Between two questions for the metadata it takes at least retryAfter while there
	// is no endpoint, and doubtAfter where there is one that may be wrong.
	retryAfter = time.Second
	doubtAfter = time.Minute

	// maxMetadata is how many bytes the metadata may have, and maxURL the endpoint in
	// them.
	maxMetadata = 1 << 20
	maxURL      = 2 << 10
)

// An endpoint is where to ask, as the configuration says or else the issuer's
// metadata.
type endpoint struct {
	fixed        string // "": by discovery
	issuer       string
	client       *http.Client
	insecureHTTP bool
	timeout      time.Duration

	searches singleflight.Group // one at a time
	givenUp  givenUp

	mu       sync.Mutex
	url      string    // "": not known
	found    time.Time // when the metadata said so
	doubtful bool      // it did not answer as an endpoint should
	searched time.Time // when the last search ended; zero: there was none
	failure  error     // of that search
}

// find returns where to ask. A known endpoint is used at once, and looked for anew
// behind that where it is old or does not answer; else ctx bounds the wait.
func (e *endpoint) find(ctx context.Context) (string, error) {
	if e.fixed != "" {
		return e.fixed, nil
	}
	url, pause, err := e.look()
	if err != nil || url != "" && pause > 0 {
		return url, err
	}
	searched := e.searches.DoChan("", func() (any, error) { return e.search() })
	if url != "" {
		return url, nil
	}
	select {
	case result := <-searched:
		if result.Err != nil {
			return "", result.Err
		}
		return result.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w: looking for the endpoint: %w", ErrUnavailable, ctx.Err())
	}
}

// look returns the endpoint, where it is known, and how long it takes until there is
// a reason to search and a search may start. Where it is not known and none may start,
// the last search's error is returned.
func (e *endpoint) look() (url string, pause time.Duration, _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if !e.searched.IsZero() {
		pause = max(retryAfter, min(wishOf(e.failure), longestWish))
		if e.url != "" {
			pause = max(pause, doubtAfter)
		}
		pause -= age(e.searched, now)
	}
	if e.url != "" && !e.doubtful {
		pause = max(pause, rediscoverAfter-age(e.found, now))
	}
	if e.url == "" && e.failure != nil && pause > 0 {
		return "", pause, &patient{e.failure, pause}
	}
	return e.url, pause, nil
}

// doubt says that the endpoint did not answer as one should: it may have moved.
func (e *endpoint) doubt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.doubtful = true
}

// search asks the issuer's metadata for the endpoint. One that was known stays where
// they cannot be had.
func (e *endpoint) search() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
	defer cancel()
	var url string
	err := e.givenUp.check()
	if err == nil {
		url, err = within(ctx, &e.givenUp, e.ask, func() {})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.searched, e.failure = now, err
	if err != nil {
		return "", &patient{err, max(retryAfter, min(wishOf(err), longestWish))}
	}
	e.url, e.found, e.doubtful = url, now, false
	return url, nil
}

// ask asks for the issuer's metadata.
func (e *endpoint) ask(ctx context.Context) (string, error) {
	metadata, err := discovery.Get(ctx, e.client, e.issuer, maxMetadata, e.insecureHTTP)
	if err != nil {
		failure := fmt.Errorf("%w: looking for the endpoint: %s: %s", ErrUnavailable, discovery.URL(e.issuer), whyNot(err))
		if status, ok := errors.AsType[*fetch.StatusError](err); ok {
			failure = afterWish(failure, status.RetryAfter)
		}
		return "", failure
	}
	if metadata.UserinfoURL == "" {
		return "", fmt.Errorf("%w: there is no userinfo_endpoint in %s", ErrNoEndpoint, discovery.URL(e.issuer))
	}
	if err := e.check(metadata.UserinfoURL); err != nil {
		return "", fmt.Errorf("%w: the userinfo_endpoint in %s %w", ErrNoEndpoint, discovery.URL(e.issuer), err)
	}
	return metadata.UserinfoURL, nil
}

// whyNot says why there are no metadata. An error of package discovery shows what came
// back, which is for the operator of the command.
func whyNot(err error) string {
	switch {
	case errors.Is(err, discovery.ErrIssuer):
		return "it names another issuer than Config.Issuer: they must be the same, to the last slash"
	case errors.Is(err, strictjson.ErrSyntax):
		return "it is malformed"
	}
	why := reason(err)
	if why == withheld {
		why += "; bearerguard doctor shows what comes back"
	}
	return why
}

// check returns an error unless a token may be sent to the endpoint, which the issuer's
// metadata name.
func (e *endpoint) check(url string) error {
	switch {
	case len(url) > maxURL:
		return fmt.Errorf("has more than %d bytes", maxURL)
	case discovery.CheckEndpoint(url, e.issuer, e.insecureHTTP) == nil:
		return nil
	case discovery.CheckEndpoint(url, e.issuer, true) == nil:
		return errors.New("is http, and whoever is on the way would get the tokens")
	default:
		return errors.New("is no absolute https URL, or has credentials or a fragment")
	}
}
