package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// refusingLate is a handler that finds out late.
func refusingLate(g *middleware.Guard, err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.Refuse(w, r, err) })
}

// later is an error that says when to ask again.
type later struct{ error }

func (later) RetryAfter() time.Duration { return 42 * time.Second }

func TestRefuseAnswersAsARequirementWould(t *testing.T) {
	errs := map[string]error{
		"any":                     errors.New("secret cause"),
		"unavailable":             fmt.Errorf("secret cause: %w", claims.ErrUnavailable),
		"unavailable, until then": later{fmt.Errorf("secret cause: %w", middleware.ErrUnavailable)},
		"the context ended":       fmt.Errorf("secret cause: %w", context.DeadlineExceeded),
		"a 404":                   &middleware.Error{Status: 404, Code: "not_found", Description: "no such patient"},
		"a scope":                 &middleware.Error{Status: 403, Code: middleware.CodeInsufficientScope, Scope: "openid", Err: errors.New("secret cause")},
		"a 401":                   &middleware.Error{Status: 401, Code: middleware.CodeInvalidToken, Description: "revoked"},
		"step-up":                 &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication, ACRValues: "mfa"},
		"a status that is none":   &middleware.Error{Status: 200},
		"a nil *Error":            (*middleware.Error)(nil),
		"no token, and there is":  middleware.ErrNoToken,
	}
	shared := authtest.NewIssuer(t)
	options := map[string][]middleware.Option{
		"plain": nil,
		"with all": {
			middleware.WithRealm("patients"),
			middleware.WithResourceMetadata(middleware.ResourceMetadata{}),
			middleware.WithErrorHandler(func(w http.ResponseWriter, r *http.Request, e *middleware.Error) {
				w.WriteHeader(e.Status)
				fmt.Fprintln(w, r.URL.Path, e.Code, e.Description)
			}),
		},
	}
	for with, options := range options {
		for name, err := range errs {
			t.Run(name+", "+with, func(t *testing.T) {
				var seen []middleware.Decision
				guard := middleware.New(shared.Validator(audience), append(options, noting(&seen))...)
				read := middleware.Scopes(scope.All("read"))
				r := plain("GET", "/patients/7")
				shared.Authorize(r, authtest.Scope("read"))
				want := serve(guard.Require(read, failing(err))(ok), r)
				got := serve(guard.Require(read)(refusingLate(guard, err)), r)
				require.Equal(t, want.Code, got.Code)
				require.Equal(t, want.Header(), got.Header())
				require.Equal(t, want.Body.String(), got.Body.String())
				require.NotContains(t, got.Body.String(), "secret")

				// And observers hear of it, after the decision of the route.
				require.Len(t, seen, 3)
				require.Equal(t, middleware.Allowed, seen[1].Outcome)
				asked, told := seen[0], seen[2]
				require.Equal(t, "the handler", told.Requirement)
				require.Equal(t, asked.Outcome, told.Outcome)
				require.Equal(t, asked.Reason, told.Reason)
				require.Equal(t, asked.Refusal, told.Refusal)
				require.Equal(t, asked.Issuer+asked.ClientID+asked.KeyID, told.Issuer+told.ClientID+told.KeyID)
				require.True(t, told.FromMemory)
				require.Equal(t, middleware.Policy{}, told.Policy, "what the route asks for was met")
				c, known := told.Claims()
				require.True(t, known)
				require.Equal(t, "user-1", c.Subject)
			})
		}
	}
}

// A client that is to get another token must not lose what the guards have asked for.
func TestRefuseNamesWhatTheGuardsBeforeHaveAskedFor(t *testing.T) {
	guard, other := having("read write"), having("read")
	again := &middleware.Error{Status: 401, Code: middleware.CodeInsufficientUserAuthentication}
	h := guard.RequireScope("read")(guard.RequireScope("write")(refusingLate(guard, again)))
	require.Equal(t, `Bearer realm="api", error="insufficient_user_authentication", scope="read write"`, challengeOf(serve(h, sent("GET", "/"))))
	require.Empty(t, again.Scope, "the error is the handler's own")
	// What another guard has asked for is of another API's tokens.
	h = other.RequireScope("read")(refusingLate(guard, again))
	require.Equal(t, `Bearer realm="api", error="insufficient_user_authentication"`, challengeOf(serve(h, sent("GET", "/"))))
}

func TestRefuseAsksForATokenWhereThereIsNone(t *testing.T) {
	var seen []middleware.Decision
	guard := middleware.New(&tokens{}, noting(&seen))
	tests := []struct {
		name   string
		err    error
		status int
		reason error
	}{
		{"no token", middleware.ErrNoToken, 401, middleware.ErrNoToken},
		{"no token, wrapped", fmt.Errorf("secret cause: %w", middleware.ErrNoToken), 401, middleware.ErrNoToken},
		{"any other", errors.New("secret cause"), 403, middleware.ErrAccessDenied},
		{"one's own that wraps it", &middleware.Error{Status: 404, Err: middleware.ErrNoToken}, 404, middleware.ErrNoToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, h := range []http.Handler{guard.Optional(refusingLate(guard, tt.err)), refusingLate(guard, tt.err)} {
				w := serve(h, request())
				require.Equal(t, tt.status, w.Code)
				require.NotContains(t, w.Body.String(), "secret")
				if tt.status == 401 {
					require.Equal(t, `Bearer realm="api"`, challengeOf(w), "without an error, RFC 6750 §3.1")
					require.Equal(t, sayMissing+"\n", w.Body.String())
				}
				require.Equal(t, tt.reason, seen[len(seen)-1].Reason)
			}
		})
	}
}

// For handlers that ask the guard by themselves.
func TestRefuseAnswersTheErrorOfCheck(t *testing.T) {
	guard := middleware.New(&tokens{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := guard.Check(r); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		fmt.Fprint(w, "hello user-1")
	})
	for _, authorization := range []string{"Bearer reader", "Bearer bad", "Bearer unavailable", "Bearer", "Basic x"} {
		want, got := serve(guard.Handler(ok), request(authorization)), serve(h, request(authorization))
		require.Equal(t, want.Code, got.Code, authorization)
		require.Equal(t, want.Header(), got.Header(), authorization)
		require.Equal(t, want.Body.String(), got.Body.String(), authorization)
	}
}

// An outage of the keys is one whoever has noticed it.
func TestTheReasonOfARefusalOfCheckIsThatOfTheGuard(t *testing.T) {
	var seen []middleware.Decision
	guard := middleware.New(&tokens{}, noting(&seen))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := guard.Check(r)
		guard.Refuse(w, r, err)
	})
	for _, authorization := range []string{"Bearer bad", "Bearer unavailable", "Basic x"} {
		seen = nil
		serve(guard.Handler(ok), request(authorization))
		serve(h, request(authorization))
		require.Len(t, seen, 2)
		require.Equal(t, seen[0].Reason, seen[1].Reason, authorization)
	}
}

func TestRefuseForgetsWhatAnotherAnswerWasWrittenIn(t *testing.T) {
	guard := middleware.New(&tokens{})
	h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Content-Encoding", "Content-Disposition", "Content-Range", "ETag", "Last-Modified"} {
			w.Header().Set(name, "another's")
		}
		w.Header().Set("X-Request-Id", "7")
		guard.Refuse(w, r, errors.New("no"))
	}))
	got := serve(h, request("Bearer reader"))
	require.Equal(t, http.StatusForbidden, got.Code)
	require.NotContains(t, fmt.Sprint(got.Header()), "another's")
	require.Equal(t, "7", got.Header().Get("X-Request-Id"))
}

func TestRefuseAlwaysRefuses(t *testing.T) {
	for name, guard := range map[string]*middleware.Guard{"a guard": having(""), "a zero value": {}} {
		w := serve(having("").Handler(refusingLate(guard, nil)), sent("GET", "/"))
		require.Equal(t, 403, w.Code, name)
		require.Equal(t, denied, challengeOf(w), name)
		require.Equal(t, sayDenied, w.Body.String(), name)
	}
}

func TestTheLogTellsWhoHasRefused(t *testing.T) {
	var log strings.Builder
	guard := middleware.New(&tokens{}, middleware.WithObserver(middleware.LogDecisions(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime})))))
	serve(guard.RequireScope("openid")(refusingLate(guard, fmt.Errorf("no profile: %w", claims.ErrUnavailable))), request("Bearer reader"))
	require.Equal(t, `level=ERROR msg="request undecided" method=GET issuer=https://issuer.example/ client_id=client-1 status=503 requirement="the handler" `+
		`reason="middleware: what the request depends on is not available: no profile: claims: tokens cannot be checked now"`+"\n", log.String())
}

// The length of what the handler meant to send would cut the refusal short.
func TestRefuseForgetsTheLengthOfAnotherAnswer(t *testing.T) {
	guard := having("")
	server := httptest.NewServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		guard.Refuse(w, r, errors.New("late"))
	})))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer x")
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, sayDenied, string(body))
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
}

// Whose fault it is that there is no profile is known to package userinfo, and the
// status follows.
func TestRefuseAnswersTheErrorsOfPackageUserinfo(t *testing.T) {
	issuer, stranger := authtest.NewIssuer(t), authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience, claims.WithIssuer(stranger.Config(audience))))
	status := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(status)
		})
	}
	body := func(contentType, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, body)
		})
	}
	openID := []authtest.TokenOption{authtest.Scope("openid")}
	tests := []struct {
		wraps      error
		userinfo   http.Handler
		token      []authtest.TokenOption
		status     int
		code       string
		retryAfter string
	}{
		{userinfo.ErrScope, nil, nil, 403, "insufficient_scope", ""},
		{userinfo.ErrNoUser, nil, append(openID, authtest.Subject("client-1")), 403, "access_denied", ""},
		{userinfo.ErrAudience, nil, append(openID, authtest.Audience(audience)), 403, "access_denied", ""},
		{userinfo.ErrUnauthorized, status(401), openID, 401, "invalid_token", ""},
		{userinfo.ErrForbidden, status(403), openID, 403, "access_denied", ""},
		{userinfo.ErrUnavailable, status(500), openID, 503, "temporarily_unavailable", "30"},
		{userinfo.ErrRateLimited, status(429), openID, 503, "temporarily_unavailable", "30"},
		{userinfo.ErrContentType, body("text/html", "<html>"), openID, 503, "temporarily_unavailable", "5"},
		{userinfo.ErrMalformed, body("application/json", "{"), openID, 503, "temporarily_unavailable", "5"},
		{userinfo.ErrSubject, body("application/json", `{"sub":"eve"}`), openID, 503, "temporarily_unavailable", "5"},
	}
	for _, tt := range tests {
		t.Run(tt.wraps.Error(), func(t *testing.T) {
			config := userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()}
			if tt.wraps == userinfo.ErrAudience {
				config.Audience = issuer.UserinfoURL()
			}
			users, err := userinfo.NewClient(config)
			require.NoError(t, err)
			issuer.SetUserinfo(tt.userinfo)
			h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := users.Profile(r.Context())
				require.ErrorIs(t, err, tt.wraps)
				guard.Refuse(w, r, err)
			}))
			r := plain("GET", "/")
			issuer.Authorize(r, tt.token...)
			w := serve(h, r)
			require.Equal(t, tt.status, w.Code)
			require.Contains(t, w.Body.String(), `{"error":"`+tt.code+`"`)
			require.Equal(t, tt.status != 503, challengeOf(w) != "")
			require.Equal(t, tt.retryAfter, w.Header().Get("Retry-After"))
		})
	}
	// Those that it takes more to cause, by what they wrap.
	for _, err := range []error{userinfo.ErrNoEndpoint, userinfo.ErrTooLarge, userinfo.ErrUnverified, userinfo.ErrEncrypted} {
		require.Equal(t, 503, serve(guard.Optional(refusingLate(guard, fmt.Errorf("wrapped: %w", err))), request()).Code, err)
	}
	require.Equal(t, 403, serve(guard.Optional(refusingLate(guard, userinfo.ErrIssuer)), request()).Code)
}
