package authtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/bearerguard/bearerguard/userinfo"
	"github.com/stretchr/testify/require"
)

// patients is the API of the examples as a target, with tokens that cost far less
// than those of RSA.
func patients() authtest.Target {
	return authtest.Target{
		Handler:  func(v middleware.Validator) http.Handler { return newAPI(middleware.New(v)) },
		Request:  httptest.NewRequest("GET", "/patients", nil),
		Audience: audience,
		Scope:    []string{"read:patients"},
		Config:   claims.Config{Algorithms: []string{"ES256"}},
	}
}

// with returns the target, changed.
func with(change func(*authtest.Target)) authtest.Target {
	changed := patients()
	change(&changed)
	return changed
}

func config(c claims.Config) authtest.Target {
	if c.Algorithms == nil {
		c.Algorithms = []string{"ES256"}
	}
	return with(func(target *authtest.Target) { target.Config = c })
}

func TestThePatientsOfTheExampleStand(t *testing.T) {
	testPatients(t)
	t.Run("two issuers", testPatientsOfTwoIssuers)
}

// orgs is a requirement that is not about scopes.
type orgs string

func (o orgs) Check(_ *http.Request, c *claims.Claims) error {
	custom, err := claims.As[map[string]any](c)
	if err == nil && custom["org_id"] != string(o) {
		err = errors.New("another organization")
	}
	return err
}

func (o orgs) String() string { return "organization " + string(o) }

// Whatever a correct API is configured to do, the suite finds nothing, and leaves
// out only what makes no sense there.
func TestGuardedRoutesOfManyKindsStand(t *testing.T) {
	rsa := []string{"algorithm/another-hash", "algorithm/another-padding"}
	usual := append([]string{"credentials/form", "credentials/form-and-bad-header"}, rsa...)
	unpadded := []string{"encoding/padding-at-the-end", "encoding/stray-bits"}
	var shapes, scopes []string
	for _, name := range names(t) {
		if slices.Contains([]string{"good/Auth0", "good/Okta", "good/Entra-ID-v1", "good/Entra-ID-v2", "good/Keycloak", "good/Cognito"}, name) {
			shapes = append(shapes, name)
		}
		if strings.HasPrefix(name, "scope/") || strings.HasPrefix(name, "good/scopes-") {
			scopes = append(scopes, name)
		}
	}
	guard := func(protect func(*middleware.Guard) func(http.Handler) http.Handler, h http.HandlerFunc) func(middleware.Validator) http.Handler {
		return func(v middleware.Validator) http.Handler { return protect(middleware.New(v))(h) }
	}
	ok := func(http.ResponseWriter, *http.Request) {}
	tests := []struct {
		name    string
		target  authtest.Target
		skipped []string
	}{
		{"the default", patients(), usual},
		{"the profile of RFC 9068", config(claims.Config{Profile: claims.RFC9068}), slices.Concat(usual, shapes)},
		{"no leeway", config(claims.Config{Leeway: claims.NoLeeway}), usual},
		{"production's own configuration", config(claims.Config{Issuer: "https://my-domain.auth0.com/", Audience: "ignored"}), usual},
		{"aliases", config(claims.Config{AudienceAliases: []string{audience + "/", "https://old.example/"}}), append([]string{"audience/slash"}, usual...)},
		{"permissions", config(claims.Config{ScopeClaims: []string{"permissions"}}), slices.Concat(usual, shapes)},
		{"scope and permissions", config(claims.Config{ScopeClaims: []string{"scope", "permissions"}}),
			append([]string{"good/Okta", "good/Entra-ID-v1", "good/Entra-ID-v2"}, usual...)},
		{"RS256", config(claims.Config{Algorithms: []string{"RS256"}}), usual[:2]},
		{"PS256", config(claims.Config{Algorithms: []string{"PS256"}}), usual[:2]},
		{"EdDSA", config(claims.Config{Algorithms: []string{"EdDSA", "RS256"}}), usual},
		{"ES384", config(claims.Config{Algorithms: []string{"ES384"}}), slices.Concat(usual, unpadded)},
		{"all algorithms", config(claims.Config{Algorithms: jwks.Algorithms()}), slices.Concat(usual, []string{"algorithm/renamed"})},
		{"any access token", with(func(target *authtest.Target) {
			target.Handler, target.Scope = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.Handler }, ok), nil
		}), slices.Concat(usual, scopes)},
		{"another requirement", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler {
				return func(h http.Handler) http.Handler {
					return g.RequireScope("read:patients")(g.Require(orgs("org-1"))(h))
				}
			}, ok)
			target.Token = []authtest.TokenOption{authtest.Claim("org_id", "org-1"), authtest.Subject("ada"), authtest.Like(authtest.Okta)}
		}), usual},
		{"a route of Entra ID v2", with(func(target *authtest.Target) {
			target.Token = []authtest.TokenOption{authtest.Like(authtest.EntraIDv2)}
		}), append([]string{"scope/none", "scope/empty", "scope/in-other-claims"}, usual...)},
		{"a route for machines", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler {
				return g.Require(middleware.Machine(), middleware.Scopes(scope.All("read:patients")))
			}, ok)
			target.Token = []authtest.TokenOption{authtest.Machine("reporter"), authtest.Like(authtest.EntraIDv2)}
		}), usual},
		{"names without letters", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("7") }, ok)
			target.Audience, target.Scope = "7", []string{"7"}
		}), append([]string{"audience/in-other-case", "audience/shorter", "scope/in-other-case"}, usual...)},
		{"the scope openid", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("openid") }, ok)
			target.Scope = []string{"openid"}
		}), usual},
		{"a status of its own", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("read:patients") },
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
			target.Status = http.StatusNotFound
		}), usual},
		{"a body that is needed", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("read:patients") },
				func(w http.ResponseWriter, r *http.Request) {
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != "Ada" || r.ContentLength != 3 {
						w.WriteHeader(http.StatusBadRequest)
					}
				})
			target.Request = httptest.NewRequest("PUT", "/patients?q=1", iotest.OneByteReader(strings.NewReader("Ada")))
		}), append([]string{"credentials/none-in-HEAD"}, rsa...)},
		{"an audience that is called as the client is by default", with(func(target *authtest.Target) {
			target.Audience = authtest.DefaultClientID
		}), usual},
		{"an alias that is called so", config(claims.Config{AudienceAliases: []string{authtest.DefaultClientID}}), usual},
		{"the scope *", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("*") }, ok)
			target.Scope = []string{"*"}
		}), append([]string{"scope/wildcard", "scope/in-other-case"}, usual...)},
		{"one of two scopes, of which the challenge names the other", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler {
				return g.Require(middleware.Scopes(scope.Any("admin", "read:patients")))
			}, ok)
		}), usual},
		{"three scopes", with(func(target *authtest.Target) {
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler { return g.RequireScope("a", "b", "c") }, ok)
			target.Scope = []string{"a", "b", "c"}
		}), usual},
		{"challenges of other schemes first", with(func(target *authtest.Target) {
			api := target.Handler
			target.Handler = func(v middleware.Validator) http.Handler {
				guarded := api(v)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w = alsoChallenging{w}
					guarded.ServeHTTP(w, r)
				})
			}
		}), usual},
		{"an error handler, and an answer that is part of it", with(func(target *authtest.Target) {
			target.Handler = func(v middleware.Validator) http.Handler {
				g := middleware.New(v, middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
					w.WriteHeader(e.Status)
					_, _ = io.WriteString(w, "no patients\n")
					_, _ = io.WriteString(w, "at all")
				}))
				return g.RequireScope("read:patients")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "patient")
				}))
			}
		}), usual},
		{"one page for all, whoever asks", with(func(target *authtest.Target) {
			page := "<title>Patients</title>"
			target.Handler = func(v middleware.Validator) http.Handler {
				g := middleware.New(v, middleware.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) {
					w.WriteHeader(e.Status)
					_, _ = io.WriteString(w, page)
				}))
				return g.RequireScope("read:patients")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
			}
		}), usual},
		{"a value in the context of the request", with(func(target *authtest.Target) {
			api := target.Handler
			target.Handler = func(v middleware.Validator) http.Handler {
				guarded := api(v)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Context().Value(tenant{}) != "a" {
						http.Error(w, "no tenant", http.StatusInternalServerError)
						return
					}
					guarded.ServeHTTP(w, r)
				})
			}
			target.Request = target.Request.WithContext(context.WithValue(t.Context(), tenant{}, "a"))
		}), usual},
		{"options", with(func(target *authtest.Target) {
			target.Options = []claims.Option{
				claims.WithoutMemory(), claims.WithMaxTokenSize(4 << 10), claims.WithIssuer(authtest.NewIssuer(t).Config(audience)),
			}
		}), usual},
		{"two issuers with an audience each", with(func(target *authtest.Target) {
			target.Issuers = []authtest.TrustedIssuer{{Issuer: authtest.NewIssuer(t), Audience: "https://labs.example/results-api", Config: target.Config}}
		}), usual},
		{"two issuers, for which the API has one name", with(func(target *authtest.Target) {
			target.Issuers = []authtest.TrustedIssuer{{Issuer: authtest.NewIssuer(t), Config: target.Config}}
		}), append([]string{"audience/of-trusted-1", "audience/trusted-1-for-this"}, usual...)},
		{"three issuers, each with its own ways", with(func(target *authtest.Target) {
			target.Token = []authtest.TokenOption{authtest.Like(authtest.Okta)}
			target.Issuers = []authtest.TrustedIssuer{
				{Issuer: authtest.NewIssuer(t), Audience: "b", Token: []authtest.TokenOption{authtest.Like(authtest.Auth0)},
					Config: claims.Config{Algorithms: []string{"EdDSA"}, ScopeClaims: []string{"permissions"}, AudienceAliases: []string{audience}}},
				{Issuer: authtest.NewIssuer(t), Audience: "c", Config: claims.Config{Profile: claims.RFC9068}}, // with RS256
			}
		}), append([]string{"audience/trusted-1-for-this"}, usual...)},
		{"a route that is not for the second issuer", with(func(target *authtest.Target) {
			own := authtest.NewIssuer(t)
			target.Handler = guard(func(g *middleware.Guard) func(http.Handler) http.Handler {
				return g.Require(middleware.Func("not the second issuer", func(_ *http.Request, c *claims.Claims) error {
					if c.Issuer == own.URL() {
						return errors.New("it is the second issuer")
					}
					return nil
				}), middleware.Scopes(scope.All("read:patients")))
			}, ok)
			target.Issuers = []authtest.TrustedIssuer{{Issuer: own, Audience: "b", Config: target.Config}}
			target.Except = map[string]string{"good/trusted-1": "the route is for the first issuer's tokens"}
		}), append([]string{"good/trusted-1"}, usual...)},
		{"an exception", with(func(target *authtest.Target) {
			target.Except = map[string]string{"time/expired": "this API is for historians"}
		}), append([]string{"time/expired"}, usual...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var skipped []string
			for _, outcome := range authtest.NewIssuer(t).Outcomes(t, tt.target) {
				require.Empty(t, outcome.Failure)
				if outcome.Skipped != "" {
					skipped = append(skipped, outcome.Name)
				}
			}
			require.ElementsMatch(t, tt.skipped, skipped)
		})
	}
}

type tenant struct{}

// Such a route stands all attacks, in the tokens of all providers; while the issuer is
// down it cannot answer, and Target.Except is for that.
func TestARouteThatAsksTheIssuerFailsInAnOutageAlone(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	target := with(func(target *authtest.Target) {
		target.Scope = []string{"openid", "profile"}
		target.Handler = func(v middleware.Validator) http.Handler {
			users, err := userinfo.NewClient(userinfo.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
			require.NoError(t, err)
			return middleware.New(v).RequireScope("openid", "profile")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, err := users.Profile(r.Context())
				if err != nil {
					http.Error(w, "nobody knows", http.StatusServiceUnavailable)
					return
				}
				_, _ = io.WriteString(w, user.Name)
			}))
		}
	})
	for _, outcome := range issuer.Outcomes(t, target) {
		require.Equal(t, outcome.Name == "good/in-an-outage", outcome.Failure != "", "%s: %s", outcome.Name, outcome.Failure)
	}
}

// The API under attack is made with what production gives its validator.
func TestOptionsAreThoseOfTheValidator(t *testing.T) {
	issuer, other := authtest.NewIssuer(t), authtest.NewIssuer(t)
	var made []*claims.Validator
	target := with(func(target *authtest.Target) {
		api := target.Handler
		target.Handler = func(v middleware.Validator) http.Handler {
			made = append(made, v.(*claims.Validator))
			return api(v)
		}
		config := other.Config(audience)
		config.Algorithms = []string{"ES256"}
		target.Options = []claims.Option{claims.WithoutMemory(), claims.WithMaxTokenSize(64 << 10), claims.WithIssuer(config)}
	})
	for _, outcome := range issuer.Outcomes(t, target) {
		require.Equal(t, outcome.Name == "encoding/too-large", outcome.Failure != "", "%s: %s", outcome.Name, outcome.Failure)
	}
	require.Greater(t, len(made), 1, "also those that have just started")
	for _, v := range made {
		require.Zero(t, v.Memory())
		_, err := v.Validate(t.Context(), other.Token(authtest.Algorithm("ES256")))
		require.NoError(t, err)
	}
}

// alsoChallenging puts challenges of other schemes before that of a guard.
type alsoChallenging struct{ http.ResponseWriter }

func (w alsoChallenging) WriteHeader(status int) {
	if guards := w.Header().Get("WWW-Authenticate"); guards != "" {
		w.Header()["Www-Authenticate"] = []string{`Negotiate`, `Basic realm="a, b", DPoP algs="ES256", error="use_dpop_nonce"`, `NTLM TlRMTVNTUAACAA==`, guards}
	}
	w.ResponseWriter.WriteHeader(status)
}

// A mistake that is made while an attack is under way is that attack's failure.
func TestAHandlerThatIsMissingLaterFailsItsAttacks(t *testing.T) {
	made := 0
	failed := map[string]string{}
	for _, outcome := range authtest.NewIssuer(t).Outcomes(t, with(func(target *authtest.Target) {
		api := target.Handler
		target.Handler = func(v middleware.Validator) http.Handler {
			if made++; made > 1 {
				return nil
			}
			return api(v)
		}
	})) {
		if outcome.Failure != "" {
			failed[outcome.Name] = outcome.Failure
		}
	}
	require.Len(t, failed, 6)
	require.Equal(t, "authtest: Target.Handler has returned nil", failed["outage/issuer-down"])
}

// What follows a refusal is told.
func TestAMissingReturnIsCalledThat(t *testing.T) {
	leaky := with(func(target *authtest.Target) {
		target.Handler = func(v middleware.Validator) http.Handler {
			guarded := middleware.New(v).RequireScope("read:patients")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				guarded.ServeHTTP(w, r)
				_, _ = io.WriteString(w, "Ada, Grace")
			})
		}
	})
	for _, outcome := range authtest.NewIssuer(t).Outcomes(t, leaky) {
		if outcome.Skipped == "" && !strings.HasPrefix(outcome.Name, "good/") {
			require.Contains(t, outcome.Failure, ": the answer has what only a good token is answered; is a return missing behind the guard?", outcome.Name)
		}
	}
}

// names returns the names of all attacks on the API of the examples.
func names(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, outcome := range authtest.NewIssuer(t).Outcomes(t, patients()) {
		require.NotContains(t, all, outcome.Name)
		require.Regexp(t, `^[a-z]+/[A-Za-z0-9'-]+$`, outcome.Name, "a subtest is called the same")
		all = append(all, outcome.Name)
	}
	return all
}

func TestASuiteWorksWithAnIssuerOnASocket(t *testing.T) {
	issuer, err := authtest.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer issuer.Close()
	for _, outcome := range issuer.Outcomes(t, patients()) {
		require.Empty(t, outcome.Failure)
	}
}

// After a suite, the issuer serves what it served before.
func TestASuiteLeavesTheIssuerAsItWas(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	t.Run("suite", func(t *testing.T) { issuer.Suite(t, patients()) })
	response, err := issuer.HTTPClient().Get(issuer.KeySetURL())
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NotContains(t, string(body), "odd")
	_, err = issuer.Validator(audience).Validate(t.Context(), issuer.Token())
	require.NoError(t, err)
}

func TestAFailureSaysWhatWasSentWhatCameAndWhy(t *testing.T) {
	open := with(func(target *authtest.Target) {
		target.Handler = func(middleware.Validator) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.Header.Get("Authorization"), "Basic") {
					panic("no such scheme")
				}
				_, _ = io.WriteString(w, "patients\nof all")
			})
		}
	})
	failures := map[string]string{}
	for _, outcome := range authtest.NewIssuer(t).Outcomes(t, open) {
		failures[outcome.Name] = outcome.Failure
	}
	require.Empty(t, failures["good/access-token"])
	require.Equal(t, `credentials/none: the status is 200
  sent     GET /patients with no credentials
  got      200 OK, body "patients\nof all"
  want     401, with a challenge without an error code
  because  whoever sends nothing would be let in`, failures["credentials/none"])
	require.Contains(t, failures["credentials/basic"], "credentials/basic: the handler panicked: no such scheme\n")
	require.Regexp(t, `(?s)^time/without-expiry: the status is 200
  sent     GET /patients with a token without exp
           header   \{"alg":"ES256","kid":"[\w-]+","typ":"at\+jwt"\}
           payload  \{"aud":"https://example.com/health-api","client_id":"client-1","iat":\d+,"iss":"https://issuer-\d+.test/","jti":"\w+","scope":"read:patients","sub":"mallory"\}
  got      200 OK, body .*
  want     401, with error="invalid_token" in the challenge
  because  a token that was stolen once would be good for ever \(RFC 7519 §4.1.4\)$`, failures["time/without-expiry"])
	require.Contains(t, failures["encoding/opaque"], "\n           token    mallory")
	require.Less(t, len(failures["encoding/too-large"]), 3000)
	require.Contains(t, failures["payload/not-UTF-8"], `\xff`)
}

func TestAMistakeInATargetFailsTheTestAndSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name   string
		change func(*authtest.Target)
		want   string
	}{
		{"no handler", func(target *authtest.Target) { target.Handler = nil }, "Target.Handler is nil"},
		{"no handler made", func(target *authtest.Target) {
			target.Handler = func(middleware.Validator) http.Handler { return nil }
		}, "Target.Handler has returned nil"},
		{"no request", func(target *authtest.Target) { target.Request = nil }, "Target.Request is nil"},
		{"a request with a token", func(target *authtest.Target) { target.Request.Header.Set("Authorization", "Bearer x") }, "Target.Request has an Authorization header"},
		{"a body that cannot be read", func(target *authtest.Target) {
			target.Request.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
		}, "the body of Target.Request"},
		{"no audience", func(target *authtest.Target) { target.Audience = "" }, "Target.Audience is empty"},
		{"an unknown exception", func(target *authtest.Target) { target.Except = map[string]string{"time/flies": ""} }, "there is no such attack"},
		{"a wrong configuration", func(target *authtest.Target) { target.Config.Algorithms = []string{"HS256"} }, "Target.Config, Target.Options and Target.Issuers: "},
		{"no algorithm", func(target *authtest.Target) { target.Config.Algorithms = []string{} }, "Target.Config, Target.Options and Target.Issuers: "},
		{"an issuer that is trusted and missing", func(target *authtest.Target) { target.Issuers = []authtest.TrustedIssuer{{}} }, "an Issuer in Target.Issuers is nil"},
		{"an issuer that is trusted twice", func(target *authtest.Target) {
			other := authtest.NewIssuer(t)
			target.Issuers = []authtest.TrustedIssuer{{Issuer: other}, {Issuer: other}}
		}, "configured twice"},
		{"a wrong algorithm of a trusted issuer", func(target *authtest.Target) {
			target.Issuers = []authtest.TrustedIssuer{{Issuer: authtest.NewIssuer(t), Config: claims.Config{Algorithms: []string{}}}}
		}, "Target.Issuers: "},
		{"a wrong option", func(target *authtest.Target) { target.Options = []claims.Option{claims.WithMaxTokenSize(0)} }, "WithMaxTokenSize(0)"},
		{"a token that is no JSON", func(target *authtest.Target) {
			target.Token = []authtest.TokenOption{authtest.Claim("x", func() {})}
		}, "cannot be written as JSON"},
		{"no claims with scopes", func(target *authtest.Target) { target.Config.ScopeClaims = []string{} }, "Target.Config, Target.Options and Target.Issuers: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &failure{TB: t}
			issuer := authtest.NewIssuer(f)
			require.PanicsWithValue(t, f, func() { issuer.Outcomes(f, with(tt.change)) })
			require.Contains(t, f.message, tt.want)
		})
	}
}
