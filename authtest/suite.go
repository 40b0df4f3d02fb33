package authtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/middleware"
)

// A Target is what [Issuer.Suite] attacks: one route of an API. The first four
// fields are what most routes need.
type Target struct {
	// Handler returns the API as production makes it, but with this validator. It
	// is called several times: an API that has just started knows no keys.
	Handler func(middleware.Validator) http.Handler

	// Request is a request to the route, without credentials, that the API answers
	// well. Each attack sends a copy; its body is read once and kept.
	Request *http.Request

	// Audience is the API's identifier.
	Audience string

	// Scope has the scopes that the route needs, all of them and no others. With
	// none, the route is one for any access token.
	Scope []string

	// Token is what a good token must say besides, for routes that ask for more
	// than scopes.
	Token []TokenOption

	// Config is what production's validator sets beyond issuer, audience and keys,
	// such as its Profile; the suite puts its own in the place of these three. If
	// it names algorithms, good tokens are signed with the first.
	Config claims.Config

	// Options are those that production gives claims.NewValidator, such as
	// claims.WithoutMemory. With claims.WithMaxTokenSize of 54 KiB or more, Except has
	// encoding/too-large. In the place of claims.WithIssuer there is Issuers: of an
	// issuer that is given here, the suite knows no keys to attack with.
	Options []claims.Option

	// Issuers are those that production trusts besides. Their tokens must be let in
	// too, and none that takes its key or its audience from one issuer and its name
	// from another. Where the route is not for their tokens (middleware.Issuers),
	// Except has good/trusted-1, good/trusted-2 and so on.
	Issuers []TrustedIssuer

	// Status is what the route answers to a good token. Zero means any status
	// below 400.
	Status int

	// Except has attacks that are left out, each with the reason: the names are
	// those of the subtests. It is for what an API permits on purpose, such as
	// tokens in the query, and for good/in-an-outage where the route itself asks the
	// issuer.
	Except map[string]string
}

// A TrustedIssuer is one that an API trusts besides that of the suite, by
// claims.WithIssuer.
type TrustedIssuer struct {
	// Issuer is a fake one of its own.
	Issuer *Issuer

	// Audience is what its tokens are for; empty means Target.Audience.
	Audience string

	// Token and Config are as those of Target, and for this issuer.
	Token  []TokenOption
	Config claims.Config
}

// Suite attacks a route of an API in some 200 ways, and shows that it stands: each
// attack is a subtest. A good token must be let in, in every shape that honest
// authorization servers give it; and everything else refused as RFC 6750 has it,
// with a challenge, without an echo of what was sent, and without asking the
// servers that an attacker names. Nor may the route's handler run behind a refusal:
// that is seen by what a good token is answered, by what is written behind the guard's
// own refusal, and by the request's body being read.
//
//	issuer := authtest.NewIssuer(t)
//	issuer.Suite(t, authtest.Target{
//		Handler:  func(v middleware.Validator) http.Handler { return NewAPI(middleware.New(v)) },
//		Request:  httptest.NewRequest("GET", "/patients", nil),
//		Audience: "https://example.com/health-api",
//		Scope:    []string{"read:patients"},
//	})
//
// A failure says what was sent, what came back, what should have, and why that
// matters. Where a plain good token is not let in, nothing else is tried, and the
// failure says which field of the target to look at. Run one attack alone with
// go test -run 'TestAPI/time/expired'.
//
// A route that calls the issuer, as one does that asks for the user's profile, cannot
// answer well while that is down, and fails good/in-an-outage: that goes into
// Target.Except, with the reason. All the other attacks are the same for it.
//
// The suite listens on a port of this machine, for the attacker's server, and so
// does not run in a testing/synctest bubble. It changes what the issuer serves, and
// rotates its keys at the end: give it an issuer of its own.
func (i *Issuer) Suite(t *testing.T, target Target) {
	t.Helper()
	s := newSuite(t, i, target)
	if problem := s.rehearse(t.Context()); problem != "" {
		t.Fatal(problem)
	}
	for _, a := range s.attacks() {
		t.Run(a.name, func(t *testing.T) {
			if a.skip != "" {
				t.Skip(a.skip)
			}
			if failure := s.try(t.Context(), a); failure != "" {
				t.Error(failure)
			}
		})
	}
}

// A suite is a target under attack.
type suite struct {
	issuer  *Issuer
	target  Target
	fail    func(format string, args ...any) // of the suite's test, not of a subtest's
	body    []byte                           // of the request
	handler http.Handler
	secret  string // what the route answers to a good token, "" where others may know it

	scopeClaims []string
	algorithms  []string // those that are accepted; the first signs
	key         *fakeissuer.Key
	hidden      *fakeissuer.Key // in the key set, but for encryption
	trusted     []trusted
	mallory     *mallory
}

// A trusted is an issuer that the target trusts besides.
type trusted struct {
	TrustedIssuer
	scopeClaims []string
	algorithms  []string

	// stray is a key of this issuer's with the algorithm of the suite's, so that it
	// would do where nobody looks whose key it is.
	stray *fakeissuer.Key
}

// newSuite makes a target ready, and puts all back when the test ends.
func newSuite(tb testing.TB, i *Issuer, target Target) *suite {
	tb.Helper()
	switch r := target.Request; {
	case target.Handler == nil:
		tb.Fatalf("authtest: Target.Handler is nil: give a function that returns your API")
	case r == nil:
		tb.Fatalf("authtest: Target.Request is nil: give httptest.NewRequest(method, path, nil)")
	case r.Header.Get("Authorization") != "":
		tb.Fatalf("authtest: Target.Request has an Authorization header: the suite puts one there")
	case target.Audience == "":
		tb.Fatalf("authtest: Target.Audience is empty: give the identifier of your API")
	}
	s := &suite{issuer: i, target: target, fail: tb.Fatalf}
	if target.Request.Body != nil {
		var err error
		if s.body, err = io.ReadAll(target.Request.Body); err != nil {
			tb.Fatalf("authtest: the body of Target.Request: %v", err)
		}
	}
	s.scopeClaims, s.algorithms = defaultsOf(target.Config)
	for _, t := range target.Issuers {
		if t.Issuer == nil {
			tb.Fatalf("authtest: an Issuer in Target.Issuers is nil: give authtest.NewIssuer(t)")
		}
		t.Audience = cmp.Or(t.Audience, target.Audience)
		also := trusted{TrustedIssuer: t}
		also.scopeClaims, also.algorithms = defaultsOf(t.Config)
		s.trusted = append(s.trusted, also)
	}
	var err error
	if s.handler, err = s.newHandler(); err != nil { // also for a configuration without algorithms
		tb.Fatalf("authtest: %v", err)
	}
	if s.key, err = i.core.Key(s.algorithms[0]); err != nil {
		tb.Fatalf("authtest: %v", err)
	}
	if s.hidden, err = i.core.EncryptionKey(s.algorithms[0]); err != nil {
		tb.Fatalf("authtest: %v", err)
	}
	for n := range s.trusted {
		also := &s.trusted[n]
		if also.stray, err = also.Issuer.core.Key(s.algorithms[0]); err != nil {
			tb.Fatalf("authtest: %v", err)
		}
		if _, err = i.core.Key(also.algorithms[0]); err != nil { // the other way round, and known before it is used
			tb.Fatalf("authtest: %v", err)
		}
	}
	s.mallory = newMallory(tb, s.algorithms[0])
	i.SetKeySet(MixedKeySet)
	tb.Cleanup(func() { i.SetKeySet(GoodKeySet) })
	s.token() // a mistake in Target.Token is one of this test, and not of a subtest's
	s.learn(tb.Context())
	return s
}

// defaultsOf returns the claims that scopes are looked for in, and the algorithms that
// are accepted.
func defaultsOf(config claims.Config) (scopeClaims, algorithms []string) {
	scopeClaims, algorithms = config.ScopeClaims, config.Algorithms
	if scopeClaims == nil {
		scopeClaims = []string{"scope", "scp"}
	}
	if algorithms == nil {
		algorithms = []string{fakeissuer.DefaultAlgorithm}
	}
	return scopeClaims, algorithms
}

// learn finds out what must not be in the answer to anybody who is refused.
func (s *suite) learn(ctx context.Context) {
	r := s.request(ctx)
	r.Header.Set("Authorization", "Bearer "+s.token())
	good, panicked := serve(s.handler, r)
	const meant = 8 // shorter texts are in an answer by chance
	if panicked != nil || !s.isOwn(good.Code) || good.Body.Len() < meant {
		return
	}
	if nobody, _ := serve(s.handler, s.request(ctx)); nobody.Body.String() != good.Body.String() {
		s.secret = good.Body.String()
	}
}

// newHandler returns the API as it is when it has just started.
func (s *suite) newHandler() (http.Handler, error) {
	options := slices.Clone(s.target.Options)
	for _, also := range s.trusted {
		options = append(options, claims.WithIssuer(also.Issuer.complete(also.Config, also.Audience)))
	}
	validator, err := claims.NewValidator(s.issuer.complete(s.target.Config, s.target.Audience), options...)
	if err != nil {
		return nil, fmt.Errorf("Target.Config, Target.Options and Target.Issuers: %w", err)
	}
	handler := s.target.Handler(validator)
	if handler == nil {
		return nil, errors.New("Target.Handler has returned nil")
	}
	return handler, nil
}

// complete returns the configuration with what is the suite's to say.
func (i *Issuer) complete(config claims.Config, audience string) claims.Config {
	own := i.Config(audience)
	config.Issuer, config.Audience, config.Keys = own.Issuer, own.Audience, own.Keys
	return config
}

// attacks returns all attacks, in the order in which they are made. The last ones
// change the issuer's keys.
func (s *suite) attacks() []attack {
	all := slices.Concat(
		s.goodTokens(), s.credentials(), s.encodings(), s.algorithmAttacks(), s.keys(), s.headers(), s.payloads(),
		s.issuers(), s.audiences(), s.mixUps(), s.times(), s.kinds(), s.bindings(), s.scopes(), s.memories(), s.afterwards(), s.outages(), s.rotation(),
	)
	names := map[string]bool{}
	for n := range all {
		names[all[n].name] = true
		if reason, left := s.target.Except[all[n].name]; left {
			all[n].skip = "left out by Target.Except: " + reason
		}
	}
	for name := range s.target.Except {
		if !names[name] {
			s.fail("authtest: Target.Except has %q, and there is no such attack", name)
		}
	}
	return all
}

// An attack is one request that must be answered in a certain way. Good tokens are
// attacks too: on those who refuse all.
type attack struct {
	name string // group/what
	sent string // what is sent, in words
	why  string // what happens where it is not answered as it should be
	skip string // why it cannot be made here

	// send puts credentials on a request, and returns the token among them, if
	// there is one.
	send func(*http.Request) (token string)
	want want

	// fresh has the attack made on an API that has just started, between these
	// functions.
	fresh  bool
	before func(api http.Handler)
	after  func()
}

// A want is how an attack should be answered.
type want struct {
	words    string
	statuses []int  // any of these; none means that the request is let in
	code     string // of the challenge: "" means any, and "-" none
}

var (
	letIn       = want{words: "the route's own answer"}
	refused     = want{"401, with error=\"invalid_token\" in the challenge", []int{401}, "invalid_token"}
	rejected    = want{"400 or 401, with a challenge", []int{400, 401}, ""}
	tooLarge    = want{"401, 400, 413 or 431", []int{400, 401, 413, 431}, ""}
	anonymous   = want{"401, with a challenge without an error code", []int{401}, "-"}
	forbidden   = want{"403, with error=\"insufficient_scope\" in the challenge", []int{403}, "insufficient_scope"}
	unserved    = want{"401, or 404, 405 or 501 where there is no HEAD", []int{401, 404, 405, 501}, ""}
	unavailable = want{"503", []int{503}, ""}
)

// try makes an attack, and returns what is wrong with the answer, or "".
func (s *suite) try(ctx context.Context, a attack) (failure string) {
	handler := s.handler
	if a.fresh {
		var err error
		if handler, err = s.newHandler(); err != nil {
			return fmt.Sprintf("authtest: %v", err)
		}
	}
	if a.after != nil {
		defer a.after()
	}
	if a.before != nil {
		a.before(handler)
	}
	r := s.request(ctx)
	token := a.send(r)
	servers, clients := s.contacts()
	answer, panicked := serve(handler, r)
	problems := s.look(ctx, a, token, answer)
	if panicked != nil {
		problems = []string{fmt.Sprintf("the handler panicked: %v", panicked)}
	}
	serversNow, clientsNow := s.contacts()
	if asked := append(serversNow[len(servers):], clientsNow[len(clients):]...); len(asked) > 0 {
		problems = append(problems, "a server that the attacker named was asked: "+strings.Join(asked, ", "))
	}
	if len(problems) == 0 {
		return ""
	}
	return report(a, r, token, answer, problems)
}

// rehearse sends a plain good token, and returns what is wrong with the target where
// it is not let in: all attacks would look as if the API stood, and all good tokens as
// if it did not.
func (s *suite) rehearse(ctx context.Context) string {
	var refused middleware.Decision
	ctx = middleware.ContextWithObserver(ctx, func(_ context.Context, d middleware.Decision) {
		if d.Refusal != nil {
			refused = d
		}
	})
	if _, left := s.target.Except["good/access-token"]; left {
		return ""
	}
	r := s.request(ctx)
	r.Header.Set("Authorization", "Bearer "+s.token())
	handler, err := s.newHandler()
	if err != nil {
		return fmt.Sprintf("authtest: %v", err)
	}
	answer, panicked := serve(handler, r)
	switch {
	case panicked != nil:
		return fmt.Sprintf("authtest: the handler panics at a good token: %v", panicked)
	case s.isOwn(answer.Code):
		return ""
	}
	hint := "is Target.Request the route, and Target.Status what it answers to a good token?"
	switch {
	case refused.Reason == middleware.ErrInsufficientScope:
		hint = fmt.Sprintf("the route needs the scope %q: put all of it into Target.Scope", refused.Refusal.Scope)
	case refused.Requirement != "":
		hint = fmt.Sprintf("the route asks for %q besides: put what a token must say for that into Target.Token, such as authtest.AuthTime for a user, authtest.ACR or authtest.Claim", refused.Requirement)
	case refused.Refusal != nil:
		hint = fmt.Sprintf("the guard says: %v. Target.Handler must make it with the validator that it is given, and Target.Audience and Target.Config must be those of the route", refused.Refusal.Err)
	}
	return fmt.Sprintf("authtest: %s %s answers %d to a good token, so nothing else was tried:\n%s", r.Method, r.URL.Path, answer.Code, hint)
}

// request returns a copy of the target's request, which ends with ctx.
func (s *suite) request(ctx context.Context) *http.Request {
	r := s.target.Request.Clone(both{ctx, s.target.Request.Context()})
	s.setBody(r, s.body)
	return r
}

// both is a context with the values of another one besides.
type both struct {
	context.Context
	further context.Context
}

// Value implements [context.Context].
func (b both) Value(key any) any {
	if value := b.Context.Value(key); value != nil {
		return value
	}
	return b.further.Value(key)
}

func (s *suite) setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
}

// contacts returns what the attacker's server was asked so far, and what the
// client that is for the issuer was asked of others.
func (s *suite) contacts() (servers, clients []string) {
	return s.mallory.asked(), s.issuer.core.Strangers()
}

// serve has a handler answer, which may panic.
func serve(handler http.Handler, r *http.Request) (answer *witness, panicked any) {
	answer = newWitness()
	r = r.WithContext(answer.context(r.Context()))
	r.Body = answer.body(r.Body)
	defer func() { panicked = recover() }()
	handler.ServeHTTP(answer, r)
	return answer, nil
}

// isOwn reports whether a status is the route's own answer to a good token.
func (s *suite) isOwn(status int) bool {
	if s.target.Status != 0 {
		return status == s.target.Status
	}
	return status < 400
}

// look returns what is wrong with an answer.
func (s *suite) look(ctx context.Context, a attack, token string, answer *witness) (problems []string) {
	if len(a.want.statuses) == 0 {
		if !s.isOwn(answer.Code) {
			problems = append(problems, "a good token was not let in")
		}
		return problems
	}
	if !slices.Contains(a.want.statuses, answer.Code) {
		problems = append(problems, fmt.Sprintf("the status is %d", answer.Code))
	}
	switch answer.Code {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if problem := s.lookAtChallenge(ctx, a.want, answer); problem != "" {
			problems = append(problems, problem)
		}
	}
	if answer.Code < 400 {
		return problems // whoever is let in may be told who he is
	}
	const isReturnMissing = "; is a return missing behind the guard?"
	if s.secret != "" && strings.Contains(answer.Body.String(), s.secret) {
		problems = append(problems, "the answer has what only a good token is answered"+isReturnMissing)
	} else if behind := answer.behind(); behind != "" {
		problems = append(problems, behind+isReturnMissing)
	}
	if echo := s.echo(token, answer); echo != "" {
		problems = append(problems, fmt.Sprintf("the answer repeats what was sent: %q", echo))
	}
	return problems
}

// lookAtChallenge returns what is wrong with the challenge of a refusal.
func (s *suite) lookAtChallenge(ctx context.Context, w want, answer *witness) string {
	challenge, problem := bearerChallenge(answer.Header().Values("WWW-Authenticate"))
	if problem != "" {
		return problem
	}
	code := cmp.Or(challenge.value("error"), "-")
	if w.code != "" && code != w.code {
		return fmt.Sprintf("the challenge has the error code %q (RFC 6750 §3.1)", strings.TrimPrefix(code, "-"))
	}
	named := challenge.value("scope")
	if code != middleware.CodeInsufficientScope || named == "" || len(s.target.Scope) == 0 {
		return "" // it may name none
	}
	// What is named may be another way in than the one that the target knows.
	if scopes := strings.Fields(named); !s.covers(scopes) && !s.opens(ctx, scopes) {
		return fmt.Sprintf("the challenge names the scope %q, which does not let anybody in (RFC 6750 §3.1)", named)
	}
	return ""
}

// covers reports whether the scopes are all that the route needs.
func (s *suite) covers(scopes []string) bool {
	return !slices.ContainsFunc(s.target.Scope, func(needed string) bool { return !slices.Contains(scopes, needed) })
}

// opens reports whether a token with these scopes is let in.
func (s *suite) opens(ctx context.Context, scopes []string) bool {
	r := s.request(ctx)
	r.Header.Set("Authorization", "Bearer "+s.token(s.scope(scopes...)))
	answer, panicked := serve(s.handler, r)
	return panicked == nil && s.isOwn(answer.Code)
}

// echo returns what an answer repeats of a token, or of what the attacker has
// written into it.
func (s *suite) echo(token string, answer *witness) string {
	var text strings.Builder
	_ = answer.Header().Write(&text) // a Builder takes everything
	text.Write(answer.Body.Bytes())
	reply := strings.ToLower(text.String())
	for _, sent := range append(strings.Split(token, "."), attacker, s.mallory.server.URL) {
		const meant = 6 // shorter texts are in an answer by chance
		if len(sent) >= meant && strings.Contains(reply, strings.ToLower(sent)) {
			return sent
		}
	}
	return ""
}

// report says what is wrong, so that whoever reads it needs nothing else.
func report(a attack, r *http.Request, token string, answer *witness, problems []string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n", a.name, strings.Join(problems, "; "))
	fmt.Fprintf(&text, "  sent     %s %s with %s\n", r.Method, cmp.Or(r.URL.Path, r.URL.String()), a.sent)
	for _, part := range describe(token) {
		fmt.Fprintf(&text, "           %s\n", part)
	}
	fmt.Fprintf(&text, "  got      %d %s", answer.Code, http.StatusText(answer.Code))
	if challenge := answer.Header().Values("WWW-Authenticate"); len(challenge) > 0 {
		fmt.Fprintf(&text, ", WWW-Authenticate: %s", strings.Join(challenge, ", "))
	}
	if body := strings.TrimSpace(answer.Body.String()); body != "" {
		fmt.Fprintf(&text, ", body %s", excerpt(body))
	}
	fmt.Fprintf(&text, "\n  want     %s\n  because  %s", a.want.words, a.why)
	return text.String()
}
