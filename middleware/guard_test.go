package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
	"github.com/stretchr/testify/require"
)

const audience = "https://example.com/health-api"

// validatorFunc is a validator that a test makes up.
type validatorFunc func(ctx context.Context, token string) (*claims.Claims, error)

func (f validatorFunc) Validate(ctx context.Context, token string) (*claims.Claims, error) {
	return f(ctx, token)
}

// tokens is a validator that knows a few tokens by name and counts.
type tokens struct{ calls int }

func (v *tokens) Validate(_ context.Context, token string) (*claims.Claims, error) {
	v.calls++
	switch token {
	case "reader":
		return &claims.Claims{Subject: "user-1", ClientID: "client-1", Issuer: "https://issuer.example/", Scope: scope.FromToken("read:patients openid")}, nil
	case "nobody":
		return &claims.Claims{Subject: "user-2"}, nil
	case "unavailable":
		return nil, fmt.Errorf("%w: secret cause", claims.ErrUnavailable)
	case "cancelled":
		return nil, fmt.Errorf("secret cause: %w", context.Canceled)
	case "timeout":
		return nil, fmt.Errorf("secret cause: %w", context.DeadlineExceeded)
	case "nothing":
		return nil, nil
	default:
		return nil, errors.New("secret cause")
	}
}

// ok is the handler behind the guard.
var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, _ := claims.FromContext(r.Context())
	fmt.Fprintf(w, "hello %s", c.Subject)
})

func request(authorization ...string) *http.Request {
	r := httptest.NewRequest("GET", "/patients", nil)
	for _, value := range authorization {
		r.Header.Add("Authorization", value)
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	sayInvalidRequest = `"error_description":"the request must have one Authorization header, with Bearer and one access token"`
	sayInvalidToken   = `"error_description":"the access token is expired, malformed or not meant for this API"`
	sayMissing        = `{"error_description":"no access token was sent; send it in the header Authorization: Bearer TOKEN"}`
	sayUnavailable    = `{"error":"temporarily_unavailable","error_description":"the access token cannot be checked now; try again later"}`
	sayNotSaid        = `{"error":"temporarily_unavailable","error_description":"what this request depends on is not available now; try again later"}`
	sayScope          = `{"error":"insufficient_scope","error_description":"the access token lacks a scope that this resource needs"}`
)

// Each row is a request to a route that needs read:patients, and the whole reply.
func TestRepliesOfRFC6750(t *testing.T) {
	const (
		challenge400 = `Bearer realm="api", error="invalid_request", error_description="the request must have one Authorization header, with Bearer and one access token"`
		challenge401 = `Bearer realm="api", error="invalid_token", error_description="the access token is expired, malformed or not meant for this API", scope="read:patients"`
		challenge403 = `Bearer realm="api", error="insufficient_scope", error_description="the access token lacks a scope that this resource needs", scope="read:patients"`
		noToken      = `Bearer realm="api", scope="read:patients"`
		body400      = `{"error":"invalid_request",` + sayInvalidRequest + `}`
		body401      = `{"error":"invalid_token",` + sayInvalidToken + `}`
	)
	tests := []struct {
		name          string
		authorization []string
		status        int
		challenge     string
		body          string
	}{
		{"a good token", []string{"Bearer reader"}, 200, "", "hello user-1"},
		{"the scheme in other letters", []string{"bEARER reader"}, 200, "", "hello user-1"},
		{"several spaces", []string{"Bearer   reader"}, 200, "", "hello user-1"},
		{"without the scope", []string{"Bearer nobody"}, 403, challenge403, sayScope},
		{"a bad token", []string{"Bearer bad"}, 401, challenge401, body401},
		{"all characters of a b64token", []string{"Bearer aZ09-._~+/=="}, 401, challenge401, body401},
		{"no header", nil, 401, noToken, sayMissing},
		{"another scheme", []string{"Basic dXNlcjpwYXNz"}, 401, noToken, sayMissing},
		{"a scheme that begins alike", []string{"BearerX reader"}, 401, noToken, sayMissing},
		{"an empty header", []string{""}, 401, noToken, sayMissing},
		{"no token after the scheme", []string{"Bearer"}, 400, challenge400, body400},
		{"only spaces after it", []string{"Bearer   "}, 400, challenge400, body400},
		{"two tokens", []string{"Bearer reader reader"}, 400, challenge400, body400},
		{"two tokens and a comma", []string{"Bearer reader, Bearer reader"}, 400, challenge400, body400},
		{"a space after the token", []string{"Bearer reader "}, 400, challenge400, body400},
		{"a tab before it", []string{"Bearer \treader"}, 400, challenge400, body400},
		{"quotes", []string{`Bearer "reader"`}, 400, challenge400, body400},
		{"parameters", []string{`Bearer token=reader;x`}, 400, challenge400, body400},
		{"equal signs in the middle", []string{"Bearer rea=der"}, 400, challenge400, body400},
		{"only equal signs", []string{"Bearer =="}, 400, challenge400, body400},
		{"a control character", []string{"Bearer rea\x00der"}, 400, challenge400, body400},
		{"not ASCII", []string{"Bearer réader"}, 400, challenge400, body400},
		{"two headers", []string{"Bearer reader", "Bearer reader"}, 400, challenge400, body400},
		{"two headers, one of another scheme", []string{"Basic dXNlcjpwYXNz", "Bearer reader"}, 400, challenge400, body400},
		{"keys not to be had", []string{"Bearer unavailable"}, 503, "", sayUnavailable},
		{"the request was given up", []string{"Bearer cancelled"}, 503, "", sayUnavailable},
		{"the request took too long", []string{"Bearer timeout"}, 503, "", sayUnavailable},
		{"a validator that says nothing", []string{"Bearer nothing"}, 503, "", sayUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guard := middleware.New(&tokens{})
			w := serve(guard.RequireScope("read:patients")(ok), request(tt.authorization...))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.body, strings.TrimSuffix(w.Body.String(), "\n"))
			require.Equal(t, tt.challenge, w.Header().Get("WWW-Authenticate"))
			require.LessOrEqual(t, len(w.Header().Values("WWW-Authenticate")), 1)
			if tt.status == 200 {
				require.Empty(t, w.Header().Get("Cache-Control"))
				return
			}
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			if tt.status == 503 {
				require.Equal(t, "5", w.Header().Get("Retry-After"))
			} else {
				require.Empty(t, w.Header().Get("Retry-After"))
			}
			everything := fmt.Sprint(w.Header(), w.Body)
			require.NotContains(t, everything, "secret cause")
			require.NotContains(t, everything, "reader")
		})
	}
}

// An attacker who tries out forgeries learns nothing from the replies.
func TestAllBadTokensGetTheSameReply(t *testing.T) {
	issuer, stranger := authtest.NewIssuer(t), authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	good := issuer.Token()
	replies := map[string]bool{}
	for _, token := range []string{
		issuer.IDToken(), stranger.Token(authtest.Audience(audience)), issuer.Token(authtest.Audience("other")),
		issuer.Token(authtest.Claim("exp", 1)), issuer.Token(authtest.Claim("iss", "https://evil.example/")),
		good[:len(good)-8] + "AAAAAAAA", "opaque", "a.b.c.d.e", strings.Repeat("x", 40<<10),
	} {
		w := serve(guard.Handler(ok), request("Bearer "+token))
		require.Equal(t, 401, w.Code)
		replies[fmt.Sprint(w.Header(), w.Body)] = true
	}
	require.Len(t, replies, 1)
}

// Each sentinel of package claims, and the reply that it leads to.
func TestEachReasonHasItsReply(t *testing.T) {
	replies := map[error]int{
		claims.ErrMalformed: 401, claims.ErrTooLarge: 401, claims.ErrOpaque: 401, claims.ErrEncrypted: 401,
		claims.ErrSerialization: 401, claims.ErrCritical: 401, claims.ErrUnencoded: 401, claims.ErrCompressed: 401,
		claims.ErrNested: 401, claims.ErrIssuer: 401, claims.ErrAlgorithm: 401, claims.ErrUnknownKey: 401,
		claims.ErrSignature: 401, claims.ErrIDToken: 401, claims.ErrTokenType: 401, claims.ErrAudience: 401,
		claims.ErrExpired: 401, claims.ErrNotYetValid: 401, claims.ErrBound: 401, claims.ErrMissingClaim: 401, claims.ErrRefused: 401,
		claims.ErrUnavailable: 503, jwks.ErrUnknownKey: 401, fmt.Errorf("%w: %w", claims.ErrUnavailable, jwks.ErrUnavailable): 503,
	}
	for reason, status := range replies {
		guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) {
			return nil, fmt.Errorf("%w: details", reason)
		}))
		w := serve(guard.Handler(ok), request("Bearer token"))
		require.Equal(t, status, w.Code, reason)
		require.NotContains(t, w.Body.String(), "details")
		_, err := guard.Check(request("Bearer token"))
		require.ErrorIs(t, err, reason)
	}
}

func TestHandlerLetsAnyGoodTokenThrough(t *testing.T) {
	h := middleware.New(&tokens{}).Handler(ok)
	require.Equal(t, 200, serve(h, request("Bearer nobody")).Code)
	w := serve(h, request("Bearer bad"))
	require.Equal(t, 401, w.Code)
	require.NotContains(t, w.Header().Get("WWW-Authenticate"), "scope")
	require.Equal(t, `Bearer realm="api"`, serve(h, request()).Header().Get("WWW-Authenticate"))
}

func TestTheChallengeNamesAllScopesOfTheClosestAlternative(t *testing.T) {
	rule := scope.Any("admin").Or(scope.All("read:patients", "read:labs", "openid"))
	h := middleware.New(&tokens{}).Require(middleware.Scopes(rule))(ok)
	require.Contains(t, serve(h, request()).Header().Get("WWW-Authenticate"), `scope="admin"`)
	require.Contains(t, serve(h, request("Bearer nobody")).Header().Get("WWW-Authenticate"), `scope="admin"`)

	h = middleware.New(&tokens{}).Require(middleware.Scopes(scope.All("a", "b", "c").Or(scope.All("read:patients", "read:labs"))))(ok)
	require.Contains(t, serve(h, request("Bearer reader")).Header().Get("WWW-Authenticate"), `scope="read:patients read:labs"`)
}

// requirement is one that a user makes.
type requirement struct {
	check func(*http.Request, *claims.Claims) error
	name  string
}

func (r requirement) Check(request *http.Request, c *claims.Claims) error {
	return r.check(request, c)
}
func (r requirement) String() string { return r.name }

func failing(err error) middleware.Requirement {
	return requirement{func(*http.Request, *claims.Claims) error { return err }, "failing"}
}

func TestErrorsOfRequirements(t *testing.T) {
	var none *middleware.Error
	tests := []struct {
		name      string
		err       error
		status    int
		challenge string
		body      string
	}{
		{"any error", errors.New("secret cause"), 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
		{"unavailable", fmt.Errorf("%w: secret cause", claims.ErrUnavailable), 503, "", sayNotSaid},
		{"unavailable, in this package's word", fmt.Errorf("%w: secret cause", middleware.ErrUnavailable), 503, "", sayNotSaid},
		{"the context ended", context.Canceled, 503, "", sayNotSaid},
		{"one's own", fmt.Errorf("wrapped: %w", &middleware.Error{Status: 401, Code: "invalid_token", Description: "log in again", Err: errors.New("secret cause")}), 401,
			`Bearer realm="api", error="invalid_token", error_description="log in again"`, `{"error":"invalid_token","error_description":"log in again"}`},
		{"one's own with what would break out of quotes", &middleware.Error{Status: 403, Code: `x", evil="`, Description: `say "hi"`, Scope: "a\r\nSet-Cookie: x"}, 403,
			`Bearer realm="api"`, `{"error":"x\", evil=\"","error_description":"say \"hi\""}`},
		{"one's own with another status", &middleware.Error{Status: 404, Code: "not_found", Description: "no such patient"}, 404, "", `{"error":"not_found","error_description":"no such patient"}`},
		{"one's own with the status of a success", &middleware.Error{Status: 200}, 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
		{"one's own without a status", &middleware.Error{}, 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
		{"a nil one, wrapped", fmt.Errorf("wrapped: %w", none), 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
		{"a nil one among others", errors.Join(errors.New("a"), none), 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
		{"a nil one", none, 403, `Bearer realm="api"`, `{"error":"access_denied","error_description":"the access token does not permit this request"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(middleware.New(&tokens{}).Require(failing(tt.err))(ok), request("Bearer reader"))
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.challenge, w.Header().Get("WWW-Authenticate"))
			require.Equal(t, tt.body, strings.TrimSuffix(w.Body.String(), "\n"))
			require.NotContains(t, fmt.Sprint(w.Header(), w.Body), "secret cause")
		})
	}
}

func TestRequirementsAreCheckedInOrderAndTheFirstFailureAnswers(t *testing.T) {
	var checked []string
	note := func(name string, err error) middleware.Requirement {
		return requirement{func(*http.Request, *claims.Claims) error { checked = append(checked, name); return err }, name}
	}
	guard := middleware.New(&tokens{})
	w := serve(guard.Require(note("a", nil), middleware.Scopes(scope.All("admin")), note("b", errors.New("no")))(ok), request("Bearer reader"))
	require.Equal(t, 403, w.Code)
	require.Contains(t, w.Body.String(), "insufficient_scope")
	require.Equal(t, []string{"a"}, checked)

	checked = nil
	require.Equal(t, 401, serve(guard.Require(note("a", nil))(ok), request("Bearer bad")).Code)
	require.Empty(t, checked, "nothing is asked of a request without a good token")
}

func TestBehindTheSameGuardATokenIsVerifiedOnce(t *testing.T) {
	v := &tokens{}
	guard := middleware.New(v)
	h := guard.Handler(guard.RequireScope("read:patients")(guard.RequireScope("openid")(ok)))
	require.Equal(t, 200, serve(h, request("Bearer reader")).Code)
	require.Equal(t, 1, v.calls)
}

func TestAnotherGuardVerifiesForItself(t *testing.T) {
	mine, other := &tokens{}, &tokens{}
	h := middleware.New(mine).Handler(middleware.New(other).Handler(ok))
	require.Equal(t, 200, serve(h, request("Bearer reader")).Code)
	require.Equal(t, 1, mine.calls)
	require.Equal(t, 1, other.calls)
}

// Two APIs in one process: a token for one opens nothing of the other, wherever
// the guards stand.
func TestATokenForOneAPIDoesNotOpenTheOther(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	health := middleware.New(issuer.Validator(audience))
	billing := middleware.New(issuer.Validator("https://example.com/billing-api"))
	r := request()
	issuer.Authorize(r)
	require.Equal(t, 200, serve(health.Handler(ok), r).Code)
	require.Equal(t, 401, serve(billing.Handler(ok), r).Code)
	require.Equal(t, 401, serve(health.Handler(billing.Handler(ok)), r).Code)
	issuer.Authorize(r, authtest.Audience(audience, "https://example.com/billing-api"))
	require.Equal(t, 200, serve(health.Handler(billing.Handler(ok)), r).Code)
}

func TestClaimsOfSomebodyElseOpenNothing(t *testing.T) {
	v := &tokens{}
	guard := middleware.New(v)
	forged := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(claims.NewContext(r.Context(), &claims.Claims{Subject: "admin", Scope: scope.FromToken("admin")})))
		})
	}
	require.Equal(t, 401, serve(forged(guard.Handler(ok)), request()).Code)
	require.Equal(t, 403, serve(forged(guard.RequireScope("admin")(ok)), request("Bearer reader")).Code)

	// Also between two middlewares of one guard: what the handler sees is what
	// the guard has checked.
	w := serve(guard.Handler(forged(guard.RequireScope("read:patients")(ok))), request("Bearer reader"))
	require.Equal(t, "hello user-1", w.Body.String())
	require.Equal(t, 403, serve(guard.Handler(forged(guard.RequireScope("admin")(ok))), request("Bearer reader")).Code)
}

func TestATokenThatIsExchangedOnTheWayIsVerified(t *testing.T) {
	guard := middleware.New(&tokens{})
	exchange := func(token string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			next.ServeHTTP(w, r)
		})
	}
	w := serve(guard.Handler(exchange("nobody", guard.Handler(ok))), request("Bearer reader"))
	require.Equal(t, "hello user-2", w.Body.String())
	require.Equal(t, 401, serve(guard.Handler(exchange("bad", guard.Handler(ok))), request("Bearer reader")).Code)
}

func TestTokenFromContext(t *testing.T) {
	_, found := middleware.TokenFromContext(t.Context())
	require.False(t, found)

	guard := middleware.New(&tokens{})
	var token string
	serve(guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token, found = middleware.TokenFromContext(r.Context())
	})), request("Bearer reader"))
	require.True(t, found)
	require.Equal(t, "reader", token)
}

func TestCheckDecidesAndWritesNothing(t *testing.T) {
	guard := middleware.New(&tokens{})
	c, err := guard.Check(request("Bearer reader"))
	require.NoError(t, err)
	require.Equal(t, "user-1", c.Subject)

	c, err = guard.Check(request("Bearer bad"))
	require.Nil(t, c)
	var refusal *middleware.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 401, refusal.Status)
	require.Equal(t, "secret cause", refusal.Unwrap().Error())
	require.Equal(t, "middleware: invalid_token: the access token is expired, malformed or not meant for this API", err.Error())

	_, err = guard.Check(request())
	require.Equal(t, "middleware: no access token was sent; send it in the header Authorization: Bearer TOKEN", err.Error())
}

func TestTheReasonOfARefusalIsASentinel(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator(audience))
	_, err := guard.Check(request("Bearer " + issuer.IDToken()))
	require.ErrorIs(t, err, claims.ErrIDToken)

	issuer.SetDown(true)
	cold := middleware.New(issuer.Validator(audience))
	_, err = cold.Check(request("Bearer " + issuer.Token()))
	require.ErrorIs(t, err, claims.ErrUnavailable)
}

func TestErrorHandler(t *testing.T) {
	var seen *middleware.Error
	var challenge, status string
	guard := middleware.New(&tokens{}, middleware.WithRealm("patients"), middleware.WithErrorHandler(
		func(w http.ResponseWriter, r *http.Request, e *middleware.Error) {
			seen, challenge = e, w.Header().Get("WWW-Authenticate")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(e.Status)
			status = fmt.Sprint(e.Status)
			io.WriteString(w, `{"status":`+status+`}`)
		}))
	w := serve(guard.Handler(ok), request("Bearer bad"))
	require.Equal(t, 401, w.Code)
	require.Equal(t, `{"status":401}`, w.Body.String())
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Contains(t, challenge, `Bearer realm="patients", error="invalid_token"`)
	require.Equal(t, "secret cause", seen.Err.Error())
}

// Whatever an error handler does or forgets, a refusal is no 200.
func TestAnErrorHandlerThatSendsNoStatusStillRefuses(t *testing.T) {
	handlers := map[string]func(http.ResponseWriter, *http.Request, *middleware.Error){
		"nothing":  func(http.ResponseWriter, *http.Request, *middleware.Error) {},
		"a body":   func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) { io.WriteString(w, "no") },
		"no bytes": func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) { w.Write(nil) },
		"a copy":   func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) { io.Copy(w, strings.NewReader("no")) },
		"a flush":  func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) { w.(http.Flusher).Flush() },
		"controlled": func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			http.NewResponseController(w).Flush()
		},
		"a prelude": func(w http.ResponseWriter, _ *http.Request, _ *middleware.Error) {
			w.WriteHeader(http.StatusEarlyHints)
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			guard := middleware.New(&tokens{}, middleware.WithErrorHandler(handler))
			server := httptest.NewServer(guard.Handler(ok))
			defer server.Close()
			response, err := server.Client().Get(server.URL)
			require.NoError(t, err)
			response.Body.Close()
			require.Equal(t, 401, response.StatusCode)
			require.Equal(t, `Bearer realm="api"`, response.Header.Get("WWW-Authenticate"))
		})
	}
}

func TestJSONOfARefusalDoesNotShowTheReason(t *testing.T) {
	_, err := middleware.New(&tokens{}).Check(request("Bearer bad"))
	text, failed := json.Marshal(err)
	require.NoError(t, failed)
	require.Contains(t, string(text), "invalid_token")
	require.NotContains(t, string(text), "Err")
}

// What a handler does to its claims changes nothing that a guard believes.
func TestClaimsThatAreChangedOnTheWayOpenNothing(t *testing.T) {
	guard := middleware.New(&tokens{})
	raise := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _ := claims.FromContext(r.Context())
			c.Scope = scope.FromToken("admin")
			next.ServeHTTP(w, r)
		})
	}
	require.Equal(t, 403, serve(guard.Handler(raise(guard.RequireScope("admin")(ok))), request("Bearer reader")).Code)
}

// A requirement sees what the validator has said, also behind a handler that has
// changed every list in its own claims.
func TestListsOfClaimsThatAreChangedOnTheWayAreTheHandlersOwn(t *testing.T) {
	lists := func(c *claims.Claims) [][]string { return [][]string{c.Audience, c.AMR} }
	guard := middleware.New(validatorFunc(func(context.Context, string) (*claims.Claims, error) {
		return &claims.Claims{Audience: []string{"api"}, AMR: []string{"pwd"}}, nil
	}))
	change := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _ := claims.FromContext(r.Context())
			for _, list := range lists(c) {
				list[0] = "evil"
			}
			next.ServeHTTP(w, r)
		})
	}
	asIssued := requirement{func(_ *http.Request, c *claims.Claims) error {
		require.Equal(t, [][]string{{"api"}, {"pwd"}}, lists(c))
		return nil
	}, "as issued"}
	require.Equal(t, 200, serve(guard.Handler(change(guard.Require(asIssued)(ok))), request("Bearer x")).Code)
}

func TestObserver(t *testing.T) {
	var seen []middleware.Decision
	guard := middleware.New(&tokens{}, middleware.WithObserver(func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }))
	mux := http.NewServeMux()
	mux.Handle("GET /patients", guard.RequireScope("read:patients")(ok))
	serve(mux, request("Bearer reader"))
	serve(mux, request("Bearer nobody"))
	serve(mux, request("Bearer bad"))
	require.Len(t, seen, 3)

	passed, lacking, bad := seen[0], seen[1], seen[2]
	require.Equal(t, middleware.Allowed, passed.Outcome)
	require.Equal(t, "GET", passed.Method)
	require.Equal(t, "GET /patients", passed.Pattern)
	require.Equal(t, "scope read:patients", passed.Policy.String())
	require.Equal(t, "https://issuer.example/", passed.Issuer)
	require.Equal(t, "client-1", passed.ClientID)
	require.Nil(t, passed.Refusal)
	require.NoError(t, passed.Reason)
	require.Equal(t, 403, lacking.Refusal.Status)
	require.Equal(t, "middleware: the token lacks a scope: read:patients", lacking.Refusal.Err.Error())
	require.Equal(t, 401, bad.Refusal.Status)
	require.Equal(t, "secret cause", bad.Refusal.Err.Error())
	require.Empty(t, bad.Issuer, "nothing is told of a token that is not good")
	for _, d := range seen {
		require.NotContains(t, fmt.Sprintf("%+v %#v", d, d), "Bearer reader")
	}
}

func TestAllObserversAreCalledInOrder(t *testing.T) {
	var called []string
	note := func(name string) middleware.Option {
		return middleware.WithObserver(func(context.Context, middleware.Decision) { called = append(called, name) })
	}
	serve(middleware.New(&tokens{}, note("log"), middleware.Option{}, note("metrics")).Handler(ok), request("Bearer bad"))
	require.Equal(t, []string{"log", "metrics"}, called)
}

func TestResponseWritersAreKept(t *testing.T) {
	guard := middleware.New(&tokens{})
	w := httptest.NewRecorder()
	var got http.ResponseWriter
	guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = w })).ServeHTTP(w, request("Bearer reader"))
	require.Same(t, w, got)
}

func TestPanicsAtWiringSayWhatToDo(t *testing.T) {
	var none *claims.Validator
	var noHandler http.HandlerFunc
	guard := middleware.New(&tokens{})
	tests := []struct {
		name string
		wire func()
		want string
	}{
		{"no validator", func() { middleware.New(nil) }, "look at the error of claims.NewValidator"},
		{"a nil validator", func() { middleware.New(none) }, "look at the error of claims.NewValidator"},
		{"no requirement", func() { guard.Require() }, "needs at least one requirement"},
		{"a nil requirement", func() { guard.Require(nil) }, "nil requirement"},
		{"no scope", func() { guard.RequireScope() }, "needs at least one scope"},
		{"an empty scope", func() { guard.RequireScope("") }, "a scope is empty"},
		{"a scope with a space", func() { guard.RequireScope("read:patients read:labs") }, "give each by itself"},
		{"an empty rule", func() { middleware.Scopes(scope.Rule{}) }, "empty rule"},
		{"no handler", func() { guard.Handler(nil) }, "nil handler"},
		{"a nil handler function", func() { guard.Handler(noHandler) }, "nil handler"},
		{"a nil handler behind a requirement", func() { guard.RequireScope("a")(nil) }, "nil handler"},
		{"a realm with quotes", func() { middleware.WithRealm(`a"b`) }, "WithRealm"},
		{"a realm with a line break", func() { middleware.WithRealm("a\nb") }, "WithRealm"},
		{"no observer", func() { middleware.WithObserver(nil) }, "nil function"},
		{"no error handler", func() { middleware.WithErrorHandler(nil) }, "nil function"},
		{"no logger", func() { middleware.LogDecisions(nil) }, "nil logger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.want) }()
			tt.wire()
		})
	}
}

func TestAPolicyDoesNotChangeWithItsArguments(t *testing.T) {
	guard := middleware.New(&tokens{})
	requirements := []middleware.Requirement{failing(errors.New("no"))}
	protect := guard.Require(requirements...)
	requirements[0] = failing(nil)
	require.Equal(t, 403, serve(protect(ok), request("Bearer reader")).Code)
}
