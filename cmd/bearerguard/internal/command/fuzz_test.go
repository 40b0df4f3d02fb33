package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// Whatever a token says, its signature stays out of what is printed, and a
// terminal finds nothing to obey.
func FuzzExplain(f *testing.F) {
	file := filepath.Join(f.TempDir(), "keys.json")
	require.NoError(f, os.WriteFile(file, []byte(keySet(jwk(set{"kid": "key-1"}))), 0o600))
	f.Add("", atHeader, payload(nil))
	f.Add("8xLOxBtZp8", atHeader, payload(set{"sub": hostile, "aud": []string{hostile, "b"}, "exp": 1e10}))
	f.Add("a.b.c.d.e", `{"alg":"RS256","kid":"\u001b"}`, `{"iss":"\u009b","exp":-1,"iat":1e300,"nbf":"x"}`)
	f.Add(" \"Bearer x\"\n", jwtHeader, `{"\u202e":{"a":["\ud83d\ude00"]}}`)
	f.Add(invisible, atHeader, `{"sub":"`+invisible+`","`+invisible+`":1}`)
	f.Add(`{"access_token":"`+"\x1b"+`"}`, "", "")
	f.Fuzz(func(t *testing.T, raw, header, payload string) {
		token := sign(header, payload)
		signature := token[strings.LastIndexByte(token, '.')+1:]
		for _, input := range []string{raw, token} {
			for _, further := range [][]string{{}, {"-json"}} {
				args := append([]string{"explain", "-jwks", file, "-scope", "read:patients"}, configured...)
				r := start(t.Context(), newWorld(), input, append(args, further...)...)
				require.Contains(t, []int{0, 1, 2}, r.status)
				output := r.stdout + r.stderr
				require.NotContains(t, output, signature)
				for _, c := range output {
					require.True(t, c == '\n' || c == unicode.ReplacementChar || unicode.IsPrint(c) && !unicode.In(c, unicode.Mn, unicode.Hebrew, unicode.Arabic, unicode.Nko, unicode.Syriac), "%q in %q", c, output)
				}
				if len(further) > 0 && r.stderr == "" {
					require.True(t, json.Valid([]byte(r.stdout)), r.stdout)
				}
			}
		}
	})
}
