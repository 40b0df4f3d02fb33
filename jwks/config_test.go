package jwks_test

import (
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// number returns the field of a Config with that name, which is a number.
func number(config *jwks.Config, name string) reflect.Value {
	return reflect.ValueOf(config).Elem().FieldByName(name)
}

// numbers returns the names of the fields of Config that are numbers.
func numbers() []string {
	var fields []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[jwks.Config]()) {
		if field.Type.ConvertibleTo(reflect.TypeFor[float64]()) {
			fields = append(fields, field.Name)
		}
	}
	return fields
}

// A knob is a number of Config, and what shows that it has a value.
type knob struct {
	field  string
	usual  int64 // where the Config leaves it zero
	other  int64
	more   jwks.Config // what else is needed to see it
	proves func(t *testing.T, s *stage, remote *jwks.Remote, value int64)
}

var knobs = []knob{
	{field: "RefreshAfter", usual: int64(5 * time.Minute), other: int64(7 * time.Minute),
		proves: func(t *testing.T, _ *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			require.EqualValues(t, value, pause(t, remote))
		}},
	{field: "OverdueAfter", usual: int64(15 * time.Minute), other: int64(20 * time.Minute),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			s.put(keysURL, hangs)
			time.Sleep(time.Duration(value - 1))
			require.Zero(t, wait(t, remote))
			time.Sleep(time.Nanosecond)
			require.NotZero(t, wait(t, remote))
		}},
	{field: "ExpireAfter", usual: int64(24 * time.Hour), other: int64(time.Hour),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			s.put(keysURL, refuses)
			time.Sleep(time.Duration(value - 1))
			_, err := ask(t, remote, "k")
			require.NoError(t, err)
			time.Sleep(time.Nanosecond)
			_, err = ask(t, remote, "k")
			require.ErrorIs(t, err, jwks.ErrUnavailable)
		}},
	{field: "RefreshWait", usual: int64(2 * time.Second), other: int64(3 * time.Second),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			s.put(keysURL, hangs)
			time.Sleep(time.Hour)
			require.EqualValues(t, value, wait(t, remote))
		}},
	{field: "FetchTimeout", usual: int64(5 * time.Second), other: int64(time.Minute),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			s.put(keysURL, hangs)
			require.EqualValues(t, value, wait(t, remote))
		}},
	{field: "RetryMin", usual: int64(time.Second), other: int64(4 * time.Second),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			s.put(keysURL, refuses)
			require.Error(t, remote.Warm(t.Context()))
			require.EqualValues(t, value, pause(t, remote))
			require.EqualValues(t, 2*value, pause(t, remote))
		}},
	{field: "RetryMax", usual: int64(15 * time.Second), other: int64(time.Minute),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			s.put(keysURL, busy(http.StatusServiceUnavailable, "7200"))
			require.Error(t, remote.Warm(t.Context()))
			require.EqualValues(t, value, pause(t, remote), "Retry-After without a set")
			s.put(keysURL, refuses)
			for range 10 {
				require.Error(t, remote.Warm(t.Context()))
			}
			require.EqualValues(t, value, pause(t, remote))
		}},
	{field: "RetryAfterMax", usual: int64(time.Hour), other: int64(2 * time.Hour),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			time.Sleep(5 * time.Minute)
			s.put(keysURL, busy(http.StatusServiceUnavailable, "604800"))
			require.Error(t, remote.Warm(t.Context()))
			require.EqualValues(t, value, pause(t, remote))
		}},
	{field: "UnknownKeyBurst", usual: 2, other: 5,
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			unknown(t, remote, 100)
			require.EqualValues(t, 1+value, s.count(keysURL))
		}},
	{field: "UnknownKeyInterval", usual: int64(10 * time.Second), other: int64(time.Minute),
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			unknown(t, remote, 100)
			before := s.count(keysURL)
			time.Sleep(time.Duration(value - 1))
			unknown(t, remote, 100)
			require.Equal(t, before, s.count(keysURL))
			time.Sleep(time.Nanosecond)
			unknown(t, remote, 100)
			require.Equal(t, before+1, s.count(keysURL))
		}},
	{field: "RediscoverAfter", usual: int64(24 * time.Hour), other: int64(time.Minute), more: jwks.Config{Issuer: issuerURL},
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			warm(t, remote)
			time.Sleep(time.Duration(value - 1))
			unknown(t, remote, 1)
			require.Equal(t, 1, s.count(metadataURL))
			time.Sleep(time.Nanosecond)
			unknown(t, remote, 1)
			require.Equal(t, 2, s.count(metadataURL))
		}},
	{field: "MaxSize", usual: 1 << 20, other: 2000, more: jwks.Config{Issuer: issuerURL},
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			metadata := `{"issuer":"` + issuerURL + `","jwks_uri":"` + keysURL + `"}`
			set := string(setOf(rsaJWK))
			padded := func(document string, size int64) reply {
				return says(http.StatusOK, document+strings.Repeat(" ", int(size)-len(document)))
			}
			tooLarge := fmt.Sprintf("the answer is larger than %d bytes", value)
			s.put(metadataURL, padded(metadata, value+1))
			require.ErrorContains(t, remote.Warm(t.Context()), "GET "+metadataURL+": "+tooLarge)
			s.put(metadataURL, padded(metadata, value))
			s.put(keysURL, padded(set, value+1))
			require.ErrorContains(t, remote.Warm(t.Context()), "GET "+keysURL+": "+tooLarge)
			s.put(keysURL, padded(set, value))
			warm(t, remote)
		}},
	{field: "MaxKeys", usual: 1000, other: 3,
		proves: func(t *testing.T, s *stage, remote *jwks.Remote, value int64) {
			keys := []any{edJWK}
			for range value {
				keys = append(keys, member{"kty": "oct"})
			}
			s.put(keysURL, says(http.StatusOK, string(setOf(keys...))))
			require.ErrorContains(t, remote.Warm(t.Context()), fmt.Sprintf("it lists %d keys, and %d are the most", value+1, value))
			s.put(keysURL, says(http.StatusOK, string(setOf(keys[:value]...))))
			warm(t, remote)
		}},
	// Jitter is random, and has tests of its own.
}

// wait returns how long a request waits.
func wait(t *testing.T, remote *jwks.Remote) time.Duration {
	t.Helper()
	start := time.Now()
	_, _ = remote.Keys(t.Context(), "RS256", "k")
	return time.Since(start)
}

// unknown asks for so many keys that are not in the set.
func unknown(t *testing.T, remote *jwks.Remote, n int) {
	t.Helper()
	for i := range n {
		_, err := ask(t, remote, fmt.Sprint("unknown-", i))
		require.ErrorIs(t, err, jwks.ErrUnknownKey)
	}
}

func TestEachNumberIsConfigurableAndHasTheDefaultOfItsComment(t *testing.T) {
	proven := []string{"Jitter"}
	for _, k := range knobs {
		proven = append(proven, k.field)
		for _, configured := range []int64{0, k.other} {
			t.Run(fmt.Sprintf("%s/%d", k.field, configured), func(t *testing.T) {
				staged(t, func(t *testing.T, s *stage) {
					config := k.more
					config.Client = s.client()
					if config.Issuer == "" {
						config.URL = keysURL
					}
					value := k.usual
					if configured != 0 {
						value = configured
						number(&config, k.field).SetInt(configured)
					}
					k.proves(t, s, newRemote(t, config), value)
				})
			})
		}
	}
	require.ElementsMatch(t, numbers(), proven, "each has its proof")
}

func TestTheJitterIsATenthUnlessConfigured(t *testing.T) {
	tests := []struct {
		jitter      float64
		most, least time.Duration // how far ages of 5 min are off at the most, and at least once
	}{
		{0, 30 * time.Second, 15 * time.Second},
		{0.1, 30 * time.Second, 15 * time.Second},
		{0.5, 150 * time.Second, 75 * time.Second},
		{jwks.NoJitter, 0, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.jitter), func(t *testing.T) {
			staged(t, func(t *testing.T, s *stage) {
				s.put(keysURL, says(http.StatusOK, string(setOf(edJWK))))
				var furthest time.Duration
				for range 100 { // so that no 100 stay within the half, but once in 2^100 times
					remote, err := jwks.NewRemote(jwks.Config{URL: keysURL, Client: s.client(), Jitter: tt.jitter})
					require.NoError(t, err)
					warm(t, remote)
					off := (time.Until(remote.Status().NextRefresh) - 5*time.Minute).Abs()
					require.LessOrEqual(t, off, tt.most)
					furthest = max(furthest, off)
				}
				require.GreaterOrEqual(t, furthest, tt.least)
			})
		})
	}
}

func TestANegativeNumberIsRefusedByName(t *testing.T) {
	for _, field := range numbers() {
		if field == "Jitter" {
			continue // has a range of its own
		}
		for _, value := range []int64{-1, math.MinInt64} {
			config := jwks.Config{URL: keysURL}
			number(&config, field).SetInt(value)
			remote, err := jwks.NewRemote(config)
			require.ErrorContains(t, err, "jwks: Config."+field+" is negative: ")
			require.ErrorContains(t, err, "leave it zero for the default")
			require.Nil(t, remote)
		}
	}
}

func TestNumbersThatDoNotFitTogetherAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		config jwks.Config
		says   string
	}{
		{"refreshed after it is overdue", jwks.Config{RefreshAfter: 16 * time.Minute}, "the ages of Config are out of order, defaults included: RefreshAfter 16m0s, OverdueAfter 15m0s"},
		{"overdue before it is refreshed", jwks.Config{OverdueAfter: time.Minute}, "the ages of Config are out of order, defaults included: RefreshAfter 5m0s, OverdueAfter 1m0s"},
		{"overdue after it expires", jwks.Config{OverdueAfter: 25 * time.Hour}, "OverdueAfter 25h0m0s, ExpireAfter 24h0m0s"},
		{"a least pause above the most", jwks.Config{RetryMin: 3 * time.Second, RetryMax: 2 * time.Second}, "Config.RetryMin is 3s, which is more than RetryMax, 2s"},
		{"nanoseconds by mistake", jwks.Config{RefreshAfter: 30}, "Config.RefreshAfter is 30ns: a Duration counts nanoseconds; write 30 * time.Second"},
		{"a least pause above the default", jwks.Config{RetryMin: 16 * time.Second}, "Config.RetryMin is 16s, which is more than RetryMax, 15s"},
		{"a greatest pause below the default", jwks.Config{RetryMax: time.Millisecond}, "Config.RetryMin is 1s, which is more than RetryMax, 1ms"},
		{"jitter that is no number", jwks.Config{Jitter: math.NaN()}, "Config.Jitter is NaN: it is a part from 0 to 0.5, or NoJitter"},
		{"endless jitter", jwks.Config{Jitter: math.Inf(1)}, "Config.Jitter is +Inf"},
		{"less than endless jitter", jwks.Config{Jitter: math.Inf(-1)}, "Config.Jitter is -Inf"},
		{"more jitter than half", jwks.Config{Jitter: math.Nextafter(0.5, 1)}, "Config.Jitter is 0.5"},
		{"jitter in percent", jwks.Config{Jitter: 10}, "Config.Jitter is 10"},
		{"negative jitter", jwks.Config{Jitter: -0.1}, "Config.Jitter is -0.1"},
		{"less jitter than none", jwks.Config{Jitter: -2}, "Config.Jitter is -2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.URL = keysURL
			remote, err := jwks.NewRemote(tt.config)
			require.ErrorContains(t, err, "jwks: ")
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, remote)
		})
	}
}

func TestNumbersAtTheEdgeAreAccepted(t *testing.T) {
	for _, config := range []jwks.Config{
		{RetryMin: 15 * time.Second},
		{RetryMax: time.Second},
		{RetryAfterMax: time.Microsecond},
		{RefreshWait: time.Hour},
		{UnknownKeyBurst: math.MaxInt, UnknownKeyInterval: time.Microsecond},
		{Jitter: 0.5},
		{Jitter: math.SmallestNonzeroFloat64},
		{Jitter: math.Copysign(0, -1)},
		{Jitter: jwks.NoJitter},
	} {
		config.URL = keysURL
		_, err := jwks.NewRemote(config)
		require.NoError(t, err)
	}
}

// Whoever writes the greatest number there is means that there is no bound.
func TestTheGreatestNumbersMeanNoBound(t *testing.T) {
	const most = math.MaxInt64
	warmed := func(t *testing.T, config jwks.Config) (*stage, *jwks.Remote) {
		t.Helper()
		s := &stage{replies: map[string]reply{keysURL: serves("k")}}
		config.URL, config.Client = keysURL, s.client()
		remote, err := jwks.NewRemote(config)
		require.NoError(t, err)
		warm(t, remote)
		return s, remote
	}
	t.Run("ages, with jitter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for range 20 {
				s, remote := warmed(t, jwks.Config{RefreshAfter: most, OverdueAfter: most, ExpireAfter: most, Jitter: 0.5})
				time.Sleep(365 * 24 * time.Hour)
				waited, err := ask(t, remote, "k")
				require.NoError(t, err)
				require.Zero(t, waited)
				synctest.Wait()
				require.Equal(t, 1, s.count(keysURL))
			}
		})
	})
	t.Run("size", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { warmed(t, jwks.Config{MaxSize: most, MaxKeys: math.MaxInt}) })
	})
	t.Run("times", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, remote := warmed(t, jwks.Config{FetchTimeout: most, RefreshWait: most, RediscoverAfter: most, UnknownKeyInterval: most})
			unknown(t, remote, 10)
			require.Equal(t, 1+2, fetches(remote))
		})
	})
	for name, config := range map[string]jwks.Config{
		"the least pause":      {RetryMin: most, RetryMax: most},
		"the greatest pause":   {RetryMax: most},
		"what the issuer asks": {RetryAfterMax: most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, remote := warmed(t, config)
				s.put(keysURL, busy(http.StatusServiceUnavailable, "Fri, 31 Dec 9999 23:59:59 GMT"))
				time.Sleep(10 * time.Minute)
				for range 70 { // doubled so often, a second is more than there is
					require.Error(t, remote.Warm(t.Context()))
				}
				before := fetches(remote)
				for range 20 {
					time.Sleep(time.Hour)
					_, err := ask(t, remote, "k")
					require.NoError(t, err)
					synctest.Wait()
				}
				require.Equal(t, before, fetches(remote))
			})
		})
	}
}
