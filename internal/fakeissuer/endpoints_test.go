package fakeissuer_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/stretchr/testify/require"
)

// withClient returns an issuer that knows one client.
func withClient(t *testing.T) *fakeissuer.Issuer {
	t.Helper()
	issuer := newIssuer(t)
	issuer.AddClient("robot", "s3cret", audience, []string{"read:patients", "write:patients"})
	return issuer
}

// post asks the token endpoint. Credentials go into the Authorization header if
// they are not empty.
func post(t *testing.T, issuer *fakeissuer.Issuer, id, secret, contentType, body string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, issuer.TokenURL(), strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	if id != "" {
		request.SetBasicAuth(id, secret)
	}
	response, err := issuer.Client().Do(request)
	require.NoError(t, err)
	return response
}

const form = "application/x-www-form-urlencoded"

func TestAClientThatSendsNoAudienceIsToldWhichToSend(t *testing.T) {
	issuer := withClient(t)
	issuer.AddClient("robot", "s3cret", "https://example.com/a", nil)
	response := post(t, issuer, "robot", "s3cret", form, "grant_type=client_credentials")
	require.Equal(t, "no audience was sent: add audience=https://example.com/a or audience="+audience, object(t, response)["error_description"])
	response = post(t, issuer, "robot", "s3cret", form, "grant_type=client_credentials&audience=a&audience=b")
	require.Equal(t, "the client may not have tokens for this audience", object(t, response)["error_description"])
}

// RFC 6749 §2.3.1 has the credentials in the header encoded once more; many
// clients leave that out.
func TestCredentialsInTheHeaderMayBeEncodedAsInAForm(t *testing.T) {
	issuer := newIssuer(t)
	issuer.AddClient("robot 2", "a% b/", audience, []string{"read:patients"})
	const ask = "grant_type=client_credentials&audience=" + audience
	tests := []struct {
		id, secret string
		status     int
	}{
		{"robot+2", "a%25+b%2F", http.StatusOK},
		{"robot 2", "a% b/", http.StatusOK},
		{"robot+2", "a%25+b%2E", http.StatusUnauthorized},
		{"robot%zz", "a", http.StatusUnauthorized},
		{"robot+2", "a%zz", http.StatusUnauthorized},
	}
	for _, tt := range tests {
		require.Equal(t, tt.status, post(t, issuer, tt.id, tt.secret, form, ask).StatusCode, "%+v", tt)
	}
}

func TestAClientGetsATokenForItsAudience(t *testing.T) {
	issuer := withClient(t)
	const ask = "grant_type=client_credentials&audience=" + audience
	tests := []struct{ name, id, secret, body, scope string }{
		{"basic", "robot", "s3cret", ask, "read:patients write:patients"},
		{"post", "", "", ask + "&client_id=robot&client_secret=s3cret", "read:patients write:patients"},
		{"fewer scopes", "robot", "s3cret", ask + "&scope=write:patients", "write:patients"},
		{"for a resource (RFC 8707)", "robot", "s3cret", "grant_type=client_credentials&resource=" + audience, "read:patients write:patients"},
		{"for a resource that is the audience", "robot", "s3cret", ask + "&resource=" + audience, "read:patients write:patients"},
		{"an empty scope", "robot", "s3cret", ask + "&scope=", "read:patients write:patients"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := post(t, issuer, tt.id, tt.secret, form, tt.body)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
			reply := object(t, response)
			require.Equal(t, "Bearer", reply["token_type"])
			require.Equal(t, 3600.0, reply["expires_in"])
			require.Equal(t, tt.scope, reply["scope"])

			token, err := jwt.ParseString(reply["access_token"].(string),
				jwt.WithKeySet(keySet(t, issuer)), jwt.WithIssuer(issuer.URL()), jwt.WithAudience(audience),
				jwt.WithSubject("robot"), jwt.WithClaimValue("client_id", "robot"), jwt.WithClaimValue("scope", tt.scope))
			require.NoError(t, err)
			require.Equal(t, []string{audience}, token.Audience())
		})
	}
}

func TestWhatTheTokenEndpointRefuses(t *testing.T) {
	issuer := withClient(t)
	const ask = "grant_type=client_credentials&audience=" + audience
	tests := []struct {
		name, id, secret, contentType, body string
		status                              int
		code                                string
	}{
		{"a wrong secret", "robot", "secret", form, ask, 401, "invalid_client"},
		{"no secret", "robot", "", form, ask, 401, "invalid_client"},
		{"the start of the secret", "robot", "s3cre", form, ask, 401, "invalid_client"},
		{"a wrong secret in the body", "", "", form, ask + "&client_id=robot&client_secret=no", 401, "invalid_client"},
		{"the body where the header says otherwise", "robot", "no", form, ask + "&client_id=robot&client_secret=s3cret", 401, "invalid_client"},
		{"an unknown client", "other", "s3cret", form, ask, 401, "invalid_client"},
		{"an unknown client without a secret", "", "", form, ask + "&client_id=other", 401, "invalid_client"},
		{"no client", "", "", form, ask, 401, "invalid_client"},
		{"an unknown audience", "robot", "s3cret", form, ask + "/other", 400, "invalid_target"},
		{"no audience", "robot", "s3cret", form, "grant_type=client_credentials", 400, "invalid_target"},
		{"an unknown resource", "robot", "s3cret", form, "grant_type=client_credentials&resource=" + audience + "/other", 400, "invalid_target"},
		{"a resource that is not the audience", "robot", "s3cret", form, ask + "&resource=" + audience + "/other", 400, "invalid_target"},
		{"two resources", "robot", "s3cret", form, "grant_type=client_credentials&resource=" + audience + "/other&resource=" + audience, 400, "invalid_target"},
		{"a scope too wide", "robot", "s3cret", form, ask + "&scope=read:patients+admin", 400, "invalid_scope"},
		{"the start of a scope", "robot", "s3cret", form, ask + "&scope=read", 400, "invalid_scope"},
		{"another grant", "robot", "s3cret", form, "grant_type=password&audience=" + audience, 400, "unsupported_grant_type"},
		{"no grant", "robot", "s3cret", form, "audience=" + audience, 400, "unsupported_grant_type"},
		{"a form that is broken", "robot", "s3cret", form, ask + "&scope=%zz", 400, "invalid_request"},
		{"a form that is too long", "robot", "s3cret", form, ask + "&a=" + strings.Repeat("a", 64<<10), 400, "invalid_request"},
		{"JSON", "robot", "s3cret", "application/json", `{"grant_type":"client_credentials"}`, 400, "unsupported_grant_type"},
		{"no type of content", "robot", "s3cret", "", ask, 400, "unsupported_grant_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := post(t, issuer, tt.id, tt.secret, tt.contentType, tt.body)
			require.Equal(t, tt.status, response.StatusCode)
			challenged := response.Header.Get("WWW-Authenticate") != ""
			require.Equal(t, tt.status == 401 && tt.id != "", challenged, "RFC 6749 §5.2: where the header was tried")
			reply := object(t, response)
			require.Equal(t, tt.code, reply["error"])
			require.NotContains(t, reply, "access_token")
		})
	}
}

func TestTheQueryOfTheTokenEndpointCountsForNothing(t *testing.T) {
	issuer := withClient(t)
	query := url.Values{
		"grant_type": {"client_credentials"}, "audience": {audience}, "client_id": {"robot"}, "client_secret": {"s3cret"},
	}
	response, err := issuer.Client().Post(issuer.TokenURL()+"?"+query.Encode(), form, strings.NewReader(""))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

func TestAClientMayHaveSeveralAudiences(t *testing.T) {
	issuer := withClient(t)
	issuer.AddClient("robot", "s3cret", "https://example.com/labs", []string{"read:labs"})
	for asked, scope := range map[string]string{audience: "read:patients write:patients", "https://example.com/labs": "read:labs"} {
		response := post(t, issuer, "robot", "s3cret", form, "grant_type=client_credentials&audience="+asked)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, scope, object(t, response)["scope"])
	}
}

func TestTheScopesOfAClientAreACopy(t *testing.T) {
	issuer := newIssuer(t)
	scopes := []string{"read:patients"}
	issuer.AddClient("robot", "s3cret", audience, scopes)
	scopes[0] = "admin"
	response := post(t, issuer, "robot", "s3cret", form, "grant_type=client_credentials&audience="+audience)
	require.Equal(t, "read:patients", object(t, response)["scope"])
}

// userinfo asks who the user is.
func userinfo(t *testing.T, issuer *fakeissuer.Issuer, authorization string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, issuer.URL()+"userinfo", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", authorization)
	response, err := issuer.Client().Do(request)
	require.NoError(t, err)
	return response
}

func withScope(scope string) func(*fakeissuer.Token) {
	return func(token *fakeissuer.Token) { token.Claims["scope"] = scope }
}

func TestUserinfoIsTheProfileOfTheSubject(t *testing.T) {
	issuer := newIssuer(t)
	profile := map[string]any{"email": "ada@example.com"}
	issuer.AddUser(fakeissuer.User{Subject: "user-1", Profile: profile})
	for _, scheme := range []string{"Bearer", "bearer"} {
		response := userinfo(t, issuer, scheme+" "+sign(t, issuer, withScope("read:patients openid email")))
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, map[string]any{"sub": "user-1", "email": "ada@example.com"}, object(t, response))
	}
	require.NotContains(t, profile, "sub", "what the caller gave stays as it was")

	stranger := sign(t, issuer, func(token *fakeissuer.Token) {
		token.Claims["scope"] = "openid email"
		token.Claims["sub"] = "user-9"
	})
	require.Equal(t, map[string]any{"sub": "user-9"}, object(t, userinfo(t, issuer, "Bearer "+stranger)))
}

func TestUserinfoWantsATokenOfThisIssuerWithOpenID(t *testing.T) {
	issuer := newIssuer(t)
	other := newIssuer(t)
	good := sign(t, issuer, withScope("openid"))
	tests := []struct {
		name, authorization string
		status              int
		code                string
	}{
		{"no scope", "Bearer " + sign(t, issuer, nil), 403, "insufficient_scope"},
		{"no openid", "Bearer " + sign(t, issuer, withScope("read:patients openidx")), 403, "insufficient_scope"},
		{"a foreign token", "Bearer " + sign(t, other, withScope("openid")), 401, "invalid_token"},
		{"no token", "", 401, "invalid_token"},
		{"no scheme", good, 401, "invalid_token"},
		{"another scheme", "Basic " + good, 401, "invalid_token"},
		{"no signature", "Bearer " + good[:strings.LastIndexByte(good, '.')+1], 401, "invalid_token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := userinfo(t, issuer, tt.authorization)
			require.Equal(t, tt.status, response.StatusCode)
			require.Contains(t, response.Header.Get("WWW-Authenticate"), `Bearer error="`+tt.code+`"`)
			require.Equal(t, tt.code, object(t, response)["error"])
		})
	}
	require.Equal(t, http.StatusOK, userinfo(t, issuer, "Bearer "+good).StatusCode)
}

// Providers differ in where scopes stand and how, and each claim is read as package
// claims reads it: see TestUserinfoAndGuardsAgreeOnScopes in package authtest.
func TestUserinfoFindsOpenIDWhereverAProviderPutsIt(t *testing.T) {
	issuer := newIssuer(t)
	tests := []struct {
		name   string
		claims map[string]any
		status int
	}{
		{"scope in a text", map[string]any{"scope": "email openid"}, 200},
		{"scope in an array", map[string]any{"scope": []string{"email", "openid"}}, 200},
		{"scp in a text", map[string]any{"scp": "email openid"}, 200},
		{"scp in an array", map[string]any{"scp": []string{"email", "openid"}}, 200},
		{"one in each", map[string]any{"scope": "email", "scp": []string{"openid"}}, 200},
		{"in another claim", map[string]any{"permissions": []string{"openid"}}, 403},
		{"two in an element", map[string]any{"scope": []string{"email openid"}}, 403},
		{"separated by a line break", map[string]any{"scope": "email\nopenid"}, 403},
		{"a number among them", map[string]any{"scp": []any{"openid", 7}}, 403},
		{"an object", map[string]any{"scope": map[string]any{"openid": true}}, 403},
		{"in another case", map[string]any{"scope": "OpenID"}, 403},
		{"null", map[string]any{"scope": nil}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := sign(t, issuer, func(token *fakeissuer.Token) { maps.Copy(token.Claims, tt.claims) })
			require.Equal(t, tt.status, userinfo(t, issuer, "Bearer "+token).StatusCode)
		})
	}
}

// OpenID Connect Core §5.4.
func TestUserinfoTellsWhatTheScopesAskFor(t *testing.T) {
	issuer := newIssuer(t)
	byScope := map[string][]string{
		"profile": {
			"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
			"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
		},
		"email":   {"email", "email_verified"},
		"address": {"address"},
		"phone":   {"phone_number", "phone_number_verified"},
	}
	always := []string{"sub", "org_id", "https://example.com/department"}
	profile := map[string]any{"org_id": "org-1", "https://example.com/department": "cardiology"}
	var all []string
	for scope, names := range byScope {
		all = append(all, scope)
		for _, name := range names {
			profile[name] = "of ada"
		}
	}
	issuer.AddUser(fakeissuer.User{Subject: "user-1", Profile: profile})
	for _, asked := range append([][]string{nil, {"Email"}, {"offline_access"}, {"email", "phone"}, all},
		[]string{"profile"}, []string{"email"}, []string{"address"}, []string{"phone"}) {
		t.Run(strings.Join(asked, " "), func(t *testing.T) {
			want := slices.Clone(always)
			for _, scope := range asked {
				want = append(want, byScope[scope]...)
			}
			token := sign(t, issuer, func(token *fakeissuer.Token) { token.Claims["scp"] = append(asked, "openid") })
			told := object(t, userinfo(t, issuer, "Bearer "+token))
			require.ElementsMatch(t, want, slices.Collect(maps.Keys(told)))
		})
	}
	require.Len(t, issuer.Profile("user-1"), len(profile), "what is known of the user stays as it was")
}

func TestUserinfoRefusesWhatARemovedKeyHasSigned(t *testing.T) {
	issuer := newIssuer(t)
	token := sign(t, issuer, withScope("openid"))
	issuer.Rotate()
	require.Equal(t, http.StatusOK, userinfo(t, issuer, "Bearer "+token).StatusCode)
	issuer.RemoveOldKeys()
	require.Equal(t, http.StatusUnauthorized, userinfo(t, issuer, "Bearer "+token).StatusCode)
}

func TestUserinfoRefusesAnExpiredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		token := sign(t, issuer, withScope("openid"))
		time.Sleep(fakeissuer.Lifetime - time.Second)
		require.Equal(t, http.StatusOK, userinfo(t, issuer, "Bearer "+token).StatusCode)
		time.Sleep(time.Second) // now must be before exp (RFC 7519 §4.1.4)
		require.Equal(t, http.StatusUnauthorized, userinfo(t, issuer, "Bearer "+token).StatusCode)

		forever := sign(t, issuer, func(token *fakeissuer.Token) {
			token.Claims["scope"] = "openid"
			delete(token.Claims, "exp")
		})
		require.Equal(t, http.StatusUnauthorized, userinfo(t, issuer, "Bearer "+forever).StatusCode)
	})
}
