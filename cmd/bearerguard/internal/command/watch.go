package command

import (
	"crypto/tls"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/plain"
)

// A watch is a transport that notes what the library asks an issuer and how that
// answers: so what is told of it is of the very requests that decide.
type watch struct {
	base http.RoundTripper

	mu        sync.Mutex
	exchanges []*exchange
}

// An exchange is one request and its answer.
type exchange struct {
	url     string
	began   time.Time
	waited  time.Duration // until the answer began
	took    time.Duration // until the answer was read
	status  int           // 0 where there was none
	header  http.Header
	tls     *tls.ConnectionState
	another bool // a redirect
}

func newWatch(p *Program) *watch {
	base := p.Transport
	if base == nil {
		base = fetch.NewTransport()
	}
	return &watch{base: base}
}

func (w *watch) client() *http.Client { return &http.Client{Transport: w} }

// RoundTrip implements [http.RoundTripper].
func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	// After a redirect, the address is the server's words, of any length.
	e := &exchange{url: safe(r.URL.Redacted(), 300), began: time.Now()}
	response, err := w.base.RoundTrip(r)
	e.waited = time.Since(e.began)
	e.took = e.waited
	if err == nil {
		e.status, e.header, e.tls = response.StatusCode, response.Header, response.TLS
		e.another = 300 <= e.status && e.status < 400 && e.header.Get("Location") != ""
		response.Body = &watchedBody{ReadCloser: response.Body, watch: w, of: e}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exchanges = append(w.exchanges, e)
	return response, err
}

// A watchedBody notes when an answer has been read.
type watchedBody struct {
	io.ReadCloser
	watch *watch
	of    *exchange
}

func (b *watchedBody) Close() error {
	b.watch.mu.Lock()
	b.of.took = time.Since(b.of.began)
	b.watch.mu.Unlock()
	return b.ReadCloser.Close()
}

// seen returns copies of the exchanges so far.
func (w *watch) seen() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]exchange, len(w.exchanges))
	for i, e := range w.exchanges {
		all[i] = *e
	}
	return all
}

// A skew is how far this machine's clock is apart from the issuer's.
type skew struct {
	ahead  time.Duration // negative: behind
	within time.Duration // how exactly that is known
}

// skewOf returns what the answers say of the clocks, from the Date header of the
// one that came quickest; false where none has it.
//
// Date is in whole seconds, cut off (RFC 9110 §5.6.7), and was written at some
// moment between the request and the answer: the middle of what is possible is
// taken. An answer out of a cache has the date of when it was put there, and an
// Age (RFC 9111 §5.1).
func skewOf(exchanges []exchange) (skew, bool) {
	var best *exchange
	var date time.Time
	for i, e := range exchanges {
		at, err := http.ParseTime(e.header.Get("Date"))
		if err == nil && (best == nil || e.waited < best.waited) {
			best, date = &exchanges[i], at
		}
	}
	if best == nil {
		return skew{}, false
	}
	if seconds, ok := age(best.header); ok {
		date = date.Add(seconds)
	}
	return skew{
		// A Date of long ago or far ahead saturates the difference, of which the
		// least has no opposite.
		ahead:  max(best.began.Add(best.waited/2-time.Second/2).Sub(date), -math.MaxInt64),
		within: (best.waited + time.Second) / 2,
	}, true
}

// age returns how long an answer was in a cache.
func age(header http.Header) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(header.Get("Age"), 10, 31)
	return time.Duration(seconds) * time.Second, err == nil
}

// agree reports whether the clocks may be the same, as exactly as that is known.
func (s skew) agree() bool { return s.ahead.Abs() <= s.within }

func (s skew) String() string {
	apart := plain.Duration(s.ahead.Round(time.Second))
	switch {
	case s.agree():
		return "this machine's clock agrees with the issuer's, within " + plain.Duration(max(s.within.Round(time.Second), time.Second))
	case s.ahead < 0:
		return "this machine's clock is " + apart + " behind the issuer's"
	default:
		return "this machine's clock is " + apart + " ahead of the issuer's"
	}
}
