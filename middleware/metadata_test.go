package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

// trusting is a validator that tells whom it trusts, and for which API.
type trusting struct {
	validatorFunc
	audience string
	issuers  []string
}

func (v trusting) Audience() string  { return v.audience }
func (v trusting) Issuers() []string { return v.issuers }

var refusing = validatorFunc(func(context.Context, string) (*claims.Claims, error) { return nil, errors.New("secret cause") })

func metadataGuard(m middleware.ResourceMetadata, options ...middleware.Option) *middleware.Guard {
	v := trusting{refusing, "https://example.com/health-api", []string{"https://issuer.example/"}}
	return middleware.New(v, append(options, middleware.WithResourceMetadata(m))...)
}

// One resource, and everybody who may be asked for a token for it: where an issuer has
// another audience, it is for the program to say.
func TestMetadataOfSeveralIssuersNameTheFirstAudienceAndAllIssuers(t *testing.T) {
	validator, err := claims.NewValidator(
		claims.Config{Issuer: "https://login.example.com/", Audience: "https://example.com/health-api"},
		claims.WithIssuer(claims.Config{Issuer: "https://a-partner.example.com/", Audience: "https://example.com/another-name"}))
	require.NoError(t, err)
	for want, m := range map[string]middleware.ResourceMetadata{
		`["https://a-partner.example.com/","https://login.example.com/"]`: {},
		`["https://login.example.com/"]`:                                  {AuthorizationServers: []string{"https://login.example.com/"}},
	} {
		_, h := middleware.New(validator, middleware.WithResourceMetadata(m)).ResourceMetadata()
		require.JSONEq(t, `{"resource":"https://example.com/health-api","authorization_servers":`+want+`,"bearer_methods_supported":["header"]}`,
			serve(h, plain("GET", "/")).Body.String())
	}
}

// RFC 9728 §2, §3.2: what there is nothing to say of is left out.
func TestMetadataOfEachConfiguration(t *testing.T) {
	type m = middleware.ResourceMetadata
	const defaults = `"resource":"https://example.com/health-api","authorization_servers":["https://issuer.example/"]`
	routes := func(g *middleware.Guard) {
		g.RequireScope("read", "labs")(ok)
		g.Require(middleware.Scopes(scope.Any("admin", "read")))(ok)
		g.Require(middleware.ByMethod(map[string]middleware.Requirement{"PUT": middleware.Scopes(scope.All("write")), "GET": middleware.Clients("portal")}))(ok)
		g.Handler(ok)
		g.Optional(ok)
		g.RequireScope("unused") // for no handler
	}
	tests := []struct {
		name    string
		m       m
		options []middleware.Option
		routes  func(*middleware.Guard)
		want    string
	}{
		{"the defaults", m{}, nil, nil, `{` + defaults + `,"bearer_methods_supported":["header"]}`},
		{"the scopes of the routes", m{}, nil, routes, `{` + defaults + `,"scopes_supported":["admin","labs","read","write"],"bearer_methods_supported":["header"]}`},
		{"scopes of one's own", m{Scopes: []string{"z", "a"}}, nil, routes, `{` + defaults + `,"scopes_supported":["z","a"],"bearer_methods_supported":["header"]}`},
		{"no scopes", m{Scopes: []string{}}, nil, routes, `{` + defaults + `,"bearer_methods_supported":["header"]}`},
		{"a resource of one's own", m{Resource: "https://api.example:8443/v1?x=1"}, nil, nil, `{"resource":"https://api.example:8443/v1?x=1","authorization_servers":["https://issuer.example/"],"bearer_methods_supported":["header"]}`},
		{"issuers of one's own", m{AuthorizationServers: []string{"https://b.example", "https://a.example"}}, nil, nil, `{"resource":"https://example.com/health-api","authorization_servers":["https://b.example","https://a.example"],"bearer_methods_supported":["header"]}`},
		{"pages", m{Name: `Health "API"`, Documentation: "https://example.com/docs", Policy: "http://example.com/policy", Terms: "https://example.com/tos"}, nil, nil,
			`{` + defaults + `,"bearer_methods_supported":["header"],"resource_name":"Health \"API\"","resource_documentation":"https://example.com/docs","resource_policy_uri":"http://example.com/policy","resource_tos_uri":"https://example.com/tos"}`},
		{"a token in the form", m{}, []middleware.Option{middleware.AllowFormToken()}, nil, `{` + defaults + `,"bearer_methods_supported":["header","body"]}`},
		{"a token in the query", m{}, []middleware.Option{middleware.AllowQueryToken()}, nil, `{` + defaults + `,"bearer_methods_supported":["header","query"]}`},
		{"a token anywhere", m{}, everywhere(), nil, `{` + defaults + `,"bearer_methods_supported":["header","body","query"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guard := metadataGuard(tt.m, tt.options...)
			if tt.routes != nil {
				tt.routes(guard)
			}
			path, h := guard.ResourceMetadata()
			w := serve(h, plain("GET", path))
			require.Equal(t, 200, w.Code)
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
			require.Empty(t, challengeOf(w))
			require.Equal(t, tt.want+"\n", w.Body.String())
		})
	}
}

func TestOptionsAfterTheMetadataCountAsWell(t *testing.T) {
	guard := middleware.New(trusting{refusing, "https://example.com", []string{"i"}},
		middleware.WithResourceMetadata(middleware.ResourceMetadata{}), middleware.AllowQueryToken())
	_, h := guard.ResourceMetadata()
	require.Contains(t, serve(h, plain("GET", "/")).Body.String(), `["header","query"]`)
}

func TestAnIssuerAndItsAPIAreKnownFromTheValidator(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience), middleware.WithResourceMetadata(middleware.ResourceMetadata{}))
	path, h := guard.ResourceMetadata()
	require.Equal(t, "/.well-known/oauth-protected-resource/health-api", path)
	require.Equal(t, `{"resource":"https://example.com/health-api","authorization_servers":["`+issuer.URL()+`"],"bearer_methods_supported":["header"]}`+"\n", serve(h, plain("GET", path)).Body.String())
}

// RFC 9728 §3.1: between host and path, and in place of a slash that ends the host.
func TestTheMetadataAreBetweenHostAndPath(t *testing.T) {
	const wellKnown = "/.well-known/oauth-protected-resource"
	tests := []struct {
		resource, url, path, ask string
	}{
		{"https://h.example", "https://h.example" + wellKnown, wellKnown, wellKnown},
		{"https://h.example/", "https://h.example" + wellKnown, wellKnown, wellKnown},
		{"https://h.example:8443", "https://h.example:8443" + wellKnown, wellKnown, wellKnown},
		{"https://h.example/a", "https://h.example" + wellKnown + "/a", wellKnown + "/a", wellKnown + "/a"},
		{"https://h.example/a/", "https://h.example" + wellKnown + "/a/", wellKnown + "/a/", wellKnown + "/a/"},
		{"https://h.example/a/b/c", "https://h.example" + wellKnown + "/a/b/c", wellKnown + "/a/b/c", wellKnown + "/a/b/c"},
		{"https://h.example?x=1", "https://h.example" + wellKnown + "?x=1", wellKnown, wellKnown + "?x=1"},
		{"https://h.example/?x=1", "https://h.example" + wellKnown + "?x=1", wellKnown, wellKnown + "?x=1"},
		{"https://h.example/a?x=1&y", "https://h.example" + wellKnown + "/a?x=1&y", wellKnown + "/a", wellKnown + "/a?x=1&y"},
		{"https://h.example/a%2Fb", "https://h.example" + wellKnown + "/a%2Fb", wellKnown + "/a%2Fb", wellKnown + "/a%2Fb"},
		{"https://h.example/a%20b", "https://h.example" + wellKnown + "/a%20b", wellKnown + "/a%20b", wellKnown + "/a%20b"},
		{"https://h.example/%7Bx%7D", "https://h.example" + wellKnown + "/%7Bx%7D", wellKnown + "/%7Bx%7D", wellKnown + "/%7Bx%7D"},
		{"https://[::1]:8443/a", "https://[::1]:8443" + wellKnown + "/a", wellKnown + "/a", wellKnown + "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.resource, func(t *testing.T) {
			guard := metadataGuard(middleware.ResourceMetadata{Resource: tt.resource})
			require.Equal(t, `Bearer realm="api", resource_metadata="`+tt.url+`"`, challengeOf(serve(guard.Handler(ok), plain("GET", "/"))))
			path, h := guard.ResourceMetadata()
			require.Equal(t, tt.path, path)

			mux := http.NewServeMux()
			mux.Handle(guard.ResourceMetadata())
			mux.Handle("/", guard.Handler(ok))
			w := serve(mux, plain("GET", tt.ask))
			require.Equal(t, 200, w.Code)
			require.Equal(t, serve(h, plain("GET", "/")).Body.String(), w.Body.String())
			require.Contains(t, w.Body.String(), `"resource":`)
			require.Equal(t, 401, serve(mux, plain("GET", "/a")).Code)
		})
	}
}

func TestMetadataCanOnlyBeRead(t *testing.T) {
	_, h := metadataGuard(middleware.ResourceMetadata{}).ResourceMetadata()
	tests := []struct {
		method string
		status int
	}{{"GET", 200}, {"HEAD", 200}, {"POST", 405}, {"PUT", 405}, {"DELETE", 405}, {"get", 405}, {"OPTIONS", 204}}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			w := serve(h, plain(tt.method, "/"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
			if tt.status == 405 {
				require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
				require.NotContains(t, w.Body.String(), "resource")
			}
		})
	}
}

// RFC 9728 §5.1: in each challenge, also beside what else it says.
func TestEachChallengeNamesTheMetadata(t *testing.T) {
	const url = `resource_metadata="https://example.com/.well-known/oauth-protected-resource/health-api"`
	knowing := func(m middleware.ResourceMetadata) *middleware.Guard {
		return middleware.New(&tokens{}, middleware.WithResourceMetadata(m))
	}
	guard := knowing(middleware.ResourceMetadata{Resource: "https://example.com/health-api", AuthorizationServers: []string{"https://issuer.example/"}})
	h := guard.RequireScope("read:patients")(ok)
	tests := []struct {
		name      string
		handler   http.Handler
		header    string
		status    int
		challenge string
	}{
		{"no token", h, "", 401, `Bearer realm="api", scope="read:patients", ` + url},
		{"a bad token", h, "Bearer bad", 401, invalidToken + `, scope="read:patients", ` + url},
		{"no scope", h, "Bearer nobody", 403, lacking + `"read:patients", ` + url},
		{"malformed", h, "Bearer", 400, `Bearer realm="api", error="invalid_request", error_description="the request must have one Authorization header, with Bearer and one access token", ` + url},
		{"denied", guard.Require(middleware.Clients("x"))(ok), "Bearer nobody", 403, denied + ", " + url},
		{"step-up", guard.Require(middleware.ACR("mfa"))(ok), "Bearer nobody", 401, stronger + `, acr_values="mfa", ` + url},
		{"undecided", h, "Bearer unavailable", 503, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := plain("GET", "/")
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			w := serve(tt.handler, r)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, challengeOf(w))
		})
	}
}

func TestMetadataThatCannotBeMeantPanicAtWiring(t *testing.T) {
	type m = middleware.ResourceMetadata
	const resource = "set Resource to the https URL"
	with := func(v middleware.Validator, m m) func() {
		return func() { middleware.New(v, middleware.WithResourceMetadata(m)) }
	}
	knowing := trusting{refusing, "https://example.com/health-api", []string{"https://issuer.example/"}}
	of := func(audience string) trusting { return trusting{refusing, audience, knowing.issuers} }
	tests := []struct {
		name string
		wire func()
		want string
	}{
		{"an audience that is no URL", with(of("health-api"), m{}), resource},
		{"an audience that is a client", with(of("6e74172b-0000-4000-8000-000000000002"), m{}), resource},
		{"an audience of another scheme", with(of("api://default"), m{}), resource},
		{"an audience with http", with(of("http://example.com/health-api"), m{}), resource},
		{"an audience with a fragment", with(of("https://example.com/#a"), m{}), resource},
		{"an audience with an empty fragment", with(of("https://example.com/#"), m{}), resource},
		{"no audience", with(of(""), m{}), resource},
		{"a validator that does not tell", with(refusing, m{AuthorizationServers: knowing.issuers}), resource},
		{"http", with(knowing, m{Resource: "http://example.com"}), resource},
		{"a fragment", with(knowing, m{Resource: "https://example.com/a#b"}), resource},
		{"no host", with(knowing, m{Resource: "https:///a"}), resource},
		{"only a port", with(knowing, m{Resource: "https://:8443/a"}), resource},
		{"a path", with(knowing, m{Resource: "/a"}), resource},
		{"opaque", with(knowing, m{Resource: "https:example.com"}), resource},
		{"a user", with(knowing, m{Resource: "https://user@example.com"}), resource},
		{"a space", with(knowing, m{Resource: "https://example.com/a b"}), resource},
		{"a space at the end", with(knowing, m{Resource: "https://example.com "}), resource},
		{"braces", with(knowing, m{Resource: "https://example.com/{x}"}), resource},
		{"quotes", with(knowing, m{Resource: `https://example.com/"`}), resource},
		{"beyond ASCII", with(knowing, m{Resource: "https://example.com/é"}), resource},
		{"a malformed escape", with(knowing, m{Resource: "https://example.com/%zz"}), resource},
		{"no issuer", with(of("https://example.com"), m{AuthorizationServers: []string{}}), "set AuthorizationServers"},
		{"an empty issuer", with(knowing, m{AuthorizationServers: []string{"https://issuer.example", ""}}), "set AuthorizationServers"},
		{"issuers that nobody tells", with(refusing, m{Resource: "https://example.com"}), "set AuthorizationServers"},
		{"an empty scope", with(knowing, m{Scopes: []string{""}}), "a scope is empty"},
		{"a list in one scope", with(knowing, m{Scopes: []string{"read write"}}), "give each by itself"},
		{"a page that is none", with(knowing, m{Documentation: "docs"}), `"docs" is not the URL of a page`},
		{"a page of another scheme", with(knowing, m{Policy: "javascript:alert(1)"}), "is not the URL of a page"},
		{"a page without a host", with(knowing, m{Terms: "https:///tos"}), "is not the URL of a page"},
		{"a handler without the option", func() { middleware.New(knowing).ResourceMetadata() }, "needs the option WithResourceMetadata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.want) }()
			tt.wire()
		})
	}
}

func TestMetadataDoNotChangeWithTheirLists(t *testing.T) {
	m := middleware.ResourceMetadata{AuthorizationServers: []string{"https://a.example"}, Scopes: []string{"a"}}
	guard := metadataGuard(m)
	m.AuthorizationServers[0], m.Scopes[0] = "https://evil.example", "evil"
	_, h := guard.ResourceMetadata()
	require.NotContains(t, serve(h, plain("GET", "/")).Body.String(), "evil")
}

// An option may be used for several guards: each fills in what its own validator
// knows.
func TestOneOptionForSeveralGuards(t *testing.T) {
	option := middleware.WithResourceMetadata(middleware.ResourceMetadata{})
	for _, audience := range []string{"https://a.example", "https://b.example"} {
		_, h := middleware.New(trusting{refusing, audience, []string{audience + "/issuer"}}, option).ResourceMetadata()
		require.Contains(t, serve(h, plain("GET", "/")).Body.String(), `{"resource":"`+audience+`","authorization_servers":["`+audience+`/issuer"]`)
	}
}
