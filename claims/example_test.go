package claims_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
)

func ExampleNewValidator() {
	_, err := claims.NewValidator(claims.Config{
		Issuer:   "https://my-domain.auth0.com/",
		Audience: "https://example.com/health-api",
	})
	fmt.Println(err)

	// What is required cannot be forgotten.
	_, err = claims.NewValidator(claims.Config{Issuer: "https://my-domain.auth0.com/"})
	fmt.Println(err)
	// Output:
	// <nil>
	// claims: Config.Audience is empty: set it to the identifier of this API, exactly as in the aud of its access tokens, such as https://example.com/health-api
}

// A fake issuer stands in for the authorization server here; in a test, t is the
// test's own.
func ExampleValidator_Validate() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")

	c, err := validator.Validate(context.Background(), issuer.Token(authtest.Scope("read:patients")))
	fmt.Println(c.Subject, c.Scope, err)

	_, err = validator.Validate(context.Background(), issuer.IDToken())
	fmt.Println(errors.Is(err, claims.ErrIDToken), err)
	// Output:
	// user-1 read:patients <nil>
	// true claims: the token is an ID Token, not an access token: it has nonce
}

// During an outage nothing can be said about a token, but perhaps when to ask again.
func ExampleErrUnavailable() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")

	issuer.SetDown(true)
	_, err := validator.Validate(context.Background(), issuer.Token())
	fmt.Println(errors.Is(err, claims.ErrUnavailable))

	var retry interface{ RetryAfter() time.Duration }
	if errors.As(err, &retry) {
		fmt.Println("soon:", retry.RetryAfter() <= time.Second)
	}
	// Output:
	// true
	// soon: true
}

// A metric needs words that are the same for all tokens.
func ExampleReason() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")

	refusals := map[error]int{}
	for _, token := range []string{issuer.IDToken(), issuer.Token(authtest.Audience("a")), issuer.Token(authtest.Audience("b"))} {
		_, err := validator.Validate(context.Background(), token)
		refusals[claims.Reason(err)]++
	}
	fmt.Println(refusals[claims.ErrIDToken], claims.ErrIDToken)
	fmt.Println(refusals[claims.ErrAudience], claims.ErrAudience)
	// Output:
	// 1 claims: the token is an ID Token, not an access token
	// 2 claims: the token is for another audience
}

// A readiness probe: the API is ready while there is a key set to serve from. Where
// there is none it fetches, since no request that could is let through to the API.
func ExampleValidator_Status() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")
	ready := func(ctx context.Context) bool {
		notReady := func(s jwks.Status) bool { return s.State == jwks.NotReady }
		if !slices.ContainsFunc(validator.Status(), notReady) {
			return true
		}
		return validator.Warm(ctx) == nil
	}

	issuer.SetDown(true)
	fmt.Println(ready(context.Background()))
	issuer.SetDown(false)
	fmt.Println(ready(context.Background()))
	issuer.SetDown(true) // an outage, with keys to serve from
	fmt.Println(ready(context.Background()))
	// Output:
	// false
	// true
	// true
}

// All checks at once, for tools that tell a developer why a token is refused.
func ExampleValidator_Explain() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")

	report := validator.Explain(context.Background(), issuer.IDToken())
	for _, check := range report.Checks {
		if check.Outcome == claims.Failed {
			fmt.Printf("%s: %s\n  hint: %s\n", check.Name, check.Detail, check.Hint)
		}
	}
	// Output:
	// kind: the token is an ID Token, not an access token: it has nonce
	//   hint: the client has sent the ID Token: send the access token
	// audience: the token is for another audience: "client-1", and this API is "https://example.com/health-api"
	//   hint: the client must ask for this API's audience; a client ID in aud means that it has asked for none, or sent an ID Token
}

func ExampleAs() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator("https://example.com/health-api")
	token := issuer.Token(authtest.Claim("https://example.com/roles", []string{"doctor"}))
	c, err := validator.Validate(context.Background(), token)
	if err != nil {
		fmt.Println(err)
		return
	}

	type Custom struct {
		Roles []string `json:"https://example.com/roles"`
	}
	custom, err := claims.As[Custom](c)
	fmt.Println(custom.Roles, err)
	// Output: [doctor] <nil>
}
