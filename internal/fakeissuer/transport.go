package fakeissuer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// Client returns an HTTP client that reaches this issuer, in memory, and nobody
// else. A request is answered on the goroutine that makes it.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: transport{i}} }

type transport struct{ issuer *Issuer }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	own, err := url.Parse(t.issuer.url)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme != own.Scheme || r.URL.Host != own.Host {
		t.issuer.mu.Lock()
		t.issuer.strangers = append(t.issuer.strangers, r.URL.String())
		t.issuer.mu.Unlock()
		return nil, fmt.Errorf("the fake issuer %s was asked for %s", t.issuer.url, r.URL)
	}
	t.issuer.mu.Lock()
	closed := t.issuer.closed
	t.issuer.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	request := r.Clone(r.Context())
	request.RequestURI = r.URL.RequestURI()
	request.Host = r.URL.Host
	if request.Body == nil {
		request.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	t.issuer.ServeHTTP(recorder, request)
	if err := r.Context().Err(); err != nil {
		return nil, err // as from a socket, where nobody listens any more
	}
	response := recorder.Result()
	response.Request = r
	return response, nil
}
