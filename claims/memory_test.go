package claims_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

func publicKey(t testing.TB, id string, key *rsa.PrivateKey) *jwks.Key {
	made, err := jwks.NewKey(id, "RS256", &key.PublicKey)
	require.NoError(t, err)
	return made
}

func rememberingValidator(t testing.TB, config claims.Config, options ...claims.Option) *claims.Validator {
	config.Issuer, config.Audience = issuer, audience
	if config.Keys == nil {
		config.Keys = trustedSource(t)
	}
	v, err := claims.NewValidator(config, options...)
	require.NoError(t, err)
	return v
}

// requireAccepted wants the token accepted, by the memory or not.
func requireAccepted(t *testing.T, v *claims.Validator, token string, fromMemory bool) *claims.Claims {
	t.Helper()
	before := v.Memory().Hits
	c, err := v.Validate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, fromMemory, v.Memory().Hits > before, "is it from the memory?")
	return c
}

func TestAKnownTokenSaysTheSame(t *testing.T) {
	v := newValidator(t)
	for name, changes := range map[string]set{
		"few claims":         {"scope": nil, "jti": nil, "client_id": nil, "sub": nil},
		"many":               {"a": 1, "b": []any{1, set{"c": "d"}}, "auth_time": 1, "acr": "1", "amr": []string{"pwd", "otp"}},
		"several audiences":  {"aud": []string{"a", audience, "b", "c"}},
		"one, in an array":   {"aud": []string{audience}},
		"an empty array":     {"amr": []string{}, "scope": []string{}},
		"escapes":            {"sub": "<\n\u2028>", "na\tme": "\"x\""},
		"more than an index": func() set { s := set{}; manyInto(s, 60); return s }(),
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(goodHeader, payload(changes))
			first := requireAccepted(t, v, token, false)
			for range 2 {
				again := requireAccepted(t, v, token, true)
				require.Equal(t, first, again)
				require.Equal(t, first.Audience == nil, again.Audience == nil)
				require.Equal(t, first.AMR == nil, again.AMR == nil)
				want, err := claims.As[map[string]any](first)
				require.NoError(t, err)
				got, err := claims.As[map[string]any](again)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		})
	}
}

func manyInto(s set, n int) {
	for i := range n {
		s[fmt.Sprint("claim-", i)] = i
	}
}

func TestEachRequestHasItsOwnClaims(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(set{"aud": []string{audience, "b"}, "amr": []string{"pwd"}}))
	pristine := *requireAccepted(t, newValidator(t), token, false)
	for n := range 4 {
		c := requireAccepted(t, v, token, n > 0)
		require.Equal(t, pristine, *c)
		spoil(c)
		if raw, ok := c.Lookup("aud"); ok {
			copy(raw, "spoilt")
		}
		c.Issuer, c.Subject, c.Scope, c.Expiry = "spoilt", "spoilt", c.Scope.Union(c.Scope), time.Time{}
	}
}

func TestKeysAreAskedForEachTime(t *testing.T) {
	key := publicKey(t, kid, trustedKey())
	gone := errors.New("it burns")
	var asked []string
	var answer func(context.Context) ([]*jwks.Key, error)
	v := rememberingValidator(t, claims.Config{Keys: sourceFunc(func(ctx context.Context, alg, kid string) ([]*jwks.Key, error) {
		asked = append(asked, alg+" "+kid)
		return answer(ctx)
	})})
	good := func(context.Context) ([]*jwks.Key, error) { return []*jwks.Key{key}, nil }
	answer = good
	token := sign(goodHeader, payload(nil))
	requireAccepted(t, v, token, false)
	tests := []struct {
		name   string
		answer func(context.Context) ([]*jwks.Key, error)
		want   []error
	}{
		{"it is there", good, nil},
		{"the source cannot say", func(context.Context) ([]*jwks.Key, error) { return nil, gone }, []error{claims.ErrUnavailable, gone}},
		{"none fits", func(context.Context) ([]*jwks.Key, error) { return nil, jwks.ErrUnknownKey }, []error{claims.ErrUnknownKey}},
		{"nothing", func(context.Context) ([]*jwks.Key, error) { return nil, nil }, []error{claims.ErrUnavailable}},
		{"a nil key", func(context.Context) ([]*jwks.Key, error) { return []*jwks.Key{nil}, nil }, []error{claims.ErrSignature}},
		{"the context has ended", func(ctx context.Context) ([]*jwks.Key, error) { return nil, context.Canceled }, []error{claims.ErrUnavailable, context.Canceled}},
		{"it is there again", good, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked, answer = nil, tt.answer
			c, err := v.Validate(t.Context(), token)
			require.Equal(t, tt.want == nil, err == nil)
			for _, want := range tt.want {
				require.ErrorIs(t, err, want)
				require.Nil(t, c)
			}
			require.Equal(t, []string{"RS256 key-1"}, asked, "once, as at first sight")
		})
	}
}

func TestTokensOfARemovedKeyStopAtOnce(t *testing.T) {
	var keys []*jwks.Key
	asked := 0
	v := rememberingValidator(t, claims.Config{Keys: sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) {
		asked++
		return keys, nil
	})})
	token := sign(goodHeader, payload(nil))
	keys = []*jwks.Key{publicKey(t, kid, trustedKey())}
	requireAccepted(t, v, token, false)
	requireAccepted(t, v, token, true)

	keys = []*jwks.Key{publicKey(t, kid, stolenKey())} // of the same name
	asked = 0
	for range 2 {
		requireRefused(t, v, token, claims.ErrSignature)
	}
	require.Equal(t, 2, asked, "once for each: a source may have the request wait")

	// A fetch makes all keys anew; that the issuer has renamed one changes nothing
	// but the name.
	keys = []*jwks.Key{publicKey(t, "other", stolenKey()), publicKey(t, "renamed", trustedKey())}
	require.Equal(t, "renamed", requireAccepted(t, v, token, true).KeyID)

	ps256, err := jwks.NewKey(kid, "PS256", &trustedKey().PublicKey)
	require.NoError(t, err)
	keys = []*jwks.Key{ps256} // a careless source: a key is for one algorithm
	requireRefused(t, v, token, claims.ErrSignature)
}

func TestTheTimeOfAKnownTokenIsLookedAtEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t)
		begin := time.Now()
		token := sign(goodHeader, payload(set{"exp": begin.Add(time.Minute).Unix(), "nbf": begin.Add(30 * time.Second).Unix()}))
		requireAccepted(t, v, token, false)
		requireAccepted(t, v, token, true)
		time.Sleep(90*time.Second - time.Nanosecond) // the leeway is 30 seconds
		requireAccepted(t, v, token, true)
		time.Sleep(time.Nanosecond)
		requireRefused(t, v, token, claims.ErrExpired)
		requireRefused(t, v, token, claims.ErrExpired)
	})
}

// A bubble's clock cannot be set back, so the token's is set forward.
func TestAClockThatIsSetBackIsNoticed(t *testing.T) {
	for name, set := range map[string]func(*claims.Claims, time.Time){
		"nbf": func(c *claims.Claims, at time.Time) { c.NotBefore = at },
		"iat": func(c *claims.Claims, at time.Time) { c.IssuedAt = at },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newValidator(t)
				token := sign(goodHeader, payload(nil))
				requireAccepted(t, v, token, false)
				set(v.Remembered()[0], time.Now().Add(30*time.Second))
				requireAccepted(t, v, token, true)
				set(v.Remembered()[0], time.Now().Add(30*time.Second+1))
				requireRefused(t, v, token, claims.ErrNotYetValid)
			})
		})
	}
}

func TestTheOwnCheckIsAskedEachTime(t *testing.T) {
	revoked := errors.New("revoked")
	var says error
	var asked []*claims.Claims
	v := rememberingValidator(t, claims.Config{Check: func(_ context.Context, c *claims.Claims) error {
		require.Equal(t, "user-1", c.Subject)
		asked = append(asked, c)
		return says
	}})
	token := sign(goodHeader, payload(nil))
	says = revoked
	requireRefused(t, v, token, claims.ErrRefused)
	require.Zero(t, v.Memory().Entries, "a token that was refused")
	says = nil
	c := requireAccepted(t, v, token, false)
	require.Same(t, c, asked[1])
	c = requireAccepted(t, v, token, true)
	require.Same(t, c, asked[2], "it is asked about the claims that the request gets")
	for err, want := range map[error]error{
		revoked:                  claims.ErrRefused,
		claims.ErrUnavailable:    claims.ErrUnavailable,
		jwks.ErrUnavailable:      claims.ErrUnavailable,
		context.DeadlineExceeded: claims.ErrUnavailable,
	} {
		says = err
		requireRefused(t, v, token, want)
		says = nil
		requireAccepted(t, v, token, true)
	}
}

// A check must not change claims. One that does must not do it twice.
func TestWhatTheOwnCheckDoesToClaimsIsNotRemembered(t *testing.T) {
	v := rememberingValidator(t, claims.Config{Check: func(_ context.Context, c *claims.Claims) error {
		c.Subject += "!"
		c.Audience[0] += "!"
		return nil
	}})
	token := sign(goodHeader, payload(nil))
	for n := range 3 {
		c := requireAccepted(t, v, token, n > 0)
		require.Equal(t, "user-1!", c.Subject)
		require.Equal(t, []string{audience + "!"}, c.Audience)
	}
}

func TestOnlyAcceptedTokensAreRemembered(t *testing.T) {
	good := sign(goodHeader, payload(nil))
	now := time.Now()
	v := newValidator(t)
	for name, token := range map[string]string{
		"nothing":            "",
		"dots":               "..",
		"malformed":          good + "=",
		"two parts":          good[:strings.LastIndexByte(good, '.')],
		"too large":          sign(goodHeader, payload(set{"x": strings.Repeat("x", claims.DefaultMaxTokenSize)})),
		"another issuer":     sign(goodHeader, payload(set{"iss": "https://evil.example/"})),
		"another algorithm":  sign(`{"alg":"PS256"}`, payload(nil)),
		"an unknown key":     sign(`{"alg":"RS256","kid":"key-2"}`, payload(nil)),
		"another's key":      signWith(stolenKey(), goodHeader, payload(nil)),
		"an ID Token":        sign(plainHeader, payload(set{"nonce": "n"})),
		"another audience":   sign(goodHeader, payload(set{"aud": "another"})),
		"no longer valid":    sign(goodHeader, payload(set{"exp": now.Add(-time.Minute).Unix()})),
		"not yet valid":      sign(goodHeader, payload(set{"nbf": now.Add(time.Minute).Unix()})),
		"bound":              sign(goodHeader, payload(set{"cnf": set{"jkt": "x"}})),
		"a number as an iss": sign(goodHeader, payload(set{"iss": 1})),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				_, err := v.Validate(t.Context(), token)
				require.Error(t, err)
				require.Zero(t, v.Memory().Entries)
				require.Zero(t, v.Memory().Hits)
			}
		})
	}
}

func TestRefusedTokensPushNothingOut(t *testing.T) {
	v := newValidator(t, claims.WithSmallMemory(14<<10))
	token := sign(goodHeader, payload(nil))
	requireAccepted(t, v, token, false)
	before := v.Memory()
	input := token[:strings.LastIndexByte(token, '.')+1]
	for n := range 500 {
		_, err := v.Validate(t.Context(), input+encode(fmt.Sprintf("%0256d", n)))
		require.ErrorIs(t, err, claims.ErrSignature)
		_, err = v.Validate(t.Context(), fmt.Sprint("a.b.", n))
		require.ErrorIs(t, err, claims.ErrMalformed)
	}
	before.Misses += 1000
	require.Equal(t, before, v.Memory())
	requireAccepted(t, v, token, true)
}

// Where a token is remembered, what looks like it is not taken for it.
func TestEveryByteOfAKnownTokenCounts(t *testing.T) {
	v, plain := newValidator(t), newValidator(t, claims.WithoutMemory())
	token := sign(goodHeader, payload(nil))
	requireAccepted(t, v, token, false)
	try := func(token string) {
		t.Helper()
		_, err := v.Validate(t.Context(), token)
		require.Error(t, err)
		_, want := plain.Validate(t.Context(), token)
		require.EqualError(t, err, want.Error())
	}
	for at := range token {
		changed := []byte(token)
		changed[at] ^= 1
		try(string(changed))
		try(token[:at])
		try(token[at+1:])
		try(token[:at] + "." + token[at:])
		try(token[:at] + token[at+1:])
	}
	try(token + ".")
	try(token + "\n")
	require.Zero(t, v.Memory().Hits)
	requireAccepted(t, v, token, true)
}

// Whoever must keep to FIPS 140 has the memory too. (In that mode, nothing random is to be
// had in a bubble of synctest: it is for tests without.)
func TestTheMemoryWorksInFIPSMode(t *testing.T) {
	const tests = "TestAKnownTokenSaysTheSame|TestEveryByteOfAKnownTokenCounts|TestTokensOfARemovedKeyStopAtOnce"
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^("+tests+")$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=fips140=only")
	output, err := again.CombinedOutput()
	require.NoError(t, err, "%s", output)
	for name := range strings.SplitSeq(tests, "|") {
		require.Contains(t, string(output), "--- PASS: "+name+" ")
	}
}

func TestATagThatIsTheSameLetsNothingIn(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(nil))
	requireAccepted(t, v, token, false)
	input := token[:strings.LastIndexByte(token, '.')+1]
	forged := encode(strings.Repeat("x", 256))
	v.Collide(input + forged)
	require.EqualValues(t, 1, len(v.Remembered()))
	requireRefused(t, v, input+forged, claims.ErrSignature)
	require.Zero(t, v.Memory().Hits)
}

// The parts of two good tokens make no third.
func TestTheSignatureOfAnotherTokenIsNotTakenForIt(t *testing.T) {
	v := newValidator(t)
	one := strings.Split(sign(goodHeader, payload(nil)), ".")
	other := strings.Split(sign(goodHeader, payload(set{"sub": "user-2"})), ".")
	requireAccepted(t, v, strings.Join(one, "."), false)
	requireAccepted(t, v, strings.Join(other, "."), false)
	requireRefused(t, v, one[0]+"."+one[1]+"."+other[2], claims.ErrSignature)
	requireRefused(t, v, one[0]+"."+other[1]+"."+one[2], claims.ErrSignature)
}

func TestTokensGoWhenTheirTimeIsOver(t *testing.T) {
	for name, visits := range map[string]int{"as others come": 64, "as known ones come again": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newValidator(t, claims.WithSmallMemory(64<<10))
				const some = 8 // for which there is room even if chance has them in one bucket
				for n := range some {
					requireAccepted(t, v, sign(goodHeader, payload(set{"jti": fmt.Sprint(n), "exp": time.Now().Add(time.Minute).Unix()})), false)
				}
				require.EqualValues(t, some, v.Memory().Entries)
				time.Sleep(2 * time.Minute)
				for n := range visits {
					token := sign(goodHeader, payload(set{"jti": fmt.Sprint("new ", n), "exp": time.Now().Unix()}))
					requireAccepted(t, v, token, false)
					for range 20 {
						if visits == 1 {
							requireAccepted(t, v, token, true)
						}
						time.Sleep(time.Second)
					}
					time.Sleep(20 * time.Second) // so that nothing is good when the next one comes
				}
				for _, c := range v.Remembered() {
					require.Contains(t, c.TokenID, "new")
				}
				status := v.Memory()
				require.Zero(t, status.Evictions, "their time was over")
				v.Clean(time.Now().Add(time.Minute))
				status = v.Memory()
				require.Zero(t, status.Entries)
				require.Zero(t, status.Bytes)
				require.Zero(t, status.Evictions)
			})
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const most = 64 << 10
	v := newValidator(t, claims.WithMemory(most))
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		filler := strings.Repeat("x", []int{0, 10, 500, 2000, 3000, 20000}[random.IntN(6)])
		token := sign(goodHeader, payload(set{"jti": fmt.Sprint(n), "x": filler}))
		requireAccepted(t, v, token, false)
		status := v.Memory()
		require.LessOrEqual(t, status.Bytes, int64(most))
		require.LessOrEqual(t, status.Entries, int64(v.Slots()))
		require.EqualValues(t, len(v.Remembered()), status.Entries)
		_, err := v.Validate(t.Context(), token)
		require.NoError(t, err)
		if len(filler) == 20000 {
			require.Equal(t, status.Entries, v.Memory().Entries, "one that is too large is not remembered")
		}
	}
	status := v.Memory()
	require.NotZero(t, status.Evictions)
	require.Greater(t, status.Bytes, int64(most/2), "it is made use of")
	v.Clean(time.Now().Add(24 * time.Hour))
	status.Entries, status.Bytes = 0, 0
	require.Equal(t, status, v.Memory(), "their time was over: no evictions")
}

func TestWhatIsUsedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t, claims.WithSmallMemory(14<<10)) // of one bucket
		require.Equal(t, 8, v.Slots())
		mint := func(n int) string { return sign(goodHeader, payload(set{"jti": fmt.Sprint(n)})) }
		often := mint(-1)
		requireAccepted(t, v, often, false)
		first := mint(0)
		requireAccepted(t, v, first, false)
		for n := range 50 {
			time.Sleep(time.Second)
			latest := mint(n)
			requireAccepted(t, v, latest, false)
			requireAccepted(t, v, often, true)
			requireAccepted(t, v, latest, true)
		}
		requireAccepted(t, v, first, false)
		require.LessOrEqual(t, v.Memory().Entries, int64(8))
	})
}

func TestAFreeSlotIsTakenFirst(t *testing.T) {
	trustedKey()
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t, claims.WithSmallMemory(15<<10))
		require.Equal(t, 8, v.Slots())
		mint := func(n int, life time.Duration) string {
			return sign(goodHeader, payload(set{"jti": fmt.Sprint(n), "exp": time.Now().Add(life).Unix()}))
		}
		for n := range 7 {
			requireAccepted(t, v, mint(n, time.Hour), false)
		}
		time.Sleep(time.Second)
		requireAccepted(t, v, mint(7, time.Minute), false) // used last
		time.Sleep(2 * time.Minute)
		v.Clean(time.Now())
		require.EqualValues(t, 7, v.Memory().Entries)
		requireAccepted(t, v, mint(8, time.Hour), false)
		require.EqualValues(t, 8, v.Memory().Entries)
		require.Zero(t, v.Memory().Evictions)
	})
}

// What is counted is about what is taken, whatever a token is made of.
func TestBytesAreWhatIsTaken(t *testing.T) {
	const tokens = 40
	for name, of := range map[string]struct {
		header string
		claims set
	}{
		"a usual token":               {goodHeader, set{}},
		"many claims":                 {goodHeader, func() set { s := set{}; manyInto(s, 400); return s }()},
		"a few claims more":           {goodHeader, func() set { s := set{}; manyInto(s, 20); return s }()},
		"many scopes":                 {goodHeader, set{"scope": numbers(1000)}},
		"one scope again and again":   {goodHeader, set{"scope": strings.Repeat("a ", 10000)}},
		"again and again in an array": {goodHeader, set{"scope": strings.Fields(strings.Repeat("a ", 5000))}},
		"a scope of spaces":           {goodHeader, set{"scope": strings.Repeat(" ", 10000)}},
		"many audiences":              {goodHeader, set{"aud": append(strings.Fields(numbers(1000)), audience)}},
		"a long header":               {`{"alg":"RS256","kid":"key-1","x":"` + strings.Repeat("x", 10000) + `"}`, set{}},
		"escapes":                     {goodHeader, set{"sub": strings.Repeat("<", 2000), "scope": strings.Repeat("\n", 2000)}},
		"a list of logins":            {goodHeader, set{"amr": strings.Fields(numbers(1000))}},
		"an array of scopes":          {goodHeader, set{"scope": strings.Fields(numbers(1000))}},
		"claims with escapes":         {goodHeader, func() set { s := set{}; manyInto(s, 30); s[strings.Repeat("<", 3000)] = 1; return s }()},
	} {
		t.Run(name, func(t *testing.T) {
			v := newValidator(t, claims.WithMemory(64<<20))
			made := make([]string, tokens)
			for n := range made {
				of.claims["jti"] = fmt.Sprint("token-", n)
				made[n] = sign(of.header, payload(of.claims))
			}
			before := heap()
			for _, token := range made {
				_, err := v.Validate(t.Context(), token)
				require.NoError(t, err)
			}
			taken := heap() - before
			status := v.Memory()
			require.EqualValues(t, tokens, status.Entries)
			t.Logf("counted: %d, taken: %d", status.Bytes/tokens, taken/tokens)
			require.Less(t, taken, status.Bytes*5/4)
			require.Less(t, status.Bytes, 3*taken)
			runtime.KeepAlive(made)
		})
	}
}

func numbers(n int) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprint(i))
	}
	return strings.Join(words, " ")
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// A token is as good as a password while it lasts. So neither it nor its signature
// may be found in the memory of the process when the request is over. (What was
// signed is no secret that opens anything.)
func TestNoTokenIsKeptInTheClear(t *testing.T) {
	var tokens, needles, says [][]byte
	hide := func(text string) []byte { // so that it is not found here
		hidden := []byte(text)
		for n := range hidden {
			hidden[n] ^= 0xff
		}
		return hidden
	}
	for _, changes := range []set{nil, {"aud": []string{audience, "b", "c"}, "amr": []string{"pwd"}, "sub": "\n"}} {
		token := sign(goodHeader, payload(changes))
		tokens = append(tokens, hide(token))
		signed, signature := cut(token)
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		require.NoError(t, err)
		needles = append(needles, hide(signature), hide(string(raw)))
		says = append(says, hide(signed))
	}
	v := newValidator(t)
	var kept []*claims.Claims // as a handler may
	done := make(chan bool)
	go func() { // whose stack goes with it
		defer close(done)
		for range 3 {
			for _, hidden := range tokens {
				c, err := v.Validate(context.Background(), string(hide(string(hidden))))
				if err == nil {
					kept = append(kept, c)
				}
			}
		}
	}()
	<-done
	require.Len(t, kept, 6)
	require.EqualValues(t, 2, v.Memory().Entries)

	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	require.NoError(t, err)
	for range 3 {
		runtime.GC()
	}
	debug.WriteHeapDump(file.Fd())
	require.NoError(t, file.Close())
	dump, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	for n := range dump {
		dump[n] ^= 0xff
	}
	for n, needle := range needles {
		require.False(t, bytes.Contains(dump, needle), "needle %d was found", n)
	}
	for _, text := range says {
		require.True(t, bytes.Contains(dump, text), "what was signed is remembered: else the dump has nothing to tell")
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(kept)
}

// What a handler puts into its claims is its own business.
func TestTheFirstRequestsClaimsAreLetGo(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(nil))
	gone := make(chan bool, 1)
	func() {
		c := requireAccepted(t, v, token, false)
		large := make([]string, 1<<16)
		runtime.AddCleanup(&large[0], func(gone chan bool) { gone <- true }, gone)
		c.AMR = large
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-gone:
			requireAccepted(t, v, token, true)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("it is held on to")
}

func TestExplainNeitherReadsNorFillsTheMemory(t *testing.T) {
	key, other := publicKey(t, kid, trustedKey()), publicKey(t, kid, stolenKey())
	keys := []*jwks.Key{key}
	v := rememberingValidator(t, claims.Config{Keys: sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) { return keys, nil })})
	token := sign(goodHeader, payload(nil))
	require.NoError(t, v.Explain(t.Context(), token).Err)
	require.Zero(t, v.Memory())
	requireAccepted(t, v, token, false)
	before := v.Memory()
	require.NoError(t, v.Explain(t.Context(), token).Err)
	keys = []*jwks.Key{other}
	require.ErrorIs(t, v.Explain(t.Context(), token).Err, claims.ErrSignature)
	require.Equal(t, before, v.Memory())
}

func TestTheSizeIsLookedAtBeforeTheMemory(t *testing.T) {
	v := newValidator(t, claims.WithMaxTokenSize(1000))
	requireRefused(t, v, sign(goodHeader, payload(set{"x": strings.Repeat("x", 1000)})), claims.ErrTooLarge)
	require.Zero(t, v.Memory(), "not even looked for")
}

func TestMemoryCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := []*jwks.Key{publicKey(t, kid, trustedKey())}
		v := rememberingValidator(t, claims.Config{Keys: sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) {
			if keys == nil {
				return nil, jwks.ErrUnknownKey
			}
			return keys, nil
		})})
		token := sign(goodHeader, payload(nil))
		steps := []struct {
			name string
			do   func()
			want claims.MemoryStatus
		}{
			{"nothing has happened", func() {}, claims.MemoryStatus{}},
			{"a first sight", func() { requireAccepted(t, v, token, false) }, claims.MemoryStatus{Misses: 1, Entries: 1}},
			{"the same again", func() { requireAccepted(t, v, token, true) }, claims.MemoryStatus{Hits: 1, Misses: 1, Entries: 1}},
			{"a refused one", func() { requireRefused(t, v, token+"=", claims.ErrMalformed) }, claims.MemoryStatus{Hits: 1, Misses: 2, Entries: 1}},
			{"its key has gone", func() { keys = nil; requireRefused(t, v, token, claims.ErrUnknownKey) }, claims.MemoryStatus{Hits: 2, Misses: 2, Entries: 1}},
			{"there is another", func() {
				keys = []*jwks.Key{publicKey(t, kid, stolenKey())}
				requireRefused(t, v, token, claims.ErrSignature)
			}, claims.MemoryStatus{Hits: 2, Misses: 3, Entries: 1}},
			{"its time is over", func() {
				keys = []*jwks.Key{publicKey(t, kid, trustedKey())}
				time.Sleep(2 * time.Hour)
				requireRefused(t, v, token, claims.ErrExpired)
			}, claims.MemoryStatus{Hits: 3, Misses: 3, Entries: 1}},
		}
		for _, step := range steps {
			step.do()
			got := v.Memory()
			require.Equal(t, step.want.Entries > 0, got.Bytes > 0, step.name)
			got.Bytes = 0
			require.Equal(t, step.want, got, step.name)
		}
	})
}

// The same token with another of the issuer's keys, where both bear one name, takes
// the place of itself.
func TestATokenIsThereOnce(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(nil))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 20 {
				_, _ = v.Validate(context.Background(), token)
			}
		})
	}
	group.Wait()
	status := v.Memory()
	require.EqualValues(t, 1, status.Entries)
	require.Zero(t, status.Evictions)
}

func TestMemoryOptions(t *testing.T) {
	_, err := claims.NewValidator(claims.Config{Issuer: issuer, Audience: audience, Keys: trustedSource(t)}, claims.WithMemory(1000))
	require.ErrorContains(t, err, "WithMemory(1000)")
	token := sign(goodHeader, payload(nil))
	without := newValidator(t, claims.WithMemory(1<<20), claims.WithoutMemory())
	for range 2 {
		requireAccepted(t, without, token, false)
	}
	require.Zero(t, without.Memory())
	with := newValidator(t, claims.WithoutMemory(), claims.WithMemory(64<<10))
	requireAccepted(t, with, token, false)
	requireAccepted(t, with, token, true)
	var zero claims.Validator
	_, err = zero.Validate(t.Context(), token)
	require.ErrorIs(t, err, claims.ErrUnavailable)
	require.Zero(t, zero.Memory())
}

// Many at once, with a memory that is too small, keys that change and handlers that
// change their claims: for the race detector, and for the sums.
func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	var current atomic.Pointer[[]*jwks.Key]
	mine, other := []*jwks.Key{publicKey(t, kid, trustedKey())}, []*jwks.Key{publicKey(t, kid, stolenKey())}
	current.Store(&mine)
	const most = 20 << 10
	v := rememberingValidator(t, claims.Config{Keys: sourceFunc(func(context.Context, string, string) ([]*jwks.Key, error) {
		return *current.Load(), nil
	})}, claims.WithSmallMemory(most))
	tokens := make([]string, 60)
	for n := range tokens {
		key := trustedKey()
		if n%10 == 9 {
			key = stolenKey()
		}
		tokens[n] = signWith(key, goodHeader, payload(set{"jti": fmt.Sprint(n), "sub": fmt.Sprint("user-", n), "amr": []string{"pwd"}}))
	}
	var group sync.WaitGroup
	var seen atomic.Int64
	for g := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			for step := range 400 {
				n := random.IntN(len(tokens))
				if step%2 == 0 {
					n %= 4
				}
				c, err := v.Validate(context.Background(), tokens[n])
				seen.Add(1)
				switch {
				case err != nil && !errors.Is(err, claims.ErrSignature):
					t.Errorf("%d: %v", n, err)
				case err == nil:
					if c.Subject != fmt.Sprint("user-", n) || c.Audience[0] != audience || c.AMR[0] != "pwd" {
						t.Errorf("token %d says %+v", n, c)
					}
					if as, err := claims.As[struct{ Jti string }](c); err != nil || as.Jti != "" {
						t.Errorf("token %d says %+v: %v", n, as, err)
					}
					spoil(c)
				}
				switch step % 100 {
				case 40:
					current.Store(&other)
				case 42:
					current.Store(&mine)
				}
			}
		})
	}
	group.Wait()
	status := v.Memory()
	require.EqualValues(t, seen.Load(), status.Hits+status.Misses)
	require.EqualValues(t, len(v.Remembered()), status.Entries)
	require.LessOrEqual(t, status.Bytes, int64(most))
	require.NotZero(t, status.Hits)
	require.NotZero(t, status.Evictions)
	v.Clean(time.Now().Add(24 * time.Hour))
	require.Zero(t, v.Memory().Entries)
	require.Zero(t, v.Memory().Bytes)
}

func TestAKnownTokenCostsOneAllocation(t *testing.T) {
	v := newValidator(t)
	token := sign(goodHeader, payload(nil))
	requireAccepted(t, v, token, false)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = v.Validate(t.Context(), token) }), 1.0)
}
