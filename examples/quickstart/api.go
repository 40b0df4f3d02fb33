package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// newAPI returns the API, as a program of yours would have it.
func newAPI(validator middleware.Validator, log *serverLog) http.Handler {
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	guard := middleware.New(validator, middleware.WithObserver(middleware.LogDecisions(logger)))

	mux := http.NewServeMux()
	mux.Handle("GET /me", guard.Handler(http.HandlerFunc(me)))
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(http.HandlerFunc(patients)))
	return mux
}

func me(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context())
	fmt.Fprintf(w, "you are %s, by the client %s\n", c.Subject, c.ClientID)
}

func patients(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Ada, Grace") }

// A serverLog keeps the last line that the server has logged.
type serverLog struct {
	mu   sync.Mutex
	last []byte
}

// Write implements [io.Writer], with one line a call, as slog writes.
func (l *serverLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = bytes.Clone(line)
	return len(line), nil
}

// reason returns why the last request was refused, "" where it was let through.
func (l *serverLog) reason() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var line struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(l.last, &line); err != nil {
		return "", fmt.Errorf("reading the server's log: %w", err)
	}
	return line.Reason, nil
}
