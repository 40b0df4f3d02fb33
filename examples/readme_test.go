// Package examples_test has the code of README.md, so that it compiles.
package examples_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
)

func newGuard(mux *http.ServeMux, me, patients http.Handler) {
	validator, err := claims.NewValidator(claims.Config{
		Issuer:   "https://my-domain.auth0.com/",   // exact, compared as it is
		Audience: "https://example.com/health-api", // the API identifier
	})
	if err != nil {
		log.Fatal(err)
	}
	guard := middleware.New(validator)

	mux.Handle("GET /me", guard.Handler(me))                                   // any valid access token
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(patients)) // and this scope
}

func chiRoutes(r chi.Router, guard *middleware.Guard, list http.HandlerFunc) {
	r.With(guard.RequireScope("read:patients")).Get("/patients", list) // chi
}

func ginRoutes(e *gin.Engine, guard *middleware.Guard, list gin.HandlerFunc) {
	e.GET("/patients", ginguard.RequireScope(guard, "read:patients"), list) // gin: middleware/ginguard
}

func newAPI(guard *middleware.Guard) http.Handler {
	return guard.RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func TestPatients(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))

	r := httptest.NewRequest("GET", "/patients", nil)
	issuer.Authorize(r, authtest.Scope("read:patients")) // a real token, signed for this test
	w := httptest.NewRecorder()
	newAPI(guard).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
}

func TestTheRoutesOfTheREADMEAreGuarded(t *testing.T) {
	gin.SetMode(gin.TestMode)
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	mux, r, e := http.NewServeMux(), chi.NewRouter(), gin.New()
	newGuard(mux, http.NotFoundHandler(), http.NotFoundHandler())
	chiRoutes(r, guard, func(http.ResponseWriter, *http.Request) {})
	ginRoutes(e, guard, func(*gin.Context) {})
	for _, h := range []http.Handler{mux, r, e} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/patients", nil))
		require.Equal(t, 401, w.Code)
	}
}

// Every line of Go in README.md stands in this file.
func TestTheCodeOfTheREADMEIsCompiled(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	compiled := map[string]bool{}
	for line := range strings.Lines(string(source)) {
		compiled[normal(line)] = true
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		for line := range strings.Lines(string(block[1])) {
			require.True(t, compiled[normal(line)], "%q is not compiled", line)
		}
	}
}

// normal returns a line without its comment and the white space in it.
func normal(line string) string {
	code, _, _ := strings.Cut(line, "// ")
	return strings.Join(strings.Fields(code), " ")
}
