package jwks_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

var input = []byte("header.payload")

// newKey returns the key that verifies what the signer of an algorithm signs.
func newKey(t *testing.T, alg string) *jwks.Key {
	t.Helper()
	key, err := jwks.NewKey("k", alg, signers()[alg].public)
	require.NoError(t, err)
	return key
}

func TestAKeyVerifiesItsAlgorithmAndNoOther(t *testing.T) {
	for _, alg := range allAlgorithms() {
		signature := signers()[alg].sign(input)
		require.True(t, newKey(t, alg).Verify(input, signature), alg)
		for _, other := range allAlgorithms() {
			if other != alg {
				require.False(t, newKey(t, other).Verify(input, signature), "%s by a key for %s", alg, other)
			}
		}
	}
}

func TestAKeyVerifiesWhatItSignedAndNothingElse(t *testing.T) {
	for _, alg := range allAlgorithms() {
		t.Run(alg, func(t *testing.T) {
			key := newKey(t, alg)
			signature := signers()[alg].sign(input)
			require.False(t, key.Verify([]byte("header.payloae"), signature))
			require.False(t, key.Verify([]byte("header.payload."), signature))
			require.False(t, key.Verify(nil, signature))
			step := 1 + len(signature)/65 // a large curve takes milliseconds each time
			for i := 0; i < len(signature); i += step {
				signature[i] ^= 1 << (i % 8)
				require.False(t, key.Verify(input, signature), "bit %d of byte %d", i%8, i)
				signature[i] ^= 1 << (i % 8)
			}
			require.True(t, key.Verify(input, signature), "the signature is as it was")
		})
	}
}

func TestASignatureOfAnyOtherLengthIsRefused(t *testing.T) {
	for _, alg := range allAlgorithms() {
		key := newKey(t, alg)
		signature := signers()[alg].sign(input)
		for name, other := range map[string][]byte{
			"nothing":          nil,
			"empty":            {},
			"one byte":         {0},
			"short":            signature[:len(signature)-1],
			"short in front":   signature[1:],
			"half":             signature[:len(signature)/2],
			"long":             append(signature[:len(signature):len(signature)], 0),
			"long in front":    append([]byte{0}, signature...),
			"twice":            append(signature[:len(signature):len(signature)], signature...),
			"zero":             make([]byte, len(signature)),
			"a megabyte of it": make([]byte, 1<<20),
		} {
			require.False(t, key.Verify(input, other), "%s: %s", alg, name)
		}
	}
}

func TestAnECDSASignatureInASN1IsRefused(t *testing.T) {
	signature, err := ecdsa.SignASN1(rand.Reader, p256(), hashed(crypto.SHA256, input))
	require.NoError(t, err)
	require.False(t, newKey(t, "ES256").Verify(input, signature))
}

// RFC 7518 §3.4: R and S are as long as the curve's order, also where they begin
// with zeros.
func TestAnECDSASignatureIsPaddedOnlyToItsLength(t *testing.T) {
	key := newKey(t, "ES256")
	signature := signers()["ES256"].sign(input)
	r, s, zero := signature[:32], signature[32:], []byte{0}
	for _, padded := range [][]byte{
		slices.Concat(zero, r, zero, s),
		slices.Concat(zero, r, s),
		slices.Concat(r, zero, s), // to who only cuts at 32, the same two numbers
		slices.Concat(r, zero, zero, s),
	} {
		require.False(t, key.Verify(input, padded))
	}
}

// RFC 7518 §3.5: the salt is as long as the hash.
func TestAPSSSignatureWithAnotherSaltIsRefused(t *testing.T) {
	for _, salt := range []int{20, 31, 33, 64} {
		require.False(t, newKey(t, "PS256").Verify(input, pss(crypto.SHA256, salt).sign(input)), salt)
	}
	require.True(t, newKey(t, "PS256").Verify(input, pss(crypto.SHA256, 32).sign(input)))
}

func TestAnotherKeyOfTheSameKindVerifiesNothing(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := jwks.NewKey("k", "ES256", &other.PublicKey)
	require.NoError(t, err)
	require.False(t, key.Verify(input, signers()["ES256"].sign(input)))
}

// Signatures that the standards print, so that we do not only agree with
// ourselves.
func TestSignaturesOfTheStandardsVerify(t *testing.T) {
	tests := []struct {
		name, alg, input, signature string
		key                         member
	}{
		{
			"RFC 7515 A.2", "RS256",
			"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
			"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
			member{
				"kty": "RSA", "e": "AQAB",
				"n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
			},
		},
		{
			"RFC 7515 A.3", "ES256",
			"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
			ecJWK,
		},
		{
			"RFC 8037 A.4", "EdDSA",
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
			"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
			edJWK,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jwks.ParseSet(setOf(tt.key.with("alg", tt.alg)))
			require.NoError(t, err)
			require.True(t, set.Keys[0].Verify([]byte(tt.input), decode(tt.signature)))
		})
	}
}

func TestAKeyWithoutAnAlgorithmVerifiesNothingUntilItIsBound(t *testing.T) {
	for _, alg := range allAlgorithms() {
		set, err := jwks.ParseSet(setOf(jwkOf(signers()[alg].public)))
		require.NoError(t, err)
		signature := signers()[alg].sign(input)
		require.Empty(t, set.Keys[0].Algorithm())
		require.False(t, set.Keys[0].Verify(input, signature))

		keys, err := jwks.Static(set.Keys...).Keys(t.Context(), alg, "")
		require.NoError(t, err)
		require.True(t, keys[0].Verify(input, signature))
		require.False(t, set.Keys[0].Verify(input, signature), "the one that was given stays as it was")
	}
}

func TestTheZeroKeyVerifiesNothing(t *testing.T) {
	require.False(t, new(jwks.Key).Verify(input, nil))
}

func TestThumbprintsAreThoseOfTheStandards(t *testing.T) {
	tests := []struct {
		name string
		key  member
		want string
	}{
		{"RFC 7638 §3.1", rsaJWK.with("alg", "RS256").with("kid", "2011-04-29"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037 A.3", edJWK, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	}
	for _, tt := range tests {
		set, err := jwks.ParseSet(setOf(tt.key))
		require.NoError(t, err)
		require.Equal(t, tt.want, set.Keys[0].Thumbprint(), tt.name)
	}
}

func TestAPinnedKeyIsTheOneThatIsPublished(t *testing.T) {
	for _, alg := range allAlgorithms() {
		set, err := jwks.ParseSet(setOf(jwkOf(signers()[alg].public).with("kid", "k").with("alg", alg)))
		require.NoError(t, err)
		key := newKey(t, alg)
		require.Equal(t, set.Keys[0].Thumbprint(), key.Thumbprint())
		require.Equal(t, "k", key.ID())
		require.Equal(t, alg, key.Algorithm())
		require.Equal(t, `"k" (`+alg+`)`, key.String())
	}
}

func TestAKeyThatMustNotBeUsedCannotBePinned(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	r := &rsaKey().PublicKey
	withN := func(n *big.Int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: 65537} }
	beyond31 := 1<<30 - 1
	beyond31 = 2*beyond31 + 3 // on 32 bits it is negative, which is no better
	withE := func(e int) *rsa.PublicKey { return &rsa.PublicKey{N: r.N, E: e} }
	tests := []struct {
		name, alg string
		public    crypto.PublicKey
		says      string
	}{
		{"no algorithm", "", r, `algorithm "" is none of the asymmetric ones`},
		{"none", "none", r, `algorithm "none" is none of the asymmetric ones`},
		{"HS256", "HS256", []byte("secret"), `algorithm "HS256" is none of the asymmetric ones`},
		{"another case", "rs256", r, `algorithm "rs256" is none of the asymmetric ones`},
		{"for encryption", "RSA-OAEP", r, `algorithm "RSA-OAEP" is none of the asymmetric ones`},

		{"nil", "RS256", nil, "is none that is known here: give an *rsa.PublicKey"},
		{"a secret", "RS256", []byte("secret"), "is none that is known here: give an *rsa.PublicKey"},
		{"a private key", "RS256", rsaKey(), "is none that is known here: give an *rsa.PublicKey"},
		{"no pointer", "RS256", *r, "is none that is known here: give an *rsa.PublicKey"},
		{"a key for agreement", "EdDSA", x25519.PublicKey(), "is none that is known here: give an *rsa.PublicKey"},

		{"RSA for ECDSA", "ES256", r, "does not fit the algorithm ES256"},
		{"RSA for EdDSA", "EdDSA", r, "does not fit the algorithm EdDSA"},
		{"EC for RSA", "RS256", &p256().PublicKey, "does not fit the algorithm RS256"},
		{"EC of another curve", "ES256", &p384().PublicKey, "does not fit the algorithm ES256"},
		{"Ed25519 for ECDSA", "ES256", edKey().Public(), "does not fit the algorithm ES256"},

		{"RSA nil", "RS256", (*rsa.PublicKey)(nil), "the RSA key is empty"},
		{"RSA empty", "RS256", &rsa.PublicKey{}, "the RSA key is empty"},
		{"RSA of 2047 bits", "RS256", withN(modulus(2047)), "2048 are the least"},
		{"RSA of 8193 bits", "RS256", withN(modulus(8193)), "8192 are the most"},
		{"RSA negative", "RS256", withN(new(big.Int).Neg(r.N)), "the RSA modulus is negative"},
		{"RSA modulus even", "RS256", withN(new(big.Int).Lsh(modulus(2048), 1)), "modulus is even"},
		{"RSA exponent 0", "RS256", withE(0), "exponent is 0,"},
		{"RSA exponent 1", "RS256", withE(1), "exponent is 1,"},
		{"RSA exponent -3", "RS256", withE(-3), "exponent is -3,"},
		{"RSA exponent even", "RS256", withE(4), "exponent is 4,"},
		{"RSA exponent beyond 31 bits", "RS256", withE(beyond31), "exponent is "},

		{"EC nil", "ES256", (*ecdsa.PublicKey)(nil), "the EC key is empty"},
		{"EC empty", "ES256", &ecdsa.PublicKey{}, "the EC key is empty"},
		{"EC without a point", "ES256", &ecdsa.PublicKey{Curve: elliptic.P256()}, "the EC key is empty"},
		{"EC of P-224", "ES256", &p224.PublicKey, "not a point of P-256, P-384 or P-521"},
		{"EC at infinity", "ES256", point(0, 0), "not a point of P-256, P-384 or P-521"},
		{"EC off the curve", "ES256", point(1, 1), "not a point of P-256, P-384 or P-521"},
		{"EC negative", "ES256", point(-1, 1), "not a point of P-256, P-384 or P-521"},

		{"Ed25519 nil", "EdDSA", ed25519.PublicKey(nil), "has 0 bytes instead of 32"},
		{"Ed25519 too short", "EdDSA", ed25519.PublicKey(make([]byte, 31)), "has 31 bytes instead of 32"},
		{"Ed25519 too long", "EdDSA", ed25519.PublicKey(make([]byte, 64)), "has 64 bytes instead of 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := jwks.NewKey("k", tt.alg, tt.public)
			require.ErrorContains(t, err, "jwks: ")
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, key)
		})
	}
}

func point(x, y int64) *ecdsa.PublicKey {
	//lint:ignore SA1019 nothing else makes a key that is wrong
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(x), Y: big.NewInt(y)}
}

func TestAKeyDoesNotChangeWithTheCallersKey(t *testing.T) {
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	public := rsa.PublicKey{N: new(big.Int).Set(private.N), E: private.E}
	key, err := jwks.NewKey("k", "RS256", &public)
	require.NoError(t, err)
	digest := hashed(crypto.SHA256, []byte("input"))
	signature := must(rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest))
	require.True(t, key.Verify([]byte("input"), signature))
	public.N.SetInt64(1)
	public.E = 1
	require.True(t, key.Verify([]byte("input"), signature))
}
