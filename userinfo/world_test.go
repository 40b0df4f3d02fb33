package userinfo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

const (
	issuerURL = "https://issuer.example/"
	endpoint  = "https://issuer.example/userinfo"

	// As tokens look, and none: what it says is said by [ada].
	token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJpc3N1ZXIiLCJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"
)

// ada returns claims of a user's token that may be sent.
func ada() *claims.Claims {
	return &claims.Claims{
		Issuer: issuerURL, Subject: "ada", ClientID: "client-1",
		Scope: scope.FromToken("openid"), Expiry: time.Now().Add(time.Hour),
	}
}

type validatorFunc func(context.Context, string) (*claims.Claims, error)

func (f validatorFunc) Validate(ctx context.Context, token string) (*claims.Claims, error) {
	return f(ctx, token)
}

// behind returns the context of a handler behind a guard that has found these claims
// in the token.
func behind(ctx context.Context, token string, c *claims.Claims) context.Context {
	guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) { return c, nil }))
	return behindGuard(ctx, guard.Handler, token)
}

// behindGuard returns the context of a handler behind a guard, nil where the token is
// not let through.
func behindGuard(ctx context.Context, guard func(http.Handler) http.Handler, token string) (seen context.Context) {
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Context() })).ServeHTTP(httptest.NewRecorder(), r)
	return seen
}

// An issuer answers what is sent to it, and counts.
type issuer struct {
	answer func(*http.Request) (*http.Response, error)
	asked  atomic.Int32
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked.Add(1)
	return i.answer(r)
}

// says returns an issuer that always says the same.
func says(status int, contentType, body string, header ...string) *issuer {
	return &issuer{answer: func(r *http.Request) (*http.Response, error) {
		return response(r, status, contentType, strings.NewReader(body), header...), nil
	}}
}

func response(r *http.Request, status int, contentType string, body io.Reader, header ...string) *http.Response {
	h := http.Header{"Content-Type": {contentType}}
	for n := 0; n+1 < len(header); n += 2 {
		h.Set(header[n], header[n+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(body), ContentLength: -1, Request: r}
}

// saysJSON returns an issuer whose profiles are this.
func saysJSON(body string) *issuer { return says(200, "application/json", body) }

// client returns a client for an issuer, as the Config says otherwise.
func (i *issuer) client(t testing.TB, config userinfo.Config) *userinfo.Client {
	t.Helper()
	config.Issuer, config.URL = issuerURL, endpoint
	config.Client = &http.Client{Transport: i}
	users, err := userinfo.NewClient(config)
	require.NoError(t, err)
	return users
}

// ask asks about ada.
func (i *issuer) ask(t *testing.T) (*userinfo.Profile, error) {
	t.Helper()
	return i.client(t, userinfo.Config{}).Profile(behind(t.Context(), token, ada()))
}

// wait returns what an error says of when to ask again, zero where it says nothing.
func wait(err error) time.Duration {
	if hint, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return hint.RetryAfter()
	}
	return 0
}
