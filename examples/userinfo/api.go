package main

import (
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/userinfo"
)

// custom has what the issuer of this API says of a user beyond the standard claims.
type custom struct {
	Department string `json:"https://example.com/department"`
}

// newAPI returns the API. The guard asks for the scopes that the issuer wants for what
// is used of a profile, so that the client is told them.
func newAPI(validator middleware.Validator, users *userinfo.Client) http.Handler {
	guard := middleware.New(validator)
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.RequireScope("openid", "profile")(greet(guard, users)))
	return mux
}

func greet(guard *middleware.Guard, users *userinfo.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := users.Profile(r.Context())
		if err != nil {
			// As the guard does: 401 where the issuer does not accept the token, 403 where
			// it is none for this, 503 where the issuer is to blame, with Retry-After.
			guard.Refuse(w, r, err)
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
