package claims_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// configured returns a validator for the forge's tokens with some settings.
func configured(t *testing.T, change func(*claims.Config)) *claims.Validator {
	t.Helper()
	config := claims.Config{Issuer: issuer, Audience: audience, Keys: trustedSource(t)}
	change(&config)
	v, err := claims.NewValidator(config)
	require.NoError(t, err)
	return v
}

func TestAnAliasIsAsGoodAsTheAudience(t *testing.T) {
	aliases := []string{"https://old.example.com/health-api", "urn:health"}
	v := configured(t, func(c *claims.Config) { c.AudienceAliases = aliases })
	aliases[0] = "https://evil.example/" // changes nothing
	for _, aud := range []any{audience, "urn:health", "https://old.example.com/health-api", []string{"x", "urn:health"}} {
		_, err := v.Validate(t.Context(), sign(goodHeader, payload(set{"aud": aud})))
		require.NoError(t, err, aud)
	}
	for _, aud := range []any{"urn:health/", "https://evil.example/", "urn", []string{}} {
		requireRefused(t, v, sign(goodHeader, payload(set{"aud": aud})), claims.ErrAudience)
	}
}

// signer signs with one algorithm, by the standard library.
func signers(t *testing.T) map[string]func([]byte) (crypto.PublicKey, []byte) {
	pkcs1 := func(hash crypto.Hash) func([]byte) (crypto.PublicKey, []byte) {
		return func(input []byte) (crypto.PublicKey, []byte) {
			signature, err := rsa.SignPKCS1v15(nil, trustedKey(), hash, digest(hash, input))
			require.NoError(t, err)
			return &trustedKey().PublicKey, signature
		}
	}
	pss := func(hash crypto.Hash) func([]byte) (crypto.PublicKey, []byte) {
		return func(input []byte) (crypto.PublicKey, []byte) {
			signature, err := rsa.SignPSS(rand.Reader, trustedKey(), hash, digest(hash, input), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			require.NoError(t, err)
			return &trustedKey().PublicKey, signature
		}
	}
	ec := func(curve elliptic.Curve, hash crypto.Hash) func([]byte) (crypto.PublicKey, []byte) {
		return func(input []byte) (crypto.PublicKey, []byte) {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			require.NoError(t, err)
			r, s, err := ecdsa.Sign(rand.Reader, key, digest(hash, input))
			require.NoError(t, err)
			size := (curve.Params().BitSize + 7) / 8
			return &key.PublicKey, append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	}
	return map[string]func([]byte) (crypto.PublicKey, []byte){
		"RS256": pkcs1(crypto.SHA256), "RS384": pkcs1(crypto.SHA384), "RS512": pkcs1(crypto.SHA512),
		"PS256": pss(crypto.SHA256), "PS384": pss(crypto.SHA384), "PS512": pss(crypto.SHA512),
		"ES256": ec(elliptic.P256(), crypto.SHA256), "ES384": ec(elliptic.P384(), crypto.SHA384), "ES512": ec(elliptic.P521(), crypto.SHA512),
		"EdDSA": func(input []byte) (crypto.PublicKey, []byte) {
			public, private, err := ed25519.GenerateKey(rand.Reader)
			require.NoError(t, err)
			return public, ed25519.Sign(private, input)
		},
	}
}

func digest(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

// An algorithm is accepted where it is named, and nowhere else.
func TestAlgorithmsAreThoseOfTheConfiguration(t *testing.T) {
	all := signers(t)
	require.Len(t, all, len(jwks.Algorithms()))
	for name, sign := range all {
		t.Run(name, func(t *testing.T) {
			input := encode(`{"alg":"`+name+`","kid":"key-1"}`) + "." + encode(payload(nil))
			public, signature := sign([]byte(input))
			token := input + "." + base64.RawURLEncoding.EncodeToString(signature)
			key, err := jwks.NewKey(kid, name, public)
			require.NoError(t, err)
			keys := jwks.Static(key)

			v := configured(t, func(c *claims.Config) { c.Keys, c.Algorithms = keys, []string{"RS256", name} })
			_, err = v.Validate(t.Context(), token)
			require.NoError(t, err)

			longer := input + "." + base64.RawURLEncoding.EncodeToString(append(signature, 0))
			requireRefused(t, v, longer, claims.ErrSignature)

			for _, other := range jwks.Algorithms() {
				if other == name {
					continue
				}
				v := configured(t, func(c *claims.Config) { c.Keys, c.Algorithms = keys, []string{other} })
				requireRefused(t, v, token, claims.ErrAlgorithm)
			}
		})
	}
}

func TestTheProfileOfRFC9068(t *testing.T) {
	v := configured(t, func(c *claims.Config) { c.Profile = claims.RFC9068 })
	for _, typ := range []string{"at+jwt", "application/at+jwt", "AT+JWT"} {
		_, err := v.Validate(t.Context(), sign(header(typ), payload(nil)))
		require.NoError(t, err, typ)
	}
	for _, typ := range []string{"JWT", ""} {
		requireRefused(t, v, sign(header(typ), payload(nil)), claims.ErrTokenType)
	}
	for _, name := range []string{"sub", "client_id", "iat", "jti"} {
		requireRefused(t, v, sign(goodHeader, payload(set{name: nil})), claims.ErrMissingClaim)
		empty := payload(set{name: nil})
		if name != "iat" {
			for _, value := range []string{"null", "5", `["x"]`, `{"a":1}`, `""`, `" "`} {
				requireRefused(t, v, sign(goodHeader, empty[:len(empty)-1]+`,"azp":"admin","`+name+`":`+value+"}"), claims.ErrMissingClaim)
			}
		}
	}
	requireRefused(t, v, sign(goodHeader, payload(set{"client_id": nil, "azp": "client-1"})), claims.ErrMissingClaim)

	// The residue of the other profile: a bare ID Token for a client that is
	// called as the API is.
	bare := sign(plainHeader, payload(set{"client_id": nil, "scope": nil, "jti": nil}))
	_, err := newValidator(t).Validate(t.Context(), bare)
	require.NoError(t, err)
	requireRefused(t, v, bare, claims.ErrTokenType)
}

func TestScopeClaims(t *testing.T) {
	token := sign(goodHeader, payload(set{
		"scope": "a", "scp": []string{"b"}, "permissions": []string{"c", "not d"}, "roles": []string{"e"}, "https://example.com/scopes": "f g", "x": 1,
	}))
	tests := []struct {
		claims []string
		want   string
	}{
		{nil, "a b"},
		{[]string{"scope"}, "a"},
		{[]string{"permissions"}, "c"},
		{[]string{"scope", "permissions", "roles"}, "a c e"},
		{[]string{"https://example.com/scopes"}, "f g"},
		{[]string{"x", "missing", "Scope"}, ""},
	}
	for _, tt := range tests {
		v := configured(t, func(c *claims.Config) { c.ScopeClaims = tt.claims })
		c, err := v.Validate(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, tt.want, c.Scope.String(), "%v", tt.claims)
	}
}

func TestTheOwnCheckIsAskedLast(t *testing.T) {
	revoked := errors.New("the token is revoked")
	down := fmt.Errorf("%w: database", claims.ErrUnavailable)
	tests := []struct {
		name  string
		says  error
		want  error
		cause error
	}{
		{"nothing", nil, nil, nil},
		{"refused", revoked, claims.ErrRefused, revoked},
		{"unavailable", down, claims.ErrUnavailable, down},
		{"without keys of its own", jwks.ErrUnavailable, claims.ErrUnavailable, jwks.ErrUnavailable},
		{"given up", context.Canceled, claims.ErrUnavailable, context.Canceled},
		{"too slow", context.DeadlineExceeded, claims.ErrUnavailable, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			type key struct{}
			var asked []string
			v := configured(t, func(c *claims.Config) {
				c.Check = func(ctx context.Context, c *claims.Claims) error {
					asked = append(asked, c.TokenID)
					require.Equal(t, "value", ctx.Value(key{}))
					return tt.says
				}
			})
			ctx := context.WithValue(t.Context(), key{}, "value")
			c, err := v.Validate(ctx, sign(goodHeader, payload(nil)))
			require.Equal(t, []string{"token-1"}, asked)
			if tt.want == nil {
				require.NoError(t, err)
				require.NotNil(t, c)
			} else {
				require.ErrorIs(t, err, tt.want)
				require.ErrorIs(t, err, tt.cause)
				require.Nil(t, c)
			}
			// It is not asked about a token that is refused anyhow.
			for _, bad := range []string{sign(goodHeader, payload(set{"exp": 1})), signWith(stolenKey(), goodHeader, payload(nil))} {
				_, err := v.Validate(ctx, bad)
				require.Error(t, err)
				v.Explain(ctx, bad)
			}
			require.Len(t, asked, 1)
		})
	}
}

// Its panic is the caller's, and harms no later request.
func TestAPanicOfTheOwnCheckPropagates(t *testing.T) {
	panics := true
	v := configured(t, func(c *claims.Config) {
		c.Check = func(context.Context, *claims.Claims) error {
			if panics {
				panic("oh no")
			}
			return nil
		}
	})
	token := sign(goodHeader, payload(nil))
	require.PanicsWithValue(t, "oh no", func() { v.Validate(t.Context(), token) })
	panics = false
	_, err := v.Validate(t.Context(), token)
	require.NoError(t, err)
}

func TestListsThatCannotBeMeant(t *testing.T) {
	tests := []struct {
		name   string
		change func(*claims.Config)
		want   string
	}{
		{"an empty alias", func(c *claims.Config) { c.AudienceAliases = []string{""} }, "an alias is another identifier of this API"},
		{"an alias with white space", func(c *claims.Config) { c.AudienceAliases = []string{"a "} }, "an alias is another identifier of this API"},
		{"no algorithms", func(c *claims.Config) { c.Algorithms = []string{} }, "leave it nil for RS256"},
		{"none", func(c *claims.Config) { c.Algorithms = []string{"RS256", "none"} }, `Config.Algorithms has "none": it must be one of ES256`},
		{"HMAC", func(c *claims.Config) { c.Algorithms = []string{"HS256"} }, `Config.Algorithms has "HS256": it must be one of ES256`},
		{"an algorithm in other letters", func(c *claims.Config) { c.Algorithms = []string{"rs256"} }, "it must be one of"},
		{"no scope claims", func(c *claims.Config) { c.ScopeClaims = []string{} }, "leave it nil for scope and scp"},
		{"scope claims in one string", func(c *claims.Config) { c.ScopeClaims = []string{"scope permissions"} }, "which is no claim's name"},
		{"a scope claim with white space", func(c *claims.Config) { c.ScopeClaims = []string{" scope"} }, "which is no claim's name"},
		{"an empty scope claim", func(c *claims.Config) { c.ScopeClaims = []string{"scope", ""} }, "leave it nil for scope and scp"},
		{"an unknown profile", func(c *claims.Config) { c.Profile = 7 }, "it must be AnyProfile or RFC9068"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := claims.Config{Issuer: issuer, Audience: audience}
			tt.change(&config)
			_, err := claims.NewValidator(config)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
