package ginguard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"reflect"
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
//     such as a login of another kind, and where the guard is the last handler.
//   - Something before the guard that lets only some requests come to it, such as
//     those without a certain header, is not seen.
//
// The path of these requests is the pattern itself: the parameter id is ":id". NoRoute
// and NoMethod are no routes.
func Routes(e *gin.Engine) []middleware.Route {
	var routes []middleware.Route
	for _, info := range e.Routes() {
		pattern := strings.ReplaceAll(info.Path, `\:`, ":") // as gin does with the first request
		route := middleware.Route{Method: info.Method, Pattern: pattern}
		if !isGuard(info.HandlerFunc) { // one that is last protects nothing
			route.Policy = policyOf(e, info.Method, pattern)
		}
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b middleware.Route) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Method, b.Method))
	})
	return routes
}

// isGuard reports whether a handler is one that [adapt] has returned: they are all the
// same function.
func isGuard(h gin.HandlerFunc) bool {
	one := adapt(middleware.Public)
	return reflect.ValueOf(h).Pointer() == reflect.ValueOf(one).Pointer()
}

// policyOf returns what the guards say that a request for a route meets.
func policyOf(e *gin.Engine, method, pattern string) (met middleware.Policy) {
	w := &nowhere{header: http.Header{}}
	ctx := middleware.ContextWithObserver(ended(), func(_ context.Context, d middleware.Decision) {
		// A guard within gin.WrapH knows no pattern. One with another pattern stands
		// behind a router of its own, of which this is one route among several. What
		// is decided after somebody has answered protects nothing.
		if (d.Pattern == pattern || d.Pattern == "") && !w.written {
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
	e.ServeHTTP(w, r)
	return met
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// nowhere is a writer for responses that nobody reads.
type nowhere struct {
	header  http.Header
	written bool
}

func (n *nowhere) Header() http.Header            { return n.header }
func (n *nowhere) Write(body []byte) (int, error) { n.written = true; return len(body), nil }
func (n *nowhere) WriteHeader(int)                { n.written = true }
func (n *nowhere) Flush()                         { n.written = true }

// CloseNotify is what gin's Context.Stream asks, again and again until it hears
// that the client has gone.
func (*nowhere) CloseNotify() <-chan bool {
	gone := make(chan bool)
	close(gone)
	return gone
}
