// Command gin is a small patients API on gin:
//
//	go run ./examples/gin
//
// starts it with a fake authorization server, prints what to send to it, and serves
// until Ctrl-C. Run it with the issuer and the audience of a tenant of yours:
//
//	go run ./examples/gin -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
package main

import (
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/tryout"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/gin-gonic/gin"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	issuer := flag.String("issuer", "", "issuer identifier of the authorization server, as in the iss of its tokens (default: a fake one)")
	audience := flag.String("audience", "", "identifier of this API, as in the aud of its access tokens")
	flag.Parse()

	if *issuer == "" && *audience == "" { // a program of yours has no such lines
		var err error
		if *issuer, *audience, err = tryout.Start(*addr, os.Stdout); err != nil {
			log.Fatal(err)
		}
	}
	validator, err := claims.NewValidator(claims.Config{Issuer: *issuer, Audience: *audience})
	if err != nil {
		log.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	server := &http.Server{Addr: *addr, Handler: newAPI(validator), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on http://%s", *addr)
	log.Fatal(server.ListenAndServe())
}

// newAPI returns the API. It takes the validator, so that a test can bring the
// one of a fake issuer.
func newAPI(validator middleware.Validator) *gin.Engine {
	guard := middleware.New(validator, middleware.WithObserver(middleware.LogDecisions(slog.Default())))
	e := gin.New()
	e.Use(gin.Recovery())
	e.GET("/health", ginguard.Public(), health)
	e.GET("/me", ginguard.Handler(guard), me)
	e.GET("/patients", ginguard.RequireScope(guard, "read:patients"), patients)
	return e
}

func health(c *gin.Context) { c.JSON(http.StatusOK, "ok") }

// me tells who is asking.
func me(c *gin.Context) {
	who, _ := ginguard.Claims(c) // always there behind a guard
	c.JSON(http.StatusOK, gin.H{"subject": who.Subject, "client": who.ClientID})
}

func patients(c *gin.Context) { c.JSON(http.StatusOK, []string{"Ada", "Grace"}) }
