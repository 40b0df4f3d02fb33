package claims_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// Each of these happens to one provider, and is nothing to the tokens of the other,
// whether or not the keys of either are known by then.
func TestTroubleAtOneProviderIsNotTheOthers(t *testing.T) {
	troubles := map[string]func(*authtest.Issuer){
		"down":             func(i *authtest.Issuer) { i.SetDown(true) },
		"slow":             func(i *authtest.Issuer) { i.SetDelay(8 * time.Second) },
		"silent":           func(i *authtest.Issuer) { i.Hang() },
		"without keys":     func(i *authtest.Issuer) { i.SetKeySet(authtest.EmptyKeySet) },
		"talking HTML":     func(i *authtest.Issuer) { i.SetKeySet(authtest.BrokenKeySet) },
		"with a new key":   func(i *authtest.Issuer) { i.RotateUnpublished() },
		"and slow with it": func(i *authtest.Issuer) { i.RotateUnpublished(); i.SetDelay(8 * time.Second) },
	}
	for name, trouble := range troubles {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", known ", known), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					good, bad := authtest.NewIssuer(t), authtest.NewIssuer(t)
					v, err := claims.NewValidator(bad.Config(audience), claims.WithIssuer(good.Config(audience)))
					require.NoError(t, err)
					if known {
						require.NoError(t, v.Warm(t.Context()))
					}
					trouble(bad)
					var all sync.WaitGroup
					for range 10 {
						all.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
							defer cancel()
							_, _ = v.Validate(ctx, bad.Token())
						})
					}
					synctest.Wait() // until they all wait, or are through
					began := time.Now()
					for range 3 {
						_, err := v.Validate(t.Context(), good.Token())
						require.NoError(t, err)
						require.Zero(t, time.Since(began))
					}
					all.Wait()
					_, err = v.Validate(t.Context(), good.Token())
					require.NoError(t, err)
				})
			})
		}
	}
}

// Whoever can have an address fetched by sending a token can have the API ask whomever
// he likes. Here all three can be reached, and the token is good at its own issuer.
func TestATokenOfAnUnknownIssuerHasNothingFetched(t *testing.T) {
	first, second, stranger := authtest.NewIssuer(t), authtest.NewIssuer(t), authtest.NewIssuer(t)
	var fetched []string
	network := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		fetched = append(fetched, r.URL.String())
		for _, i := range []*authtest.Issuer{first, second, stranger} {
			if strings.HasPrefix(r.URL.String(), i.URL()) {
				return i.HTTPClient().Transport.RoundTrip(r)
			}
		}
		return nil, errors.New("there is nobody")
	})}
	config := func(i *authtest.Issuer) claims.Config {
		keys, err := jwks.NewRemote(jwks.Config{Issuer: i.URL(), Client: network})
		require.NoError(t, err)
		return claims.Config{Issuer: i.URL(), Audience: audience, Keys: keys}
	}
	v, err := claims.NewValidator(config(first), claims.WithIssuer(config(second)))
	require.NoError(t, err)
	for _, options := range [][]authtest.TokenOption{
		nil,
		{authtest.IssuedBy(strings.TrimSuffix(first.URL(), "/"))},
		{authtest.IssuedBy(first.URL() + "/")},
		{authtest.IssuedBy("")},
		{authtest.WithoutClaim("iss")},
		{authtest.Header("jku", stranger.KeySetURL())},
		{authtest.Header("x5u", stranger.URL()), authtest.Claim("jwks_uri", stranger.KeySetURL())},
	} {
		_, err := v.Validate(t.Context(), stranger.Token(append(options, authtest.Audience(audience))...))
		require.ErrorIs(t, err, claims.ErrIssuer)
		require.Empty(t, fetched)
	}
	_, err = v.Validate(t.Context(), first.Token(authtest.Audience(audience), authtest.Header("jku", stranger.KeySetURL())))
	require.NoError(t, err)
	for _, url := range fetched {
		require.True(t, strings.HasPrefix(url, first.URL()), url)
	}
	require.NotEmpty(t, fetched)
}

func TestMistakesWithSeveralIssuers(t *testing.T) {
	shared := pinned(t, trustedKey())
	good := claims.Config{Issuer: issuer, Audience: audience, Keys: shared}
	tests := []struct {
		name   string
		second claims.Config
		want   string
	}{
		{"the same twice", good, `claims: the issuer "https://issuer.example/" is configured twice: each has one Config`},
		{"the keys of the other", claims.Config{Issuer: otherIssuer, Audience: audience, Keys: shared}, `claims: the issuers "https://issuer.example/" and "https://other.example/" have the same Config.Keys: give each a source of its own`},
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

// A source that is shared would let one issuer sign for the other.
func TestNoTwoIssuersShareASource(t *testing.T) {
	remote, err := jwks.NewRemote(jwks.Config{URL: "https://keys.example/jwks.json"}) // of no issuer in particular
	require.NoError(t, err)
	for _, shared := range []jwks.Source{remote, pinned(t, trustedKey()), downSource{}} {
		_, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: shared},
			claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: audience, Keys: shared}))
		require.ErrorContains(t, err, "have the same Config.Keys", "%T", shared)
	}
	// Two validators may: each believes one issuer.
	for _, name := range []string{issuer, otherIssuer} {
		_, err := claims.NewValidator(claims.Config{Issuer: name, Audience: audience, Keys: remote})
		require.NoError(t, err)
	}
	// What cannot be compared must not panic.
	_, err = claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: sources{remote}},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: audience, Keys: sources{remote}}))
	require.NoError(t, err)
}

// sources are compared with nothing, since a slice cannot be.
type sources []jwks.Source

func (s sources) Keys(ctx context.Context, alg, kid string) ([]*jwks.Key, error) {
	return s[0].Keys(ctx, alg, kid)
}

func TestAnAliasIsOfItsIssuerOnly(t *testing.T) {
	aliases := []string{"api://alias", "api://spare"}
	v, err := claims.NewValidator(
		claims.Config{Issuer: issuer, Audience: audience, AudienceAliases: aliases[:1], Keys: pinned(t, trustedKey())},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: "api://other", AudienceAliases: aliases[1:], Keys: pinned(t, stolenKey())}))
	require.NoError(t, err)
	aliases[0], aliases[1] = "api://changed", "api://changed"
	tests := []struct {
		key           *rsa.PrivateKey
		issuer, alias string
		good          bool
	}{
		{trustedKey(), issuer, "api://alias", true},
		{stolenKey(), otherIssuer, "api://spare", true},
		{trustedKey(), issuer, "api://spare", false},
		{trustedKey(), issuer, "api://other", false},
		{stolenKey(), otherIssuer, "api://alias", false},
		{stolenKey(), otherIssuer, "api://changed", false},
	}
	for _, tt := range tests {
		_, err := v.Validate(t.Context(), signWith(tt.key, goodHeader, payload(set{"iss": tt.issuer, "aud": tt.alias})))
		if tt.good {
			require.NoError(t, err, tt)
		} else {
			require.ErrorIs(t, err, claims.ErrAudience, tt)
		}
	}
}

// What was accepted for one issuer says nothing of another, and each time the keys and
// the check are those of the token's own issuer.
func TestTheMemoryKeepsIssuersApart(t *testing.T) {
	first, second := &countingSource{Source: pinned(t, trustedKey())}, &countingSource{Source: pinned(t, stolenKey())}
	revoked := false
	check := func(context.Context, *claims.Claims) error {
		if revoked {
			return errors.New("revoked")
		}
		return nil
	}
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: first},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: audience, Keys: second, Check: check}))
	require.NoError(t, err)
	ofFirst, ofSecond := sign(goodHeader, payload(nil)), signWith(stolenKey(), goodHeader, payload(set{"iss": otherIssuer}))
	for range 2 {
		for token, name := range map[string]string{ofFirst: issuer, ofSecond: otherIssuer} {
			c, err := v.Validate(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, name, c.Issuer)
		}
	}
	require.Equal(t, uint64(2), v.Memory().Hits)
	require.Equal(t, []int{2, 2}, []int{first.asked, second.asked})

	// The one's payload with the other's signature, both known.
	of := func(token string) []string { return strings.Split(token, ".") }
	mixed := strings.Join([]string{of(ofFirst)[0], of(ofFirst)[1], of(ofSecond)[2]}, ".")
	_, err = v.Validate(t.Context(), mixed)
	require.ErrorIs(t, err, claims.ErrSignature)

	// The second withdraws its key and takes that of the first: what the first has
	// signed for itself is still not the second's.
	second.Source = pinned(t, trustedKey())
	_, err = v.Validate(t.Context(), ofSecond)
	require.ErrorIs(t, err, claims.ErrSignature)
	second.Source = pinned(t, stolenKey())

	revoked = true
	_, err = v.Validate(t.Context(), ofSecond)
	require.ErrorIs(t, err, claims.ErrRefused)
	_, err = v.Validate(t.Context(), ofFirst)
	require.NoError(t, err, "the check is the second's alone")
}

func TestExplainWithSeveralIssuers(t *testing.T) {
	v, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: pinned(t, trustedKey())},
		claims.WithIssuer(claims.Config{Issuer: otherIssuer, Audience: "api://other", Keys: pinned(t, stolenKey())}))
	require.NoError(t, err)

	report := v.Explain(t.Context(), signWith(stolenKey(), goodHeader, payload(set{"iss": otherIssuer, "aud": "api://other"})))
	require.NoError(t, report.Err)
	require.Equal(t, `it says that it is from "https://other.example/", one of 2 trusted issuers`, report.Checks[1].Detail)

	report = v.Explain(t.Context(), sign(goodHeader, payload(set{"iss": otherIssuer, "aud": "api://other"})))
	require.ErrorIs(t, report.Err, claims.ErrSignature)

	// Of a stranger's token, nothing says by which configuration to check the rest.
	report = v.Explain(t.Context(), sign(goodHeader, payload(set{"iss": "https://other.example"})))
	require.ErrorIs(t, report.Err, claims.ErrIssuer)
	for _, check := range report.Checks {
		switch check.Name {
		case "issuer":
			require.Contains(t, check.Detail, "lacks the slash at the end of the configured one")
			require.Contains(t, check.Hint, "the slash at the end counts")
		case "key", "signature", "audience", "time", "own check":
			require.Equal(t, claims.NotReached, check.Outcome, check.Name)
		}
	}
	require.Nil(t, report.UnverifiedClaims)
}
