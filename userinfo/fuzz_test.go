package userinfo_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/userinfo"
)

// Whatever an issuer answers, what is accepted is about the token's subject, and
// encoding/json reads the same in it.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"sub":"ada","name":"Ada","email_verified":true,"address":{"country":"UK"},"updated_at":1}`,
		`{"sub":"eve","sub":"ada"}`, `{"Sub":"ada"}`, `{"s\u0075b":"ada"}`, `[]`, ``, `{"sub":"ada"} x`,
	} {
		f.Add("application/json", body)
		f.Add("application/jwt", encode(`{"alg":"RS256"}`)+"."+encode(body)+".AA")
	}
	f.Add("application/jwt", encode(`{"alg":"none"}`)+"."+encode(`{"sub":"ada"}`)+".")
	f.Add("text/html", "<html>")
	ctx := behind(f.Context(), token, ada())
	f.Fuzz(func(t *testing.T, contentType, body string) {
		users := says(200, contentType, body).client(t, userinfo.Config{MaxAge: userinfo.NoCache, Keys: sourceFunc(noKeys)})
		got, err := users.Profile(ctx)
		if (got == nil) == (err == nil) {
			t.Fatalf("got %v, %v", got, err)
		}
		if err != nil {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal([]byte(body), &plain); err != nil || !utf8.ValidString(body) {
			t.Fatalf("%q is taken, and encoding/json says %v", body, err)
		}
		if got.Subject != "ada" || plain["sub"] != "ada" {
			t.Fatalf("%q is about %q", body, got.Subject)
		}
		if text, _ := plain["email"].(string); text != got.Email {
			t.Fatalf("the address is %q, and encoding/json says %q", got.Email, text)
		}
		all, err := userinfo.As[map[string]json.RawMessage](got)
		if err != nil || len(all) != len(plain) {
			t.Fatalf("%d claims, %v; encoding/json says %d", len(all), err, len(plain))
		}
	})
}
