package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
)

const audience = "https://example.com/health-api"

// open opens an API whose routes are /read, which needs a scope, and /any.
func open(s *stage.Stage) error {
	validator, err := claims.NewValidator(claims.Config{Issuer: s.Issuer.URL(), Audience: audience})
	if err != nil {
		return err
	}
	guard := middleware.New(validator)
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) })
	}
	mux := http.NewServeMux()
	mux.Handle("/read", guard.RequireScope("read")(says("patients")))
	mux.Handle("/any", guard.Handler(says("anything")))
	s.Open(mux)
	return nil
}

func TestATableShowsHowEachPathAnswers(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, stage.Run(t.Context(), &out, func(ctx context.Context, s *stage.Stage) error {
		require.NoError(t, open(s))
		table := s.Table("/read", "/any")
		table.Send(ctx, "with the scope", s.Issuer.Token(authtest.Audience(audience), authtest.Scope("read")), 200, 200)
		table.Send(ctx, "without", s.Issuer.Token(authtest.Audience(audience)), 403, 200)
		table.Send(ctx, "for another", s.Issuer.Token(authtest.Audience("a")), 401, 401)
		return table.End()
	}))
	require.Equal(t, `TOKEN           /read  /any  ANSWER, OR WHY NOT
with the scope  200    200   patients; anything
without         403    200   the token lacks a scope: read; anything
for another     401    401   the token is for another audience
`, out.String())
}

// A wrong answer must show, or what is printed proves nothing.
func TestAWrongAnswerIsAnError(t *testing.T) {
	var out bytes.Buffer
	err := stage.Run(t.Context(), &out, func(ctx context.Context, s *stage.Stage) error {
		require.NoError(t, open(s))
		table := s.Table("/read", "/any")
		table.Send(ctx, "without", s.Issuer.Token(authtest.Audience(audience)), 403, 403)
		table.Send(ctx, "further", s.Issuer.Token(authtest.Audience(audience)), 403, 200)
		return table.End()
	})
	require.EqualError(t, err, "without: it is [403 200], and should be [403 403]")
	require.Contains(t, out.String(), "\nwithout", "and so does what was sent")
	require.NotContains(t, out.String(), "further")
}

func TestATableCounts(t *testing.T) {
	var out bytes.Buffer
	err := stage.Run(t.Context(), &out, func(ctx context.Context, s *stage.Stage) error {
		require.NoError(t, open(s))
		token := s.Issuer.Token(authtest.Audience(audience))
		table := s.Table("/any")
		table.Count("FETCHES", s.Issuer.KeyFetches)
		table.Send(ctx, "first", token, 200, 1)
		table.Send(ctx, "again", token, 200, 0)
		table.Send(ctx, "another", token, 200, 7)
		return table.End()
	})
	require.EqualError(t, err, "another: it is [200 0], and should be [200 7]")
	require.Equal(t, `TOKEN    /any  FETCHES  ANSWER, OR WHY NOT
first    200   1        anything
again    200   0        anything
another  200   0        anything
`, out.String())
}

func TestRefusalsAreToldOnce(t *testing.T) {
	require.NoError(t, stage.Run(t.Context(), io.Discard, func(ctx context.Context, s *stage.Stage) error {
		require.NoError(t, open(s))
		const none = "401 no access token: there is no Authorization header"
		for range 2 {
			response, err := http.Get(s.URL + "/any")
			require.NoError(t, err)
			response.Body.Close()
		}
		require.Equal(t, []string{none, none}, s.Refusals())
		require.Empty(t, s.Refusals())
		answer, err := s.Send(ctx, "/any", s.Issuer.Token(authtest.Audience(audience)))
		require.Equal(t, "anything", answer.Says)
		require.Equal(t, 200, answer.Status)
		return err
	}))
}

func TestNothingIsLeftRunning(t *testing.T) {
	var left *stage.Stage
	over := errors.New("over")
	require.ErrorIs(t, stage.Run(t.Context(), io.Discard, func(_ context.Context, s *stage.Stage) error {
		left = s
		require.NoError(t, open(s))
		return over
	}), over)
	for _, url := range []string{left.URL, left.Issuer.URL()} {
		_, err := http.Get(url)
		require.Error(t, err)
	}
}
