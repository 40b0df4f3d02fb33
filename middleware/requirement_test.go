package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

// saying returns a guard whose validator says the same of every token.
func saying(c claims.Claims, options ...middleware.Option) *middleware.Guard {
	return middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) { return &c, nil }), options...)
}

// having returns a guard for which every token has these scopes.
func having(scopes string) *middleware.Guard {
	return saying(claims.Claims{Scope: scope.FromToken(scopes)})
}

// noting returns an option that keeps the decisions of a guard.
func noting(all *[]middleware.Decision) middleware.Option {
	return middleware.WithObserver(func(_ context.Context, d middleware.Decision) { *all = append(*all, d) })
}

// sent returns a request with the token "x", and headers as pairs of name and value.
func sent(method, target string, headers ...string) *http.Request {
	return plain(method, target, append([]string{"Authorization", "Bearer x"}, headers...)...)
}

// plain returns a request without a token.
func plain(method, target string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func challengeOf(w *httptest.ResponseRecorder) string { return w.Header().Get("WWW-Authenticate") }

const (
	denied       = `Bearer realm="api"` // the challenge of a 403 that is not about scopes
	sayDenied    = `{"error":"access_denied","error_description":"the access token does not permit this request"}` + "\n"
	lacking      = `Bearer realm="api", error="insufficient_scope", error_description="the access token lacks a scope that this resource needs", scope=`
	invalidToken = `Bearer realm="api", error="invalid_token", error_description="the access token is expired, malformed or not meant for this API"`
)

// RFC 6750 §3.1: the scopes that the resource needs, and not the difference.
func TestScopesNameTheClosestAlternativeWhole(t *testing.T) {
	any, all := scope.Any, scope.All
	tests := []struct {
		name   string
		rule   scope.Rule
		have   string
		status int
		scope  string
	}{
		{"all", all("a", "b"), "b a c", 200, ""},
		{"all but one", all("a", "b"), "a", 403, "a b"},
		{"none", all("a", "b"), "", 403, "a b"},
		{"any", any("a", "b"), "b", 200, ""},
		{"none of any", any("a", "b"), "c", 403, "a"},
		{"one alternative", any("admin").Or(all("a", "b")), "admin", 200, ""},
		{"the other alternative", any("admin").Or(all("a", "b")), "b a", 200, ""},
		{"fewest missing", any("admin").Or(all("a", "b", "c")), "a", 403, "admin"},
		{"fewest missing, though longer", all("x", "y").Or(all("a", "b", "c")), "a b", 403, "a b c"},
		{"of two alike the first", any("admin").Or(all("a", "b")), "a", 403, "admin"},
		{"of two alike the first, the other way round", all("a", "b").Or(any("admin")), "a", 403, "a b"},
		{"byte for byte", all("read"), "Read read:all", 403, "read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(having(tt.have).Require(middleware.Scopes(tt.rule))(ok), sent("GET", "/"))
			require.Equal(t, tt.status, w.Code)
			if tt.status == 403 {
				require.Equal(t, lacking+`"`+tt.scope+`"`, challengeOf(w))
				require.Equal(t, sayScope+"\n", w.Body.String())
			}
		})
	}
}

// A client that was told of one after the other would lose the one while it got
// the other.
func TestAChallengeNamesTheScopesOfAllRequirements(t *testing.T) {
	a, b := middleware.Scopes(scope.All("a")), middleware.Scopes(scope.Any("admin").Or(scope.All("b", "c")))
	tests := []struct {
		have, scope string
	}{
		{"", "a admin"},
		{"a", "a admin"},
		{"a b", "a admin"},
		{"b c", "a b c"},
		{"admin", "a admin"},
	}
	for _, tt := range tests {
		t.Run(tt.have, func(t *testing.T) {
			w := serve(having(tt.have).Require(a, b)(ok), sent("GET", "/"))
			require.Equal(t, 403, w.Code)
			require.Equal(t, lacking+`"`+tt.scope+`"`, challengeOf(w))
		})
	}
	h := having("").Require(a, b)(ok)
	require.Equal(t, `Bearer realm="api", scope="a admin"`, challengeOf(serve(h, plain("GET", "/"))))
}

func TestWhatARequirementOfOnesOwnSaysOfScopesStands(t *testing.T) {
	own := failing(&middleware.Error{Status: 403, Code: middleware.CodeInsufficientScope, Scope: "own"})
	byMethod := middleware.ByMethod(map[string]middleware.Requirement{"GET": own})
	for _, requirement := range []middleware.Requirement{own, byMethod} {
		w := serve(having("").Require(requirement, middleware.Scopes(scope.All("a")))(ok), sent("GET", "/"))
		require.Equal(t, `Bearer realm="api", error="insufficient_scope", scope="own"`, challengeOf(w))
	}
}

func TestClients(t *testing.T) {
	tests := []struct {
		name   string
		client string
		status int
		reason string
	}{
		{"the first", "mobile-app", 200, ""},
		{"the second", "portal", 200, ""},
		{"another", "evil", 403, "middleware: a requirement refuses the request: the token was issued to another client"},
		{"in other letters", "Portal", 403, "middleware: a requirement refuses the request: the token was issued to another client"},
		{"none", "", 403, "middleware: a requirement refuses the request: the token does not say which client it was issued to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			h := saying(claims.Claims{ClientID: tt.client}, noting(&seen)).Require(middleware.Clients("mobile-app", "portal"))(ok)
			w := serve(h, sent("GET", "/"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, "client mobile-app or portal", seen[0].Policy.String())
			if tt.status == 403 {
				require.Equal(t, denied, challengeOf(w))
				require.Equal(t, sayDenied, w.Body.String())
				require.EqualError(t, seen[0].Refusal.Err, tt.reason)
				require.Equal(t, middleware.ErrAccessDenied, seen[0].Reason)
			}
		})
	}
}

// Issuers write the client in different claims: the allow-list and the events know it by
// each.
func TestTheClientIsKnownWhateverTheIssuerCallsIt(t *testing.T) {
	for shape, claim := range map[authtest.Shape]string{
		authtest.RFC9068: "client_id", authtest.Auth0: "azp", authtest.Okta: "cid",
		authtest.EntraIDv1: "appid", authtest.EntraIDv2: "azp", authtest.Keycloak: "azp",
	} {
		issuer := authtest.NewIssuer(t)
		var seen []middleware.Decision
		guard := middleware.New(issuer.Validator("https://example.com/health-api"), noting(&seen))
		h := guard.Require(middleware.Clients("mobile-app", "portal"))(ok)
		for client, status := range map[string]int{"portal": 200, "mobile-app": 200, "another": 403} {
			r := plain("GET", "/")
			issuer.Authorize(r, authtest.Like(shape), authtest.Scope("read"), authtest.ClientID(client))
			require.Equal(t, status, serve(h, r).Code, "%v", shape)
			last := seen[len(seen)-1]
			require.Equal(t, client, last.ClientID, "%v", shape)
			c, _ := last.Claims()
			_, has := c.Lookup(claim)
			require.True(t, has, "%v has %s", shape, claim)
		}
	}
}

// What a client may read of a user at the issuer (OpenID Connect Core §5.4) is none of the
// API's permissions, in whichever claim it comes.
func TestProfileScopesSatisfyNoPermission(t *testing.T) {
	profile := []string{"openid", "profile", "email", "address", "phone", "offline_access"}
	for _, shape := range []authtest.Shape{
		authtest.RFC9068, authtest.Auth0, authtest.Okta, authtest.EntraIDv1, authtest.EntraIDv2, authtest.Keycloak, authtest.Cognito,
	} {
		issuer := authtest.NewIssuer(t)
		guard := middleware.New(issuer.Validator("https://example.com/health-api"))
		for _, needs := range []scope.Rule{
			scope.All("read:patients"), scope.Any("read:patients", "read"), scope.All("openid", "read:patients"),
			scope.All("read:email"), scope.Any("profiles", "Email", "open"),
		} {
			h := guard.Require(middleware.Scopes(needs))(ok)
			r := plain("GET", "/")
			issuer.Authorize(r, authtest.Like(shape), authtest.Scope(profile...))
			w := serve(h, r)
			require.Equal(t, 403, w.Code, "%v, %v", shape, needs)
			require.Contains(t, challengeOf(w), `error="insufficient_scope"`)
		}
		// And beside a permission they do no harm.
		r := plain("GET", "/")
		issuer.Authorize(r, authtest.Like(shape), authtest.Scope(append(profile, "read:patients")...))
		require.Equal(t, 200, serve(guard.RequireScope("read:patients")(ok), r).Code, "%v", shape)
	}
}

func TestIssuers(t *testing.T) {
	const first, second = "https://login.example.com/", "https://old.example.com/"
	for issuer, status := range map[string]int{
		first: 200, second: 200, "https://login.example.com": 403, "https://LOGIN.example.com/": 403, "https://evil.example/": 403, "": 403,
	} {
		var seen []middleware.Decision
		w := serve(saying(claims.Claims{Issuer: issuer}, noting(&seen)).Require(middleware.Issuers(first, second))(ok), sent("GET", "/"))
		require.Equal(t, status, w.Code, issuer)
		require.Equal(t, "issuer https://login.example.com/ or https://old.example.com/", seen[0].Policy.String())
		if status == 403 {
			require.Equal(t, denied, challengeOf(w))
			require.Equal(t, sayDenied, w.Body.String())
			require.EqualError(t, seen[0].Refusal.Err, "middleware: a requirement refuses the request: the token is from an issuer that this route does not take")
		}
	}
	// The list is the route's own.
	ids := []string{first}
	h := saying(claims.Claims{Issuer: second}).Require(middleware.Issuers(ids...))(ok)
	ids[0] = second
	require.Equal(t, 403, serve(h, sent("GET", "/")).Code)
}

// A typo would refuse every request, and be found out in production.
func TestAnIssuerThatIsNotTrustedPanicsAtWiring(t *testing.T) {
	validator, err := claims.NewValidator(
		claims.Config{Issuer: "https://login.example.com/", Audience: audience},
		claims.WithIssuer(claims.Config{Issuer: "https://partner.example.com", Audience: audience}))
	require.NoError(t, err)
	const both = `it trusts "https://login.example.com/" and "https://partner.example.com"`
	const slash = "; they differ in the slash at the end, and issuers are compared as they are"
	says := func(id, more string) string {
		return `middleware: Issuers("` + id + `"): the validator does not trust it, so nobody could meet that: ` + both + more
	}
	byMethod := func(requirement middleware.Requirement) middleware.Requirement {
		return middleware.ByMethod(map[string]middleware.Requirement{"GET": middleware.ACR("mfa"), "PUT": requirement})
	}
	tests := []struct {
		name string
		ids  []string
		want string // "": it does not panic
	}{
		{"one", []string{"https://login.example.com/"}, ""},
		{"all", []string{"https://partner.example.com", "https://login.example.com/"}, ""},
		{"a slash is missing", []string{"https://login.example.com"}, says("https://login.example.com", slash)},
		{"a slash too many", []string{"https://partner.example.com/"}, says("https://partner.example.com/", slash)},
		{"a typo beside a good one", []string{"https://login.example.com/", "https://partner.exmaple.com"}, says("https://partner.exmaple.com", "")},
		{"other letters", []string{"https://LOGIN.example.com/"}, says("https://LOGIN.example.com/", "")},
	}
	guard := middleware.New(validator)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuers := middleware.Issuers(tt.ids...)
			for _, requirement := range []middleware.Requirement{issuers, byMethod(issuers), byMethod(byMethod(issuers))} {
				wire := func() { guard.Require(middleware.ACR("mfa"), requirement) }
				if tt.want == "" {
					require.NotPanics(t, wire)
				} else {
					require.PanicsWithValue(t, tt.want, wire)
				}
			}
		})
	}
	one := middleware.Issuers("https://other.example.com/")
	require.NotPanics(t, func() { saying(claims.Claims{}).Require(one) }, "it does not tell")
	require.NotPanics(t, func() { middleware.New(trusting{refusing, audience, nil}).Require(one) }, "it tells of none")
	require.Panics(t, func() {
		middleware.New(trusting{refusing, audience, []string{"https://login.example.com/"}}).Require(one)
	})
	require.NotPanics(t, func() {
		middleware.New(trusting{refusing, audience, []string{"https://other.example.com/"}}).Require(one)
	})
}

// A client of the same ID at another issuer is another client.
func TestClientsHoldAcrossIssuersAndIssuersDoNot(t *testing.T) {
	own, other := authtest.NewIssuer(t), authtest.NewIssuer(t)
	const audience = "https://example.com/health-api"
	guard := middleware.New(own.Validator(audience, claims.WithIssuer(other.Config(audience))))
	clients := guard.Require(middleware.Clients("portal"))(ok)
	both := guard.Require(middleware.Issuers(own.URL()), middleware.Clients("portal"))(ok)
	for issuer, status := range map[*authtest.Issuer]int{own: 200, other: 403} {
		r := plain("GET", "/")
		issuer.Authorize(r, authtest.ClientID("portal"))
		require.Equal(t, 200, serve(clients, r).Code)
		require.Equal(t, status, serve(both, r).Code)
	}
}

func TestMachineUserAndNotMachine(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	machine, user, notMachine := guard.Require(middleware.Machine())(ok), guard.Require(middleware.User())(ok), guard.Require(middleware.NotMachine())(ok)
	claim := authtest.Claim
	null := json.RawMessage("null")
	// Keycloak's service account, with what a mapper or a sloppy issuer puts beside it.
	batch := func(options ...authtest.TokenOption) []authtest.TokenOption {
		return append(options, authtest.ClientID("batch"), claim("preferred_username", "service-account-batch"))
	}
	tests := []struct {
		name                      string
		token                     []authtest.TokenOption
		machine, user, notMachine int
	}{
		{"a machine, by its subject", []authtest.TokenOption{authtest.Subject("client-1")}, 200, 403, 403},
		{"a machine, by the grant", []authtest.TokenOption{claim("gty", "client-credentials")}, 200, 403, 403},
		{"a machine, by the issuer's word, with a name", []authtest.TokenOption{claim("idtyp", "app"), claim("name", "Reporter")}, 200, 403, 403},
		{"Auth0's machine", []authtest.TokenOption{authtest.Subject("client-1@clients")}, 200, 403, 403},
		{"Keycloak's machine", batch(), 200, 403, 403},
		{"Keycloak's machine, whose client is not in lower case", append(batch(), authtest.ClientID("Batch")), 200, 403, 403},
		{"Keycloak's machine with a session", batch(claim("sid", "s")), 403, 403, 403},
		{"Keycloak's machine with an e-mail address that is null", batch(claim("email", null)), 403, 403, 403},
		{"Keycloak's machine with an e-mail address that stands for none", batch(claim("email", "service-account-batch@placeholder.org")), 403, 403, 403},
		{"the client, with a login elsewhere than at Cognito", []authtest.TokenOption{authtest.Subject("client-1"), claim("auth_time", 1)}, 403, 403, 403},
		{"Cognito's machine", []authtest.TokenOption{authtest.Subject("client-1"), claim("auth_time", 1), claim("token_use", "access")}, 200, 403, 403},
		{"a user", []authtest.TokenOption{claim("auth_time", 1)}, 403, 200, 200},
		{"Entra ID's user", []authtest.TokenOption{claim("idtyp", "user")}, 403, 200, 200},
		{"a user of whom nothing is said but null", []authtest.TokenOption{claim("email", null)}, 403, 403, 200},
		{"no sign", nil, 403, 403, 200},
		{"a user who has the name of the client", []authtest.TokenOption{authtest.Subject("client-1"), claim("email", "eve@example.com")}, 403, 403, 403},
		{"a user who has the name of its service account", batch(claim("name", "Eve"), claim("auth_time", 1)), 403, 403, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := plain("GET", "/")
			issuer.Authorize(r, tt.token...)
			require.Equal(t, tt.machine, serve(machine, r).Code, "Machine")
			require.Equal(t, tt.user, serve(user, r).Code, "User")
			require.Equal(t, tt.notMachine, serve(notMachine, r).Code, "NotMachine")
		})
	}
	require.Equal(t, "a machine, a user, no machine", middleware.PolicyOf(guard.Require(middleware.Machine(), middleware.User(), middleware.NotMachine())(ok)).String())
}

// A validator of one's own may make claims up, of which no token says anything.
func TestOfClaimsThatWereNotReadFromATokenTheClientIsAMachine(t *testing.T) {
	tests := []struct {
		claims           claims.Claims
		user, notMachine int
	}{
		{claims.Claims{Subject: "batch", ClientID: "batch"}, 403, 403},
		{claims.Claims{Subject: "batch@clients", ClientID: "batch"}, 403, 403},
		{claims.Claims{Subject: "user-1", ClientID: "batch"}, 403, 200},
		{claims.Claims{}, 403, 200},
	}
	for _, tt := range tests {
		require.Equal(t, tt.user, serve(saying(tt.claims).Require(middleware.User())(ok), sent("GET", "/")).Code, tt.claims.Subject)
		require.Equal(t, tt.notMachine, serve(saying(tt.claims).Require(middleware.NotMachine())(ok), sent("GET", "/")).Code, tt.claims.Subject)
	}
}

// The reason is for the log: which of the two it was.
func TestUserSaysWhyItRefuses(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	var seen []middleware.Decision
	h := middleware.New(issuer.Validator(audience), noting(&seen)).Require(middleware.User())(ok)
	for _, want := range []string{"the token has no sign of a user", "the token has the sign of a machine"} {
		r := plain("GET", "/")
		issuer.Authorize(r)
		if want != "the token has no sign of a user" {
			issuer.Authorize(r, authtest.Subject("client-1"), authtest.Claim("sid", "s"))
		}
		require.Equal(t, 403, serve(h, r).Code)
		require.EqualError(t, seen[len(seen)-1].Refusal.Err, "middleware: a requirement refuses the request: "+want)
	}
}

func TestFunc(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		reason error
	}{
		{"nil", nil, 200, nil},
		{"an error", errors.New("secret cause"), 403, middleware.ErrAccessDenied},
		{"unavailable", fmt.Errorf("secret cause: %w", claims.ErrUnavailable), 503, middleware.ErrUnavailable},
		{"the end of a context", fmt.Errorf("secret cause: %w", context.DeadlineExceeded), 503, middleware.ErrUnavailable},
		{"its own status", &middleware.Error{Status: 404}, 404, middleware.ErrAccessDenied},
		{"the first status that refuses", &middleware.Error{Status: 400}, 400, middleware.ErrAccessDenied},
		{"the last status there is", &middleware.Error{Status: 599}, 599, middleware.ErrUnavailable},
		{"a status that does not refuse", &middleware.Error{Status: 399}, 403, middleware.ErrAccessDenied},
		{"a status that is none", &middleware.Error{Status: 600}, 403, middleware.ErrAccessDenied},
		{"its own step-up", &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication}, 401, middleware.ErrInsufficientUserAuthentication},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			h := saying(claims.Claims{Subject: "user-1"}, noting(&seen)).Require(
				middleware.Func("weekdays only", func(r *http.Request, c *claims.Claims) error {
					require.Equal(t, "/now", r.URL.Path)
					require.Equal(t, "user-1", c.Subject)
					return tt.err
				}))(ok)
			w := serve(h, sent("GET", "/now"))
			require.Equal(t, tt.status, w.Code)
			require.NotContains(t, fmt.Sprint(w.Header(), w.Body), "secret cause")
			require.Equal(t, tt.reason, seen[0].Reason)
			if tt.err != nil {
				require.Equal(t, "weekdays only", seen[0].Requirement)
			}
		})
	}
}

// A requirement that asks the issuer needs the token, and somebody's helper finds the
// claims in the context. Before the requirement is met, nobody else sees either.
func TestARequirementSeesTheContextOfTheHandler(t *testing.T) {
	var seen []string
	note := func(who string, r *http.Request) {
		token, _ := middleware.TokenFromContext(r.Context())
		c, known := claims.FromContext(r.Context())
		require.True(t, known)
		seen = append(seen, who+" "+token+" "+c.Scope.String())
	}
	guard := middleware.New(scoped())
	asks := func(name string) func(http.Handler) http.Handler {
		return guard.Require(middleware.Func(name, func(r *http.Request, c *claims.Claims) error {
			note(name, r)
			return nil
		}), middleware.Scopes(scope.All("a")))
	}
	h := asks("outer")(asks("inner")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { note("handler", r) })))

	r := request("Bearer a")
	require.Equal(t, 200, serve(h, r).Code)
	require.Equal(t, []string{"outer a a", "inner a a", "handler a a"}, seen)
	_, known := middleware.TokenFromContext(r.Context())
	require.False(t, known, "the request as it came is not changed")

	seen = nil
	w := serve(h, request("Bearer b"))
	require.Equal(t, 403, w.Code)
	require.Equal(t, []string{"outer b b"}, seen)
}

func TestByMethodAsksForWhatTheMethodNeeds(t *testing.T) {
	byMethod := middleware.ByMethod(map[string]middleware.Requirement{
		"GET":  middleware.Scopes(scope.All("read")),
		"PUT":  middleware.Scopes(scope.All("write")),
		"POST": middleware.Clients("portal"),
	})
	tests := []struct {
		method, have string
		status       int
		challenge    string
	}{
		{"GET", "read", 200, ""},
		{"HEAD", "read", 200, ""},
		{"PUT", "write", 200, ""},
		{"GET", "write", 403, lacking + `"read"`},
		{"HEAD", "write", 403, lacking + `"read"`},
		{"PUT", "read", 403, lacking + `"write"`},
		{"POST", "read write", 403, denied},
		{"DELETE", "read write", 403, denied},
		{"OPTIONS", "read write", 403, denied},
		{"get", "read write", 403, denied},
		{"MADE-UP", "read write", 403, denied},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.have, func(t *testing.T) {
			w := serve(having(tt.have).Require(byMethod)(ok), sent(tt.method, "/"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, challengeOf(w))
		})
	}
}

func TestHEADHasARequirementOfItsOwnWhereItIsNamed(t *testing.T) {
	h := having("read").Require(middleware.ByMethod(map[string]middleware.Requirement{
		"GET":  middleware.Scopes(scope.All("read")),
		"HEAD": middleware.Scopes(scope.All("head")),
	}))(ok)
	require.Equal(t, 200, serve(h, sent("GET", "/")).Code)
	require.Equal(t, 403, serve(h, sent("HEAD", "/")).Code)
}

// So that a client asks for the right token at once.
func TestA401CarriesTheScopeOfTheMethod(t *testing.T) {
	h := middleware.New(&tokens{}).Require(
		middleware.ByMethod(map[string]middleware.Requirement{
			"GET":  middleware.Scopes(scope.All("read")),
			"PUT":  middleware.ByMethod(map[string]middleware.Requirement{"PUT": middleware.Scopes(scope.All("write"))}),
			"POST": requirement{func(*http.Request, *claims.Claims) error { return nil }, "one's own"},
		}),
		middleware.Scopes(scope.All("openid")),
	)(ok)
	tests := []struct{ method, scope string }{
		{"GET", "read openid"},
		{"HEAD", "read openid"},
		{"PUT", "write openid"},
		{"POST", "openid"},
		{"DELETE", "openid"},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			w := serve(h, plain(tt.method, "/"))
			require.Equal(t, 401, w.Code)
			require.Equal(t, `Bearer realm="api", scope="`+tt.scope+`"`, challengeOf(w))
			w = serve(h, plain(tt.method, "/", "Authorization", "Bearer bad"))
			require.Equal(t, invalidToken+`, scope="`+tt.scope+`"`, challengeOf(w))
		})
	}
}

func TestA400And403DoNotCarryWhatIsNotTheTrouble(t *testing.T) {
	h := middleware.New(&tokens{}).Require(middleware.Clients("portal"), middleware.Scopes(scope.All("read")), middleware.ACR("mfa"))(ok)
	require.NotContains(t, challengeOf(serve(h, request("Bearer a b"))), "scope")
	require.Equal(t, denied, challengeOf(serve(h, request("Bearer reader"))))
}

func TestTheFirstRequirementThatIsNotMetAnswers(t *testing.T) {
	scopes, clients, acr := middleware.Scopes(scope.All("read")), middleware.Clients("portal"), middleware.ACR("mfa")
	tests := []struct {
		name         string
		requirements []middleware.Requirement
		status       int
		failed       string
	}{
		{"scopes first", []middleware.Requirement{scopes, clients, acr}, 403, "scope read"},
		{"clients first", []middleware.Requirement{clients, acr, scopes}, 403, "client portal"},
		{"step-up first", []middleware.Requirement{acr, scopes, clients}, 401, "acr mfa"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			w := serve(saying(claims.Claims{}, noting(&seen)).Require(tt.requirements...)(ok), sent("GET", "/"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.failed, seen[0].Requirement)
		})
	}
}

func TestAnEmptyRequirementPanicsAtWiring(t *testing.T) {
	var none *requirement
	tests := []struct {
		name string
		wire func()
		want string
	}{
		{"no client", func() { middleware.Clients() }, "Clients needs at least one value"},
		{"an empty client", func() { middleware.Clients("portal", "") }, "Clients needs at least one value"},
		{"no issuer", func() { middleware.Issuers() }, "Issuers needs at least one value"},
		{"an empty issuer", func() { middleware.Issuers("https://login.example.com/", "") }, "Issuers needs at least one value"},
		{"no name of a claim", func() { middleware.Claim() }, "Claim needs at least one value"},
		{"an empty name on the way", func() { middleware.Claim("realm_access", "") }, "Claim needs at least one value"},
		{"a zero name", func() { middleware.ClaimName{}.IsTrue() }, "make one with Claim"},
		{"a zero name and a value", func() { middleware.ClaimName{}.Equals("x") }, "make one with Claim"},
		{"an empty value", func() { middleware.Claim("a").Equals("") }, "Claim.OneOf needs at least one value"},
		{"no value", func() { middleware.Claim("a").OneOf() }, "Claim.OneOf needs at least one value"},
		{"no element of all", func() { middleware.Claim("a").ContainsAll() }, "Claim.ContainsAll needs at least one value"},
		{"an empty element of all", func() { middleware.Claim("a").ContainsAll("x", "") }, "Claim.ContainsAll needs at least one value"},
		{"no element of any", func() { middleware.Claim("a").ContainsAny() }, "Claim.ContainsAny needs at least one value"},
		{"an empty element of any", func() { middleware.Claim("a").ContainsAny("x", "") }, "Claim.ContainsAny needs at least one value"},
		{"an empty path value", func() { middleware.Claim("a").EqualsPathValue("") }, "Claim.EqualsPathValue needs"},
		{"a path value as in a pattern", func() { middleware.Claim("a").EqualsPathValue("{org}") }, "write the name alone"},
		{"a path value as in gin", func() { middleware.Claim("a").EqualsPathValue(":org") }, "write the name alone"},
		{"no acr", func() { middleware.ACR() }, "ACR needs at least one value"},
		{"an empty acr", func() { middleware.ACR("") }, "ACR needs at least one value"},
		{"an acr with a space", func() { middleware.ACR("a b") }, "without space"},
		{"an acr with quotes", func() { middleware.ACR(`a"b`) }, "without space"},
		{"an acr beyond ASCII", func() { middleware.ACR("é") }, "without space"},
		{"no age", func() { middleware.MaxAuthAge(0) }, "whole seconds"},
		{"an age below zero", func() { middleware.MaxAuthAge(-time.Minute) }, "whole seconds"},
		{"an age that forgot its unit", func() { middleware.MaxAuthAge(300) }, "whole seconds"},
		{"an age with a fraction", func() { middleware.MaxAuthAge(1500 * time.Millisecond) }, "whole seconds"},
		{"no method", func() { middleware.ByMethod(nil) }, "at least one method"},
		{"an empty method", func() { middleware.ByMethod(map[string]middleware.Requirement{"": middleware.ACR("a")}) }, "upper case"},
		{"a method in lower case", func() { middleware.ByMethod(map[string]middleware.Requirement{"get": middleware.ACR("a")}) }, "upper case"},
		{"a method without a requirement", func() { middleware.ByMethod(map[string]middleware.Requirement{"GET": nil}) }, "nil requirement"},
		{"a method with a nil pointer", func() { middleware.ByMethod(map[string]middleware.Requirement{"GET": none}) }, "nil requirement"},
		{"no name of a function", func() { middleware.Func("", func(*http.Request, *claims.Claims) error { return nil }) }, "a name and a function"},
		{"no function", func() { middleware.Func("x", nil) }, "a name and a function"},
		{"a nil pointer", func() { saying(claims.Claims{}).Require(middleware.ACR("a"), none) }, "nil requirement"},
		{"no handler behind Optional", func() { saying(claims.Claims{}).Optional(nil) }, "nil handler"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.want) }()
			tt.wire()
		})
	}
}

func TestARequirementDoesNotChangeWithItsArguments(t *testing.T) {
	ids, methods := []string{"portal"}, map[string]middleware.Requirement{"GET": middleware.Clients("portal")}
	clients, byMethod := middleware.Clients(ids...), middleware.ByMethod(methods)
	ids[0], methods["GET"] = "evil", middleware.Clients("evil")
	h := saying(claims.Claims{ClientID: "evil"}).Require(clients)(ok)
	require.Equal(t, 403, serve(h, sent("GET", "/")).Code)
	h = saying(claims.Claims{ClientID: "evil"}).Require(byMethod)(ok)
	require.Equal(t, 403, serve(h, sent("GET", "/")).Code)
}

// A guard behind another one of its own says what both need: a client that asked
// for the rest alone would not get past the first any more.
func TestAChallengeNamesWhatTheGuardsFurtherOutNeed(t *testing.T) {
	mfa, age := middleware.ACR("mfa"), middleware.MaxAuthAge(time.Minute)
	tests := []struct {
		name      string
		have      claims.Claims
		wire      func(g *middleware.Guard) http.Handler
		status    int
		challenge string
	}{
		{"scopes", claims.Claims{Scope: scope.FromToken("read")},
			func(g *middleware.Guard) http.Handler { return g.RequireScope("read")(g.RequireScope("write")(ok)) },
			403, lacking + `"read write"`},
		{"scopes of three", claims.Claims{Scope: scope.FromToken("a b")},
			func(g *middleware.Guard) http.Handler {
				return g.RequireScope("a")(g.Handler(g.RequireScope("b")(g.Optional(g.RequireScope("c")(ok)))))
			},
			403, lacking + `"a b c"`},
		{"the alternative that was met", claims.Claims{Scope: scope.FromToken("b c")},
			func(g *middleware.Guard) http.Handler {
				return g.Require(middleware.Scopes(scope.Any("admin").Or(scope.All("b", "c"))))(g.RequireScope("d")(ok))
			},
			403, lacking + `"b c d"`},
		{"step-up", claims.Claims{Scope: scope.FromToken("read"), ACR: "mfa"},
			func(g *middleware.Guard) http.Handler {
				return g.Require(middleware.Scopes(scope.All("read")), mfa)(g.Require(age)(ok))
			},
			401, newer + `, scope="read", acr_values="mfa", max_age="60"`},
		{"by method", claims.Claims{Scope: scope.FromToken("read")},
			func(g *middleware.Guard) http.Handler {
				return g.Require(middleware.ByMethod(map[string]middleware.Requirement{
					"GET": middleware.Scopes(scope.All("read")), "PUT": middleware.Scopes(scope.All("write")),
				}))(g.RequireScope("labs")(ok))
			},
			403, lacking + `"read labs"`},
		{"another requirement needs nothing of the kind", claims.Claims{Scope: scope.FromToken("read"), ClientID: "portal"},
			func(g *middleware.Guard) http.Handler {
				return g.Require(middleware.Clients("portal"))(g.RequireScope("write")(ok))
			},
			403, lacking + `"write"`},
		{"another guard has tokens of its own", claims.Claims{Scope: scope.FromToken("read")},
			func(g *middleware.Guard) http.Handler {
				return g.RequireScope("read")(having("").RequireScope("write")(ok))
			},
			403, lacking + `"write"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(tt.wire(saying(tt.have)), sent("GET", "/"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, challengeOf(w))
		})
	}
}

// What one way through the routes needs is nothing to another one.
func TestGuardsSideBySideNeedNothingOfEachOther(t *testing.T) {
	guard := having("read labs")
	inner := [2]http.Handler{guard.RequireScope("labs")(guard.RequireScope("a")(ok)), guard.RequireScope("b")(ok)}
	both := guard.RequireScope("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, lacking+`"read labs a"`, challengeOf(serve(inner[0], r)))
		require.Equal(t, lacking+`"read b"`, challengeOf(serve(inner[1], r)))
	}))
	require.Equal(t, 200, serve(both, sent("GET", "/")).Code)
}

// An error that is made once, for all requests, does not gather what routes need.
func TestAnErrorOfOnesOwnIsNotChanged(t *testing.T) {
	again := &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication}
	guard := having("")
	for _, name := range []string{"a", "b"} {
		w := serve(guard.Require(failing(again), middleware.Scopes(scope.All(name)), middleware.ACR(name))(ok), sent("GET", "/"))
		require.Equal(t, `Bearer realm="api", error="insufficient_user_authentication", scope="`+name+`", acr_values="`+name+`"`, challengeOf(w))
	}
	require.Equal(t, &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication}, again)
}
