package ginguard_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/bearerguard/bearerguard/internal/adaptertest"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/gin-gonic/gin"
)

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// What gin's users register answers as net/http does.
func TestTable(t *testing.T) {
	words := adaptertest.Words[gin.HandlerFunc]{
		Handler: ginguard.Handler, Optional: ginguard.Optional, Require: ginguard.Require, RequireScope: ginguard.RequireScope,
	}
	adaptertest.Run(t, words, func(routes []adaptertest.Route[gin.HandlerFunc]) http.Handler {
		e := gin.New()
		for _, route := range routes {
			pattern := parameter.ReplaceAllString(route.Pattern, ":$1")
			e.Handle(route.Method, pattern, append(route.Guards, gin.WrapH(route.Handler))...)
		}
		return e
	})
}
