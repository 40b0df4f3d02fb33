// Package adaptertest holds the adapters to one promise: a guard answers alike in
// every framework. It has a table of routes and one of requests. [Run] registers
// the routes on a framework and on net/http, sends each request to both over
// HTTP, and demands the same reply and the same decisions of the guards.
//
// A test of an adapter says how its framework registers a route, and nothing more:
//
//	func TestTable(t *testing.T) {
//		words := adaptertest.Words[func(http.Handler) http.Handler]{
//			Handler: chiguard.Handler, Optional: chiguard.Optional,
//			Require: chiguard.Require, RequireScope: chiguard.RequireScope,
//		}
//		adaptertest.Run(t, words, func(routes []adaptertest.Route[func(http.Handler) http.Handler]) http.Handler {
//			r := chi.NewRouter()
//			for _, route := range routes {
//				r.With(route.Guards...).Method(route.Method, route.Pattern, route.Handler)
//			}
//			return r
//		})
//	}
package adaptertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// Words are the four ways in which an adapter has a guard stand before a handler.
// M is what its framework takes for a middleware.
type Words[M any] struct {
	Handler      func(*middleware.Guard) M
	Optional     func(*middleware.Guard) M
	Require      func(*middleware.Guard, ...middleware.Requirement) M
	RequireScope func(*middleware.Guard, ...string) M
}

// of returns what stands for a guarding.
func (words Words[M]) of(g guarding) M {
	switch {
	case g.optional:
		return words.Optional(g.guard)
	case g.scopes != nil:
		return words.RequireScope(g.guard, g.scopes...)
	case g.requirements != nil:
		return words.Require(g.guard, g.requirements...)
	default:
		return words.Handler(g.guard)
	}
}

// A Route is to be registered for its method, with the guards before its handler,
// the outermost first. The pattern is that of net/http and chi: /orgs/{org}.
type Route[M any] struct {
	Method  string
	Pattern string
	Guards  []M
	Handler http.Handler
}

// NetHTTP are the words of package middleware itself.
var NetHTTP = Words[func(http.Handler) http.Handler]{
	Handler:  func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Handler },
	Optional: func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Optional },
	Require: func(g *middleware.Guard, requirements ...middleware.Requirement) func(http.Handler) http.Handler {
		return g.Require(requirements...)
	},
	RequireScope: func(g *middleware.Guard, scopes ...string) func(http.Handler) http.Handler {
		return g.RequireScope(scopes...)
	},
}

// ServeMux registers the routes on net/http's own router: the reference.
func ServeMux(routes []Route[func(http.Handler) http.Handler]) http.Handler {
	mux := http.NewServeMux()
	for _, route := range routes {
		handler := route.Handler
		for i := len(route.Guards) - 1; i >= 0; i-- {
			handler = route.Guards[i](handler)
		}
		mux.Handle(route.Method+" "+route.Pattern, handler)
	}
	return mux
}

// Run sends the table's requests to what build makes of the table's routes, and
// to the reference. A request with GET is sent with HEAD as well.
func Run[M any](t *testing.T, words Words[M], build func([]Route[M]) http.Handler) {
	issuer := authtest.NewIssuer(t)
	reference := start(t, issuer, NetHTTP, ServeMux)
	adapter := start(t, issuer, words, build)
	for _, row := range requests(issuer) {
		t.Run(row.name, func(t *testing.T) {
			method, path, _ := strings.Cut(row.request, " ")
			want := reference.send(t, method, path, row.with)
			got := adapter.send(t, method, path, row.with)
			require.Equal(t, row.status, got.Status, "%s", got.Body)
			require.Contains(t, got.Header.Get("WWW-Authenticate")+"\n"+got.Body, row.says)
			require.Equal(t, want, got)
			if method != http.MethodGet {
				return
			}
			want = reference.send(t, http.MethodHead, path, row.with)
			head := adapter.send(t, http.MethodHead, path, row.with)
			require.Equal(t, want, head)
			require.Equal(t, row.status, head.Status)
			require.Empty(t, head.Body)
			if row.status >= 400 && got.Body != "" { // RFC 9110 §9.3.2: the header that GET has
				require.Equal(t, got.Header, head.Header)
			}
		})
	}
}
