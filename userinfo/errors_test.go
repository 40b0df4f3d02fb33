package userinfo_test

import (
	"errors"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// Who asks for an outage hears of all of them, and who asks for one kind of no other.
func TestWhatTheIssuerDoesWrongIsAnOutageAndOneKindOfIt(t *testing.T) {
	kinds := []error{
		userinfo.ErrRateLimited, userinfo.ErrNoEndpoint, userinfo.ErrContentType, userinfo.ErrTooLarge,
		userinfo.ErrMalformed, userinfo.ErrSubject, userinfo.ErrUnverified, userinfo.ErrEncrypted,
	}
	for _, kind := range kinds {
		require.ErrorIs(t, kind, userinfo.ErrUnavailable)
		require.ErrorIs(t, kind, claims.ErrUnavailable)
		for _, other := range kinds {
			if other != kind {
				require.NotErrorIs(t, kind, other)
			}
		}
		require.NotErrorIs(t, userinfo.ErrUnavailable, kind)
	}
	for _, ofTheToken := range []error{
		userinfo.ErrNoToken, userinfo.ErrIssuer, userinfo.ErrNoUser, userinfo.ErrScope,
		userinfo.ErrAudience, userinfo.ErrUnauthorized, userinfo.ErrForbidden,
	} {
		require.NotErrorIs(t, ofTheToken, userinfo.ErrUnavailable)
		require.NotErrorIs(t, ofTheToken, claims.ErrUnavailable)
	}
	_, err := says(429, "", "").ask(t)
	require.ErrorIs(t, err, userinfo.ErrRateLimited)
	require.ErrorIs(t, err, userinfo.ErrUnavailable)
}

// A refusal is kept for a while and told to several requests, each of which may give the
// answer words of its own.
func TestNobodyChangesTheAnswerOfOthers(t *testing.T) {
	users := says(401, "", "").client(t, userinfo.Config{})
	for range 3 {
		_, err := users.Profile(behind(t.Context(), token, ada()))
		require.ErrorIs(t, err, userinfo.ErrUnauthorized)
		answer, is := errors.AsType[*middleware.Error](err)
		require.True(t, is)
		require.Equal(t, 401, answer.Status)
		require.Equal(t, "the access token is not accepted by its issuer", answer.Description)
		answer.Status, answer.Description = 418, "changed"
	}
}
