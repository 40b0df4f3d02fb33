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
	"github.com/bearerguard/bearerguard/scope"
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

// A rule of the API's own, with a custom claim: the token is refused on all routes. For
// one route there is middleware.Func.
func ExampleConfig_check() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)
	type custom struct {
		Org string `json:"https://example.com/org"`
	}
	suspended := map[string]bool{"org-2": true}
	config := issuer.Config("https://example.com/health-api") // in a program: claims.Config{Issuer: …, Audience: …}
	config.Check = func(_ context.Context, c *claims.Claims) error {
		own, err := claims.As[custom](c)
		if err == nil && suspended[own.Org] {
			err = errors.New("the organization is suspended")
		}
		return err
	}
	validator, err := claims.NewValidator(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, org := range []any{"org-1", "org-2", 3} {
		_, err := validator.Validate(context.Background(), issuer.Token(authtest.Claim("https://example.com/org", org)))
		fmt.Println(err == nil, errors.Is(err, claims.ErrRefused))
	}
	// Output:
	// true false
	// false true
	// false true
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

// An API moves to another domain of its authorization server, or to another one: the
// old issuer and the new one side by side, until the last old token has expired.
func ExampleWithIssuer() {
	t := new(testing.T)
	old, current := authtest.NewIssuer(t), authtest.NewIssuer(t)
	validator, err := claims.NewValidator(
		current.Config("https://api.example.com"), // in a program: claims.Config{Issuer: …, Audience: …}
		claims.WithIssuer(old.Config("https://example.com/health-api")),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	tell := func(token string) {
		c, err := validator.Validate(context.Background(), token)
		switch {
		case err != nil:
			fmt.Println(claims.Reason(err))
		case c.Issuer == old.URL(): // count these: at none, take the old one out
			fmt.Println("old:", c.Subject)
		default:
			fmt.Println("new:", c.Subject)
		}
	}
	tell(old.Token())
	tell(current.Token())
	// Each has its own audience, and its keys sign for itself only.
	oldAudience := authtest.Audience("https://example.com/health-api")
	tell(current.Token(oldAudience))
	tell(current.Token(oldAudience, authtest.IssuedBy(old.URL())))
	// One that is down does not touch the other.
	old.SetDown(true)
	tell(current.Token())
	// Output:
	// old: user-1
	// new: user-1
	// claims: the token is for another audience
	// claims: the token's key is not the issuer's
	// new: user-1
}

// An issuer's own management API is a resource server like any other: here Auth0's,
// whose audience is the domain's /api/v2/ and whose scopes are such as read:users.
func ExampleNewValidator_managementAPI() {
	t := new(testing.T)
	issuer := authtest.NewIssuer(t)      // in a program: Issuer: "https://my-domain.auth0.com/",
	audience := issuer.URL() + "api/v2/" // and Audience: "https://my-domain.auth0.com/api/v2/"
	validator, err := claims.NewValidator(issuer.Config(audience))
	if err != nil {
		fmt.Println(err)
		return
	}
	mayRead := scope.All("read:users")
	for _, token := range []string{
		issuer.Token(authtest.Like(authtest.Auth0), authtest.Scope("read:users", "update:users")),
		issuer.Token(authtest.Like(authtest.Auth0), authtest.Scope("read:current_user")),
		issuer.Token(authtest.Like(authtest.Auth0), authtest.Scope("read:users"), authtest.Audience("https://example.com/health-api")),
		issuer.IDToken(authtest.Like(authtest.Auth0), authtest.Audience(audience)),
	} {
		c, err := validator.Validate(context.Background(), token)
		if err != nil {
			fmt.Println(claims.Reason(err))
			continue
		}
		fmt.Println(c.Scope, mayRead.Allows(c.Scope))
	}
	// Output:
	// read:users update:users true
	// read:current_user false
	// claims: the token is for another audience
	// claims: the token is an ID Token, not an access token
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
