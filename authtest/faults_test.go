package authtest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// The scenarios of jwks, by what a user of authtest has alone: an issuer that
// fails, and a bubble in which time costs nothing.

// A trial is an issuer and a validator in a bubble.
type trial struct {
	*testing.T
	issuer    *authtest.Issuer
	validator *claims.Validator
}

func inBubble(t *testing.T, f func(trial)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		issuer := authtest.NewIssuer(t)
		keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient(), Jitter: jwks.NoJitter})
		require.NoError(t, err)
		config := issuer.Config(audience)
		config.Keys = keys // whose ages are exact
		v, err := claims.NewValidator(config)
		require.NoError(t, err)
		f(trial{t, issuer, v})
	})
}

// validate returns how a token is judged that is made now, and how long that took.
func (t trial) validate() (time.Duration, error) { return t.judge(t.issuer.Token()) }

func (t trial) judge(token string) (time.Duration, error) {
	start := time.Now()
	_, err := t.validator.Validate(t.Context(), token)
	return time.Since(start), err
}

// accepts wants a token accepted at once.
func (t trial) accepts(token string) {
	t.Helper()
	took, err := t.judge(token)
	require.NoError(t, err)
	require.Zero(t, took)
}

// longLived outlives every scenario.
func (t trial) longLived() string {
	return t.issuer.Token(authtest.Expiry(time.Now().Add(100 * time.Hour)))
}

func TestARotatedKeyIsFoundAtOnce(t *testing.T) {
	inBubble(t, func(t trial) {
		old := t.issuer.Token()
		t.accepts(old)
		t.issuer.Rotate()
		t.accepts(t.issuer.Token())
		t.accepts(old)
		require.Equal(t, 2, t.issuer.KeyFetches())
		require.Equal(t, 1, t.issuer.DiscoveryFetches())
	})
}

func TestAnAnnouncedKeyNeedsNoFetchOfItsOwn(t *testing.T) {
	inBubble(t, func(t trial) {
		t.issuer.AnnounceKey()
		t.accepts(t.issuer.Token())
		t.issuer.Rotate()
		t.accepts(t.issuer.Token())
		require.Equal(t, 1, t.issuer.KeyFetches())
	})
}

func TestAKeyThatIsPublishedLateIsRefusedUntilThen(t *testing.T) {
	inBubble(t, func(t trial) {
		t.accepts(t.issuer.Token())
		publish := t.issuer.RotateUnpublished()
		_, err := t.validate()
		require.ErrorIs(t, err, claims.ErrUnknownKey)
		publish()
		time.Sleep(10 * time.Second) // when the next fetch for an unknown key is due
		t.accepts(t.issuer.Token())
	})
}

func TestARemovedKeyIsHonouredUntilTheNextRefresh(t *testing.T) {
	inBubble(t, func(t trial) {
		old := t.longLived()
		t.accepts(old)
		t.issuer.Rotate()
		t.issuer.RemoveOldKeys()
		t.accepts(old)
		time.Sleep(5*time.Minute + time.Second)
		t.accepts(old) // and starts the refresh
		synctest.Wait()
		_, err := t.judge(old)
		require.ErrorIs(t, err, claims.ErrUnknownKey)
		t.accepts(t.issuer.Token())
	})
}

func TestMadeUpKeysDoNotFloodTheIssuer(t *testing.T) {
	inBubble(t, func(t trial) {
		t.accepts(t.issuer.Token())
		for range 100 {
			_, err := t.judge(t.issuer.Token(authtest.KeyID("made up")))
			require.ErrorIs(t, err, claims.ErrUnknownKey)
		}
		require.LessOrEqual(t, t.issuer.KeyFetches(), 3)
	})
}

func TestAnIssuerThatIsDownAtTheStart(t *testing.T) {
	inBubble(t, func(t trial) {
		t.issuer.SetDown(true)
		_, err := t.validate()
		require.ErrorIs(t, err, claims.ErrUnavailable)
		t.issuer.SetDown(false)
		time.Sleep(time.Second) // when the next fetch is due
		t.accepts(t.issuer.Token())
	})
}

func TestAnOutageIsServedFromTheLastGoodSetForADay(t *testing.T) {
	inBubble(t, func(t trial) {
		token := t.longLived()
		t.accepts(token)
		t.issuer.SetDown(true)
		for range 23 {
			time.Sleep(time.Hour)
			took, err := t.judge(token)
			require.NoError(t, err)
			require.LessOrEqual(t, took, 2*time.Second)
		}
		time.Sleep(time.Hour)
		_, err := t.judge(token)
		require.ErrorIs(t, err, claims.ErrUnavailable)
	})
}

// Whatever it is that is served in place of the keys, the last good ones remain.
func TestABadKeySetDoesNotReplaceAGoodOne(t *testing.T) {
	for name, set := range map[string]authtest.KeySet{"empty": authtest.EmptyKeySet, "broken": authtest.BrokenKeySet} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t trial) {
				token := t.longLived()
				t.accepts(token)
				t.issuer.SetKeySet(set)
				time.Sleep(10 * time.Minute)
				t.accepts(token)
				synctest.Wait()
				t.accepts(token)
				require.Equal(t, 2, t.issuer.KeyFetches())

				_, err := t.issuer.Validator(audience).Validate(t.Context(), token)
				require.ErrorIs(t, err, claims.ErrUnavailable, "nobody knows the keys")
			})
		})
	}
}

func TestOddKeysDoNotKeepTheGoodOnesFromServing(t *testing.T) {
	inBubble(t, func(t trial) {
		t.issuer.SetKeySet(authtest.MixedKeySet)
		t.accepts(t.issuer.Token())
		t.issuer.SetKeySet(authtest.GoodKeySet)
		t.accepts(t.issuer.Token())
	})
}

func TestASlowIssuerDelaysTheFirstRequestOnly(t *testing.T) {
	inBubble(t, func(t trial) {
		t.issuer.SetDelay(time.Second)
		took, err := t.validate()
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, took, "a second for the metadata and one for the keys")
		t.accepts(t.issuer.Token())
		time.Sleep(6 * time.Minute)
		t.accepts(t.issuer.Token()) // the refresh is in the background
		synctest.Wait()
	})
}

func TestARequestWaitsForAnIssuerThatHangsWithinItsOwnTime(t *testing.T) {
	inBubble(t, func(t trial) {
		release := t.issuer.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := t.validator.Validate(ctx, t.issuer.Token())
		require.ErrorIs(t, err, claims.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		release()
		t.accepts(t.issuer.Token())
	})
}

// A test may end in the middle of anything: the issuer's clean-up, which is the
// bubble's, awaits it.
func TestATestMayEndWhileTheIssuerIsSlow(t *testing.T) {
	inBubble(t, func(t trial) {
		t.issuer.SetDelay(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := t.validator.Validate(ctx, t.issuer.Token())
		require.ErrorIs(t, err, claims.ErrUnavailable)
	})
}

// askUserinfo asks the userinfo endpoint who the user is.
func askUserinfo(t *testing.T, issuer *authtest.Issuer, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer.UserinfoURL(), nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := issuer.HTTPClient().Do(r)
	require.NoError(t, err)
	response.Body.Close()
	return response
}

func TestTheUserinfoEndpointCanBeAnsweredBySomebodyElse(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	token := issuer.Token(authtest.Audience(audience), authtest.Scope("openid"))
	ask := func() int { return askUserinfo(t, issuer, token).StatusCode }
	require.Equal(t, http.StatusOK, ask())
	issuer.SetUserinfo(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	require.Equal(t, http.StatusTooManyRequests, ask())
	issuer.SetUserinfo(nil)
	require.Equal(t, http.StatusOK, ask())
	require.Equal(t, 3, issuer.UserinfoRequests())
}

// What is tested with SetDown on a guard that has just started is the guard; with
// SetUserinfo it is the handler.
func TestWhoseOutageItIs(t *testing.T) {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for _, tt := range []struct {
		name     string
		begin    func(*authtest.Issuer, *claims.Validator)
		lets     bool // the guard lets the request through
		answered int  // by the userinfo endpoint
	}{
		{"down, keys not known", func(i *authtest.Issuer, _ *claims.Validator) { i.SetDown(true) }, false, http.StatusServiceUnavailable},
		{"down, keys known", func(i *authtest.Issuer, v *claims.Validator) {
			require.NoError(t, v.Warm(t.Context()))
			i.SetDown(true)
		}, true, http.StatusServiceUnavailable},
		{"userinfo alone, keys not known", func(i *authtest.Issuer, _ *claims.Validator) { i.SetUserinfo(refuse) }, true, http.StatusServiceUnavailable},
		{"none", func(*authtest.Issuer, *claims.Validator) {}, true, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issuer := authtest.NewIssuer(t)
			v := issuer.Validator(audience)
			tt.begin(issuer, v)
			token := issuer.Token(authtest.Scope("openid"))
			_, err := v.Validate(t.Context(), token)
			require.Equal(t, tt.lets, err == nil, "%v", err)
			require.Equal(t, tt.answered, askUserinfo(t, issuer, token).StatusCode)
		})
	}
}
