package claims_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

// The tokens of real authorization servers, in the shapes that their
// documentation gives them. The rules in kind.go are rules of thumb: these
// tables say whom they serve.

// A provider is an authorization server, one of its clients, and the API as it
// is called there. The issuer is in the form that this provider uses.
type provider struct{ issuer, api, client string }

var (
	// auth0.com/docs/secure/tokens/access-tokens/access-token-profiles.
	auth0 = provider{"https://my-domain.us.auth0.com/", "https://example.com/health-api", "my_client_id"}

	// developer.okta.com/docs/api/openapi/okta-oauth/guides/overview (access
	// token, ID token). support.okta.com, "The typ Field is Missing from the
	// Access Token Header": only the org authorization server sets typ.
	okta = provider{"https://example.okta.com/oauth2/default", "api://default", "0oabucvyc38HLL1ef0h7"}

	// learn.microsoft.com/entra/identity-platform: access-token-claims-reference,
	// id-token-claims-reference, optional-claims-reference.
	entra2 = provider{
		"https://login.microsoftonline.com/3c4d5e6f-0000-4000-8000-000000000001/v2.0",
		"6e74172b-0000-4000-8000-000000000002", "fa00d692-0000-4000-8000-000000000003",
	}
	entra1 = provider{
		"https://sts.windows.net/3c4d5e6f-0000-4000-8000-000000000001/",
		"api://6e74172b-0000-4000-8000-000000000002", entra2.client,
	}

	// keycloak.org/docs/latest: server_admin (audience support, lightweight access
	// tokens), upgrading to 25.0 (the nonce is left to the ID Token), release notes
	// of 26.2 (at+jwt as an option of the client).
	keycloak17 = provider{"https://sso.example.com/auth/realms/clinic", "health-api", "portal"}
	keycloak   = provider{"https://sso.example.com/realms/clinic", "health-api", "portal"}

	// docs.aws.amazon.com/cognito/latest/developerguide: "Understanding the access
	// token", "Understanding the identity (ID) token", "Resource binding".
	cognito = provider{"https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE", "https://example.com/health-api", "57cbishk4j24pabc1234567890"}

	// github.com/ory/fosite v0.49.0: token/jwt/claims_jwt.go, claims_id_token.go;
	// Hydra's strategies.jwt.scope_claim.
	hydra = provider{"https://hydra.example.com/", "https://example.com/health-api", "7c0f5b9e-0000-4000-8000-000000000004"}

	// docs.duendesoftware.com/identityserver/tokens ("Requesting Tokens").
	duende = provider{"https://identity.example.com", "health_api", "web_app"}

	// fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens. The aud of a
	// user's access token is the client, so that a client is what an API is called.
	fusionAuth = provider{"https://auth.example.com", "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e", "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e"}
	// Of client credentials, it is the target entity.
	fusionAuthEntities = provider{"https://auth.example.com", "d6d6b4e1-0000-4000-8000-000000000005", "2a4b0c5d-0000-4000-8000-000000000006"}

	// github.com/zitadel/oidc v3.51.17: pkg/oidc/token.go, pkg/op/token.go;
	// zitadel.com/docs/apis/openidoauth/claims. An API is a project.
	zitadel = provider{"https://example-abcdef.zitadel.cloud", "188888888888888888", "199999999999999999@clinic"}

	// developers.google.com/identity/openid-connect, "An ID token's payload";
	// cloud.google.com/docs/authentication/token-types (service accounts).
	google = provider{"https://accounts.google.com", "https://health.example.com", "1234987819200.apps.googleusercontent.com"}
)

const (
	noType  = ``
	jwtType = `,"typ":"JWT"`
	atType  = `,"typ":"at+jwt"`
	x5t     = `,"typ":"JWT","x5t":"key-1"` // Entra ID v1.0
)

// fill puts the provider's names, and the time, into the places for them.
func (p provider) fill(text string) string {
	return strings.NewReplacer("<api>", p.api, "<client>", p.client, "<iss>", p.issuer, "<now>", fmt.Sprint(time.Now().Unix())).Replace(text)
}

// sign returns a token that has iss, iat and exp as well. The header has alg and
// kid, too.
func (p provider) sign(header, claims string) string {
	return sign(`{"kid":"key-1","alg":"RS256"`+header+`}`,
		p.fill(fmt.Sprintf(`{"iss":"<iss>","iat":<now>,"exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), claims)))
}

func (p provider) validator(t *testing.T, profile claims.Profile, scopeClaims ...string) *claims.Validator {
	t.Helper()
	v, err := claims.NewValidator(claims.Config{
		Issuer: p.issuer, Audience: p.api, Keys: trustedSource(t), Profile: profile, ScopeClaims: scopeClaims,
	})
	require.NoError(t, err)
	return v
}

func TestHonestAccessTokensOfProviders(t *testing.T) {
	const userinfo = `"https://my-domain.us.auth0.com/userinfo"`
	const ada = `"name":"Ada Example","given_name":"Ada","family_name":"Example","preferred_username":"ada","email":"ada@example.com","email_verified":true`
	const user, machine, unknown = claims.UserSubject, claims.MachineSubject, claims.UnknownSubject
	tests := []struct {
		name     string
		provider provider
		header   string
		claims   string
		scopes   []string // Config.ScopeClaims
		strict   bool     // keeps to RFC 9068

		subject, client, scope string
		kind                   claims.SubjectKind
	}{
		{"Auth0, user", auth0, jwtType,
			`"sub":"auth0|123456","aud":["<api>",` + userinfo + `],"azp":"<client>","scope":"openid profile read:patients"`,
			nil, false, "auth0|123456", "<client>", "openid profile read:patients", unknown},
		{"Auth0, user of an organization, without scopes", auth0, jwtType,
			`"sub":"auth0|123456","aud":["<api>",` + userinfo + `],"azp":"<client>","org_id":"org_1","https://example.com/email":"ada@example.com"`,
			nil, false, "auth0|123456", "<client>", "", unknown},
		{"Auth0, user with RBAC", auth0, jwtType,
			`"sub":"auth0|123456","aud":["<api>",` + userinfo + `],"azp":"<client>","scope":"openid profile","permissions":["read:patients","write:patients"]`,
			[]string{"scope", "permissions"}, false, "auth0|123456", "<client>", "openid profile read:patients write:patients", unknown},
		{"Auth0, user with RBAC and no permission", auth0, jwtType,
			`"sub":"auth0|123456","aud":"<api>","azp":"<client>","permissions":[]`,
			[]string{"permissions"}, false, "auth0|123456", "<client>", "", unknown},
		{"Auth0, machine", auth0, jwtType,
			`"sub":"<client>@clients","aud":"<api>","azp":"<client>","scope":"read:patients","gty":"client-credentials"`,
			nil, false, "<client>@clients", "<client>", "read:patients", machine},
		{"Auth0, machine without scopes", auth0, jwtType,
			`"sub":"<client>@clients","aud":"<api>","azp":"<client>","gty":"client-credentials"`,
			nil, false, "<client>@clients", "<client>", "", machine},
		{"Auth0, machine with RBAC", auth0, jwtType,
			`"sub":"<client>@clients","aud":"<api>","azp":"<client>","scope":"read:patients","gty":"client-credentials","permissions":["read:patients"]`,
			[]string{"permissions"}, false, "<client>@clients", "<client>", "read:patients", machine},
		{"Auth0 with RFC 9068, user", auth0, atType,
			`"sub":"auth0|123456","aud":["<api>",` + userinfo + `],"client_id":"<client>","jti":"73WakrfVbNJBaAmhQtEeDv","scope":"openid profile read:patients"`,
			nil, true, "auth0|123456", "<client>", "openid profile read:patients", unknown},
		{"Auth0 with RFC 9068, user with RBAC", auth0, atType,
			`"sub":"auth0|123456","aud":["<api>",` + userinfo + `],"client_id":"<client>","jti":"73WakrfVbNJBaAmhQtEeDv","scope":"openid","permissions":["read:patients"]`,
			[]string{"permissions"}, true, "auth0|123456", "<client>", "read:patients", unknown},
		{"Auth0 with RFC 9068, machine", auth0, atType,
			`"sub":"<client>@clients","aud":"<api>","client_id":"<client>","jti":"73WakrfVbNJBaAmhQtEeDv","scope":"read:patients"`,
			nil, true, "<client>@clients", "<client>", "read:patients", machine},

		{"Okta, user", okta, noType,
			`"ver":1,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","aud":"<api>","sub":"ada@example.com","cid":"<client>","uid":"00uid4BxXw6I6TV4m0g3","scp":["openid","read:patients"],"auth_time":<now>`,
			nil, false, "ada@example.com", "<client>", "openid read:patients", user},
		{"Okta, machine", okta, noType,
			`"ver":1,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","aud":"<api>","sub":"<client>","cid":"<client>","scp":["read:patients"]`,
			nil, false, "<client>", "<client>", "read:patients", machine},

		{"Entra ID v2.0, delegated", entra2, jwtType,
			`"aud":"<api>","nbf":<now>,"aio":"A","azp":"<client>","azpacr":"0","name":"Ada Example","oid":"o","preferred_username":"ada@example.com","rh":"r","scp":"Patients.Read access_as_user","sub":"s","tid":"t","uti":"u","ver":"2.0"`,
			nil, false, "s", "<client>", "Patients.Read access_as_user", user},
		{"Entra ID v2.0, delegated, with optional claims", entra2, jwtType,
			`"aud":"<api>","nbf":<now>,"acct":0,"acrs":["c1"],"auth_time":<now>,"azp":"<client>","azpacr":"0","email":"ada@example.com","family_name":"Example","given_name":"Ada","idtyp":"user","ipaddr":"192.0.2.1","oid":"o","roles":["Nurse"],"scp":"Patients.Read","sid":"s","sub":"s","tid":"t","upn":"ada@example.com","uti":"u","ver":"2.0","xms_cc":["cp1"]`,
			nil, false, "s", "<client>", "Patients.Read", user},
		{"Entra ID v2.0, app-only", entra2, jwtType,
			`"aud":"<api>","nbf":<now>,"aio":"A","azp":"<client>","azpacr":"1","oid":"o","rh":"r","roles":["Patients.Read.All"],"sub":"o","tid":"t","uti":"u","ver":"2.0"`,
			[]string{"scp", "roles"}, false, "o", "<client>", "Patients.Read.All", unknown},
		{"Entra ID v2.0, app-only, without roles", entra2, jwtType,
			`"aud":"<api>","nbf":<now>,"aio":"A","azp":"<client>","azpacr":"2","oid":"o","rh":"r","sub":"o","tid":"t","uti":"u","ver":"2.0"`,
			nil, false, "o", "<client>", "", unknown},
		{"Entra ID v2.0, app-only, with idtyp", entra2, jwtType,
			`"aud":"<api>","nbf":<now>,"aio":"A","azp":"<client>","azpacr":"1","idtyp":"app","oid":"o","rh":"r","roles":["Patients.Read.All"],"sub":"o","tid":"t","uti":"u","ver":"2.0"`,
			nil, false, "o", "<client>", "", machine},
		{"Entra ID v1.0, delegated", entra1, x5t,
			`"aud":"<api>","nbf":<now>,"acr":"1","aio":"A","amr":["pwd","mfa"],"appid":"<client>","appidacr":"0","family_name":"Example","given_name":"Ada","ipaddr":"192.0.2.1","name":"Ada Example","oid":"o","rh":"r","scp":"Patients.Read","sub":"s","tid":"t","unique_name":"ada@example.com","upn":"ada@example.com","uti":"u","ver":"1.0"`,
			nil, false, "s", "<client>", "Patients.Read", user},
		{"Entra ID v1.0, app-only", entra1, x5t,
			`"aud":"<api>","nbf":<now>,"aio":"A","appid":"<client>","appidacr":"1","idp":"<iss>","oid":"o","rh":"r","roles":["Patients.Read.All"],"sub":"o","tid":"t","uti":"u","ver":"1.0"`,
			[]string{"roles"}, false, "o", "<client>", "Patients.Read.All", unknown},
		{"Entra ID v1.0, app-only, with idtyp", entra1, x5t,
			`"aud":"<api>","nbf":<now>,"aio":"A","appid":"<client>","appidacr":"1","idp":"<iss>","idtyp":"app","oid":"o","rh":"r","sub":"o","tid":"t","uti":"u","ver":"1.0"`,
			nil, false, "o", "<client>", "", machine},

		{"old Keycloak, user", keycloak17, jwtType,
			`"auth_time":<now>,"jti":"j","aud":["<api>","account"],"sub":"s","typ":"Bearer","azp":"<client>","nonce":"n","session_state":"x","acr":"1","allowed-origins":["https://portal.example.com"],"realm_access":{"roles":["nurse"]},"resource_access":{"account":{"roles":["view-profile"]}},"scope":"openid profile email","sid":"x",` + ada,
			nil, false, "s", "<client>", "openid profile email", user},
		{"old Keycloak, service account", keycloak17, jwtType,
			`"jti":"j","aud":["<api>","account"],"sub":"s","typ":"Bearer","azp":"<client>","acr":"1","realm_access":{"roles":["nurse"]},"scope":"profile email","clientId":"<client>","clientHost":"192.0.2.1","clientAddress":"192.0.2.1","email_verified":false,"preferred_username":"service-account-portal"`,
			nil, false, "s", "<client>", "profile email", machine},
		{"Keycloak, user", keycloak, jwtType,
			`"auth_time":<now>,"jti":"onrtac:j","aud":["<api>","account"],"sub":"s","typ":"Bearer","azp":"<client>","sid":"x","acr":"1","realm_access":{"roles":["nurse"]},"scope":"openid profile email",` + ada,
			nil, false, "s", "<client>", "openid profile email", user},
		{"Keycloak, user, with the mapper for the nonce", keycloak, jwtType,
			`"auth_time":<now>,"jti":"onrtac:j","aud":"<api>","sub":"s","typ":"Bearer","azp":"<client>","nonce":"n","sid":"x","acr":"1","scope":"openid"`,
			nil, false, "s", "<client>", "openid", user},
		{"Keycloak, user, without scopes in the token", keycloak, jwtType,
			`"jti":"j","aud":"<api>","sub":"s","typ":"Bearer","azp":"<client>","sid":"x","acr":"1","scope":"",` + ada,
			nil, false, "s", "<client>", "", user},
		{"Keycloak, service account", keycloak, jwtType,
			`"jti":"trrtcc:j","aud":["<api>","account"],"sub":"s","typ":"Bearer","azp":"<client>","acr":"1","realm_access":{"roles":["nurse"]},"scope":"profile email","clientHost":"192.0.2.1","clientAddress":"192.0.2.1","client_id":"<client>","email_verified":false,"preferred_username":"service-account-portal"`,
			nil, false, "s", "<client>", "profile email", machine},
		{"Keycloak, lightweight", keycloak, jwtType,
			`"jti":"onltac:j","aud":"<api>","typ":"Bearer","azp":"<client>","sid":"x","scope":"openid profile email"`,
			nil, false, "", "<client>", "openid profile email", user},
		{"Keycloak with at+jwt, user", keycloak, atType, // no client_id: not yet RFC 9068
			`"auth_time":<now>,"jti":"onrtac:j","aud":"<api>","sub":"s","typ":"Bearer","azp":"<client>","sid":"x","acr":"1","scope":"openid"`,
			nil, false, "s", "<client>", "openid", user},
		{"Keycloak with at+jwt, service account", keycloak, atType,
			`"jti":"trrtcc:j","aud":"<api>","sub":"s","typ":"Bearer","azp":"<client>","acr":"1","scope":"profile","client_id":"<client>"`,
			nil, true, "s", "<client>", "profile", unknown},

		{"Cognito, user, bound to a resource", cognito, noType,
			`"sub":"s","cognito:groups":["nurses"],"version":2,"client_id":"<client>","origin_jti":"o","event_id":"e","token_use":"access","scope":"openid <api>/read","auth_time":<now>,"jti":"j","username":"ada","aud":"<api>"`,
			nil, false, "s", "<client>", "<api>/read openid", user},

		{"Ory Hydra, user", hydra, jwtType,
			`"aud":["<api>"],"client_id":"<client>","ext":{},"jti":"j","nbf":<now>,"scp":["openid","read:patients"],"sub":"s"`,
			nil, false, "s", "<client>", "openid read:patients", unknown},
		{"Ory Hydra, user, with scope as a string", hydra, jwtType,
			`"aud":["<api>"],"client_id":"<client>","ext":{"email":"ada@example.com"},"jti":"j","nbf":<now>,"scope":"openid read:patients","sub":"s"`,
			nil, false, "s", "<client>", "openid read:patients", unknown},
		{"Ory Hydra, machine, with both", hydra, jwtType,
			`"aud":["<api>"],"client_id":"<client>","ext":{},"jti":"j","nbf":<now>,"scope":"read:patients","scp":["read:patients"],"sub":"<client>"`,
			nil, false, "<client>", "<client>", "read:patients", machine},

		{"Duende IdentityServer, user", duende, atType,
			`"nbf":<now>,"aud":"<api>","scope":["openid","read"],"amr":["pwd"],"client_id":"<client>","sub":"123","auth_time":<now>,"idp":"local","sid":"x","jti":"2C56A356A306E64AFC7D2C6399E23A17"`,
			nil, true, "123", "<client>", "openid read", user},
		{"Duende IdentityServer, user, with scope as a string", duende, atType,
			`"nbf":<now>,"aud":["<api>","other_api"],"scope":"openid read","amr":["pwd"],"client_id":"<client>","sub":"123","auth_time":<now>,"idp":"local","sid":"x","jti":"j"`,
			nil, true, "123", "<client>", "openid read", user},
		{"Duende IdentityServer, machine", duende, atType, // no sub: not quite RFC 9068
			`"nbf":<now>,"aud":"<api>","scope":["read"],"client_id":"<client>","jti":"j"`,
			nil, false, "", "<client>", "read", unknown},
		{"IdentityServer4 of old, user", duende, jwtType,
			`"nbf":<now>,"aud":["<iss>/resources","<api>"],"client_id":"<client>","sub":"123","auth_time":<now>,"idp":"local","scope":["openid","read"],"amr":["pwd"]`,
			nil, false, "123", "<client>", "openid read", user},

		{"FusionAuth 1.50, user", fusionAuth, `,"typ":"JWT","gty":["authorization_code"]`,
			`"aud":"<client>","sub":"s","jti":"j","authenticationType":"PASSWORD","email":"ada@example.com","email_verified":true,"applicationId":"<client>","scope":"offline_access openid","roles":["nurse"],"sid":"x","auth_time":<now>,"tid":"t"`,
			nil, false, "s", "", "offline_access openid", user},
		{"FusionAuth 1.60, user, strict", fusionAuth, jwtType,
			`"aud":"<client>","sub":"s","jti":"j","authenticationType":"PASSWORD","applicationId":"<client>","gty":["authorization_code"],"scope":"openid","roles":[],"auth_time":<now>,"tid":"t"`,
			nil, false, "s", "", "openid", user},
		{"FusionAuth, machine", fusionAuthEntities, `,"typ":"JWT","gty":["client_credentials"]`,
			`"aud":"<api>","sub":"<client>","jti":"j","scope":"target-entity:<api>:read","permissions":["read"],"tid":"t"`,
			[]string{"permissions"}, false, "<client>", "", "read", unknown},

		{"ZITADEL, user", zitadel, jwtType,
			`"aud":["<client>","<api>"],"client_id":"<client>","jti":"V2_1-at_2","nbf":<now>,"sub":"s","urn:zitadel:iam:org:project:roles":{"nurse":{"1":"clinic.example.com"}}`,
			nil, false, "s", "<client>", "", unknown},
		{"ZITADEL, machine, older", zitadel, jwtType,
			`"aud":["<client>","<api>"],"jti":"j","nbf":<now>,"sub":"s"`,
			nil, false, "s", "", "", unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := tt.provider.sign(tt.header, tt.claims)
			c, err := tt.provider.validator(t, claims.AnyProfile, tt.scopes...).Validate(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, tt.provider.fill(tt.subject), c.Subject)
			require.Equal(t, tt.provider.fill(tt.client), c.ClientID)
			require.ElementsMatch(t, strings.Fields(tt.provider.fill(tt.scope)), strings.Fields(c.Scope.String()))
			require.Equal(t, tt.kind, c.SubjectKind())

			_, err = tt.provider.validator(t, claims.RFC9068, tt.scopes...).Validate(t.Context(), token)
			require.Equal(t, tt.strict, err == nil, "under RFC9068: %v", err)
		})
	}
}

func TestIDTokensOfProvidersOpenNothing(t *testing.T) {
	tests := []struct {
		name     string
		provider provider
		header   string
		claims   string // without aud
	}{
		{"Auth0", auth0, jwtType,
			`"nickname":"ada","name":"Ada Example","picture":"https://example.com/ada.png","updated_at":"2026-01-01T00:00:00.000Z","email":"ada@example.com","email_verified":true,"sub":"auth0|123456","sid":"x","nonce":"n"`},
		{"Auth0, only openid", auth0, jwtType, `"sub":"auth0|123456","sid":"x"`},
		{"Auth0, implicit", auth0, jwtType, `"sub":"auth0|123456","nonce":"n","at_hash":"h"`},
		{"Okta", okta, noType,
			`"ver":1,"jti":"ID.x","amr":["pwd"],"idp":"00o1","sub":"00uid4BxXw6I6TV4m0g3","nonce":"n","name":"Ada Example","email":"ada@example.com","preferred_username":"ada@example.com","auth_time":<now>,"at_hash":"h"`},
		{"Okta, only openid", okta, noType, `"ver":1,"jti":"ID.x","amr":["pwd"],"idp":"00o1","sub":"00uid4BxXw6I6TV4m0g3","auth_time":<now>`},
		{"Entra ID v2.0", entra2, jwtType,
			`"nbf":<now>,"aio":"A","name":"Ada Example","nonce":"n","oid":"o","preferred_username":"ada@example.com","rh":"r","sub":"s","tid":"t","uti":"u","ver":"2.0"`},
		{"Entra ID v2.0, without a nonce, with roles", entra2, jwtType,
			`"nbf":<now>,"aio":"A","name":"Ada Example","oid":"o","preferred_username":"ada@example.com","rh":"r","roles":["Nurse"],"groups":["g"],"sub":"s","tid":"t","uti":"u","ver":"2.0"`},
		{"Entra ID v2.0, hybrid", entra2, jwtType, `"nbf":<now>,"aio":"A","c_hash":"h","nonce":"n","rh":"r","sub":"s","tid":"t","uti":"u","ver":"2.0"`},
		{"Entra ID v1.0", entra1, x5t,
			`"nbf":<now>,"amr":["pwd"],"family_name":"Example","given_name":"Ada","ipaddr":"192.0.2.1","name":"Ada Example","oid":"o","rh":"r","sub":"s","tid":"t","unique_name":"ada@example.com","upn":"ada@example.com","uti":"u","ver":"1.0"`},
		{"old Keycloak", keycloak17, jwtType,
			`"auth_time":<now>,"jti":"j","sub":"s","typ":"ID","azp":"<client>","nonce":"n","session_state":"x","at_hash":"h","acr":"1","sid":"x","email_verified":true,"preferred_username":"ada"`},
		{"Keycloak, only openid", keycloak, jwtType, `"jti":"j","sub":"s","typ":"ID","azp":"<client>"`},
		{"Cognito", cognito, noType,
			`"sub":"s","cognito:groups":["nurses"],"email_verified":true,"cognito:username":"ada","nonce":"n","origin_jti":"o","event_id":"e","token_use":"id","auth_time":<now>,"jti":"j","email":"ada@example.com","at_hash":"h"`},
		{"Cognito, by the SDK", cognito, noType, `"sub":"s","cognito:username":"ada","origin_jti":"o","event_id":"e","token_use":"id","auth_time":<now>,"jti":"j"`},
		{"Ory Hydra", hydra, jwtType,
			`"amr":[],"at_hash":"h","auth_time":<now>,"jti":"j","nonce":"n","rat":<now>,"sid":"x","sub":"s"`},
		{"Ory Hydra, without a nonce", hydra, jwtType, `"at_hash":"h","auth_time":<now>,"jti":"j","rat":<now>,"sid":"x","sub":"s"`},
		{"Duende IdentityServer", duende, jwtType,
			`"nbf":<now>,"amr":["pwd"],"nonce":"n","at_hash":"h","sid":"x","sub":"123","auth_time":<now>,"idp":"local"`},
		{"FusionAuth", fusionAuth, `,"typ":"JWT","gty":["authorization_code"]`,
			`"sub":"s","jti":"j","authenticationType":"PASSWORD","email":"ada@example.com","email_verified":true,"at_hash":"h","nonce":"n","scope":"offline_access openid","auth_time":<now>,"tid":"t","sid":"x"`},
		{"FusionAuth, without a nonce", fusionAuth, jwtType,
			`"sub":"s","jti":"j","authenticationType":"PASSWORD","at_hash":"h","scope":"openid","auth_time":<now>,"tid":"t"`},
		{"ZITADEL", zitadel, jwtType,
			`"amr":["password","mfa"],"at_hash":"h","auth_time":<now>,"azp":"<client>","client_id":"<client>","sub":"s","name":"Ada Example","email":"ada@example.com"`},
		{"ZITADEL, implicit", zitadel, jwtType,
			`"amr":["password"],"auth_time":<now>,"azp":"<client>","client_id":"<client>","nonce":"n","sub":"s"`},
		{"Google", google, jwtType,
			`"azp":"<client>","sub":"10769150350006150715113082367","at_hash":"h","hd":"example.com","email":"ada@example.com","email_verified":true,"name":"Ada Example","picture":"https://example.com/ada.png","nonce":"n"`},
		{"Google, service account", google, jwtType,
			`"azp":"104029292853099978293","sub":"104029292853099978293","email":"job@example.iam.gserviceaccount.com","email_verified":true`},
	}
	for _, tt := range tests {
		same := tt.provider // the API and its client have one name
		same.api = same.client
		for _, form := range []struct {
			name     string
			provider provider
			aud      string
		}{
			{"for the client", tt.provider, `"<client>"`},
			{"for the client alone, in an array", tt.provider, `["<client>"]`},
			{"for the client and the API", tt.provider, `["<client>","<api>"]`},
			{"for the API", tt.provider, `"<api>"`},
			{"for a client that is called as the API is", same, `"<client>"`},
		} {
			t.Run(tt.name+"/"+form.name, func(t *testing.T) {
				token := form.provider.sign(tt.header, tt.claims+`,"aud":`+form.aud)
				requireRefused(t, form.provider.validator(t, claims.AnyProfile), token, claims.ErrIDToken)
				requireRefused(t, form.provider.validator(t, claims.RFC9068), token, claims.ErrIDToken)
			})
		}
	}
}

// ID Tokens without anything that is an ID Token's alone. AnyProfile cannot tell
// them apart, so that all depends on the API's having an identifier of its own, or
// on RFC9068.
func TestBareIDTokensOfProviders(t *testing.T) {
	tests := []struct {
		name     string
		provider provider
		claims   string
	}{
		{"Auth0, password grant, only openid", auth0, `"sub":"auth0|123456"`},
		{"Entra ID v2.0, only openid, without a nonce", entra2, `"nbf":<now>,"aio":"A","rh":"r","sub":"s","tid":"t","uti":"u","ver":"2.0"`},
		{"Google, service account without its email", google, `"azp":"104029292853099978293","sub":"104029292853099978293"`},
		// client_id is otherwise an access token's. OpenID Connect Core §3.2.2.1
		// demands a nonce of this flow; ZITADEL does not, and if the client asks for
		// the API's project, that is in the ID Token's aud as well.
		{"ZITADEL, implicit, without a nonce", zitadel, `"amr":["password"],"auth_time":<now>,"azp":"<client>","client_id":"<client>","sub":"s"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := tt.provider.sign(jwtType, tt.claims+`,"aud":"<client>"`)
			requireRefused(t, tt.provider.validator(t, claims.AnyProfile), token, claims.ErrAudience)

			same := tt.provider
			same.api = same.client
			requireRefused(t, same.validator(t, claims.RFC9068), token, claims.ErrTokenType)
		})
	}
}

func TestOtherTokensOfProvidersOpenNothing(t *testing.T) {
	tests := []struct {
		name     string
		provider provider
		header   string
		claims   string
		want     error
		reason   string // is in the error's text
	}{
		{"Cognito, user, not bound to a resource", cognito, noType,
			`"sub":"s","version":2,"client_id":"<client>","origin_jti":"o","event_id":"e","token_use":"access","scope":"openid","auth_time":<now>,"jti":"j","username":"ada"`,
			claims.ErrAudience, "resource binding"},
		{"Cognito, machine", cognito, noType,
			`"sub":"<client>","token_use":"access","scope":"<api>/read","auth_time":<now>,"version":2,"jti":"j","client_id":"<client>"`,
			claims.ErrAudience, "resource binding"},
		{"Ory Hydra, without an audience", hydra, jwtType,
			`"aud":[],"client_id":"<client>","ext":{},"jti":"j","nbf":<now>,"scp":["openid"],"sub":"s"`,
			claims.ErrAudience, "must ask for the audience"},
		{"Keycloak, without an audience mapper", keycloak, jwtType,
			`"jti":"j","aud":"account","sub":"s","typ":"Bearer","azp":"<client>","scope":"openid"`,
			claims.ErrAudience, `"account"`},
		{"Keycloak, refresh token", keycloak, jwtType,
			`"jti":"j","aud":"<iss>","sub":"s","typ":"Refresh","azp":"<client>","sid":"x","scope":"openid"`,
			claims.ErrTokenType, "Refresh"},
		{"Keycloak, logout token", keycloak, `,"typ":"logout+jwt"`,
			`"jti":"j","aud":"<api>","sub":"s","typ":"Logout","sid":"x","events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
			claims.ErrTokenType, "logout+jwt"},
		{"Duende IdentityServer, logout token", duende, `,"typ":"logout+jwt"`,
			`"jti":"j","aud":"<api>","sub":"123","sid":"x","events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
			claims.ErrTokenType, "logout+jwt"},
		// Of the org authorization server, whose tokens are for Okta itself.
		{"Okta, for Okta", okta, `,"typ":"application/okta-internal-at+jwt"`,
			`"ver":1,"jti":"AT.x","aud":"https://example.okta.com","sub":"ada@example.com","cid":"<client>","uid":"u","scp":["openid"],"auth_time":<now>`,
			claims.ErrTokenType, "okta-internal-at+jwt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, token := tt.provider.validator(t, claims.AnyProfile), tt.provider.sign(tt.header, tt.claims)
			requireRefused(t, v, token, tt.want)
			_, err := v.Validate(t.Context(), token)
			require.ErrorContains(t, err, tt.reason)
		})
	}
}
