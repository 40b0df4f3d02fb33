package userinfo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

func TestTheStatusCountsWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := time.Second
		c := &crowd{takes: func(string) time.Duration { return takes }}
		const other = "https://another.example/"
		users, err := userinfo.NewClient(userinfo.Config{Issuer: issuerURL, URL: endpoint, Client: &http.Client{Transport: c}},
			userinfo.WithIssuer(userinfo.Config{Issuer: other}))
		require.NoError(t, err)
		is := func(want userinfo.Status) {
			t.Helper()
			want.Issuer = issuerURL
			require.Equal(t, []userinfo.Status{{Issuer: other}, want}, users.Status())
		}
		is(userinfo.Status{})

		for range 3 { // of which two share the call of the first
			go func() { _, _ = users.Profile(of(t.Context(), "ada", 0)) }()
		}
		synctest.Wait()
		is(userinfo.Status{Misses: 3, Calls: 1, InFlight: 1})
		time.Sleep(time.Second)
		synctest.Wait()
		is(userinfo.Status{Misses: 3, Calls: 1, Entries: 1})
		_, err = users.Profile(of(t.Context(), "ada", 0))
		require.NoError(t, err)
		is(userinfo.Status{Hits: 1, Misses: 3, Calls: 1, Entries: 1})

		noUser := ada()
		noUser.Subject = ""
		_, err = users.Profile(behind(t.Context(), token, noUser))
		require.ErrorIs(t, err, userinfo.ErrNoUser)
		is(userinfo.Status{Hits: 1, Misses: 3, Calls: 1, Entries: 1})

		takes = time.Hour
		_, err = users.Profile(of(t.Context(), "eve", 0))
		require.ErrorIs(t, err, userinfo.ErrUnavailable)
		synctest.Wait()
		is(userinfo.Status{Hits: 1, Misses: 4, Calls: 2, Failures: 1, Entries: 1})
	})
}

func TestARefusalIsNoFailureInTheStatus(t *testing.T) {
	users := says(401, "", "").client(t, userinfo.Config{})
	for range 2 {
		_, err := users.Profile(behind(t.Context(), token, ada()))
		require.ErrorIs(t, err, userinfo.ErrUnauthorized)
	}
	require.Equal(t, []userinfo.Status{{Issuer: issuerURL, Hits: 1, Misses: 1, Calls: 1, Entries: 1}}, users.Status())
}

func TestTheStatusShowsADeafTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := (&issuer{answer: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Hour)
			return nil, errors.New("at last")
		}}).client(t, userinfo.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for n := range 40 {
			_, err := users.Profile(of(ctx, fmt.Sprint("user", n), 0))
			require.ErrorIs(t, err, userinfo.ErrUnavailable)
			time.Sleep(2 * time.Second)
		}
		require.Equal(t, []userinfo.Status{{Issuer: issuerURL, Misses: 40, Calls: 32, Failures: 32, GivenUp: 32}}, users.Status())
		time.Sleep(2 * time.Hour)
		require.Equal(t, []userinfo.Status{{Issuer: issuerURL, Misses: 40, Calls: 32, Failures: 32}}, users.Status())
	})
}
