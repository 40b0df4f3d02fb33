package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/contextkey"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

// What is remembered of a token is shared by all requests with it. Whoever is not of
// the library may spoil what he gets, also where it says that he must not: the next
// request, and the guard's own requirements of this one, see what the token says.
func TestNobodyCanChangeWhatIsBelieved(t *testing.T) {
	spoil := func(c *claims.Claims) {
		for n := range c.Audience {
			c.Audience[n] = "spoilt"
		}
		for n := range c.AMR {
			c.AMR[n] = "spoilt"
		}
		c.Issuer, c.Subject, c.ClientID, c.ACR, c.Expiry, c.Scope = "spoilt", "spoilt", "spoilt", "spoilt", time.Time{}, scope.Set{}
	}
	told := func(c *claims.Claims) string {
		return fmt.Sprint(c.Issuer, c.Subject, c.Audience, c.ClientID, c.ACR, c.AMR, c.Expiry, c.Scope)
	}
	spoiling := func(see func(*claims.Claims)) middleware.Requirement {
		return middleware.Func("spoils", func(_ *http.Request, c *claims.Claims) error {
			see(c)
			return nil
		})
	}
	type place struct {
		option middleware.Option
		first  []middleware.Requirement
		next   http.Handler
	}
	places := map[string]func(see func(*claims.Claims)) place{
		"a requirement": func(see func(*claims.Claims)) place {
			return place{first: []middleware.Requirement{spoiling(see)}, next: ok}
		},
		"a requirement after another": func(see func(*claims.Claims)) place {
			return place{first: []middleware.Requirement{spoiling(spoil), spoiling(see)}, next: ok}
		},
		"a requirement by method": func(see func(*claims.Claims)) place {
			return place{first: []middleware.Requirement{middleware.ByMethod(map[string]middleware.Requirement{"GET": spoiling(see)})}, next: ok}
		},
		"an observer": func(see func(*claims.Claims)) place {
			return place{option: middleware.WithObserver(func(_ context.Context, d middleware.Decision) {
				c, _ := d.Claims()
				see(c)
			}), next: ok}
		},
		"the handler": func(see func(*claims.Claims)) place {
			return place{next: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c, _ := claims.FromContext(r.Context())
				see(c)
			})}
		},
		"who looks at what the context says to others": func(see func(*claims.Claims)) place {
			return place{next: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				v, _ := r.Context().Value(contextkey.Believed{}).(*claims.Claims)
				see(v)
			})}
		},
		"who asks the guard": func(see func(*claims.Claims)) place {
			return place{next: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c, err := r.Context().Value(checkKey{}).(*middleware.Guard).Check(r)
				require.NoError(t, err)
				see(c)
			})}
		},
	}
	issuer := authtest.NewIssuer(t)
	token := issuer.Token(authtest.Scope("read:patients"), authtest.ClientID("portal"),
		authtest.Claim("acr", "high"), authtest.Claim("amr", []string{"pwd", "otp"}), authtest.Claim("aud", []string{audience, "another"}))
	for name, in := range places {
		t.Run(name, func(t *testing.T) {
			var seen []string
			in := in(func(c *claims.Claims) {
				seen = append(seen, told(c))
				spoil(c)
			})
			v := issuer.Validator(audience)
			guard := middleware.New(v, in.option)
			h := guard.Require(append(in.first,
				middleware.Scopes(scope.All("read:patients")), middleware.Clients("portal"), middleware.Issuers(issuer.URL()),
				middleware.ACR("high"), middleware.Claim("acr").Equals("high"), middleware.NotMachine(), middleware.User())...)(in.next)
			for range 4 {
				r := request("Bearer " + token)
				require.Equal(t, http.StatusOK, serve(h, r.WithContext(context.WithValue(r.Context(), checkKey{}, guard))).Code)
			}
			require.Len(t, seen, 4)
			for _, one := range seen {
				require.Equal(t, seen[0], one)
				require.NotContains(t, one, "spoilt")
			}
			require.EqualValues(t, 3, v.Memory().Hits)
		})
	}
}

type checkKey struct{}

// Contexts are printed: by a mock, or where one lacks a value.
func TestNoContextPrintsTheToken(t *testing.T) {
	guard := middleware.New(&tokens{})
	printed := ""
	h := guard.Handler(guard.RequireScope("read:patients")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		derived, cancel := context.WithCancel(context.WithValue(r.Context(), checkKey{}, 1))
		defer cancel()
		var log strings.Builder
		for _, ctx := range []context.Context{r.Context(), derived} {
			slog.New(slog.NewTextHandler(&log, nil)).Info("here", "ctx", ctx)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("here", "ctx", ctx)
			printed += fmt.Sprintf("%v %+v %#v %s %q", ctx, ctx, ctx, ctx, ctx)
		}
		printed += log.String()
	})))
	require.Equal(t, http.StatusOK, serve(h, request("Bearer reader")).Code)
	require.Contains(t, printed, "the context of a request")
	require.NotContains(t, printed, "reader")
	require.NotContains(t, printed, "user-1")
}
