package ginguard

import (
	"context"
	"net/http"
	"net/url"
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
// request without a token for each, and hears from the guards. So a route that no
// guard stands before is found by its handler being run, once; and where a guard
// refuses the request, what stands behind is not seen: of a group with a guard and
// a route with another requirement, it is the group's that is listed.
//
// The path parameters of these requests are "inventory".
func Routes(e *gin.Engine) []middleware.Route {
	var routes []middleware.Route
	for _, info := range e.Routes() {
		routes = append(routes, middleware.Route{
			Method:  info.Method,
			Pattern: info.Path,
			Policy:  policyOf(e, info.Method, info.Path),
		})
	}
	return routes
}

// policyOf returns what the guards say that a request for a route meets.
func policyOf(e *gin.Engine, method, pattern string) (met middleware.Policy) {
	ctx := middleware.ContextWithObserver(context.Background(), func(_ context.Context, d middleware.Decision) {
		if d.Pattern == pattern { // else another route has caught the request
			met.Access = max(met.Access, d.Policy.Access)
			met.Requirements = append(met.Requirements, d.Policy.Requirements...)
		}
	})
	r := (&http.Request{
		Method:     method,
		Host:       "inventory.invalid",
		URL:        &url.URL{Path: pathOf(pattern)},
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

// pathOf returns a path that a pattern matches.
func pathOf(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if at := strings.IndexAny(segment, ":*"); at >= 0 {
			segments[i] = segment[:at] + "inventory"
		}
	}
	return strings.Join(segments, "/")
}

// nowhere is a writer for responses that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header          { return n.header }
func (nowhere) Write(body []byte) (int, error) { return len(body), nil }
func (nowhere) WriteHeader(int)                {}
func (nowhere) Flush()                         {}
