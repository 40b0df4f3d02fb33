package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func TestItRunsAsItShould(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, stage.Run(t.Context(), &out, play))
	for _, line := range []string{
		"    the caller sees  201 7 bytes from nightly\n",
		"    reports refuses  401 the token has expired: 1 h ago",
		"    the caller sees  no token: \"invalid_client\" (401)\n",
		"    the caller sees  no token: \"invalid_target\" (400)\n",
		"    reports refuses  403 the token lacks a scope: write:reports\n",
		"    reports refuses  403 the token has no sign of a machine\n",
	} {
		require.Contains(t, out.String(), line)
	}
	require.NotContains(t, out.String(), "eyJ", "no token is printed")
}

// A wrong answer must show, or what is printed proves nothing.
func TestAWrongAnswerIsAnError(t *testing.T) {
	require.EqualError(t, stage.Run(t.Context(), io.Discard, func(ctx context.Context, s *stage.Stage) error {
		s.Open(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		return act{"A user's token", http.DefaultClient, "^403 "}.show(ctx, s)
	}), "A user's token: the caller should see ^403 ")
}

func TestItEndsWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	require.ErrorIs(t, stage.Run(ctx, io.Discard, play), context.Canceled)
}

// The rest is in memory, where an hour is soon over.

// services are an issuer, the reports service, and a network between it and its caller.
type services struct {
	issuer *authtest.Issuer
	api    http.Handler
	client *http.Client
	caller *caller

	slow     time.Duration                                  // how long a request is on its way
	answer   func(*http.Request) *httptest.ResponseRecorder // in place of the service; nil: the service does
	sent     []string                                       // each request: host, and status of the answer
	received atomic.Int32                                   // reports that the service took
	tokens   atomic.Int32                                   // requests to the token endpoint
	mu       sync.Mutex
}

func newServices(t *testing.T) *services {
	s := &services{issuer: authtest.NewIssuer(t)}
	s.issuer.AddClient("nightly", "nightly-secret", audience, "write:reports")
	s.api = newReports(s.issuer.Validator(audience))
	config := credentials(s.issuer.TokenURL(), "nightly", "nightly-secret", audience)
	s.client = newCaller(config, &url.URL{Scheme: "https", Host: "reports.test"}, roundTripper(s.deliver))
	s.client.Timeout = 24 * time.Hour // requests here are slow
	s.caller = s.client.Transport.(*caller)
	return s
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// deliver is the network.
func (s *services) deliver(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	time.Sleep(s.slow)
	w := httptest.NewRecorder()
	if s.answer != nil {
		w = s.answer(r)
	} else {
		s.api.ServeHTTP(w, r)
	}
	if w.Code == http.StatusCreated {
		s.received.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, r.URL.Host+" "+http.StatusText(w.Code))
	return w.Result(), nil
}

// post sends a report, through a context that has the issuer's client.
func (s *services) post(t *testing.T, body io.Reader) (status int, text string, err error) {
	counted := roundTripper(func(r *http.Request) (*http.Response, error) {
		s.tokens.Add(1)
		return s.issuer.HTTPClient().Transport.RoundTrip(r)
	})
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: counted})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://reports.test/reports", body)
	require.NoError(t, err)
	response, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	return response.StatusCode, string(read), err
}

func report() io.Reader { return strings.NewReader("all ok\n") }

func TestNobodyWaitsForATokenLongerThanItsRequestMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		release := s.issuer.Hang()
		defer release()
		begin := time.Now()
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, s.issuer.HTTPClient())
		try := func(patience time.Duration) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			_, err := s.caller.get(ctx, "")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, patience, time.Since(begin))
		}
		var all sync.WaitGroup
		all.Go(func() { try(10 * time.Second) }) // it asks the issuer
		synctest.Wait()
		all.Go(func() { try(time.Second) }) // it waits for the first
		all.Wait()
	})
}

func TestATokenIsUsedUntilShortlyBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		for _, wait := range []time.Duration{0, 30 * time.Minute, 29 * time.Minute} {
			time.Sleep(wait)
			status, _, err := s.post(t, report())
			require.NoError(t, err)
			require.Equal(t, 201, status)
			require.EqualValues(t, 1, s.tokens.Load())
		}
		time.Sleep(time.Minute - 5*time.Second)
		status, _, err := s.post(t, report())
		require.NoError(t, err)
		require.Equal(t, 201, status)
		require.EqualValues(t, 2, s.tokens.Load())
		require.NotContains(t, s.sent, "reports.test Unauthorized", "by the clock, and not by trying")
	})
}

func TestATokenThatExpiresOnTheWayIsRenewedAndTheRequestSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		_, _, err := s.post(t, report())
		require.NoError(t, err)
		time.Sleep(50 * time.Minute)
		s.slow = 11 * time.Minute
		status, text, err := s.post(t, report())
		require.NoError(t, err)
		require.Equal(t, 201, status)
		require.Equal(t, "7 bytes from nightly\n", text, "with its whole body")
		require.Equal(t, []string{"reports.test Created", "reports.test Unauthorized", "reports.test Created"}, s.sent)
		require.EqualValues(t, 2, s.tokens.Load())
		require.EqualValues(t, 2, s.received.Load(), "no report came twice")
	})
}

// A stream is gone once it was sent: the caller hears that it was refused.
func TestABodyThatCannotBeHadAgainIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		s.slow = 61 * time.Minute
		status, _, err := s.post(t, io.MultiReader(report()))
		require.NoError(t, err)
		require.Equal(t, 401, status)
		require.Len(t, s.sent, 1)
	})
}

// Each token costs the issuer, and often money.
func TestARefusalOfNewTokensDoesNotMakeMoreOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		s.api = newReports(s.issuer.Validator("https://example.com/moved")) // refuses them all
		for range 20 {
			status, text, err := s.post(t, report())
			require.NoError(t, err)
			require.Equal(t, 401, status)
			require.Contains(t, text, "invalid_token")
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, s.tokens.Load(), int32(2), "one, and one more after ten seconds")
	})
}

func TestManyRequestsWithTheSameExpiredTokenRenewItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		_, _, err := s.post(t, report())
		require.NoError(t, err)
		time.Sleep(50 * time.Minute)
		s.slow = 11 * time.Minute
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				status, _, err := s.post(t, report())
				if err != nil || status != 201 {
					t.Error(status, err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 2, s.tokens.Load())
		require.EqualValues(t, 11, s.received.Load())
	})
}

func TestARefusalThatAnotherTokenDoesNotHelpIsNotRepeated(t *testing.T) {
	for challenge, status := range map[string]int{
		`Bearer error="insufficient_scope", scope="write:reports"`: 403,
		`Bearer error="insufficient_user_authentication"`:          401,
		`Bearer realm="api"`: 401,
		``:                   503,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServices(t)
			_, _, err := s.post(t, report())
			require.NoError(t, err)
			time.Sleep(time.Minute)
			s.answer = func(*http.Request) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(status)
				return w
			}
			got, _, err := s.post(t, report())
			require.NoError(t, err)
			require.Equal(t, status, got)
			require.Len(t, s.sent, 2)
			require.EqualValues(t, 1, s.tokens.Load())
		})
	}
}

func TestARedirectElsewhereTakesNoTokenAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		s.answer = func(r *http.Request) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			if r.URL.Host == "reports.test" {
				require.NotEmpty(t, r.Header.Get("Authorization"))
				http.Redirect(w, r, "https://elsewhere.test/reports", http.StatusTemporaryRedirect)
			} else {
				require.Empty(t, r.Header.Get("Authorization"))
			}
			return w
		}
		_, _, err := s.post(t, report())
		require.NoError(t, err)
		require.Equal(t, []string{"reports.test Temporary Redirect", "elsewhere.test OK"}, s.sent)
	})
}

func TestNoTokenIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServices(t)
		s.issuer.SetDown(true)
		_, _, err := s.post(t, report())
		require.ErrorContains(t, err, "503")
		require.Empty(t, s.sent, "nothing was sent without one")

		// A token that is refused while the issuer is down: the refusal is what to tell.
		s.issuer.SetDown(false)
		_, _, err = s.post(t, report())
		require.NoError(t, err)
		time.Sleep(50 * time.Minute)
		s.slow = 11 * time.Minute
		s.issuer.SetDown(true)
		status, _, err := s.post(t, report())
		require.NoError(t, err)
		require.Equal(t, 401, status)
	})
}

func TestTheReportsServiceStands(t *testing.T) {
	authtest.NewIssuer(t).Suite(t, authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newReports(v) },
		Request:  httptest.NewRequest("POST", "/reports", report()),
		Audience: audience,
		Scope:    []string{"write:reports"},
		Token:    []authtest.TokenOption{authtest.Claim("gty", "client-credentials")},
	})
}
