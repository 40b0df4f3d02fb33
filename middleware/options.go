package middleware

import (
	"context"
	"fmt"
	"net/http"
)

// An Option is a setting of [New].
type Option struct{ apply func(*Guard) }

// WithRealm names the protected area in challenges (RFC 9110 §11.5), in place of
// "api". It panics if the name has a character other than printable ASCII
// without " and \.
func WithRealm(realm string) Option {
	if !isQuotable(realm) {
		panic(fmt.Sprintf(`middleware: WithRealm(%q): a realm is printable ASCII without " and \`, realm))
	}
	return Option{func(g *Guard) { g.realm = realm }}
}

// WithObserver has observe called once for each decision, let through or not,
// before the handler runs or the refusal is written. This is where a program
// learns why a request was refused; [LogDecisions] writes it to a log.
//
// Each guard that a request passes decides once: where a route has one and its group
// another, a request that is let through is two decisions. One that is refused is
// refused once. Where a handler refuses by [Guard.Refuse], that is one more.
//
// It runs on the request's goroutine, with the request's context, so it must be
// quick and safe for concurrent use. Several observers are called in the order in
// which they are given. It panics if observe is nil. See [ContextWithObserver] for
// an observer of one request.
func WithObserver(observe func(context.Context, Decision)) Option {
	if observe == nil {
		panic("middleware: WithObserver was given a nil function")
	}
	return Option{func(g *Guard) { g.observers = append(g.observers, observe) }}
}

// WithErrorHandler has write called for each refusal, in place of the JSON body
// of this package. The challenge, Cache-Control and Retry-After are in the header
// already; write sends the status, e.Status, and the body it likes. Where it
// sends no status of its own, e.Status is sent.
//
// e.Code is empty where no token was sent. It must not show e.Unwrap() to the client:
// that is the reason. It panics if write is nil.
func WithErrorHandler(write func(w http.ResponseWriter, r *http.Request, e *Error)) Option {
	if write == nil {
		panic("middleware: WithErrorHandler was given a nil function")
	}
	return Option{func(g *Guard) { g.errorHandler = write }}
}

// AllowPreflight lets CORS preflights through without a token: OPTIONS requests
// with Origin and Access-Control-Request-Method, and without credentials, as
// browsers send them. The handler behind the guard must answer them, and do
// nothing else for OPTIONS.
//
// It is for a CORS middleware that stands behind the guard. One that stands before
// it needs no option, and refusals then have their CORS headers too: without them a
// page cannot read why it was refused.
func AllowPreflight() Option {
	return Option{func(g *Guard) { g.allowPreflight = true }}
}

// AllowFormToken has the guard also look for the token in the parameter
// access_token of a form (RFC 6750 §2.2): in the body of a POST, PUT or PATCH
// whose Content-Type is application/x-www-form-urlencoded. The handler finds the
// body unread. To look, the guard holds it in memory: a larger form than 1 MiB is
// refused with 413.
//
// A request with a token here and another one elsewhere is refused with 400, and so is
// a form that cannot be read.
func AllowFormToken() Option {
	return Option{func(g *Guard) { g.sources.form = true }}
}

// AllowQueryToken has the guard also look for the token in the parameter
// access_token of the URL (RFC 6750 §2.3), which is for clients that can set no
// header, such as a browser's EventSource. Responses get Cache-Control: private.
//
// URLs end up in logs, histories and Referer headers, and their tokens with them:
// RFC 9700 §4.3.2 says not to do it. Make such tokens short-lived, and keep them
// out of the access log.
//
// A request with a token here and another one elsewhere is refused with 400, and so is
// a query that cannot be read.
func AllowQueryToken() Option {
	return Option{func(g *Guard) { g.sources.query = true }}
}

// AllowCookieToken has the guard also look for the token in the cookie of that
// name, for pages of the API's own site.
//
// A browser sends a cookie along with what any other site has it send. So with a
// token from the cookie, requests that change something, or open a WebSocket, are
// refused with 403 where they come from another origin, as [http.CrossOriginProtection]
// finds it out. protection says which origins are trusted besides; nil means none.
// Set the cookie with HttpOnly, Secure and SameSite all the same.
//
// A request with a token here and another one elsewhere is refused with 400. It
// panics if the name is empty.
func AllowCookieToken(name string, protection *http.CrossOriginProtection) Option {
	if name == "" {
		panic("middleware: AllowCookieToken needs the name of the cookie")
	}
	if protection == nil {
		protection = http.NewCrossOriginProtection()
	}
	return Option{func(g *Guard) { g.sources.cookie, g.sources.crossOrigin = name, protection }}
}
