package authtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/jwks"
)

// options returns those of a good token of the target, and further ones.
func (s *suite) options(further []TokenOption) []TokenOption {
	return slices.Concat([]TokenOption{
		Algorithm(s.algorithms[0]), Audience(s.target.Audience), s.scope(s.target.Scope...),
	}, s.target.Token, further)
}

// hostile returns the same, of a token with texts of the attacker's.
func (s *suite) hostile(further []TokenOption) []TokenOption {
	return append([]TokenOption{Subject(attacker)}, s.options(further)...)
}

// optionsOf returns those of a good token of another trusted issuer.
func (s *suite) optionsOf(also trusted) []TokenOption {
	return slices.Concat([]TokenOption{
		Algorithm(also.algorithms[0]), Audience(also.Audience), s.scopeIn(also.scopeClaims, s.target.Scope),
	}, also.Token)
}

// scope sets scopes in a claim that the target looks at.
func (s *suite) scope(scopes ...string) TokenOption { return s.scopeIn(s.scopeClaims, scopes) }

// scopeIn sets scopes in one of these claims.
func (s *suite) scopeIn(claims, scopes []string) TokenOption {
	return TokenOption{apply: func(d *draft) {
		if len(s.target.Scope) == 0 {
			return
		}
		name, value := d.shape.scope(scopes)
		if !slices.Contains(claims, name) {
			name, value = claims[0], scopes
		}
		d.Claims[name] = value
	}}
}

// scopeClaim sets the claim that has the scopes to any value.
func (s *suite) scopeClaim(value any) TokenOption {
	return TokenOption{apply: func(d *draft) {
		name, _ := d.shape.scope(nil)
		if !slices.Contains(s.scopeClaims, name) {
			name = s.scopeClaims[0]
		}
		d.Claims[name] = value
	}}
}

// token returns a good token, except for what the options say.
func (s *suite) token(options ...TokenOption) string {
	return s.issuer.Token(s.options(options)...)
}

// texts returns the header and the payload of such a token, with texts of the
// attacker's.
func (s *suite) texts(options ...TokenOption) (header, payload string) {
	header, payload, err := s.issuer.accessToken(s.hostile(options)).Texts(s.key)
	if err != nil {
		s.fail("authtest: %v", err)
	}
	return header, payload
}

// bearer sends a token as RFC 6750 §2.1 has it.
func bearer(token func() string) func(*http.Request) string {
	return func(r *http.Request) string {
		t := token()
		r.Header.Set("Authorization", "Bearer "+t)
		return t
	}
}

// good is a token that must be let in.
func (s *suite) good(name, sent, why string, options ...TokenOption) attack {
	return attack{name: name, sent: sent, why: why, want: letIn,
		send: bearer(func() string { return s.token(options...) })}
}

// lie is a token that the issuer has signed, with something wrong in it.
func (s *suite) lie(name, sent, why string, options ...TokenOption) attack {
	return attack{name: name, sent: sent, why: why, want: refused,
		send: bearer(func() string { return s.issuer.Token(s.hostile(options)...) })}
}

// forge is a token that no issuer makes.
func (s *suite) forge(name, sent, why string, token func() string) attack {
	return attack{name: name, sent: sent, why: why, want: refused, send: bearer(token)}
}

// edited is a token that the issuer has signed, whose texts were changed before.
func (s *suite) edited(name, sent, why string, edit func(header, payload string) (string, string), options ...TokenOption) attack {
	return s.forge(name, sent, why, func() string {
		header, payload := edit(s.texts(options...))
		return seal(s.key, encode(header), encode(payload))
	})
}

// unless leaves an attack out where it makes no sense.
func (a attack) unless(condition bool, reason string) attack {
	if condition && a.skip == "" {
		a.skip = reason
	}
	return a
}

// as has an attack answered otherwise.
func (a attack) as(w want) attack {
	a.want = w
	return a
}

func (s *suite) goodTokens() []attack {
	const honest = "an honest client would be turned away"
	all := []attack{
		s.good("good/access-token", "a good access token", honest+"; and a route that refuses everything is not guarded, but broken"),
		{name: "good/scheme-in-lower-case", sent: "a good access token after bearer", want: letIn,
			why: honest + ": the scheme's case does not matter (RFC 9110 §11.1)",
			send: func(r *http.Request) string {
				token := s.token()
				r.Header.Set("Authorization", "bearer "+token)
				return token
			}},
		s.good("good/audience-among-others", "a token for this API and another one",
			honest+": aud may be an array (RFC 7519 §4.1.3)", Audience("https://other.example/", s.target.Audience)),
		s.good("good/type-as-media-type", "a token with the typ application/at+jwt",
			honest+": it is the same as at+jwt (RFC 9068 §2.1)", Type("application/at+jwt")),
		s.good("good/type-in-upper-case", "a token with the typ AT+JWT",
			honest+": media types have no case (RFC 7515 §4.1.9)", Type("AT+JWT")),
		s.good("good/fraction-of-a-second", "a token whose exp has a fraction", honest+": a NumericDate may have one (RFC 7519 §2)",
			Claim("exp", float64(time.Now().Add(time.Hour).Unix())+0.5)),
		s.good("good/unknown-names", "a token with claims and headers that nobody knows",
			honest+": they are ignored (RFC 7519 §4, RFC 7515 §4)", Claim("https://example.com/claim", members{"a": 1}), Header("x", "y")),
		s.good("good/scopes-among-others", "a token with more scopes than the route needs", honest,
			s.scope(append([]string{"openid"}, s.target.Scope...)...)).unless(len(s.target.Scope) == 0, "the route needs no scope"),
		s.good("good/scopes-in-an-array", "a token whose scopes are in an array", honest+": authorization servers differ in that",
			s.scopeClaim(s.target.Scope)).unless(len(s.target.Scope) == 0, "the route needs no scope"),
	}
	for n, alias := range s.target.Config.AudienceAliases {
		all = append(all, s.good(fmt.Sprintf("good/alias-%d", n+1), "a token for the API's alias "+alias, honest, Audience(alias)))
	}
	for n, also := range s.trusted {
		all = append(all, attack{name: fmt.Sprintf("good/trusted-%d", n+1), sent: "a good token of " + also.Issuer.URL() + ", which is trusted too",
			why: honest + "; where the route is not for tokens of this issuer, Except says so", want: letIn,
			send: bearer(func() string { return also.Issuer.Token(s.optionsOf(also)...) })})
	}
	// Scopes tell some of these from ID Tokens, so that there are some in any case.
	granted := s.scope(s.target.Scope...)
	if len(s.target.Scope) == 0 {
		granted = Scope("openid")
	}
	for _, shape := range []Shape{Auth0, Okta, EntraIDv1, EntraIDv2, Keycloak, Cognito} {
		name, _ := shape.scope(nil)
		all = append(all, s.good("good/"+shape.slug(), "an access token like those of "+shape.String(), honest, Like(shape), granted).
			unless(s.target.Config.Profile == claims.RFC9068, "Target.Config.Profile is RFC9068").
			unless(len(s.target.Scope) > 0 && !slices.Contains(s.scopeClaims, name), "the scopes are in "+name+", which Target.Config.ScopeClaims does not have"))
	}
	return all
}

// slug returns the name for a subtest.
func (s Shape) slug() string { return strings.ReplaceAll(s.String(), " ", "-") }

// credentials are ways to send a good token that are none (RFC 6750 §2).
func (s *suite) credentials() []attack {
	header := func(values ...string) func(*http.Request) string {
		return func(r *http.Request) string {
			token := s.token()
			for _, value := range values {
				r.Header.Add("Authorization", strings.ReplaceAll(value, "<token>", token))
			}
			return token
		}
	}
	bad := "Bearer " + attacker
	const (
		unheard = "whoever sends nothing would be let in"
		scheme  = "a scheme is what says how credentials are to be checked: no other one is this one (RFC 9110 §11.4)"
		syntax  = "what one program reads there and another one skips is how requests are smuggled past a guard (RFC 6750 §2.1)"
		two     = "the guard would check one of the two, and the handler or a proxy use the other (RFC 6750 §2)"
		places  = "tokens in other places leak into logs and histories, or are sent by a browser that somebody else has led there (RFC 6750 §2, §5.3): an API that takes them says so, by Except"
	)
	form := func(headers http.Header) func(*http.Request) string {
		return func(r *http.Request) string {
			token := s.token()
			for name, values := range headers {
				r.Header[name] = values
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			s.setBody(r, []byte(url.Values{"access_token": {token}}.Encode()))
			return token
		}
	}
	query := func(headers http.Header, names ...string) func(*http.Request) string {
		return func(r *http.Request) string {
			token := s.token()
			for name, values := range headers {
				r.Header[name] = values
			}
			values := r.URL.Query()
			for _, name := range names {
				values.Set(name, token)
			}
			r.URL.RawQuery = values.Encode()
			r.RequestURI = r.URL.RequestURI()
			return token
		}
	}
	bodiless := !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, s.target.Request.Method)
	const noBody = "a form is no credential for this method (RFC 6750 §2.2)"
	withBad := http.Header{"Authorization": {bad}}
	return []attack{
		{name: "credentials/none", sent: "no credentials", why: unheard, want: anonymous, send: func(*http.Request) string { return "" }},
		{name: "credentials/basic", sent: "a good token after Basic", why: scheme, want: anonymous, send: header("Basic <token>")},
		{name: "credentials/dpop", sent: "a good token after DPoP, without a proof", why: scheme + ", and DPoP wants a proof (RFC 9449 §7.1)", want: anonymous, send: header("DPoP <token>")},
		{name: "credentials/jwt", sent: "a good token after JWT", why: scheme, want: anonymous, send: header("JWT <token>")},
		{name: "credentials/token", sent: "a good token after Token", why: scheme, want: anonymous, send: header("Token <token>")},
		attack{name: "credentials/none-in-HEAD", sent: "no credentials, and HEAD for GET", why: "HEAD is answered as GET is: it tells whether something is there, and runs the handler (RFC 9110 §9.3.2)", want: unserved,
			send: func(r *http.Request) string { r.Method = http.MethodHead; return "" }}.unless(s.target.Request.Method != http.MethodGet, "the request is no GET"),
		{name: "credentials/no-scheme", sent: "a good token without Bearer before it", why: syntax, want: rejected, send: header("<token>")},
		{name: "credentials/no-space", sent: "a good token and Bearer in one word", why: syntax, want: rejected, send: header("Bearer<token>")},
		{name: "credentials/tab", sent: "a good token after Bearer and a tab", why: syntax, want: rejected, send: header("Bearer\t<token>")},
		{name: "credentials/nothing-after-bearer", sent: "Bearer and nothing behind it", why: unheard, want: rejected,
			send: func(r *http.Request) string { r.Header.Set("Authorization", "Bearer "); return "" }},
		{name: "credentials/two-words", sent: "a good token with a word behind it", why: syntax, want: rejected, send: header("Bearer <token> " + attacker)},
		{name: "credentials/list", sent: "a good token and another one, separated by a comma", why: two, want: rejected, send: header("Bearer <token>, " + bad)},
		{name: "credentials/quoted", sent: "a good token in quotes", why: syntax, want: rejected, send: header(`Bearer "<token>"`)},
		{name: "credentials/two-headers-good-first", sent: "two Authorization headers, the good token in the first", why: two, want: rejected, send: header("Bearer <token>", bad)},
		{name: "credentials/two-headers-good-last", sent: "two Authorization headers, the good token in the last", why: two, want: rejected, send: header(bad, "Bearer <token>")},
		{name: "credentials/query", sent: "a good token in the query only", why: places, want: anonymous, send: query(nil, "access_token")},
		{name: "credentials/query-by-other-names", sent: "a good token in the query only, by other names", why: places, want: anonymous,
			send: query(nil, "token", "jwt", "auth", "bearer", "api_key")},
		{name: "credentials/query-and-bad-header", sent: "a good token in the query and a bad one in the header", why: two, want: rejected, send: query(withBad, "access_token")},
		attack{name: "credentials/form", sent: "a good token in the form only", why: places, want: anonymous, send: form(nil)}.unless(bodiless, noBody),
		attack{name: "credentials/form-and-bad-header", sent: "a good token in the form and a bad one in the header", why: two, want: rejected, send: form(withBad)}.unless(bodiless, noBody),
		{name: "credentials/cookie", sent: "a good token in cookies only", why: places, want: anonymous, send: func(r *http.Request) string {
			token := s.token()
			for _, name := range []string{"access_token", "token", "jwt", "session", "sid", "Authorization"} {
				r.AddCookie(&http.Cookie{Name: name, Value: token})
			}
			return token
		}},
		{name: "credentials/other-headers", sent: "a good token in headers of other names only", why: places, want: anonymous, send: func(r *http.Request) string {
			token := s.token()
			for _, name := range []string{"Proxy-Authorization", "X-Authorization", "X-Forwarded-Authorization", "X-Access-Token", "X-Auth-Token"} {
				r.Header.Set(name, "Bearer "+token)
			}
			r.Header.Set("X-Api-Key", token)
			return token
		}},
	}
}

// encodings are texts that a lenient decoder takes for a good token (RFC 7515 §2,
// §5.2).
func (s *suite) encodings() []attack {
	const (
		one       = "if one token has many texts, a list of revoked tokens knows only one of them (RFC 7515 §2)"
		threes    = "what is read by its first parts only can be followed by anything (RFC 7515 §5.2)"
		unread    = "nothing in it was signed"
		notJWT    = "only its issuer could say what it means"
		costs     = "decoding costs by the byte, and anybody can send bytes"
		otherForm = "it is not a JWT (RFC 7519 §3), and may have several signatures"
	)
	// odd returns the payload, with a length at which its encoding is padded.
	odd := func() (header, payload string) {
		header, payload = s.texts()
		for len(payload)%3 != 1 {
			payload += " "
		}
		return header, payload
	}
	signature := func() (input, signature string) { return cutSignature(s.token()) }
	// stray reports whether the last character of a signature has bits to spare.
	_, some := signature()
	stray := len(some)%4 != 0
	return []attack{
		s.forge("encoding/padding-inside", "a signed token whose payload is padded with =", one, func() string {
			header, payload := odd()
			return seal(s.key, encode(header), encode(payload)+"==")
		}).as(rejected),
		s.forge("encoding/padding-at-the-end", "a good token with = behind it", one, func() string {
			token := s.token()
			return token + strings.Repeat("=", -len(token[strings.LastIndexByte(token, '.')+1:])&3)
		}).as(rejected).unless(!stray, "signatures of "+s.algorithms[0]+" need no padding"),
		s.forge("encoding/line-break", "a signed token with a line break in its payload", one, func() string {
			header, payload := s.texts()
			part := encode(payload)
			return seal(s.key, encode(header), part[:8]+"\n"+part[8:])
		}).as(rejected),
		s.forge("encoding/stray-bits", "a good token whose last character has other bits where none are read", one, func() string {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			input, signature := signature()
			last := len(signature) - 1
			return input + signature[:last] + string(alphabet[strings.IndexByte(alphabet, signature[last])^1])
		}).unless(!stray, "signatures of "+s.algorithms[0]+" have no bits to spare"),
		s.forge("encoding/standard-alphabet", "a good token in the other alphabet of base64", one, func() string {
			for { // until the signature has a character that is another one there
				input, signature := signature()
				if other := strings.NewReplacer("-", "+", "_", "/").Replace(signature); other != signature {
					return input + other
				}
			}
		}),
		s.forge("encoding/four-parts", "a good token and a part more", threes, func() string { return s.token() + "." + encode(attacker) }),
		s.forge("encoding/five-parts", "a good token and two parts more, as an encrypted one has", threes, func() string {
			return s.token() + "." + encode(attacker) + "." + encode(attacker)
		}),
		s.forge("encoding/two-parts", "a token without a signature", unread, func() string {
			header, payload := s.texts()
			return encode(header) + "." + encode(payload)
		}),
		s.forge("encoding/empty-signature", "a token with an empty signature", unread, func() string {
			header, payload := s.texts()
			return encode(header) + "." + encode(payload) + "."
		}),
		s.forge("encoding/json-serialization", "a good token in the JSON serialization", otherForm, func() string {
			part := strings.Split(s.token(), ".")
			return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], part[2])
		}).as(rejected),
		s.forge("encoding/opaque", "an opaque token", notJWT, func() string { return attacker + newID() }),
		s.forge("encoding/opaque-Google", "an access token of Google, which is opaque", notJWT, opaqueToken),
		s.lie("encoding/too-large", "a good token of more than 40 KiB", costs, Claim("padding", strings.Repeat("x", 40<<10))).as(tooLarge),
	}
}

// cutSignature takes a token apart before its signature.
func cutSignature(token string) (input, signature string) {
	dot := strings.LastIndexByte(token, '.')
	return token[:dot+1], token[dot+1:]
}

// algorithmAttacks are about who chooses how a signature is checked (RFC 8725 §3.1, §3.2).
func (s *suite) algorithmAttacks() []attack {
	const (
		none   = "anybody can write a token that is not signed (RFC 8725 §3.2)"
		public = "everyone has the public key: as the secret of HMAC, it lets everyone sign (RFC 8725 §2.1)"
		choose = "a token that chooses its algorithm chooses the weakest (RFC 8725 §3.1)"
	)
	own := s.algorithms[0]
	unsigned := func(name, alg string) attack {
		return s.forge("algorithm/"+name, "an unsigned token with the alg "+alg, none, func() string {
			header, payload := s.texts(RawHeader(`{"alg":` + quote(alg) + `,"typ":"at+jwt"}`))
			return encode(header) + "." + encode(payload) + "."
		})
	}
	secret := func(name, sent string, secret func() []byte) attack {
		return s.forge("algorithm/"+name, "a token signed by HS256 with "+sent+" as the secret", public, func() string {
			header, payload := s.texts(RawHeader(`{"alg":"HS256","kid":` + quote(s.key.ID()) + `,"typ":"at+jwt"}`))
			return hs256(secret(), header, payload)
		})
	}
	inPEM, inDER, inJWK := publicForms(s.key)
	named := func(alg string) TokenOption {
		return RawHeader(`{"alg":` + quote(alg) + `,"kid":` + quote(s.key.ID()) + `,"typ":"at+jwt"}`)
	}
	hash, padding := s.siblings()
	wrongKind := "ES256"
	if strings.HasPrefix(own, "ES") {
		wrongKind = "RS256"
	}
	return []attack{
		unsigned("none", "none"),
		unsigned("none-in-other-case", "nOnE"),
		unsigned("none-with-a-space", "none "),
		unsigned("empty", ""),
		s.forge("algorithm/none-with-a-signature", "a token with the alg none and any signature", none, func() string {
			header, payload := s.texts(RawHeader(`{"alg":"none","typ":"at+jwt"}`))
			return encode(header) + "." + encode(payload) + "." + encode(attacker)
		}),
		s.lie("algorithm/missing", "a signed token without alg", choose, WithoutHeader("alg")),
		s.lie("algorithm/in-other-case", "a signed token whose alg is in another case", choose, named(otherCase(own))),
		s.forge("algorithm/another-hash", "a token that the issuer's key has signed with "+hash, choose, func() string {
			header, payload := s.texts(named(hash))
			return sealAs(s.key, hash, encode(header), encode(payload))
		}).unless(hash == "", "keys for "+own+" have no other hash that is not accepted"),
		s.forge("algorithm/another-padding", "a token that the issuer's key has signed with "+padding, choose, func() string {
			header, payload := s.texts(named(padding))
			return sealAs(s.key, padding, encode(header), encode(payload))
		}).unless(padding == "", "keys for "+own+" have no other padding that is not accepted"),
		s.forge("algorithm/renamed", "a signature of "+own+" under another name", choose, func() string {
			header, payload := s.texts(named(s.refusedAlgorithm()))
			return seal(s.key, encode(header), encode(payload))
		}).unless(s.refusedAlgorithm() == "", "all algorithms are accepted"),
		s.forge("algorithm/of-another-kind-of-key", "a token that names "+wrongKind+", with a key for "+own, choose, func() string {
			header, payload := s.texts(named(wrongKind))
			return encode(header) + "." + encode(payload) + "." + encode(strings.Repeat("x", 64))
		}),
		secret("public-key-in-PEM", "the public key in PEM", func() []byte { return inPEM }),
		secret("public-key-in-DER", "the public key in DER", func() []byte { return inDER }),
		secret("public-key-as-JWK", "the public key's JWK", func() []byte { return inJWK }),
		secret("empty-secret", "nothing", func() []byte { return nil }),
	}
}

// siblings returns algorithms that the key could sign with too and that are not
// accepted: one with another hash, and one with another padding. Only RSA keys can
// do that.
func (s *suite) siblings() (hash, padding string) {
	family := s.algorithms[0][:2]
	if family != "RS" && family != "PS" {
		return "", ""
	}
	for _, name := range jwks.Algorithms() {
		switch {
		case slices.Contains(s.algorithms, name):
		case name[:2] == family:
			hash = name
		case name[1] == 'S' && name[0] != 'E':
			padding = name
		}
	}
	return hash, padding
}

// refusedAlgorithm returns one that is not accepted, or "".
func (s *suite) refusedAlgorithm() string {
	for _, name := range []string{"RS512", "ES512", "EdDSA", "PS384", "RS384"} {
		if !slices.Contains(s.algorithms, name) {
			return name
		}
	}
	return ""
}

// keys are about whose key has signed (RFC 8725 §3.8, §3.10).
func (s *suite) keys() []attack {
	const (
		believes = "who believes a key that comes with the token, believes everyone (RFC 8725 §3.10)"
		asks     = believes + "; and an API that fetches any address can be sent anywhere (SSRF)"
		injects  = "a kid is an attacker's text: a path, a query or a URL that is made of it is theirs (RFC 8725 §3.10)"
	)
	// own signs with the attacker's key what the header says more.
	own := func(name, sent, why string, more func() string) attack {
		return s.forge("key/"+name, sent, why, func() string {
			header := `{"alg":` + quote(s.algorithms[0]) + `,"typ":"at+jwt"` + more() + `}`
			_, payload := s.texts()
			return s.mallory.sign(header, payload)
		})
	}
	kid := func() string { return `,"kid":` + quote(s.mallory.key.ID()) }
	// nameless signs with no key at all what does not say by which key it was signed.
	nameless := func(name, sent, more string) attack {
		return s.forge("key/"+name, sent, "a key that is not named is looked for, and found to be none: that is no reason to let anything in (RFC 8725 §3.3)", func() string {
			_, payload := s.texts()
			input, signature := cutSignature(s.mallory.sign(`{"alg":`+quote(s.algorithms[0])+`,"typ":"at+jwt"`+more+`}`, payload))
			return input + strings.Repeat("A", len(signature))
		})
	}
	const unnamed = "anybody can sign with a key of his own, and leave its name out (RFC 8725 §3.3)"
	secret := func(name, sent, id, secret string) attack {
		return s.forge("key/"+name, sent, injects, func() string {
			_, payload := s.texts()
			return hs256([]byte(secret), `{"alg":"HS256","kid":`+quote(id)+`,"typ":"at+jwt"}`, payload)
		})
	}
	return []attack{
		own("stranger's", "a token that a stranger has signed, with the kid of the issuer's key", "anybody can sign with a key of his own (RFC 8725 §3.3)",
			func() string { return `,"kid":` + quote(s.key.ID()) }),
		own("unknown", "a token that a stranger has signed, with a kid that nobody knows", "anybody can sign with a key of his own (RFC 8725 §3.3)", kid),
		own("without-kid", "a token that a stranger has signed, without a kid", unnamed, func() string { return "" }),
		own("kid-is-null", "a token that a stranger has signed, whose kid is null", unnamed, func() string { return `,"kid":null` }),
		own("kid-is-empty", "a token that a stranger has signed, whose kid is empty", unnamed, func() string { return `,"kid":""` }),
		nameless("without-kid-nor-signature", "a token without a kid, with zeros in the place of the signature", ""),
		nameless("kid-is-null-no-signature", "a token whose kid is null, with zeros in the place of the signature", `,"kid":null`),
		nameless("kid-is-empty-no-signature", "a token whose kid is empty, with zeros in the place of the signature", `,"kid":""`),
		own("jwk", "a token with the stranger's key in its header, as jwk", believes, func() string { return kid() + `,"jwk":` + string(s.mallory.key.JWK()) }),
		own("x5c", "a token with the stranger's certificate in its header, as x5c", believes, func() string {
			return kid() + `,"x5c":["` + standardBase64(s.mallory.certificate) + `"]`
		}),
		own("jku", "a token whose jku is a key set of the stranger's", asks, func() string { return kid() + `,"jku":` + quote(s.mallory.issuer.KeySetURL()) }),
		own("x5u", "a token whose x5u is a certificate of the stranger's", asks, func() string {
			return kid() + `,"x5u":` + quote(s.mallory.server.URL+certificatePath)
		}),
		own("kid-is-a-URL", "a token whose kid is a URL of the stranger's", injects, func() string { return `,"kid":` + quote(s.mallory.issuer.KeySetURL()) }),
		secret("kid-is-a-path", "a token whose kid leads to an empty file, signed by HMAC with that", "../../../../../../../../dev/null", ""),
		secret("kid-is-SQL", "a token whose kid is SQL that selects a secret, signed by HMAC with that", attacker+"' UNION SELECT '"+attacker, attacker),
		s.forge("key/published-secret", "a token signed by HMAC with a secret that stands in the key set", "whoever can read the key set could sign", func() string {
			_, payload := s.texts()
			return hs256([]byte(fakeissuer.PublishedSecret), `{"alg":"HS256","kid":`+quote(fakeissuer.PublishedSecretID)+`,"typ":"at+jwt"}`, payload)
		}),
		s.forge("key/for-encryption", "a token signed with a key of the issuer's that is for encryption", "a key has one use: others may have the private half of this one (RFC 7517 §4.2)", func() string {
			header, payload := s.texts(KeyID(s.hidden.ID()))
			return seal(s.hidden, encode(header), encode(payload))
		}),
		s.lie("key/kid-in-other-case", "a signed token whose kid is in another case", "a kid is compared as it is (RFC 7515 §4.1.4), or one key is found for another", KeyID(otherCase(s.key.ID()))),
		s.lie("key/kid-is-a-number", "a signed token whose kid is a number", "a header of another type is read in two ways (RFC 7515 §4.1.4)", Header("kid", 7)),
	}
}

// headers are about what the header asks for.
func (s *suite) headers() []attack {
	const (
		critical  = "who ignores what must be understood, decides about another token than the one that was signed (RFC 7515 §4.1.11)"
		ambiguous = "two programs read it in two ways, and an attacker picks the one that suits him (RFC 7515 §4)"
	)
	return []attack{
		s.lie("header/crit", "a signed token with an extension that is critical", critical, Header("crit", []string{attacker}), Header(attacker, true)),
		s.lie("header/crit-empty", "a signed token with an empty list of critical extensions", critical, Header("crit", []string{})),
		s.lie("header/b64", "a signed token that says its payload is not encoded", critical+" (RFC 7797)", Header("b64", false)),
		s.lie("header/zip", "a signed token that says it is compressed", critical+"; and what is small here may be huge there", Header("zip", "DEF")),
		s.lie("header/cty", "a signed token that says its content is another token", "the claims are those of the inner token, which nobody has checked (RFC 7519 §5.2)", Header("cty", "JWT")),
		s.edited("header/duplicate", "a signed token with two algorithms in its header", ambiguous, func(header, payload string) (string, string) {
			return before(`"alg":"none"`, header), payload
		}),
		s.edited("header/duplicate-by-escape", "a signed token with two algorithms in its header, one name of which is escaped", ambiguous, func(header, payload string) (string, string) {
			return before(`"\u0061lg":"none"`, header), payload
		}),
		s.edited("header/name-in-other-case", "a signed token with Alg in its header, and no alg", ambiguous, func(header, payload string) (string, string) {
			return strings.Replace(header, `"alg"`, `"Alg"`, 1), payload
		}),
	}
}

// payloads are claims sets that can be read in several ways (RFC 7519 §4).
func (s *suite) payloads() []attack {
	const ambiguous = "two programs read it in two ways: what one checks, the other does not use (RFC 7519 §4)"
	aud, other := `"aud":`+quote(s.target.Audience), `"aud":"https://other.example/`+attacker+`"`
	payload := func(name, sent string, edit func(payload string) string, options ...TokenOption) attack {
		return s.edited("payload/"+name, sent, ambiguous, func(header, payload string) (string, string) { return header, edit(payload) }, options...)
	}
	without := WithoutClaim("aud")
	return []attack{
		payload("duplicate-good-last", "a signed token with two audiences, the good one last", func(text string) string { return behind(before(other, text), aud) }, without),
		payload("duplicate-good-first", "a signed token with two audiences, the good one first", func(text string) string { return behind(before(aud, text), other) }, without),
		payload("duplicate-by-escape", "a signed token with two audiences, one name of which is escaped", func(text string) string {
			return behind(before(other, text), strings.Replace(aud, "a", `\u0061`, 1))
		}, without),
		payload("name-in-other-case", "a signed token with an Aud, and no aud", func(text string) string { return before(strings.Replace(aud, "aud", "Aud", 1), text) }, without),
		payload("trailing-data", "a signed token with something behind its claims", func(text string) string { return text + `{"sub":"` + attacker + `"}` }),
		payload("not-UTF-8", "a signed token with a claim that is not UTF-8", func(text string) string { return before("\"x\":\"\xff\"", text) }),
	}
}

// issuers are about who has issued a token (RFC 8725 §3.8, RFC 9068 §4).
func (s *suite) issuers() []attack {
	const (
		mixed = "one key may be that of several issuers: a tenant of a large server would be every other tenant (RFC 8725 §3.8)"
		exact = "names of issuers are compared as they are: a similar one is somebody else's (RFC 8725 §3.8)"
	)
	own := s.issuer.URL()
	return []attack{
		s.forge("issuer/stranger's", "a token of another issuer, with its own key", "anybody can be an issuer, of tokens that say anything (RFC 8725 §3.8)", func() string {
			header, payload := s.texts(IssuedBy(s.mallory.issuer.URL()), KeyID(s.mallory.key.ID()))
			return s.mallory.sign(header, payload)
		}),
		s.lie("issuer/other", "a signed token of another issuer", mixed, IssuedBy("https://"+attacker+".example/")),
		s.lie("issuer/slash", "a signed token whose issuer has a slash more or less at its end", exact, IssuedBy(otherSlash(own))),
		s.lie("issuer/longer", "a signed token whose issuer begins like the right one", exact, IssuedBy(own+attacker)),
		s.lie("issuer/ending-like-it", "a signed token whose issuer ends like the right one", exact, IssuedBy("https://"+attacker+".example/"+own)),
		s.lie("issuer/other-scheme", "a signed token whose issuer has http for https, or the other way round", exact, IssuedBy(otherScheme(own))),
		s.lie("issuer/empty", "a signed token whose issuer is empty", mixed, IssuedBy("")),
		s.lie("issuer/null", "a signed token whose issuer is null", mixed, Claim("iss", nil)),
		s.lie("issuer/in-other-case", "a signed token whose issuer is in another case", exact, IssuedBy(otherCase(own))),
		s.lie("issuer/missing", "a signed token without an issuer", mixed, WithoutClaim("iss")),
		s.lie("issuer/array", "a signed token whose issuer is an array", "a claim of another type is read in two ways (RFC 7519 §4.1.1)", Claim("iss", []string{own})),
	}
}

// audiences are about whom a token is for (RFC 8725 §3.9, RFC 9068 §4).
func (s *suite) audiences() []attack {
	const (
		other = "any API that gets a token could use it at all the others (RFC 8725 §3.9)"
		exact = "identifiers are compared as they are: a similar one is another API (RFC 7519 §7.3)"
		typed = "a claim of another type is read in two ways (RFC 7519 §4.1.3)"
	)
	own := s.target.Audience
	is := func(name, sent, why, audience string) attack {
		return s.lie("audience/"+name, sent, why, Audience(audience)).
			unless(audience == "" || isNamed(audience, own, s.target.Config), "it is a name of this API")
	}
	return []attack{
		is("other", "a signed token for another API", other, "https://other.example/"+attacker),
		is("client", "a signed token for the client", other+"; ID Tokens are for clients", s.client()),
		is("issuer", "a signed token for the issuer itself", other, s.issuer.URL()),
		is("shorter", "a signed token whose audience is the beginning of the right one", exact, own[:len(own)-1]),
		is("longer", "a signed token whose audience begins like the right one", exact, own+"-"+attacker),
		is("ending-like-it", "a signed token whose audience ends like the right one", exact, attacker+"-"+own),
		is("slash", "a signed token whose audience has a slash more or less at its end", exact, otherSlash(own)),
		is("in-other-case", "a signed token whose audience is in another case", exact, otherCase(own)),
		is("list", "a signed token with several audiences in one string", exact, "https://other.example/ "+own),
		is("comma-list", "a signed token with several audiences in one string, separated by a comma", exact, "https://other.example/,"+own),
		is("wildcard", "a signed token whose audience is *", other, "*"),
		s.lie("audience/missing", "a signed token without an audience", other, WithoutClaim("aud")),
		s.lie("audience/empty", "a signed token with an empty list of audiences", other, Audience()),
		s.lie("audience/null", "a signed token whose audience is null", other, Claim("aud", nil)),
		s.lie("audience/empty-string", "a signed token whose audience is the empty string", other, Audience("")),
		s.lie("audience/empty-string-in-it", "a signed token with an empty string as its only audience", other, Claim("aud", []string{""})),
		s.lie("audience/object", "a signed token whose audience is an object with the right one as a name", typed, Claim("aud", members{own: true})),
		s.lie("audience/number-in-it", "a signed token with a number among its audiences", typed, Claim("aud", []any{own, 7})),
		s.lie("audience/nested", "a signed token whose audiences are in an array within an array", typed, Claim("aud", []any{[]string{own}})),
	}
}

// mixUps are tokens in which two issuers that the API trusts are mixed up. Where it
// trusts one alone, there are none.
func (s *suite) mixUps() []attack {
	const (
		keys = "each issuer could make tokens of each other's users: its keys are for its own name only (RFC 8725 §3.8)"
		auds = "an audience is what one issuer calls the API: where another one has that name for another API, its tokens are for that (RFC 8725 §3.9)"
	)
	var all []attack
	for n, also := range s.trusted {
		name := fmt.Sprintf("trusted-%d", n+1)
		// hostile returns the options of a good token of the other issuer's, with a text
		// of the attacker's.
		hostile := func(further ...TokenOption) []TokenOption {
			return slices.Concat([]TokenOption{Subject(attacker)}, s.optionsOf(also), further)
		}
		all = append(all,
			s.forge("key/of-"+name, "a token of this issuer that the key of "+also.Issuer.URL()+" has signed, which is trusted too", keys, func() string {
				header, payload := s.texts(KeyID(also.stray.ID()))
				return seal(also.stray, encode(header), encode(payload))
			}),
			// For both audiences: a guard may take the audience of either issuer.
			s.forge("issuer/"+name+"-by-this-key", "a token of "+also.Issuer.URL()+", which is trusted too, that this issuer's key has signed", keys, func() string {
				return s.issuer.Token(hostile(IssuedBy(also.Issuer.URL()), Audience(also.Audience, s.target.Audience))...)
			}),
			s.lie("audience/of-"+name, "a signed token for what the tokens of "+also.Issuer.URL()+" are for, which is trusted too", auds, Audience(also.Audience)).
				unless(isNamed(also.Audience, s.target.Audience, s.target.Config), "it is a name of this API"),
			s.forge("audience/"+name+"-for-this", "a good token of "+also.Issuer.URL()+", which is trusted too, for what this issuer's tokens are for", auds, func() string {
				return also.Issuer.Token(hostile(Audience(s.target.Audience))...)
			}).unless(isNamed(s.target.Audience, also.Audience, also.Config), "it is a name of this API"),
		)
	}
	return all
}

// isNamed reports whether an API is called so by an issuer.
func isNamed(name, audience string, config claims.Config) bool {
	return name == audience || slices.Contains(config.AudienceAliases, name)
}

// times are about when a token is good (RFC 7519 §4.1.4 to §4.1.6).
func (s *suite) times() []attack {
	const (
		stolen = "a token that was stolen once would be good for ever (RFC 7519 §4.1.4)"
		early  = "the token's time has not come, or a clock is wrong (RFC 7519 §4.1.5)"
		typed  = "a date of another type is taken for none, or for ever (RFC 7519 §2)"
	)
	now := time.Now()
	return []attack{
		s.lie("time/expired", "a token that expired a day ago", stolen, Expiry(now.Add(-24*time.Hour))),
		s.lie("time/expired-beyond-any-leeway", "a token that expired 11 minutes ago", "clocks are not that wrong, so that the token's life is just longer than its issuer meant (RFC 7519 §4.1.4)", Expiry(now.Add(-11*time.Minute))),
		s.lie("time/without-expiry", "a token without exp", stolen, WithoutClaim("exp")),
		s.lie("time/expiry-is-zero", "a token whose exp is 0", stolen, Claim("exp", 0)),
		s.lie("time/expiry-is-null", "a token whose exp is null", stolen, Claim("exp", nil)),
		s.lie("time/expiry-is-a-string", "a token whose exp is a string", typed, Claim("exp", fmt.Sprint(now.Add(time.Hour).Unix()))),
		s.lie("time/expiry-is-negative", "a token whose exp is -1", stolen, Claim("exp", -1)),
		s.lie("time/expiry-is-true", "a token whose exp is true", typed, Claim("exp", true)),
		s.lie("time/expiry-is-an-array", "a token whose exp is an array", typed, Claim("exp", []int64{now.Add(time.Hour).Unix()})),
		s.lie("time/expiry-is-an-object", "a token whose exp is an object", typed, Claim("exp", members{})),
		s.lie("time/expiry-in-milliseconds", "a token whose exp is in milliseconds", "it would be good for 50,000 years (RFC 7519 §2)", Claim("exp", now.Add(time.Hour).UnixMilli())),
		s.lie("time/not-before", "a token whose nbf is in an hour", early, NotBefore(now.Add(time.Hour))),
		s.lie("time/not-before-beyond-any-leeway", "a token whose nbf is in 11 minutes", early+"; clocks are not that wrong", NotBefore(now.Add(11*time.Minute))),
		s.lie("time/not-before-is-a-string", "a token whose nbf is a string", typed, Claim("nbf", fmt.Sprint(now.Add(time.Hour).Unix()))),
		s.lie("time/issued-in-the-future", "a token whose iat is in an hour", early+": it was made up ahead", IssuedAt(now.Add(time.Hour))),
		s.lie("time/issued-beyond-any-leeway", "a token whose iat is in 11 minutes", early+": it was made up ahead, and clocks are not that wrong", IssuedAt(now.Add(11*time.Minute))),
	}
}

// kinds are tokens that the issuer signs for other purposes (RFC 8725 §3.11,
// §3.12).
func (s *suite) kinds() []attack {
	const (
		login = "an ID Token says who logged in at a client, and is sent to many: whoever has one would have the API (OpenID Connect Core §2, RFC 8725 §3.12)"
		kind  = "the issuer signs it with the same key, for another purpose (RFC 8725 §3.11, §3.12)"
	)
	all := []attack{
		s.lie("kind/made-up", "a signed token of a type that nobody knows", kind, Type(attacker+"+jwt")),
		s.lie("kind/logout-token", "a logout token", kind, Type("logout+jwt"), logoutEvent),
		s.lie("kind/logout-token-undeclared", "a logout token that does not declare its type", kind, Type("JWT"), logoutEvent),
		s.lie("kind/security-event", "a security event", kind+" (RFC 8417 §2.2)", Type("secevent+jwt"), Claim("events", members{"https://example.com/event": members{}})),
		s.lie("kind/dpop-proof", "a signed token of the type of DPoP proofs", kind+" (RFC 9449 §4.2)", Type("dpop+jwt")),
		s.lie("kind/refresh-token", "a refresh token of Keycloak", kind, Type("JWT"), Claim("typ", "Refresh")),
		s.lie("kind/token-use", "a token of Cognito that is neither an access token nor an ID Token", kind, Type("JWT"), Claim("token_use", attacker)),
		{name: "kind/ID-Token-bare", sent: "an ID Token with nothing that tells it apart, for the client", why: login, want: refused,
			send: bearer(func() string {
				return s.identity(RawPayload(fmt.Sprintf(`{"iss":%q,"sub":"ada","aud":%q,"exp":%d}`, s.issuer.URL(), s.client(), time.Now().Add(time.Hour).Unix())))
			})},
	}
	for shape := range shapes {
		shape := Shape(shape)
		who := "an ID Token like those of " + shape.String()
		if shape == RFC9068 {
			who = "an ID Token of OpenID Connect Core"
		}
		slug := shape.slug()
		if shape == RFC9068 {
			slug = "OpenID"
		}
		all = append(all,
			attack{name: "kind/ID-Token-" + slug, sent: who + ", for the client", why: login, want: refused,
				send: bearer(func() string { return s.identity(Like(shape)) })},
			attack{name: "kind/ID-Token-" + slug + "-for-the-API", sent: who + ", whose audience is the client and the API, and which has scopes", why: login, want: refused,
				send: bearer(func() string {
					return s.identity(Like(shape), Audience(s.client(), s.target.Audience), s.scope(s.target.Scope...))
				})},
		)
	}
	return all
}

var logoutEvent = Claim("events", members{"http://schemas.openid.net/event/backchannel-logout": members{}})

// identity returns an ID Token.
func (s *suite) identity(options ...TokenOption) string {
	return s.issuer.IDToken(append([]TokenOption{Algorithm(s.algorithms[0]), ClientID(s.client())}, options...)...)
}

// client returns a client that is not called as the API is.
func (s *suite) client() string {
	if slices.Contains(append(s.target.Config.AudienceAliases, s.target.Audience), DefaultClientID) {
		return "client-of-" + attacker
	}
	return DefaultClientID
}

// bindings are tokens that only the holder of a key may use (RFC 7800).
func (s *suite) bindings() []attack {
	const bound = "such a token is worth nothing to whoever steals it, unless an API takes it without a proof (RFC 9449 §7.2, RFC 8705 §3)"
	return []attack{
		s.lie("binding/dpop", "a token that is bound to a DPoP key, without a proof", bound, Claim("cnf", members{"jkt": encode(attacker)})),
		s.lie("binding/certificate", "a token that is bound to a client's certificate, without that", bound, Claim("cnf", members{"x5t#S256": encode(attacker)})),
		s.lie("binding/null", "a token whose cnf is null", "a claim of another type is read in two ways: by one program as no binding, by another as one (RFC 7800 §3.1)", Claim("cnf", nil)),
		s.lie("binding/unknown", "a token that is bound in a way that nobody knows", bound, Claim("cnf", members{attacker: true})),
	}
}

// scopes are about what a token permits (RFC 6750 §3.1, RFC 6749 §3.3).
func (s *suite) scopes() []attack {
	const (
		none   = "every client of the issuer could do what this route does (RFC 6750 §3.1)"
		exact  = "scopes are compared as they are: a similar one is another permission (RFC 6749 §3.3)"
		syntax = "what separates scopes is a space, and nothing else (RFC 6749 §3.3)"
		typed  = "a claim of another type grants nothing"
	)
	each := func(change func(string) string) []string {
		var changed []string
		for _, scope := range s.target.Scope {
			changed = append(changed, change(scope))
		}
		return changed
	}
	needed := s.target.Scope
	// One without scopes is an ID Token by all that can be seen.
	p := planOf(s.target.Token)
	bare := p.shape == EntraIDv2 && !p.machine
	const taken = "Target.Token has the shape of Entra ID v2, in which a user's token without scopes is taken for an ID Token"
	joined := func(separator string) string { return strings.Join(append([]string{"openid"}, needed...), separator) }
	is := func(name, sent, why string, options ...TokenOption) attack {
		return s.lie("scope/"+name, sent, why, options...).as(forbidden).unless(len(needed) == 0, "the route needs no scope")
	}
	granted := func(change func(string) string) TokenOption { return s.scope(each(change)...) }
	elsewhere := []TokenOption{s.scopeClaim("")}
	for _, name := range []string{"scope", "scp", "scopes", "permissions", "roles", "authorities"} {
		if !slices.Contains(s.scopeClaims, name) {
			elsewhere = append(elsewhere, Claim(name, needed))
		}
	}
	all := []attack{
		is("none", "a good token without scopes", none, withoutClaims(s.scopeClaims)).unless(bare, taken),
		is("empty", "a good token whose scope is empty", none, s.scopeClaim("")).unless(bare, taken),
		is("other", "a good token with another scope", none, s.scope(attacker, "read:"+attacker)),
		is("wildcard", "a good token with the scope *", exact, s.scope("*")).unless(slices.Contains(needed, "*"), "the route needs the scope *"),
		is("shorter", "a good token whose scope is the beginning of the right one", exact, granted(func(scope string) string { return scope[:len(scope)-1] })),
		is("longer", "a good token whose scope begins like the right one", exact, granted(func(scope string) string { return scope + "-" + attacker })),
		is("ending-like-it", "a good token whose scope ends like the right one", exact, granted(func(scope string) string { return "not-" + scope })),
		is("in-other-case", "a good token whose scope is in another case", exact, granted(otherCase)).
			unless(slices.Equal(each(otherCase), needed), "the route's scopes have no letters"),
		is("commas", "a good token whose scopes are separated by commas", syntax, s.scopeClaim(joined(","))),
		is("line-breaks", "a good token whose scopes are separated by line breaks", syntax, s.scopeClaim(joined("\n"))),
		is("tabs", "a good token whose scopes are separated by tabs", syntax, s.scopeClaim(joined("\t"))),
		is("space-in-an-element", "a good token with a space within an element of its array of scopes", syntax, s.scopeClaim([]string{joined(" ")})),
		is("object", "a good token whose scope is an object", typed, s.scopeClaim(grants(needed))),
		is("nested", "a good token whose scopes are in an array within an array", typed, s.scopeClaim([]any{needed})),
		is("in-other-claims", "a good token with the scopes in claims that this API does not look at", "what another claim means is another API's business", elsewhere...).unless(bare, taken),
	}
	if len(needed) > 1 {
		const several = "a route that needs several needs all of them"
		// As many as are needed, for who counts them.
		all = append(all, is("all-but-one", "a good token with all scopes but the first, and the last one twice", several, s.scope(append(needed[1:len(needed):len(needed)], needed[len(needed)-1])...)))
		for n, left := range needed {
			all = append(all, is(fmt.Sprintf("without-%d", n+1), "a good token with all scopes but "+left, several, s.scope(slices.Concat(needed[:n], needed[n+1:])...)))
		}
	}
	return all
}

// grants returns an object with the scopes as names.
func grants(scopes []string) members {
	object := members{}
	for _, scope := range scopes {
		object[scope] = true
	}
	return object
}

func withoutClaims(names []string) TokenOption {
	return TokenOption{apply: func(d *draft) {
		for _, name := range names {
			delete(d.Claims, name)
		}
	}}
}

// outages are good tokens that cannot be checked, since nobody knows the keys.
func (s *suite) outages() []attack {
	const fault = "a client that is told invalid_token during an outage throws a good token away, and then they all log in again at once; and a guard that lets everything in then is none"
	send := bearer(func() string { return s.token() })
	outage := func(name, sent string, begin, end func()) attack {
		return attack{name: "outage/" + name, sent: sent, why: fault, want: unavailable, send: send,
			fresh: true, before: func(http.Handler) { begin() }, after: end}
	}
	without := func(set KeySet) (begin, end func()) {
		return func() { s.issuer.SetKeySet(set) }, func() { s.issuer.SetKeySet(MixedKeySet) }
	}
	down, up := func() { s.issuer.SetDown(true) }, func() { s.issuer.SetDown(false) }
	empty, filled := without(EmptyKeySet)
	broken, repaired := without(BrokenKeySet)

	var release func()
	gone := outage("client-gone", "a good token, by a client that has gone while the issuer hangs",
		func() { release = s.issuer.Hang() }, func() { release() })
	gone.why = "a handler that returns without a status answers 200"
	gone.send = func(r *http.Request) string {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
		return send(r)
	}
	return []attack{
		outage("issuer-down", "a good token, while the issuer is down and its keys are not known", down, up),
		outage("empty-key-set", "a good token, while the issuer's key set is empty", empty, filled),
		outage("broken-key-set", "a good token, while the issuer's key set is a page of HTML", broken, repaired),
		gone,
		{name: "good/in-an-outage", sent: "a good token, while the issuer is down and its keys are known",
			why: "an outage of the issuer would be one of every API", want: letIn, send: send, fresh: true,
			before: func(api http.Handler) {
				s.warm(api)
				down()
			}, after: up},
	}
}

// warm has an API learn the issuer's keys.
func (s *suite) warm(api http.Handler) { s.admit(api, s.token()) }

// admit sends a good token. Whether it is let in is for good/access-token to say.
func (s *suite) admit(api http.Handler, token string) {
	r := s.request(context.Background())
	bearer(func() string { return token })(r)
	_, _ = serve(api, r)
}

// memories are forgeries of a token that the API has let in just before, for what it
// may remember of that (RFC 8725 §3.3).
func (s *suite) memories() []attack {
	const why = "who remembers good tokens by less than all of their bytes lets everybody in who has seen one, or guessed what is in it"
	recalled := func(name, sent string, forge func(header, payload, signature string) string) attack {
		var token string
		a := s.forge("memory/"+name, sent, why, func() string {
			part := strings.Split(token, ".")
			return forge(part[0], part[1], part[2])
		})
		a.before = func(api http.Handler) {
			token = s.token()
			s.admit(api, token)
		}
		return a
	}
	// other returns the claims with another subject, and the same ID.
	other := func(payload string) string {
		decoded, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil { // it is a token of the issuer's
			panic(err)
		}
		claims := members{}
		if err := json.Unmarshal(decoded, &claims); err != nil {
			return payload // Target.Token has a payload of its own
		}
		claims["sub"], claims["iat"] = attacker, time.Now().Add(-time.Minute).Unix()
		text, err := json.Marshal(claims)
		if err != nil {
			panic(err)
		}
		return encode(string(text))
	}
	return []attack{
		recalled("other-signature", "a token that was let in just before, with a stranger's signature", func(header, payload, _ string) string {
			return seal(s.mallory.key, header, payload)
		}),
		recalled("other-header", "a token that was let in just before, with another header", func(header, payload, signature string) string {
			return encode(`{"alg":`+quote(s.algorithms[0])+`,"kid":`+quote(s.key.ID())+`,"typ":"at+jwt","x":"`+attacker+`"}`) + "." + payload + "." + signature
		}),
		recalled("other-claims", "a token that was let in just before, with other claims", func(header, payload, signature string) string {
			return header + "." + other(payload) + "." + signature
		}),
		recalled("same-token-ID", "a token that a stranger has signed, with the jti of one that was let in just before", func(header, payload, _ string) string {
			return seal(s.mallory.key, header, other(payload))
		}),
		recalled("same-beginning", "a token that was let in just before, with other bytes at its end", func(header, payload, signature string) string {
			const end = 12
			return header + "." + payload + "." + signature[:len(signature)-end] + strings.Repeat("A", end)
		}),
		recalled("same-end", "a token that was let in just before, with another first byte in its signature", func(header, payload, signature string) string {
			first := "A"
			if signature[0] == 'A' {
				first = "B"
			}
			return header + "." + payload + "." + first + signature[1:]
		}),
	}
}

// afterwards is a good token again, on the API that has seen the attacks.
func (s *suite) afterwards() []attack {
	return []attack{s.good("good/after-the-attacks", "a good access token, after all these attacks", "whoever sends bad tokens could have honest clients turned away")}
}

// rotation comes last, since it changes the key that all the others are about.
func (s *suite) rotation() []attack {
	return []attack{{
		name: "good/new-key", sent: "a good token, signed with a key that the issuer has just published",
		why: "an issuer that changes its keys would lock all users out", want: letIn,
		send: bearer(func() string { return s.token() }), fresh: true,
		before: func(api http.Handler) {
			s.warm(api)
			s.issuer.Rotate()
		},
	}}
}

// otherCase returns the text with the case of its letters changed.
func otherCase(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, text)
}

// otherScheme returns the URL with http for https, or https for http.
func otherScheme(url string) string {
	if rest, was := strings.CutPrefix(url, "https://"); was {
		return "http://" + rest
	}
	return "https://" + strings.TrimPrefix(url, "http://")
}

// otherSlash returns the text with a slash more at its end, or less.
func otherSlash(text string) string {
	if without, had := strings.CutSuffix(text, "/"); had {
		return without
	}
	return text + "/"
}
