package jwks

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// MaxIDLength is how many bytes a key ID may have; longer ones name no key.
const MaxIDLength = 256

// limits bound what a document may ask of us.
type limits struct {
	size int64 // bytes
	keys int
}

const (
	defaultMaxSize = 1 << 20
	defaultMaxKeys = 1000
)

// ErrSet is wrapped by the errors of [ParseSet] that are about the text as a
// whole: it is no key set, or there is no usable key in it.
var ErrSet = errors.New("jwks: not a usable key set")

// A Set is what a JWK Set document says (RFC 7517 §5).
type Set struct {
	Keys    []*Key    // those that can be used, in the order of the document
	LeftOut []LeftOut // those that cannot, and why
}

// MarshalJSON returns an error: a Set does not have all that its document says.
func (Set) MarshalJSON() ([]byte, error) {
	return nil, errors.New("jwks: a Set cannot be written as JSON: keep the text that it was read from")
}

// LeftOut tells of a key that a set lists and that is not used.
type LeftOut struct {
	Position int    // where it stands in the set; the first is 0
	ID       string // its key ID, where it has one that can be read
	Reason   string // why it is not used, for a person

	// Secret says that the set gives away a private or symmetric key: whoever can
	// read it can sign with that key, which the issuer must replace.
	Secret bool
}

// String returns the position, the ID and the reason in one line.
func (l LeftOut) String() string {
	return fmt.Sprintf("key %d (%s): %s", l.Position, strictjson.Excerpt(l.ID), l.Reason)
}

// ParseSet reads a JWK Set document. A key that cannot be used is left out, with
// its reason, and the others serve (RFC 7517 §5); that is a key
//
//   - of a type, curve or algorithm other than RSA, P-256, P-384, P-521 and
//     Ed25519 with the asymmetric signature algorithms of RFC 7518 and RFC 8037;
//   - for another use ("use" other than "sig", "key_ops" without "verify");
//   - that is weak or malformed: RSA below 2048 or above 8192 bits or with an
//     exponent that is even, below 3 or beyond 31 bits, or made by the broken
//     generator of CVE-2017-15361, an EC point that is not on its curve, a missing
//     member, a member name that occurs twice, base64url with padding, white space
//     or leading zero bytes;
//   - with a private or symmetric member: whoever reads the set could sign.
//
// The error wraps [ErrSet] where the text is no JSON object with one array
// "keys", is larger than 1 MiB, lists more than 1,000 keys, or has none that can
// be used; in the last case the set is returned too, and tells why.
func ParseSet(text []byte) (*Set, error) {
	return parseSet(string(text), limits{size: defaultMaxSize, keys: defaultMaxKeys})
}

// parseSet is [ParseSet] with bounds of one's own.
func parseSet(text string, limits limits) (*Set, error) {
	if int64(len(text)) > limits.size {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrSet, limits.size)
	}
	document, err := strictjson.ParseObject(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	member, ok := document.Lookup("keys")
	if !ok {
		if document.Has("jwks_uri") {
			return nil, fmt.Errorf(`%w: it has no member "keys"; it is an issuer's metadata: set Config.Issuer instead of URL`, ErrSet)
		}
		return nil, fmt.Errorf(`%w: it has no member "keys"`, ErrSet)
	}
	entries, ok := member.Elements()
	if !ok {
		return nil, fmt.Errorf(`%w: its member "keys" is a JSON %s, not an array`, ErrSet, member.Kind())
	}
	if len(entries) > limits.keys {
		return nil, fmt.Errorf("%w: it lists %d keys, and %d are the most", ErrSet, len(entries), limits.keys)
	}
	set := &Set{}
	for i, entry := range entries {
		key, id, err := parseKey(entry)
		if err != nil {
			set.LeftOut = append(set.LeftOut, LeftOut{Position: i, ID: id, Reason: err.Error(), Secret: errors.Is(err, errSecret)})
			continue
		}
		set.Keys = append(set.Keys, key)
	}
	if len(set.Keys) == 0 {
		return set, set.unusable()
	}
	return set, nil
}

// unusable says why a set without a usable key has none.
func (s *Set) unusable() error {
	if len(s.LeftOut) == 0 {
		return fmt.Errorf("%w: it lists no keys", ErrSet)
	}
	return fmt.Errorf("%w: it lists %d, none that can be used; %v", ErrSet, len(s.LeftOut), s.LeftOut[0])
}

var errSecret = errors.New("so whoever can read the set can sign with it")

// parseKey reads one entry of a set. The ID is returned as far as it can be read.
func parseKey(entry strictjson.Value) (key *Key, id string, err error) {
	members, err := entry.Object()
	if err != nil {
		return nil, "", err
	}
	id, err = members.OptionalText("kid")
	if err != nil {
		return nil, "", err
	}
	if len(id) > MaxIDLength {
		return nil, id[:MaxIDLength], fmt.Errorf("its kid has %d bytes, and %d are the most", len(id), MaxIDLength)
	}
	if err := checkUse(&members); err != nil {
		return nil, id, err
	}
	// The private members of RFC 7518 §6.2.2, §6.3.2 and §6.4, and RFC 8037 §2.
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members.Has(secret) {
			return nil, id, fmt.Errorf("it has the private member %q, %w", secret, errSecret)
		}
	}
	public, err := vetted(&members)
	if err != nil {
		return nil, id, err
	}
	imported, err := importJWK(public)
	if err != nil {
		return nil, id, err
	}
	imported, err = vetPublic(imported)
	if err != nil {
		return nil, id, err
	}
	algorithm, err := members.OptionalText("alg")
	if err != nil {
		return nil, id, err
	}
	if members.Has("alg") {
		if a, known := algorithms[algorithm]; !known {
			return nil, id, fmt.Errorf("its alg %s is no signature algorithm that is known here", strictjson.Excerpt(algorithm))
		} else if !a.fits(imported) {
			return nil, id, fmt.Errorf("its alg %s does not fit its kty and crv", algorithm)
		}
	}
	sum, err := thumbprint(imported)
	if err != nil {
		return nil, id, err
	}
	return &Key{id: id, algorithm: algorithm, thumbprint: sum, public: imported}, id, nil
}

// checkUse returns an error where the key is not meant for verifying
// (RFC 7517 §4.2, §4.3).
func checkUse(members *strictjson.Object) error {
	use, err := members.OptionalText("use")
	if err != nil {
		return err
	}
	if members.Has("use") && use != "sig" {
		return fmt.Errorf("its use is %s, not sig", strictjson.Excerpt(use))
	}
	if ops, has := members.Lookup("key_ops"); has {
		operations, ok := ops.Texts()
		if !ok {
			return errors.New("its key_ops is no array of strings")
		}
		if !slices.Contains(operations, "verify") {
			return errors.New("its key_ops do not contain verify")
		}
	}
	return nil
}

// vetted returns a JWK with only those members that make up the public key,
// each checked for its form.
func vetted(members *strictjson.Object) ([]byte, error) {
	kty, err := requiredText(members, "kty")
	if err != nil {
		return nil, err
	}
	jwk := map[string]string{"kty": kty}
	switch kty {
	case "RSA":
		for _, name := range []string{"n", "e"} {
			if jwk[name], err = unsignedInteger(members, name); err != nil {
				return nil, err
			}
		}
		// Four bytes at most: what is longer would overflow on its way to an int.
		if len(jwk["e"]) > base64.RawURLEncoding.EncodedLen(4) {
			return nil, errors.New("its exponent is beyond 32 bits")
		}
	case "EC":
		crv, err := requiredText(members, "crv")
		if err != nil {
			return nil, err
		}
		size, known := map[string]int{"P-256": 32, "P-384": 48, "P-521": 66}[crv]
		if !known {
			return nil, fmt.Errorf("its curve %s is not known here", strictjson.Excerpt(crv))
		}
		jwk["crv"] = crv
		for _, name := range []string{"x", "y"} {
			if jwk[name], err = octets(members, name, size); err != nil {
				return nil, err
			}
		}
	case "OKP":
		crv, err := requiredText(members, "crv")
		if err != nil {
			return nil, err
		}
		if crv != "Ed25519" {
			return nil, fmt.Errorf("its curve %s is not known here", strictjson.Excerpt(crv))
		}
		jwk["crv"] = crv
		if jwk["x"], err = octets(members, "x", 32); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("its kty %s is not known here", strictjson.Excerpt(kty))
	}
	return json.Marshal(jwk)
}

// unsignedInteger returns a member that is a Base64urlUInt: canonical base64url
// of the fewest bytes that hold the number (RFC 7518 §2).
func unsignedInteger(members *strictjson.Object, name string) (string, error) {
	text, decoded, err := base64url(members, name)
	if err != nil {
		return "", err
	}
	if len(decoded) == 0 || decoded[0] == 0 {
		return "", fmt.Errorf("its %s is empty or starts with a zero byte", name)
	}
	return text, nil
}

// octets returns a member that is canonical base64url of so many bytes.
func octets(members *strictjson.Object, name string, size int) (string, error) {
	text, decoded, err := base64url(members, name)
	if err != nil {
		return "", err
	}
	if len(decoded) != size {
		return "", fmt.Errorf("its %s has %d bytes instead of %d", name, len(decoded), size)
	}
	return text, nil
}

// base64url returns a member and the bytes that it encodes. There is one
// encoding of any bytes that is accepted: no padding, no white space, no stray
// bits in the last character (RFC 7515 §2).
func base64url(members *strictjson.Object, name string) (text string, decoded []byte, err error) {
	text, err = requiredText(members, name)
	if err != nil {
		return "", nil, err
	}
	decoded, err = base64.RawURLEncoding.DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != text {
		return "", nil, fmt.Errorf("its %s is not canonical base64url", name)
	}
	return text, decoded, nil
}

func requiredText(members *strictjson.Object, name string) (string, error) {
	if !members.Has(name) {
		return "", fmt.Errorf("its %s is missing", name)
	}
	return members.OptionalText(name)
}
