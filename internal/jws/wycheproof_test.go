package jws_test

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// The vectors of C2SP/wycheproof are attacks that have worked on somebody. Their
// payloads are no claims sets, so they are for the layer below the token: the form
// of a JWS, the import of keys and the verification. They are another project's
// data and no part of this one; CONTRIBUTING.md says how to get them.
const vectorsFolder = "WYCHEPROOF_DIR"

type vectorGroup struct {
	Public       json.RawMessage // a JWK or a JWK Set
	Private      json.RawMessage // the same; alone where the key is symmetric or decrypts
	PublicKeyPEM string
	Tests        []vector
}

type vector struct {
	ID       int `json:"tcId"`
	Comment  string
	Result   string          // valid, acceptable or invalid
	JWS, JWE json.RawMessage // a string, or an object in the JSON serialization
	Msg, Sig string          // hexadecimal
}

func (v vector) String() string { return fmt.Sprintf("tcId %d (%s)", v.ID, v.Comment) }

// token returns what somebody would send.
func (v vector) token(t *testing.T) string {
	t.Helper()
	text := v.JWS
	if text == nil {
		text = v.JWE
	}
	require.NotEmpty(t, text, "%s has no token", v)
	if text[0] == '{' {
		return string(text)
	}
	var token string
	require.NoError(t, json.Unmarshal(text, &token))
	return token
}

// readVectors returns the groups of a file, which must have so many vectors.
func readVectors(t *testing.T, name string, vectors int) []vectorGroup {
	t.Helper()
	folder := os.Getenv(vectorsFolder)
	if folder == "" {
		t.Skipf("%s is not set to the folder with %s: CONTRIBUTING.md says how to get it", vectorsFolder, name)
	}
	text, err := os.ReadFile(filepath.Join(folder, name))
	require.NoError(t, err)
	var file struct {
		NumberOfTests int
		TestGroups    []vectorGroup
	}
	require.NoError(t, json.Unmarshal(text, &file))
	ids := map[int]bool{}
	for _, group := range file.TestGroups {
		for _, v := range group.Tests {
			require.False(t, ids[v.ID], "%s is there twice", v)
			ids[v.ID] = true
		}
	}
	require.Len(t, ids, vectors)
	require.Equal(t, vectors, file.NumberOfTests)
	return file.TestGroups
}

// A deviation is the rule by which a vector is refused that its file does not call
// invalid. There is none for accepting what a file calls invalid.
type deviation struct{ rule, reason string }

var (
	symmetric     = deviation{"no algorithm is symmetric (RFC 8725 §2.1)", "the algorithm is not accepted"}
	notConfigured = deviation{"the algorithm is not configured (RFC 8725 §3.1)", "the algorithm is not accepted"}
	encrypted     = deviation{"nothing is decrypted", "it has the five parts of a JWE"}
	otherPS       = deviation{"the key says PS256 and the token PS384: one algorithm a key (RFC 8725 §3.1)", `no key "bilbo.baggins@hobbiton.example" for "PS384"`}
	es521         = deviation{"the key says ES521, which is no algorithm (RFC 7518 §3.1)", `its alg "ES521" is no signature algorithm`}
	questionMark  = deviation{`a "?" in a part is no base64url (RFC 7515 §2)`, "is not base64url"}
)

type deviations map[int]deviation

// of returns the deviation for each of these vectors.
func (d deviation) of(ids ...int) deviations {
	all := deviations{}
	for _, id := range ids {
		all[id] = d
	}
	return all
}

// and returns all deviations of both.
func (d deviations) and(more deviations) deviations {
	all := maps.Clone(d)
	maps.Copy(all, more)
	return all
}

// A tally counts the vectors of one class.
type tally struct{ accepted, refused int }

// judge compares the answer to each vector with what its file says, and returns
// how many were accepted and refused in each class.
func judge(t *testing.T, groups []vectorGroup, known deviations, class func(vectorGroup) string, answer func(vectorGroup, vector) error) map[string]tally {
	t.Helper()
	left := maps.Clone(known)
	tallies := map[string]tally{}
	for _, group := range groups {
		count := tallies[class(group)]
		for _, v := range group.Tests {
			err := answer(group, v)
			if err == nil {
				count.accepted++
			} else {
				count.refused++
			}
			deviates, listed := known[v.ID]
			delete(left, v.ID)
			switch {
			case listed:
				require.NotEqual(t, "invalid", v.Result, "%s is listed as a deviation", v)
				require.ErrorContains(t, err, deviates.reason, "%s: %s", v, deviates.rule)
			case v.Result == "valid":
				require.NoError(t, err, v)
			default:
				require.Equal(t, "invalid", v.Result, v)
				require.Error(t, err, v)
			}
		}
		tallies[class(group)] = count
	}
	require.Empty(t, left, "the file has no such vectors")
	return tallies
}

var (
	errAlgorithm = errors.New("the algorithm is not accepted")
	errSignature = errors.New("no key has made the signature")
)

// verify does with a JWS what the validator of package claims does with a token,
// as far as the signature.
func verify(t *testing.T, group vectorGroup, token string, algorithms []string) error {
	t.Helper()
	c, err := jws.Parse(token)
	if err != nil {
		return err
	}
	if !slices.Contains(algorithms, c.Algorithm) {
		return errAlgorithm
	}
	set, err := jwks.ParseSet(keySet(t, group))
	if err != nil {
		return err
	}
	keys, err := jwks.Static(set.Keys...).Keys(t.Context(), c.Algorithm, c.KeyID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Verify([]byte(c.SigningInput), c.Signature) {
			return nil
		}
	}
	return errSignature
}

// keySet returns what an issuer would publish: the public key, or where a key has
// no public half, the key itself, as by mistake.
func keySet(t *testing.T, group vectorGroup) []byte {
	t.Helper()
	document := group.Public
	if document == nil {
		document = group.Private
	}
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(document, &members))
	if _, isSet := members["keys"]; isSet {
		return document
	}
	return fmt.Appendf(nil, `{"keys":[%s]}`, document)
}

// kindOfKeys tells RSA keys that RS256 can be verified with from those for other
// algorithms, and both from other keys.
func kindOfKeys(t *testing.T) func(vectorGroup) string {
	return func(group vectorGroup) string {
		if group.Public == nil {
			return "no public key"
		}
		var set struct {
			Keys []struct{ Kty, Alg string }
		}
		require.NoError(t, json.Unmarshal(keySet(t, group), &set))
		require.Len(t, set.Keys, 1)
		key := set.Keys[0]
		switch {
		case key.Kty != "RSA":
			return key.Kty
		case key.Alg == "RS256", key.Alg == "":
			return "RSA for RS256"
		default:
			return "RSA for others"
		}
	}
}

func TestWycheproofSignatures(t *testing.T) {
	groups := readVectors(t, "json_web_signature_test.json", 401)
	hmac := symmetric.of(1, 348, 352, 357, 358, 359, 376, 377).and(questionMark.of(372, 373))
	tests := []struct {
		name       string
		algorithms []string
		deviations deviations
		want       map[string]tally
	}{
		{
			"RS256 alone", []string{"RS256"},
			hmac.and(notConfigured.of(
				264, 265, 266, 267, 268, 269, 270, 271, // RS384, RS512
				272, 273, 274, 275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328, 346, 350, // PS256, PS384, PS512
				18, 347, 351, 378, // ES256, ES512
			)),
			map[string]tally{
				"RSA for RS256":  {8, 227},
				"RSA for others": {0, 83},
				"EC":             {0, 43},
				"no public key":  {0, 40},
			},
		},
		{
			"all algorithms", jwks.Algorithms(),
			hmac.and(otherPS.of(346, 350)).and(es521.of(347, 351)),
			map[string]tally{
				"RSA for RS256":  {8, 227},
				"RSA for others": {22, 61},
				"EC":             {2, 41},
				"no public key":  {0, 40},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(t, groups, tt.deviations, kindOfKeys(t), func(group vectorGroup, v vector) error {
				return verify(t, group, v.token(t), tt.algorithms)
			})
			require.Equal(t, tt.want, got)
		})
	}
}

// Figures 20 and 27 of RFC 7520 are signed by keys that their files describe
// wrongly. With the description put right, they are good.
func TestWycheproofSignaturesUnderKeysThatSayWhatTheyAre(t *testing.T) {
	algorithm := map[int]string{346: "PS384", 350: "PS384", 347: "ES512", 351: "ES512"}
	verified := 0
	for _, group := range readVectors(t, "json_web_signature_test.json", 401) {
		for _, v := range group.Tests {
			alg, listed := algorithm[v.ID]
			if !listed {
				continue
			}
			var key map[string]any
			require.NoError(t, json.Unmarshal(group.Public, &key))
			require.NotEqual(t, alg, key["alg"])
			key["alg"] = alg
			corrected, err := json.Marshal(key)
			require.NoError(t, err)
			require.NoError(t, verify(t, vectorGroup{Public: corrected}, v.token(t), jwks.Algorithms()), v)
			verified++
		}
	}
	require.Equal(t, len(algorithm), verified)
}

func TestWycheproofKeys(t *testing.T) {
	groups := readVectors(t, "json_web_key_test.json", 26)
	// Each key must be left out for what is wrong with it.
	reasons := map[int]string{
		6:  `its use is "enc"`,
		7:  "CVE-2017-15361",
		8:  "the RSA key has 1024 bits",
		9:  "the RSA exponent is 1",
		19: `its alg "ES521" is no signature algorithm`,
		20: `its alg "ES224" is no signature algorithm`,
		21: `its use is "enc"`,
		22: "the EC key is not a point",
		23: "its x has 32 bytes instead of 48",
		24: "its n is missing",
	}
	found := 0
	got := judge(t, groups, symmetric.of(2, 13, 14, 15), kindOfKeys(t), func(group vectorGroup, v vector) error {
		err := verify(t, group, v.token(t), jwks.Algorithms())
		if reason, listed := reasons[v.ID]; listed {
			require.ErrorIs(t, err, jwks.ErrSet, v)
			require.ErrorContains(t, err, reason, v)
			found++
		}
		return err
	})
	require.Equal(t, map[string]tally{
		"RSA for RS256":  {1, 3}, // 5, 7, 8, 9
		"RSA for others": {0, 2}, // 6, and 24, an EC key that says that it is of RSA
		"EC":             {0, 5}, // 19 to 23
		"no public key":  {0, 15},
	}, got)
	require.Equal(t, len(reasons), found)
}

func TestWycheproofCrypto(t *testing.T) {
	groups := readVectors(t, "json_web_crypto_test.json", 83)
	tests := []struct {
		name       string
		algorithms []string
		deviations deviations
		want       map[string]tally
	}{
		{"RS256 alone", []string{"RS256"}, notConfigured.of(18), map[string]tally{"RSA for RS256": {1, 13}, "EC": {0, 15}, "no public key": {0, 54}}},
		{"all algorithms", jwks.Algorithms(), nil, map[string]tally{"RSA for RS256": {1, 13}, "EC": {1, 14}, "no public key": {0, 54}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sealed, objects := 0, 0
			known := symmetric.of(1, 48).and(encrypted.of(50, 67)).and(tt.deviations)
			got := judge(t, groups, known, kindOfKeys(t), func(group vectorGroup, v vector) error {
				err := verify(t, group, v.token(t), tt.algorithms)
				if v.JWE != nil {
					sealed++
					_, err := jws.Parse(v.token(t))
					require.Error(t, err, "%s must fail by its form", v)
				}
				if v.Comment == "rejectsValidJsonSerialization" {
					require.ErrorIs(t, err, jws.ErrSerialization, v)
					objects++
				}
				return err
			})
			require.Equal(t, tt.want, got)
			require.Equal(t, 34, sealed)
			require.Equal(t, 2, objects)
		})
	}
}

func TestWycheproofPrimitives(t *testing.T) {
	tests := []struct {
		file       string
		vectors    int
		algorithm  string
		deviations deviations
		want       tally
	}{
		{
			"rsa_signature_2048_sha256_test.json", 259, "RS256",
			// The file calls this one acceptable.
			deviation{"a DigestInfo without its NULL is another text (RFC 8017 §8.2.2, §9.2)", errSignature.Error()}.of(8),
			tally{9, 250},
		},
		{"rsa_pss_2048_sha256_mgf1_32_test.json", 108, "PS256", nil, tally{63, 45}},
		{"ecdsa_secp256r1_sha256_p1363_test.json", 262, "ES256", nil, tally{173, 89}},
		{"ed25519_test.json", 151, "EdDSA", nil, tally{88, 63}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			groups := readVectors(t, tt.file, tt.vectors)
			class := func(vectorGroup) string { return tt.algorithm }
			got := judge(t, groups, tt.deviations, class, func(group vectorGroup, v vector) error {
				block, _ := pem.Decode([]byte(group.PublicKeyPEM))
				require.NotNil(t, block, v)
				public, err := x509.ParsePKIXPublicKey(block.Bytes)
				require.NoError(t, err, v)
				key, err := jwks.NewKey("", tt.algorithm, public)
				require.NoError(t, err, v)
				message, err := hex.DecodeString(v.Msg)
				require.NoError(t, err, v)
				signature, err := hex.DecodeString(v.Sig)
				require.NoError(t, err, v)
				if !key.Verify(message, signature) {
					return errSignature
				}
				return nil
			})
			require.Equal(t, map[string]tally{tt.algorithm: tt.want}, got)
		})
	}
}
