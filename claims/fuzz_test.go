package claims_test

import (
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/stretchr/testify/require"
)

// An accountant counts what a fuzz target does with its seeds. A target whose
// seeds are all refused looks at nothing.
type accountant struct{ seeds, good, ran, accepted int }

// audit fails the target at its end, unless it was told to run only a part of the
// seeds or to make up inputs of its own.
func (a *accountant) audit(f *testing.F) {
	f.Cleanup(func() {
		inventing := flag.Lookup("test.fuzz").Value.String() != "" || flag.Lookup("test.fuzzworker").Value.String() == "true"
		if !inventing && !f.Skipped() && a.ran >= a.seeds && a.accepted < a.good {
			f.Errorf("of %d inputs %d were accepted, and %d of the seeds are good", a.ran, a.accepted, a.good)
		}
	})
}

// In the year 2100 these stop to be good.
const goodPayload = `{"iss":"https://issuer.example/","sub":"user-1","aud":"https://example.com/health-api","client_id":"client-1",` +
	`"iat":1700000000,"nbf":1700000000,"exp":4102444800,"jti":"token-1","scope":"read:patients"}`

var claimsSeeds = []struct {
	header, payload string
	good            bool
}{
	{`{"alg":"RS256","kid":"key-1","typ":"at+jwt"}`, goodPayload, true},
	{`{"alg":"RS256","kid":"key-1","typ":"JWT"}`, goodPayload, true},
	{`{"alg":"RS256"}`, goodPayload, true},
	{" \n{\"typ\":\"Application\\/AT+JWT\",\"k\\u0069d\":\"key-1\",\"alg\":\"RS256\"}\t", "\r\n" + goodPayload + " ", true},
	{`{"alg":"RS256","kid":"key-1","x5t":"AAAA","jku":"https://evil.example/","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`, goodPayload, true},
	{`{"alg":"RS256","x5c":1,"jwk":null,"x":1e999}`, goodPayload, true},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":["a","https://example.com/health-api"],"exp":4.1024448e9}`, true},
	{`{"alg":"RS256"}`, `{"aud":["https:\/\/example.com\/health-api"],"exp":4102444800.5,"iss":"https://issuer.example\u002f","iat":0,"nbf":-0}`, true},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"email":"a@example.com","act":{"sub":"a"},"ISS":"evil","Exp":1}`, true},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"nonce":"n","typ":"Bearer","\ud83d\ude00":1e999}`, true},
	{`{"alg":"RS256","typ":"at+jwt"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"nonce":"n","name":"Ada","payload":"x"}`, true},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"token_use":"access","username":"ada","x":[[{"y":[]}]]}`, true},

	{`{"alg":"none"}`, goodPayload, false},
	{`{"alg":"HS256","kid":"key-1"}`, goodPayload, false},
	{`{"alg":"RS256","kid":"key-2"}`, goodPayload, false},
	{`{"alg":"RS256","crit":["exp"]}`, goodPayload, false},
	{`{"alg":"RS256","b64":false}`, goodPayload, false},
	{`{"alg":"RS256","zip":"DEF"}`, goodPayload, false},
	{`{"alg":"RS256","cty":"JWT"}`, goodPayload, false},
	{`{"alg":"RS256","typ":"logout+jwt"}`, goodPayload, false},
	{`{"alg":"RS256","alg":"RS256"}`, goodPayload, false},
	{``, ``, false},
	{`{}`, `{}`, false},
	{`{"alg":"RS256"}`, `[]`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://evil.example/","aud":"https://example.com/health-api","exp":4102444800}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"client-1","exp":4102444800}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":1}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api"}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"nbf":4102444800}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"iat":4102444800}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"cnf":{"jkt":"x"}}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"nonce":"n"}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"at_hash":null}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"events":{}}`, false},
	{`{"alg":"RS256"}`, `{"iss":"https://issuer.example/","aud":"https://example.com/health-api","exp":4102444800,"email":"a@example.com","scope":""}`, false},
	{`{"alg":"RS256"}`, "{\"iss\":\"https://issuer.example/\",\"aud\":\"https://example.com/health-api\",\"exp\":4102444800,\"x\":\"\xff\"}", false},
}

// TestClaimsSeedsAreWhatTheySay keeps the seeds of FuzzClaims from going stale.
func TestClaimsSeedsAreWhatTheySay(t *testing.T) {
	v := newValidator(t)
	for _, seed := range claimsSeeds {
		_, err := v.Validate(t.Context(), sign(seed.header, seed.payload))
		require.Equal(t, seed.good, err == nil, "%s %s: %v", seed.header, seed.payload, err)
	}
}

// FuzzClaims signs what it is given with the key that is trusted, so that nothing
// but the rules keeps a token out. What is accepted must be the same token to the
// peer, must break no rule as written down once more below, and must not survive
// the change of one byte, counted from its end; and Explain must answer as Validate does.
func FuzzClaims(f *testing.F) {
	account := &accountant{seeds: len(claimsSeeds) + 2, good: 2}
	for i, seed := range claimsSeeds {
		f.Add(seed.header, seed.payload, uint(i*97), byte(1<<(i%8)))
		if seed.good {
			account.good++
		}
	}
	// Whatever the last character is, one of these changes only its stray bits.
	f.Add(goodHeader, goodPayload, uint(0), byte(0x02))
	f.Add(goodHeader, goodPayload, uint(0), byte(0x0f))
	account.audit(f)
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, header, payload string, position uint, flip byte) {
		account.ran++
		token := sign(header, payload)
		before := time.Now()
		c, err := v.Validate(t.Context(), token)
		after := time.Now()
		requireExplained(t, v, token, err)

		changed := []byte(token)
		changed[uint(len(changed))-1-position%uint(len(changed))] ^= max(flip, 1)
		_, changedErr := v.Validate(t.Context(), string(changed))
		require.Error(t, changedErr, "%q", changed)
		requireExplained(t, v, string(changed), changedErr)

		if err != nil {
			require.Nil(t, c)
			return
		}
		account.accepted++
		headerRead, payloadRead := readPlainly(t, header), readPlainly(t, payload)
		requireRulesKept(t, headerRead, payloadRead, before, after)

		if payloadRead.beyondThePeer() {
			return
		}
		// The peer reads keys and addresses in the header, even though it does not
		// use them, and so refuses tokens over what nobody should look at; and it
		// verifies the header without the white space around it, which was signed
		// too. It gets the same claims under another header then.
		if headerRead.has("jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256") || headerRead.beyondThePeer() ||
			strings.TrimSpace(header) != header {
			token = sign(plainHeader, payload)
		}
		peers, err := peerRead(token)
		require.NoError(t, err)
		requireAgreement(t, c, peers)
	})
}

// requireExplained wants Explain to answer as Validate has.
func requireExplained(t *testing.T, v *claims.Validator, token string, want error) {
	t.Helper()
	report := v.Explain(t.Context(), token)
	require.Equal(t, want == nil, report.Err == nil, "%v and %v", want, report.Err)
	require.NotEmpty(t, report.Checks)
	failed := 0
	for _, check := range report.Checks {
		require.Equal(t, check.Outcome == claims.Failed, check.Err != nil, check.Name)
		if check.Outcome != claims.Passed {
			failed++
		}
	}
	if want == nil {
		require.Zero(t, failed)
		return
	}
	require.NotZero(t, failed)
	reasons := 0
	for _, sentinel := range sentinels {
		require.Equal(t, errors.Is(want, sentinel), errors.Is(report.Err, sentinel), "%v and %v", want, report.Err)
		if errors.Is(want, sentinel) {
			reasons++
		}
	}
	require.Equal(t, 1, reasons, "%v", want)
}

// requireRulesKept checks an accepted token by the rules of package claims, in
// other words and with encoding/json alone.
func requireRulesKept(t *testing.T, header, payload plainReading, before, after time.Time) {
	t.Helper()
	require.Equal(t, "RS256", header["alg"])
	if header.has("kid") && header["kid"] != "" {
		require.Equal(t, "key-1", header["kid"])
	}
	require.False(t, header.has("crit", "b64", "zip"), "%v", header)
	require.NotEqual(t, "jwt", mediaTypeOf(header.text("cty")))
	typ := mediaTypeOf(header.text("typ"))
	require.Contains(t, []string{"", "jwt", "at+jwt"}, typ)

	require.Equal(t, issuer, payload["iss"])
	switch aud := payload["aud"].(type) {
	case string:
		require.Equal(t, audience, aud)
	case []any:
		require.Contains(t, aud, any(audience))
		for _, each := range aud {
			require.IsType(t, "", each)
		}
	default:
		require.Fail(t, "aud has another type", "%v", aud)
	}
	for _, name := range []string{"sub", "jti"} {
		if payload.has(name) {
			require.IsType(t, "", payload[name], name)
		}
	}

	const leeway, rounding = 30.0, 0.001
	now := func(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }
	expiry := payload.seconds(t, "exp")
	require.Less(t, now(before), expiry+leeway+rounding)
	require.Less(t, expiry, 253402300800.0)
	for _, name := range []string{"nbf", "iat"} {
		if payload.has(name) {
			begin := payload.seconds(t, name)
			require.GreaterOrEqual(t, begin, 0.0, name)
			require.GreaterOrEqual(t, now(after)+leeway+rounding, begin, name)
		}
	}

	require.False(t, payload.has("cnf", "events", "at_hash", "c_hash", "s_hash"), "%v", payload)
	require.NotContains(t, []string{"ID", "Refresh", "Offline", "Logout"}, payload.text("typ"))
	if payload.has("token_use") {
		require.Equal(t, "access", payload["token_use"])
	}
	if payload.has("nonce") {
		require.True(t, typ == "at+jwt" || payload.text("typ") == "Bearer", "a nonce: %v", payload)
	}
	if typ != "at+jwt" && payload.has(identityClaims...) {
		grants := payload.text("typ") == "Bearer"
		for _, name := range accessClaims {
			switch value := payload[name].(type) {
			case string:
				grants = grants || value != ""
			case []any:
				grants = grants || len(value) > 0
			case map[string]any:
				grants = grants || len(value) > 0
			}
		}
		require.True(t, grants, "it describes a user and grants nothing: %v", payload)
	}
}

var (
	identityClaims = strings.Fields(`email email_verified phone_number phone_number_verified name given_name family_name
		middle_name nickname preferred_username profile picture website gender birthdate zoneinfo locale address updated_at
		upn unique_name auth_time amr acr sid`)
	accessClaims = strings.Fields(`scope scp client_id cid appid permissions gty idtyp authorization_details act token_use`)
)

var dateSeeds = []struct {
	number      string
	exp, issued bool // whether it is good as exp, and as iat
}{
	{"4102444800", true, false},
	{"4.1024448e9", true, false},
	{"41024448E+2", true, false},
	{"410244480000e-2", true, false},
	{"4102444800.123456789", true, false},
	{"4102444799.9999999999999999", true, false},
	{"253402300799", true, false},
	{"253402300799.5", true, false},
	{"253402300799.999999999", false, false}, // to a float64, it is the end
	{"253402300800", false, false},
	{"1e400", false, false},
	{"-1e400", false, false},
	{"9223372036854775808", false, false},
	{"18446744073709551617", false, false},
	{"1700000000", false, true},
	{"1700000000.999999999", false, true},
	{"0.1", false, true},
	{"0.0000000001", false, true},
	{"1e-400", false, true},
	{"0", false, true},
	{"-0", false, true},
	{"-0.0e5", false, true},
	{"-0.0001", false, false},
	{"-1", false, false},
}

// FuzzNumericDate compares the dates of accepted tokens with exact arithmetic. A
// number stands as exp of one token, to reach the future, and as iat of another,
// to reach the past.
func FuzzNumericDate(f *testing.F) {
	account := &accountant{seeds: len(dateSeeds)}
	for _, seed := range dateSeeds {
		f.Add(seed.number)
		if seed.exp || seed.issued {
			account.good++
		}
	}
	account.audit(f)
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, number string) {
		account.ran++
		if len(number) > 64 || !strings.Contains("-0123456789", number[:min(len(number), 1)]) || !json.Valid([]byte(number)) {
			return // no JSON number
		}
		exact, ok := new(big.Rat).SetString(number)
		if !ok {
			return // more digits in the exponent than arithmetic has time for
		}
		before := time.Now()
		expires, expErr := v.Validate(t.Context(), sign(plainHeader, `{"iss":"`+issuer+`","aud":"`+audience+`","exp":`+number+`}`))
		issued, iatErr := v.Validate(t.Context(), sign(plainHeader, `{"iss":"`+issuer+`","aud":"`+audience+`","exp":4102444800,"iat":`+number+`}`))
		after := time.Now()
		if expErr == nil || iatErr == nil {
			account.accepted++
		}

		// Beyond what a float64 can tell apart, nothing is said about the edges.
		edge := big.NewRat(1, 1<<14)
		from := func(at time.Time, seconds int64) *big.Rat {
			return new(big.Rat).SetFrac64(at.UnixMicro()+seconds*1e6, 1e6)
		}
		beyond := func(limit *big.Rat) bool { return exact.Cmp(new(big.Rat).Add(limit, edge)) > 0 }
		below := func(limit *big.Rat) bool { return exact.Cmp(new(big.Rat).Sub(limit, edge)) < 0 }
		end := big.NewRat(253402300800, 1)

		if below(new(big.Rat)) || beyond(end) {
			require.ErrorIs(t, expErr, claims.ErrMalformed)
			require.ErrorIs(t, iatErr, claims.ErrMalformed)
		}
		if exact.Sign() >= 0 && below(end) {
			require.NotErrorIs(t, expErr, claims.ErrMalformed)
			require.NotErrorIs(t, iatErr, claims.ErrMalformed)
			if beyond(from(after, -30)) {
				require.NoError(t, expErr)
			}
			if below(from(before, -30)) {
				require.ErrorIs(t, expErr, claims.ErrExpired)
			}
			if beyond(from(after, 30)) {
				require.ErrorIs(t, iatErr, claims.ErrNotYetValid)
			}
			if below(from(before, 30)) {
				require.NoError(t, iatErr)
			}
		}
		if expErr == nil {
			requireExactly(t, exact, expires.Expiry)
		}
		if iatErr == nil {
			requireExactly(t, exact, issued.IssuedAt)
		}
	})
}

// TestDateSeedsAreWhatTheySay keeps the seeds of FuzzNumericDate from going stale.
func TestDateSeedsAreWhatTheySay(t *testing.T) {
	v := newValidator(t)
	for _, seed := range dateSeeds {
		_, err := v.Validate(t.Context(), sign(plainHeader, `{"iss":"`+issuer+`","aud":"`+audience+`","exp":`+seed.number+`}`))
		require.Equal(t, seed.exp, err == nil, "exp %s: %v", seed.number, err)
		_, err = v.Validate(t.Context(), sign(plainHeader, `{"iss":"`+issuer+`","aud":"`+audience+`","exp":4102444800,"iat":`+seed.number+`}`))
		require.Equal(t, seed.issued, err == nil, "iat %s: %v", seed.number, err)
	}
}

// requireExactly wants a time within a microsecond of an exact number of seconds;
// after the year 2514, where neighbours among the float64 are further apart than
// that, within 16.
func requireExactly(t *testing.T, exact *big.Rat, got time.Time) {
	t.Helper()
	tolerance := big.NewRat(1, 1e6)
	if got.Unix() >= 1<<34 {
		tolerance = big.NewRat(16, 1e6)
	}
	seconds := new(big.Rat).SetInt64(got.Unix())
	seconds.Add(seconds, big.NewRat(int64(got.Nanosecond()), 1e9))
	difference := new(big.Rat).Sub(seconds, exact)
	about, _ := exact.Float64()
	require.LessOrEqual(t, difference.Abs(difference).Cmp(tolerance), 0, "about %f and %s", about, got)
}
