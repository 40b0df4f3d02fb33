package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
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

// A serverLog keeps the last line that the server has logged, and may show all
// that follow.
type serverLog struct {
	mu   sync.Mutex
	last []byte
	show io.Writer // nil: nowhere
}

// Write implements [io.Writer], with one line a call, as slog writes.
func (l *serverLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = bytes.Clone(line)
	if l.show != nil {
		return l.show.Write(line)
	}
	return len(line), nil
}

// follow shows the lines that are logged from now on.
func (l *serverLog) follow(show io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.show = show
}

// line returns the last line.
func (l *serverLog) line() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.last))
}

// reason returns why the last request was refused, "" where it was let through.
func (l *serverLog) reason() (string, error) {
	var line struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal([]byte(l.line()), &line); err != nil {
		return "", fmt.Errorf("reading the server's log: %w", err)
	}
	return line.Reason, nil
}
