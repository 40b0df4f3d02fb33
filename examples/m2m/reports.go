package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// newReports returns the service that is called. Only machines may send reports, and
// they need the scope.
func newReports(validator middleware.Validator) http.Handler {
	guard := middleware.New(validator)
	send := guard.Require(middleware.Machine(), middleware.Scopes(scope.All("write:reports")))
	mux := http.NewServeMux()
	mux.Handle("POST /reports", send(http.HandlerFunc(receive)))
	return mux
}

func receive(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context()) // always there behind a guard
	report, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the report cannot be read", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%d bytes from %s\n", len(report), c.ClientID)
}
