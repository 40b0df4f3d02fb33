package authtest

import (
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
)

// claimsAudience is the audience of [Claims] that name no other.
const claimsAudience = "https://api.test/"

// Claims returns what a guard puts into the context of a request with that access
// token, for the test of a handler alone:
//
//	c := authtest.Claims(t, authtest.Subject("ada"), authtest.Claim("org_id", "org-1"))
//	r = r.WithContext(claims.NewContext(r.Context(), c))
//	handler.ServeHTTP(w, r)
//
// They are read from a real token, so that claims.As works on them. It fails the
// test where no guard would let the token in, such as one that has expired.
//
// The route's guard and its requirements do not run in such a test: whether they
// refuse what they must is for [Issuer.Authorize] and [Issuer.Suite] to show.
func Claims(tb testing.TB, options ...TokenOption) *claims.Claims {
	tb.Helper()
	issuer := NewIssuer(tb)
	// EdDSA, since its keys cost next to nothing.
	d := issuer.accessToken(append([]TokenOption{Audience(claimsAudience), Algorithm("EdDSA")}, options...))
	token := issuer.sign(d)
	c, err := issuer.believe(tb, d, token)
	if err != nil {
		tb.Fatalf("authtest: no guard lets a token with these claims in: %v", err)
	}
	return c
}

// believe returns the claims of a token, as a guard of the token's own issuer and
// audience reads them.
func (i *Issuer) believe(tb testing.TB, d draft, token string) (*claims.Claims, error) {
	tb.Helper()
	key, err := i.core.Key(d.Algorithm)
	if err != nil {
		return nil, err
	}
	set, err := jwks.ParseSet([]byte(`{"keys":[` + string(key.JWK()) + `]}`))
	if err != nil {
		return nil, err
	}
	config := claims.Config{
		Issuer: i.URL(), Audience: claimsAudience,
		Keys: jwks.Static(set.Keys...), Algorithms: []string{d.Algorithm},
	}
	if name, ok := d.Claims["iss"].(string); ok {
		config.Issuer = name
	}
	switch audience := d.Claims["aud"].(type) {
	case string:
		config.Audience = audience
	case []string:
		if len(audience) > 0 {
			config.Audience = audience[0]
		}
	}
	v, err := claims.NewValidator(config)
	if err != nil {
		return nil, err
	}
	return v.Validate(tb.Context(), token)
}
