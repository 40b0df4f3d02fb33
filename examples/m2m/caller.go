package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// A caller is an [http.RoundTripper] that sends an access token along, which it gets
// by the client credentials grant. It keeps the token until shortly before its time is
// over. A token may still be refused: it expired on the way, or its key was withdrawn.
// Then the caller gets another and sends the request once more.
//
// (clientcredentials.Config's own renews by the clock, and sends it wherever redirects lead.)
type caller struct {
	config *clientcredentials.Config
	to     *url.URL          // the service that the tokens are for, and nobody else
	base   http.RoundTripper // reaches it

	kept chan kept // whose turn it is has it; unlike for a mutex, nobody waits too long
}

type kept struct {
	token *oauth2.Token // nil: none yet
	got   time.Time     // when it was
}

// patience is how old a token must be to be renewed because it was refused. After a new
// one the next would be refused as well, and issuers limit or charge for them.
const patience = 10 * time.Second

// credentials are with whom the caller gets tokens, and for which API.
func credentials(tokenURL, id, secret, audience string) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: tokenURL,
		EndpointParams: url.Values{"audience": {audience}}, // Auth0's; resource with RFC 8707
		AuthStyle:      oauth2.AuthStyleInHeader,           // else it tries both at first
	}
}

// newCaller returns the HTTP client of one service that calls another.
func newCaller(config *clientcredentials.Config, to *url.URL, base http.RoundTripper) *http.Client {
	c := &caller{config: config, to: to, base: base, kept: make(chan kept, 1)}
	c.kept <- kept{}
	return &http.Client{Transport: c, Timeout: 30 * time.Second}
}

// RoundTrip implements [http.RoundTripper].
func (c *caller) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != c.to.Scheme || r.URL.Host != c.to.Host {
		return c.base.RoundTrip(r) // a redirect: no token for strangers
	}
	token, err := c.get(r.Context(), "")
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	response, err := c.base.RoundTrip(authorized(r, token, r.Body))
	// Another token helps against invalid_token only. What is refused with 403 is
	// refused with the next token as well.
	if err != nil || response.StatusCode != http.StatusUnauthorized ||
		!strings.Contains(response.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		return response, err
	}
	// Nothing was done for a request that was refused so, which makes it safe to send
	// it again, also a POST: as far as its body can be had again.
	if r.GetBody == nil && r.Body != nil && r.Body != http.NoBody {
		return response, nil
	}
	other, err := c.get(r.Context(), token.AccessToken)
	if err != nil || other.AccessToken == token.AccessToken {
		return response, nil // the refusal tells more than that there is no other token
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return response, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // to use the connection again
	response.Body.Close()
	return c.base.RoundTrip(authorized(r, other, body))
}

// get returns a good token other than the refused one, renewed once for all its senders.
func (c *caller) get(ctx context.Context, refused string) (*oauth2.Token, error) {
	var k kept
	select {
	case k = <-c.kept:
		defer func() { c.kept <- k }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if k.token.Valid() && (k.token.AccessToken != refused || time.Since(k.got) < patience) {
		return k.token, nil
	}
	token, err := c.config.Token(ctx)
	if err == nil {
		k = kept{token, time.Now()}
	}
	return token, err
}

// authorized returns a copy of the request with the token: a RoundTripper must not
// change what it is given.
func authorized(r *http.Request, token *oauth2.Token, body io.ReadCloser) *http.Request {
	r = r.Clone(r.Context())
	r.Body = body
	token.SetAuthHeader(r)
	return r
}
