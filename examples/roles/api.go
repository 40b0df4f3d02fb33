package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// custom has the claims that the issuer of this API puts into its tokens beyond the
// standard ones. Names are matched exactly: neither Roles nor https://example.com/Roles
// ends up in Roles.
type custom struct {
	Roles []string `json:"https://example.com/roles"` // namespaced, as Auth0 wants them
	Org   string   `json:"org_id"`                    // plain
}

// check is asked about every token that is otherwise good, and refuses it for the whole
// API (401): what it says belongs in claims.Config.Check.
func check(suspended map[string]bool) func(context.Context, *claims.Claims) error {
	return func(_ context.Context, c *claims.Claims) error {
		own, err := claims.As[custom](c)
		switch {
		case err != nil:
			return err // roles that are no list, or there twice
		case own.Org == "":
			return errors.New("the token is of no organization")
		case suspended[own.Org]:
			return errors.New("the organization is suspended")
		}
		return nil
	}
}

// anyOf is a requirement of a route (403). For a claim that must have one certain value
// there is middleware.Claim("https://example.com/roles").Contains("doctor").
func anyOf(roles ...string) middleware.Requirement {
	return middleware.Func(fmt.Sprintf("one of the roles %q", roles), func(_ *http.Request, c *claims.Claims) error {
		own, err := claims.As[custom](c)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(own.Roles, func(role string) bool { return slices.Contains(roles, role) }) {
			return errors.New("the token has none of the roles") // for the log; the client is not told
		}
		return nil
	})
}

func newAPI(validator middleware.Validator, options ...middleware.Option) http.Handler {
	guard := middleware.New(validator, options...)
	mux := http.NewServeMux()
	mux.Handle("GET /orgs/{org}/charts", guard.Require(
		middleware.Scopes(scope.All("read:charts")),       // what the client may do
		middleware.Claim("org_id").EqualsPathValue("org"), // whose data these are
		anyOf("doctor", "nurse"),                          // who the user is there
	)(http.HandlerFunc(charts)))
	return mux
}

func charts(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context()) // always there behind a guard
	own, err := claims.As[custom](c)
	if err != nil { // never here: check has read the same
		http.Error(w, "the claims cannot be read", http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "charts of %s for %s, %v\n", own.Org, c.Subject, own.Roles)
}
