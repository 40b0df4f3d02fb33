package middleware_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// withClaims returns an option that sets the claims to what stands in the object.
func withClaims(t *testing.T, object string) []authtest.TokenOption {
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(object), &members))
	var options []authtest.TokenOption
	for name, value := range members {
		options = append(options, authtest.Claim(name, value))
	}
	return options
}

func TestClaimsThatAreAskedFor(t *testing.T) {
	claim := middleware.Claim
	tests := []struct {
		name        string
		requirement middleware.Requirement
		claims      string
		met         bool
	}{
		{"equals", claim("org_id").Equals("org-1"), `{"org_id":"org-1"}`, true},
		{"equals an escaped text", claim("org_id").Equals("org-1"), `{"org_id":"\u006frg-1"}`, true},
		{"equals another", claim("org_id").Equals("org-1"), `{"org_id":"org-2"}`, false},
		{"equals other letters", claim("org_id").Equals("org-1"), `{"org_id":"ORG-1"}`, false},
		{"equals with a space", claim("org_id").Equals("org-1"), `{"org_id":"org-1 "}`, false},
		{"equals a prefix", claim("org_id").Equals("org"), `{"org_id":"org-1"}`, false},
		{"equals, and it is missing", claim("org_id").Equals("org-1"), `{}`, false},
		{"equals, and the name has other letters", claim("org_id").Equals("org-1"), `{"Org_ID":"org-1"}`, false},
		{"equals null", claim("org_id").Equals("null"), `{"org_id":null}`, false},
		{"equals a number", claim("org_id").Equals("1"), `{"org_id":1}`, false},
		{"equals true", claim("org_id").Equals("true"), `{"org_id":true}`, false},
		{"equals an array of it", claim("org_id").Equals("org-1"), `{"org_id":["org-1"]}`, false},
		{"equals an object", claim("org_id").Equals("{}"), `{"org_id":{}}`, false},
		{"equals an empty text", claim("org_id").Equals("org-1"), `{"org_id":""}`, false},
		{"a registered claim", claim("sub").Equals("user-1"), `{}`, true},

		{"one of, the second", claim("plan").OneOf("gold", "silver"), `{"plan":"silver"}`, true},
		{"one of, none", claim("plan").OneOf("gold", "silver"), `{"plan":"gold silver"}`, false},
		{"one of, an array of both", claim("plan").OneOf("gold", "silver"), `{"plan":["gold","silver"]}`, false},

		{"contains", claim("roles").ContainsAll("nurse"), `{"roles":["doctor","nurse"]}`, true},
		{"contains, any", claim("roles").ContainsAny("nurse"), `{"roles":["doctor","nurse"]}`, true},
		{"contains an escaped text", claim("roles").ContainsAll("nurse"), `{"roles":["n\u0075rse"]}`, true},
		{"contains an escaped text, any", claim("roles").ContainsAny("nurse"), `{"roles":["n\u0075rse"]}`, true},
		{"contains all", claim("roles").ContainsAll("nurse", "doctor"), `{"roles":["doctor","nurse","x"]}`, true},
		{"contains one of two", claim("roles").ContainsAll("nurse", "doctor"), `{"roles":["doctor"]}`, false},
		{"contains part of an element", claim("roles").ContainsAll("nurse"), `{"roles":["head nurse","nurses"]}`, false},
		{"contains part of an element, any", claim("roles").ContainsAny("nurse"), `{"roles":["head nurse","nurses"]}`, false},
		{"contains part of a text", claim("roles").ContainsAll("nurse"), `{"roles":"head nurse"}`, false},
		{"contains part of a text, any", claim("roles").ContainsAny("nurse"), `{"roles":"head nurse"}`, false},
		{"contains part of a list", claim("roles").ContainsAll("nurse"), `{"roles":"doctor,nurse"}`, false},
		{"contains part of a list, any", claim("roles").ContainsAny("nurse"), `{"roles":"doctor,nurse"}`, false},
		{"contains, a single text", claim("roles").ContainsAll("nurse"), `{"roles":"nurse"}`, true},
		{"contains, a single text, any", claim("roles").ContainsAny("nurse"), `{"roles":"nurse"}`, true},
		{"contains any, the first", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":["x","nurse"]}`, true},
		{"contains any, the second", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":["doctor"]}`, true},
		{"contains any, both", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":["doctor","nurse"]}`, true},
		{"contains any, a single text", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":"doctor"}`, true},
		{"contains any, neither", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":["porter"]}`, false},
		{"contains any, both in one", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":["nurse doctor"]}`, false},
		{"contains any, empty", claim("roles").ContainsAny("nurse", "doctor"), `{"roles":[]}`, false},
		{"contains two, a single text", claim("roles").ContainsAll("nurse", "doctor"), `{"roles":"nurse"}`, false},
		{"contains, mixed elements", claim("roles").ContainsAll("nurse"), `{"roles":[null,1,true,{"nurse":1},["nurse"],"nurse"]}`, true},
		{"contains, mixed elements, any", claim("roles").ContainsAny("nurse"), `{"roles":[null,1,true,{"nurse":1},["nurse"],"nurse"]}`, true},
		{"contains, only within an element", claim("roles").ContainsAll("nurse"), `{"roles":[["nurse"],{"nurse":"nurse"}]}`, false},
		{"contains, only within an element, any", claim("roles").ContainsAny("nurse"), `{"roles":[["nurse"],{"nurse":"nurse"}]}`, false},
		{"contains, numbers", claim("roles").ContainsAll("1"), `{"roles":[1]}`, false},
		{"contains, numbers, any", claim("roles").ContainsAny("1"), `{"roles":[1]}`, false},
		{"contains, null", claim("roles").ContainsAll("null"), `{"roles":null}`, false},
		{"contains, null, any", claim("roles").ContainsAny("null"), `{"roles":null}`, false},
		{"contains, an array of null", claim("roles").ContainsAll("null"), `{"roles":[null]}`, false},
		{"contains, an array of null, any", claim("roles").ContainsAny("null"), `{"roles":[null]}`, false},
		{"contains, a number", claim("roles").ContainsAll("1"), `{"roles":1}`, false},
		{"contains, a number, any", claim("roles").ContainsAny("1"), `{"roles":1}`, false},
		{"contains, an object", claim("roles").ContainsAll("nurse"), `{"roles":{"nurse":"nurse"}}`, false},
		{"contains, an object, any", claim("roles").ContainsAny("nurse"), `{"roles":{"nurse":"nurse"}}`, false},
		{"contains, empty", claim("roles").ContainsAll("nurse"), `{"roles":[]}`, false},
		{"contains, empty, any", claim("roles").ContainsAny("nurse"), `{"roles":[]}`, false},
		{"contains, missing", claim("roles").ContainsAll("nurse"), `{}`, false},
		{"contains, missing, any", claim("roles").ContainsAny("nurse"), `{}`, false},

		{"nested", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"roles":["nurse"]}}`, true},
		{"nested, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"roles":["nurse"]}}`, true},
		{"nested thrice", claim("a", "b", "c").Equals("x"), `{"a":{"b":{"c":"x"}}}`, true},
		{"nested, escaped names", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"r\u006fles":["nurse"]}}`, true},
		{"nested, escaped names, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"r\u006fles":["nurse"]}}`, true},
		{"nested, another place", claim("realm_access", "roles").ContainsAll("nurse"), `{"roles":["nurse"],"realm_access":{}}`, false},
		{"nested, another place, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"roles":["nurse"],"realm_access":{}}`, false},
		{"nested, in an array", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":[{"roles":["nurse"]}]}`, false},
		{"nested, in an array, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":[{"roles":["nurse"]}]}`, false},
		{"nested, in a text", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":"{\"roles\":[\"nurse\"]}"}`, false},
		{"nested, in a text, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":"{\"roles\":[\"nurse\"]}"}`, false},
		{"nested, twice", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"roles":["nurse"],"roles":["nurse"]}}`, false},
		{"nested, twice, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"roles":["nurse"],"roles":["nurse"]}}`, false},
		{"nested, twice by an escape", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"roles":[],"r\u006fles":["nurse"]}}`, false},
		{"nested, twice by an escape, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"roles":[],"r\u006fles":["nurse"]}}`, false},
		{"nested, another name twice", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"roles":["nurse"],"x":1,"x":2}}`, false},
		{"nested, another name twice, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"roles":["nurse"],"x":1,"x":2}}`, false},
		{"nested, and other letters are another name", claim("realm_access", "roles").ContainsAll("nurse"), `{"realm_access":{"Roles":["nurse"],"roles":[]}}`, false},
		{"nested, and other letters are another name, any", claim("realm_access", "roles").ContainsAny("nurse"), `{"realm_access":{"Roles":["nurse"],"roles":[]}}`, false},
		{"the whole object is no text", claim("realm_access").ContainsAll("nurse"), `{"realm_access":{"nurse":"nurse"}}`, false},
		{"the whole object is no text, any", claim("realm_access").ContainsAny("nurse"), `{"realm_access":{"nurse":"nurse"}}`, false},
		{"a dot is no way", claim("realm_access.roles").ContainsAll("nurse"), `{"realm_access":{"roles":["nurse"]}}`, false},
		{"a dot is no way, any", claim("realm_access.roles").ContainsAny("nurse"), `{"realm_access":{"roles":["nurse"]}}`, false},
		{"a dot in the name", claim("realm_access.roles").ContainsAll("nurse"), `{"realm_access.roles":["nurse"]}`, true},
		{"a dot in the name, any", claim("realm_access.roles").ContainsAny("nurse"), `{"realm_access.roles":["nurse"]}`, true},
		{"a URL", claim("https://example.com/roles").ContainsAll("nurse"), `{"https://example.com/roles":["nurse"]}`, true},
		{"a URL, any", claim("https://example.com/roles").ContainsAny("nurse"), `{"https://example.com/roles":["nurse"]}`, true},
		{"a slash is no way", claim("a/b").Equals("x"), `{"a":{"b":"x"}}`, false},
		{"a dash and a star are names", claim("*", "-").Equals("x"), `{"*":{"-":"x"}}`, true},
		{"beyond ASCII", claim("größe").Equals("groß"), `{"größe":"groß"}`, true},
		{"beyond ASCII, composed otherwise", claim("name").Equals("\u00e9"), `{"name":"e\u0301"}`, false},

		{"true", claim("email_verified").IsTrue(), `{"email_verified":true}`, true},
		{"false", claim("email_verified").IsTrue(), `{"email_verified":false}`, false},
		{"the text true", claim("email_verified").IsTrue(), `{"email_verified":"true"}`, false},
		{"one is not true", claim("email_verified").IsTrue(), `{"email_verified":1}`, false},
		{"null is not true", claim("email_verified").IsTrue(), `{"email_verified":null}`, false},
		{"an array is not true", claim("email_verified").IsTrue(), `{"email_verified":[true]}`, false},
		{"missing is not true", claim("email_verified").IsTrue(), `{}`, false},
	}
	issuer := authtest.NewIssuer(t)
	validator := issuer.Validator(audience)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen []middleware.Decision
			h := middleware.New(validator, noting(&seen)).Require(tt.requirement)(ok)
			r := request()
			issuer.Authorize(r, withClaims(t, tt.claims)...)
			w := serve(h, r)
			if tt.met {
				require.Equal(t, 200, w.Code, seen[0].Refusal)
				return
			}
			require.Equal(t, 403, w.Code)
			require.Equal(t, denied, challengeOf(w))
			require.Equal(t, sayDenied, w.Body.String())
			require.Equal(t, tt.requirement.String(), seen[0].Requirement)
		})
	}
}

// A claim that occurs twice is none: the token is refused as a whole.
func TestAClaimThatOccursTwiceOpensNothing(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	h := middleware.New(issuer.Validator(audience)).Require(middleware.Claim("a", "b").Equals("x"))(ok)
	r := request()
	issuer.Authorize(r, authtest.Claim("a", json.RawMessage(`{"b":"x"}`)))
	require.Equal(t, 200, serve(h, r).Code)
	issuer.Authorize(r, authtest.Claim("a", json.RawMessage(`{"b":"x","b":"x"}`)))
	require.Equal(t, 403, serve(h, r).Code)
}

func TestClaimsThatWereNotReadFromATokenHaveNone(t *testing.T) {
	h := saying(claims.Claims{Subject: "user-1"}).Require(middleware.Claim("sub").Equals("user-1"))(ok)
	require.Equal(t, 403, serve(h, sent("GET", "/")).Code)
}

func TestAClaimEqualsAPathValue(t *testing.T) {
	tests := []struct {
		name, pattern, path string
		claims              string
		status              int
	}{
		{"the same", "GET /orgs/{org}/patients", "/orgs/org-1/patients", `{"org_id":"org-1"}`, 200},
		{"another", "GET /orgs/{org}/patients", "/orgs/org-2/patients", `{"org_id":"org-1"}`, 403},
		{"other letters", "GET /orgs/{org}", "/orgs/ORG-1", `{"org_id":"org-1"}`, 403},
		{"escaped without need", "GET /orgs/{org}", "/orgs/%6frg-1", `{"org_id":"org-1"}`, 200},
		{"an escaped slash", "GET /orgs/{org}", "/orgs/a%2Fb", `{"org_id":"a/b"}`, 200},
		{"an escaped slash is not the first part", "GET /orgs/{org}", "/orgs/org-1%2Fx", `{"org_id":"org-1"}`, 403},
		{"escaped twice", "GET /orgs/{org}", "/orgs/org%252D1", `{"org_id":"org-1"}`, 403},
		{"escaped dots", "GET /orgs/{org}", "/orgs/%2E%2E", `{"org_id":".."}`, 403},
		{"dots behind it, escaped", "GET /orgs/{org}/", "/orgs/org-1/%2e%2e/org-2/x", `{"org_id":"org-1"}`, 403},
		{"dots and a slash behind it, escaped", "GET /orgs/{org}/", "/orgs/org-1/..%2forg-2/x", `{"org_id":"org-1"}`, 403},
		{"dots and a backslash behind it", "GET /orgs/{org}/", "/orgs/org-1/..%5corg-2/x", `{"org_id":"org-1"}`, 403},
		{"dots and a parameter behind it", "GET /orgs/{org}/", "/orgs/org-1/%2e%2e;/org-2/x", `{"org_id":"org-1"}`, 403},
		{"one dot behind it", "GET /orgs/{org}/", "/orgs/org-1/%2e/x", `{"org_id":"org-1"}`, 403},
		{"dots that are a part of a name", "GET /orgs/{org}/", "/orgs/org-1/a..b/..c/d.", `{"org_id":"org-1"}`, 200},
		{"a wildcard of more than one part", "GET /orgs/{org...}", "/orgs/a/b", `{"org_id":"a/b"}`, 200},
		{"the rest is empty", "GET /orgs/{org...}", "/orgs/", `{"org_id":""}`, 403},
		{"the rest is empty, and so is no claim", "GET /orgs/{org...}", "/orgs/", `{}`, 403},
		{"another wildcard", "GET /orgs/{id}", "/orgs/org-1", `{"org_id":"org-1"}`, 403},
		{"no wildcard", "GET /orgs", "/orgs", `{"org_id":"org-1"}`, 403},
		{"no wildcard and an empty claim", "GET /orgs", "/orgs", `{"org_id":""}`, 403},
		{"no claim", "GET /orgs/{org}", "/orgs/org-1", `{}`, 403},
		{"a number", "GET /orgs/{org}", "/orgs/1", `{"org_id":1}`, 403},
		{"null", "GET /orgs/{org}", "/orgs/null", `{"org_id":null}`, 403},
		{"an array", "GET /orgs/{org}", "/orgs/org-1", `{"org_id":["org-1"]}`, 403},
		{"the query is no path", "GET /orgs/{org}", "/orgs/org-2?org=org-1", `{"org_id":"org-1"}`, 403},
	}
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(tt.pattern, guard.Require(middleware.Claim("org_id").EqualsPathValue("org"))(ok))
			r := plain("GET", tt.path)
			issuer.Authorize(r, withClaims(t, tt.claims)...)
			require.Equal(t, tt.status, serve(mux, r).Code)
		})
	}
}

// What a claim has may be personal, and is the client's to choose.
func TestNobodyIsToldWhatAClaimHas(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	claim := middleware.Claim("diagnosis")
	tests := []struct {
		requirement middleware.Requirement
		path        string
		value       any
		want        string
	}{
		{claim.Equals("x"), "/orgs/1", "private", "is another than the route asks for"},
		{claim.OneOf("x", "y"), "/orgs/1", "private", "is another than the route asks for"},
		{claim.Equals("x"), "/orgs/1", []string{"private"}, "is an array, not a text: ask for its elements with ContainsAny or ContainsAll"},
		{claim.OneOf("x", "y"), "/orgs/1", []string{"private", "x"}, "is an array, not a text: ask for its elements with ContainsAny or ContainsAll"},
		{claim.OneOf("x", "y"), "/orgs/1", map[string]string{"private": "x"}, "is no text"},
		{claim.ContainsAll("x"), "/orgs/1", []string{"private"}, `does not contain "x"`},
		{claim.ContainsAny("x", "y"), "/orgs/1", []string{"private"}, "contains nothing of what the route asks for"},
		{claim.IsTrue(), "/orgs/1", "private", "is not true"},
		{claim.EqualsPathValue("org"), "/orgs/1", "private", "is another than the path's"},
		{claim.EqualsPathValue("org"), "/orgs/1", 1, "is no text"},
		{claim.EqualsPathValue("organization"), "/orgs/1", "private", "cannot be compared: the route has no path value organization, or it is empty"},
		{claim.EqualsPathValue("org"), "/orgs/%2e%2e", "..", "cannot be compared: the path has . or .. in it"},
	}
	for _, tt := range tests {
		t.Run(tt.requirement.String()+", "+tt.want, func(t *testing.T) {
			var seen []middleware.Decision
			h := http.NewServeMux()
			h.Handle("/orgs/{org}", middleware.New(issuer.Validator(audience), noting(&seen)).Require(tt.requirement)(ok))
			r := httptest.NewRequest("GET", tt.path, nil)
			issuer.Authorize(r, authtest.Claim("diagnosis", tt.value))
			w := serve(h, r)
			require.Equal(t, 403, w.Code)
			require.EqualError(t, seen[0].Refusal.Err, "middleware: a requirement refuses the request: the claim diagnosis "+tt.want)
			require.NotContains(t, w.Body.String(), "diagnosis")
			issuer.Authorize(r)
			serve(h, r)
			require.EqualError(t, seen[1].Refusal.Err, "middleware: a requirement refuses the request: the token has no claim diagnosis")
			require.NotContains(t, seen[0].Refusal.Err.Error()+seen[0].Requirement, "private")
		})
	}
}

func TestRequirementsOfClaimsInWords(t *testing.T) {
	claim := middleware.Claim("realm_access", "roles")
	tests := []struct {
		requirement middleware.Requirement
		want        string
	}{
		{claim.Equals("nurse"), `claim realm_access/roles is "nurse"`},
		{claim.OneOf("nurse", "doctor"), `claim realm_access/roles is "nurse" or "doctor"`},
		{claim.ContainsAll("nurse", "doctor"), `claim realm_access/roles contains "nurse" and "doctor"`},
		{claim.ContainsAny("nurse", "doctor"), `claim realm_access/roles contains "nurse" or "doctor"`},
		{claim.IsTrue(), `claim realm_access/roles is true`},
		{claim.EqualsPathValue("org"), `claim realm_access/roles is {org} of the path`},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.requirement.String())
	}
	require.Equal(t, "https://example.com/roles", middleware.Claim("https://example.com/roles").String())
}

// A name or a list that somebody changes later changes no requirement.
func TestAClaimNameIsItsOwn(t *testing.T) {
	path := []string{"org_id"}
	name := middleware.Claim(path...)
	path[0] = "sub"
	require.Equal(t, "org_id", name.String())
	values := strings.Fields("a b")
	requirement := name.OneOf(values...)
	values[0] = "c"
	require.Equal(t, `claim org_id is "a" or "b"`, requirement.String())
}
