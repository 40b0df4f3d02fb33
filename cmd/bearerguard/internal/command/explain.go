package command

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/bearerguard/bearerguard/internal/plain"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

var explainManual = manual{
	usage: "explain -issuer URL -audience ID [-scope S] [-file F] [flags] <token",
	about: `Explain runs every check of the library on one token, and says what each has
found, what the API answers, and what the mistake most likely is.

The token comes on standard input or in a file, and never as an argument. It may
come with "Bearer" before it, or as the JSON of a token endpoint. What the token
says is shown, but nothing of its signature.
`,
	examples: `  pbpaste | bearerguard explain -issuer https://my-domain.auth0.com/ -audience https://example.com/health-api
  bearerguard explain -issuer … -audience … -scope "read:patients" -file token.txt
  curl -s $TOKEN_ENDPOINT -d … | bearerguard explain -issuer … -audience …
  bearerguard explain -issuer … -audience … -jwks keys.json -file token.txt    # asks nobody
  bearerguard explain -issuer … -audience … -json -no-claims <token.txt        # for a ticket

exit status: 0 the API lets the token in, 1 it does not, 2 nothing can be said
`,
}

// An explanation is what explain prints, as JSON as it stands. It never has the
// token nor its signature.
type explanation struct {
	Result   verdict         `json:"result"`
	Answer   *answer         `json:"answer,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Hint     string          `json:"hint,omitempty"`
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	Scope    string          `json:"scope,omitempty"` // what was asked for
	Input    []string        `json:"input,omitempty"` // what was taken off
	Clock    *clockFact      `json:"clock,omitempty"`
	Checks   []finding       `json:"checks"`
	Keys     []keyFact       `json:"keys,omitempty"`
	Header   json.RawMessage `json:"header,omitempty"`
	Claims   json.RawMessage `json:"claims,omitempty"`
}

// An answer is what the API sends for a token that it does not let in.
type answer struct {
	Status    int    `json:"status"`
	Code      string `json:"error"`
	Challenge string `json:"www_authenticate,omitempty"`
}

type clockFact struct {
	Ahead  float64 `json:"ahead_seconds"` // of the issuer's; negative: behind
	Within float64 `json:"within_seconds"`
	skew   skew
}

func newClockFact(exchanges []exchange) *clockFact {
	s, known := skewOf(exchanges)
	if !known {
		return nil
	}
	tenths := func(d time.Duration) float64 { return d.Round(time.Second / 10).Seconds() }
	return &clockFact{Ahead: tenths(s.ahead), Within: tenths(s.within), skew: s}
}

type keyFact struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg,omitempty"`
}

// An explainer is one run of explain.
type explainer struct {
	settings
	aliases     list
	scopeClaims list
	profile     string
	scope       string
	file        string
	keysFile    string
	noClaims    bool

	watch *watch
	keys  func() []keyFact // those that are known
}

func explain(ctx context.Context, p *Program, args []string) (int, error) {
	e := explainer{watch: newWatch(p)}
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	e.register(flags)
	flags.Var(&e.aliases, "aliases", "further `identifiers` of the API, with commas (Config.AudienceAliases)")
	flags.Var(&e.scopeClaims, "scope-claims", "the `names` of the claims that have scopes, with commas (Config.ScopeClaims; default scope,scp)")
	flags.StringVar(&e.profile, "profile", "any", "the `name` of the profile: any or rfc9068 (Config.Profile)")
	flags.StringVar(&e.scope, "scope", "", "the `scopes` that the route needs, all of them, with spaces between")
	flags.StringVar(&e.file, "file", "", "the `file` that has the token (default standard input)")
	flags.StringVar(&e.keysFile, "jwks", "", "a `file` that has the issuer's key set: nobody is asked")
	flags.BoolVar(&e.noClaims, "no-claims", false, "leave out header and claims, for a report to others: what is told is what the checks say")
	if err := p.parse(flags, explainManual, args); err != nil {
		return 0, err
	}
	validator, err := e.validator(ctx)
	if err != nil {
		return 0, err
	}
	requirement, err := e.requirement()
	if err != nil {
		return 0, err
	}
	token, notes, err := readToken(ctx, p, e.file)
	if err != nil {
		return 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	x := e.explain(bounded, validator, requirement, token)
	x.Input = notes
	if ctx.Err() != nil {
		return 0, errInterrupted
	}
	if e.json {
		err = writeJSON(p.Stdout, x)
	} else {
		page := newPage(p)
		e.print(page, p.name(), x)
		err = page.flush(p.Stdout)
	}
	return map[verdict]int{accepted: exitGood, refused: exitBad, undecided: exitFailed}[x.Result], err
}

// validator returns the validator of an API with this configuration.
func (e *explainer) validator(ctx context.Context) (*claims.Validator, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	profile, err := profileNamed(e.profile)
	if err != nil {
		return nil, err
	}
	keys, err := e.source(ctx)
	if err != nil {
		return nil, err
	}
	config := e.config(keys)
	config.AudienceAliases, config.ScopeClaims, config.Profile = e.aliases, e.scopeClaims, profile
	validator, err := claims.NewValidator(config)
	if err != nil {
		return nil, misconfigured(err)
	}
	return validator, nil
}

// source returns where the keys come from, and has e.keys tell which they are.
func (e *explainer) source(ctx context.Context) (jwks.Source, error) {
	switch {
	case e.keysFile != "" && e.keysURL != "":
		return nil, usage("-jwks and -jwks-url are two places for the keys: give one")
	case e.keysFile != "":
		set, err := keysFrom(ctx, e.keysFile)
		if err != nil {
			return nil, err
		}
		e.keys = func() (facts []keyFact) {
			for _, key := range set.Keys {
				facts = append(facts, keyFact{key.ID(), key.Algorithm()})
			}
			return facts
		}
		return jwks.Static(set.Keys...), nil
	default:
		remote, err := e.remote(e.watch.client())
		if err != nil {
			return nil, misconfigured(err)
		}
		e.keys = func() (facts []keyFact) {
			for _, key := range remote.Status().Keys {
				facts = append(facts, keyFact{key.ID, key.Algorithm})
			}
			return facts
		}
		return remote, nil
	}
}

// requirement returns what the route asks for, nil where it is any access token.
func (e *explainer) requirement() (middleware.Requirement, error) {
	if e.scope == "" {
		return nil, nil
	}
	set, err := scope.Parse(e.scope)
	if err != nil {
		return nil, errScope
	}
	return middleware.Scopes(scope.All(slices.Collect(set.Values())...)), nil
}

// explain asks the library, and puts together what it says.
func (e *explainer) explain(ctx context.Context, validator *claims.Validator, requirement middleware.Requirement, token string) explanation {
	report := validator.Explain(ctx, token)
	x := explanation{
		Issuer: e.issuer, Audience: e.audience, Scope: e.scope,
		Keys: e.keys(), Clock: newClockFact(e.watch.seen()),
	}
	for _, c := range report.Checks {
		x.Checks = append(x.Checks, e.describe(c, report, x))
	}
	if requirement != nil {
		x.Checks = append(x.Checks, scopeCheck(requirement, report))
	}
	refusal, challenge := decide(ctx, report, requirement, token)
	if refusal == nil {
		x.Result = accepted
	} else {
		x.Result = refused
		x.Answer = &answer{Status: refusal.Status, Code: refusal.Code, Challenge: challenge}
		x.Reason, x.Hint = firstFailure(x.Checks)
		switch refusal.Code {
		case middleware.CodeUnavailable:
			x.Result = undecided
		case middleware.CodeInvalidRequest: // the validator of an API would not even see the token
			x.Reason, x.Hint = told(refusal.Err), "white space, or another character that no token has, is within it: give one token, all of it and nothing else; or this is no token at all"
		}
	}
	if !e.noClaims {
		x.Header, x.Claims = contents(token)
	}
	return x
}

// resultOf has this program's words for those of the library.
var resultOf = map[claims.Outcome]result{claims.Passed: ok, claims.Failed: failed, claims.NotReached: notReached}

// describe adds to a check of the library what this program knows besides: the
// clocks, and which keys there are.
func (e *explainer) describe(c claims.Check, report claims.Report, x explanation) finding {
	shown := finding{Name: c.Name, Result: resultOf[c.Outcome], Detail: c.Detail, Hint: c.Hint}
	switch {
	case c.Name == "time" && c.Outcome != claims.NotReached && x.Clock != nil:
		shown.Detail += "; " + x.Clock.skew.String()
		if x.Clock.skew.isToBlame(c.Err, report.UnverifiedClaims) {
			shown.Hint = "by the issuer's clock the token is good now: set the clock of this machine"
		}
	case c.Name == "time" && c.Outcome == claims.Failed && e.keysFile != "":
		shown.Detail += "; the clocks cannot be compared, since -jwks asks nobody"
	case errors.Is(c.Err, claims.ErrOpaque):
		shown.Hint += "; or this is no token at all"
	case errors.Is(c.Err, claims.ErrUnavailable):
		if errors.Is(c.Err, context.DeadlineExceeded) {
			shown.Detail += fmt.Sprintf("; no answer came within %s (-timeout)", plain.Duration(e.timeout))
		}
		if hint := likely(c.Err, e.issuer); hint != "" {
			shown.Hint += ": " + hint
		}
	case errors.Is(c.Err, jwks.ErrUnknownKey):
		shown.Detail += "; it has " + tellKeys(x.Keys)
		if e.keysFile != "" {
			shown.Hint += "; or the file of -jwks is too old"
		}
	}
	return shown
}

// isToBlame reports whether a token that is refused for its times would be good
// by the issuer's clock.
func (s skew) isToBlame(failure error, c *claims.Claims) bool {
	if s.agree() || c == nil || !errors.Is(failure, claims.ErrExpired) && !errors.Is(failure, claims.ErrNotYetValid) {
		return false
	}
	theirs := time.Now().Add(-s.ahead)
	return theirs.Before(c.Expiry) &&
		!theirs.Add(s.within).Before(c.IssuedAt) && !theirs.Add(s.within).Before(c.NotBefore)
}

// tellKeys lists keys, the first few of many.
func tellKeys(keys []keyFact) string {
	const most = 8
	var told []string
	for _, k := range keys[:min(len(keys), most)] {
		id, alg := "one without kid", k.Algorithm
		if k.ID != "" {
			id = strictjson.Excerpt(k.ID)
		}
		if alg == "" {
			alg = "any algorithm"
		}
		told = append(told, fmt.Sprintf("%s (%s)", id, alg))
	}
	if len(keys) > most {
		told = append(told, fmt.Sprintf("%d more", len(keys)-most))
	}
	if len(told) == 0 {
		return "no keys that can be used"
	}
	return strings.Join(told, ", ")
}

// decide has a guard of the library decide about a request with the token: what
// is told of the answer is the answer. The validator's part is what Explain has
// found, so that nobody is asked twice. A nil refusal means that the token is let
// in.
func decide(ctx context.Context, report claims.Report, requirement middleware.Requirement, token string) (refusal *middleware.Error, challenge string) {
	observe := func(_ context.Context, d middleware.Decision) { refusal = d.Refusal }
	guard := middleware.New(foregone(report), middleware.WithObserver(observe))
	protect := guard.Handler
	if requirement != nil {
		protect = guard.Require(requirement)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil { // a constant URL is a good one
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	w := headerOnly{}
	protect(http.NotFoundHandler()).ServeHTTP(w, request)
	return refusal, http.Header(w).Get("WWW-Authenticate")
}

// A foregone validator says what a report has said already.
type foregone claims.Report

// Validate implements [middleware.Validator].
func (f foregone) Validate(context.Context, string) (*claims.Claims, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	return f.UnverifiedClaims, nil
}

// headerOnly is an answer of which nothing but the header is wanted.
type headerOnly http.Header

func (w headerOnly) Header() http.Header         { return http.Header(w) }
func (w headerOnly) WriteHeader(int)             {}
func (w headerOnly) Write(b []byte) (int, error) { return len(b), nil }

// scopeCheck asks the requirement about what the token says, also where the token
// is refused for something else.
func scopeCheck(requirement middleware.Requirement, report claims.Report) finding {
	c := report.UnverifiedClaims
	if c == nil {
		return finding{Name: "scope", Result: notReached}
	}
	have := "no scope at all"
	if c.Scope.Len() > 0 {
		have = strictjson.Excerpt(c.Scope.String())
	}
	err := requirement.Check(nil, c)
	if err == nil {
		return finding{Name: "scope", Result: ok, Detail: "it has what the route needs: " + have}
	}
	if refusal, ok := errors.AsType[*middleware.Error](err); ok {
		err = refusal.Err
	}
	return finding{
		Name: "scope", Result: failed,
		Detail: fmt.Sprintf("%s; the token has %s", told(err), have),
		Hint:   "the client must ask for the scope, and the issuer must grant it; or the scopes stand in another claim (Config.ScopeClaims)",
	}
}

// contents returns the header and the claims of a token, nil where it cannot be
// read. The signature is not among them.
func contents(token string) (header, payload json.RawMessage) {
	if len(token) > claims.DefaultMaxTokenSize {
		return nil, nil
	}
	form, err := jws.Parse(token)
	if err != nil {
		return nil, nil
	}
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, nil
	}
	if object, err := strictjson.ParseObject(string(text)); err == nil {
		header = json.RawMessage(object.JSON())
	}
	if object, err := strictjson.ParseObject(form.Payload); err == nil {
		payload = json.RawMessage(object.JSON())
	}
	return header, payload
}

func writeJSON(w io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, safeJSON(text)+"\n")
	return err
}

// writeLine writes a value as one line of JSON.
func writeLine(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, safeJSON(text)+"\n")
	return err
}

// print writes an explanation for a person: the token, the checks, and last, where
// the eye is, the verdict. The program's name is that by which it is called.
func (e *explainer) print(g *page, program string, x explanation) {
	for _, note := range x.Input {
		g.paragraph("note: ", note)
	}
	if x.Header != nil {
		title := "WHAT THE TOKEN SAYS"
		if !x.signed() {
			title += " (its signature is not known to be good: anybody may have written it)"
		}
		g.heading(title)
		g.table(append(members("header", x.Header), members("claim", x.Claims)...))
	}
	g.checks(x.Checks)
	switch x.Result {
	case accepted:
		g.verdict(green, x.Result, ": the API lets this token in.", "", "")
		if x.Scope == "" {
			g.line("Whether it has the scope of a route was not asked; -scope asks.")
		}
	case refused:
		g.verdict(red, x.Result, fmt.Sprintf(": the API answers %d %s.", x.Answer.Status, x.Answer.Code), x.Reason, x.Hint)
	case undecided:
		g.verdict(yellow, x.Result, fmt.Sprintf(": the API answers %d, since the token cannot be checked now.", x.Answer.Status), x.Reason, x.Hint)
	}
	if all := named(failed, x.Checks); len(all) > 1 {
		g.paragraph("Further: ", strings.Join(all[1:], ", ")+" failed too: see above")
	}
	if x.Result == undecided {
		g.paragraph("Next:    ", program+" doctor, with the same -issuer and -audience, looks at the issuer")
	}
}

// signed reports whether the token's signature was found good.
func (x explanation) signed() bool {
	return slices.ContainsFunc(x.Checks, func(f finding) bool { return f.Name == "signature" && f.Result == ok })
}

// members returns a table of the members of an object. Those that are moments are
// told as such too.
func members(kind string, text json.RawMessage) []row {
	const most, longest = 60, 300
	object, err := strictjson.ParseObject(string(text))
	if err != nil {
		return nil
	}
	var rows []row
	for i, m := range object.Members() {
		if i == most {
			rows = append(rows, row{cells: []string{kind, "…", fmt.Sprintf("and %d more", len(object.Members())-most)}})
			break
		}
		value := safe(m.Value.JSON(), longest)
		if at, ok := moment(m); ok {
			value += "  " + at
		}
		rows = append(rows, row{cells: []string{kind, safe(m.Name, 60), value}})
	}
	return rows
}

// moment tells the moment that a claim is, and how far it is from now.
func moment(m strictjson.Member) (string, bool) {
	if !slices.Contains([]string{"exp", "nbf", "iat", "auth_time"}, m.Name) || m.Value.Kind() != strictjson.KindNumber {
		return "", false
	}
	seconds, err := strconv.ParseFloat(m.Value.JSON(), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return "", false
	}
	at := time.Unix(int64(seconds), 0).UTC()
	far := "now"
	if apart := time.Since(at).Round(time.Second); apart < 0 {
		far = "in " + plain.Duration(apart)
	} else if apart > 0 {
		far = plain.Duration(apart) + " ago"
	}
	return at.Format(time.RFC3339) + ", " + far, true
}
