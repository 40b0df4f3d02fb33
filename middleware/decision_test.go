package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

func TestLogDecisions(t *testing.T) {
	tests := []struct {
		token string
		level slog.Level
		want  string
	}{
		{"reader", slog.LevelDebug, `level=DEBUG msg="request let through" method=GET route="GET /patients" policy="scope read:patients" issuer=https://issuer.example/ client_id=client-1` + "\n"},
		{"reader", slog.LevelInfo, ""},
		{"nobody", slog.LevelInfo, `level=INFO msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=403 requirement="scope read:patients" reason="middleware: the token lacks a scope: read:patients"` + "\n"},
		{"bad", slog.LevelInfo, `level=INFO msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=401 reason="secret cause"` + "\n"},
		{"unavailable", slog.LevelError, `level=ERROR msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=503 reason="claims: tokens cannot be checked now: secret cause"` + "\n"},
		{"cancelled", slog.LevelInfo, `level=INFO msg="request refused" method=GET route="GET /patients" policy="scope read:patients" status=503 reason="secret cause: context canceled"` + "\n"},
		{"bad", slog.LevelWarn, ""},
	}
	for _, tt := range tests {
		t.Run(tt.token, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				Level: tt.level,
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey || a.Key == "duration" {
						return slog.Attr{}
					}
					return a
				},
			}))
			guard := middleware.New(&tokens{}, middleware.WithObserver(middleware.LogDecisions(logger)))
			mux := http.NewServeMux()
			mux.Handle("GET /patients", guard.RequireScope("read:patients")(ok))
			serve(mux, request("Bearer "+tt.token))
			require.Equal(t, tt.want, log.String())
		})
	}
}
