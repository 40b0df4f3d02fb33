package jws_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/stretchr/testify/require"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestParseTakesATokenApart(t *testing.T) {
	token := encode(`{"alg":"RS256","kid":"k","typ":"Application/AT+JWT"}`) + "." + encode(`{"a":1}`) + "." + encode("signature")
	c, err := jws.Parse(token)
	require.NoError(t, err)
	require.Equal(t, jws.Compact{
		Algorithm:    "RS256",
		KeyID:        "k",
		Type:         "at+jwt",
		Payload:      `{"a":1}`,
		SigningInput: token[:strings.LastIndexByte(token, '.')],
		Signature:    []byte("signature"),
	}, c)
}

func TestAPayloadIsAnyBytes(t *testing.T) {
	for _, payload := range []string{"", "\x00", "no JSON"} {
		c, err := jws.Parse(encode(`{"alg":"RS256"}`) + "." + encode(payload) + ".")
		require.NoError(t, err)
		require.Equal(t, payload, c.Payload)
	}
}

func TestTypesAreComparedAsMediaTypes(t *testing.T) {
	for typ, want := range map[string]string{
		"":                    "",
		"JWT":                 "jwt",
		"application/jwt":     "jwt",
		"APPLICATION/At+Jwt":  "at+jwt",
		"application/x/jwt":   "application/x/jwt",
		"text/jwt":            "text/jwt",
		"\\u212aWT":           "\u212aWT"[:3] + "wt", // the Kelvin sign is no k
		"application/":        "application/",
		"applicationapp/jwt ": "applicationapp/jwt ",
	} {
		c, err := jws.Parse(encode(`{"alg":"RS256","typ":"`+typ+`"}`) + "..")
		require.NoError(t, err)
		require.Equal(t, want, c.Type, typ)
	}
}

// Nobody can change a token without changing what it says: what is accepted
// encodes to itself again.
func FuzzParse(f *testing.F) {
	good := encode(`{"alg":"RS256"}`) + "." + encode(`{}`) + "." + encode("signature")
	for _, seed := range []string{good, good + "=", good + "\n", "", "a.b.c", "....", "{}", "opaque"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := jws.Parse(token)
		if err != nil {
			return
		}
		header, payload, found := strings.Cut(c.SigningInput, ".")
		require.True(t, found)
		decoded, err := base64.RawURLEncoding.DecodeString(header)
		require.NoError(t, err)
		require.Equal(t, token, encode(string(decoded))+"."+encode(c.Payload)+"."+encode(string(c.Signature)))
		require.Equal(t, encode(c.Payload), payload)
		require.NotEmpty(t, c.Algorithm)
	})
}
