package claims_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

func header(typ string) string {
	if typ == "" {
		return `{"alg":"RS256","kid":"key-1"}`
	}
	return `{"alg":"RS256","kid":"key-1","typ":"` + typ + `"}`
}

func TestDeclaredType(t *testing.T) {
	for _, typ := range []string{"", "JWT", "jwt", "application/jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"} {
		_, err := newValidator(t).Validate(t.Context(), sign(header(typ), payload(nil)))
		require.NoError(t, err, typ)
	}
	for _, typ := range []string{
		"id_token+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt",
		"JOSE", "text/at+jwt", "application/x/at+jwt", "at+jwt;x=1", " at+jwt", "at jwt", "\u0430t+jwt", // the last begins with a Cyrillic letter
	} {
		t.Run(typ, func(t *testing.T) {
			requireRefused(t, newValidator(t), sign(header(typ), payload(nil)), claims.ErrTokenType)
		})
	}
}

func TestMarksOfOtherKindsRefuseWhateverTheirValue(t *testing.T) {
	tests := []struct {
		raw  string
		want error
	}{
		{`"at_hash":"x"`, claims.ErrIDToken},
		{`"at_hash":null`, claims.ErrIDToken},
		{`"c_hash":"x"`, claims.ErrIDToken},
		{`"s_hash":false`, claims.ErrIDToken},
		{`"events":{}`, claims.ErrTokenType},
		{`"events":null`, claims.ErrTokenType},
		{`"token_use":"id"`, claims.ErrIDToken},
		{`"token_use":"refresh"`, claims.ErrTokenType},
		{`"token_use":null`, claims.ErrTokenType},
		{`"token_use":["access"]`, claims.ErrTokenType},
		{`"token_use":"Access"`, claims.ErrTokenType},
		{`"typ":"ID"`, claims.ErrIDToken},
		{`"typ":"Refresh"`, claims.ErrTokenType},
		{`"typ":"Offline"`, claims.ErrTokenType},
		{`"typ":"Logout"`, claims.ErrTokenType},
	}
	for _, tt := range tests {
		for _, header := range []string{goodHeader, plainHeader} {
			t.Run(tt.raw, func(t *testing.T) { requireRefused(t, newValidator(t), sign(header, with(tt.raw)), tt.want) })
		}
	}
}

func TestANonceIsTheIDTokensWithTwoExceptions(t *testing.T) {
	v := newValidator(t)
	requireRefused(t, v, sign(plainHeader, with(`"nonce":"n"`)), claims.ErrIDToken)
	requireRefused(t, v, sign(plainHeader, with(`"nonce":null`)), claims.ErrIDToken)
	requireRefused(t, v, sign(plainHeader, with(`"nonce":"n","typ":"bearer"`)), claims.ErrIDToken)
	for name, token := range map[string]string{
		"declared":     sign(goodHeader, with(`"nonce":"n"`)),
		"old Keycloak": sign(plainHeader, with(`"nonce":"n","typ":"Bearer"`)),
	} {
		_, err := v.Validate(t.Context(), token)
		require.NoError(t, err, name)
	}
}

func TestATokenThatTellsOfAPersonAndNotOfAccessIsAnIDToken(t *testing.T) {
	bare := set{"client_id": nil, "scope": nil}
	identity := []string{
		"email", "email_verified", "phone_number", "phone_number_verified", "name", "given_name", "family_name",
		"middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate",
		"zoneinfo", "locale", "address", "updated_at", "upn", "unique_name", "auth_time", "amr", "acr", "sid",
	}
	evidence := map[string]any{
		"scope": "openid", "scp": []string{"a"}, "client_id": "c", "cid": "c", "appid": "c", "permissions": []string{"a"},
		"gty": "client-credentials", "idtyp": "user", "authorization_details": []any{map[string]any{}}, "act": map[string]any{"sub": "a"},
		"token_use": "access", "typ": "Bearer",
	}
	merge := func(more ...set) set {
		all := set{}
		for _, m := range append([]set{bare}, more...) {
			for name, value := range m {
				all[name] = value
			}
		}
		return all
	}
	v := newValidator(t)
	for _, name := range identity {
		disguised := set{name: "x"}
		requireRefused(t, v, sign(plainHeader, payload(merge(disguised))), claims.ErrIDToken)
		// These three are in ID Tokens too.
		requireRefused(t, v, sign(plainHeader, payload(merge(disguised, set{"azp": "c", "roles": []string{"a"}, "groups": []string{"a"}}))), claims.ErrIDToken)
		// A declared type needs no evidence.
		_, err := v.Validate(t.Context(), sign(goodHeader, payload(merge(disguised))))
		require.NoError(t, err, name)
	}
	for name, value := range evidence {
		_, err := v.Validate(t.Context(), sign(plainHeader, payload(merge(set{"email": "x"}, set{name: value}))))
		require.NoError(t, err, name)
	}
	// What is empty excuses nothing.
	for _, name := range []string{"scope", "scp", "client_id", "permissions", "act", "gty"} {
		for _, empty := range []string{"null", `""`, "[]", "{}", "0", "false"} {
			disguised := payload(merge(set{"email": "x"}))
			requireRefused(t, v, sign(plainHeader, disguised[:len(disguised)-1]+`,"`+name+`":`+empty+"}"), claims.ErrIDToken)
		}
	}
	// Nothing in a bare token says that it is no access token.
	_, err := v.Validate(t.Context(), sign(plainHeader, payload(merge(set{"sub": nil, "jti": nil, "iat": nil}))))
	require.NoError(t, err)
}

// What a client has after a login, and sends to the API by mistake or on purpose.
func TestIDTokensOpenNothing(t *testing.T) {
	login := set{"client_id": nil, "scope": nil, "nonce": "n", "auth_time": 1, "name": "Ada Example", "email": "ada@example.com", "sid": "s"}
	tests := []struct {
		name string
		aud  any
	}{
		{"for the client", "client-1"},
		{"for the client and the API", []string{"client-1", audience}},
		{"for a client that is called as the API is", audience},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changes := set{"aud": tt.aud}
			for name, value := range login {
				changes[name] = value
			}
			requireRefused(t, newValidator(t), sign(plainHeader, payload(changes)), claims.ErrIDToken)
			changes["nonce"] = nil
			requireRefused(t, newValidator(t), sign(plainHeader, payload(changes)), claims.ErrIDToken)
		})
	}
	// One that says nothing of the user is still for the client.
	requireRefused(t, newValidator(t), sign(plainHeader, payload(set{"client_id": nil, "scope": nil, "aud": "client-1"})), claims.ErrAudience)
}
