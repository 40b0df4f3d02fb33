package claims_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

type custom struct {
	Roles []string `json:"https://example.com/roles"`
	Org   struct {
		ID string `json:"id"`
	} `json:"org"`
	Subject string `json:"sub"`
}

func TestAsMatchesNamesExactly(t *testing.T) {
	c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, with(
		`"https://example.com/roles":["doctor"],"HTTPS://EXAMPLE.COM/ROLES":["admin"],"org":{"ID":"evil","id":"o-1"},"SUB":"evil"`)))
	require.NoError(t, err)
	got, err := claims.As[custom](c)
	require.NoError(t, err)
	require.Equal(t, []string{"doctor"}, got.Roles)
	require.Equal(t, "o-1", got.Org.ID)
	require.Equal(t, "user-1", got.Subject)

	everything, err := claims.As[map[string]any](c)
	require.NoError(t, err)
	require.Equal(t, issuer, everything["iss"])

	pointer, err := claims.As[*custom](c)
	require.NoError(t, err)
	require.Equal(t, "o-1", pointer.Org.ID)
}

func TestAsRefusesWhatDoesNotFit(t *testing.T) {
	c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, with(`"org":{"id":"a","id":"b"},"https://example.com/roles":"admin"`)))
	require.NoError(t, err)

	_, err = claims.As[struct {
		Org struct {
			ID string `json:"id"`
		} `json:"org"`
	}](c)
	require.ErrorContains(t, err, "occurs twice")

	got, err := claims.As[struct {
		Subject string   `json:"sub"`
		Roles   []string `json:"https://example.com/roles"`
	}](c)
	require.ErrorContains(t, err, "cannot unmarshal string")
	require.Zero(t, got, "a result that is half right is none")
}

func TestAsNeedsClaimsOfAToken(t *testing.T) {
	for _, c := range []*claims.Claims{nil, {Subject: "user-1"}} {
		_, err := claims.As[custom](c)
		require.ErrorContains(t, err, "not read from a token")
	}
}

func TestContext(t *testing.T) {
	_, ok := claims.FromContext(t.Context())
	require.False(t, ok)
	_, ok = claims.FromContext(claims.NewContext(t.Context(), nil))
	require.False(t, ok)

	type key struct{}
	want := &claims.Claims{Subject: "user-1"}
	got, ok := claims.FromContext(context.WithValue(claims.NewContext(t.Context(), want), key{}, "more"))
	require.True(t, ok)
	require.Same(t, want, got)
}

// Claims end up in logs by accident; the token must not, nor what the payload
// says of the user beyond the fields.
func TestPrintedClaimsShowNeitherTheTokenNorThePayload(t *testing.T) {
	token := sign(goodHeader, with(`"email":"ada@example.com"`))
	c, err := newValidator(t).Validate(t.Context(), token)
	require.NoError(t, err)

	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("claims", "pointer", c, "value", *c)
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("claims", "pointer", c, "value", *c)
	marshalled, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(marshalled), `"Scope":"read:patients"`)
	for _, printed := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v %+v %#v", *c, *c, *c),
		text.String(), structured.String(), string(marshalled),
	} {
		require.Contains(t, printed, "user-1")
		require.NotContains(t, printed, "ada@example.com")
		for _, part := range strings.Split(token, ".") {
			require.NotContains(t, printed, part)
		}
	}
}
