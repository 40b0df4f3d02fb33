package authtest

import (
	"context"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/middleware"
)

// An Outcome is what came of an attack: "" for a Failure means that the API stands.
type Outcome struct{ Name, Skipped, Failure string }

// Outcomes is [Issuer.Suite] without its subtests, so that tests can look at
// failures.
func (i *Issuer) Outcomes(t testing.TB, target Target) []Outcome {
	t.Helper()
	s := newSuite(t, i, target)
	var all []Outcome
	for _, a := range s.attacks() {
		o := Outcome{Name: a.name, Skipped: a.skip}
		if a.skip == "" {
			o.Failure = s.try(t.Context(), a)
		}
		all = append(all, o)
	}
	return all
}

// TryRoute is what [Issuer.Routes] says of one route.
func (i *Issuer) TryRoute(ctx context.Context, api http.Handler, route middleware.Route, options ...TokenOption) string {
	return i.tryRoute(ctx, api, route, options)
}

// Fill is how [Issuer.Routes] makes a host and a path of a pattern.
func Fill(pattern, value string) (host, path string) {
	host, path = cutHost(pattern)
	return host, fill(path, value)
}
