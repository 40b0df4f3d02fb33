package authtest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// parts returns what a token says, in JSON: the header and the payload.
func parts(t *testing.T, token string) [2]map[string]any {
	t.Helper()
	var decoded [2]map[string]any
	for i, text := range texts(t, token) {
		require.NoError(t, json.Unmarshal([]byte(text), &decoded[i]))
	}
	return decoded
}

// texts returns the header and the payload of a token as they are.
func texts(t *testing.T, token string) [2]string {
	t.Helper()
	encoded := strings.Split(token, ".")
	require.Len(t, encoded, 3)
	var decoded [2]string
	for i := range decoded {
		text, err := base64.RawURLEncoding.DecodeString(encoded[i])
		require.NoError(t, err)
		decoded[i] = string(text)
	}
	return decoded
}

func TestEachOptionSetsWhatItIsNamedAfter(t *testing.T) {
	at := time.Unix(1_900_000_000, 0)
	tests := []struct {
		option authtest.TokenOption
		part   int // 0 is the header
		name   string
		want   any
	}{
		{authtest.IssuedBy("https://other.example/"), 1, "iss", "https://other.example/"},
		{authtest.Subject("ada"), 1, "sub", "ada"},
		{authtest.Audience("a"), 1, "aud", "a"},
		{authtest.Audience("a", "b"), 1, "aud", []any{"a", "b"}},
		{authtest.ClientID("c"), 1, "client_id", "c"},
		{authtest.Machine("c"), 1, "client_id", "c"},
		{authtest.Machine("c"), 1, "sub", "c"},
		{authtest.Expiry(at), 1, "exp", 1.9e9},
		{authtest.NotBefore(at), 1, "nbf", 1.9e9},
		{authtest.IssuedAt(at), 1, "iat", 1.9e9},
		{authtest.AuthTime(at), 1, "auth_time", 1.9e9},
		{authtest.TokenID("id"), 1, "jti", "id"},
		{authtest.ACR("mfa"), 1, "acr", "mfa"},
		{authtest.Scope("a", "b"), 1, "scope", "a b"},
		{authtest.Claim("org_id", 1), 1, "org_id", 1.0},
		{authtest.WithoutClaim("sub"), 1, "sub", nil},
		{authtest.Type("JWT"), 0, "typ", "JWT"},
		{authtest.KeyID("k"), 0, "kid", "k"},
		{authtest.Header("x", true), 0, "x", true},
		{authtest.WithoutHeader("kid"), 0, "kid", nil},
		{authtest.WithoutHeader("alg"), 0, "alg", nil},
		{authtest.Algorithm("ES256"), 0, "alg", "ES256"},
		{authtest.TokenOption{}, 0, "alg", "RS256"},
	}
	issuer := authtest.NewIssuer(t)
	issuer.Validator(audience)
	for _, tt := range tests {
		require.Equal(t, tt.want, parts(t, issuer.Token(tt.option))[tt.part][tt.name], tt.name)
	}
}

func TestTheAlgorithmIsSetByItsOwnOption(t *testing.T) {
	require.PanicsWithValue(t, `authtest: Header("alg", …): use Algorithm, or RawHeader for a token that lies about it`,
		func() { authtest.Header("alg", "ES256") })
}

func TestTokensAreSignedWithAnyAlgorithmThatKeysHave(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	config := issuer.Config(audience)
	config.Algorithms = jwks.Algorithms()
	for _, algorithm := range jwks.Algorithms() {
		v, err := claims.NewValidator(config)
		require.NoError(t, err)
		_, err = v.Validate(t.Context(), issuer.Token(authtest.Algorithm(algorithm)))
		require.NoError(t, err, algorithm)
		config = issuer.Config(audience) // with keys that are not known yet
		config.Algorithms = jwks.Algorithms()
	}
	_, err := issuer.Validator(audience).Validate(t.Context(), issuer.Token(authtest.Algorithm("ES256")))
	require.ErrorIs(t, err, claims.ErrAlgorithm)
}

func TestRawTextsAreSignedAsTheyAre(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	header, payload := ` {"alg":"RS256"}`, `{"aud":"a","aud":"b"}`
	token := issuer.Token(authtest.RawHeader(header), authtest.RawPayload(payload)) // without an audience of a validator
	require.Equal(t, [2]string{header, payload}, texts(t, token))

	v := issuer.Validator(audience)
	good := issuer.Token()
	_, err := v.Validate(t.Context(), issuer.Token(authtest.RawPayload(texts(t, good)[1]+"  ")))
	require.NoError(t, err, "white space around JSON is JSON")
	_, err = v.Validate(t.Context(), issuer.Token(authtest.RawPayload(texts(t, good)[1]+"{}")))
	require.ErrorIs(t, err, claims.ErrMalformed)
}

var shapes = []authtest.Shape{
	authtest.RFC9068, authtest.Auth0, authtest.Okta, authtest.EntraIDv1, authtest.EntraIDv2,
	authtest.Keycloak, authtest.Cognito, authtest.Google,
}

func TestShapesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, shape := range shapes {
		require.False(t, seen[shape.String()])
		seen[shape.String()] = true
	}
	require.Equal(t, "Entra ID v2", authtest.EntraIDv2.String())
	require.Equal(t, "Shape(99)", authtest.Shape(99).String())
	require.Equal(t, "Shape(-1)", authtest.Shape(-1).String())
}

// Wherever Like stands, the other options have the last word.
func TestAccessTokensOfEachShapeAreAccepted(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	for _, shape := range shapes {
		if shape == authtest.Google {
			continue
		}
		t.Run(shape.String(), func(t *testing.T) {
			token := issuer.Token(authtest.Scope("read:patients", "openid"), authtest.ClientID("portal"), authtest.Like(shape), authtest.Subject("ada"))
			c, err := v.Validate(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, "read:patients openid", c.Scope.String())
			require.Equal(t, "portal", c.ClientID)
			require.Equal(t, "ada", c.Subject)
			require.Equal(t, []string{audience}, c.Audience)
			require.Equal(t, issuer.URL(), c.Issuer)
		})
	}
}

func TestIDTokensOfEachShapeAreRefused(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	for _, shape := range shapes {
		t.Run(shape.String(), func(t *testing.T) {
			token := issuer.IDToken(authtest.Like(shape), authtest.ClientID("portal"))
			payload := parts(t, token)[1]
			require.Equal(t, "portal", payload["aud"])
			require.Equal(t, "ada@example.com", payload["email"])
			if azp, has := payload["azp"]; has {
				require.Equal(t, "portal", azp)
			}
			_, err := v.Validate(t.Context(), token)
			require.ErrorIs(t, err, claims.ErrIDToken)

			// Its nonce alone refuses it, also if it has scopes.
			token = issuer.IDToken(authtest.Like(shape), authtest.Audience("portal", audience), authtest.Scope("read:patients"))
			_, err = v.Validate(t.Context(), token)
			require.ErrorIs(t, err, claims.ErrIDToken)
		})
	}
}

// What tells the shapes apart, as the documentation of their makers has it.
func TestShapes(t *testing.T) {
	tests := []struct {
		shape      authtest.Shape
		typ        any
		access, id map[string]any
	}{
		{authtest.RFC9068, "at+jwt", map[string]any{"client_id": "client-1"}, map[string]any{"azp": nil}},
		{authtest.Auth0, "JWT", map[string]any{"azp": "client-1", "client_id": nil}, map[string]any{"nickname": "ada@example.com"}},
		{authtest.Okta, nil, map[string]any{"cid": "client-1", "ver": 1.0}, map[string]any{"ver": 1.0}},
		{authtest.EntraIDv1, "JWT", map[string]any{"appid": "client-1", "ver": "1.0"}, map[string]any{"ver": "1.0", "upn": "ada@example.com"}},
		{authtest.EntraIDv2, "JWT", map[string]any{"azp": "client-1", "ver": "2.0"}, map[string]any{"ver": "2.0"}},
		{authtest.Keycloak, "JWT", map[string]any{"azp": "client-1", "typ": "Bearer"}, map[string]any{"typ": "ID"}},
		{authtest.Cognito, nil, map[string]any{"client_id": "client-1", "token_use": "access"}, map[string]any{"token_use": "id"}},
	}
	issuer := authtest.NewIssuer(t)
	issuer.Validator(audience)
	for _, tt := range tests {
		t.Run(tt.shape.String(), func(t *testing.T) {
			access, id := parts(t, issuer.Token(authtest.Like(tt.shape))), parts(t, issuer.IDToken(authtest.Like(tt.shape)))
			require.Equal(t, tt.typ, access[0]["typ"])
			for name, want := range tt.access {
				require.Equal(t, want, access[1][name], name)
			}
			for name, want := range tt.id {
				require.Equal(t, want, id[1][name], name)
			}
		})
	}
}

// What a machine's tokens say, and what only a user's do, as the documentation of their
// makers has it: see the tables in package claims.
func TestATokenOfAMachineIsThatInEachShape(t *testing.T) {
	const principal = "3c4d5e6f-0000-4000-8000-000000000003"
	tests := []struct {
		shape   authtest.Shape
		subject string
		says    map[string]any
	}{
		{authtest.RFC9068, "reporter", map[string]any{"client_id": "reporter"}},
		{authtest.Auth0, "reporter@clients", map[string]any{"azp": "reporter", "gty": "client-credentials"}},
		{authtest.Okta, "reporter", map[string]any{"cid": "reporter", "uid": nil, "auth_time": nil}},
		{authtest.EntraIDv1, principal, map[string]any{
			"appid": "reporter", "idtyp": "app", "oid": principal, "appidacr": "1", "acr": nil, "amr": nil, "ipaddr": nil, "unique_name": nil, "upn": nil,
		}},
		{authtest.EntraIDv2, principal, map[string]any{"azp": "reporter", "idtyp": "app", "oid": principal, "azpacr": "1", "preferred_username": nil}},
		{authtest.Keycloak, principal, map[string]any{
			"azp": "reporter", "preferred_username": "service-account-reporter", "typ": "Bearer", "sid": nil, "auth_time": nil, "email_verified": false,
		}},
		{authtest.Cognito, "reporter", map[string]any{"client_id": "reporter", "token_use": "access", "username": nil, "cognito:groups": nil}},
	}
	require.Len(t, tests, len(shapes)-1, "all but Google, whose access tokens are opaque")
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	for _, tt := range tests {
		t.Run(tt.shape.String(), func(t *testing.T) {
			for name, options := range map[string][]authtest.TokenOption{
				"alone":         {authtest.Machine("reporter"), authtest.Like(tt.shape)},
				"with scopes":   {authtest.Like(tt.shape), authtest.Machine("reporter"), authtest.Scope("read:patients")},
				"the last word": {authtest.Subject("ada"), authtest.ClientID("portal"), authtest.Machine("reporter"), authtest.Like(tt.shape)},
			} {
				token := issuer.Token(options...)
				c, err := v.Validate(t.Context(), token)
				require.NoError(t, err, name)
				require.Equal(t, claims.MachineSubject, c.SubjectKind(), name)
				require.Equal(t, "reporter", c.ClientID, name)
				require.Equal(t, tt.subject, c.Subject, name)
				payload := parts(t, token)[1]
				for claim, want := range tt.says {
					require.Equal(t, want, payload[claim], "%s: %s", name, claim)
				}
				for _, claim := range []string{"name", "email"} {
					require.NotContains(t, payload, claim, name)
				}
			}
			c, err := v.Validate(t.Context(), issuer.Token(authtest.Like(tt.shape), authtest.Scope("read:patients")))
			require.NoError(t, err)
			require.NotEqual(t, claims.MachineSubject, c.SubjectKind(), "a user's token of this shape")
		})
	}
}

func TestWhereAMachineIsNotKnownAsOne(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := issuer.Validator(audience)
	for _, shape := range []authtest.Shape{authtest.EntraIDv1, authtest.EntraIDv2} {
		token := issuer.Token(authtest.Like(shape), authtest.Machine("reporter"), authtest.WithoutClaim("idtyp"), authtest.Claim("roles", []string{"Reader"}))
		c, err := v.Validate(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, claims.UnknownSubject, c.SubjectKind(), shape)
	}
	payload := parts(t, issuer.Token(authtest.Like(authtest.Keycloak), authtest.Machine("Reporter")))[1]
	require.Equal(t, "Reporter", payload["azp"])
	require.Equal(t, "service-account-reporter", payload["preferred_username"], "Keycloak's names of users are in lower case")
	require.Regexp(t, `^ya29\.\w+$`, issuer.Token(authtest.Like(authtest.Google), authtest.Machine("reporter")))
}

func TestAnIDTokenIsOfAUserAlsoWhereTheClientIsAMachine(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	for _, shape := range shapes {
		payload := parts(t, issuer.IDToken(authtest.Like(shape), authtest.Machine("reporter")))[1]
		require.Equal(t, "reporter", payload["aud"], shape)
		require.Equal(t, authtest.DefaultSubject, payload["sub"], shape)
		require.Equal(t, "ada@example.com", payload["email"], shape)
	}
}

// Google's access tokens are no JWTs, and there is nothing to be set in them.
func TestAnAccessTokenOfGoogleIsOpaque(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	token := issuer.Token(authtest.Like(authtest.Google), authtest.Scope("read:patients"))
	require.Regexp(t, `^ya29\.\w+$`, token)
	_, err := issuer.Validator(audience).Validate(t.Context(), token)
	require.ErrorIs(t, err, claims.ErrMalformed)
}

func TestAnIDTokenIsOfItsUser(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	profile := map[string]any{"email": "eve@example.com"}
	issuer.AddUser("eve", profile)
	profile["email"] = "changed afterwards"
	payload := parts(t, issuer.IDToken(authtest.Subject("eve")))[1]
	require.Equal(t, "eve", payload["sub"])
	require.Equal(t, "eve@example.com", payload["email"])
	require.NotContains(t, payload, "name")
	payload = parts(t, issuer.IDToken(authtest.Subject("nobody"), authtest.Like(authtest.Okta)))[1]
	require.Equal(t, "nobody", payload["preferred_username"])
}

func TestTheConfigurationIsTheUsersToChange(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	config := issuer.Config(audience)
	config.Profile = claims.RFC9068
	config.AudienceAliases = []string{"https://example.com/old-name"}
	config.ScopeClaims = []string{"permissions"}
	config.Leeway = claims.NoLeeway
	v, err := claims.NewValidator(config)
	require.NoError(t, err)

	c, err := v.Validate(t.Context(), issuer.Token(authtest.Audience("https://example.com/old-name"), authtest.Claim("permissions", []string{"read"})))
	require.NoError(t, err)
	require.Equal(t, "read", c.Scope.String())
	_, err = v.Validate(t.Context(), issuer.Token(authtest.Like(authtest.Auth0)))
	require.ErrorIs(t, err, claims.ErrTokenType)
	_, err = v.Validate(t.Context(), issuer.Token(authtest.Expiry(time.Now().Add(-2*time.Second))))
	require.ErrorIs(t, err, claims.ErrExpired)
}

func TestClaimsAreThoseOfARealToken(t *testing.T) {
	type custom struct {
		Org string `json:"org_id"`
	}
	c := authtest.Claims(t, authtest.Subject("ada"), authtest.Scope("read:patients"), authtest.Claim("org_id", "org-1"))
	require.Equal(t, "ada", c.Subject)
	require.Equal(t, "read:patients", c.Scope.String())
	mine, err := claims.As[custom](c)
	require.NoError(t, err)
	require.Equal(t, "org-1", mine.Org)

	c = authtest.Claims(t, authtest.IssuedBy("https://my-domain.auth0.com/"), authtest.Audience(audience, "b"), authtest.Like(authtest.Auth0), authtest.Algorithm("ES256"))
	require.Equal(t, "https://my-domain.auth0.com/", c.Issuer)
	require.Equal(t, []string{audience, "b"}, c.Audience)
	require.Equal(t, authtest.DefaultClientID, c.ClientID)
}

func TestClaimsThatNoGuardLetsInFailTheTest(t *testing.T) {
	for name, option := range map[string]authtest.TokenOption{
		"expired":         authtest.Expiry(time.Now().Add(-time.Hour)),
		"no audience":     authtest.WithoutClaim("aud"),
		"empty audience":  authtest.Audience(),
		"no issuer":       authtest.WithoutClaim("iss"),
		"an opaque token": authtest.Like(authtest.Google),
		"bound":           authtest.Claim("cnf", map[string]any{"jkt": "x"}),
	} {
		t.Run(name, func(t *testing.T) {
			f := &failure{TB: t}
			require.PanicsWithValue(t, f, func() { authtest.Claims(f, option) })
			require.Contains(t, f.message, "authtest: no guard lets a token with these claims in: ")
		})
	}
}
