package fakeissuer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/stretchr/testify/require"
)

const (
	metadataPath = ".well-known/openid-configuration"
	keySetPath   = ".well-known/jwks.json"
	audience     = "https://example.com/health-api"
)

func newIssuer(t *testing.T) *fakeissuer.Issuer {
	t.Helper()
	issuer := fakeissuer.New("https://issuer.example/")
	t.Cleanup(issuer.Close)
	return issuer
}

// get returns the status and the body of an answer.
func get(t *testing.T, issuer *fakeissuer.Issuer, path string) (int, string) {
	t.Helper()
	response, err := issuer.Client().Get(issuer.URL() + path)
	require.NoError(t, err)
	return response.StatusCode, text(t, response)
}

func text(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// object returns the members of an answer in JSON.
func object(t *testing.T, response *http.Response) map[string]any {
	t.Helper()
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(text(t, response)), &members))
	return members
}

// keySet returns the published keys as another library reads them.
func keySet(t *testing.T, issuer *fakeissuer.Issuer) jwk.Set {
	t.Helper()
	status, body := get(t, issuer, keySetPath)
	require.Equal(t, http.StatusOK, status)
	set, err := jwk.ParseString(body)
	require.NoError(t, err)
	return set
}

// sign returns a signed access token.
func sign(t *testing.T, issuer *fakeissuer.Issuer, change func(*fakeissuer.Token)) string {
	t.Helper()
	token := issuer.AccessToken(audience)
	if change != nil {
		change(&token)
	}
	signed, err := issuer.Sign(token)
	require.NoError(t, err)
	return signed
}

func header(t *testing.T, token string) jws.Headers {
	t.Helper()
	message, err := jws.ParseString(token)
	require.NoError(t, err)
	require.Len(t, message.Signatures(), 1)
	return message.Signatures()[0].ProtectedHeaders()
}

func TestTheMetadataNameTheIssuerAndItsEndpoints(t *testing.T) {
	issuer := newIssuer(t)
	require.Equal(t, "https://issuer.example/", issuer.URL())
	for _, path := range []string{metadataPath, ".well-known/oauth-authorization-server"} { // OpenID Connect, RFC 8414
		response, err := issuer.Client().Get(issuer.URL() + path)
		require.NoError(t, err)
		metadata := object(t, response)
		require.Equal(t, issuer.URL(), metadata["issuer"], path)
		require.Equal(t, issuer.URL()+keySetPath, metadata["jwks_uri"], path)
		require.Equal(t, issuer.TokenURL(), metadata["token_endpoint"], path)
		require.Equal(t, issuer.URL()+"userinfo", metadata["userinfo_endpoint"], path)
	}
}

func TestTheKeySetHasThePublicHalvesOnly(t *testing.T) {
	issuer := newIssuer(t)
	issuer.Rotate()
	response, err := issuer.Client().Get(issuer.URL() + keySetPath)
	require.NoError(t, err)
	keys := object(t, response)["keys"].([]any)
	require.Len(t, keys, 2)
	for _, key := range keys {
		members := key.(map[string]any)
		require.Equal(t, "RS256", members["alg"])
		require.Equal(t, "sig", members["use"])
		require.NotEmpty(t, members["kid"])
		for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			require.NotContains(t, members, secret)
		}
	}
}

func TestAnAccessTokenVerifiesElsewhere(t *testing.T) {
	issuer := newIssuer(t)
	token := sign(t, issuer, nil)
	got, err := jwt.ParseString(token,
		jwt.WithKeySet(keySet(t, issuer)), jwt.WithIssuer(issuer.URL()), jwt.WithAudience(audience))
	require.NoError(t, err)
	require.Equal(t, "user-1", got.Subject())
	require.Equal(t, fakeissuer.Lifetime, got.Expiration().Sub(got.IssuedAt()))
	require.NotEmpty(t, got.JwtID())
	client, _ := got.Get("client_id")
	require.Equal(t, "client-1", client)
	require.Equal(t, "at+jwt", header(t, token).Type())
	require.Equal(t, jwa.RS256, header(t, token).Algorithm())
}

func TestNoTwoTokensHaveTheSameID(t *testing.T) {
	issuer := newIssuer(t)
	require.NotEqual(t, issuer.AccessToken("a").Claims["jti"], issuer.AccessToken("a").Claims["jti"])
}

func TestAnAudienceIsAStringAndSeveralAreAnArray(t *testing.T) {
	issuer := newIssuer(t)
	require.Equal(t, "a", issuer.AccessToken("a").Claims["aud"])
	require.Equal(t, []string{"a", "b"}, issuer.AccessToken("a", "b").Claims["aud"])
}

func TestAnIDTokenIsForTheClientAndHasTheProfile(t *testing.T) {
	issuer := newIssuer(t)
	issuer.AddUser(fakeissuer.User{Subject: "user-1", Profile: map[string]any{"email": "ada@example.com"}})
	issuer.AddUser(fakeissuer.User{Subject: "user-2", Profile: map[string]any{"email": "eve@example.com"}})
	token, err := issuer.Sign(issuer.IDToken("client-9", "user-1"))
	require.NoError(t, err)
	got, err := jwt.ParseString(token,
		jwt.WithKeySet(keySet(t, issuer)), jwt.WithIssuer(issuer.URL()), jwt.WithAudience("client-9"))
	require.NoError(t, err)
	require.Equal(t, "user-1", got.Subject())
	for _, name := range []string{"nonce", "auth_time", "sid"} {
		_, has := got.Get(name)
		require.True(t, has, name)
	}
	email, _ := got.Get("email")
	require.Equal(t, "ada@example.com", email)
	require.Equal(t, "JWT", header(t, token).Type())
}

func TestACallerMayWriteAnyHeaderAndClaim(t *testing.T) {
	issuer := newIssuer(t)
	token := sign(t, issuer, func(token *fakeissuer.Token) {
		token.Header["typ"] = "JWT"
		token.Header["kid"] = "made-up"
		delete(token.Claims, "exp")
		token.Claims["sub"] = 7
	})
	require.Equal(t, "JWT", header(t, token).Type())
	require.Equal(t, "made-up", header(t, token).KeyID())
	message, err := jws.ParseString(token)
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(message.Payload(), &claims))
	require.NotContains(t, claims, "exp")
	require.Equal(t, 7.0, claims["sub"])
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	issuer := newIssuer(t)
	_, err := issuer.Sign(fakeissuer.Token{Header: map[string]any{"kid": func() {}}})
	require.ErrorContains(t, err, "the header cannot be written as JSON")
	_, err = issuer.Sign(fakeissuer.Token{Claims: map[string]any{"a": func() {}}})
	require.ErrorContains(t, err, "the claims cannot be written as JSON")
	_, err = issuer.Sign(fakeissuer.Token{Algorithm: "HS256"})
	require.ErrorContains(t, err, `the algorithm "HS256" is none that the fake issuer signs with`)
}

func TestTokensDoNotShareTheirClaims(t *testing.T) {
	issuer := newIssuer(t)
	issuer.AddUser(fakeissuer.User{Subject: "user-1", Profile: map[string]any{"email": "ada@example.com"}})
	mine := issuer.IDToken("client-1", "user-1")
	mine.Claims["email"] = "eve@example.com"
	require.Equal(t, "ada@example.com", issuer.IDToken("client-1", "user-1").Claims["email"])
}

func TestRotatingSignsWithANewKeyAndKeepsTheOldOnePublished(t *testing.T) {
	issuer := newIssuer(t)
	before := sign(t, issuer, nil)
	issuer.Rotate()
	after := sign(t, issuer, nil)
	require.NotEqual(t, header(t, before).KeyID(), header(t, after).KeyID())
	require.Equal(t, 2, keySet(t, issuer).Len())
	for _, token := range []string{before, after} {
		_, err := jwt.ParseString(token, jwt.WithKeySet(keySet(t, issuer)))
		require.NoError(t, err)
	}

	issuer.RemoveOldKeys()
	require.Equal(t, 1, keySet(t, issuer).Len())
	_, err := jwt.ParseString(before, jwt.WithKeySet(keySet(t, issuer)))
	require.Error(t, err)
	_, err = jwt.ParseString(after, jwt.WithKeySet(keySet(t, issuer)))
	require.NoError(t, err)
	require.Equal(t, header(t, after).KeyID(), header(t, sign(t, issuer, nil)).KeyID())
}

func TestNoTwoLivingIssuersHaveTheSameKey(t *testing.T) {
	first := newIssuer(t)
	first.Rotate()
	first.RemoveOldKeys() // a removed key is not given to others either
	second := newIssuer(t)
	second.Rotate()
	seen := map[string]bool{}
	for _, issuer := range []*fakeissuer.Issuer{first, second} {
		for i := range keySet(t, issuer).Len() {
			key, _ := keySet(t, issuer).Key(i)
			require.False(t, seen[key.KeyID()])
			seen[key.KeyID()] = true
		}
	}
	require.Len(t, seen, 3)
}

func TestAnIssuerThatIsDownAnswers503Everywhere(t *testing.T) {
	issuer := newIssuer(t)
	issuer.SetDown(true)
	for _, path := range []string{metadataPath, keySetPath, "userinfo"} {
		status, body := get(t, issuer, path)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, body, "down")
	}
	response, err := issuer.Client().PostForm(issuer.TokenURL(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)

	issuer.SetDown(false)
	status, _ := get(t, issuer, metadataPath)
	require.Equal(t, http.StatusOK, status)
}

func TestAnIssuerThatHangsAnswersWhenItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		release := issuer.Hang()
		again := issuer.Hang()
		answered := false
		go func() {
			if response, err := issuer.Client().Get(issuer.URL() + keySetPath); err == nil {
				answered = response.StatusCode == http.StatusOK
			}
		}()
		synctest.Wait()
		require.False(t, answered)
		require.Equal(t, 1, issuer.KeyFetches(), "counted although it is not answered")

		release()
		release() // more than once is fine
		again()
		synctest.Wait()
		require.True(t, answered)
		status, _ := get(t, issuer, keySetPath)
		require.Equal(t, http.StatusOK, status)
	})
}

func TestAnOldReleaseDoesNotEndANewHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		old := issuer.Hang()
		old()
		defer issuer.Hang()()
		old()
		answered := false
		go func() {
			_, err := issuer.Client().Get(issuer.URL() + keySetPath)
			answered = err == nil
		}()
		synctest.Wait()
		require.False(t, answered)
	})
}

func TestAHangingRequestEndsWhenItIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		defer issuer.Hang()()
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		go func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, issuer.URL()+keySetPath, nil)
			_, err = issuer.Client().Do(request)
		}()
		synctest.Wait()
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Whoever can reach an issuer on a socket, such as a web page, can make up paths.
func TestPathsThatAreMadeUpAreNotRemembered(t *testing.T) {
	const requests, length = 5000, 4096
	issuer := newIssuer(t)
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range requests {
		request := httptest.NewRequest("GET", fmt.Sprintf("/%d/%s", i, strings.Repeat("x", length)), nil)
		issuer.ServeHTTP(httptest.NewRecorder(), request)
	}
	require.Less(t, int64(heap())-int64(before), int64(requests*length/4))
	runtime.KeepAlive(issuer)
}

func TestRequestsAreCountedByWhatTheyAskFor(t *testing.T) {
	issuer := newIssuer(t)
	require.Zero(t, issuer.KeyFetches())
	require.Zero(t, issuer.DiscoveryFetches())
	get(t, issuer, metadataPath)
	get(t, issuer, keySetPath)
	get(t, issuer, keySetPath)
	get(t, issuer, "userinfo")
	issuer.SetDown(true)
	get(t, issuer, keySetPath)
	require.Equal(t, 3, issuer.KeyFetches())
	require.Equal(t, 1, issuer.DiscoveryFetches())
}

func TestClosingReleasesWhatHangsAndAwaitsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := fakeissuer.New("https://issuer.example/")
		release := issuer.Hang()
		answered := make(chan bool, 1)
		go func() {
			response, err := issuer.Client().Get(issuer.URL() + keySetPath)
			answered <- err == nil && response.StatusCode == http.StatusOK
		}()
		synctest.Wait()
		issuer.Close()
		require.True(t, <-answered)
		release()
		issuer.Close() // more than once is fine
	})
}

// A slow reader takes its answer when it is released.
type slowReader struct {
	http.ResponseWriter
	released chan struct{}
}

func (s slowReader) Write(text []byte) (int, error) {
	<-s.released
	return s.ResponseWriter.Write(text)
}

func TestClosingAwaitsAnswersThatAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := fakeissuer.New("https://issuer.example/")
		reader := slowReader{httptest.NewRecorder(), make(chan struct{})}
		go issuer.ServeHTTP(reader, httptest.NewRequest(http.MethodGet, "/"+keySetPath, nil))
		synctest.Wait()
		closed := false
		go func() {
			issuer.Close()
			closed = true
		}()
		synctest.Wait()
		require.False(t, closed)
		close(reader.released)
		synctest.Wait()
		require.True(t, closed)
	})
}

// Making a key is slow, and tests make many issuers.
func TestTheKeysOfAClosedIssuerServeTheNext(t *testing.T) {
	keys := func(issuer *fakeissuer.Issuer) []string {
		issuer.Rotate()
		set := keySet(t, issuer)
		issuer.RemoveOldKeys()
		issuer.Close()
		first, _ := set.Key(0)
		second, _ := set.Key(1)
		return []string{first.KeyID(), second.KeyID()}
	}
	require.ElementsMatch(t, keys(newIssuer(t)), keys(newIssuer(t)))
}

func TestAClosedIssuerRefusesRequests(t *testing.T) {
	issuer := fakeissuer.New("https://issuer.example/")
	issuer.Close()
	_, err := issuer.Client().Get(issuer.URL() + keySetPath)
	require.ErrorContains(t, err, "the fake issuer is closed")
	require.Zero(t, issuer.KeyFetches())

	recorder := httptest.NewRecorder()
	issuer.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/"+keySetPath, nil))
	require.Equal(t, http.StatusServiceUnavailable, recorder.Code, "as on a socket")
}

func TestTheClientReachesNobodyElse(t *testing.T) {
	issuer := newIssuer(t)
	for _, url := range []string{
		"https://other.example/" + keySetPath,
		"https://issuer.example.other.example/" + keySetPath,
		"https://issuer.example:8443/" + keySetPath,
		"http://issuer.example/" + keySetPath,
	} {
		_, err := issuer.Client().Get(url)
		require.ErrorContains(t, err, "the fake issuer https://issuer.example/ was asked for "+url)
		require.Contains(t, issuer.Strangers(), url)
	}
	require.Zero(t, issuer.KeyFetches())
}

func TestAnIssuerAnswersOnASocketToo(t *testing.T) {
	issuer := newIssuer(t)
	server := httptest.NewServer(issuer)
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/" + metadataPath)
	require.NoError(t, err)
	require.Equal(t, issuer.URL(), object(t, response)["issuer"])
}

// The race detector is what fails here.
func TestAnIssuerIsSafeForConcurrentUse(t *testing.T) {
	issuer := newIssuer(t)
	var group sync.WaitGroup
	for _, use := range []func(){
		issuer.Rotate,
		issuer.RemoveOldKeys,
		func() { issuer.SetDown(false) },
		func() { issuer.Hang()() },
		issuer.Announce,
		func() { issuer.RotateUnpublished()() },
		func() { issuer.SetDelay(0) },
		func() { issuer.SetKeySet(fakeissuer.GoodSet) },
		func() { _, _ = issuer.EncryptionKey("RS256") },
		func() { _ = issuer.Strangers() },
		func() { issuer.AddUser(fakeissuer.User{Subject: "user-1", Profile: map[string]any{"a": 1}}) },
		func() { issuer.AddClient("robot", "s3cret", audience, nil) },
		func() { _, _ = issuer.Sign(issuer.IDToken("client-1", "user-1")) },
		func() { _, _ = issuer.Client().Get(issuer.URL() + keySetPath) },
		func() { _, _ = issuer.Client().Get(issuer.URL() + "userinfo") },
		func() { _, _ = issuer.Client().PostForm(issuer.TokenURL(), nil) },
		func() { _ = issuer.KeyFetches() + issuer.DiscoveryFetches() },
	} {
		group.Go(use)
	}
	group.Wait()
	require.Equal(t, 1, issuer.KeyFetches())
}

func TestOtherPathsAndMethodsAreNotServed(t *testing.T) {
	issuer := newIssuer(t)
	tests := []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "", http.StatusNotFound},
		{http.MethodGet, "keys", http.StatusNotFound},
		{http.MethodPost, keySetPath, http.StatusMethodNotAllowed},
		{http.MethodGet, "oauth/token", http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		request, err := http.NewRequest(tt.method, issuer.URL()+tt.path, strings.NewReader(""))
		require.NoError(t, err)
		response, err := issuer.Client().Do(request)
		require.NoError(t, err)
		require.Equal(t, tt.want, response.StatusCode)
	}
}

// Keys are used again by other issuers: what a closed one signed would be theirs.
func TestAClosedIssuerSignsNothing(t *testing.T) {
	issuer := fakeissuer.New("https://issuer.test/")
	_, err := issuer.Sign(issuer.AccessToken("api"))
	require.NoError(t, err)
	issuer.Close()
	_, err = issuer.Sign(issuer.AccessToken("api"))
	require.ErrorContains(t, err, "the fake issuer is closed")
	_, err = issuer.EncryptionKey("RS256")
	require.ErrorContains(t, err, "the fake issuer is closed")
}
