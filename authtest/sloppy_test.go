package authtest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/stretchr/testify/require"
)

// A sloppy API is a correct one behind somebody who misses one check. He reads a
// token with that check left out and nothing else, and where he finds it good he
// has it signed again without the fault that he has overlooked. So each mutation is
// one missing check, and no more.

// A lab has the issuer, who signs again.
type lab struct {
	t         *testing.T
	issuer    *authtest.Issuer
	other     *authtest.Issuer // whom the API trusts too
	algorithm string
	client    *http.Client // for addresses in tokens, which the issuer's client refuses to ask
}

func newLab(t *testing.T, algorithm string) lab {
	return lab{t, authtest.NewIssuer(t), authtest.NewIssuer(t), algorithm, http.DefaultClient}
}

// object is a header or a claims set.
type object = map[string]any

// sent is a token, taken apart.
type sent struct {
	parts           []string // encoded
	header, payload string   // decoded
	signature       []byte
}

// reading says how a token is read where one check is left out. Each function is
// nil where it is as it should be.
type reading struct {
	split   func(token string) []string             // into three
	decode  func(part string) ([]byte, error)       // base64url
	parse   func(text string) (object, error)       // JSON
	trusted func(l lab, s sent, header object) bool // the signature
	forgive func(l lab, header, payload object)     // what is not looked at
}

// overlook returns a middleware that reads tokens so.
func overlook(r reading) func(lab, http.Handler) http.Handler {
	return func(l lab, next http.Handler) http.Handler {
		return onToken(func(token string) string { return r.repair(l, token) })(l, next)
	}
}

// forgive returns a middleware that does not look at something in a token that is
// otherwise read as it should be.
func forgive(f func(l lab, header, payload object)) func(lab, http.Handler) http.Handler {
	return overlook(reading{forgive: f})
}

// believe returns a middleware that trusts other signatures than it should. Tokens of
// the other issuer are looked at as they should be.
func believe(trusted func(l lab, s sent, header object) bool) func(lab, http.Handler) http.Handler {
	ours := func(l lab, s sent, header object) bool { return !l.ofOther(s) && trusted(l, s, header) }
	return overlook(reading{trusted: ours, forgive: func(l lab, header, _ object) {
		for _, name := range []string{"jwk", "jku", "x5u", "x5c"} {
			delete(header, name)
		}
		header["alg"], header["kid"] = l.algorithm, l.kid()
	}})
}

// onRequest returns a middleware that changes requests.
func onRequest(change func(*http.Request)) func(lab, http.Handler) http.Handler {
	return func(_ lab, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Err() == nil { // else the issuer hangs, and so would he
				change(r)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// onToken returns a middleware that changes tokens.
func onToken(change func(token string) string) func(lab, http.Handler) http.Handler {
	return onRequest(func(r *http.Request) {
		values := r.Header.Values("Authorization")
		if len(values) != 1 {
			return
		}
		if scheme, token, found := strings.Cut(values[0], " "); found && strings.EqualFold(scheme, "Bearer") {
			r.Header.Set("Authorization", scheme+" "+change(token))
		}
	})
}

// onAnswer returns a middleware that changes answers.
func onAnswer(change func(*http.Request, *httptest.ResponseRecorder)) func(lab, http.Handler) http.Handler {
	return func(_ lab, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			change(r, answer)
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
	}
}

// insist returns a middleware that refuses good tokens for which ok is false.
func insist(ok func(r *http.Request, header, payload object) bool) func(lab, http.Handler) http.Handler {
	return onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code != http.StatusOK {
			return
		}
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s, header, payload, err := reading{}.read(token)
		if err != nil || len(s.parts) != 3 || !ok(r, header, payload) {
			answer.Code = http.StatusUnauthorized
		}
	})
}

// repair returns the token without the fault, where it is good but for that, and
// else the token as it is.
func (r reading) repair(l lab, token string) string {
	s, header, payload, err := r.read(token)
	if err != nil {
		return token
	}
	trusted := r.trusted
	if trusted == nil {
		trusted = signed
	}
	if !trusted(l, s, header) {
		return token
	}
	if r.forgive != nil {
		r.forgive(l, header, payload)
	}
	return l.issuer.Token(authtest.RawHeader(jsonOf(header)), authtest.RawPayload(jsonOf(payload)), authtest.Algorithm(l.algorithm))
}

func (r reading) read(token string) (s sent, header, payload object, err error) {
	split, decode, parse := r.split, r.decode, r.parse
	if split == nil {
		split = func(token string) []string { return strings.Split(token, ".") }
	}
	if decode == nil {
		decode = strictDecode
	}
	if parse == nil {
		parse = strictParse
	}
	if s.parts = split(token); len(s.parts) != 3 {
		return s, nil, nil, io.ErrUnexpectedEOF
	}
	var decoded [3][]byte
	for n, part := range s.parts {
		if decoded[n], err = decode(part); err != nil {
			return s, nil, nil, err
		}
	}
	s.header, s.payload, s.signature = string(decoded[0]), string(decoded[1]), decoded[2]
	if header, err = parse(s.header); err != nil {
		return s, nil, nil, err
	}
	payload, err = parse(s.payload)
	return s, header, payload, err
}

func strictDecode(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, io.ErrUnexpectedEOF
	}
	return base64.RawURLEncoding.Strict().DecodeString(part)
}

func strictParse(text string) (object, error) {
	if _, err := strictjson.ParseObject(text); err != nil {
		return nil, err
	}
	return looseParse(text)
}

// looseParse takes the last of two members of a name, and replaces what is not
// UTF-8.
func looseParse(text string) (object, error) {
	var members object
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&members)
	if err == nil && decoder.More() {
		err = io.ErrUnexpectedEOF
	}
	return members, err
}

func jsonOf(members object) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (s sent) input() []byte { return []byte(s.parts[0] + "." + s.parts[1]) }

// signed reports whether one of the issuer's keys has signed, as the header says.
func signed(l lab, s sent, _ object) bool { return l.verify(s, l.algorithm, "sig") }

// ofOther reports whether a token says that it is of the other issuer.
func (l lab) ofOther(s sent) bool {
	payload, err := looseParse(s.payload)
	return err == nil && payload["iss"] == l.other.URL()
}

// signedByOther reports whether a key of the other issuer has signed.
func signedByOther(l lab, s sent, _ object) bool {
	return l.verifiedBy(s, keySetAt(l.other.HTTPClient(), l.other.KeySetURL())...)
}

// verify reports whether a key of the issuer's for that use has signed with that
// algorithm.
func (l lab) verify(s sent, algorithm, use string) bool {
	for _, raw := range l.keySet() {
		if key := keyOf(raw, algorithm, use); key != nil && key.Verify(s.input(), s.signature) {
			return true
		}
	}
	return false
}

// keyOf returns a published key for an algorithm, whatever it says that it is for.
func keyOf(raw object, algorithm, use string) *jwks.Key {
	if raw["use"] != use || !strings.HasPrefix(fmt.Sprint(raw["alg"]), algorithm[:1]) && raw["kty"] != "RSA" {
		return nil
	}
	plain := maps.Clone(raw)
	delete(plain, "use")
	plain["alg"] = algorithm
	set, err := jwks.ParseSet([]byte(`{"keys":[` + jsonOf(plain) + `]}`))
	if err != nil || len(set.Keys) == 0 {
		return nil
	}
	return set.Keys[0]
}

// keySet returns the issuer's keys as they are published, none in an outage.
func (l lab) keySet() []object { return keySetAt(l.issuer.HTTPClient(), l.issuer.KeySetURL()) }

func keySetAt(client *http.Client, url string) []object {
	response, err := client.Get(url)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var set struct{ Keys []object }
	_ = json.NewDecoder(response.Body).Decode(&set)
	return set.Keys
}

// rawKey returns the issuer's key as it is published, and in DER.
func (l lab) rawKey() (inJWK, inDER []byte) {
	response, err := l.issuer.HTTPClient().Get(l.issuer.KeySetURL())
	require.NoError(l.t, err)
	defer response.Body.Close()
	var set struct{ Keys []json.RawMessage }
	if json.NewDecoder(response.Body).Decode(&set) != nil {
		return nil, nil
	}
	for _, raw := range set.Keys {
		var public any
		if strings.Contains(string(raw), l.kid()) && jwk.ParseRawKey(raw, &public) == nil {
			der, err := x509.MarshalPKIXPublicKey(public)
			require.NoError(l.t, err)
			return raw, der
		}
	}
	return nil, nil
}

// kid returns the ID of the key that signs.
func (l lab) kid() string {
	token := l.issuer.Token(authtest.Audience("any"), authtest.Algorithm(l.algorithm))
	return parts(l.t, token)[0]["kid"].(string)
}

// hmacBy reports whether a token is signed by HMAC with one of the secrets.
func hmacBy(s sent, header object, secrets ...[]byte) bool {
	if header["alg"] != "HS256" {
		return false
	}
	return slices.ContainsFunc(secrets, func(secret []byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write(s.input())
		return hmac.Equal(mac.Sum(nil), s.signature)
	})
}

func inPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// verifiedBy reports whether one of these keys has signed.
func (l lab) verifiedBy(s sent, keys ...object) bool {
	return slices.ContainsFunc(keys, func(raw object) bool {
		key := keyOf(raw, l.algorithm, "sig")
		return key != nil && key.Verify(s.input(), s.signature)
	})
}

// certified reports whether the key of a certificate has signed.
func (l lab) certified(s sent, der []byte) bool {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	key, err := jwks.NewKey("", l.algorithm, certificate.PublicKey)
	return err == nil && key.Verify(s.input(), s.signature)
}

// fetch returns what is at an address that a token names.
func (l lab) fetch(url any) []byte {
	address, _ := url.(string)
	if !strings.HasPrefix(address, "http") {
		return nil
	}
	response, err := l.client.Get(address)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(response.Body)
	return body.Bytes()
}
