package fakeissuer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/stretchr/testify/require"
)

// published reports whether the key that has signed a token is in the key set.
func published(t *testing.T, issuer *fakeissuer.Issuer, token string) bool {
	t.Helper()
	_, found := keySet(t, issuer).LookupKeyID(header(t, token).KeyID())
	return found
}

func TestEachAlgorithmHasAKeyOfItsOwn(t *testing.T) {
	issuer := newIssuer(t)
	seen := map[string]bool{}
	for _, algorithm := range jwks.Algorithms() {
		token := sign(t, issuer, func(token *fakeissuer.Token) { token.Algorithm = algorithm })
		require.Equal(t, jwa.SignatureAlgorithm(algorithm), header(t, token).Algorithm())
		require.False(t, seen[header(t, token).KeyID()])
		seen[header(t, token).KeyID()] = true
		_, err := jwt.ParseString(token, jwt.WithKeySet(keySet(t, issuer)))
		require.NoError(t, err, algorithm)
	}
	require.Equal(t, len(seen), keySet(t, issuer).Len())
}

func TestARotationIsForEachAlgorithm(t *testing.T) {
	issuer := newIssuer(t)
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		_, err := issuer.Key(algorithm)
		require.NoError(t, err)
	}
	issuer.Rotate()
	require.Equal(t, 4, keySet(t, issuer).Len())
	issuer.RemoveOldKeys()
	require.Equal(t, 2, keySet(t, issuer).Len())
}

func TestAnAnnouncedKeyIsPublishedBeforeItSigns(t *testing.T) {
	issuer := newIssuer(t)
	before := sign(t, issuer, nil)
	issuer.Announce()
	issuer.Announce()
	require.Equal(t, 2, keySet(t, issuer).Len())
	require.Equal(t, header(t, before).KeyID(), header(t, sign(t, issuer, nil)).KeyID())
	issuer.RemoveOldKeys()
	require.Equal(t, 2, keySet(t, issuer).Len(), "neither of the two is old")

	issuer.Rotate()
	after := sign(t, issuer, nil)
	require.NotEqual(t, header(t, before).KeyID(), header(t, after).KeyID())
	require.True(t, published(t, issuer, after))
	require.Equal(t, 2, keySet(t, issuer).Len())
}

func TestAKeyCanBePublishedAfterItHasSigned(t *testing.T) {
	issuer := newIssuer(t)
	before := sign(t, issuer, nil)
	publish := issuer.RotateUnpublished()
	after := sign(t, issuer, nil)
	require.True(t, published(t, issuer, before))
	require.False(t, published(t, issuer, after))
	publish()
	publish()
	require.True(t, published(t, issuer, after))
	require.Equal(t, 2, keySet(t, issuer).Len())
}

func TestAKeyForEncryptionIsPublishedAmongOddOnes(t *testing.T) {
	issuer := newIssuer(t)
	key, err := issuer.EncryptionKey("ES256")
	require.NoError(t, err)
	same, err := issuer.EncryptionKey("ES256")
	require.NoError(t, err)
	require.Same(t, key, same)
	_, err = issuer.EncryptionKey("HS256")
	require.Error(t, err)
	_, err = issuer.Key("ES256")
	require.NoError(t, err)

	_, body := get(t, issuer, keySetPath)
	require.NotContains(t, body, key.ID())
	issuer.SetKeySet(fakeissuer.MixedSet)
	_, body = get(t, issuer, keySetPath)
	require.Contains(t, body, `"use":"enc"`)
	require.Contains(t, body, string(key.JWK()))
	require.Contains(t, body, fakeissuer.PublishedSecretID)
	require.True(t, json.Valid([]byte(body)))
	set, err := jwks.ParseSet([]byte(body))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1, "the one that signs")
}

func TestAnIssuerServesAnEmptySetAndABrokenOne(t *testing.T) {
	issuer := newIssuer(t)
	issuer.SetKeySet(fakeissuer.EmptySet)
	_, body := get(t, issuer, keySetPath)
	require.JSONEq(t, `{"keys":[]}`, body)

	issuer.SetKeySet(fakeissuer.BrokenSet)
	response, err := issuer.Client().Get(issuer.KeySetURL())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/html", response.Header.Get("Content-Type"))
	require.False(t, json.Valid([]byte(text(t, response))))

	issuer.SetKeySet(fakeissuer.GoodSet)
	require.Equal(t, 1, keySet(t, issuer).Len())
}

// A raw text is signed byte for byte, whatever it is.
func TestRawTextsAreSignedAsTheyAre(t *testing.T) {
	issuer := newIssuer(t)
	rawHeader, rawPayload := ` {"alg":"RS256" , "alg":"RS256"}`, "no JSON"
	token := sign(t, issuer, func(token *fakeissuer.Token) { token.RawHeader, token.RawPayload = &rawHeader, &rawPayload })
	require.Contains(t, token, fakeissuer.Encode([]byte(rawHeader))+"."+fakeissuer.Encode([]byte(rawPayload))+".")
	_, body := get(t, issuer, keySetPath)
	set, err := jwks.ParseSet([]byte(body))
	require.NoError(t, err)
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	require.NoError(t, err)
	require.True(t, set.Keys[0].Verify([]byte(token[:dot]), signature))
}

func TestAHeaderCanBeAbsent(t *testing.T) {
	issuer := newIssuer(t)
	token := sign(t, issuer, func(token *fakeissuer.Token) {
		token.Header["kid"], token.Header["typ"] = fakeissuer.Absent{}, fakeissuer.Absent{}
	})
	require.Empty(t, header(t, token).KeyID())
	require.Empty(t, header(t, token).Type())
}

func TestAnAnswerTakesAsLongAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		issuer.SetDelay(3 * time.Second)
		start := time.Now()
		status, _ := get(t, issuer, keySetPath)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 3*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer.KeySetURL(), nil)
		require.NoError(t, err)
		_, err = issuer.Client().Do(request)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 4*time.Second, time.Since(start))

		issuer.SetDelay(0)
		get(t, issuer, keySetPath)
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestClosingDoesNotWaitForADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		issuer.SetDelay(time.Hour)
		start := time.Now()
		go func() { _, _ = issuer.Client().Get(issuer.KeySetURL()) }()
		synctest.Wait()
		issuer.Close()
		require.Zero(t, time.Since(start))
	})
}
