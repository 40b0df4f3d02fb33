package userinfo_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// A site is an issuer with metadata that a test can change.
type site struct {
	metadata string // "": 503
	header   []string
	moved    bool // nothing is at the first endpoint any more
	searches int
	asked    []string
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		s.searches++
		if r.Header.Get("Authorization") != "" {
			return nil, fmt.Errorf("a token was sent to the metadata")
		}
		if s.metadata == "" {
			return response(r, 503, "text/plain", strings.NewReader(""), s.header...), nil
		}
		return response(r, 200, "application/json", strings.NewReader(s.metadata)), nil
	}
	s.asked = append(s.asked, r.URL.String())
	if s.moved && r.URL.String() == endpoint {
		return response(r, 404, "text/plain", strings.NewReader("")), nil
	}
	return response(r, 200, "application/json", strings.NewReader(`{"sub":"ada"}`)), nil
}

func metadata(userinfo string) string {
	return `{"issuer":"` + issuerURL + `","jwks_uri":"https://issuer.example/jwks","userinfo_endpoint":` + userinfo + `}`
}

func (s *site) client(t *testing.T, config userinfo.Config) *userinfo.Client {
	t.Helper()
	config.Issuer, config.Client = issuerURL, &http.Client{Transport: s}
	if config.MaxAge == 0 {
		config.MaxAge = userinfo.NoCache
	}
	users, err := userinfo.NewClient(config)
	require.NoError(t, err)
	return users
}

func TestMetadataThatNameNoEndpointToAsk(t *testing.T) {
	tests := []struct {
		metadata string
		want     error
	}{
		{metadata(`"` + endpoint + `"`), nil},
		{metadata(`"https://elsewhere.example/userinfo"`), nil}, // the issuer says so
		{`{"issuer":"` + issuerURL + `"}`, userinfo.ErrNoEndpoint},
		{metadata(`""`), userinfo.ErrNoEndpoint},
		{metadata(`7`), userinfo.ErrNoEndpoint},
		{metadata(`"/userinfo"`), userinfo.ErrNoEndpoint},
		{metadata(`"http://issuer.example/userinfo"`), userinfo.ErrNoEndpoint},
		{metadata(`"http://127.0.0.1/userinfo"`), userinfo.ErrNoEndpoint}, // what an issuer out there has no business with
		{metadata(`"https://me:secret@issuer.example/"`), userinfo.ErrNoEndpoint},
		{`{"issuer":"https://evil.example/","userinfo_endpoint":"https://evil.example/userinfo"}`, userinfo.ErrUnavailable},
		{`<html>`, userinfo.ErrUnavailable},
		{``, userinfo.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.metadata, func(t *testing.T) {
			s := &site{metadata: tt.metadata}
			_, err := s.client(t, userinfo.Config{}).Profile(behind(t.Context(), token, ada()))
			require.ErrorIs(t, err, tt.want)
			if tt.want != nil {
				require.ErrorIs(t, err, claims.ErrUnavailable)
				require.Empty(t, s.asked)
				require.Positive(t, wait(err))
				require.NotContains(t, err.Error(), "secret")
			}
		})
	}
}

// While there is no endpoint, it is looked for once a second, whoever asks.
func TestFailedSearchesAreSeldom(t *testing.T) {
	for _, tt := range []struct {
		header []string
		pause  time.Duration
	}{
		{nil, time.Second},
		{[]string{"Retry-After", "20"}, 20 * time.Second},
		{[]string{"Retry-After", "7200"}, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &site{header: tt.header}
			users := s.client(t, userinfo.Config{})
			who := ada()
			for n := range 5 {
				_, err := users.Profile(behind(t.Context(), fmt.Sprint(token, n), who))
				require.ErrorIs(t, err, userinfo.ErrUnavailable)
				require.Equal(t, tt.pause, wait(err))
			}
			require.Equal(t, 1, s.searches)
			s.metadata = metadata(`"` + endpoint + `"`)
			time.Sleep(tt.pause)
			_, err := users.Profile(behind(t.Context(), token, who))
			require.NoError(t, err)
			require.Equal(t, 2, s.searches)
		})
	}
}

func TestAnEndpointIsKeptForADayAndServesBeyondThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{metadata: metadata(`"` + endpoint + `"`)}
		users := s.client(t, userinfo.Config{})
		ask := func() {
			t.Helper()
			_, err := users.Profile(behind(t.Context(), token, ada()))
			require.NoError(t, err)
			synctest.Wait()
		}
		ask()
		time.Sleep(24*time.Hour - time.Second)
		ask()
		require.Equal(t, 1, s.searches)
		time.Sleep(time.Second)
		s.metadata = "" // an outage of the metadata harms nobody
		ask()
		ask()
		require.Equal(t, 2, s.searches)
		time.Sleep(time.Minute)
		s.metadata = metadata(`"https://issuer.example/new"`)
		ask()
		require.Equal(t, 3, s.searches)
		ask()
		require.Equal(t, 3, s.searches)
		require.Equal(t, []string{endpoint, endpoint, endpoint, endpoint, endpoint, "https://issuer.example/new"}, s.asked)
	})
}

func TestAnEndpointThatDoesNotAnswerIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{metadata: metadata(`"` + endpoint + `"`)}
		users := s.client(t, userinfo.Config{})
		ask := func() error {
			_, err := users.Profile(behind(t.Context(), token, ada()))
			synctest.Wait()
			return err
		}
		require.NoError(t, ask())
		time.Sleep(time.Hour)
		s.moved, s.metadata = true, metadata(`"https://issuer.example/new"`)
		require.ErrorIs(t, ask(), userinfo.ErrUnavailable)
		require.ErrorIs(t, ask(), userinfo.ErrUnavailable) // it is looked for behind this one
		require.NoError(t, ask())
		require.Equal(t, 2, s.searches)
		require.Equal(t, "https://issuer.example/new", s.asked[len(s.asked)-1])

		// Where the new one answers, there is no doubt any more. (The last answer of the
		// old one may have come after the search, and have it searched for once more.)
		for range 120 {
			time.Sleep(time.Minute)
			require.NoError(t, ask())
		}
		require.LessOrEqual(t, s.searches, 3)

		// One that goes on failing is looked for once a minute.
		s.metadata, s.moved = metadata(`"`+endpoint+`"`), true
		time.Sleep(24 * time.Hour)
		_ = ask()
		for range 120 {
			require.ErrorIs(t, ask(), userinfo.ErrUnavailable)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, s.searches, 6)
	})
}

// Only what an endpoint that has moved would say casts a doubt on it.
func TestWhatCastsADoubtOnTheEndpoint(t *testing.T) {
	tests := []struct {
		status      int
		contentType string
		body        string
		doubt       bool
	}{
		{200, "application/json", `{"sub":"ada"}`, false},
		{200, "application/json", `{"sub":"eve"}`, false},
		{200, "application/json", `nonsense`, false},
		{200, "text/html", `<html>`, true},
		{401, "", "", false},
		{403, "", "", false},
		{404, "", "", true},
		{429, "", "", false},
		{503, "", "", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.contentType, tt.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &site{metadata: metadata(`"` + endpoint + `"`)}
				users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, MaxAge: userinfo.NoCache, Client: &http.Client{Transport: &issuer{answer: func(r *http.Request) (*http.Response, error) {
					if strings.Contains(r.URL.Path, "/.well-known/") {
						return s.RoundTrip(r)
					}
					return response(r, tt.status, tt.contentType, strings.NewReader(tt.body)), nil
				}}}})
				require.NoError(t, err)
				for n := range 2 {
					_, _ = users.Profile(behind(t.Context(), fmt.Sprint(token, n), ada()))
					synctest.Wait()
					time.Sleep(time.Hour)
				}
				require.Equal(t, tt.doubt, s.searches == 2)
			})
		})
	}
}
