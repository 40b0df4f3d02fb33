package claims_test

import (
	"encoding/json"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

var nullClaim = json.RawMessage("null") // nil takes a claim away

func TestSubjectKind(t *testing.T) {
	tests := []struct {
		name   string
		claims set // beside sub user-1 and client_id client-1
		want   claims.SubjectKind
	}{
		{"RFC 9068, Cognito", set{"sub": "client-1"}, claims.MachineSubject},
		{"Cognito has auth_time all the same", set{"sub": "client-1", "auth_time": 1, "token_use": "access"}, claims.MachineSubject},
		{"Okta", set{"client_id": nil, "cid": "0oa1", "sub": "0oa1", "scp": []string{"a"}}, claims.MachineSubject},
		{"Auth0", set{"client_id": nil, "azp": "abc", "sub": "abc@clients", "gty": "client-credentials"}, claims.MachineSubject},
		{"Auth0 without gty", set{"client_id": nil, "azp": "abc", "sub": "abc@clients"}, claims.MachineSubject},
		{"Auth0 by gty alone", set{"gty": "client-credentials"}, claims.MachineSubject},
		{"Entra ID", set{"idtyp": "app"}, claims.MachineSubject},
		{"Keycloak", set{"preferred_username": "service-account-client-1", "email_verified": false, "acr": "1"}, claims.MachineSubject},
		{"Keycloak, without the scope profile", set{"clientHost": "192.0.2.1"}, claims.MachineSubject},
		{"a service account that keeps a session for refresh tokens", set{"sid": "s", "clientHost": "192.0.2.1", "clientAddress": "192.0.2.1"}, claims.UnknownSubject},
		{"Keycloak has user names in lower case", set{"client_id": "Batch", "preferred_username": "service-account-batch"}, claims.MachineSubject},
		{"Keycloak has some as they were given", set{"client_id": "Batch", "preferred_username": "service-account-Batch"}, claims.MachineSubject},

		{"a login", set{"auth_time": 1}, claims.UserSubject},
		{"a session", set{"sid": "s"}, claims.UserSubject},
		{"how he logged in", set{"amr": []string{"pwd"}}, claims.UserSubject},
		{"a name", set{"name": "Ada"}, claims.UserSubject},
		{"Entra ID, a user", set{"idtyp": "user"}, claims.UserSubject},
		{"a user who calls himself a service account of another client", set{"sid": "s", "preferred_username": "service-account-client-2"}, claims.UserSubject},
		{"a name, and an e-mail address that is null", set{"name": "Ada", "email": nullClaim}, claims.UserSubject},
		{"a login at whoever says token_use too", set{"auth_time": 1, "token_use": "access"}, claims.UserSubject},

		{"an e-mail address that is null", set{"email": nullClaim}, claims.UnknownSubject},
		{"a name that is empty", set{"name": "", "amr": []string{}}, claims.UnknownSubject},
		{"a login whose time is null", set{"auth_time": nullClaim}, claims.UnknownSubject},
		{"a service account with an e-mail address that is null", set{"preferred_username": "service-account-client-1", "email": nullClaim}, claims.UnknownSubject},
		{"the ID of the client, and a login elsewhere than at Cognito", set{"sub": "client-1", "auth_time": 1}, claims.UnknownSubject},
		{"a service account that has logged in, with Cognito's token_use", set{"preferred_username": "service-account-client-1", "auth_time": 1, "token_use": "access"}, claims.UnknownSubject},
		{"a service account in other letters still", set{"client_id": "batch", "preferred_username": "Service-Account-batch"}, claims.UnknownSubject},

		{"a user who calls himself this client's service account", set{"sid": "s", "preferred_username": "service-account-client-1"}, claims.UnknownSubject},
		{"a user who calls himself as the client is called", set{"sub": "client-1", "email": "a@b.example"}, claims.UnknownSubject},
		{"a user with the ID of the client, who has a session", set{"sub": "client-1", "sid": "s", "auth_time": 1}, claims.UnknownSubject},
		{"a user who calls himself a client of Auth0", set{"sub": "client-1@clients", "name": "Eve"}, claims.UnknownSubject},
		{"the ID of the client, and idtyp user", set{"sub": "client-1", "idtyp": "user"}, claims.UnknownSubject},
		{"a machine that has a name, by the issuer's word", set{"gty": "client-credentials", "name": "Reporter"}, claims.MachineSubject},
		{"no sign", nil, claims.UnknownSubject},
		{"another's @clients", set{"sub": "other@clients"}, claims.UnknownSubject},
		{"neither subject nor client", set{"sub": nil, "client_id": nil, "scope": "a"}, claims.UnknownSubject},
		{"an empty client", set{"sub": "", "client_id": ""}, claims.UnknownSubject},
		{"nobody's @clients", set{"sub": "@clients", "client_id": ""}, claims.UnknownSubject},
		{"a gty that is no text", set{"gty": []string{"client-credentials"}}, claims.UnknownSubject},
		{"an idtyp in other letters", set{"idtyp": "App"}, claims.UnknownSubject},
		{"another grant", set{"gty": "password"}, claims.UnknownSubject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, payload(tt.claims)))
			require.NoError(t, err)
			require.Equal(t, tt.want, c.SubjectKind())
		})
	}
	require.Equal(t, claims.UnknownSubject, (&claims.Claims{Subject: "a", ClientID: "a"}).SubjectKind(), "not read from a token")
	require.Equal(t, claims.UnknownSubject, (*claims.Claims)(nil).SubjectKind())
}

func TestLookup(t *testing.T) {
	text := with(`"realm_access":{"roles":["nurse"],"a":1},"https://example.com/roles":["x"],"twice":{"a":1,"a":2},"n\u0061me":"Ada","nothing":null`)
	c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, text))
	require.NoError(t, err)
	tests := []struct {
		path []string
		want string // "": not found
	}{
		{[]string{"sub"}, `"user-1"`},
		{[]string{"realm_access", "roles"}, `["nurse"]`},
		{[]string{"https://example.com/roles"}, `["x"]`},
		{[]string{"name"}, `"Ada"`},
		{[]string{"nothing"}, `null`},
		{[]string{"Name"}, ``},
		{[]string{"realm_access.roles"}, ``},
		{[]string{"realm_access", "roles", "0"}, ``},
		{[]string{"sub", "x"}, ``},
		{[]string{"twice", "a"}, ``},
		{[]string{"missing"}, ``},
		{nil, ``},
	}
	for _, tt := range tests {
		got, ok := c.Lookup(tt.path...)
		require.Equal(t, tt.want != "", ok, tt.path)
		require.Equal(t, tt.want, string(got), tt.path)
		require.True(t, !ok || json.Valid(got))
	}
	_, ok := (&claims.Claims{Subject: "user-1"}).Lookup("sub")
	require.False(t, ok, "not read from a token")
}
