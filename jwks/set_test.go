package jwks_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func TestAKeyFitsTheAlgorithmsOfItsKind(t *testing.T) {
	tests := []struct {
		name string
		key  member
		kind string
	}{
		{"RSA", rsaJWK, "RSA"},
		{"RSA of 2048 bits", rsaJWK.with("n", encode(modulus(2048).Bytes())), "RSA"},
		{"RSA of 2049 bits", rsaJWK.with("n", encode(modulus(2049).Bytes())), "RSA"},
		{"RSA of 8192 bits", rsaJWK.with("n", encode(modulus(8192).Bytes())), "RSA"},
		{"RSA with the exponent 3", rsaJWK.with("e", "Aw"), "RSA"},
		{"RSA with the exponent 2^31-1", rsaJWK.with("e", encode([]byte{0x7f, 0xff, 0xff, 0xff})), "RSA"},
		{"EC P-256", ecJWK, "P-256"},
		{"EC P-384", jwkOf(&p384().PublicKey), "P-384"},
		{"EC P-521", jwkOf(&p521().PublicKey), "P-521"},
		{"Ed25519", edJWK, "Ed25519"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Which algorithms a key fits shows in what a source makes of it.
			for _, alg := range allAlgorithms() {
				fits := slices.Contains(fitting[tt.kind], alg)

				set, err := jwks.ParseSet(setOf(tt.key))
				require.NoError(t, err)
				require.Len(t, set.Keys, 1)
				require.Empty(t, set.Keys[0].Algorithm())
				keys, err := jwks.Static(set.Keys...).Keys(t.Context(), alg, "")
				require.Equal(t, fits, err == nil)
				for _, key := range keys {
					require.Equal(t, alg, key.Algorithm())
					require.Equal(t, set.Keys[0].Thumbprint(), key.Thumbprint())
				}

				declared, err := jwks.ParseSet(setOf(tt.key.with("alg", alg)))
				if !fits {
					require.ErrorContains(t, err, "its alg "+alg+" does not fit its kty and crv")
					continue
				}
				require.NoError(t, err)
				require.Equal(t, alg, declared.Keys[0].Algorithm())
				for _, other := range allAlgorithms() {
					_, err := jwks.Static(declared.Keys...).Keys(t.Context(), other, "")
					require.Equal(t, other == alg, err == nil, "one algorithm a key (RFC 8725 §3.1)")
				}
			}
		})
	}
}

func TestMembersThatSayNothingAgainstAKeyAreAllowed(t *testing.T) {
	tests := []struct {
		name string
		key  member
	}{
		{"use sig", rsaJWK.with("use", "sig")},
		{"key_ops verify", rsaJWK.with("key_ops", []string{"verify"})},
		{"key_ops verify among others", rsaJWK.with("key_ops", []string{"sign", "verify"})},
		{"an unknown member", rsaJWK.with("x-tenant", map[string]any{"a": []any{nil}})},
		{"names in another case", rsaJWK.with("USE", "enc").with("D", "AQAB").with("Alg", "none").with("KTY", "oct")},
		{"certificates", rsaJWK.with("x5c", []string{"AAAA"}).with("x5t", "AAAA")},
		{"a member of another kind of key", rsaJWK.with("crv", "P-256").with("y", "AAAA")},
		{"no kid", rsaJWK},
		{"an empty kid", rsaJWK.with("kid", "")},
		{"the longest kid", rsaJWK.with("kid", strings.Repeat("k", jwks.MaxIDLength))},
		{"a kid of any characters", rsaJWK.with("kid", "a b/☃\n\x00")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jwks.ParseSet(setOf(tt.key))
			require.NoError(t, err)
			require.Len(t, set.Keys, 1)
			require.Empty(t, set.LeftOut)
			kid, _ := tt.key["kid"].(string)
			require.Equal(t, kid, set.Keys[0].ID())
		})
	}
}

// raw writes a key with members that a map cannot have.
func raw(key member, more string) json.RawMessage {
	text := must(json.Marshal(key))
	return json.RawMessage(strings.TrimSuffix(string(text), "}") + "," + more + "}")
}

func TestAnOddKeyIsLeftOutAndTheOthersServe(t *testing.T) {
	n, x, y := rsaJWK["n"].(string), ecJWK["x"].(string), ecJWK["y"].(string)
	edX := edJWK["x"].(string)
	const offCurve = "the EC key is not a point of P-256, P-384 or P-521"
	tests := []struct {
		name   string
		key    any
		reason string
	}{
		{"no object", "text", "a JSON string stands where an object should"},
		{"null", nil, "a JSON null stands where an object should"},
		{"a list", []any{rsaJWK}, "a JSON array stands where an object should"},
		{"an empty object", member{}, "its kty is missing"},
		{"kty missing", rsaJWK.without("kty"), "its kty is missing"},
		{"kty unknown", rsaJWK.with("kty", "AKP"), `its kty "AKP" is not known here`},
		{"kty in another case", rsaJWK.with("kty", "rsa"), `its kty "rsa" is not known here`},
		{"kty no string", rsaJWK.with("kty", 1), "its kty is a JSON number, not a string"},
		{"kty of another kind of key", rsaJWK.with("kty", "EC"), "its crv is missing"},
		{"symmetric", member{"kty": "oct", "k": "c2VjcmV0"}, `the private member "k"`},
		{"symmetric without its secret", member{"kty": "oct"}, `its kty "oct" is not known here`},

		{"alg unknown", rsaJWK.with("alg", "RSA-OAEP"), `its alg "RSA-OAEP" is no signature algorithm that is known here`},
		{"alg none", rsaJWK.with("alg", "none"), `its alg "none"`},
		{"alg HS256", rsaJWK.with("alg", "HS256"), `its alg "HS256"`},
		{"alg in another case", rsaJWK.with("alg", "rs256"), `its alg "rs256"`},
		{"alg empty", rsaJWK.with("alg", ""), `its alg ""`},
		{"alg null", rsaJWK.with("alg", nil), "its alg is a JSON null, not a string"},
		{"alg of another kind", rsaJWK.with("alg", "ES256"), "its alg ES256 does not fit its kty and crv"},
		{"alg of another curve", ecJWK.with("alg", "ES384"), "its alg ES384 does not fit its kty and crv"},
		{"alg of another type of curve", edJWK.with("alg", "ES256"), "its alg ES256 does not fit its kty and crv"},

		{"use enc", rsaJWK.with("use", "enc"), `its use is "enc", not sig`},
		{"use in another case", rsaJWK.with("use", "SIG"), `its use is "SIG", not sig`},
		{"use empty", rsaJWK.with("use", ""), `its use is "", not sig`},
		{"use no string", rsaJWK.with("use", []string{"sig"}), "its use is a JSON array, not a string"},
		{"key_ops without verify", rsaJWK.with("key_ops", []string{"sign", "encrypt"}), "its key_ops do not contain verify"},
		{"key_ops empty", rsaJWK.with("key_ops", []string{}), "its key_ops do not contain verify"},
		{"key_ops no list", rsaJWK.with("key_ops", "verify"), "its key_ops is no array of strings"},
		{"key_ops of other things too", rsaJWK.with("key_ops", []any{"verify", 1}), "its key_ops is no array of strings"},
		{"key_ops null", rsaJWK.with("key_ops", nil), "its key_ops is no array of strings"},

		{"RSA of 1023 bits", rsaJWK.with("n", encode(modulus(1023).Bytes())), "has 1023 bits, and 2048 are the least"},
		{"RSA of 1024 bits", rsaJWK.with("n", encode(modulus(1024).Bytes())), "has 1024 bits, and 2048 are the least"},
		{"RSA of 2047 bits", rsaJWK.with("n", encode(modulus(2047).Bytes())), "has 2047 bits, and 2048 are the least"},
		{"RSA of 8193 bits", rsaJWK.with("n", encode(modulus(8193).Bytes())), "has 8193 bits, and 8192 are the most"},
		{"RSA modulus even", rsaJWK.with("n", encode(new(big.Int).Lsh(modulus(2047), 1).Bytes())), "modulus is even"},
		{"RSA exponent 1", rsaJWK.with("e", "AQ"), "exponent is 1,"},
		{"RSA exponent 2", rsaJWK.with("e", "Ag"), "exponent is 2,"},
		{"RSA exponent 65536", rsaJWK.with("e", "AQAA"), "exponent is 65536,"},
		{"RSA exponent 2^31+1", rsaJWK.with("e", encode([]byte{0x80, 0, 0, 1})), "exponent is "},
		{"RSA exponent 2^32-1", rsaJWK.with("e", encode([]byte{255, 255, 255, 255})), "exponent is "},
		{"RSA exponent 2^32+3, which is 3 in 32 bits", rsaJWK.with("e", encode([]byte{1, 0, 0, 0, 3})), "exponent is beyond 32 bits"},
		{"RSA exponent 2^64+3, which is 3 in 64 bits", rsaJWK.with("e", encode([]byte{1, 0, 0, 0, 0, 0, 0, 0, 3})), "exponent is beyond 32 bits"},
		{"RSA exponent as long as a modulus", rsaJWK.with("e", n), "exponent is beyond 32 bits"},
		{"RSA n missing", rsaJWK.without("n"), "its n is missing"},
		{"RSA e missing", rsaJWK.without("e"), "its e is missing"},
		{"RSA n empty", rsaJWK.with("n", ""), "its n is empty"},
		{"RSA e empty", rsaJWK.with("e", ""), "its e is empty"},
		{"RSA e a number", rsaJWK.with("e", 65537), "its e is a JSON number, not a string"},
		{"RSA n null", rsaJWK.with("n", nil), "its n is a JSON null, not a string"},
		{"RSA n with a leading zero", rsaJWK.with("n", encode(append([]byte{0}, decode(n)...))), "its n is empty or starts with a zero byte"},
		{"RSA e with a leading zero", rsaJWK.with("e", "AAEAAQ"), "its e is empty or starts with a zero byte"},
		{"RSA e zero", rsaJWK.with("e", "AA"), "its e is empty or starts with a zero byte"},

		{"base64url with padding", rsaJWK.with("n", n+"=="), "its n is not canonical base64url"},
		{"base64url with a line break", rsaJWK.with("n", n[:76]+"\n"+n[76:]), "its n is not canonical base64url"},
		{"base64url with CR LF at the end", rsaJWK.with("n", n+"\r\n"), "its n is not canonical base64url"},
		{"base64url with a line break in e", rsaJWK.with("e", "AQ\nAB"), "its e is not canonical base64url"},
		{"base64url with a space", rsaJWK.with("n", " "+n), "its n is not canonical base64url"},
		{"base64url with stray bits", rsaJWK.with("n", strings.TrimSuffix(n, "w")+"x"), "its n is not canonical base64url"},
		{"base64url with stray bits in x", edJWK.with("x", strings.TrimSuffix(edX, "o")+"p"), "its x is not canonical base64url"},
		{"base64url of an impossible length", rsaJWK.with("e", "AQABA"), "its e is not canonical base64url"},
		{"base64 of the other alphabet", rsaJWK.with("n", strings.ReplaceAll(n, "_", "/")), "its n is not canonical base64url"},

		{"EC curve unknown", ecJWK.with("crv", "secp256k1"), `its curve "secp256k1" is not known here`},
		{"EC curve P-224", ecJWK.with("crv", "P-224"), `its curve "P-224" is not known here`},
		{"EC curve missing", ecJWK.without("crv"), "its crv is missing"},
		{"EC curve of OKP", ecJWK.with("crv", "Ed25519"), `its curve "Ed25519" is not known here`},
		{"EC x missing", ecJWK.without("x"), "its x is missing"},
		{"EC y missing", ecJWK.without("y"), "its y is missing"},
		{"EC x too short", ecJWK.with("x", encode(decode(x)[1:])), "its x has 31 bytes instead of 32"},
		{"EC x with a zero in front", ecJWK.with("x", encode(append([]byte{0}, decode(x)...))), "its x has 33 bytes instead of 32"},
		{"EC y empty", ecJWK.with("y", ""), "its y has 0 bytes instead of 32"},
		{"EC coordinates of another curve", ecJWK.with("crv", "P-384"), "its x has 32 bytes instead of 48"},
		{"EC point not on the curve", ecJWK.with("x", y).with("y", x), offCurve},
		{"EC point with one bit off", ecJWK.with("y", encode(append(decode(y)[:31], decode(y)[31]^1))), offCurve},
		{"EC point zero", ecJWK.with("x", encode(make([]byte, 32))).with("y", encode(make([]byte, 32))), offCurve},
		{"EC coordinates beyond the field", ecJWK.with("x", encode(bytes.Repeat([]byte{255}, 32))), offCurve},

		{"OKP curve for key agreement", edJWK.with("crv", "X25519"), `its curve "X25519" is not known here`},
		{"OKP curve unknown", edJWK.with("crv", "Ed448"), `its curve "Ed448" is not known here`},
		{"OKP curve missing", edJWK.without("crv"), "its crv is missing"},
		{"OKP x missing", edJWK.without("x"), "its x is missing"},
		{"OKP x too short", edJWK.with("x", encode(decode(edX)[1:])), "its x has 31 bytes instead of 32"},
		{"OKP x too long", edJWK.with("x", encode(append(decode(edX), 0))), "its x has 33 bytes instead of 32"},

		{"kid no string", rsaJWK.with("kid", 1), "its kid is a JSON number, not a string"},
		{"kid null", rsaJWK.with("kid", nil), "its kid is a JSON null, not a string"},
		{"kid too long", rsaJWK.with("kid", strings.Repeat("k", jwks.MaxIDLength+1)), "its kid has 257 bytes, and 256 are the most"},

		{"a member twice", raw(rsaJWK, `"e":"AQAB"`), `the name "e" occurs twice`},
		{"a member twice, once escaped", raw(rsaJWK, `"\u0065":"AQAB"`), `the name "e" occurs twice`},
		{"an unknown member twice", raw(rsaJWK, `"a":1,"\u0061":1`), `the name "a" occurs twice`},
		{"kid twice", raw(rsaJWK, `"kid":"a","kid":"b"`), `the name "kid" occurs twice`},
		{"alg twice", raw(rsaJWK, `"alg":"RS256","alg":"none"`), `the name "alg" occurs twice`},
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		for _, key := range []member{rsaJWK, ecJWK, edJWK} {
			tests = append(tests, struct {
				name   string
				key    any
				reason string
			}{fmt.Sprintf("%s with the private member %s", key["kty"], secret), key.with(secret, "AQAB"), fmt.Sprintf("the private member %q", secret)})
		}
		tests = append(tests, struct {
			name   string
			key    any
			reason string
		}{"the private member " + secret + " as null", rsaJWK.with(secret, nil), fmt.Sprintf("the private member %q", secret)})
	}
	good := ecJWK.with("kid", "good")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jwks.ParseSet(setOf(good, tt.key, edJWK.with("kid", "also good")))
			require.NoError(t, err)
			require.Equal(t, []string{"good", "also good"}, ids(set.Keys))
			require.Len(t, set.LeftOut, 1)
			require.Equal(t, 1, set.LeftOut[0].Position)
			require.Contains(t, set.LeftOut[0].Reason, tt.reason)
			require.NotEmpty(t, set.LeftOut[0].Reason)
			require.Less(t, len(set.LeftOut[0].Reason), 200)

			alone, err := jwks.ParseSet(setOf(tt.key))
			require.ErrorIs(t, err, jwks.ErrSet)
			require.ErrorContains(t, err, "none that can be used")
			require.ErrorContains(t, err, tt.reason)
			require.Empty(t, alone.Keys)
			require.Len(t, alone.LeftOut, 1)
		})
	}
}

func TestAKeyThatIsLeftOutIsNamed(t *testing.T) {
	long := strings.Repeat("\n", jwks.MaxIDLength+1)
	set, err := jwks.ParseSet(setOf(
		rsaJWK.with("kid", "encrypts").with("use", "enc"),
		rsaJWK.with("kid", "serves"),
		rsaJWK.with("kid", long),
		rsaJWK.with("kid", 1),
	))
	require.NoError(t, err)
	require.Len(t, set.LeftOut, 3)
	require.Equal(t, jwks.LeftOut{Position: 0, ID: "encrypts", Reason: `its use is "enc", not sig`}, set.LeftOut[0])
	require.Equal(t, `key 0 ("encrypts"): its use is "enc", not sig`, set.LeftOut[0].String())
	require.Equal(t, 2, set.LeftOut[1].Position)
	require.Equal(t, long[:jwks.MaxIDLength], set.LeftOut[1].ID)
	require.Less(t, len(set.LeftOut[1].String()), 300)
	require.NotContains(t, set.LeftOut[1].String(), "\n")
	require.Equal(t, 3, set.LeftOut[2].Position)
	require.Empty(t, set.LeftOut[2].ID)
}

func TestASetThatGivesAwayAKeySaysSo(t *testing.T) {
	set, err := jwks.ParseSet(setOf(
		rsaJWK.with("kid", "private").with("d", "AQAB"),
		member{"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"},
		rsaJWK.with("kid", "encrypts").with("use", "enc"),
		rsaJWK.with("kid", "serves"),
	))
	require.NoError(t, err)
	require.Len(t, set.LeftOut, 3)
	for _, left := range set.LeftOut {
		require.Equal(t, left.ID != "encrypts", left.Secret, left)
	}
}

func TestWhatIsNoKeySetIsRefusedAsAWhole(t *testing.T) {
	set := string(setOf(ecJWK))
	tests := []struct{ name, text, says string }{
		{"nothing", ``, "not strict JSON"},
		{"null", `null`, "not strict JSON"},
		{"an array", `[` + string(must(json.Marshal(ecJWK))) + `]`, "not strict JSON"},
		{"HTML", `<html>`, "not strict JSON"},
		{"a bare JWK", string(must(json.Marshal(ecJWK))), `it has no member "keys"`},
		{"another name", strings.Replace(set, "keys", "Keys", 1), `it has no member "keys"`},
		{"text after it", set + "x", "something follows the object"},
		{"a second set after it", set + set, "something follows the object"},
		{"keys twice", strings.TrimSuffix(set, "}") + `,"keys":[]}`, `the name "keys" occurs twice`},
		{"keys twice, once escaped", strings.TrimSuffix(set, "}") + `,"\u006beys":[]}`, `the name "keys" occurs twice`},
		{"keys an object", `{"keys":{}}`, `its member "keys" is a JSON object, not an array`},
		{"keys null", `{"keys":null}`, `its member "keys" is a JSON null, not an array`},
		{"keys a string", `{"keys":"[]"}`, `its member "keys" is a JSON string, not an array`},
		{"invalid UTF-8 elsewhere", strings.TrimSuffix(set, "}") + ",\"a\":\"\xff\"}", "it is not UTF-8"},
		{"a lone surrogate elsewhere", strings.TrimSuffix(set, "}") + `,"a":"\ud800"}`, "half of a surrogate pair"},
		{"no keys", `{"keys":[]}`, "it lists no keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jwks.ParseSet([]byte(tt.text))
			require.ErrorIs(t, err, jwks.ErrSet)
			require.ErrorContains(t, err, tt.says)
			require.Less(t, len(err.Error()), 300)
		})
	}
}

func TestOtherMembersOfASetAreIgnored(t *testing.T) {
	set, err := jwks.ParseSet([]byte(` {"issuer":{"a":[1]}, "KEYS":1, "keys":[` + string(must(json.Marshal(ecJWK))) + `] } ` + "\n"))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
}

func TestASetIsNoJSON(t *testing.T) {
	set, err := jwks.ParseSet(setOf(rsaJWK))
	require.NoError(t, err)
	_, err = json.Marshal(set)
	require.ErrorContains(t, err, "keep the text that it was read from")
}

func TestMetadataAreNoSet(t *testing.T) {
	_, err := jwks.ParseSet([]byte(`{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/keys"}`))
	require.ErrorIs(t, err, jwks.ErrSet)
	require.ErrorContains(t, err, "set Config.Issuer instead of URL")
}

func TestASetHasOneMiBAtMost(t *testing.T) {
	text := setOf(ecJWK)
	text = append(text, bytes.Repeat([]byte(" "), 1<<20-len(text))...)
	_, err := jwks.ParseSet(text)
	require.NoError(t, err)
	_, err = jwks.ParseSet(append(text, ' '))
	require.ErrorIs(t, err, jwks.ErrSet)
	require.ErrorContains(t, err, "larger than 1048576 bytes")
}

func TestASetListsAThousandKeysAtMost(t *testing.T) {
	entries := make([]any, 1000)
	for i := range entries {
		entries[i] = i
	}
	entries[999] = ecJWK
	set, err := jwks.ParseSet(setOf(entries...))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	require.Len(t, set.LeftOut, 999)

	set, err = jwks.ParseSet(setOf(append(entries, ecJWK)...))
	require.ErrorIs(t, err, jwks.ErrSet)
	require.ErrorContains(t, err, "it lists 1001 keys, and 1000 are the most")
	require.Nil(t, set)
}

func TestASetWithoutAUsableKeyTellsWhy(t *testing.T) {
	set, err := jwks.ParseSet(setOf(rsaJWK.with("kid", "a").with("use", "enc"), rsaJWK.with("kty", "oct")))
	require.ErrorIs(t, err, jwks.ErrSet)
	require.EqualError(t, err, `jwks: not a usable key set: it lists 2, none that can be used; key 0 ("a"): its use is "enc", not sig`)
	require.Empty(t, set.Keys)
	require.Len(t, set.LeftOut, 2)

	set, err = jwks.ParseSet([]byte(`{"keys":[]}`))
	require.ErrorIs(t, err, jwks.ErrSet)
	require.NotNil(t, set)
}

// Whatever is accepted keeps the rules, and there is one way to write it down.
func FuzzParseSet(f *testing.F) {
	for _, key := range []member{rsaJWK, ecJWK, edJWK, jwkOf(&p384().PublicKey), jwkOf(&p521().PublicKey)} {
		f.Add(setOf(key))
		f.Add(setOf(key.with("kid", "k").with("use", "sig").with("key_ops", []string{"verify"}), key.with("use", "enc")))
		f.Add(setOf(key.with("d", "AQAB"), key.with("alg", "RS256"), key.with("alg", "ES256"), key.with("alg", "EdDSA")))
	}
	f.Add(setOf(rsaJWK.with("n", encode(modulus(2047).Bytes())), rsaJWK.with("e", "AQ"), rsaJWK.with("n", rsaJWK["n"].(string)+"==")))
	f.Add(setOf(raw(rsaJWK, `"\u0065":"AQAB"`), nil, 1, []any{}))
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":{}}`))

	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := jwks.ParseSet(text)
		if err != nil {
			require.ErrorIs(t, err, jwks.ErrSet)
			require.True(t, set == nil || len(set.Keys) == 0)
			return
		}
		require.NotEmpty(t, set.Keys)

		// The strict reader has refused what encoding/json would read otherwise,
		// but for the keys that were left out.
		var document map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &document))
		var entries []json.RawMessage
		require.NoError(t, json.Unmarshal(document["keys"], &entries))
		require.Len(t, entries, len(set.Keys)+len(set.LeftOut))
		out := map[int]bool{}
		for _, l := range set.LeftOut {
			require.NotEmpty(t, l.Reason)
			out[l.Position] = true
		}
		require.Len(t, out, len(set.LeftOut))
		accepted := set.Keys
		for i, entry := range entries {
			if out[i] {
				continue
			}
			var members member
			require.NoError(t, json.Unmarshal(entry, &members))
			requireRules(t, members, accepted[0])
			accepted = accepted[1:]
		}
		require.Empty(t, accepted)
	})
}

// requireRules checks by other means than ParseSet that a key keeps the rules.
func requireRules(t *testing.T, members member, key *jwks.Key) {
	text := func(name string) string {
		value, _ := members[name].(string)
		return value
	}
	octets := func(name string) []byte {
		bytes := decode(text(name))
		require.Equal(t, text(name), encode(bytes), "canonical")
		return bytes
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		require.NotContains(t, members, secret)
	}
	if use, has := members["use"]; has {
		require.Equal(t, "sig", use)
	}
	if operations, has := members["key_ops"]; has {
		require.Contains(t, operations, any("verify"))
	}
	require.Equal(t, text("kid"), key.ID())
	require.LessOrEqual(t, len(key.ID()), jwks.MaxIDLength)

	var kind, canonical string // canonical: what RFC 7638 §3 hashes
	switch kty := text("kty"); kty {
	case "RSA":
		kind = "RSA"
		n, e := octets("n"), octets("e")
		require.NotZero(t, n[0])
		require.NotZero(t, e[0])
		bits := new(big.Int).SetBytes(n).BitLen()
		require.True(t, 2048 <= bits && bits <= 8192)
		require.EqualValues(t, 1, n[len(n)-1]&1)
		exponent := new(big.Int).SetBytes(e)
		require.LessOrEqual(t, exponent.BitLen(), 31)
		require.True(t, exponent.Int64() >= 3 && exponent.Bit(0) == 1)
		canonical = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, text("e"), text("n"))
	case "EC":
		kind = text("crv")
		curve := map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}[kind]
		require.NotNil(t, curve)
		x, y := octets("x"), octets("y")
		require.Equal(t, len(x), len(y))
		_, err := curve.NewPublicKey(slices.Concat([]byte{4}, x, y)) // checks the point
		require.NoError(t, err)
		canonical = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, kind, text("x"), text("y"))
	default:
		require.Equal(t, "OKP", kty)
		kind = text("crv")
		require.Equal(t, "Ed25519", kind)
		require.Len(t, octets("x"), 32)
		canonical = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, text("x"))
	}
	sum := sha256.Sum256([]byte(canonical))
	require.Equal(t, encode(sum[:]), key.Thumbprint())

	algorithms := fitting[kind]
	if alg, has := members["alg"]; has {
		require.Equal(t, alg, key.Algorithm())
		require.Contains(t, algorithms, key.Algorithm())
		algorithms = []string{key.Algorithm()}
	} else {
		require.Empty(t, key.Algorithm())
	}
	for _, alg := range allAlgorithms() {
		usable, err := jwks.Static(key).Keys(t.Context(), alg, key.ID())
		require.Equal(t, slices.Contains(algorithms, alg), err == nil)
		if err == nil {
			require.Len(t, usable, 1)
			require.Equal(t, alg, usable[0].Algorithm())
			require.False(t, usable[0].Verify([]byte("input"), []byte("signature")))
		}
	}
}
