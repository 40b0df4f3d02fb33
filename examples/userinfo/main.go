// Command userinfo shows an API that knows its users by name: it asks the issuer's
// userinfo endpoint, with the access token that a request came with (OpenID Connect Core
// §5.3), and keeps the answer for a while.
//
//	go run ./examples/userinfo
//
// It starts a fake authorization server and the API on loopback ports, prints what the
// API answers, also while the issuer is in trouble, and ends. api.go is the API.
package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/examples/internal/stage"
	"github.com/bearerguard/bearerguard/userinfo"
)

const audience = "https://example.com/health-api"

func main() { stage.Main("userinfo", play) }

func play(ctx context.Context, s *stage.Stage) error {
	validator, err := claims.NewValidator(claims.Config{Issuer: s.Issuer.URL(), Audience: audience})
	if err != nil {
		return err
	}
	users, err := userinfo.NewClient(userinfo.Config{Issuer: s.Issuer.URL(), Timeout: time.Second})
	if err != nil {
		return err
	}
	s.Open(newAPI(validator, users))
	fmt.Fprintf(s.Out, "issuer  %s, is asked at /userinfo: each CALL is counted\nAPI     %s/hello\n\n", s.Issuer.URL(), s.URL)

	s.Issuer.AddUser("ada", map[string]any{"name": "Ada Example", "https://example.com/department": "cardiology"})
	token := func(options ...authtest.TokenOption) string {
		hers := []authtest.TokenOption{authtest.Audience(audience), authtest.Subject("ada"), authtest.Scope("openid", "profile")}
		return s.Issuer.Token(append(hers, options...)...)
	}
	table := s.Table("/hello")
	table.Count("CALLS", s.Issuer.UserinfoRequests)
	first, limited := token(), token()
	table.Send(ctx, "a user's", first, 200, 1)
	table.Send(ctx, "the same again", first, 200, 0)
	table.Send(ctx, "without the scope openid", token(authtest.Scope("read:patients")), 403, 0)
	table.Send(ctx, "a machine's", token(authtest.Machine("nightly")), 403, 0)
	s.Issuer.SetUserinfo(answer(http.StatusTooManyRequests, "30"))
	table.Send(ctx, "another, and the issuer answers 429", limited, 503, 1)
	table.Send(ctx, "the same again", limited, 503, 0)
	s.Issuer.SetUserinfo(answer(http.StatusUnauthorized, ""))
	table.Send(ctx, "one that was revoked", token(), 401, 1)
	s.Issuer.SetDelay(time.Hour)
	table.Send(ctx, "another, and the issuer is slow", token(), 503, 1)
	s.Issuer.SetDelay(0)
	s.Issuer.SetDown(true)
	table.Send(ctx, "another, and the issuer is down", token(), 503, 1)
	table.Send(ctx, "the user's, who is known for a minute", first, 200, 0)
	return table.End()
}

// answer is what the issuer says in the place of profiles.
func answer(status int, retryAfter string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(status)
	})
}
