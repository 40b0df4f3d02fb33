package claims_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// outcomes writes a report in short: the checks that did not pass, with a "?"
// behind those that were not reached.
func outcomes(report claims.Report) string {
	var short []string
	for _, check := range report.Checks {
		switch check.Outcome {
		case claims.Failed:
			short = append(short, check.Name)
		case claims.NotReached:
			short = append(short, check.Name+"?")
		}
	}
	return strings.Join(short, " ")
}

func TestExplainGoesOnWhereItCan(t *testing.T) {
	const claimsOnly = "algorithm? key? signature?"
	past := time.Now().Add(-time.Hour).Unix()
	good := sign(goodHeader, payload(nil))
	tests := []struct {
		name  string
		token string
		want  string
		err   error
	}{
		{"a good token", good, "", nil},
		{"no token at all", "opaque", "form issuer? algorithm? key? signature? kind? profile? claims? audience? time? binding? own check?", claims.ErrOpaque},
		{"another issuer", sign(goodHeader, payload(set{"iss": "https://evil.example/"})), "issuer " + claimsOnly + " own check?", claims.ErrIssuer},
		{"another issuer, and expired for another API", sign(goodHeader, payload(set{"iss": "x", "exp": past, "aud": "y"})), "issuer " + claimsOnly + " audience time own check?", claims.ErrIssuer},
		{"alg none", encode(`{"alg":"none"}`) + "." + encode(payload(nil)) + ".", "algorithm key? signature? own check?", claims.ErrAlgorithm},
		{"an unknown key", sign(`{"alg":"RS256","kid":"x"}`, payload(nil)), "key signature? own check?", claims.ErrUnknownKey},
		{"a forged signature, and expired", signWith(stolenKey(), goodHeader, payload(set{"exp": past})), "signature time own check?", claims.ErrSignature},
		{"an ID Token for the client", sign(plainHeader, payload(set{"nonce": "n", "aud": "client-1"})), "kind audience own check?", claims.ErrIDToken},
		{"claims of wrong types", sign(goodHeader, payload(set{"sub": 1})), "claims audience? time? own check?", claims.ErrMalformed},
		{"bound, expired, for another API", sign(goodHeader, payload(set{"cnf": set{}, "exp": past, "aud": "y"})), "audience time binding own check?", claims.ErrAudience},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newValidator(t)
			report := v.Explain(t.Context(), tt.token)
			require.Equal(t, tt.want, outcomes(report))
			require.Len(t, report.Checks, 12)

			// The first failure is what Validate answers.
			_, err := v.Validate(t.Context(), tt.token)
			if tt.err == nil {
				require.NoError(t, err)
				require.NoError(t, report.Err)
				return
			}
			require.ErrorIs(t, err, tt.err)
			require.ErrorIs(t, report.Err, tt.err)
			require.Equal(t, err.Error(), report.Err.Error())
			for _, check := range report.Checks {
				require.Equal(t, check.Outcome == claims.Failed, check.Err != nil, check.Name)
				if check.Err != nil {
					require.NotEmpty(t, check.Detail)
				}
				signature := tt.token[strings.LastIndexByte(tt.token, '.')+1:]
				if len(signature) > 10 {
					require.NotContains(t, check.Detail, signature)
				}
			}
		})
	}
}

func TestExplainSaysWhatItFound(t *testing.T) {
	trustedKey()
	synctest.Test(t, func(t *testing.T) {
		var details []string
		for _, check := range newValidator(t).Explain(t.Context(), sign(goodHeader, payload(nil))).Checks {
			details = append(details, check.Name+": "+check.Detail)
		}
		require.Equal(t, []string{
			`form: a JWS in compact form, 646 bytes, typ "at+jwt"`,
			"issuer: it is from the trusted issuer",
			"algorithm: RS256",
			`key: kid "key-1" fits 1 of the issuer's keys`,
			"signature: it was made with the issuer's key over this token",
			"kind: it declares that it is an access token",
			"profile: none is configured",
			`claims: client "client-1", scope "read:patients"`,
			"audience: it is for this API",
			"time: it is good for another 1 h",
			"binding: it is bound to no key, so that its bearer may use it",
			"own check: none is configured",
		}, details)
	})
}

func TestExplainHintsAtTheMistake(t *testing.T) {
	unavailable := sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) { return nil, jwks.ErrUnavailable })
	past := time.Now().Add(-time.Hour).Unix()
	tests := []struct {
		v     *claims.Validator
		token string
		want  string
	}{
		{newValidator(t), "opaque", "asked for no audience"},
		{newValidator(t), "a.b.c.d.e", "encryption"},
		{newValidator(t), sign(goodHeader, payload(set{"iss": "x"})), "to the last slash"},
		{newValidator(t), sign(`{"alg":"ES256"}`, payload(nil)), "Config.Algorithms"},
		{newValidator(t), sign(`{"alg":"RS256","kid":"x"}`, payload(nil)), "another tenant"},
		{newValidator(t), signWith(stolenKey(), goodHeader, payload(nil)), "altered"},
		{newValidator(t), sign(plainHeader, payload(set{"nonce": "n"})), "send the access token"},
		{newValidator(t), sign(header("logout+jwt"), payload(nil)), "send the access token"},
		{newValidator(t), sign(goodHeader, payload(set{"iss": strings.TrimSuffix(issuer, "/")})), "the slash at the end counts"},
		{newValidator(t), sign(goodHeader, payload(set{"iss": nil})), "to the last slash"},
		{newValidator(t), sign(goodHeader, payload(set{"aud": "another"})), "must ask for this API's audience"},
		{newValidator(t), sign(goodHeader, payload(set{"aud": set{"another": 1}})), ""},
		{newValidator(t), sign(goodHeader, payload(set{"aud": nil})), "must ask for this API's audience"},
		{newValidator(t), sign(goodHeader, payload(set{"aud": []string{"another", audience + "/"}})), "the slash at the end counts"},
		{newValidator(t), sign(goodHeader, payload(set{"aud": "client-1"})), "aud is the ID of the client"},
		{newValidator(t), sign(goodHeader, payload(set{"aud": "", "client_id": nil})), "a client ID in aud means"},
		{newValidator(t), sign(goodHeader, payload(set{"exp": past})), "get a new token"},
		{newValidator(t), sign(goodHeader, payload(set{"nbf": time.Now().Add(time.Hour).Unix()})), "clocks"},
		{newValidator(t), sign(goodHeader, payload(set{"cnf": set{}})), "bearer token"},
		{configured(t, func(c *claims.Config) { c.Profile = claims.RFC9068 }), sign(goodHeader, payload(set{"jti": nil})), "profile of RFC 9068"},
		{configured(t, func(c *claims.Config) { c.Keys = unavailable }), sign(goodHeader, payload(nil)), "not about the token"},
		{newValidator(t), "", ""},
		{newValidator(t), "eyJhbGciOiJSUzI1NiJ9.e30", "all of it"},
		{newValidator(t), sign(goodHeader, payload(nil)) + "\n", "give the token alone"},
		{newValidator(t), "Bearer " + sign(goodHeader, payload(nil)), "give the token alone"},
		{newValidator(t), sign(`{"alg":"HS256"}`, payload(nil)), "never accepted"},
		{configured(t, func(c *claims.Config) { c.Profile = claims.RFC9068 }), sign(plainHeader, payload(nil)), "profile of RFC 9068"},
		{configured(t, func(c *claims.Config) {
			c.Check = func(context.Context, *claims.Claims) error { return claims.ErrExpired }
		}), sign(goodHeader, payload(nil)), ""},
	}
	for _, tt := range tests {
		report := tt.v.Explain(t.Context(), tt.token)
		require.Error(t, report.Err)
		for _, check := range report.Checks {
			if check.Err == report.Err {
				require.Contains(t, check.Hint, tt.want, report.Err)
				if tt.want == "" {
					require.Empty(t, check.Hint)
				}
			}
		}
	}
}

func TestExplainTellsOfTheLeeway(t *testing.T) {
	trustedKey()
	synctest.Test(t, func(t *testing.T) {
		report := newValidator(t).Explain(t.Context(), sign(goodHeader, payload(set{"exp": time.Now().Unix() - 11})))
		require.NoError(t, report.Err)
		require.Equal(t, "it expired 11 s ago, within the leeway of 30 s", report.Checks[9].Detail)
	})
}

func TestExplainWithAZeroValidator(t *testing.T) {
	var v claims.Validator
	require.ErrorIs(t, v.Explain(t.Context(), sign(goodHeader, payload(nil))).Err, claims.ErrUnavailable)
}

func TestExplainShowsWhatATokenSaysWhoeverWroteIt(t *testing.T) {
	v := newValidator(t)
	report := v.Explain(t.Context(), signWith(stolenKey(), goodHeader, payload(set{"sub": "mallory"})))
	require.ErrorIs(t, report.Err, claims.ErrSignature)
	require.Equal(t, "mallory", report.UnverifiedClaims.Subject)

	for _, unreadable := range []string{"opaque", sign(goodHeader, payload(set{"sub": 1}))} {
		require.Nil(t, v.Explain(t.Context(), unreadable).UnverifiedClaims)
	}
}
