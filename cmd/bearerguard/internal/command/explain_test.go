package command_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A scene is a world and a token in it.
type scene struct {
	name   string
	token  func() string // in the bubble, so that its times are the bubble's
	world  func(*world)
	args   []string
	status int
	wants  []string // what must be told, whatever else is
}

func signed(header string, changes set) func() string {
	return func() string { return sign(header, payload(changes)) }
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

// hostile is text that a terminal would obey.
const hostile = "\x1b[31mred\x1b]0;title\x07\u009b2J\u202e\x7f"

var scenes = []scene{
	{name: "good", token: signed(atHeader, nil), status: 0, wants: []string{"ACCEPTED", "read:patients", "another 1 h"}},
	{name: "good-with-scope", token: signed(atHeader, nil), args: []string{"-scope", "read:patients"}, status: 0, wants: []string{"ACCEPTED"}},
	{name: "undeclared-type", token: signed(jwtHeader, nil), status: 0, wants: []string{"ACCEPTED"}},
	{name: "scope-missing", token: signed(atHeader, nil), args: []string{"-scope", "read:patients write:patients"}, status: 1,
		wants: []string{"403 insufficient_scope", "the token lacks a scope: write:patients", `the token has "openid read:patients"`}},
	{name: "no-scope-at-all", token: signed(atHeader, set{"scope": nil}), args: []string{"-scope", "read:patients"}, status: 1, wants: []string{"no scope at all"}},
	{name: "expired",
		token: func() string {
			return sign(atHeader, payload(set{"iat": ago(4 * time.Hour), "exp": ago(3*time.Hour + 12*time.Minute)}))
		},
		world:  func(w *world) { w.ahead = 2500 * time.Millisecond },
		args:   []string{"-scope", "write:patients"},
		status: 1, wants: []string{"3 h 12 min ago", "this machine's clock is 2 s behind the issuer's", "get a new token"}},
	{name: "expired-by-our-clock-only",
		token: func() string {
			return sign(atHeader, payload(set{"iat": ago(time.Hour), "exp": ago(5 * time.Minute)}))
		},
		world:  func(w *world) { w.ahead = -10 * time.Minute },
		status: 1, wants: []string{"5 min ago", "10 min ahead", "set the clock of this machine"}},
	{name: "not-yet-valid",
		token:  func() string { return sign(atHeader, payload(set{"nbf": ago(-2 * time.Minute)})) },
		world:  func(w *world) { w.ahead = 3 * time.Minute },
		status: 1, wants: []string{"in 2 min", "3 min behind", "set the clock of this machine"}},
	{name: "opaque", token: func() string { return "8xLOxBtZp8KfQh2mYw1vN7sR3tUd5oEa" }, status: 1, wants: []string{"opaque", "the client has asked for no audience", "or this is no token at all", "the rest not reached"}},
	{name: "encrypted", token: func() string {
		return "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aW5pdGlhbGl6YXRpb24.Y2lwaGVydGV4dC1vZi1hLXRva2Vu.dGFnLW9mLWEtdG9rZW4"
	},
		status: 1, wants: []string{"encrypted", "the client has asked for no audience"}},
	{name: "id-token", token: signed(jwtHeader, set{"aud": "client-1", "azp": "client-1", "nonce": "n", "client_id": nil, "scope": nil, "email": "ada@example.com"}),
		status: 1, wants: []string{"ID Token", "send the access token", `typ "JWT"`}},
	{name: "issuer-without-slash", token: signed(atHeader, set{"iss": strings.TrimSuffix(issuer, "/")}), status: 1,
		wants: []string{"lacks the slash at the end", "the slash at the end counts"}},
	{name: "issuer-of-another-tenant", token: signed(atHeader, set{"iss": "https://staging.example/"}), status: 1, wants: []string{`"https://staging.example/"`}},
	{name: "audience-is-the-client", token: signed(atHeader, set{"aud": "client-1"}), status: 1, wants: []string{"aud is the ID of the client"}},
	{name: "audience-of-another-api", token: signed(atHeader, set{"aud": []string{"https://example.com/billing-api", "https://example.com/health-api/"}}), status: 1,
		wants: []string{"the slash at the end counts"}},
	{name: "unknown-key", token: signed(`{"alg":"RS256","kid":"key-0","typ":"at+jwt"}`, nil), status: 1,
		world: func(w *world) {
			w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": "key-1"}), jwk(set{"kid": "key-2", "alg": nil}), jwk(set{"kid": nil}))}
		},
		wants: []string{`no key "key-0"`, `it has "key-1" (RS256), "key-2" (any algorithm), one without kid (RS256)`, "another tenant or environment"}},
	{name: "algorithm", token: signed(`{"alg":"ES256","kid":"key-1"}`, nil), status: 1, wants: []string{`it says "ES256"; accepted: RS256`, "Config.Algorithms"}},
	{name: "algorithm-none", token: func() string {
		return strings.TrimRight(sign(`{"alg":"none"}`, payload(nil)), "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
	}, status: 1, wants: []string{"never accepted"}},
	{name: "signature", token: func() string {
		parts := strings.Split(sign(atHeader, payload(nil)), ".")
		return parts[0] + "." + encode([]byte(payload(set{"sub": "root"}))) + "." + parts[2]
	}, status: 1, wants: []string{"anybody may have written it", "signature is wrong"}},
	{name: "cut-short", token: func() string { token := sign(atHeader, payload(nil)); return token[:len(token)/3] }, status: 1, wants: []string{"copy it again"}},
	{name: "bound", token: signed(atHeader, set{"cnf": set{"jkt": "x"}}), status: 1, wants: []string{"bound to a key"}},
	{name: "profile", token: signed(jwtHeader, nil), args: []string{"-profile", "rfc9068"}, status: 1, wants: []string{"RFC 9068", `its typ is "JWT"`}},
	{name: "two-tokens", token: func() string { return sign(atHeader, payload(nil)) + "\n" + sign(atHeader, payload(nil)) }, status: 1,
		wants: []string{"400 invalid_request", "what follows Bearer is not one token", "give one token"}},
	{name: "issuer-down", token: signed(atHeader, nil), status: 2,
		world: func(w *world) { w.pages[metadataURL] = page{status: 503, body: "maintenance"} },
		wants: []string{"UNDECIDED", "503", "bearerguard doctor"}},
	{name: "issuer-hangs", token: signed(atHeader, nil), status: 2, args: []string{"-timeout", "2s"},
		world: func(w *world) { w.pages[metadataURL] = page{takes: time.Hour} },
		wants: []string{"UNDECIDED", "no answer came within 2 s"}},
	{name: "another-configuration", token: signed(jwtHeader, set{"aud": "old-api", "scope": nil, "permissions": []string{"read:patients"}}), status: 0,
		args:  []string{"-aliases", "old-api,older-api", "-scope-claims", "permissions", "-scope", "read:patients", "-algorithms", "RS256,ES256", "-leeway", "0"},
		wants: []string{"ACCEPTED"}},
	{name: "no-claims", token: signed(atHeader, set{"email": "ada@example.com"}), args: []string{"-no-claims"}, status: 0, wants: []string{"ACCEPTED"}},
	{name: "hostile-text",
		token: func() string {
			return sign(`{"alg":"RS256","kid":"key-1\u001b[2J","typ":"at+jwt","x":"`+"\u009b\u202e"+`"}`,
				payload(set{"aud": hostile, "iss": issuer, "client_id": hostile, "scope": hostile, "sub": strings.Repeat(hostile, 200), hostile: hostile}))
		},
		world: func(w *world) {
			w.pages[keySetURL] = page{body: keySet(jwk(set{"kid": hostile, "alg": "RS256"}))}
		},
		status: 1},
	{name: "invisible-text",
		token: func() string {
			return sign(atHeader, payload(set{"sub": "ada" + invisible, "client_id": "a\u0301", "scope": nil, "name": "Åsa 山田 é", invisible: "x"}))
		},
		status: 0, wants: []string{`"Åsa 山田 é"`, `"a\u0301"`}},
	{name: "date-of-the-year-9999", token: signed(atHeader, nil), status: 0,
		world: func(w *world) {
			for url, p := range w.pages {
				p.header = map[string]string{"Date": "Fri, 31 Dec 9999 23:59:59 GMT"}
				w.pages[url] = p
			}
		}, wants: []string{"106751 days behind the issuer's"}},
	{name: "date-of-the-year-1", token: signed(atHeader, set{"exp": 1}), status: 1,
		world: func(w *world) {
			for url, p := range w.pages {
				p.header = map[string]string{"Date": "Mon, 01 Jan 0001 00:00:00 GMT", "Age": "2147483647"}
				w.pages[url] = p
			}
		}, wants: []string{"106751 days ahead of the issuer's"}},
	{name: "hostile-issuer", token: signed(atHeader, nil), status: 2,
		world: func(w *world) {
			w.pages[metadataURL] = page{status: 500, body: strings.Repeat(hostile, 1000), header: map[string]string{"Content-Type": hostile}}
		}},
}

// play runs a scene, with further arguments.
func (s scene) play(t *testing.T, further ...string) (r run) {
	key()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		if s.world != nil {
			s.world(w)
		}
		r = start(t.Context(), w, s.token()+"\n", slices.Concat([]string{"explain"}, configured, s.args, further)...)
		time.Sleep(time.Minute) // a fetch that hangs goes on after the program's end, for a while
	})
	return r
}

func TestExplain(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			r := s.play(t)
			r.golden(t, "explain/"+s.name)
			require.Equal(t, s.status, r.status)
			flat := strings.Join(strings.Fields(r.stdout), " ")
			for _, want := range s.wants {
				require.Contains(t, flat, want)
			}
			for line := range strings.Lines(r.stdout) {
				require.Less(t, len(line), 1300, "%q", line)
			}
		})
	}
}

// The JSON says the same as the page, and is the same each time.
func TestExplainAsJSON(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			r := s.play(t, "-json")
			r.requireClean(t)
			require.Equal(t, s.status, r.status)
			require.Equal(t, r.stdout, s.play(t, "-json").stdout)
			var x struct {
				Result string
				Answer struct{ Status int }
				Checks []struct{ Name, Result, Detail string }
				Claims map[string]any
			}
			require.NoError(t, json.Unmarshal([]byte(r.stdout), &x))
			require.Equal(t, map[int]string{0: "accepted", 1: "refused", 2: "undecided"}[s.status], x.Result)
			require.Equal(t, s.status == 0, x.Answer.Status == 0)
			require.GreaterOrEqual(t, len(x.Checks), 12)
			for _, c := range x.Checks {
				require.Contains(t, []string{"ok", "failed", "not reached"}, c.Result)
			}
			require.Contains(t, s.play(t).stdout, "\n"+strings.ToUpper(x.Result)+": ", "the text has the same word")
			if slices.Contains(s.args, "-no-claims") {
				require.Nil(t, x.Claims)
				require.NotContains(t, r.stdout, "ada@example.com")
			}
			switch s.name {
			case "good", "expired", "hostile-text":
				r.golden(t, "explain/"+s.name+"-json")
			}
		})
	}
}

// What explain says of the checks comes from the library; that it says the same as
// a guard does is for this test.
func TestExplainAnswersAsAGuardDoes(t *testing.T) {
	for _, s := range scenes {
		if s.status != 1 || s.name == "two-tokens" {
			continue
		}
		flat := s.play(t).stdout
		want := "REFUSED: the API answers 401 invalid_token."
		if strings.Contains(s.name, "scope") {
			want = "REFUSED: the API answers 403 insufficient_scope."
		}
		require.Contains(t, flat, want, s.name)
	}
}

func TestExplainOffline(t *testing.T) {
	key()
	file := filepath.Join(t.TempDir(), "keys.json")
	require.NoError(t, os.WriteFile(file, []byte(keySet(jwk(set{"kid": "key-1"}))), 0o600))
	nobody := transport(func(*http.Request) (*http.Response, error) {
		t.Error("somebody was asked")
		return nil, errors.New("offline")
	})
	tests := []struct {
		name   string
		header string
		claims set
		status int
		want   string
	}{
		{"good", atHeader, nil, 0, "ACCEPTED"},
		{"expired", atHeader, set{"exp": int64(1)}, 1, "-jwks asks nobody"},
		{"unknown key", `{"alg":"RS256","kid":"key-0"}`, nil, 1, "or the file of -jwks is too old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t.Context(), nobody, sign(tt.header, payload(tt.claims)), append([]string{"explain", "-jwks", file}, configured...)...)
			r.requireClean(t)
			require.Equal(t, tt.status, r.status)
			require.Contains(t, strings.Join(strings.Fields(r.stdout), " "), tt.want)
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestWhatIsCopiedAlongIsTakenOff(t *testing.T) {
	tests := []struct {
		name   string
		before string
		after  string
		notes  []string
	}{
		{"a line", "", "\n", nil},
		{"a line of Windows", "", "\r\n", nil},
		{"nothing", "", "", nil},
		{"white space", "  \n", " \n\n", []string{"white space"}},
		{"the header", "Authorization: Bearer ", "\n", []string{`"Authorization:"`, `"Bearer"`}},
		{"the header in other letters", "authorization:bearer ", "\r\n", []string{`"Authorization:"`, `"Bearer"`}},
		{"the scheme", "bearer   ", "", []string{`"Bearer"`}},
		{"quotes", `"`, "\"\n", []string{"quotes"}},
		{"the header in quotes", "'Authorization: Bearer ", "'", []string{"quotes", `"Authorization:"`, `"Bearer"`}},
		{"a mark of editors", "\ufeff", "\n", nil},
		{"an answer of a token endpoint", `{"token_type":"Bearer","access_token":"`, `","expires_in":3600}`, []string{"access_token in the JSON"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t.Context(), newWorld(), tt.before+sign(atHeader, payload(nil))+tt.after, append([]string{"explain"}, configured...)...)
			r.requireClean(t)
			require.Equal(t, 0, r.status, r.stdout)
			require.Equal(t, len(tt.notes), strings.Count(r.stdout, "note: "), r.stdout)
			for _, note := range tt.notes {
				require.Contains(t, r.stdout, note)
			}
		})
	}
}

func TestTheTokenMayComeFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token.txt")
	require.NoError(t, os.WriteFile(file, []byte(sign(atHeader, payload(nil))), 0o600))
	r := start(t.Context(), newWorld(), "something else", append([]string{"explain", "-file", file}, configured...)...)
	require.Equal(t, 0, r.status, r.stderr)
	r = start(t.Context(), newWorld(), sign(atHeader, payload(nil)), append([]string{"explain", "-file", "-"}, configured...)...)
	require.Equal(t, 0, r.status, r.stderr)
}
