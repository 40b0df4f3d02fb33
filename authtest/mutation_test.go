package authtest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

// A mutation is an API that misses a check, and the attacks that notice: names, or
// patterns of names as in path.Match; one that begins with ! is taken out of what
// stands before it.
type mutation struct {
	missing string
	wrap    func(lab, http.Handler) http.Handler
	caught  string
}

// mutationsOfRSA has those that other keys cannot have.
var mutationsOfRSA = []mutation{
	{"which algorithm the issuer uses: the token says it", believe(func(l lab, s sent, header object) bool {
		alg, _ := header["alg"].(string)
		return slices.Contains([]string{"RS384", "RS512", "PS256", "PS384", "PS512"}, alg) && l.verify(s, alg, "sig")
	}), "algorithm/another-hash algorithm/another-padding"},
}

// mutationsOfGET has those that only routes for GET can have.
var mutationsOfGET = []mutation{
	{"that HEAD is GET", withGood(func(r *http.Request) bool { return r.Method == http.MethodHead }), "credentials/none-in-HEAD"},
}

var mutations = []mutation{
	// Credentials.
	{"whether there are credentials", withGood(func(r *http.Request) bool { return r.Header.Get("Authorization") == "" }),
		"credentials/none credentials/query credentials/query-by-other-names credentials/form credentials/cookie credentials/other-headers"},
	{"whether the credentials are empty", withGood(func(r *http.Request) bool { return strings.TrimSpace(r.Header.Get("Authorization")) == "Bearer" }),
		"credentials/nothing-after-bearer"},
	{"which scheme it is", onRequest(func(r *http.Request) {
		if _, token, found := strings.Cut(r.Header.Get("Authorization"), " "); found && len(r.Header.Values("Authorization")) == 1 {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}), "credentials/basic credentials/dpop credentials/jwt credentials/token"},
	{"whether there is a scheme", onRequest(func(r *http.Request) {
		if value := r.Header.Get("Authorization"); strings.HasPrefix(value, "eyJ") {
			r.Header.Set("Authorization", "Bearer "+value)
		}
	}), "credentials/no-scheme"},
	{"whether a space follows Bearer", onRequest(func(r *http.Request) {
		if rest, had := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer"); had && len(r.Header.Values("Authorization")) == 1 {
			r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(rest))
		}
	}), "credentials/no-space credentials/tab"},
	{"whether something follows the token", onToken(func(token string) string { return strings.Split(token, " ")[0] }), "credentials/two-words"},
	{"whether there are several in a list", onToken(func(token string) string { return strings.Split(token, ",")[0] }), "credentials/list"},
	{"whether the token is in quotes", onToken(func(token string) string { return strings.Trim(token, `"`) }), "credentials/quoted"},
	{"whether there is one header: the first is taken", onRequest(func(r *http.Request) {
		if values := r.Header.Values("Authorization"); len(values) > 1 {
			r.Header["Authorization"] = values[:1]
		}
	}), "credentials/two-headers-good-first"},
	{"whether there is one header: the last is taken", onRequest(func(r *http.Request) {
		if values := r.Header.Values("Authorization"); len(values) > 1 {
			r.Header["Authorization"] = values[len(values)-1:]
		}
	}), "credentials/two-headers-good-last"},
	{"whether the token is in the query", onRequest(func(r *http.Request) {
		if token := r.URL.Query().Get("access_token"); token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}), "credentials/query credentials/query-and-bad-header"},
	{"whether the token is in the query, by whatever name", onRequest(func(r *http.Request) {
		if token := r.URL.Query().Get("jwt"); token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}), "credentials/query-by-other-names"},
	{"whether the token is in the form", onRequest(func(r *http.Request) {
		if token := r.PostFormValue("access_token"); token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}), "credentials/form credentials/form-and-bad-header"},
	{"whether the token is in a cookie", onRequest(func(r *http.Request) {
		if cookie, err := r.Cookie("jwt"); err == nil {
			r.Header.Set("Authorization", "Bearer "+cookie.Value)
		}
	}), "credentials/cookie"},
	{"whether the token is in a session", onRequest(func(r *http.Request) {
		if cookie, err := r.Cookie("session"); err == nil {
			r.Header.Set("Authorization", "Bearer "+cookie.Value)
		}
	}), "credentials/cookie"},
	{"whether the token is an API key", onRequest(func(r *http.Request) {
		if key := r.Header.Get("X-Api-Key"); key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
	}), "credentials/other-headers"},
	{"which header it is", onRequest(func(r *http.Request) {
		if value := r.Header.Get("X-Forwarded-Authorization"); value != "" {
			r.Header.Set("Authorization", value)
		}
	}), "credentials/other-headers"},

	// Encodings.
	{"padding", overlook(reading{decode: func(part string) ([]byte, error) { return strictDecode(strings.TrimRight(part, "=")) }}), "encoding/padding-inside encoding/padding-at-the-end"},
	{"line breaks", overlook(reading{decode: base64.RawURLEncoding.Strict().DecodeString}), "encoding/line-break"},
	{"stray bits", overlook(reading{decode: func(part string) ([]byte, error) {
		if strings.ContainsAny(part, "\r\n") {
			return nil, io.ErrUnexpectedEOF
		}
		return base64.RawURLEncoding.DecodeString(part)
	}}), "encoding/stray-bits"},
	{"the alphabet", overlook(reading{decode: func(part string) ([]byte, error) {
		return strictDecode(strings.NewReplacer("+", "-", "/", "_").Replace(part))
	}}), "encoding/standard-alphabet"},
	{"how many parts there are", overlook(reading{split: func(token string) []string {
		parts := strings.Split(token, ".")
		return parts[:min(len(parts), 3)]
	}}), "encoding/four-parts encoding/five-parts"},
	{"whether there is a signature", overlook(reading{
		split: func(token string) []string {
			if strings.Count(token, ".") == 1 {
				token += "."
			}
			return strings.Split(token, ".")
		},
		trusted: func(l lab, s sent, header object) bool { return len(s.signature) == 0 || signed(l, s, header) },
	}), "encoding/two-parts encoding/empty-signature"},
	{"whether it is in compact form", onToken(func(token string) string {
		var general struct{ Protected, Payload, Signature string }
		if json.Unmarshal([]byte(token), &general) != nil {
			return token
		}
		return general.Protected + "." + general.Payload + "." + general.Signature
	}), "encoding/json-serialization"},
	{"whether it is a JWT", withGood(func(r *http.Request) bool {
		value := r.Header.Get("Authorization")
		return strings.HasPrefix(value, "Bearer ") && len(value) > 20 && strings.Count(value, ".") < 2 && !strings.ContainsAny(value[7:], " {")
	}), "encoding/two-parts encoding/opaque encoding/opaque-Google"},
	{"the size", forgive(func(_ lab, _, payload object) { delete(payload, "padding") }), "encoding/too-large"},

	// JSON.
	{"that names occur once: the last counts", overlook(reading{parse: looseUTF8}), "header/duplicate header/duplicate-by-escape payload/duplicate-good-last payload/duplicate-by-escape"},
	{"that names occur once: the first counts", overlook(reading{parse: firstOfTwo}), "payload/duplicate-good-first"},
	{"that names occur once, once they are unescaped", overlook(reading{parse: func(text string) (object, error) {
		if strings.Count(text, `"aud"`) > 1 || strings.Count(text, `"alg"`) > 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return looseUTF8(text)
	}}), "header/duplicate-by-escape payload/duplicate-by-escape"},
	{"the case of names", overlook(reading{parse: func(text string) (object, error) {
		members, err := strictParse(text)
		folded := object{}
		for name, value := range members {
			folded[strings.ToLower(name)] = value
		}
		return folded, err
	}}), "header/name-in-other-case payload/name-in-other-case"},
	{"what is behind the JSON", overlook(reading{parse: func(text string) (object, error) {
		var first json.RawMessage
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&first); err != nil {
			return nil, err
		}
		return strictParse(string(first))
	}}), "payload/trailing-data"},
	{"whether it is UTF-8", overlook(reading{parse: func(text string) (object, error) { return strictParse(strings.ToValidUTF8(text, "?")) }}), "payload/not-UTF-8"},

	// Algorithms.
	{"that none is no algorithm", believe(func(l lab, s sent, header object) bool {
		return header["alg"] == "none" && len(s.signature) == 0
	}), "algorithm/none"},
	{"that none is no algorithm, however it is written", believe(func(l lab, s sent, header object) bool {
		alg, _ := header["alg"].(string)
		return alg != "none" && strings.EqualFold(strings.TrimSpace(alg), "none") && len(s.signature) == 0
	}), "algorithm/none-in-other-case algorithm/none-with-a-space"},
	{"that an empty algorithm is none", believe(func(l lab, s sent, header object) bool { return header["alg"] == "" && len(s.signature) == 0 }), "algorithm/empty"},
	{"that none is no algorithm, whatever is in the place of the signature", believe(func(l lab, s sent, header object) bool { return header["alg"] == "none" && len(s.signature) > 0 }), "algorithm/none-with-a-signature"},
	{"that there is an algorithm", forgive(func(l lab, header, _ object) {
		if _, has := header["alg"]; !has {
			header["alg"] = l.algorithm
		}
	}), "algorithm/missing header/name-in-other-case"},
	{"the case of the algorithm", forgive(func(l lab, header, _ object) {
		if alg, _ := header["alg"].(string); strings.EqualFold(alg, l.algorithm) {
			header["alg"] = l.algorithm
		}
	}), "algorithm/in-other-case"},
	{"which algorithm the token says", forgive(func(l lab, header, _ object) { header["alg"] = l.algorithm }), "algorithm/missing algorithm/in-other-case algorithm/renamed header/name-in-other-case"},
	{"whether the key is of the algorithm's kind", believe(func(l lab, s sent, header object) bool {
		if header["alg"] == "RS256" {
			panic("interface conversion: crypto.PublicKey is *ecdsa.PublicKey, not *rsa.PublicKey")
		}
		return false
	}), "algorithm/of-another-kind-of-key"},
	{"that the public key is no secret, in PEM", believe(func(l lab, s sent, header object) bool {
		_, der := l.rawKey()
		return hmacBy(s, header, inPEM(der))
	}), "algorithm/public-key-in-PEM"},
	{"that the public key is no secret, in DER", believe(func(l lab, s sent, header object) bool {
		_, der := l.rawKey()
		return der != nil && hmacBy(s, header, der)
	}), "algorithm/public-key-in-DER"},
	{"that the public key is no secret, as a JWK", believe(func(l lab, s sent, header object) bool {
		raw, _ := l.rawKey()
		return raw != nil && hmacBy(s, header, raw)
	}), "algorithm/public-key-as-JWK"},
	{"that a secret has a length", believe(func(l lab, s sent, header object) bool { return hmacBy(s, header, nil) && header["kid"] == l.kid() }), "algorithm/empty-secret"},

	// Keys.
	{"the signature", believe(func(l lab, s sent, header object) bool { return header["alg"] == l.algorithm && len(s.signature) > 0 }), "key/* memory/* !key/kid-is-a-path !key/kid-is-SQL !key/published-secret"},
	{"the signature, where the key is unknown", believe(func(l lab, s sent, header object) bool {
		kid, named := header["kid"].(string)
		return header["alg"] == l.algorithm && named && !strings.Contains(kid, "/") &&
			!slices.ContainsFunc(l.keySet(), func(raw object) bool {
				kid, _ := raw["kid"].(string)
				return strings.EqualFold(kid, header["kid"].(string))
			})
	}), "key/unknown key/jwk key/x5c key/jku key/x5u key/of-trusted-1"},
	{"the signature, where no key is named", believe(func(l lab, s sent, header object) bool {
		_, named := header["kid"]
		return header["alg"] == l.algorithm && !named && len(s.signature) > 0 && !strings.Contains(s.header, "Alg")
	}), "key/without-kid key/without-kid-nor-signature"},
	{"the signature, where the key is null or empty", believe(func(l lab, s sent, header object) bool {
		kid, named := header["kid"]
		return header["alg"] == l.algorithm && named && (kid == nil || kid == "") && len(s.signature) > 0
	}), "key/kid-is-null key/kid-is-empty key/kid-is-null-no-signature key/kid-is-empty-no-signature"},
	{"that a signature is not zero", believe(func(l lab, s sent, header object) bool {
		return header["alg"] == l.algorithm && len(bytes.Trim(s.signature, "\x00")) == 0 && len(s.signature) > 0
	}), "key/*-no-signature key/without-kid-nor-signature"},
	{"whose key jwk is", believe(func(l lab, s sent, header object) bool {
		raw, has := header["jwk"].(object)
		return has && l.verifiedBy(s, raw)
	}), "key/jwk"},
	{"whose certificate x5c is", believe(func(l lab, s sent, header object) bool {
		chain, _ := header["x5c"].([]any)
		if len(chain) == 0 {
			return false
		}
		der, err := base64.StdEncoding.DecodeString(fmt.Sprint(chain[0]))
		return err == nil && l.certified(s, der)
	}), "key/x5c"},
	{"whose key set jku is", believe(func(l lab, s sent, header object) bool {
		url, has := header["jku"].(string)
		return has && l.verifiedBy(s, keySetAt(l.client, url)...)
	}), "key/jku"},
	{"that no address in a token is asked", believe(func(l lab, _ sent, header object) bool {
		l.fetch(header["jku"])
		return false
	}), "key/jku"},
	{"that no address in a token is asked, by the client for the issuer", believe(func(l lab, _ sent, header object) bool {
		l.client = l.issuer.HTTPClient()
		l.fetch(header["x5u"])
		return false
	}), "key/x5u"},
	{"whose certificate x5u is", believe(func(l lab, s sent, header object) bool {
		der := l.fetch(header["x5u"])
		return der != nil && l.certified(s, fromPEM(der))
	}), "key/x5u"},
	{"that kid is no URL", believe(func(l lab, s sent, header object) bool {
		url, _ := header["kid"].(string)
		return strings.HasPrefix(url, "http") && l.verifiedBy(s, keySetAt(l.client, url)...)
	}), "key/kid-is-a-URL"},
	{"that kid is no path", believe(func(l lab, s sent, header object) bool {
		name, _ := header["kid"].(string)
		secret, err := os.ReadFile(filepath.Join("/var/lib/keys", name))
		return err == nil && hmacBy(s, header, secret)
	}), "key/kid-is-a-path"},
	{"that kid is no SQL", believe(func(l lab, s sent, header object) bool {
		kid, _ := header["kid"].(string)
		_, selected, injected := strings.Cut(kid, "' UNION SELECT '")
		return injected && hmacBy(s, header, []byte(selected))
	}), "key/kid-is-SQL"},
	{"that a published secret is none", believe(func(l lab, s sent, header object) bool {
		return slices.ContainsFunc(l.keySet(), func(raw object) bool {
			k, has := raw["k"].(string)
			secret, err := base64.RawURLEncoding.DecodeString(k)
			return has && err == nil && raw["kid"] == header["kid"] && hmacBy(s, header, secret)
		})
	}), "key/published-secret"},
	{"what a key is for", believe(func(l lab, s sent, header object) bool {
		return header["alg"] == l.algorithm && l.verify(s, l.algorithm, "enc")
	}), "key/for-encryption"},
	{"the case of kid", forgive(func(l lab, header, _ object) {
		if kid, _ := header["kid"].(string); strings.EqualFold(kid, l.kid()) {
			header["kid"] = l.kid()
		}
	}), "key/kid-in-other-case"},
	{"the type of kid", forgive(func(l lab, header, _ object) {
		if _, is := header["kid"].(string); !is {
			header["kid"] = l.kid()
		}
	}), "key/kid-is-a-number"},

	// Headers.
	{"what is critical", forgive(func(_ lab, header, _ object) { delete(header, "crit") }), "header/crit header/crit-empty"},
	{"that something is critical", forgive(func(_ lab, header, _ object) {
		if list, _ := header["crit"].([]any); len(list) == 0 {
			delete(header, "crit")
		}
	}), "header/crit-empty"},
	{"b64", forgive(func(_ lab, header, _ object) { delete(header, "b64") }), "header/b64"},
	{"zip", forgive(func(_ lab, header, _ object) { delete(header, "zip") }), "header/zip"},
	{"cty", forgive(func(_ lab, header, _ object) { delete(header, "cty") }), "header/cty"},

	// Issuers.
	{"the issuer", forgive(func(l lab, _, payload object) { payload["iss"] = l.issuer.URL() }), "issuer/* !issuer/stranger's"},
	{"that there is an issuer", forgive(func(l lab, _, payload object) {
		if payload["iss"] == nil {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/missing issuer/null"},
	{"that null is no issuer", forgive(func(l lab, _, payload object) {
		if value, has := payload["iss"]; has && value == nil {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/null"},
	{"that the issuer has a name", forgive(func(l lab, _, payload object) {
		if payload["iss"] == "" {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/empty"},
	{"where the issuer begins", forgive(func(l lab, _, payload object) {
		if name, is := payload["iss"].(string); is && strings.HasSuffix(name, strings.TrimPrefix(l.issuer.URL(), "https://")) && !strings.HasPrefix(name, "http:") {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/ending-like-it"},
	{"the scheme of the issuer", forgive(func(l lab, _, payload object) {
		if name, is := payload["iss"].(string); is && strings.Replace(name, "http://", "https://", 1) == l.issuer.URL() {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/other-scheme"},
	{"the slash of the issuer", forgive(func(l lab, _, payload object) {
		if name, is := payload["iss"].(string); is && strings.TrimRight(name, "/") == strings.TrimRight(l.issuer.URL(), "/") {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/slash"},
	{"where the issuer ends", forgive(func(l lab, _, payload object) {
		if name, is := payload["iss"].(string); is && strings.HasPrefix(name, l.issuer.URL()) {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/longer"},
	{"the case of the issuer", forgive(func(l lab, _, payload object) {
		if name, is := payload["iss"].(string); is && strings.EqualFold(name, l.issuer.URL()) {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/in-other-case"},
	{"the type of the issuer", forgive(func(l lab, _, payload object) {
		if names, is := payload["iss"].([]any); is && slices.Contains(names, any(l.issuer.URL())) {
			payload["iss"] = l.issuer.URL()
		}
	}), "issuer/array"},
	{"whether the issuer is trusted", overlook(reading{
		trusted: func(l lab, s sent, _ object) bool {
			var payload struct{ Iss string }
			_ = json.Unmarshal([]byte(s.payload), &payload)
			return strings.HasPrefix(payload.Iss, "http://") && l.verifiedBy(s, keySetAt(l.client, payload.Iss+".well-known/jwks.json")...)
		},
		forgive: func(l lab, header, payload object) { header["kid"], payload["iss"] = l.kid(), l.issuer.URL() },
	}), "issuer/stranger's"},

	// Several issuers.
	{"whose key it is of the trusted ones", overlook(reading{
		trusted: func(l lab, s sent, header object) bool {
			return l.ofOther(s) && signed(l, s, header) || !l.ofOther(s) && signedByOther(l, s, header)
		},
		forgive: func(l lab, header, payload object) {
			header["kid"] = l.kid()
			if payload["iss"] == l.other.URL() && strings.Contains(fmt.Sprint(payload["aud"]), otherAudience) {
				payload["iss"], payload["aud"] = l.issuer.URL(), audience
			}
		},
	}), "key/of-trusted-1 issuer/trusted-1-by-this-key"},
	{"which issuer an audience is for, in tokens of the first", audienceWhere(func(have string) bool { return have == otherAudience }), "audience/of-trusted-1"},
	{"which issuer an audience is for, in tokens of the second", overlook(reading{
		trusted: func(l lab, s sent, header object) bool {
			payload, err := looseParse(s.payload)
			return err == nil && payload["aud"] == audience && l.ofOther(s) && signedByOther(l, s, header)
		},
		forgive: func(l lab, header, payload object) { header["kid"], payload["iss"] = l.kid(), l.issuer.URL() },
	}), "audience/trusted-1-for-this"},
	{"that several issuers are trusted", func(l lab, next http.Handler) http.Handler {
		return insist(func(_ *http.Request, _, payload object) bool { return payload["iss"] == l.issuer.URL() })(l, next)
	}, "good/trusted-1"},

	// Audiences.
	{"the audience", forgive(func(_ lab, _, payload object) { payload["aud"] = audience }), "payload/name-in-other-case audience/* !audience/trusted-1-for-this kind/ID-Token-bare"},
	{"that there is an audience", forgive(func(_ lab, _, payload object) {
		if list, is := payload["aud"].([]any); payload["aud"] == nil || is && len(list) == 0 {
			payload["aud"] = audience
		}
	}), "payload/name-in-other-case audience/missing audience/empty audience/null"},
	{"where the audience ends", audienceWhere(func(have string) bool { return strings.HasPrefix(have, audience) }), "audience/longer audience/slash"},
	{"where the audience begins", audienceWhere(func(have string) bool { return !strings.ContainsAny(have, " ,") && strings.HasSuffix(have, audience) }), "audience/ending-like-it"},
	{"that a comma separates nothing", audienceWhere(func(have string) bool { return slices.Contains(strings.Split(have, ","), audience) }), "audience/comma-list"},
	{"that an empty audience is none", audienceWhere(func(have string) bool { return have == "" }), "audience/empty-string"},
	{"that an empty audience in an array is none", forgive(func(_ lab, _, payload object) {
		if fmt.Sprint(payload["aud"]) == "[]" {
			payload["aud"] = audience
		}
	}), "audience/empty-string-in-it"},
	{"the type of the audience", forgive(func(_ lab, _, payload object) {
		if names, is := payload["aud"].(object); is && names[audience] != nil {
			payload["aud"] = audience
		}
	}), "audience/object"},
	{"all of the audience", audienceWhere(func(have string) bool { return have != "" && strings.HasPrefix(audience, have) }), "audience/shorter"},
	{"the slash of the audience", audienceWhere(func(have string) bool { return have != audience && strings.TrimRight(have, "/") == audience }), "audience/slash"},
	{"the case of the audience", audienceWhere(func(have string) bool { return strings.EqualFold(have, audience) }), "audience/in-other-case"},
	{"that one string is one audience", audienceWhere(func(have string) bool { return slices.Contains(strings.Fields(have), audience) }), "audience/list"},
	{"that * is no audience", audienceWhere(func(have string) bool { return have == "*" }), "audience/wildcard"},
	{"that an audience is no client", audienceWhere(func(have string) bool { return have == authtest.DefaultClientID }), "audience/client kind/ID-Token-bare"},
	{"that an audience is not the issuer", audienceWhere(func(have string) bool { return strings.HasPrefix(have, "https://issuer-") }), "audience/issuer"},
	{"the types of audiences", forgive(func(_ lab, _, payload object) {
		if list, is := payload["aud"].([]any); is {
			payload["aud"] = slices.DeleteFunc(list, func(value any) bool { _, is := value.(string); return !is })
		}
	}), "audience/number-in-it"},
	{"how deep audiences are", forgive(func(_ lab, _, payload object) {
		if strings.Contains(fmt.Sprint(payload["aud"]), "[["+audience) {
			payload["aud"] = audience
		}
	}), "audience/nested"},

	// Times.
	{"the expiry", forgive(func(_ lab, _, payload object) { payload["exp"] = in(time.Hour) }), "time/* !time/not-before* !time/issued-*"},
	{"the expiry, within an hour", forgive(func(_ lab, _, payload object) {
		if exp := number(payload["exp"]); exp > float64(in(-time.Hour)) && exp < float64(in(0)) {
			payload["exp"] = in(time.Hour)
		}
	}), "time/expired-beyond-any-leeway"},
	{"that there is an expiry", forgive(func(_ lab, _, payload object) {
		if payload["exp"] == nil {
			payload["exp"] = in(time.Hour)
		}
	}), "time/without-expiry time/expiry-is-null"},
	{"that 0 is long ago", forgive(func(_ lab, _, payload object) {
		if payload["exp"] == json.Number("0") {
			payload["exp"] = in(time.Hour)
		}
	}), "time/expiry-is-zero"},
	{"that less than 0 is long ago", forgive(func(_ lab, _, payload object) {
		if number(payload["exp"]) < 0 {
			payload["exp"] = in(time.Hour)
		}
	}), "time/expiry-is-negative"},
	{"that an expiry is a date", forgive(func(_ lab, _, payload object) {
		switch payload["exp"].(type) {
		case bool, []any, object:
			payload["exp"] = in(time.Hour)
		}
	}), "time/expiry-is-true time/expiry-is-an-array time/expiry-is-an-object"},
	{"the type of dates", forgive(func(_ lab, _, payload object) {
		for _, name := range []string{"exp", "nbf"} {
			if _, is := payload[name].(string); is {
				payload[name] = in(time.Hour)
				if name == "nbf" {
					payload[name] = in(0)
				}
			}
		}
	}), "time/expiry-is-a-string time/not-before-is-a-string"},
	{"how far off the expiry is", forgive(func(_ lab, _, payload object) {
		if number(payload["exp"]) > float64(in(100*365*24*time.Hour)) {
			payload["exp"] = in(time.Hour)
		}
	}), "time/expiry-in-milliseconds"},
	{"when the token begins", forgive(func(_ lab, _, payload object) { delete(payload, "nbf") }), "time/not-before*"},
	{"when the token was issued", forgive(func(_ lab, _, payload object) { payload["iat"] = in(0) }), "time/issued-*"},
	{"when the token begins and was issued, within half an hour", forgive(func(_ lab, _, payload object) {
		for _, name := range []string{"nbf", "iat"} {
			if number(payload[name]) < float64(in(30*time.Minute)) && number(payload[name]) > 0 {
				payload[name] = in(0)
			}
		}
	}), "time/not-before-beyond-any-leeway time/issued-beyond-any-leeway"},

	// Kinds.
	{"the declared type", forgive(func(_ lab, header, _ object) { header["typ"] = "at+jwt" }), "kind/made-up kind/dpop-proof kind/ID-Token-OpenID-for-the-API kind/ID-Token-Auth0-for-the-API kind/ID-Token-Entra-ID-v1-for-the-API kind/ID-Token-Entra-ID-v2-for-the-API"},
	{"declared types that are new", forgive(func(_ lab, header, _ object) {
		typ, _ := header["typ"].(string)
		if !slices.Contains([]string{"logout+jwt", "secevent+jwt", "dpop+jwt"}, strings.ToLower(typ)) {
			header["typ"] = "JWT"
		}
	}), "kind/made-up"},
	{"events", forgive(func(_ lab, _, payload object) { delete(payload, "events") }), "kind/logout-token-undeclared"},
	{"the declared type and events", forgive(func(_ lab, header, payload object) {
		header["typ"] = "at+jwt"
		delete(payload, "events")
	}), "kind/made-up kind/logout-token kind/logout-token-undeclared kind/security-event kind/dpop-proof kind/ID-Token-OpenID-for-the-API kind/ID-Token-Auth0-for-the-API kind/ID-Token-Entra-ID-v1-for-the-API kind/ID-Token-Entra-ID-v2-for-the-API"},
	{"the type that Keycloak declares", forgive(func(_ lab, _, payload object) { delete(payload, "typ") }), "kind/refresh-token"},
	{"the use that Cognito declares", forgive(func(_ lab, _, payload object) { delete(payload, "token_use") }), "kind/token-use"},
	{"that an ID Token is none", forgive(asAccessToken), "kind/ID-Token-OpenID-for-the-API kind/ID-Token-Auth0-for-the-API kind/ID-Token-Okta-for-the-API kind/ID-Token-Entra-ID-v1-for-the-API kind/ID-Token-Entra-ID-v2-for-the-API kind/ID-Token-Keycloak-for-the-API kind/ID-Token-Cognito-for-the-API kind/ID-Token-Google-for-the-API"},
	{"that an ID Token is none, nor for whom it is", forgive(func(l lab, header, payload object) {
		asAccessToken(l, header, payload)
		payload["aud"] = audience
	}), "payload/name-in-other-case audience/* !audience/trusted-1-for-this kind/* !kind/made-up !kind/dpop-proof !kind/logout-token-undeclared !kind/logout-token !kind/security-event !kind/refresh-token !kind/token-use"},

	// Bindings.
	{"cnf", forgive(func(_ lab, _, payload object) { delete(payload, "cnf") }), "binding/*"},
	{"cnf without jkt", forgive(func(_ lab, _, payload object) {
		if cnf, _ := payload["cnf"].(object); cnf["jkt"] == nil {
			delete(payload, "cnf")
		}
	}), "binding/certificate binding/null binding/unknown"},
	{"that null is no binding", forgive(func(_ lab, _, payload object) {
		if value, has := payload["cnf"]; has && value == nil {
			delete(payload, "cnf")
		}
	}), "binding/null"},

	// Scopes.
	{"the scope", forgive(func(_ lab, _, payload object) { payload["scope"] = "read:patients write:patients" }), "scope/*"},
	{"where a scope ends", scopeWhere(strings.HasPrefix), "scope/longer"},
	{"where a scope begins", scopeWhere(strings.HasSuffix), "scope/ending-like-it"},
	{"all of a scope", scopeWhere(func(have, needed string) bool { return strings.HasPrefix(needed, have) }), "scope/shorter"},
	{"the case of scopes", scopeWhere(strings.EqualFold), "scope/in-other-case"},
	{"that * is no scope", scopeWhere(func(have, _ string) bool { return have == "*" }), "scope/wildcard"},
	{"that all scopes are needed: the first is enough", enough(func(have []string) bool { return slices.Contains(have, "read:patients") }), "scope/without-2"},
	{"that all scopes are needed: the last is enough", enough(func(have []string) bool { return slices.Contains(have, "write:patients") }), "scope/all-but-one scope/without-1"},
	{"that all scopes are needed: any is enough", enough(func(have []string) bool {
		return slices.Contains(have, "read:patients") || slices.Contains(have, "write:patients")
	}), "scope/all-but-one scope/without-1 scope/without-2"},
	{"that all scopes are needed: as many are enough", enough(func(have []string) bool {
		return len(slices.DeleteFunc(have, func(one string) bool { return !strings.HasSuffix(one, ":patients") })) == 2
	}), "scope/ending-like-it scope/all-but-one"},
	{"that line breaks separate nothing", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].(string); is {
			payload["scope"] = strings.ReplaceAll(list, "\n", " ")
		}
	}), "scope/line-breaks"},
	{"that commas separate nothing", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].(string); is {
			payload["scope"] = strings.ReplaceAll(list, ",", " ")
		}
	}), "scope/commas"},
	{"that tabs separate nothing", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].(string); is {
			payload["scope"] = strings.ReplaceAll(list, "\t", " ")
		}
	}), "scope/tabs"},
	{"what separates scopes", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].(string); is {
			payload["scope"] = strings.Join(strings.Fields(list), " ")
		}
	}), "scope/line-breaks scope/tabs"},
	{"that an element is one scope", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].([]any); is && len(list) == 1 {
			payload["scope"] = list[0]
		}
	}), "scope/space-in-an-element scope/nested"},
	{"the type of scope", forgive(func(_ lab, _, payload object) {
		if granted, is := payload["scope"].(object); is {
			payload["scope"] = slices.Sorted(maps.Keys(granted))
		}
	}), "scope/object"},
	{"how deep scopes are", forgive(func(_ lab, _, payload object) {
		if list, is := payload["scope"].([]any); is && len(list) == 1 {
			if nested, is := list[0].([]any); is {
				payload["scope"] = nested
			}
		}
	}), "scope/nested"},
	{"which claims have scopes", forgive(func(_ lab, _, payload object) {
		if roles, has := payload["roles"]; has {
			payload["scope"] = roles
		}
	}), "scope/in-other-claims"},

	// Answers.
	{"that an outage is nobody's fault", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code == http.StatusServiceUnavailable {
			answer.Code = http.StatusUnauthorized
			answer.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		}
	}), "outage/*"},
	{"that an outage opens nothing", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code == http.StatusServiceUnavailable {
			answer.Code = http.StatusOK
		}
	}), "outage/*"},
	{"that each answer has a status", onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		if r.Context().Err() != nil {
			answer.Code = http.StatusOK
		}
	}), "outage/client-gone"},
	{"the challenge", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) { answer.Header().Del("WWW-Authenticate") }), "*/* !outage/* !good/*"},
	{"the parameters of the challenge", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Header().Get("WWW-Authenticate") != "" {
			answer.Header().Set("WWW-Authenticate", "Bearer")
		}
	}), "*/* !outage/* !good/*"},
	{"the error code", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Header().Get("WWW-Authenticate") != "" {
			answer.Header().Set("WWW-Authenticate", `Bearer realm="api"`)
		}
	}), "*/* !credentials/* !encoding/padding-inside !encoding/padding-at-the-end !encoding/line-break !encoding/json-serialization !encoding/too-large !outage/* !good/*"},
	{"which error code it is", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Header().Get("WWW-Authenticate") != "" {
			answer.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		}
	}), "credentials/none credentials/basic credentials/dpop credentials/jwt credentials/token credentials/query credentials/query-by-other-names credentials/form credentials/cookie credentials/other-headers scope/*"},
	{"the status", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code == http.StatusUnauthorized {
			answer.Code = http.StatusForbidden
		}
	}), "credentials/* !credentials/tab !credentials/nothing-after-bearer !credentials/two-words !credentials/list !credentials/quoted !credentials/two-headers-good-first !credentials/two-headers-good-last encoding/* !encoding/padding-inside !encoding/line-break !encoding/json-serialization algorithm/* key/* header/* payload/* issuer/* audience/* time/* kind/* binding/* memory/*"},
	{"that tokens are not repeated", onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code != http.StatusOK {
			answer.Body.Reset()
			fmt.Fprintf(answer.Body, "what is wrong with %s?", r.Header.Get("Authorization"))
		}
	}), "*/* !credentials/none !credentials/query !credentials/query-by-other-names !credentials/form !credentials/cookie !credentials/other-headers !credentials/nothing-after-bearer !good/*"},
	{"that what tokens say is not repeated", onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if _, _, payload, err := (reading{}).read(token); err == nil && answer.Code != http.StatusOK {
			answer.Header().Set("X-Reason", fmt.Sprintf("%v of %v is not welcome", payload["sub"], payload["iss"]))
		}
	}), "encoding/empty-signature encoding/too-large algorithm/* key/* header/* !header/duplicate !header/duplicate-by-escape payload/name-in-other-case issuer/* audience/* time/* kind/made-up kind/logout-token kind/logout-token-undeclared kind/security-event kind/dpop-proof kind/refresh-token kind/token-use binding/* scope/* memory/other-claims memory/same-token-ID"},

	{"that a challenge names each parameter once", onChallenge(func(challenge string) string { return challenge + `, realm="again"` }), challenged},
	{"that a quote ends what is quoted", onChallenge(func(challenge string) string { return challenge + `, error_uri="https://example.com/"x"` }), challenged},
	{"which characters a challenge may have", onChallenge(func(challenge string) string { return challenge + `, error_uri="https://example.com/é"` }), challenged},
	{"which scope it is that is needed", onChallenge(func(challenge string) string {
		return strings.Replace(challenge, `scope="read:patients write:patients"`, `scope="other"`, 1)
	}), "scope/*"},
	{"that all of the scopes are needed, in the challenge", onChallenge(func(challenge string) string {
		return strings.Replace(challenge, `scope="read:patients write:patients"`, `scope="read:patients"`, 1)
	}), "scope/*"},

	// A return is missing behind the refusal.
	{"that nothing follows a refusal: not the route's answer", onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code != http.StatusOK {
			answer.Body.WriteString(`{"name":"Ada"}`)
		}
	}), "*/* !good/*"},
	{"that nothing follows a refusal: not the route's answer, also where there is an error handler", onAnswer(func(r *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code != http.StatusOK {
			answer.Body.Reset()
			answer.Body.WriteString(`no {"name":"Ada"}`)
		}
	}), "*/* !good/*"},
	{"that nothing follows a refusal: no other answer", behind(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "no patients") }), "*/* !good/*"},
	{"that nothing follows a refusal: no status", behind(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), "*/* !good/*"},
	{"that nothing follows a refusal: no change", behind(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }), "*/* !good/*"},

	// What is remembered.
	{"the signature of what is remembered", remember(func(part []string, _ object) any { return part[0] + "." + part[1] }),
		"memory/other-signature memory/same-beginning memory/same-end"},
	{"the header of what is remembered", remember(func(part []string, _ object) any { return part[1] + "." + part[2] }), "memory/other-header"},
	{"the claims of what is remembered", remember(func(part []string, _ object) any { return part[0] + "." + part[2] }), "memory/other-claims"},
	{"all but the ID of what is remembered", remember(func(_ []string, payload object) any { return payload["jti"] }), "memory/*"},
	{"all but the beginning of what is remembered", remember(func(part []string, _ object) any { return part[0] + "." + part[1] + "." + part[2][:64] }), "memory/same-beginning"},
	{"all but the end of what is remembered", remember(func(part []string, _ object) any { return part[0] + "." + part[1] + "." + part[2][20:] }), "memory/same-end"},

	// Honest clients.
	{"that good tokens come after bad ones", func(l lab, next http.Handler) http.Handler {
		bad := 0
		return onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
			switch {
			case answer.Code == http.StatusUnauthorized:
				bad++
			case answer.Code == http.StatusOK && bad > 100:
				answer.Code = http.StatusUnauthorized
			}
		})(l, next)
	}, "good/after-the-attacks"},
	{"that it is to let anybody in", onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if answer.Code == http.StatusOK {
			answer.Code = http.StatusUnauthorized
		}
	}), "good/*"},
	{"that schemes have no case", insist(func(r *http.Request, _, _ object) bool {
		return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
	}), "good/scheme-in-lower-case"},
	{"that there may be several audiences", insist(func(_ *http.Request, _, payload object) bool {
		_, several := payload["aud"].([]any)
		return !several
	}), "good/audience-among-others"},
	{"that application/ may be there", insist(func(_ *http.Request, header, _ object) bool {
		typ, _ := header["typ"].(string)
		return !strings.HasPrefix(typ, "application/")
	}), "good/type-as-media-type"},
	{"that types have no case", insist(func(_ *http.Request, header, _ object) bool {
		typ, _ := header["typ"].(string)
		return typ == "JWT" || strings.ToLower(typ) == typ
	}), "good/type-in-upper-case"},
	{"that dates have fractions", insist(func(_ *http.Request, _, payload object) bool {
		return !strings.Contains(fmt.Sprint(payload["exp"]), ".")
	}), "good/fraction-of-a-second"},
	{"that claims may be unknown", insist(func(_ *http.Request, _, payload object) bool { return payload["https://example.com/claim"] == nil }), "good/unknown-names"},
	{"that scopes may be more", insist(func(_ *http.Request, _, payload object) bool {
		list, _ := payload["scope"].(string)
		return !strings.Contains(list, "openid")
	}), "good/scopes-among-others"},
	{"that scopes may be in an array", insist(func(_ *http.Request, _, payload object) bool {
		_, scope := payload["scope"].([]any)
		_, scp := payload["scp"].([]any)
		return !scope && !scp
	}), "good/scopes-in-an-array good/Okta"},
	{"that types may be undeclared", insist(func(_ *http.Request, header, _ object) bool { return header["typ"] != nil }), "good/Okta good/Cognito"},
	{"that tokens may be other than RFC 9068 has them", insist(func(_ *http.Request, _, payload object) bool {
		return payload["client_id"] != nil && payload["jti"] != nil
	}), "good/Auth0 good/Okta good/Entra-ID-v1 good/Entra-ID-v2 good/Keycloak"},
	{"that access tokens may speak of a user", insist(func(_ *http.Request, _, payload object) bool { return payload["name"] == nil }), "good/Entra-ID-v1 good/Entra-ID-v2 good/Keycloak"},
	{"that keys change", func(l lab, next http.Handler) http.Handler {
		first := ""
		return insist(func(_ *http.Request, header, _ object) bool {
			kid, _ := header["kid"].(string)
			if first == "" {
				first = kid
			}
			return kid == first
		})(l, next)
	}, "good/trusted-1 good/new-key"},
	{"that an outage may last", func(l lab, next http.Handler) http.Handler {
		return insist(func(*http.Request, object, object) bool { return len(l.keySet()) > 0 })(l, next)
	}, "good/in-an-outage"},
	{"that a key set may have odd keys", func(l lab, next http.Handler) http.Handler {
		return insist(func(*http.Request, object, object) bool {
			return !slices.ContainsFunc(l.keySet(), func(raw object) bool { return raw["kty"] == "future" })
		})(l, next)
	}, "good/* !good/in-an-outage"},
}

// withGood returns a middleware that puts a good token on some requests.
func withGood(where func(*http.Request) bool) func(lab, http.Handler) http.Handler {
	return func(l lab, next http.Handler) http.Handler {
		return onRequest(func(r *http.Request) {
			if where(r) {
				l.issuer.Authorize(r, authtest.Scope("read:patients", "write:patients"), authtest.Algorithm(l.algorithm))
			}
		})(l, next)
	}
}

// challenged has the attacks that are answered with a challenge.
const challenged = "*/* !outage/* !good/*"

// onChallenge returns a middleware that changes challenges.
func onChallenge(change func(string) string) func(lab, http.Handler) http.Handler {
	return onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
		if challenge := answer.Header().Get("WWW-Authenticate"); challenge != "" {
			answer.Header().Set("WWW-Authenticate", change(challenge))
		}
	})
}

// behind returns a middleware that has something happen behind a refusal.
func behind(happens http.HandlerFunc) func(lab, http.Handler) http.Handler {
	return func(_ lab, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refused := false
			ctx := middleware.ContextWithObserver(r.Context(), func(_ context.Context, d middleware.Decision) { refused = d.Refusal != nil })
			next.ServeHTTP(w, r.WithContext(ctx))
			if refused {
				happens(w, r)
			}
		})
	}
}

// remember returns a middleware that lets in what has the same in it as a token that
// was let in before.
func remember(of func(part []string, payload object) any) func(lab, http.Handler) http.Handler {
	return func(l lab, next http.Handler) http.Handler {
		good := map[any]bool{}
		about := func(r *http.Request) any {
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			s, _, payload, err := (reading{}).read(token)
			if err != nil || payload["jti"] == nil || len(s.parts[2]) < 86 {
				return nil
			}
			return of(s.parts, payload)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := about(r)
			if key != nil && good[key] {
				l.issuer.Authorize(r, authtest.Scope("read:patients", "write:patients"), authtest.Algorithm(l.algorithm))
			}
			onAnswer(func(_ *http.Request, answer *httptest.ResponseRecorder) {
				if key != nil && answer.Code == http.StatusOK {
					good[key] = true
				}
			})(l, next).ServeHTTP(w, r)
		})
	}
}

// enough returns a middleware for which some scopes are all.
func enough(are func(have []string) bool) func(lab, http.Handler) http.Handler {
	return forgive(func(_ lab, _, payload object) {
		if list, _ := payload["scope"].(string); are(strings.Split(list, " ")) {
			payload["scope"] = "read:patients write:patients"
		}
	})
}

// audienceWhere returns a middleware that takes more audiences for this API's.
func audienceWhere(ours func(have string) bool) func(lab, http.Handler) http.Handler {
	return forgive(func(_ lab, _, payload object) {
		if have, is := payload["aud"].(string); is && ours(have) {
			payload["aud"] = audience
		}
	})
}

// scopeWhere returns a middleware that takes more scopes for those that are needed.
func scopeWhere(grants func(have, needed string) bool) func(lab, http.Handler) http.Handler {
	return forgive(func(_ lab, _, payload object) {
		list, _ := payload["scope"].(string)
		have := strings.Split(list, " ")
		for _, needed := range []string{"read:patients", "write:patients"} {
			if slices.ContainsFunc(have, func(have string) bool { return have != "" && grants(have, needed) }) {
				list += " " + needed
			}
		}
		if list != "" {
			payload["scope"] = list
		}
	})
}

// asAccessToken takes away what tells an ID Token from an access token.
func asAccessToken(_ lab, _, payload object) {
	delete(payload, "nonce")
	delete(payload, "at_hash")
	if payload["typ"] == "ID" {
		delete(payload, "typ")
	}
	if payload["token_use"] == "id" {
		delete(payload, "token_use")
	}
	payload["client_id"] = "client-1"
}

// firstOfTwo takes the first of two members of a name.
func firstOfTwo(text string) (object, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if _, err := decoder.Token(); err != nil || !json.Valid([]byte(text)) {
		return nil, io.ErrUnexpectedEOF
	}
	members := object{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if _, has := members[name.(string)]; !has {
			members[name.(string)] = value
		}
	}
	return looseUTF8(jsonOf(members))
}

// looseUTF8 reads JSON that is UTF-8, and takes the last of two members of a name.
func looseUTF8(text string) (object, error) {
	if strings.ToValidUTF8(text, "?") != text {
		return nil, io.ErrUnexpectedEOF
	}
	return looseParse(text)
}

func fromPEM(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	return block.Bytes
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func number(value any) float64 {
	n, _ := value.(json.Number)
	f, _ := n.Float64()
	return f
}

// otherAudience is what the tokens of the lab's other issuer are for.
const otherAudience = "https://labs.example/results-api"

// needsBoth is a route that takes a body and needs two scopes, of tokens of two
// issuers, so that no attack is left out.
func needsBoth(l lab, method string, wrap func(lab, http.Handler) http.Handler) authtest.Target {
	return authtest.Target{
		Handler: func(v middleware.Validator) http.Handler {
			route := middleware.New(v).RequireScope("read:patients", "write:patients")
			return wrap(l, route(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
			})))
		},
		Request:  httptest.NewRequest(method, "/patients?dry=1", strings.NewReader(`{"name":"Ada"}`)),
		Audience: audience,
		Scope:    []string{"read:patients", "write:patients"},
		Config:   claims.Config{Algorithms: []string{l.algorithm}},
		Issuers: []authtest.TrustedIssuer{{
			Issuer: l.other, Audience: otherAudience, Config: claims.Config{Algorithms: []string{l.algorithm}},
		}},
	}
}

// failed returns the names of the attacks that an API does not stand, and of all
// that were made.
func failed(t *testing.T, issuer *authtest.Issuer, target authtest.Target) (failed, all []string) {
	t.Helper()
	for _, outcome := range issuer.Outcomes(t, target) {
		if outcome.Skipped == "" {
			all = append(all, outcome.Name)
		}
		if outcome.Failure != "" {
			failed = append(failed, outcome.Name)
		}
	}
	return failed, all
}

// matching returns the names that the patterns mean.
func matching(t *testing.T, patterns string, names []string) []string {
	t.Helper()
	var found []string
	for _, name := range names {
		meant := false
		for _, pattern := range strings.Fields(patterns) {
			pattern, out := strings.CutPrefix(pattern, "!")
			matches, err := path.Match(pattern, name)
			require.NoError(t, err)
			meant = meant && !matches || matches && !out
		}
		if meant {
			found = append(found, name)
		}
	}
	return found
}

// Each missing check is noticed, by the attacks that are about it; and each attack
// notices something, so that none is there for show.
func TestEachMissingCheckIsNoticed(t *testing.T) {
	useful := map[string]bool{}
	every := map[string]bool{}
	for _, table := range []struct {
		algorithm, method string
		mutations         []mutation
	}{
		{"ES256", "POST", mutations}, // which costs far less than RSA
		{"ES256", "GET", mutationsOfGET},
		{"RS256", "POST", mutationsOfRSA},
	} {
		for _, m := range table.mutations {
			t.Run(m.missing, func(t *testing.T) {
				l := newLab(t, table.algorithm)
				noticed, all := failed(t, l.issuer, needsBoth(l, table.method, m.wrap))
				for _, name := range all {
					every[name] = true
				}
				for _, name := range noticed {
					useful[name] = true
				}
				require.NotEmpty(t, noticed)
				require.Equal(t, matching(t, m.caught, all), noticed)
			})
		}
	}
	for name := range every {
		require.True(t, useful[name], "%s notices nothing", name)
	}
	t.Logf("%d APIs that miss a check, %d attacks", len(mutations)+len(mutationsOfGET)+len(mutationsOfRSA), len(every))
}

// What is caught is the missing check, and not the test's own way of missing it.
func TestNoAttackSucceedsOnACorrectAPI(t *testing.T) {
	nothing := overlook(reading{})
	for _, algorithm := range []string{"ES256", "RS256"} {
		l := newLab(t, algorithm)
		noticed, all := failed(t, l.issuer, needsBoth(l, "POST", nothing))
		require.Empty(t, noticed)
		require.Greater(t, len(all), 190)
	}
}
