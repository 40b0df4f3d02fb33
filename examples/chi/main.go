// Command chi is a small patients API on chi:
//
//	go run ./examples/chi
//
// starts it with a fake authorization server, prints what to send to it, and serves
// until Ctrl-C. Run it with the issuer and the audience of a tenant of yours:
//
//	go run ./examples/chi -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
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
	"github.com/bearerguard/bearerguard/middleware/chiguard"
	"github.com/go-chi/chi/v5"
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
func newAPI(validator middleware.Validator) chi.Router {
	guard := middleware.New(validator, middleware.WithObserver(middleware.LogDecisions(slog.Default())))
	r := chi.NewRouter()
	r.Method("GET", "/health", middleware.Public(http.HandlerFunc(health)))
	r.With(chiguard.Handler(guard)).Get("/me", me)
	r.With(chiguard.RequireScope(guard, "read:patients")).Get("/patients", patients)
	return r
}

func health(w http.ResponseWriter, _ *http.Request) { write(w, "ok") }

// me tells who is asking.
func me(w http.ResponseWriter, r *http.Request) {
	c, _ := chiguard.Claims(r) // always there behind a guard
	write(w, map[string]string{"subject": c.Subject, "client": c.ClientID})
}

func patients(w http.ResponseWriter, _ *http.Request) { write(w, []string{"Ada", "Grace"}) }

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Error("writing the answer", "error", err)
	}
}
