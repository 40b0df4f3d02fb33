package jws_test

import (
	"encoding/base64"
	"math/rand/v2"
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
		Header:       jws.Header{Algorithm: "RS256", KeyID: "k", Type: "at+jwt"},
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

// The decoder of the standard library skips line breaks, however many.
func TestLineBreaksAreNoBase64(t *testing.T) {
	for size := range 12 {
		payload := encode(strings.Repeat("x", size))
		for breaks := 1; breaks <= 8; breaks++ {
			for at := range len(payload) + 1 {
				for _, character := range []string{"\n", "\r"} {
					broken := payload[:at] + strings.Repeat(character, breaks) + payload[at:]
					for part, token := range []string{
						broken + ".." + payload,
						encode(`{"alg":"RS256"}`) + "." + broken + ".",
						encode(`{"alg":"RS256"}`) + ".." + broken,
					} {
						_, err := jws.Parse(token)
						require.ErrorContains(t, err, "is not base64url", "part %d: %q", part, token)
					}
				}
			}
		}
	}
}

// A room is used for one token after the other, and says of each what a new one would.
func TestARoomMixesNothingUp(t *testing.T) {
	long := `{"alg":"RS256","kid":"` + strings.Repeat("k", 1000) + `"}`
	var tokens []string
	for _, header := range []string{
		encode(`{"alg":"RS256","kid":"a","typ":"JWT"}`), encode(`{"alg":"RS256","kid":"b"}`), encode(`{"alg":"none"}`),
		encode(long), encode(`{"kid":"a"}`), encode(`{"alg":"RS256","crit":[]}`), encode(`{}`), encode(`no JSON`), "", "!", "e",
	} {
		for _, rest := range []string{"." + encode(`{"a":1}`) + "." + encode("one"), ".." + encode("other"), "." + encode("?") + ".!", "", ".."} {
			tokens = append(tokens, header+rest)
		}
	}
	var room jws.Room
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		token := tokens[random.IntN(len(tokens))]
		want, wantErr := jws.Parse(token)
		got, err := room.Parse(token)
		require.Equal(t, wantErr, err, token)
		require.Equal(t, want, got, token)
		if random.IntN(2) == 0 {
			room.Clear()
		}
	}
}

// What a room keeps of a token is a header, and no long one.
func TestAHeaderThatIsKnownTakesNoMemory(t *testing.T) {
	var room jws.Room
	parse := func(header string) func() {
		token := encode(header) + ".." + encode("signature")
		return func() { _, _ = room.Parse(token) }
	}
	require.Zero(t, testing.AllocsPerRun(100, parse(`{"alg":"RS256","kid":"a"}`)))
	require.NotZero(t, testing.AllocsPerRun(100, parse(`{"alg":"RS256","kid":"`+strings.Repeat("k", 1000)+`"}`)))
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
