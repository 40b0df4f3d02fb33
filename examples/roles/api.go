package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

const audience = "https://example.com/charts-api"

// custom has the claims that the issuer of this API puts into its tokens beyond the
// standard ones. Names are matched exactly: https://example.com/Roles is another.
type custom struct {
	Roles []string `json:"https://example.com/roles"` // namespaced, as Auth0 wants them
	Org   string   `json:"org_id"`                    // plain
}

// suspended are the organizations that nobody may use the API for.
type suspended map[string]bool

// check is asked about every token that is otherwise good, and refuses it for the whole
// API (401): it is for claims.Config.Check.
func (s suspended) check(_ context.Context, c *claims.Claims) error {
	own, err := claims.As[custom](c)
	switch {
	case err != nil:
		return err // roles that are no list, or there twice
	case own.Org == "":
		return errors.New("the token is of no organization")
	case s[own.Org]:
		return errors.New("the organization is suspended")
	}
	return nil
}

func newAPI(validator middleware.Validator) http.Handler {
	guard := middleware.New(validator)
	mux := http.NewServeMux()
	mux.Handle("GET /orgs/{org}/charts", guard.Require(
		middleware.Scopes(scope.All("read:charts")),                                  // what the client may do
		middleware.Claim("org_id").EqualsPathValue("org"),                            // whose data these are
		middleware.Claim("https://example.com/roles").ContainsAny("doctor", "nurse"), // who the user is there
	)(http.HandlerFunc(charts)))
	return mux
}

func charts(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context()) // always there behind a guard
	own, _ := claims.As[custom](c)          // no error: check has read the same
	fmt.Fprintf(w, "charts of %s for %s, %v\n", own.Org, c.Subject, own.Roles)
}
