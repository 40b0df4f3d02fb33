package ginguard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/gin-gonic/gin"
)

// Routes returns the routes of a gin engine, each with what is asked of requests
// for it, so that a test can see to it that none was forgotten:
//
//	for _, route := range ginguard.Routes(e) {
//		if route.Policy.Access == middleware.Unprotected {
//			t.Error(route)
//		}
//	}
//
// It is for tests: gin tells of a route its last handler only, so Routes sends a
// request without a token for each, and hears from the guards. That has
// consequences:
//
//   - A route that no guard stands before, or only [Optional], is found by its
//     handler being run, once. The context of its request has ended, so that a
//     handler which waits for that does not wait, and a database that is asked with
//     it does nothing. A handler that panics is caught.
//   - Where a guard refuses the request, what stands behind is not seen: of a group
//     with a guard and a route with another requirement, it is the group's that is
//     listed.
//   - A route is listed as unprotected where something before the guard answers,
//     such as a login of another kind.
//
// The path of these requests is the pattern itself: the parameter id is ":id". NoRoute
// and NoMethod are no routes.
func Routes(e *gin.Engine) []middleware.Route {
	var routes []middleware.Route
	for _, info := range e.Routes() {
		pattern := strings.ReplaceAll(info.Path, `\:`, ":") // as gin does with the first request
		routes = append(routes, middleware.Route{
			Method:  info.Method,
			Pattern: pattern,
			Policy:  policyOf(e, info.Method, pattern),
		})
	}
	slices.SortFunc(routes, func(a, b middleware.Route) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Method, b.Method))
	})
	return routes
}

// policyOf returns what the guards say that a request for a route meets.
func policyOf(e *gin.Engine, method, pattern string) (met middleware.Policy) {
	ctx := middleware.ContextWithObserver(ended(), func(_ context.Context, d middleware.Decision) {
		// A guard within gin.WrapH knows no pattern. One with another pattern stands
		// behind a router of its own, of which this is one route among several.
		if d.Pattern == pattern || d.Pattern == "" {
			met.Access = max(met.Access, d.Policy.Access)
			met.Requirements = append(met.Requirements, d.Policy.Requirements...)
		}
	})
	r := (&http.Request{
		Method: method,
		Host:   "inventory.invalid",
		// Every pattern matches itself, before any other: no static route has a
		// colon where a parameter may stand.
		URL:        &url.URL{Path: pattern},
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{},
		Body:       http.NoBody,
		RemoteAddr: "192.0.2.1:1", // an address for documentation (RFC 5737)
	}).WithContext(ctx)
	defer func() { _ = recover() }() // a handler that was run may not be made for this
	e.ServeHTTP(nowhere{http.Header{}}, r)
	return met
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// nowhere is a writer for responses that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header          { return n.header }
func (nowhere) Write(body []byte) (int, error) { return len(body), nil }
func (nowhere) WriteHeader(int)                {}
func (nowhere) Flush()                         {}

// CloseNotify is what gin's Context.Stream asks, again and again until it hears
// that the client has gone.
func (nowhere) CloseNotify() <-chan bool {
	gone := make(chan bool)
	close(gone)
	return gone
}
