package main

import (
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
)

// custom has what the issuer of this API says of a user beyond the standard claims.
type custom struct {
	Department string `json:"https://example.com/department"`
}

// newAPI returns the API. Who has no profile is refused before the handler, so that the
// guard answers as the error says: 401 where the issuer does not accept the token, 403
// where the token is none for this, 503 where the issuer is to blame, with Retry-After.
func newAPI(validator middleware.Validator, users *userinfo.Client) http.Handler {
	guard := middleware.New(validator)
	known := middleware.Func("a user with a profile", func(r *http.Request, _ *claims.Claims) error {
		_, err := users.Profile(r.Context())
		return err
	})
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Require(known)(greet(users)))
	return mux
}

func greet(users *userinfo.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context()) // the one from before, which is kept for a minute
		if err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable) // that minute is over just now
			return
		}
		own, err := userinfo.As[custom](user)
		if err != nil { // the issuer says it in another type
			http.Error(w, "the profile cannot be read", http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "hello, %s of %s\n", user.Name, own.Department)
	})
}
