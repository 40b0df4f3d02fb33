package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"sync"

	"github.com/bearerguard/bearerguard/jwks"
)

// A member map is a JWK as a test writes it.
type member map[string]any

// with returns a copy in which a member has another value.
func (m member) with(name string, value any) member {
	changed := maps.Clone(m)
	changed[name] = value
	return changed
}

// without returns a copy in which members are missing.
func (m member) without(names ...string) member {
	changed := maps.Clone(m)
	for _, name := range names {
		delete(changed, name)
	}
	return changed
}

// Keys that the standards print, without "alg", "use" and "kid".
var (
	rsaJWK = member{ // RFC 7638 §3.1
		"kty": "RSA",
		"n":   "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
		"e":   "AQAB",
	}
	ecJWK = member{ // RFC 7515 A.3
		"kty": "EC",
		"crv": "P-256",
		"x":   "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
		"y":   "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
	}
	edJWK = member{ // RFC 8037 A.2
		"kty": "OKP",
		"crv": "Ed25519",
		"x":   "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
	}
)

// setOf returns a key set document.
func setOf(keys ...any) []byte {
	if keys == nil {
		keys = []any{}
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return text
}

func encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

func decode(text string) []byte {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

// modulus returns an odd number of so many bits. A set's reader looks at sizes
// only, so nobody has to find primes.
func modulus(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

// Private keys, each made once.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	})
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// A signer signs with the standard library, as RFC 7518 §3 and RFC 8037 §3.1
// have it.
type signer struct {
	public crypto.PublicKey
	sign   func(input []byte) []byte
}

func hashed(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

func pkcs1(hash crypto.Hash) signer {
	return signer{&rsaKey().PublicKey, func(input []byte) []byte {
		return must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), hash, hashed(hash, input)))
	}}
}

func pss(hash crypto.Hash, salt int) signer {
	return signer{&rsaKey().PublicKey, func(input []byte) []byte {
		return must(rsa.SignPSS(rand.Reader, rsaKey(), hash, hashed(hash, input), &rsa.PSSOptions{SaltLength: salt}))
	}}
}

func ecdsaSigner(key *ecdsa.PrivateKey, hash crypto.Hash) signer {
	return signer{&key.PublicKey, func(input []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, key, hashed(hash, input))
		size := (key.Params().BitSize + 7) / 8
		return append(must(r, err).FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}}
}

// signers has one for each algorithm.
var signers = sync.OnceValue(func() map[string]signer {
	return map[string]signer{
		"RS256": pkcs1(crypto.SHA256),
		"RS384": pkcs1(crypto.SHA384),
		"RS512": pkcs1(crypto.SHA512),
		"PS256": pss(crypto.SHA256, rsa.PSSSaltLengthEqualsHash),
		"PS384": pss(crypto.SHA384, rsa.PSSSaltLengthEqualsHash),
		"PS512": pss(crypto.SHA512, rsa.PSSSaltLengthEqualsHash),
		"ES256": ecdsaSigner(p256(), crypto.SHA256),
		"ES384": ecdsaSigner(p384(), crypto.SHA384),
		"ES512": ecdsaSigner(p521(), crypto.SHA512),
		"EdDSA": {edKey().Public(), func(input []byte) []byte { return ed25519.Sign(edKey(), input) }},
	}
})

// fitting returns the algorithms that each kind of key fits.
var fitting = map[string][]string{
	"RSA":     {"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"},
	"P-256":   {"ES256"},
	"P-384":   {"ES384"},
	"P-521":   {"ES512"},
	"Ed25519": {"EdDSA"},
}

func allAlgorithms() []string { return slices.Sorted(maps.Keys(signers())) }

// jwkOf writes a key down.
func jwkOf(public crypto.PublicKey) member {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return member{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(key.Bytes())[1:]
		return member{"kty": "EC", "crv": key.Params().Name, "x": encode(point[:len(point)/2]), "y": encode(point[len(point)/2:])}
	case ed25519.PublicKey:
		return member{"kty": "OKP", "crv": "Ed25519", "x": encode(key)}
	default:
		panic("no JWK for this kind of key")
	}
}

// ids returns the IDs of keys.
func ids(keys []*jwks.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.ID()
	}
	return names
}
