package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // the hashes that the algorithms name
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
)

// A Key is a public key that verifies signatures with one algorithm. It is
// immutable, and safe for concurrent use. Keys come from [ParseSet], [NewKey]
// and every [Source].
type Key struct {
	id         string
	algorithm  string
	thumbprint string
	public     crypto.PublicKey
}

// NewKey returns a key for pinning: id is the "kid" that tokens name it by,
// algorithm is the one that they are signed with, such as "RS256", and public
// is an *rsa.PublicKey, an *ecdsa.PublicKey or an ed25519.PublicKey.
//
// The error says why the key cannot be used: its kind does not fit the
// algorithm, or it is too weak (RFC 7518 §3.3: RSA keys have 2048 bits or more).
func NewKey(id, algorithm string, public crypto.PublicKey) (*Key, error) {
	a, known := algorithms[algorithm]
	if !known {
		return nil, fmt.Errorf("jwks: algorithm %q is none of the asymmetric ones of RFC 7518 and RFC 8037, such as RS256", algorithm)
	}
	public, err := vetPublic(public)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	if !a.fits(public) {
		return nil, fmt.Errorf("jwks: a key of type %T does not fit the algorithm %s", public, algorithm)
	}
	thumbprint, err := thumbprint(public)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return &Key{id: id, algorithm: algorithm, thumbprint: thumbprint, public: public}, nil
}

// ID returns the key ID, "kid" (RFC 7517 §4.5), or "" where the key has none.
func (k *Key) ID() string { return k.id }

// Algorithm returns the one algorithm that the key is used with (RFC 7518 §3.1),
// such as "RS256". It is "" for a key of [ParseSet] that declares none: such a
// key verifies nothing until a [Source] has bound it to the algorithm that was
// asked for.
func (k *Key) Algorithm() string { return k.algorithm }

// Thumbprint returns the key's SHA-256 thumbprint (RFC 7638) in base64url. Two
// keys are the same key where their thumbprints are equal.
func (k *Key) Thumbprint() string { return k.thumbprint }

// Verify reports whether signature was made with this key and its algorithm
// over input, which is the first two parts of a token and the "." between them
// (RFC 7515 §5.2).
func (k *Key) Verify(input, signature []byte) bool {
	a, known := algorithms[k.algorithm]
	return known && a.fits(k.public) && a.verify(k.public, input, signature)
}

// String returns the ID and the algorithm, for logs.
func (k *Key) String() string { return fmt.Sprintf("%q (%s)", k.id, k.algorithm) }

// bindings returns the key once for each algorithm that it may be used with:
// the one that it declares, or each that its kind fits where it declares none.
// Which of those is accepted is the validator's configuration.
func (k *Key) bindings() []*Key {
	if k.algorithm != "" {
		return []*Key{k}
	}
	var keys []*Key
	for name, a := range algorithms {
		if a.fits(k.public) {
			bound := *k
			bound.algorithm = name
			keys = append(keys, &bound)
		}
	}
	return keys
}

// An algorithm is one way of signing. There is no symmetric one: whoever could
// verify with it could sign with it, and a public key taken for a secret is the
// oldest trick of the field (RFC 8725 §2.1).
type algorithm struct {
	fits   func(crypto.PublicKey) bool
	verify func(public crypto.PublicKey, input, signature []byte) bool
}

// algorithms has RFC 7518 §3.1 without HMAC and "none", and EdDSA of RFC 8037.
var algorithms = map[string]algorithm{
	"RS256": {isRSA, verifyPKCS1v15(crypto.SHA256)},
	"RS384": {isRSA, verifyPKCS1v15(crypto.SHA384)},
	"RS512": {isRSA, verifyPKCS1v15(crypto.SHA512)},
	"PS256": {isRSA, verifyPSS(crypto.SHA256)},
	"PS384": {isRSA, verifyPSS(crypto.SHA384)},
	"PS512": {isRSA, verifyPSS(crypto.SHA512)},
	"ES256": {isECDSA(elliptic.P256()), verifyECDSA(crypto.SHA256)},
	"ES384": {isECDSA(elliptic.P384()), verifyECDSA(crypto.SHA384)},
	"ES512": {isECDSA(elliptic.P521()), verifyECDSA(crypto.SHA512)},
	"EdDSA": {isEd25519, verifyEd25519},
}

// Algorithms returns the names of the algorithms that a [Key] can have, sorted:
// the asymmetric signature algorithms of RFC 7518 §3.1, and EdDSA (RFC 8037).
func Algorithms() []string { return slices.Sorted(maps.Keys(algorithms)) }

func isRSA(public crypto.PublicKey) bool {
	_, ok := public.(*rsa.PublicKey)
	return ok
}

func isECDSA(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(public crypto.PublicKey) bool {
		key, ok := public.(*ecdsa.PublicKey)
		return ok && key.Curve == curve
	}
}

func isEd25519(public crypto.PublicKey) bool {
	_, ok := public.(ed25519.PublicKey)
	return ok
}

func digest(hash crypto.Hash, input []byte) []byte {
	if hash == crypto.SHA256 { // nearly always, and cheaper by an allocation
		sum := sha256.Sum256(input)
		return sum[:]
	}
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

func verifyPKCS1v15(hash crypto.Hash) func(crypto.PublicKey, []byte, []byte) bool {
	return func(public crypto.PublicKey, input, signature []byte) bool {
		return rsa.VerifyPKCS1v15(public.(*rsa.PublicKey), hash, digest(hash, input), signature) == nil
	}
}

// verifyPSS wants a salt as long as the hash (RFC 7518 §3.5).
func verifyPSS(hash crypto.Hash) func(crypto.PublicKey, []byte, []byte) bool {
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return func(public crypto.PublicKey, input, signature []byte) bool {
		return rsa.VerifyPSS(public.(*rsa.PublicKey), hash, digest(hash, input), signature, options) == nil
	}
}

// verifyECDSA wants R and S side by side, each as long as the curve's order
// (RFC 7518 §3.4): neither ASN.1 nor any other length.
func verifyECDSA(hash crypto.Hash) func(crypto.PublicKey, []byte, []byte) bool {
	return func(public crypto.PublicKey, input, signature []byte) bool {
		key := public.(*ecdsa.PublicKey)
		size := (key.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(key, digest(hash, input), r, s)
	}
}

func verifyEd25519(public crypto.PublicKey, input, signature []byte) bool {
	return ed25519.Verify(public.(ed25519.PublicKey), input, signature)
}

// vetPublic returns a copy of a key, which nobody else can change, and an error
// for one that must not verify anything, whoever signed with it.
func vetPublic(public crypto.PublicKey) (crypto.PublicKey, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key == nil || key.N == nil {
			return nil, errors.New("the RSA key is empty")
		}
		switch bits := key.N.BitLen(); {
		case key.N.Sign() < 0:
			return nil, errors.New("the RSA modulus is negative")
		case bits < 2048: // RFC 7518 §3.3
			return nil, fmt.Errorf("the RSA key has %d bits, and 2048 are the least", bits)
		case bits > 8192: // larger ones make each request expensive
			return nil, fmt.Errorf("the RSA key has %d bits, and 8192 are the most", bits)
		case key.N.Bit(0) == 0:
			return nil, errors.New("the RSA modulus is even")
		case key.E < 3 || key.E&1 == 0 || key.E > 1<<31-1:
			return nil, fmt.Errorf("the RSA exponent is %d, and it must be odd, at least 3 and below 2^31", key.E)
		case madeByROCA(key.N):
			return nil, errors.New("the RSA key is of a generator whose keys can be broken (CVE-2017-15361)")
		}
		return &rsa.PublicKey{N: new(big.Int).Set(key.N), E: key.E}, nil
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 without its coordinates, a caller's key panics in each method
		if key == nil || key.Curve == nil || key.X == nil || key.Y == nil {
			return nil, errors.New("the EC key is empty")
		}
		// Both check that the point is on the curve.
		if point, err := key.Bytes(); err == nil && key.Curve != elliptic.P224() {
			if copied, err := ecdsa.ParseUncompressedPublicKey(key.Curve, point); err == nil {
				return copied, nil
			}
		}
		return nil, errors.New("the EC key is not a point of P-256, P-384 or P-521")
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("the Ed25519 key has %d bytes instead of %d", len(key), ed25519.PublicKeySize)
		}
		return slices.Clone(key), nil
	default:
		return nil, fmt.Errorf("a key of type %T is none that is known here: give an *rsa.PublicKey, an *ecdsa.PublicKey or an ed25519.PublicKey", public)
	}
}
