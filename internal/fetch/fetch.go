// Package fetch gets small documents from servers that a configuration names.
// It goes nowhere else: an address must be https (or loopback), a redirect must
// stay on the host, and a body is read up to a bound.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// maxRedirects is how many redirects are followed.
const maxRedirects = 3

// CheckURL returns an error unless raw is an absolute URL that is safe to fetch
// from: https, or http on a loopback address, or any http where insecureHTTP
// says so. The error says what to do, and shows no password.
func CheckURL(raw string, insecureHTTP bool) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("%s is not a URL", withoutCredentials(raw))
	}
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%s is not an absolute URL: write it as https://host/path", withoutCredentials(raw))
	case u.User != nil:
		return fmt.Errorf("%s has credentials in it: take them out", strictjson.Excerpt(u.Redacted()))
	case u.Fragment != "":
		return fmt.Errorf("%s has a fragment: take it out", strictjson.Excerpt(raw))
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%s is http, and whoever is on the way could put in keys of their own: use https, or, in a test network, a jwks.Remote with InsecureHTTP", strictjson.Excerpt(raw))
	default:
		return fmt.Errorf("%s is not an https URL", strictjson.Excerpt(raw))
	}
}

// IsHTTPS reports whether a URL is https.
func IsHTTPS(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https"
}

// withoutCredentials quotes what is not a URL, and leaves out what stands before
// an "@": since it cannot be taken apart, any of that may be a password.
func withoutCredentials(raw string) string {
	return strictjson.Excerpt(raw[strings.LastIndexByte(raw, '@')+1:])
}

// isLoopback reports whether host is this machine by its name alone; no name is
// looked up.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// NewClient returns a client that follows redirects only as this package does.
// It uses base's transport, cookie jar and timeout; a nil base means a
// transport of its own: proxy from the environment, no connection kept open
// between documents that are fetched minutes apart, nothing to close.
func NewClient(base *http.Client) *http.Client {
	var client http.Client
	if base != nil {
		client = *base
	} else {
		client.Transport = NewTransport()
	}
	client.CheckRedirect = checkRedirect
	return &client
}

// NewTransport returns the transport that [NewClient] uses where it is given no
// client, for those who want to watch it.
func NewTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// checkRedirect keeps a fetch where it was sent: another host was not
// configured, and http can be answered by anyone on the way.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Scheme != first.Scheme || authority(next.URL) != authority(first) {
		return fmt.Errorf("redirected to %s, which is not where it was sent: configure that address if it is right",
			strictjson.Excerpt(next.URL.Scheme+"://"+next.URL.Host))
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// authority returns the host and the port of a URL, as they are compared: a port
// that goes without saying may be said (RFC 9110 §4.2.3).
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// brief is an error whose text is cut: it may repeat what a server has sent.
type brief struct{ error }

func (b brief) Error() string {
	const most = 512
	if text := b.error.Error(); len(text) > most {
		return text[:most] + "…"
	}
	return b.error.Error()
}

func (b brief) Unwrap() error { return b.error }

// A StatusError says that a server answered, but not with 200.
type StatusError struct {
	URL         string
	StatusCode  int
	ContentType string
	Body        string        // its first bytes, quoted
	RetryAfter  time.Duration // what the server asks to wait, zero where it does not
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("GET %s: answered %d %s (%s): %s",
		e.URL, e.StatusCode, http.StatusText(e.StatusCode), strictjson.Excerpt(e.ContentType), e.Body)
}

// Validators say which version of a document is at hand (RFC 9110 §8.8). The
// zero value says that none is.
type Validators struct {
	ETag         string
	LastModified string
}

// A Document is what a server answered with 200, or its word that the one at hand
// is still good.
type Document struct {
	URL         string
	ContentType string
	Body        string
	Validators  Validators
	NotModified bool // 304: nothing else is set but the URL
}

// Invalid returns an error that says what is wrong with the document and shows
// what came: behind "not strict JSON" there is often a page in HTML.
func (d Document) Invalid(err error) error {
	return fmt.Errorf("GET %s: answered 200 (%s): %w; it starts with %s",
		d.URL, strictjson.Excerpt(d.ContentType), err, strictjson.Excerpt(d.Body))
}

// Get fetches a document with a client of [NewClient], of maxSize bytes at most
// after decompression. Where there is one at hand already, its validators make
// the request a conditional one. The context bounds all of it, the body included.
func Get(ctx context.Context, client *http.Client, rawURL string, maxSize int64, have Validators) (Document, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return Document{}, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "bearerguard")
	if have.ETag != "" {
		request.Header.Set("If-None-Match", have.ETag)
	}
	if have.LastModified != "" {
		request.Header.Set("If-Modified-Since", have.LastModified)
	}
	response, err := client.Do(request)
	if err != nil {
		// net/http puts the last URL in front, which after a redirect is the
		// server's words, of any length.
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = brief{failed.Err}
		}
		return Document{}, fmt.Errorf("GET %s: %w", rawURL, err)
	}
	defer response.Body.Close()
	// A 304 is an answer to a condition only: without one, there is nothing that
	// could be still good.
	if response.StatusCode == http.StatusNotModified && have != (Validators{}) {
		return Document{URL: rawURL, NotModified: true}, nil
	}
	most := min(maxSize, math.MaxInt64-1)
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return Document{}, fmt.Errorf("GET %s: reading the answer: %w", rawURL, err)
	}
	contentType := response.Header.Get("Content-Type")
	if response.StatusCode != http.StatusOK {
		return Document{}, &StatusError{
			URL: rawURL, StatusCode: response.StatusCode, ContentType: contentType,
			Body:       strictjson.Excerpt(string(body[:min(len(body), 256)])),
			RetryAfter: RetryAfter(response.Header),
		}
	}
	if int64(len(body)) > maxSize {
		return Document{}, fmt.Errorf("GET %s: the answer is larger than %d bytes", rawURL, maxSize)
	}
	return Document{
		URL: rawURL, ContentType: contentType, Body: string(body),
		Validators: Validators{ETag: short(response.Header.Get("ETag")), LastModified: short(response.Header.Get("Last-Modified"))},
	}, nil
}

// short returns a validator that can be sent back and is worth it, "" for another:
// one with odd characters would be refused by whoever gets it.
func short(validator string) string {
	if len(validator) > 256 || strings.ContainsFunc(validator, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return validator
}

// RetryAfter reads Retry-After: seconds, or a date (RFC 9110 §10.2.3). What is
// beyond 31 bits of seconds, or 68 years, is as long as that.
func RetryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(date), 0), math.MaxInt32*time.Second)
	}
	return 0
}
