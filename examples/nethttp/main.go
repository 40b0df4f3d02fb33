// Command nethttp is a small patients API on net/http:
//
//	go run ./examples/nethttp
//
// starts it with a fake authorization server, prints what to send to it, and serves
// until Ctrl-C. Run it with the issuer and the audience of a tenant of yours:
//
//	go run ./examples/nethttp -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
package main

import (
	"encoding/json"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/tryout"
	"github.com/bearerguard/bearerguard/middleware"
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
	server := &http.Server{Addr: *addr, Handler: newAPI(validator), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on http://%s", *addr)
	log.Fatal(server.ListenAndServe())
}

// newAPI returns the API. It takes the validator, so that a test can bring the
// one of a fake issuer.
func newAPI(validator middleware.Validator) http.Handler {
	guard := middleware.New(validator, middleware.WithObserver(middleware.LogDecisions(slog.Default())))
	mux := http.NewServeMux()
	for pattern, handler := range routes(guard) {
		mux.Handle(pattern, handler)
	}
	return mux
}

// routes are a list, so that a test can see to it that each is protected, or open on
// purpose.
func routes(guard *middleware.Guard) map[string]http.Handler {
	return map[string]http.Handler{
		"GET /health":   middleware.Public(http.HandlerFunc(health)),
		"GET /me":       guard.Handler(http.HandlerFunc(me)),
		"GET /patients": guard.RequireScope("read:patients")(http.HandlerFunc(patients)),
	}
}

func health(w http.ResponseWriter, _ *http.Request) { write(w, "ok") }

// me tells who is asking.
func me(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context()) // always there behind a guard
	write(w, map[string]string{"subject": c.Subject, "client": c.ClientID})
}

func patients(w http.ResponseWriter, _ *http.Request) { write(w, []string{"Ada", "Grace"}) }

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Error("writing the answer", "error", err)
	}
}
