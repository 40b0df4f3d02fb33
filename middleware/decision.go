package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// A Decision is what a guard decided about one request. There is no token in it,
// and nothing of the user.
type Decision struct {
	// Method is the request's method.
	Method string

	// Pattern is the route that matched, as the router has it in
	// [http.Request.Pattern]; empty where it has none.
	Pattern string

	// Policy is what the route asks for, in words.
	Policy string

	// Issuer and ClientID are those of the token, once it has been found good;
	// empty before.
	Issuer   string
	ClientID string

	// Refusal says how the request is refused and why. Nil means that it was let
	// through.
	Refusal *Error
}

func newDecision(r *http.Request, policy string, p *passage, refusal *Error) Decision {
	d := Decision{Method: r.Method, Pattern: r.Pattern, Policy: policy, Refusal: refusal}
	if p != nil {
		d.Issuer, d.ClientID = p.claims.Issuer, p.claims.ClientID
	}
	return d
}

// LogDecisions returns an observer that writes each decision to the logger: what
// was let through at debug level, refusals at info level with the reason, and
// what could not be decided (503) at error level, or at info level where the
// client itself has given up. It panics if logger is nil.
func LogDecisions(logger *slog.Logger) func(context.Context, Decision) {
	if logger == nil {
		panic("middleware: LogDecisions was given a nil logger")
	}
	return func(ctx context.Context, d Decision) {
		level, message := slog.LevelDebug, "request let through"
		if d.Refusal != nil {
			level, message = slog.LevelInfo, "request refused"
			if d.Refusal.Status == http.StatusServiceUnavailable && !errors.Is(d.Refusal, context.Canceled) {
				level = slog.LevelError
			}
		}
		if !logger.Enabled(ctx, level) {
			return
		}
		attributes := make([]slog.Attr, 0, 7)
		attributes = append(attributes, slog.String("method", d.Method))
		optional := []struct{ name, value string }{
			{"route", d.Pattern}, {"policy", d.Policy}, {"issuer", d.Issuer}, {"client_id", d.ClientID},
		}
		for _, o := range optional {
			if o.value != "" {
				attributes = append(attributes, slog.String(o.name, o.value))
			}
		}
		if d.Refusal != nil {
			attributes = append(attributes, slog.Int("status", d.Refusal.Status))
			reason := d.Refusal.Description
			if d.Refusal.Err != nil {
				reason = d.Refusal.Err.Error()
			}
			attributes = append(attributes, slog.String("reason", reason))
		}
		logger.LogAttrs(ctx, level, message, attributes...)
	}
}
