package userinfo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"golang.org/x/sync/singleflight"
)

const (
	// refusedFor is how long the issuer's word counts that it does not accept a
	// token, so that whoever has such a token cannot have the API ask all the time.
	refusedFor = 10 * time.Second

	// overdueFor is how long a profile is kept that was got with a token whose time was
	// over already: guards let it in for a while longer, and each request of that
	// while must not be a call.
	overdueFor = 5 * time.Second

	// longestWish is how long the issuer is left alone about one token where it asks
	// for that: a wrong word must not close a route for a day.
	longestWish = time.Minute

	// shortestWish is what stands for a 429 that does not say how long.
	shortestWish = time.Second
)

// A provider is the userinfo endpoint of one issuer.
type provider struct {
	issuer   string
	audience string
	client   *http.Client
	timeout  time.Duration
	maxAge   time.Duration
	maxSize  int64
	signed   verifier
	signOnly bool // what is not signed is refused

	endpoint endpoint
	cache    *cache
	flights  singleflight.Group // by key
	places   *places
	givenUp  givenUp
	counts   counts
}

func newProvider(c Config) *provider {
	p := &provider{
		issuer:   c.Issuer,
		audience: c.Audience,
		client:   newHTTPClient(c.Client),
		timeout:  c.Timeout,
		maxAge:   c.MaxAge,
		maxSize:  c.MaxSize,
		signed:   verifier{issuer: c.Issuer, keys: c.Keys, algorithms: c.Algorithms},
		signOnly: c.RequireSigned,
		cache:    newCache(c.MaxEntries),
		places:   newPlaces(),
	}
	p.endpoint = endpoint{
		fixed:        c.URL,
		issuer:       c.Issuer,
		client:       fetch.NewClient(withoutCookies(c.Client)),
		insecureHTTP: c.InsecureHTTP,
		timeout:      c.Timeout,
	}
	return p
}

// newHTTPClient returns the client that tokens are sent with. It follows no
// redirect: a token goes where it was meant to go, and nowhere else.
func newHTTPClient(base *http.Client) *http.Client {
	client := withoutCookies(base)
	if client == nil {
		client = &http.Client{Transport: fetch.NewTransport()}
		if t, ok := client.Transport.(*http.Transport); ok { // one user follows another
			t.DisableKeepAlives, t.IdleConnTimeout, t.MaxIdleConnsPerHost = false, 30*time.Second, 16
		}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// withoutCookies returns a copy of a client that keeps no cookies, nil for nil: a
// session that the issuer opens for one user must not be sent for another.
func withoutCookies(base *http.Client) *http.Client {
	if base == nil {
		return nil
	}
	client := *base
	client.Jar = nil
	return &client
}

// key returns what the token is known by: a hash, since tokens are secrets
// (RFC 9700 §4.9.3). What is believed of a token is the same each time.
func (q question) key() key {
	sum := sha256.Sum256([]byte(q.token))
	return key(sum[:])
}

// profile answers a question from the cache, or has the issuer answer it.
func (p *provider) profile(ctx context.Context, q question) (*Profile, error) {
	k, now := q.key(), time.Now()
	a := p.cache.lookup(k, now)
	p.counts.asked(a != nil)
	if a != nil {
		return a.tell(q.subject, now)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	select {
	case landed := <-p.flights.DoChan(string(k), func() (any, error) { return p.fly(k, q), nil }):
		return landed.Val.(*answer).tell(q.subject, time.Now())
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// fly asks the issuer, in nobody's context, and keeps the answer.
func (p *provider) fly(k key, q question) *answer {
	if a := p.cache.lookup(k, time.Now()); a != nil { // another flight has just landed
		return a
	}
	leave, err := p.start(q.subject)
	if err != nil { // the issuer was not asked, so this says nothing about its endpoint
		return &answer{err: err, at: time.Now()}
	}
	p.counts.calls.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	profile, err := within(ctx, &p.givenUp, func(ctx context.Context) (*Profile, error) {
		profile, err := p.ask(ctx, q)
		return profile, withhold(err, q.token)
	}, leave)
	a := &answer{profile: profile, err: err, wish: wishOf(err), at: time.Now()}
	switch {
	case err == nil:
		a.lasts = p.lasts(q.expiry, a.at)
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrForbidden):
		a.lasts = refusedFor
	default:
		a.lasts = min(a.wish, longestWish)
	}
	p.counts.called(err)
	if err != nil {
		switch kindOf(err) {
		case ErrUnavailable, ErrContentType:
			p.endpoint.doubt()
		}
	}
	p.cache.keep(k, a, a.at)
	return a
}

// lasts returns how long a profile is kept: not beyond the time of the token that it
// was got with (zero: it does not say), and shortly where that is over.
func (p *provider) lasts(expiry, now time.Time) time.Duration {
	switch left := expiry.Sub(now); {
	case expiry.IsZero():
		return p.maxAge
	case left > 0:
		return min(p.maxAge, left)
	default:
		return min(p.maxAge, overdueFor)
	}
}

// start waits until a call about the subject may start, and returns what is to be
// called when it is over. The wait has a time of its own: a call that was left with the
// rest of one would fail by that, and put it down to the issuer.
func (p *provider) start(subject string) (leave func(), _ error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	leave, err := p.places.take(ctx, subject)
	if err != nil {
		return nil, err
	}
	if err := p.givenUp.check(); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// ask asks the issuer. It gives up when ctx ends.
func (p *provider) ask(ctx context.Context, q question) (*Profile, error) {
	url, err := p.endpoint.find(ctx)
	if err != nil {
		return nil, err
	}
	text, signed, err := p.send(ctx, url, q.token)
	if err != nil {
		return nil, err
	}
	profile, err := p.read(ctx, text, signed, q.clientID)
	switch {
	case err != nil:
		return nil, err
	case profile.Subject != q.subject: // OpenID Connect Core §5.3.2
		return nil, ErrSubject
	}
	return profile, nil
}

// read reads what the issuer has answered to the client's token.
func (p *provider) read(ctx context.Context, text string, signed bool, clientID string) (*Profile, error) {
	if signed {
		var err error
		if text, err = p.signed.verify(ctx, text, clientID); err != nil {
			return nil, err
		}
	}
	object, err := strictjson.ParseObject(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, misread(err))
	}
	profile, err := newProfile(&object)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, misread(err))
	}
	return profile, nil
}

// send sends the token to the endpoint and returns the text that comes back.
func (p *provider) send(ctx context.Context, url, token string) (text string, signed bool, _ error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", false, fmt.Errorf("%w: %s is no URL that can be asked", ErrUnavailable, place(url))
	}
	request.Header.Set("Accept", "application/json, application/jwt")
	if p.signOnly {
		request.Header.Set("Accept", "application/jwt")
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("User-Agent", "bearerguard")
	response, err := p.client.Do(request)
	if err != nil {
		return "", false, fmt.Errorf("%w: %s: %s", ErrUnavailable, place(url), reason(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", false, statusError(url, response)
	}
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	signed = mediaType == "application/jwt" // in lower case
	switch {
	case mediaType == "text/html":
		return "", false, fmt.Errorf("%w: it is a page of HTML", ErrContentType)
	case mediaType == "application/json" && p.signOnly:
		return "", false, fmt.Errorf("%w: it is not signed, as Config.RequireSigned asks for", ErrContentType)
	case mediaType != "application/json" && !signed:
		return "", false, ErrContentType
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, min(p.maxSize, math.MaxInt64-1)+1))
	switch {
	case err != nil:
		return "", false, fmt.Errorf("%w: %s: %s", ErrUnavailable, place(url), reason(err))
	case int64(len(body)) > p.maxSize:
		return "", false, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, p.maxSize)
	}
	return string(body), signed, nil
}

// statusError returns what an answer other than 200 means.
func statusError(url string, response *http.Response) error {
	status := response.StatusCode
	wish := fetch.RetryAfter(response.Header)
	said := fmt.Sprintf("%s answered %d %s", place(url), status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized:
		return notAccepted(fmt.Errorf("%w: %s", ErrUnauthorized, said))
	case status == http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrForbidden, said)
	case status == http.StatusTooManyRequests:
		return afterWish(fmt.Errorf("%w: %s", ErrRateLimited, said), max(wish, shortestWish))
	case 300 <= status && status < 400:
		return fmt.Errorf("%w: %s, and a token is not sent on: configure the URL that is right", ErrUnavailable, said)
	default:
		return afterWish(fmt.Errorf("%w: %s", ErrUnavailable, said), wish)
	}
}
