package claims_test

import (
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestAGoodTokenIsReadAsItIs(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, payload(set{
		"aud": []string{"https://other.example/", audience}, "nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"scope": "read:patients  openid bad\tpiece",
	})))
	require.NoError(t, err)
	require.Equal(t, issuer, c.Issuer)
	require.Equal(t, "user-1", c.Subject)
	require.Equal(t, []string{"https://other.example/", audience}, c.Audience)
	require.Equal(t, "client-1", c.ClientID)
	require.Equal(t, "token-1", c.TokenID)
	require.True(t, now.Equal(c.IssuedAt))
	require.True(t, now.Equal(c.NotBefore))
	require.True(t, now.Add(time.Minute).Equal(c.Expiry))
	require.Equal(t, "read:patients openid", c.Scope.String())
}

func TestForm(t *testing.T) {
	good := sign(goodHeader, payload(nil))
	parts := strings.Split(good, ".")
	rest := "." + parts[1] + "." + parts[2]
	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"empty", "", claims.ErrMalformed},
		{"opaque", "8xLOxBtZp8", claims.ErrOpaque},
		{"two parts", parts[0] + "." + parts[1], claims.ErrMalformed},
		{"four parts", good + ".x", claims.ErrMalformed},
		{"six parts", "a.b.c.d.e.f", claims.ErrMalformed},
		{"a JWE", "a.b.c.d.e", claims.ErrEncrypted},
		{"JSON serialization", `{"payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, claims.ErrSerialization},
		{"no header", rest, claims.ErrMalformed},
		{"no payload", parts[0] + ".." + parts[2], claims.ErrMalformed},
		{"only dots", "..", claims.ErrMalformed},
		{"white space before", " " + good, claims.ErrMalformed},
		{"a line break after", good + "\n", claims.ErrMalformed},
		{"a line break in the signature", good[:len(good)-5] + "\n" + good[len(good)-5:], claims.ErrMalformed},
		{"a carriage return in the header", parts[0][:4] + "\r" + parts[0][4:] + rest, claims.ErrMalformed},
		{"padding", signParts(trustedKey(), base64.URLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`+" ")), parts[1]), claims.ErrMalformed},
		{"base64 of the standard alphabet", signParts(trustedKey(), base64.RawStdEncoding.EncodeToString([]byte(`{"alg":"RS256","x":">>>???"}`)), parts[1]), claims.ErrMalformed},
		{"stray bits in the last character", good[:len(good)-1] + stray(good[len(good)-1]), claims.ErrMalformed},
		{"a header that is an array", sign(`[]`, payload(nil)), claims.ErrMalformed},
		{"a header that is no JSON", sign(`alg: RS256`, payload(nil)), claims.ErrMalformed},
		{"text after the header", sign(goodHeader+`{}`, payload(nil)), claims.ErrMalformed},
		{"text after the payload", sign(goodHeader, payload(nil)+`{}`), claims.ErrMalformed},
		{"a payload that is an array", sign(goodHeader, `[`+payload(nil)+`]`), claims.ErrMalformed},
		{"a payload that is text", sign(goodHeader, `hello`), claims.ErrMalformed},
		{"a payload that is a token", sign(goodHeader, good), claims.ErrMalformed},
		{"a payload that is no UTF-8", sign(goodHeader, strings.Replace(payload(nil), "user-1", "user-\xff", 1)), claims.ErrMalformed},
		{"a lone surrogate", sign(goodHeader, with(`"x":"\ud800"`)), claims.ErrMalformed},
		{"a header that is no UTF-8", sign("{\"alg\":\"RS256\",\"x\":\"\xff\"}", payload(nil)), claims.ErrMalformed},
		{"too deep", sign(goodHeader, with(`"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))), claims.ErrMalformed},
		{"too large", sign(goodHeader, with(`"x":"`+strings.Repeat("x", claims.DefaultMaxTokenSize)+`"`)), claims.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireRefused(t, newValidator(t), tt.token, tt.want) })
	}
}

// stray returns a base64url character that decodes as c does where c's last four
// bits are not used, as at the end of a 256-byte signature.
func stray(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

func TestWhiteSpaceAroundTheObjectsIsNoHarm(t *testing.T) {
	_, err := newValidator(t).Validate(t.Context(), sign(" \n"+goodHeader+"\t ", "\r\n "+payload(nil)+" "))
	require.NoError(t, err)
}

func TestHeader(t *testing.T) {
	tests := []struct {
		name   string
		header string
		want   error
	}{
		{"no alg", `{"kid":"key-1"}`, claims.ErrMalformed},
		{"an alg that is no string", `{"alg":["RS256"],"kid":"key-1"}`, claims.ErrMalformed},
		{"an empty alg", `{"alg":"","kid":"key-1"}`, claims.ErrMalformed},
		{"alg in other letters", `{"ALG":"RS256","kid":"key-1"}`, claims.ErrMalformed},
		{"alg twice", `{"alg":"none","alg":"RS256","kid":"key-1"}`, claims.ErrMalformed},
		{"alg twice, once escaped", `{"alg":"RS256","\u0061lg":"none","kid":"key-1"}`, claims.ErrMalformed},
		{"kid twice", `{"alg":"RS256","kid":"key-1","kid":"key-1"}`, claims.ErrMalformed},
		{"a kid that is no string", `{"alg":"RS256","kid":1}`, claims.ErrMalformed},
		{"a kid that is too long", `{"alg":"RS256","kid":"` + strings.Repeat("k", 257) + `"}`, claims.ErrMalformed},
		{"another kid", `{"alg":"RS256","kid":"key-2"}`, claims.ErrUnknownKey},
		{"the kid in other letters", `{"alg":"RS256","kid":"KEY-1"}`, claims.ErrUnknownKey},
		{"a kid that is a path", `{"alg":"RS256","kid":"../../dev/null"}`, claims.ErrUnknownKey},
		{"a kid with a line break", `{"alg":"RS256","kid":"key\n1"}`, claims.ErrUnknownKey},
		{"crit", `{"alg":"RS256","kid":"key-1","crit":["exp"]}`, claims.ErrCritical},
		{"an empty crit", `{"alg":"RS256","kid":"key-1","crit":[]}`, claims.ErrCritical},
		{"crit null", `{"alg":"RS256","kid":"key-1","crit":null}`, claims.ErrCritical},
		{"b64", `{"alg":"RS256","kid":"key-1","b64":true}`, claims.ErrUnencoded},
		{"zip", `{"alg":"RS256","kid":"key-1","zip":"DEF"}`, claims.ErrCompressed},
		{"cty JWT", `{"alg":"RS256","kid":"key-1","cty":"jwt"}`, claims.ErrNested},
		{"cty application/JWT", `{"alg":"RS256","kid":"key-1","cty":"application/JWT"}`, claims.ErrNested},
		{"a typ that is no string", `{"alg":"RS256","kid":"key-1","typ":1}`, claims.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireRefused(t, newValidator(t), sign(tt.header, payload(nil)), tt.want)
		})
	}
}

func TestKeysAndAddressesInTheHeaderAreNotLookedAt(t *testing.T) {
	// The token is signed with a key that its own header brings along.
	header := `{"alg":"RS256","kid":"key-1","jku":"https://evil.example/jwks.json","x5u":"https://evil.example/",` +
		`"x5c":["AAAA"],"x5t":"AAAA","jwk":{"kty":"RSA","n":"` +
		base64.RawURLEncoding.EncodeToString(stolenKey().N.Bytes()) + `","e":"AQAB"}}`
	requireRefused(t, newValidator(t), signWith(stolenKey(), header, payload(nil)), claims.ErrSignature)

	// And they do not harm a token that is good.
	_, err := newValidator(t).Validate(t.Context(), sign(header, payload(nil)))
	require.NoError(t, err)
}

func TestATokenWithoutKidIsServedWhereOneKeyFits(t *testing.T) {
	_, err := newValidator(t).Validate(t.Context(), sign(`{"alg":"RS256"}`, payload(nil)))
	require.NoError(t, err)
}

func TestIssuer(t *testing.T) {
	tests := []struct {
		name   string
		claims string
		want   error
	}{
		{"another issuer", payload(set{"iss": "https://evil.example/"}), claims.ErrIssuer},
		{"no issuer", payload(set{"iss": nil}), claims.ErrIssuer},
		{"empty", payload(set{"iss": ""}), claims.ErrIssuer},
		{"no slash at the end", payload(set{"iss": "https://issuer.example"}), claims.ErrIssuer},
		{"a slash too many", payload(set{"iss": issuer + "/"}), claims.ErrIssuer},
		{"a prefix", payload(set{"iss": issuer + "tenant"}), claims.ErrIssuer},
		{"other letters", payload(set{"iss": "https://ISSUER.example/"}), claims.ErrIssuer},
		{"white space", payload(set{"iss": issuer + " "}), claims.ErrIssuer},
		{"an array", payload(set{"iss": []string{issuer}}), claims.ErrMalformed},
		{"null", with(`"x":1`)[:1] + `"iss":null}`, claims.ErrMalformed},
		{"twice", with(`"iss":"` + issuer + `"`), claims.ErrMalformed},
		{"twice, once escaped", with(`"\u0069ss":"` + issuer + `"`), claims.ErrMalformed},
		{"only in other letters", payload(set{"iss": nil, "ISS": issuer}), claims.ErrIssuer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireRefused(t, newValidator(t), sign(goodHeader, tt.claims), tt.want) })
	}
}

func TestTheReasonTellsOfASlashAtTheEnd(t *testing.T) {
	_, err := newValidator(t).Validate(t.Context(), sign(goodHeader, payload(set{"iss": "https://issuer.example"})))
	require.ErrorContains(t, err, "lacks the slash at the end")

	v, err := claims.NewValidator(claims.Config{Issuer: "https://issuer.example", Audience: audience, Keys: trustedSource(t)})
	require.NoError(t, err)
	_, err = v.Validate(t.Context(), sign(goodHeader, payload(nil)))
	require.ErrorContains(t, err, "has a slash at the end that the configured one lacks")
	_, err = v.Validate(t.Context(), sign(goodHeader, payload(set{"iss": "https://evil.example/"})))
	require.ErrorContains(t, err, `it says "https://evil.example/", and trusted is "https://issuer.example"`)
}

type sourceFunc func(ctx context.Context, alg, kid string) ([]*jwks.Key, error)

func (f sourceFunc) Keys(ctx context.Context, alg, kid string) ([]*jwks.Key, error) {
	return f(ctx, alg, kid)
}

func TestNoKeysAreAskedForBeforeIssuerAndAlgorithmAreGood(t *testing.T) {
	asked := 0
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: sourceFunc(
		func(context.Context, string, string) ([]*jwks.Key, error) { asked++; return nil, jwks.ErrUnknownKey },
	)})
	require.NoError(t, err)
	requireRefused(t, v, sign(goodHeader, payload(set{"iss": "https://evil.example/"})), claims.ErrIssuer)
	requireRefused(t, v, sign(`{"alg":"none"}`, payload(nil)), claims.ErrAlgorithm)
	require.Zero(t, asked)
	requireRefused(t, v, sign(goodHeader, payload(nil)), claims.ErrUnknownKey)
	require.Equal(t, 1, asked)
}

func TestAlgorithm(t *testing.T) {
	parts := strings.Split(sign(goodHeader, payload(nil)), ".")
	for _, alg := range []string{
		"none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA",
		"rs256", "RS256 ", "RS256\x00", "RSA", "RSA-OAEP", "dir",
	} {
		t.Run(alg, func(t *testing.T) {
			header := encode(`{"alg":` + quote(alg) + `,"kid":"key-1","typ":"at+jwt"}`)
			for _, signature := range []string{"", parts[2], hs256(header+"."+parts[1], publicPEM(t))} {
				requireRefused(t, newValidator(t), header+"."+parts[1]+"."+signature, claims.ErrAlgorithm)
			}
		})
	}
}

func quote(text string) string {
	return `"` + strings.ReplaceAll(text, "\x00", `\u0000`) + `"`
}

func publicPEM(t *testing.T) []byte {
	der, err := x509.MarshalPKIXPublicKey(&trustedKey().PublicKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// hs256 signs with the public key as if it were a shared secret.
func hs256(input string, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestSignature(t *testing.T) {
	good := sign(goodHeader, payload(nil))
	parts := strings.Split(good, ".")
	tests := []struct{ name, token string }{
		{"none", parts[0] + "." + parts[1] + "."},
		{"of another key", signWith(stolenKey(), goodHeader, payload(nil))},
		{"of another token", parts[0] + "." + encode(payload(set{"scope": "admin"})) + "." + parts[2]},
		{"of another header", encode(plainHeader) + "." + parts[1] + "." + parts[2]},
		{"too short", parts[0] + "." + parts[1] + "." + encode("x")},
		{"too long", parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-2] + "AAAA"},
		{"HMAC with the public key", parts[0] + "." + parts[1] + "." + hs256(parts[0]+"."+parts[1], publicPEM(t))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireRefused(t, newValidator(t), tt.token, claims.ErrSignature) })
	}
}

func TestAnyByteChangedRefusesTheToken(t *testing.T) {
	v := newValidator(t)
	good := sign(goodHeader, payload(nil))
	_, err := v.Validate(t.Context(), good)
	require.NoError(t, err)
	for i := range len(good) {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
			changed := []byte(good)
			changed[i] ^= flip
			_, err := v.Validate(t.Context(), string(changed))
			require.Error(t, err, "byte %d: %q", i, changed[i])
		}
	}
}

func TestAudience(t *testing.T) {
	tests := []struct {
		name string
		aud  any
		want error
	}{
		{"another API", "https://example.com/other-api", claims.ErrAudience},
		{"the client", "client-1", claims.ErrAudience},
		{"missing", nil, claims.ErrAudience},
		{"empty", "", claims.ErrAudience},
		{"an empty array", []string{}, claims.ErrAudience},
		{"several others", []string{"a", "b", "c", "d", "e", "f"}, claims.ErrAudience},
		{"a slash more", audience + "/", claims.ErrAudience},
		{"a prefix", "https://example.com/health", claims.ErrAudience},
		{"longer", audience + "/v2", claims.ErrAudience},
		{"other letters", strings.ToUpper(audience), claims.ErrAudience},
		{"two in one string", audience + " " + audience, claims.ErrAudience},
		{"an array with a number", []any{audience, 1}, claims.ErrMalformed},
		{"an object", map[string]any{audience: true}, claims.ErrMalformed},
		{"nested arrays", []any{[]string{audience}}, claims.ErrMalformed},
		{"a number", 1, claims.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireRefused(t, newValidator(t), sign(goodHeader, payload(set{"aud": tt.aud})), tt.want)
		})
	}
	requireRefused(t, newValidator(t), sign(goodHeader, with(`"aud":"`+audience+`"`)), claims.ErrMalformed)
	requireRefused(t, newValidator(t), sign(goodHeader, payload(set{"aud": nil, "Aud": audience})), claims.ErrAudience)
}

func TestTheReasonTellsHowCognitoNamesAnAudience(t *testing.T) {
	_, err := newValidator(t).Validate(t.Context(), sign(plainHeader, payload(set{"aud": nil, "token_use": "access"})))
	require.ErrorIs(t, err, claims.ErrAudience)
	require.ErrorContains(t, err, "with Cognito, by resource binding")
}

func TestTypesOfRegisteredClaims(t *testing.T) {
	for _, raw := range []string{
		`"sub":1`, `"sub":null`, `"sub":["user-1"]`,
		`"jti":1`, `"jti":{}`,
		`"exp":"9999999999"`, `"exp":null`, `"exp":true`, `"exp":[9999999999]`,
		`"exp":-1`, `"exp":1e400`, `"exp":-1e400`, `"exp":9223372036854775808`, `"exp":18446744073709551617`,
		`"exp":253402300800`, `"exp":1e30`,
		`"nbf":"0"`, `"nbf":-1`, `"nbf":1e400`, `"nbf":9223372036854775808`,
		`"iat":"0"`, `"iat":-1`, `"iat":null`, `"iat":1e400`,
		`"cnf":1`, `"cnf":null`, `"cnf":{"jkt":"a","jkt":"a"}`,
	} {
		t.Run(raw, func(t *testing.T) {
			name := strings.Split(raw, `"`)[1]
			good := payload(set{name: nil})
			requireRefused(t, newValidator(t), sign(goodHeader, good[:len(good)-1]+","+raw+"}"), claims.ErrMalformed)
		})
	}
}

func TestClaimsOfAnUnexpectedTypeGrantNothingAndRefuseNothing(t *testing.T) {
	for _, raw := range []string{
		`"scope":1`, `"scope":null`, `"scope":{"read:patients":true}`, `"scope":["read:patients",1]`, `"scope":[["read:patients"]]`,
		`"scp":1`, `"scp":{}`,
	} {
		good := payload(set{"scope": nil})
		c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, good[:len(good)-1]+","+raw+"}"))
		require.NoError(t, err, raw)
		require.Zero(t, c.Scope.Len(), raw)
	}
}

func TestScopesComeFromScopeAndScp(t *testing.T) {
	tests := []struct {
		changes set
		want    string
	}{
		{set{"scope": "a b"}, "a b"},
		{set{"scope": []string{"a", "b"}}, "a b"},
		{set{"scope": []string{"not admin", "b"}}, "b"},
		{set{"scope": nil, "scp": "a b"}, "a b"},
		{set{"scope": nil, "scp": []string{"a", "b"}}, "a b"},
		{set{"scope": "a", "scp": []string{"b", "a"}}, "a b"},
		{set{"scope": nil}, ""},
		{set{"scope": nil, "permissions": []string{"a"}, "roles": []string{"b"}}, ""},
		{set{"scope": nil, "Scope": "a", "SCP": "b"}, ""},
	}
	for _, tt := range tests {
		c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, payload(tt.changes)))
		require.NoError(t, err)
		require.Equal(t, tt.want, c.Scope.String(), "%v", tt.changes)
	}
}

func TestClientIDByItsSeveralNames(t *testing.T) {
	tests := []struct {
		changes set
		want    string
	}{
		{set{"azp": "b"}, "client-1"},
		{set{"client_id": nil, "azp": "b", "cid": "c"}, "b"},
		{set{"client_id": nil, "cid": "c", "appid": "d"}, "c"},
		{set{"client_id": nil, "appid": "d"}, "d"},
		{set{"client_id": 1, "azp": "b"}, ""},
		{set{"client_id": nil}, ""},
	}
	for _, tt := range tests {
		c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, payload(tt.changes)))
		require.NoError(t, err)
		require.Equal(t, tt.want, c.ClientID, "%v", tt.changes)
	}
}

func TestWhenAndHowTheUserHasLoggedIn(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	var never time.Time
	tests := []struct {
		name string
		raw  string // members, behind those of a good token
		at   time.Time
		acr  string
		amr  []string
	}{
		{"not said", ``, never, "", nil},
		{"all of it", `,"auth_time":1700000000,"acr":"urn:mace:incommon:iap:silver","amr":["pwd","otp"]`, at(1700000000), "urn:mace:incommon:iap:silver", []string{"pwd", "otp"}},
		{"a time with an exponent", `,"auth_time":1.7e9`, at(1700000000), "", nil},
		{"1970", `,"auth_time":0`, at(0), "", nil},
		{"an empty acr", `,"acr":""`, never, "", nil},
		{"one method", `,"amr":["mfa"]`, never, "", []string{"mfa"}},
		{"no method", `,"amr":[]`, never, "", []string{}},

		{"other types", `,"auth_time":"1700000000","acr":1,"amr":"pwd"`, never, "", nil},
		{"null", `,"auth_time":null,"acr":null,"amr":null`, never, "", nil},
		{"still others", `,"auth_time":[1],"acr":["0"],"amr":{"pwd":true}`, never, "", nil},
		{"a time before 1970, and a method that is a number", `,"auth_time":-1,"amr":["pwd",1]`, never, "", nil},
		{"a time after 9999, and a method that is null", `,"auth_time":253402300800,"amr":["pwd",null]`, never, "", nil},
		{"a time out of range, and nested methods", `,"auth_time":1e400,"amr":[["pwd"]]`, never, "", nil},
		{"other letters", `,"Auth_Time":1700000000,"ACR":"1","AMR":["pwd"]`, never, "", nil},
		{"one that is odd beside others", `,"auth_time":"soon","acr":"1","amr":["pwd"]`, never, "1", []string{"pwd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := payload(nil)
			c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, good[:len(good)-1]+tt.raw+"}"))
			require.NoError(t, err)
			require.True(t, tt.at.Equal(c.AuthTime), c.AuthTime)
			require.Equal(t, tt.at.IsZero(), c.AuthTime.IsZero())
			require.Equal(t, tt.acr, c.ACR)
			require.Equal(t, tt.amr, c.AMR)
		})
	}
}

func TestALoginThatIsSaidTwiceRefusesTheToken(t *testing.T) {
	for _, raw := range []string{`"auth_time":1,"auth_time":1`, `"acr":"1","\u0061cr":"2"`, `"amr":[],"amr":["mfa"]`} {
		requireRefused(t, newValidator(t), sign(goodHeader, with(raw)), claims.ErrMalformed)
	}
}

// For most APIs the claims about the login are a price that they need not pay.
func TestALoginThatIsNotSaidIsNoAllocation(t *testing.T) {
	v := newValidator(t, claims.WithoutMemory())
	allocations := func(token string) float64 {
		_, err := v.Validate(t.Context(), token)
		require.NoError(t, err)
		// The race detector has pools forget what they have, at random: the fewest are
		// those where none has.
		fewest := math.Inf(1)
		for range 100 {
			fewest = min(fewest, testing.AllocsPerRun(1, func() { _, _ = v.Validate(t.Context(), token) }))
		}
		return fewest
	}
	// Other members in their place cost the form as much.
	without := allocations(sign(goodHeader, with(`"abcd_time":1700000000,"abc":"1","abd":["pwd"]`)))
	require.Equal(t, without, allocations(sign(goodHeader, with(`"auth_time":1700000000,"acr":"1","abd":["pwd"]`))))
	require.Greater(t, allocations(sign(goodHeader, with(`"auth_time":1700000000,"acr":"1","amr":["pwd"]`))), without)
}

func TestTheKeyIDIsThatOfTheKeyAndNotOfTheToken(t *testing.T) {
	key := func(id string, public *rsa.PublicKey) *jwks.Key {
		key, err := jwks.NewKey(id, "RS256", public)
		require.NoError(t, err)
		return key
	}
	good, foreign := &trustedKey().PublicKey, &stolenKey().PublicKey
	const anonymous = `{"alg":"RS256"}`
	tests := []struct {
		name   string
		keys   []*jwks.Key // whatever the token names
		header string
		want   string
	}{
		{"the same", []*jwks.Key{key(kid, good)}, goodHeader, kid},
		{"the token names none", []*jwks.Key{key(kid, good)}, anonymous, kid},
		{"the key has none", []*jwks.Key{key("", good)}, goodHeader, ""},
		{"neither has one", []*jwks.Key{key("", good)}, anonymous, ""},
		{"the source goes by something else", []*jwks.Key{key("thumb", good)}, goodHeader, "thumb"},
		{"the second one fits", []*jwks.Key{nil, key("first", foreign), key("second", good), key("third", good)}, goodHeader, "second"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			v := configured(t, func(c *claims.Config) {
				c.Keys = sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) { return tt.keys, nil })
				c.Check = func(_ context.Context, c *claims.Claims) error {
					asked++
					require.Equal(t, tt.want, c.KeyID)
					return nil
				}
			})
			token := sign(tt.header, payload(set{"kid": "evil", "KeyID": "evil"}))
			c, err := v.Validate(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, tt.want, c.KeyID)
			require.NoError(t, v.Explain(t.Context(), token).Err)
			require.Equal(t, 2, asked, "by Validate and by Explain")
		})
	}
}

// Inside a bubble the clock stands still, so that edges can be tested: those of
// the default leeway, 30 seconds.
func TestTimes(t *testing.T) {
	tests := []struct {
		name    string
		changes func(now int64) set
		want    error
	}{
		{"one second before the end of the leeway", func(now int64) set { return set{"exp": now - 29} }, nil},
		{"at the end of the leeway", func(now int64) set { return set{"exp": now - 30} }, claims.ErrExpired},
		{"a fraction before it", func(now int64) set { return set{"exp": float64(now) - 29.5} }, nil},
		{"long over", func(now int64) set { return set{"exp": 0} }, claims.ErrExpired},
		{"no end", func(now int64) set { return set{"exp": nil} }, claims.ErrExpired},
		{"an end in other letters", func(now int64) set { return set{"exp": nil, "EXP": now + 60} }, claims.ErrExpired},
		{"the last second of the year 9999", func(now int64) set { return set{"exp": int64(253402300799)} }, nil},
		{"begins at the end of the leeway", func(now int64) set { return set{"nbf": now + 30} }, nil},
		{"begins after it", func(now int64) set { return set{"nbf": now + 31} }, claims.ErrNotYetValid},
		{"begins a fraction after it", func(now int64) set { return set{"nbf": float64(now) + 30.5} }, claims.ErrNotYetValid},
		{"issued at the end of the leeway", func(now int64) set { return set{"iat": now + 30} }, nil},
		{"issued after it", func(now int64) set { return set{"iat": now + 31} }, claims.ErrNotYetValid},
		{"issued long ago", func(now int64) set { return set{"iat": 0} }, nil},
		{"not said when issued", func(now int64) set { return set{"iat": nil} }, nil},
	}
	trustedKey() // made outside of the bubbles
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				token := sign(goodHeader, payload(tt.changes(time.Now().Unix())))
				if tt.want != nil {
					requireRefused(t, newValidator(t), token, tt.want)
					return
				}
				_, err := newValidator(t).Validate(t.Context(), token)
				require.NoError(t, err)
			})
		})
	}
}

func TestNumbersMayHaveExponents(t *testing.T) {
	good := payload(set{"exp": nil, "iat": nil})
	c, err := newValidator(t).Validate(t.Context(), sign(goodHeader, good[:len(good)-1]+`,"exp":4.1024448e9,"iat":1.5E+0}`))
	require.NoError(t, err)
	require.Equal(t, int64(4102444800), c.Expiry.Unix())
	require.Equal(t, int64(1500), c.IssuedAt.UnixMilli())
}

func TestLeeway(t *testing.T) {
	trustedKey()
	tests := []struct {
		leeway time.Duration
		edge   int64 // the first second after the expiry at which the token is refused
	}{
		{0, 30},
		{claims.NoLeeway, 0},
		{time.Minute, 60},
		{10 * time.Minute, 600},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: trustedSource(t), Leeway: tt.leeway})
			require.NoError(t, err)
			now := time.Now().Unix()
			_, err = v.Validate(t.Context(), sign(goodHeader, payload(set{"exp": now - tt.edge + 1})))
			require.NoError(t, err)
			_, err = v.Validate(t.Context(), sign(goodHeader, payload(set{"exp": now - tt.edge})))
			require.ErrorIs(t, err, claims.ErrExpired)
		})
	}
}

// A token that expires while its key is being fetched has expired.
func TestTimeIsReadAfterTheWaitForKeys(t *testing.T) {
	trustedKey()
	synctest.Test(t, func(t *testing.T) {
		slow := sourceFunc(func(ctx context.Context, alg, kid string) ([]*jwks.Key, error) {
			time.Sleep(time.Minute)
			return trustedSource(t).Keys(ctx, alg, kid)
		})
		v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: slow, Leeway: claims.NoLeeway})
		require.NoError(t, err)
		_, err = v.Validate(t.Context(), sign(goodHeader, payload(set{"exp": time.Now().Unix() + 30})))
		require.ErrorIs(t, err, claims.ErrExpired)
	})
}

// A Remote tells the time too where it has the keys at once. Where it has not, that time
// is over when it has them.
func TestTimeIsReadAfterTheWaitForANewKey(t *testing.T) {
	for name, warm := range map[string]bool{"the first": false, "a new one": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := authtest.NewIssuer(t)
				config := provider.Config(audience)
				config.Leeway = claims.NoLeeway
				v, err := claims.NewValidator(config)
				require.NoError(t, err)
				if warm {
					_, err := v.Validate(t.Context(), provider.Token())
					require.NoError(t, err)
					provider.Rotate()
				}
				provider.SetDelay(2 * time.Second)
				began := time.Now()
				_, err = v.Validate(t.Context(), provider.Token(authtest.Expiry(time.Now().Add(time.Second))))
				require.ErrorIs(t, err, claims.ErrExpired)
				require.GreaterOrEqual(t, time.Since(began), 2*time.Second, "it had to wait")
				_, err = v.Validate(t.Context(), provider.Token(authtest.Expiry(time.Now().Add(time.Second))))
				require.NoError(t, err)
			})
		})
	}
}

func TestABoundTokenIsNoBearerToken(t *testing.T) {
	for _, cnf := range []any{map[string]any{"jkt": "x"}, map[string]any{"x5t#S256": "x"}, map[string]any{}} {
		requireRefused(t, newValidator(t), sign(goodHeader, payload(set{"cnf": cnf})), claims.ErrBound)
	}
}

func TestKeysThatCannotBeHadAreNoFaultOfTheToken(t *testing.T) {
	key, err := jwks.NewKey(kid, "RS384", &trustedKey().PublicKey)
	require.NoError(t, err)
	tests := []struct {
		name string
		keys []*jwks.Key
		err  error
		want error
	}{
		{"unavailable", nil, jwks.ErrUnavailable, claims.ErrUnavailable},
		{"an error of somebody's own", nil, errors.New("database is down"), claims.ErrUnavailable},
		{"the end of the context", nil, context.Canceled, claims.ErrUnavailable},
		{"neither keys nor an error", nil, nil, claims.ErrUnavailable},
		{"an unknown key", nil, jwks.ErrUnknownKey, claims.ErrUnknownKey},
		{"unknown here and unavailable there", nil, fmt.Errorf("%w; %w", jwks.ErrUnknownKey, jwks.ErrUnavailable), claims.ErrUnavailable},
		{"a key for another algorithm", []*jwks.Key{key}, nil, claims.ErrSignature},
		{"a nil key", []*jwks.Key{nil}, nil, claims.ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: sourceFunc(
				func(context.Context, string, string) ([]*jwks.Key, error) { return tt.keys, tt.err },
			)})
			require.NoError(t, err)
			requireRefused(t, v, sign(goodHeader, payload(nil)), tt.want)
			if tt.err != nil {
				_, err := v.Validate(t.Context(), sign(goodHeader, payload(nil)))
				require.ErrorIs(t, err, tt.err, "the cause stays in the chain")
			}
		})
	}
}

// A busy error says when to retry.
type busy struct {
	error
	after time.Duration
}

func (e busy) RetryAfter() time.Duration { return e.after }
func (e busy) Unwrap() error             { return e.error }

func TestWhenToRetryIsPassedOn(t *testing.T) {
	later := busy{jwks.ErrUnavailable, 7 * time.Second}
	good := sign(goodHeader, payload(nil))
	validate := func(v *claims.Validator) error { _, err := v.Validate(t.Context(), good); return err }
	keys := func(err error) func(*claims.Config) {
		return func(c *claims.Config) {
			c.Keys = sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) { return nil, err })
		}
	}
	check := func(err error) func(*claims.Config) {
		return func(c *claims.Config) { c.Check = func(context.Context, *claims.Claims) error { return err } }
	}
	tests := []struct {
		name   string
		change func(*claims.Config)
		asks   func(*claims.Validator) error
	}{
		{"of the keys", keys(later), validate},
		{"of the keys, wrapped", keys(fmt.Errorf("my keys: %w", later)), validate},
		{"of the keys, explained", keys(later), func(v *claims.Validator) error { return v.Explain(t.Context(), good).Err }},
		{"of the keys, warming", func(c *claims.Config) { c.Keys = warmSource{trustedSource(t), later} },
			func(v *claims.Validator) error { return v.Warm(t.Context()) }},
		{"of the API's own check", check(later), validate},
		{"of the API's own check, which says so itself", check(fmt.Errorf("%w: %w", claims.ErrUnavailable, later)), validate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.asks(configured(t, tt.change))
			require.ErrorIs(t, err, claims.ErrUnavailable)
			var retry interface{ RetryAfter() time.Duration }
			require.ErrorAs(t, err, &retry)
			require.Equal(t, 7*time.Second, retry.RetryAfter())
		})
	}
}

func TestEveryRequestGetsItsOwnClaims(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(set{"aud": []string{audience, "b"}}))
	first, err := v.Validate(t.Context(), token)
	require.NoError(t, err)
	first.Audience[0], first.Subject = "evil", "evil"
	second, err := v.Validate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, []string{audience, "b"}, second.Audience)
	require.Equal(t, "user-1", second.Subject)
}

func TestTheZeroValidatorRefuses(t *testing.T) {
	var v claims.Validator
	_, err := v.Validate(t.Context(), sign(goodHeader, payload(nil)))
	require.ErrorIs(t, err, claims.ErrUnavailable)
	require.ErrorContains(t, err, "make one with NewValidator")
}

func TestAValidatorTellsWhomItTrustsAndForWhichAPI(t *testing.T) {
	v := configured(t, func(c *claims.Config) { c.AudienceAliases = []string{"https://example.com/old-api"} })
	require.Equal(t, []string{issuer}, v.Issuers())
	require.Equal(t, audience, v.Audience())

	v.Issuers()[0] = "https://evil.example/"
	require.Equal(t, []string{issuer}, v.Issuers(), "a copy each time")

	var zero claims.Validator
	require.Empty(t, zero.Issuers())
	require.Empty(t, zero.Audience())
}

func TestWithMaxTokenSize(t *testing.T) {
	token := sign(goodHeader, payload(nil))
	_, err := newValidator(t, claims.WithMaxTokenSize(len(token))).Validate(t.Context(), token)
	require.NoError(t, err)
	requireRefused(t, newValidator(t, claims.WithMaxTokenSize(len(token)-1)), token, claims.ErrTooLarge)
}

func TestBadConfigurationSaysWhatToDo(t *testing.T) {
	foreign, err := jwks.NewRemote(jwks.Config{Issuer: "https://other.example/"})
	require.NoError(t, err)
	var none *jwks.Remote
	keys := trustedSource(t)
	tests := []struct {
		name   string
		config claims.Config
		option claims.Option
		want   string
	}{
		{"no issuer", claims.Config{Audience: audience}, claims.Option{}, "Config.Issuer is empty: set it to"},
		{"no audience", claims.Config{Issuer: issuer}, claims.Option{}, "Config.Audience is empty: set it to"},
		{"white space around the issuer", claims.Config{Issuer: issuer + "\n", Audience: audience, Keys: keys}, claims.Option{}, "has white space around it: take it off"},
		{"white space around the audience", claims.Config{Issuer: issuer, Audience: " " + audience, Keys: keys}, claims.Option{}, "has white space around it: take it off"},
		{"an http issuer", claims.Config{Issuer: "http://issuer.example/", Audience: audience}, claims.Option{}, "use https"},
		{"an issuer that is no URL", claims.Config{Issuer: "issuer.example", Audience: audience}, claims.Option{}, "write it as https://host/path"},
		{"keys of another issuer", claims.Config{Issuer: issuer, Audience: audience, Keys: foreign}, claims.Option{}, "they must be the same"},
		{"keys that are nil", claims.Config{Issuer: issuer, Audience: audience, Keys: none}, claims.Option{}, "look at the error of the function that made it"},
		{"a source that is a nil function", claims.Config{Issuer: issuer, Audience: audience, Keys: sourceFunc(nil)}, claims.Option{}, "look at the error of the function that made it"},
		{"a negative leeway", claims.Config{Issuer: issuer, Audience: audience, Leeway: -time.Second}, claims.Option{}, "use NoLeeway for none"},
		{"a leeway in nanoseconds by mistake", claims.Config{Issuer: issuer, Audience: audience, Leeway: 30}, claims.Option{}, "write 30 * time.Second"},
		{"too much leeway", claims.Config{Issuer: issuer, Audience: audience, Leeway: time.Hour}, claims.Option{}, "10m0s are the most"},
		{"no room for a token", claims.Config{Issuer: issuer, Audience: audience}, claims.WithMaxTokenSize(0), "needs more room"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := claims.NewValidator(tt.config, tt.option)
			require.ErrorContains(t, err, tt.want)
			require.True(t, strings.HasPrefix(err.Error(), "claims: "), err)
			require.Nil(t, v)
		})
	}
}

func TestGoodConfigurations(t *testing.T) {
	remote, err := jwks.NewRemote(jwks.Config{URL: "https://issuer.example/keys"})
	require.NoError(t, err)
	for _, config := range []claims.Config{
		{Issuer: issuer, Audience: audience},
		{Issuer: "http://127.0.0.1:8080/", Audience: audience},
		{Issuer: issuer, Audience: audience, Keys: remote},
		{Issuer: "not-a-url", Audience: audience, Keys: trustedSource(t)},
	} {
		_, err := claims.NewValidator(config)
		require.NoError(t, err)
	}
}

// warmSource is a source that can be warmed.
type warmSource struct {
	jwks.Source
	err error
}

func (s warmSource) Warm(context.Context) error { return s.err }

func TestStatusIsThatOfTheSourceAndNeverFetches(t *testing.T) {
	require.Empty(t, newValidator(t).Status(), "pinned keys have none")

	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience})
	require.NoError(t, err)
	status := v.Status()
	require.Len(t, status, 1)
	require.Equal(t, issuer, status[0].Issuer)
	require.Equal(t, jwks.NotReady, status[0].State)
	require.Zero(t, status[0].Counts.Fetches)
}

func TestWarm(t *testing.T) {
	require.NoError(t, newValidator(t).Warm(t.Context()), "a source that cannot be warmed needs no warming")

	down := errors.New("connection refused")
	for _, cause := range []error{nil, down} {
		v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: warmSource{trustedSource(t), cause}})
		require.NoError(t, err)
		err = v.Warm(t.Context())
		if cause == nil {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, claims.ErrUnavailable)
		require.ErrorIs(t, err, down)
		require.ErrorContains(t, err, issuer)
	}
}
