package chiguard

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/go-chi/chi/v5"
)

// Routes returns the routes of a chi router, each with what is asked of requests
// for it, so that a test can see to it that none was forgotten:
//
//	for _, route := range chiguard.Routes(r) {
//		if route.Policy.Access == middleware.Unprotected {
//			t.Error(route)
//		}
//	}
//
// It finds guards wherever chi takes a middleware, and in the handlers of Handle and
// Method, in sub-routers too. To find them in middlewares, it calls these once more
// for each route, with a handler that is never served.
//
// It does not see into what is not chi's, and lists as unprotected:
//
//   - a guard inside a middleware or handler of one's own, unless what that returns
//     has the method Policy() [middleware.Policy];
//   - a guarded handler that is given as its method ServeHTTP: use Method in place
//     of Get, or With;
//   - a guarded handler that is mounted: use With(guard.Handler).Mount, or Handle
//     with a pattern that ends in /*.
//
// What a middleware of one's own does besides is not seen either: one that serves
// another handler for some requests is taken for one that does not. Handlers of
// NotFound and MethodNotAllowed are no routes.
func Routes(r chi.Routes) []middleware.Route {
	routes := walk(nil, r, "", nil)
	slices.SortFunc(routes, func(a, b middleware.Route) int { // chi has them in a map
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Method, b.Method))
	})
	return routes
}

// walk appends the routes of a router that stands behind middlewares.
func walk(routes []middleware.Route, r chi.Routes, parent string, outer []func(http.Handler) http.Handler) []middleware.Route {
	for _, route := range r.Routes() {
		middlewares := slices.Concat(outer, r.Middlewares())
		pattern := parent + route.Pattern
		all := route.Handlers["*"]
		if route.SubRoutes != nil {
			_, own := unchain(all)
			routes = walk(routes, route.SubRoutes, pattern, slices.Concat(middlewares, own))
		}
		for method, handler := range route.Handlers {
			// "*" stands for all methods, which have entries of their own. Those of a
			// mounted router lead into it, unless a handler was laid over them.
			if method == "*" || (route.SubRoutes != nil && same(handler, all)) {
				continue
			}
			endpoint, own := unchain(handler)
			routes = append(routes, middleware.Route{
				Method:  method,
				Pattern: strings.ReplaceAll(pattern, "/*/", "/"), // where a router is mounted
				Policy:  policyOf(endpoint, slices.Concat(middlewares, own)),
			})
		}
	}
	return routes
}

// unchain takes off the middlewares of chi's With.
func unchain(h http.Handler) (http.Handler, []func(http.Handler) http.Handler) {
	if chain, ok := h.(*chi.ChainHandler); ok {
		return chain.Endpoint, chain.Middlewares
	}
	return h, nil
}

// same reports whether two handlers are the same function or pointer.
func same(a, b http.Handler) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() {
		return false
	}
	return (x.Kind() == reflect.Func || x.Kind() == reflect.Pointer) && x.Pointer() == y.Pointer()
}

// policyOf returns the policy of a handler behind middlewares.
func policyOf(handler http.Handler, middlewares []func(http.Handler) http.Handler) middleware.Policy {
	// From the inside out, as chi chains them: each is asked what it makes of a
	// handler with the policy so far. One that hides it hides its own as well, so
	// the policy of what is behind stands.
	policy := middleware.PolicyOf(handler)
	for i := len(middlewares) - 1; i >= 0; i-- {
		if outer := middleware.PolicyOf(middlewares[i](marker{policy})); outer.Access != middleware.Unprotected {
			policy = outer
		}
	}
	return policy
}

// A marker stands for a handler with a policy.
type marker struct{ policy middleware.Policy }

func (m marker) Policy() middleware.Policy { return m.policy }

func (marker) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "this handler is not to be served", http.StatusInternalServerError)
}
