package claims_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

const otherIssuer = "https://other.example/"

// pinned returns a source with one key under the kid that all tokens of the forge
// name.
func pinned(t *testing.T, key *rsa.PrivateKey) jwks.Source {
	t.Helper()
	public, err := jwks.NewKey(kid, "RS256", &key.PublicKey)
	require.NoError(t, err)
	return jwks.Static(public)
}

// countingSource counts what it is asked for.
type countingSource struct {
	jwks.Source
	asked int
}

func (s *countingSource) Keys(ctx context.Context, alg, kid string) ([]*jwks.Key, error) {
	s.asked++
	return s.Source.Keys(ctx, alg, kid)
}

// downSource is an issuer that cannot be reached, and hangs until it is given up.
type downSource struct{}

func (downSource) Keys(ctx context.Context, _, _ string) ([]*jwks.Key, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("%w: %w", jwks.ErrUnavailable, ctx.Err())
}

func TestEachIssuerHasItsOwnConfig(t *testing.T) {
	v, err := claims.NewValidator(
		claims.Config{Issuer: issuer, Audience: audience, Keys: pinned(t, trustedKey())},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: "api://other", ScopeClaims: []string{"roles"}, Keys: pinned(t, stolenKey())}),
	)
	require.NoError(t, err)
	require.Equal(t, []string{issuer, otherIssuer}, v.Issuers())
	require.Equal(t, audience, v.Audience())

	ofOther := set{"iss": otherIssuer, "aud": "api://other", "roles": []string{"admin"}}
	tests := []struct {
		name   string
		key    *rsa.PrivateKey
		claims set
		want   error
		scope  string
	}{
		{"of the first", trustedKey(), set{"roles": []string{"admin"}}, nil, "read:patients"},
		{"of the other", stolenKey(), ofOther, nil, "admin"},
		{"of the first, with the other's key of the same ID", stolenKey(), nil, claims.ErrSignature, ""},
		{"of the other, with the first's key of the same ID", trustedKey(), ofOther, claims.ErrSignature, ""},
		{"of the first, for the other's audience", trustedKey(), set{"aud": "api://other"}, claims.ErrAudience, ""},
		{"of the other, for the first's audience", stolenKey(), set{"iss": otherIssuer}, claims.ErrAudience, ""},
		{"of neither", trustedKey(), set{"iss": "https://evil.example/"}, claims.ErrIssuer, ""},
		{"of both", trustedKey(), set{"iss": []string{issuer, otherIssuer}}, claims.ErrMalformed, ""},
		{"of the other without its slash", stolenKey(), set{"iss": "https://other.example", "aud": "api://other"}, claims.ErrIssuer, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := v.Validate(t.Context(), signWith(tt.key, goodHeader, payload(tt.claims)))
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.scope, c.Scope.String())
		})
	}
}

func TestNoKeyIsAskedForOfAnUnknownIssuer(t *testing.T) {
	first, second := &countingSource{Source: pinned(t, trustedKey())}, &countingSource{Source: pinned(t, stolenKey())}
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: first},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: audience, Keys: second}))
	require.NoError(t, err)
	_, err = v.Validate(t.Context(), sign(goodHeader, payload(set{"iss": "https://evil.example/"})))
	require.ErrorIs(t, err, claims.ErrIssuer)
	require.Zero(t, first.asked+second.asked)

	_, err = v.Validate(t.Context(), sign(goodHeader, payload(nil)))
	require.NoError(t, err)
	require.Zero(t, second.asked, "only the token's own issuer is asked")
}

func TestADeadIssuerDoesNotTouchTheTokensOfAnother(t *testing.T) {
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: pinned(t, trustedKey())},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: audience, Keys: downSource{}}))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := v.Validate(ctx, sign(goodHeader, payload(set{"iss": otherIssuer})))
		waiting <- err
	}()
	for range 10 {
		_, err = v.Validate(t.Context(), sign(goodHeader, payload(nil)))
		require.NoError(t, err)
	}
	cancel()
	require.ErrorIs(t, <-waiting, claims.ErrUnavailable)
}

func TestMistakesWithSeveralIssuers(t *testing.T) {
	good := claims.Config{Issuer: issuer, Audience: audience}
	tests := []struct {
		name   string
		second claims.Config
		want   string
	}{
		{"the same twice", good, `claims: the issuer "https://issuer.example/" is configured twice: each has one Config`},
		{"no audience", claims.Config{Issuer: otherIssuer}, "claims: Config.Audience is empty"},
		{"no issuer", claims.Config{Audience: audience}, "claims: Config.Issuer is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := claims.NewValidator(good, claims.WithIssuer(tt.second))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestWarmAndStatusAreOfAllIssuers(t *testing.T) {
	up, down := authtest.NewIssuer(t), authtest.NewIssuer(t)
	config := func(i *authtest.Issuer) claims.Config {
		keys, err := jwks.NewRemote(jwks.Config{Issuer: i.URL(), Client: i.HTTPClient()})
		require.NoError(t, err)
		return claims.Config{Issuer: i.URL(), Audience: audience, Keys: keys}
	}
	down.SetDown(true)
	v, err := claims.NewValidator(config(up), claims.WithIssuer(config(down)))
	require.NoError(t, err)
	err = v.Warm(t.Context())
	require.ErrorIs(t, err, claims.ErrUnavailable)
	require.ErrorContains(t, err, down.URL())
	require.NotContains(t, err.Error(), up.URL())
	require.Len(t, v.Status(), 2)

	_, err = v.Validate(t.Context(), up.Token(authtest.Audience(audience)))
	require.NoError(t, err)
	_, err = v.Validate(t.Context(), down.Token(authtest.Audience(audience)))
	require.True(t, errors.Is(err, claims.ErrUnavailable))
}
