// Package ginguard protects gin routes with a guard of package middleware.
//
//	guard := middleware.New(validator)
//	e := gin.Default()
//	e.GET("/me", ginguard.Handler(guard), me)                                       // any valid access token
//	e.GET("/patients", ginguard.RequireScope(guard, "read:patients"), patients)     // and this scope
//	api := e.Group("/api", ginguard.RequireScope(guard, "read:patients"))           // all of a group
//
// In a handler, [Claims] has what the token says, and so has claims.FromContext
// with the request's context:
//
//	c, ok := ginguard.Claims(ctx)
//
// A request that is refused is answered as package middleware does, and gin's
// chain is aborted: no further handler runs. Middlewares that come before, such
// as gin's logger and recovery, see the status as usual.
package ginguard

import (
	"context"
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/gin-gonic/gin"
)

// Handler returns a gin handler that lets requests through with a good access
// token, whatever its scope. See [middleware.Guard.Handler].
func Handler(g *middleware.Guard) gin.HandlerFunc { return adapt(g.Handler) }

// Optional returns a gin handler that lets requests through with a good access token
// or none. See [middleware.Guard.Optional].
func Optional(g *middleware.Guard) gin.HandlerFunc { return adapt(g.Optional) }

// Require returns a gin handler that lets requests through that have a good access
// token and meet all of the requirements; gin's path parameters are their request's
// path values, as gin has them: that of a wildcard begins with a slash. It panics if
// there is none or one is nil. See [middleware.Guard.Require].
func Require(g *middleware.Guard, requirements ...middleware.Requirement) gin.HandlerFunc {
	return adapt(g.Require(requirements...))
}

// RequireScope returns a gin handler that lets requests through whose access
// token has all of the scopes. It panics if there is no scope, or one is not
// well formed. See [middleware.Guard.RequireScope].
func RequireScope(g *middleware.Guard, scopes ...string) gin.HandlerFunc {
	return adapt(g.RequireScope(scopes...))
}

// Public returns a gin handler that lets everybody through, and marks the route as
// open on purpose for [Routes]. See [middleware.Public].
func Public() gin.HandlerFunc { return adapt(middleware.Public) }

// ResourceMetadata returns the path and the handler of the API's metadata, for
// clients that look for the authorization server:
//
//	e.GET(ginguard.ResourceMetadata(guard))
//
// It panics without [middleware.WithResourceMetadata]. See
// [middleware.Guard.ResourceMetadata].
func ResourceMetadata(g *middleware.Guard) (path string, handler gin.HandlerFunc) {
	path, h := g.ResourceMetadata()
	return path, gin.WrapH(h)
}

// Claims returns the claims of the access token that the request came with. It
// reports false where the request did not pass a guard. It works with and
// without gin's ContextWithFallback.
func Claims(c *gin.Context) (*claims.Claims, bool) {
	return claims.FromContext(c.Request.Context())
}

// Refuse answers a request as where a requirement had returned err, for a handler that
// finds out late that it must refuse, and aborts gin's chain. Call it before anything is
// written. See [middleware.Guard.Refuse].
func Refuse(g *middleware.Guard, c *gin.Context, err error) {
	c.Abort()
	r := c.Request.WithContext(c.Request.Context())
	r.Pattern = c.FullPath() // as in adapt
	g.Refuse(c.Writer, r, err)
	c.Writer.WriteHeaderNow()
}

// adapt returns a gin handler that runs a net/http middleware in gin's chain. Were it
// inlined, each caller would have a function of its own: see [isGuard].
//
//go:noinline
func adapt(protect func(http.Handler) http.Handler) gin.HandlerFunc {
	guarded := protect(http.HandlerFunc(proceed))
	return func(c *gin.Context) {
		p := &passage{gin: c}
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), passageKey{}, p))
		r.Pattern = c.FullPath() // gin leaves it empty, and decisions tell of it
		for _, p := range c.Params {
			// For requirements that look at the path. Of two parameters with one name,
			// handlers get the first.
			r.SetPathValue(p.Key, c.Param(p.Key))
		}
		defer func() {
			if !p.open { // also after a panic: not every recovery aborts the chain
				c.Abort()
			}
		}()
		guarded.ServeHTTP(c.Writer, r)
		if !p.open {
			c.Writer.WriteHeaderNow() // gin would let a handler before us answer otherwise
		}
	}
}

// A passage is one request on its way through a guard. It finds gin's context
// again behind the guard, which speaks net/http only.
type passage struct {
	gin  *gin.Context
	open bool
}

type passageKey struct{}

// proceed is what the guard calls for a request that it lets through: the rest
// of gin's chain, with the claims in the request's context.
func proceed(_ http.ResponseWriter, r *http.Request) {
	p := r.Context().Value(passageKey{}).(*passage)
	p.open = true
	p.gin.Request = r
	p.gin.Next()
}
