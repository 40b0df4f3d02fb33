package chiguard

import (
	"cmp"
	"net/http"
	"slices"

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
// Handlers of NotFound and MethodNotAllowed are no routes.
func Routes(r chi.Routes) []middleware.Route {
	var routes []middleware.Route
	// The function below returns no error, so there is none.
	_ = chi.Walk(r, func(method, pattern string, handler http.Handler, middlewares ...func(http.Handler) http.Handler) error {
		routes = append(routes, middleware.Route{
			Method:  method,
			Pattern: pattern,
			Policy:  policyOf(handler, middlewares),
		})
		return nil
	})
	slices.SortFunc(routes, func(a, b middleware.Route) int { // chi has them in a map
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Method, b.Method))
	})
	return routes
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
