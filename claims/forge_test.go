package claims_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// The forge signs what it is told, byte for byte, with the key that the
// validator under test trusts: so a refusal is due to the rule in question and
// not to a signature.

const (
	issuer   = "https://issuer.example/"
	audience = "https://example.com/health-api"
	kid      = "key-1"
)

var (
	trustedKey  = sync.OnceValue(newKey)
	stolenKey   = sync.OnceValue(newKey) // of nobody whom the validator trusts
	goodHeader  = `{"alg":"RS256","kid":"key-1","typ":"at+jwt"}`
	plainHeader = `{"alg":"RS256","kid":"key-1","typ":"JWT"}`
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func signWith(key *rsa.PrivateKey, header, payload string) string {
	return signParts(key, encode(header), encode(payload))
}

// signParts signs two parts as they are, also where they are no base64url.
func signParts(key *rsa.PrivateKey, header, payload string) string {
	input := header + "." + payload
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func sign(header, payload string) string { return signWith(trustedKey(), header, payload) }

// set is a claims set that a test changes: nil removes a claim.
type set map[string]any

// payload returns the claims set of a good access token with some changes.
func payload(changes set) string {
	now := time.Now()
	members := set{
		"iss":       issuer,
		"sub":       "user-1",
		"aud":       audience,
		"client_id": "client-1",
		"iat":       now.Unix(),
		"exp":       now.Add(time.Hour).Unix(),
		"jti":       "token-1",
		"scope":     "read:patients",
	}
	maps.Copy(members, changes)
	for name, value := range members {
		if value == nil {
			delete(members, name)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// with puts raw JSON members behind those of a good payload.
func with(rawMembers string) string {
	good := payload(nil)
	return good[:len(good)-1] + "," + rawMembers + "}"
}

func trustedSource(t testing.TB) jwks.Source {
	key, err := jwks.NewKey(kid, "RS256", &trustedKey().PublicKey)
	require.NoError(t, err)
	return jwks.Static(key)
}

func newValidator(t testing.TB, options ...claims.Option) *claims.Validator {
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: trustedSource(t)}, options...)
	require.NoError(t, err)
	return v
}

// requireRefused wants the token refused for that reason and no other.
func requireRefused(t *testing.T, v *claims.Validator, token string, want error) {
	t.Helper()
	c, err := v.Validate(t.Context(), token)
	require.ErrorIs(t, err, want)
	require.Nil(t, c)
	for _, other := range sentinels {
		if other != want {
			require.NotErrorIs(t, err, other)
		}
	}
	require.Less(t, len(err.Error()), 1000, "a reason stays short, whatever the token says")
	for _, c := range []byte(err.Error()) {
		require.GreaterOrEqual(t, c, byte(' '), "a reason has no control characters: %q", err)
	}
}

var sentinels = []error{
	claims.ErrMalformed, claims.ErrTooLarge, claims.ErrOpaque, claims.ErrEncrypted, claims.ErrSerialization,
	claims.ErrCritical, claims.ErrUnencoded, claims.ErrCompressed, claims.ErrNested, claims.ErrIssuer,
	claims.ErrAlgorithm, claims.ErrUnknownKey, claims.ErrSignature, claims.ErrIDToken, claims.ErrTokenType,
	claims.ErrAudience, claims.ErrExpired, claims.ErrNotYetValid, claims.ErrBound, claims.ErrMissingClaim, claims.ErrRefused, claims.ErrUnavailable,
}
