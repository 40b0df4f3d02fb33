package adaptertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// The APIs of the table. They are in one process, and their tokens are of one
// issuer.
const (
	healthAPI  = "https://example.com/health-api"
	billingAPI = "https://example.com/billing-api"
)

// A planned route, and what stands before its handler, the outermost first.
type planned struct {
	methods string // separated by spaces
	pattern string
	guards  []guarding
	handler http.HandlerFunc
}

// A guarding is a guard that stands before a handler, in one of four ways. With
// nothing but the guard it is Handler.
type guarding struct {
	guard        *middleware.Guard
	optional     bool
	scopes       []string
	requirements []middleware.Requirement
}

// plan returns the routes, with guards that the observer hears of.
func plan(issuer *authtest.Issuer, observer middleware.Option) []planned {
	validator := issuer.Validator(healthAPI)
	health := middleware.New(validator, observer, middleware.WithResourceMetadata(middleware.ResourceMetadata{Name: "Health"}))
	billing := middleware.New(issuer.Validator(billingAPI), observer, middleware.WithRealm("billing"))
	anyway := middleware.New(validator, observer,
		middleware.AllowPreflight(), middleware.AllowFormToken(), middleware.AllowQueryToken(), middleware.AllowCookieToken("token", nil))
	down := middleware.New(unavailable{}, observer)
	outage := middleware.New(unavailable{retryAfter: 90 * time.Second}, observer)
	problem := middleware.New(validator, observer, middleware.WithErrorHandler(writeProblem))
	silent := middleware.New(validator, observer, middleware.WithErrorHandler(func(http.ResponseWriter, *http.Request, *middleware.Error) {}))
	bodyOnly := middleware.New(validator, observer, middleware.WithErrorHandler(
		func(w http.ResponseWriter, _ *http.Request, e *middleware.Error) { io.WriteString(w, e.Description) }))

	by := func(guards ...guarding) []guarding { return guards }
	optional := func(g *middleware.Guard) guarding { return guarding{guard: g, optional: true} }
	scopes := func(g *middleware.Guard, scopes ...string) guarding { return guarding{guard: g, scopes: scopes} }
	needs := func(g *middleware.Guard, requirements ...middleware.Requirement) guarding {
		return guarding{guard: g, requirements: requirements}
	}
	token := func(g *middleware.Guard) guarding { return guarding{guard: g} }

	metadataPath, metadata := health.ResourceMetadata()
	return []planned{
		{"GET HEAD", "/health", nil, greet},
		{"GET HEAD POST", metadataPath, nil, metadata.ServeHTTP},
		{"GET HEAD POST OPTIONS DELETE", "/me", by(token(health)), greet},
		{"GET HEAD", "/patients", by(scopes(health, "read:patients")), greet},
		{"GET HEAD", "/patients/{id}", by(scopes(health, "read:patients", "read:labs")), greet},
		{"GET HEAD", "/feed", by(optional(health)), greet},

		// Each kind of requirement.
		{"GET HEAD", "/need/scopes", by(needs(health, middleware.Scopes(scope.Any("admin").Or(scope.All("read:patients", "read:labs"))))), greet},
		{"GET HEAD", "/need/client", by(needs(health, middleware.Clients("mobile-app", "portal"))), greet},
		{"GET HEAD", "/need/claims", by(needs(health, middleware.Claim("plan").OneOf("silver", "gold"),
			middleware.Claim("realm_access", "roles").ContainsAny("doctor", "nurse"), middleware.Claim("email_verified").IsTrue())), greet},
		{"GET HEAD", "/need/step-up", by(needs(health, middleware.Scopes(scope.All("write:patients")), middleware.ACR("mfa", "hwk"), middleware.MaxAuthAge(time.Hour))), greet},
		{"GET HEAD PUT DELETE", "/need/by-method", by(needs(health, middleware.ByMethod(map[string]middleware.Requirement{
			"GET": middleware.Scopes(scope.All("read:patients")), "PUT": middleware.Scopes(scope.All("write:patients"))}))), greet},
		{"GET HEAD", "/orgs/{org}/patients/{id}", by(needs(health, middleware.Scopes(scope.All("read:patients")), middleware.Claim("org_id").EqualsPathValue("org"))), greet},
		{"GET HEAD", "/func/{answer}", by(needs(health, middleware.Func("the answer is yes", answer))), greet},

		// Several guards.
		{"GET HEAD", "/invoices", by(token(billing)), greet},
		{"GET HEAD", "/both", by(token(health), token(billing)), greet},
		{"GET HEAD", "/stacked", by(token(health), scopes(health, "read:patients"), needs(health, middleware.Clients("portal"))), greet},
		{"GET HEAD", "/optional-then-required", by(optional(health), scopes(health, "read:patients")), greet},
		{"GET HEAD", "/optional-then-another", by(optional(billing), optional(health)), greet},

		// Other places for the token, preflights, outages, error handlers.
		{"GET HEAD POST PUT OPTIONS", "/anyway", by(token(anyway)), greet},
		{"GET HEAD", "/down", by(token(down)), greet},
		{"GET HEAD", "/outage", by(scopes(outage, "read:patients")), greet},
		{"GET HEAD", "/down-optional", by(optional(down)), greet},
		{"GET HEAD POST", "/problem", by(scopes(problem, "read:patients")), greet},
		{"GET HEAD", "/silent", by(token(silent)), greet},
		{"GET HEAD", "/body-only", by(token(bodyOnly)), greet},

		// What handlers do.
		{"GET HEAD", "/stream", by(token(health)), stream},
		{"GET HEAD", "/large", by(token(health)), large},
		{"POST", "/echo", by(token(health)), echo},
		{"GET HEAD", "/status/{status}", by(token(health)), status},
	}
}

// greet says who is asking, as the handler sees it.
func greet(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions { // as a CORS middleware answers it
		w.Header().Set("Access-Control-Allow-Origin", "https://page.example")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	who := "nobody"
	if c, ok := claims.FromContext(r.Context()); ok {
		who = c.Subject
	}
	token, _ := middleware.TokenFromContext(r.Context())
	fmt.Fprintf(w, "hello %s, patient %q, note %q, token of %d bytes", who, r.PathValue("id"), r.PostFormValue("note"), len(token))
}

// stream sends a body piece by piece, and a trailer.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Trailer", "X-Pieces")
	for _, piece := range []string{"data: one\n\n", "data: two\n\n"} {
		io.WriteString(w, piece)
		if err := http.NewResponseController(w).Flush(); err != nil {
			fmt.Fprintf(w, "flush: %v", err)
		}
		w.(http.Flusher).Flush()
	}
	w.Header().Set("X-Pieces", "2")
}

func large(w http.ResponseWriter, _ *http.Request) {
	for range 1 << 10 {
		io.WriteString(w, strings.Repeat("0123456789abcdef", 64))
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(body)
}

// status answers with a status of its own, which a guard must leave alone.
func status(w http.ResponseWriter, r *http.Request) {
	var code int
	fmt.Sscan(r.PathValue("status"), &code)
	w.Header().Set("WWW-Authenticate", "the handler's own")
	w.WriteHeader(code)
}

func writeProblem(w http.ResponseWriter, r *http.Request, e *middleware.Error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(map[string]any{"status": e.Status, "title": e.Description, "instance": r.URL.Path, "code": e.Code})
}

// answer is a requirement of a user's own, which fails in every way there is.
func answer(r *http.Request, _ *claims.Claims) error {
	switch r.PathValue("answer") {
	case "yes":
		return nil
	case "gone":
		return &middleware.Error{Status: http.StatusGone, Code: "gone", Description: "there was one once"}
	case "wait":
		return &middleware.Error{Status: http.StatusTooManyRequests, Description: "too many requests", RetryAfter: time.Minute}
	case "step-up":
		return &middleware.Error{Status: http.StatusUnauthorized, Code: middleware.CodeInsufficientUserAuthentication, Description: "log in again", MaxAge: time.Minute}
	case "unavailable":
		return fmt.Errorf("%w: the database is down", claims.ErrUnavailable)
	case "given-up":
		return context.DeadlineExceeded
	default:
		return errors.New("secret cause")
	}
}

// unavailable is a validator whose keys cannot be had.
type unavailable struct{ retryAfter time.Duration }

func (v unavailable) Validate(context.Context, string) (*claims.Claims, error) {
	return nil, fmt.Errorf("%w: %w", claims.ErrUnavailable, v)
}

func (v unavailable) Error() string             { return "secret cause" }
func (v unavailable) RetryAfter() time.Duration { return v.retryAfter }

// A row is a request, and the reply in short. The rest of the reply is that of
// the reference.
type row struct {
	name    string
	request string // method and path
	with    []edit
	status  int
	says    string // in the challenge or the body
}

// An edit puts something into a request.
type edit func(*http.Request)

func with(edits ...edit) []edit { return edits }

func header(name, value string) edit {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func bearer(token string) edit { return header("Authorization", "Bearer "+token) }

func body(contentType, text string) edit {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", contentType)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

// requests returns the rows.
func requests(issuer *authtest.Issuer) []row {
	token := func(options ...authtest.TokenOption) edit { return bearer(issuer.Token(options...)) }
	form := func(text string) edit { return body("application/x-www-form-urlencoded", text) }
	now := time.Now()
	var (
		plain      = issuer.Token()
		reader     = authtest.Scope("read:patients", "openid")
		origin     = header("Origin", "https://page.example")
		askMethod  = header("Access-Control-Request-Method", "GET")
		loggedIn   = authtest.Claim("auth_time", now.Add(-time.Minute).Unix())
		longAgo    = authtest.Claim("auth_time", now.Add(-24*time.Hour).Unix())
		mfa        = authtest.Claim("acr", "mfa")
		writer     = authtest.Scope("write:patients")
		nurse      = authtest.Claim("realm_access", map[string]any{"roles": []string{"staff", "nurse"}})
		verified   = authtest.Claim("email_verified", true)
		gold       = authtest.Claim("plan", "gold")
		both       = authtest.Audience(healthAPI, billingAPI)
		otherAPI   = authtest.Audience(billingAPI)
		expired    = authtest.Expiry(now.Add(-time.Hour))
		cookie     = header("Cookie", "token="+plain)
		crossSite  = header("Sec-Fetch-Site", "cross-site")
		sameOrigin = header("Sec-Fetch-Site", "same-origin")
	)
	const (
		hello        = "hello user-1"
		noToken      = `{"error_description":"no access token was sent`
		invalidToken = `error="invalid_token"`
		invalid      = `error="invalid_request"`
		needMore     = `error="insufficient_scope"`
		denied       = `"error":"access_denied"`
		stepUp       = `error="insufficient_user_authentication"`
		unavailable  = `"error":"temporarily_unavailable"`
	)
	return []row{
		{"an open route", "GET /health", nil, 200, "hello nobody"},
		{"an open route with a token", "GET /health", with(token()), 200, "hello nobody"},

		// RFC 6750 §2, §3.
		{"a good token", "GET /me", with(token()), 200, hello},
		{"another user", "GET /me", with(token(authtest.Subject("user-2"))), 200, "hello user-2"},
		{"POST", "POST /me", with(token()), 200, hello},
		{"DELETE", "DELETE /me", with(token()), 200, hello},
		{"the scheme in other letters", "GET /me", with(header("Authorization", "bEARER  "+plain)), 200, hello},
		{"no token", "GET /me", nil, 401, noToken},
		{"no token, where a scope is needed", "GET /patients", nil, 401, `scope="read:patients"`},
		{"no token, and the metadata's address", "GET /me", nil, 401, `resource_metadata="https://example.com/.well-known/oauth-protected-resource/health-api"`},
		{"another scheme", "GET /me", with(header("Authorization", "Basic dXNlcjpwYXNz")), 401, noToken},
		{"an empty header", "GET /me", with(header("Authorization", "")), 401, noToken},
		{"malformed: no token after the scheme", "GET /me", with(header("Authorization", "Bearer")), 400, invalid},
		{"malformed: two tokens", "GET /me", with(header("Authorization", "Bearer "+plain+" "+plain)), 400, invalid},
		{"malformed: quotes", "GET /patients", with(header("Authorization", `Bearer "x"`)), 400, invalid},
		{"two headers", "GET /me", with(token(), token()), 400, invalid},
		{"two headers, one of another scheme", "GET /me", with(header("Authorization", "Basic dXNlcjpwYXNz"), token()), 400, invalid},
		{"a token in the query where that is not asked for", "GET /me?access_token=" + plain, nil, 401, noToken},
		{"a token in a form where that is not asked for", "POST /me", with(form("access_token=" + plain)), 401, noToken},
		{"a token in a cookie where that is not asked for", "GET /me", with(cookie), 401, noToken},
		{"an opaque token", "GET /me", with(bearer("opaque")), 401, invalidToken},
		{"a huge token", "GET /me", with(bearer(strings.Repeat("x", 40<<10))), 401, invalidToken},
		{"a bad signature", "GET /me", with(bearer(plain[:len(plain)-8] + "AAAAAAAA")), 401, invalidToken},
		{"expired", "GET /patients", with(token(expired)), 401, invalidToken},
		{"an ID Token", "GET /me", with(bearer(issuer.IDToken())), 401, invalidToken},
		{"an ID Token for this API", "GET /me", with(bearer(issuer.IDToken(authtest.Audience(healthAPI)))), 401, invalidToken},
		{"a token for another API", "GET /me", with(token(otherAPI)), 401, invalidToken},
		{"a token of another issuer", "GET /me", with(token(authtest.Claim("iss", "https://evil.example/"))), 401, invalidToken},
		{"the scope", "GET /patients", with(token(reader)), 200, hello},
		{"not the scope", "GET /patients", with(token()), 403, `scope="read:patients"`},
		{"one scope of two", "GET /patients/7", with(token(reader)), 403, `scope="read:patients read:labs"`},
		{"both scopes", "GET /patients/7", with(token(authtest.Scope("read:labs", "read:patients"))), 200, hello},
		{"a query that is nobody's token", "GET /patients/7?x=%20y&access_token=", with(token(authtest.Scope("read:labs", "read:patients"))), 200, hello},

		{"optional: no token", "GET /feed", nil, 200, "hello nobody"},
		{"optional: another scheme", "GET /feed", with(header("Authorization", "Basic dXNlcjpwYXNz")), 200, "hello nobody"},
		{"optional: a good token", "GET /feed", with(token()), 200, hello},
		{"optional: a bad token", "GET /feed", with(token(expired)), 401, invalidToken},
		{"optional: malformed", "GET /feed", with(header("Authorization", "Bearer")), 400, invalid},

		// Requirements.
		{"scopes: the one", "GET /need/scopes", with(token(authtest.Scope("admin"))), 200, hello},
		{"scopes: the others", "GET /need/scopes", with(token(authtest.Scope("read:patients", "read:labs"))), 200, hello},
		{"scopes: too few", "GET /need/scopes", with(token(authtest.Scope("read:labs"))), 403, needMore},
		{"scopes: no token", "GET /need/scopes", nil, 401, `scope="admin"`},
		{"client: on the list", "GET /need/client", with(token(authtest.ClientID("portal"))), 200, hello},
		{"client: another", "GET /need/client", with(token()), 403, denied},
		{"claims: all", "GET /need/claims", with(token(gold, nurse, verified)), 200, hello},
		{"claims: one is missing", "GET /need/claims", with(token(gold, verified)), 403, denied},
		{"claims: one is another", "GET /need/claims", with(token(authtest.Claim("plan", "tin"), nurse, verified)), 403, denied},
		{"step-up: done", "GET /need/step-up", with(token(writer, mfa, loggedIn)), 200, hello},
		{"step-up: no scope either", "GET /need/step-up", with(token(mfa, loggedIn)), 403, needMore},
		{"step-up: not as strong", "GET /need/step-up", with(token(writer, loggedIn)), 401, `acr_values="mfa hwk", max_age="3600"`},
		{"step-up: too long ago", "GET /need/step-up", with(token(writer, mfa, longAgo)), 401, stepUp},
		{"step-up: not said", "GET /need/step-up", with(token(writer)), 401, stepUp},
		{"by method: GET", "GET /need/by-method", with(token(reader)), 200, hello},
		{"by method: PUT", "PUT /need/by-method", with(token(reader)), 403, `scope="write:patients"`},
		{"by method: PUT without a token", "PUT /need/by-method", nil, 401, `scope="write:patients"`},
		{"by method: not named", "DELETE /need/by-method", with(token(reader)), 403, denied},
		{"path value: one's own organization", "GET /orgs/org-1/patients/7", with(token(reader, authtest.Claim("org_id", "org-1"))), 200, `patient "7"`},
		{"path value: with a space", "GET /orgs/org%201/patients/a%20b", with(token(reader, authtest.Claim("org_id", "org 1"))), 200, `patient "a b"`},
		{"path value: another organization", "GET /orgs/org-2/patients/7", with(token(reader, authtest.Claim("org_id", "org-1"))), 403, denied},
		{"path value: no organization", "GET /orgs/org-1/patients/7", with(token(reader)), 403, denied},
		{"path value: no scope", "GET /orgs/org-1/patients/7", with(token(authtest.Claim("org_id", "org-1"))), 403, needMore},
		{"one's own: met", "GET /func/yes", with(token()), 200, hello},
		{"one's own: refused", "GET /func/no", with(token()), 403, denied},
		{"one's own: another status", "GET /func/gone", with(token()), 410, "there was one once"},
		{"one's own: later", "GET /func/wait", with(token()), 429, "too many requests"},
		{"one's own: step-up", "GET /func/step-up", with(token()), 401, `max_age="60"`},
		{"one's own: unavailable", "GET /func/unavailable", with(token()), 503, unavailable},
		{"one's own: given up", "GET /func/given-up", with(token()), 503, unavailable},
		{"one's own is not asked without a token", "GET /func/gone", nil, 401, noToken},

		// Two APIs in one process.
		{"the other API: its token", "GET /invoices", with(token(otherAPI)), 200, hello},
		{"the other API: not its token", "GET /invoices", with(token()), 401, `realm="billing", error="invalid_token"`},
		{"the other API: no token", "GET /invoices", nil, 401, noToken},
		{"both APIs: a token for both", "GET /both", with(token(both)), 200, hello},
		{"both APIs: for the outer", "GET /both", with(token()), 401, `realm="billing"`},
		{"both APIs: for the inner", "GET /both", with(token(otherAPI)), 401, `realm="api"`},
		{"stacked: all are met", "GET /stacked", with(token(reader, authtest.ClientID("portal"))), 200, hello},
		{"stacked: the second is not", "GET /stacked", with(token(authtest.ClientID("portal"))), 403, needMore},
		{"stacked: the third is not", "GET /stacked", with(token(reader)), 403, denied},
		{"stacked: no token", "GET /stacked", nil, 401, noToken},
		{"optional, then required: no token", "GET /optional-then-required", nil, 401, noToken},
		{"optional, then required: the scope", "GET /optional-then-required", with(token(reader)), 200, hello},
		{"optional, then required: not the scope", "GET /optional-then-required", with(token()), 403, needMore},
		{"optional twice: no token", "GET /optional-then-another", nil, 200, "hello nobody"},
		{"optional twice: a token for one", "GET /optional-then-another", with(token()), 401, `realm="billing"`},
		{"optional twice: a token for both", "GET /optional-then-another", with(token(both)), 200, hello},

		// Other places for the token (RFC 6750 §2.2, §2.3).
		{"anyway: the header", "GET /anyway", with(token()), 200, hello},
		{"anyway: the query", "GET /anyway?access_token=" + plain, nil, 200, hello},
		{"anyway: twice in the query", "GET /anyway?access_token=" + plain + "&access_token=" + plain, nil, 400, invalid},
		{"anyway: header and query", "GET /anyway?access_token=" + plain, with(token()), 400, invalid},
		{"anyway: a form", "POST /anyway", with(form("note=hi&access_token=" + plain)), 200, `hello user-1, patient "", note "hi"`},
		{"anyway: a form with PUT", "PUT /anyway", with(form("note=hi&access_token=" + plain)), 200, `note "hi"`},
		{"anyway: a form and the header", "POST /anyway", with(token(), form("access_token="+plain)), 400, invalid},
		{"anyway: a form with GET", "GET /anyway", with(form("access_token=" + plain)), 401, noToken},
		{"anyway: no form", "POST /anyway", with(body("application/json", `{"access_token":"x"}`)), 401, noToken},
		{"anyway: a form that is too large", "POST /anyway", with(form("access_token="+plain+"&x="+strings.Repeat("x", 1<<20)), header("Expect", "100-continue")), 413, "too large"},
		{"anyway: a cookie", "GET /anyway", with(cookie), 200, hello},
		{"anyway: a cookie from the same origin", "POST /anyway", with(cookie, sameOrigin), 200, hello},
		{"anyway: a cookie from another site", "POST /anyway", with(cookie, crossSite), 403, denied},
		{"anyway: a cookie and the header", "GET /anyway", with(cookie, token()), 400, invalid},
		{"anyway: a cookie that is no token", "GET /anyway", with(header("Cookie", "token=a,b")), 400, invalid},
		{"anyway: a bad token in the query", "GET /anyway?access_token=opaque", nil, 401, invalidToken},
		{"anyway: nowhere", "GET /anyway", nil, 401, noToken},

		// OPTIONS.
		{"a preflight", "OPTIONS /anyway", with(origin, askMethod), 204, ""},
		{"a preflight that is none", "OPTIONS /anyway", with(origin), 401, noToken},
		{"a preflight with a bad token", "OPTIONS /anyway", with(origin, askMethod, bearer("opaque")), 401, invalidToken},
		{"a preflight where that is not asked for", "OPTIONS /me", with(origin, askMethod), 401, noToken},
		{"OPTIONS with a token", "OPTIONS /me", with(token()), 204, ""},

		// 503, and never a challenge.
		{"down", "GET /down", with(token()), 503, unavailable},
		{"down: no token", "GET /down", nil, 401, noToken},
		{"down, and when to come again", "GET /outage", with(token()), 503, unavailable},
		{"down: optional, with a token", "GET /down-optional", with(token()), 503, unavailable},
		{"down: optional, without", "GET /down-optional", nil, 200, "hello nobody"},

		// Error handlers of one's own (RFC 9457).
		{"problem: no token", "GET /problem", nil, 401, `"instance":"/problem"`},
		{"problem: a bad token", "GET /problem", with(bearer("opaque")), 401, invalidToken},
		{"problem: not the scope", "POST /problem", with(token()), 403, `"code":"insufficient_scope"`},
		{"problem: none", "GET /problem", with(token(reader)), 200, hello},
		{"silent", "GET /silent", nil, 401, `realm="api"`},
		{"a body only", "GET /body-only", with(bearer("opaque")), 401, "the access token is expired"},

		// RFC 9728.
		{"metadata", "GET /.well-known/oauth-protected-resource/health-api", nil, 200,
			`"scopes_supported":["admin","read:labs","read:patients","write:patients"]`},
		{"metadata with a bad token", "GET /.well-known/oauth-protected-resource/health-api", with(bearer("opaque")), 200, `"resource":"https://example.com/health-api"`},
		{"metadata are not written", "POST /.well-known/oauth-protected-resource/health-api", nil, 405, "only be read"},

		// What handlers do goes through.
		{"a stream", "GET /stream", with(token()), 200, "data: one\n\ndata: two\n\n"},
		{"a stream that is refused", "GET /stream", nil, 401, noToken},
		{"a large reply", "GET /large", with(token()), 200, "1048576 bytes"},
		{"a large request", "POST /echo", with(token(), body("text/plain", strings.Repeat("x", 2<<20))), 200, "2097152 bytes"},
		{"a large request, asked first", "POST /echo", with(token(), body("text/plain", strings.Repeat("x", 2<<20)), header("Expect", "100-continue")), 200, "2097152 bytes"},
		{"a large request that is refused", "POST /echo", with(body("text/plain", strings.Repeat("x", 200<<10))), 401, noToken},
		{"a larger one, asked first", "POST /echo", with(body("text/plain", strings.Repeat("x", 2<<20)), header("Expect", "100-continue")), 401, noToken},
		{"a small request", "POST /echo", with(token(), body("text/plain", "hi")), 200, "hi"},
		{"the handler's own 404", "GET /status/404", with(token()), 404, "the handler's own"},
		{"the handler's own 204", "GET /status/204", with(token()), 204, "the handler's own"},
		{"the handler's own 401", "GET /status/401", with(token()), 401, "the handler's own"},
		{"the handler's own 500", "GET /status/500", with(token()), 500, "the handler's own"},
	}
}
