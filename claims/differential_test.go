package claims_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

// scrub takes line breaks and tabs out of a literal that is written over several
// lines for the reader.
func scrub(text string) string { return strings.NewReplacer("\n", "", "\t", "").Replace(text) }

// What issuers send, and what they might: both readers take it, and for the same.
func TestThePeerReadsAcceptedTokensAlike(t *testing.T) {
	const minimal = `"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800`
	tests := []struct{ name, header, payload string }{
		{"RFC 9068", goodHeader, payload(nil)},
		{"no declared type", `{"alg":"RS256","kid":"key-1"}`, payload(nil)},
		{"typ JWT", plainHeader, payload(nil)},
		{"no kid", `{"alg":"RS256"}`, payload(nil)},
		{"a full media type", `{"typ":"application/at+jwt","alg":"RS256"}`, payload(nil)},
		{"white space inside the header", "{ \"alg\" :\r\n\t\"RS256\" , \"kid\" : \"key-1\" }", payload(nil)},
		{"an escaped name in the header", `{"\u0061lg":"RS\u0032\u00356","k\u0069d":"key-1"}`, payload(nil)},
		{"more in the header", `{"alg":"RS256","kid":"key-1","x":{"alg":"none"},"Alg":"none","n":1.5,"a":[null,true]}`, payload(nil)},
		{"Auth0", plainHeader, scrub(`{"iss":"https://issuer.example/","sub":"auth0|5f7c8ec7c33c6c004bbafe82",
			"aud":["https://example.com/health-api","https://issuer.example/userinfo"],"iat":1700000000,"exp":4102444800,
			"azp":"my_client_id","scope":"openid profile read:patients","permissions":["read:patients"]}`)},
		{"Okta", plainHeader, scrub(`{"ver":1,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","iss":"https://issuer.example/",
			"aud":"https://example.com/health-api","iat":1700000000,"exp":4102444800,"cid":"nmdP1fcyvdVO11AL7ECm",
			"uid":"00ugjpg5bUj5Cb1OD1d6","scp":["openid","read:patients"],"sub":"ada@example.com"}`)},
		{"Entra ID", plainHeader, scrub(`{"aud":"https://example.com/health-api","iss":"https://issuer.example/","iat":1700000000,
			"nbf":1700000000,"exp":4102444800,"aio":"E2ZgYKhO+w==","appid":"c","appidacr":"1","idtyp":"app","oid":"o","rh":"0.A",
			"roles":["Patients.Read"],"sub":"o","tid":"t","uti":"u","ver":"1.0"}`)},
		{"Keycloak", plainHeader, scrub(`{"exp":4102444800,"iat":1700000000,"jti":"j","iss":"https://issuer.example/",
			"aud":["https://example.com/health-api","account"],"sub":"s","typ":"Bearer","azp":"app","sid":"x","acr":"1",
			"realm_access":{"roles":["offline_access","uma_authorization"]},"resource_access":{"account":{"roles":["view-profile"]}},
			"scope":"email profile","email_verified":false,"preferred_username":"ada","nonce":"n"}`)},
		{"Cognito", plainHeader, scrub(`{"sub":"s","iss":"https://issuer.example/","client_id":"c","origin_jti":"o","event_id":"e",
			"token_use":"access","scope":"read:patients","auth_time":1700000000,"exp":4102444800,"iat":1700000000,"jti":"j",
			"username":"ada","aud":"https://example.com/health-api"}`)},
		{"nothing but what is required", plainHeader, `{` + minimal + `}`},
		{"empty texts", plainHeader, `{` + minimal + `,"sub":"","jti":"","scope":"","":""}`},
		{"white space everywhere", plainHeader, "\t{ " + strings.ReplaceAll(minimal, ",", "\r\n ,\t") + " \n} \n"},
		{"escapes", plainHeader, `{"\u0069ss":"https:\/\/issuer.example\/","aud":"https:\/\/example.com\/health\u002dapi","e\u0078p":4102444800,"sub":"\u0000\b\f\n\r\t\"\\\u00e9"}`},
		{"a pair of surrogates", plainHeader, `{` + minimal + `,"sub":"\ud83d\ude00","\ud83d\ude00":"\uD83D\uDE00"}`},
		{"text of all planes", plainHeader, "{" + minimal + ",\"sub\":\"\u00e9\u00a0\u20ac\u2028\u2029\ufeff\U0001f600\",\"jti\":\"e\u0301\"}"},
		{"names in other letters", plainHeader, `{` + minimal + `,"ISS":"https://evil.example/","Aud":1,"EXP":0,"Nbf":"x","Sub":null}`},
		{"a name that folds to another", plainHeader, "{" + minimal + ",\"\u017fub\":\"evil\",\"sub\":\"user-1\"}"}, // a long s
		{"an audience that is there twice", plainHeader, `{"iss":"https://issuer.example/","aud":["https://example.com/health-api","b","https://example.com/health-api",""],"exp":4102444800}`},
		{"exponents", plainHeader, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4.1024448e9,"iat":17E+8,"nbf":170000000000e-2}`},
		{"fractions", plainHeader, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800.123456,"iat":1700000000.999999999,"nbf":0.5}`},
		{"the first second and the last", plainHeader, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":253402300799,"iat":0,"nbf":0.0}`},
		{"numbers of all sizes", plainHeader, `{` + minimal + `,"a":9007199254740993,"b":-0,"c":1e308,"d":1e-400,"e":-12.5}`},
		{"claims that look like a token", plainHeader, `{` + minimal + `,"payload":"e30","protected":"e30","signature":"","signatures":[],"ciphertext":"x"}`},
		{"a deep claim", plainHeader, `{` + minimal + `,"x":` + strings.Repeat(`{"y":[`, 30) + strings.Repeat(`]}`, 30) + `}`},
		{"many claims", plainHeader, `{` + minimal + manyClaims(200) + `}`},
		{"names of claims inside of another", plainHeader, `{` + minimal + `,"sub":"s","x":{"sub":"a","iss":"b","exp":1}}`},
	}
	v := newValidator(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := sign(tt.header, tt.payload)
			ours, err := v.Validate(t.Context(), token)
			require.NoError(t, err)
			require.NoError(t, peerAccepts(token))
			peers, err := peerRead(token)
			require.NoError(t, err)
			requireAgreement(t, ours, peers)

			// The other claims, as a handler gets them.
			others, err := claims.As[map[string]any](ours)
			require.NoError(t, err)
			for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} {
				delete(others, name)
			}
			require.Equal(t, peers.PrivateClaims(), others)
		})
	}
}

// manyClaims returns so many more members.
func manyClaims(count int) string {
	var text strings.Builder
	for i := range count {
		text.WriteString(`,"claim-` + strings.Repeat("x", i) + `":` + strings.Repeat("1", i%18+1))
	}
	return text.String()
}

// What everybody must refuse, the peer refuses too: else the first test would only
// show that the peer takes everything.
func TestThePeerRefusesTheWorstToo(t *testing.T) {
	good := sign(goodHeader, payload(nil))
	parts := strings.Split(good, ".")
	hs256Header := encode(`{"alg":"HS256","kid":"key-1","typ":"at+jwt"}`)
	now := time.Now().Unix()
	require.NoError(t, peerAccepts(good))
	tests := []struct {
		name, token string
		want        error
	}{
		{"alg none", encode(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".", claims.ErrAlgorithm},
		{"HMAC with the public key", hs256Header + "." + parts[1] + "." + hs256(hs256Header+"."+parts[1], publicPEM(t)), claims.ErrAlgorithm},
		{"no signature", parts[0] + "." + parts[1] + ".", claims.ErrSignature},
		{"another's signature", signWith(stolenKey(), goodHeader, payload(nil)), claims.ErrSignature},
		{"another payload", parts[0] + "." + encode(payload(set{"scope": "admin"})) + "." + parts[2], claims.ErrSignature},
		{"another header", encode(plainHeader) + "." + parts[1] + "." + parts[2], claims.ErrSignature},
		{"two parts", parts[0] + "." + parts[1], claims.ErrMalformed},
		{"four parts", good + ".x", claims.ErrMalformed},
		{"no JSON", sign(goodHeader, "hello"), claims.ErrMalformed},
		{"an array", sign(goodHeader, `[`+payload(nil)+`]`), claims.ErrMalformed},
		{"an issuer that is a number", sign(goodHeader, payload(set{"iss": 1})), claims.ErrMalformed},
		{"another issuer", sign(goodHeader, payload(set{"iss": "https://evil.example/"})), claims.ErrIssuer},
		{"no issuer", sign(goodHeader, payload(set{"iss": nil})), claims.ErrIssuer},
		{"another audience", sign(goodHeader, payload(set{"aud": "client-1"})), claims.ErrAudience},
		{"no audience", sign(goodHeader, payload(set{"aud": nil})), claims.ErrAudience},
		{"expired", sign(goodHeader, payload(set{"exp": now - 60})), claims.ErrExpired},
		{"no expiry", sign(goodHeader, payload(set{"exp": nil})), claims.ErrExpired},
		{"not yet valid", sign(goodHeader, payload(set{"nbf": now + 60})), claims.ErrNotYetValid},
		{"issued in the future", sign(goodHeader, payload(set{"iat": now + 60})), claims.ErrNotYetValid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireRefused(t, newValidator(t), tt.token, tt.want)
			require.Error(t, peerAccepts(tt.token))
		})
	}
}
