package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func TestItRunsAsItShould(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, stage.Run(t.Context(), &out, play))
	for _, row := range []string{
		`a user's +200 +1 +hello, Ada Example of cardiology$`,
		`the same again +200 +0 +hello, Ada Example of cardiology$`,
		`without the scope openid +403 +0 `,
		`a machine's +403 +0 `,
		`another, and the issuer answers 429 +503 +1 .* \(Retry-After: 30\)$`,
		`another, and the issuer is slow +503 +1 .* no answer in time`,
		`another, and the issuer is down +503 +1 `,
		`the user's, who is known for a minute +200 +0 +hello, Ada`,
	} {
		require.Regexp(t, `(?m)^`+row, out.String())
	}
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
}

func TestItEndsWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, stage.Run(ctx, io.Discard, play), context.Canceled)
}

func newTestAPI(t *testing.T) (*authtest.Issuer, http.Handler) {
	t.Helper()
	issuer := authtest.NewIssuer(t)
	issuer.AddUser("ada", map[string]any{"name": "Ada Example", "https://example.com/department": "cardiology"})
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
	require.NoError(t, err)
	return issuer, newAPI(issuer.Validator(audience), users)
}

func ask(api http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/hello", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

func TestWhatTheClientIsTold(t *testing.T) {
	issuer, api := newTestAPI(t)
	hers := []authtest.TokenOption{authtest.Subject("ada"), authtest.Scope("openid", "profile")}
	tests := []struct {
		name      string
		token     []authtest.TokenOption // besides
		issuer    http.Handler           // nil: it answers as it should
		calls     int
		status    int
		challenge string // a part of it; "": there is none
		wait      string
	}{
		{"a profile", nil, nil, 1, 200, "", ""},
		{"no openid", []authtest.TokenOption{authtest.Scope("profile", "email")}, nil, 0, 403, `error="insufficient_scope", `, ""},
		{"what to ask for", []authtest.TokenOption{authtest.Scope("profile")}, nil, 0, 403, `scope="openid profile"`, ""},
		{"a machine", []authtest.TokenOption{authtest.Machine("nightly")}, nil, 0, 403, `Bearer realm="api"`, ""},
		{"revoked", nil, answer(401, ""), 1, 401, `error="invalid_token"`, ""},
		{"not told", nil, answer(403, ""), 1, 403, `Bearer realm="api"`, ""},
		{"too often", nil, answer(429, "30"), 1, 503, "", "30"},
		{"an outage", nil, answer(503, ""), 1, 503, "", "5"},
		{"somebody else's profile", nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"sub":"eve","name":"Eve"}`)
		}), 1, 503, "", "5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer.SetUserinfo(tt.issuer)
			before := issuer.UserinfoRequests()
			w := ask(api, issuer.Token(append(hers, tt.token...)...))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.calls, issuer.UserinfoRequests()-before)
			require.Equal(t, tt.wait, w.Header().Get("Retry-After"))
			if tt.challenge == "" {
				require.Empty(t, w.Header().Get("WWW-Authenticate"))
			}
			require.Contains(t, w.Header().Get("WWW-Authenticate"), tt.challenge)
			require.NotContains(t, w.Body.String(), "issuer-", "where the issuer is, is for the log")
			require.NotContains(t, w.Body.String(), "Eve")
		})
	}
}

func TestAProfileIsAskedForOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, api := newTestAPI(t)
		token := issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))
		says := func(text string, calls int) {
			t.Helper()
			require.Equal(t, text, ask(api, token).Body.String())
			require.Equal(t, calls, issuer.UserinfoRequests())
		}
		says("hello, Ada Example of cardiology\n", 1)
		issuer.AddUser("ada", map[string]any{"name": "Ada Smith", "https://example.com/department": "surgery"})
		time.Sleep(time.Minute - 1)
		says("hello, Ada Example of cardiology\n", 1)
		time.Sleep(1 * time.Nanosecond)
		says("hello, Ada Smith of surgery\n", 2)
	})
}

func TestRequestsOfOneUserShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, api := newTestAPI(t)
		issuer.SetDelay(time.Second)
		token := issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if w := ask(api, token); w.Code != 200 {
					t.Error(w.Code, w.Body)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, issuer.UserinfoRequests())
	})
}

func TestAnIssuerThatHangsHoldsUpThoseOnlyWhoAreNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, api := newTestAPI(t)
		known := issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))
		require.Equal(t, 200, ask(api, known).Code)
		defer issuer.Hang()()
		began := time.Now()
		unknown := make(chan int, 1)
		go func() {
			unknown <- ask(api, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))).Code
		}()
		synctest.Wait()
		require.Equal(t, 200, ask(api, known).Code)
		require.Zero(t, time.Since(began))
		require.Equal(t, 503, <-unknown)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestACustomClaimOfAnotherTypeIsNoGreeting(t *testing.T) {
	issuer, api := newTestAPI(t)
	issuer.AddUser("ada", map[string]any{"name": "Ada Example", "https://example.com/department": 7})
	require.Equal(t, 502, ask(api, issuer.Token(authtest.Subject("ada"), authtest.Scope("openid", "profile"))).Code)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The suite has outages of the issuer, in which it wants good tokens to be let in. So the
// endpoint is somewhere else here, and always has a profile.
func TestTheAPIStands(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	endpoint := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"sub":"`+authtest.DefaultSubject+`"}`)
		return w.Result(), err
	})}
	users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), URL: "https://users.test/", Client: endpoint})
	require.NoError(t, err)
	issuer.Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(v, users) },
		Request:  httptest.NewRequest("GET", "/hello", nil),
		Audience: audience,
		Scope:    []string{"openid", "profile"},
	})
}
