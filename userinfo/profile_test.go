package userinfo_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func TestStandardClaimsAreTyped(t *testing.T) {
	got, err := saysJSON(`{
		"sub": "ada", "name": "Ada K. Example", "given_name": "Ada", "family_name": "Example", "middle_name": "K.",
		"nickname": "adi", "preferred_username": "ada.example", "profile": "https://example.com/ada",
		"picture": "https://example.com/ada.png", "website": "https://ada.example", "email": "ada@example.com",
		"email_verified": true, "gender": "female", "birthdate": "0000-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
		"phone_number": "+44 20 7946 0000", "phone_number_verified": true,
		"address": {"formatted": "1 Main St\nLondon", "street_address": "1 Main St", "locality": "London",
			"region": "Greater London", "postal_code": "N1", "country": "UK"},
		"updated_at": 1311280970
	}`).ask(t)
	require.NoError(t, err)
	want := userinfo.Profile{
		Subject: "ada", Name: "Ada K. Example", GivenName: "Ada", FamilyName: "Example", MiddleName: "K.",
		Nickname: "adi", PreferredUsername: "ada.example", Page: "https://example.com/ada",
		Picture: "https://example.com/ada.png", Website: "https://ada.example", Email: "ada@example.com",
		EmailVerified: true, Gender: "female", Birthdate: "0000-12-10", Zoneinfo: "Europe/London", Locale: "en-GB",
		PhoneNumber: "+44 20 7946 0000", PhoneNumberVerified: true,
		Address: userinfo.Address{Formatted: "1 Main St\nLondon", StreetAddress: "1 Main St", Locality: "London",
			Region: "Greater London", PostalCode: "N1", Country: "UK"},
		UpdatedAt: time.Unix(1311280970, 0),
	}
	require.EqualExportedValues(t, want, *got)
}

// A handler that passes a profile on writes it as the issuer has: with the same names, and
// nothing that the issuer has not said.
func TestAProfileIsWrittenWithTheNamesOfItsClaims(t *testing.T) {
	const all = `{
		"sub": "ada", "name": "Ada K. Example", "given_name": "Ada", "family_name": "Example", "middle_name": "K.",
		"nickname": "adi", "preferred_username": "ada.example", "profile": "https://example.com/ada",
		"picture": "https://example.com/ada.png", "website": "https://ada.example", "email": "ada@example.com",
		"email_verified": true, "gender": "female", "birthdate": "0000-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
		"phone_number": "+44 20 7946 0000", "phone_number_verified": true,
		"address": {"formatted": "1 Main St\nLondon", "street_address": "1 Main St", "locality": "London",
			"region": "Greater London", "postal_code": "N1", "country": "UK"},
		"updated_at": "2024-02-03T04:05:06.789Z"
	}`
	for said, want := range map[string]string{
		all:             all,
		`{"sub":"ada"}`: `{"sub":"ada"}`,
		`{"sub":"ada","email_verified":false,"name":"","address":{"locality":""},"https://example.com/secret":"s3cret"}`: `{"sub":"ada"}`,
		`{"sub":"ada","address":{"country":"UK"}}`: `{"sub":"ada","address":{"country":"UK"}}`,
	} {
		got, err := saysJSON(said).ask(t)
		require.NoError(t, err)
		written, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, want, string(written))
		again, err := saysJSON(string(written)).ask(t)
		require.NoError(t, err)
		require.EqualExportedValues(t, *got, *again, "and can be read again")
	}
}

func TestAClaimOfAnotherTypeIsZero(t *testing.T) {
	tests := []struct {
		claim string
		want  userinfo.Profile
	}{
		{`"name": 7`, userinfo.Profile{}},
		{`"name": null`, userinfo.Profile{}},
		{`"name": ["Ada"]`, userinfo.Profile{}},
		{`"Name": "Ada", "EMAIL": "x@example.com"`, userinfo.Profile{}}, // names are exact
		{`"email_verified": "true"`, userinfo.Profile{EmailVerified: true}},
		{`"email_verified": "TRUE"`, userinfo.Profile{}},
		{`"email_verified": 1`, userinfo.Profile{}},
		{`"email_verified": "yes"`, userinfo.Profile{}},
		{`"email_verified": ["true"]`, userinfo.Profile{}},
		{`"phone_number_verified": "true"`, userinfo.Profile{PhoneNumberVerified: true}},
		{`"phone_number_verified": "false"`, userinfo.Profile{}},
		{`"address": "1 Main St"`, userinfo.Profile{}},
		{`"address": {"locality": 7, "country": "UK"}`, userinfo.Profile{Address: userinfo.Address{Country: "UK"}}},
		{`"updated_at": "2024-02-03T04:05:06.789Z"`, userinfo.Profile{UpdatedAt: time.Date(2024, 2, 3, 4, 5, 6, 789e6, time.UTC)}},
		{`"updated_at": 1.5`, userinfo.Profile{UpdatedAt: time.Unix(1, 5e8)}},
		{`"updated_at": "yesterday"`, userinfo.Profile{}},
		{`"updated_at": -1`, userinfo.Profile{}},
		{`"updated_at": 1e300`, userinfo.Profile{}},
		{`"updated_at": true`, userinfo.Profile{}},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			got, err := saysJSON(`{"sub":"ada",` + tt.claim + `}`).ask(t)
			require.NoError(t, err)
			tt.want.Subject = "ada"
			require.True(t, tt.want.UpdatedAt.Equal(got.UpdatedAt), got.UpdatedAt)
			tt.want.UpdatedAt = got.UpdatedAt
			require.EqualExportedValues(t, tt.want, *got)
		})
	}
}

func TestAsDecodesWithExactNames(t *testing.T) {
	got, err := saysJSON(`{"sub":"ada","https://example.com/roles":["nurse"],"Team":"x","team":"a","odd":{"a":1,"a":2}}`).ask(t)
	require.NoError(t, err)
	type custom struct {
		Roles []string `json:"https://example.com/roles"`
		Team  string   `json:"team"`
		TEAM  string
	}
	mine, err := userinfo.As[custom](got)
	require.NoError(t, err)
	require.Equal(t, custom{Roles: []string{"nurse"}, Team: "a"}, mine)

	_, err = userinfo.As[struct {
		Team int `json:"team"`
	}](got)
	require.ErrorContains(t, err, "userinfo: as struct")
	_, err = userinfo.As[struct {
		Odd map[string]int `json:"odd"`
	}](got)
	require.ErrorContains(t, err, "twice")

	for _, p := range []*userinfo.Profile{nil, {}, {Subject: "ada"}} {
		_, err = userinfo.As[custom](p)
		require.ErrorContains(t, err, "not received from an issuer")
	}
}

func TestEachCallerHasItsOwnCopy(t *testing.T) {
	i := saysJSON(`{"sub":"ada","name":"Ada","address":{"country":"UK"}}`)
	users := i.client(t, userinfo.Config{})
	ctx := behind(t.Context(), token, ada())
	first, err := users.Profile(ctx)
	require.NoError(t, err)
	*first = userinfo.Profile{Subject: "eve", EmailVerified: true}
	second, err := users.Profile(ctx)
	require.NoError(t, err)
	require.Equal(t, "Ada", second.Name)
	require.Equal(t, "UK", second.Address.Country)
	second.Address.Country = "FR"
	third, err := users.Profile(ctx)
	require.NoError(t, err)
	require.Equal(t, "UK", third.Address.Country)
	require.EqualValues(t, 1, i.asked.Load())
}

func TestTheTextOfAProfileIsShort(t *testing.T) {
	got, err := saysJSON(`{"sub":"ada","https://example.com/secret":"s3cret"}`).ask(t)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", got, got, got), "s3cret")
}
