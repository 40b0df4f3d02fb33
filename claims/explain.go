package claims

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/internal/plain"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
)

// A Report tells how a token fared in every check.
type Report struct {
	// Checks has each check, in the order in which [Validator.Validate] runs
	// them.
	Checks []Check

	// Err is what Validate answers: the first failure, nil where the token is
	// good.
	Err error

	// UnverifiedClaims is what the token says, whoever wrote it and however it
	// has fared, for tools that show it; nil where it cannot be read. It opens
	// nothing: what may be believed is what Validate returns.
	UnverifiedClaims *Claims
}

// A Check is one line of a [Report].
type Check struct {
	// Name is what is checked, in a word: form, issuer, algorithm, key,
	// signature, kind, profile, claims, audience, time, binding, own check.
	Name string

	// Outcome says how it went.
	Outcome Outcome

	// Detail tells what was found, in plain words. Where the signature is not
	// good, that is what somebody has written.
	Detail string

	// Hint tells what the mistake is most often; empty where there is nothing to
	// tell.
	Hint string

	// Err is the failure, nil where there is none.
	Err error
}

// An Outcome is how a [Check] went.
type Outcome string

// The outcomes of a [Check].
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	NotReached Outcome = "not reached" // what it looks at is missing, because of an earlier failure
)

// Explain runs every check of [Validator.Validate] that can be run, through the
// same code, and reports on all of them: for logs and tools that tell a developer
// why a token is refused. It decides nothing: what it says after a failed
// signature is about a token that anyone may have written.
//
// Where the token is from another issuer, its claims are checked by this
// configuration all the same; where there are several (see [WithIssuer]), nothing says
// by which, and they are not. [Config].Check is asked only about a token that is
// otherwise good.
func (v *Validator) Explain(ctx context.Context, token string) Report {
	_, only := v.only()
	i := &inspection{validator: v, token: token, issuer: only, room: new(room)}
	var report Report
	for _, s := range steps {
		check := Check{Name: s.name, Outcome: NotReached}
		if s.needs(i) {
			check.Err = s.run(i, ctx)
			check.Outcome = Passed
			if check.Err == nil {
				check.Detail = s.passed(i)
			}
		}
		if check.Err != nil {
			check.Outcome = Failed
			check.Detail = strings.TrimPrefix(check.Err.Error(), "claims: ")
			check.Hint = i.hint(s.name, check.Err)
			if !i.failed {
				report.Err = check.Err
			}
			i.failed = true
		}
		report.Checks = append(report.Checks, check)
	}
	report.UnverifiedClaims = i.claims
	return report
}

// What steps need to have been filled in.

func always(*inspection) bool            { return true }
func (i *inspection) hasForm() bool      { return i.form.SigningInput != "" }
func (i *inspection) hasIssuer() bool    { return i.hasForm() && i.issuer != nil }
func (i *inspection) isTrusted() bool    { return i.trusted }
func (i *inspection) hasAlgorithm() bool { return i.algorithm }
func (i *inspection) hasKeys() bool      { return i.keys != nil }
func (i *inspection) hasClaims() bool    { return i.claims != nil }
func (i *inspection) isGood() bool       { return !i.failed }

// What steps tell of a token that has passed.

func (i *inspection) tellForm() string {
	return fmt.Sprintf("a JWS in compact form, %d bytes, typ %s", len(i.token), orNone(i.writtenType()))
}

// writtenType returns typ as the header has it, and not as it is compared: whoever
// looks for what is told must find it.
func (i *inspection) writtenType() string {
	encoded, _, _ := strings.Cut(i.token, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	header, err := strictjson.ParseObject(string(text))
	if err != nil {
		return ""
	}
	typ, _ := header.OptionalText("typ")
	return typ
}

func (i *inspection) tellIssuer() string {
	if _, only := i.validator.only(); only != nil {
		return "it is from the trusted issuer"
	}
	value, _ := i.payload.Lookup("iss")
	name, _ := value.Text() // one of those that were configured, so it is no stranger's text
	return fmt.Sprintf("it says that it is from %q, one of %d trusted issuers", name, len(i.validator.issuers))
}

func (i *inspection) tellAlgorithm() string { return i.form.Algorithm }

func (i *inspection) tellKeys() string {
	return fmt.Sprintf("kid %s fits %d of the issuer's keys", orNone(i.form.KeyID), len(i.keys))
}

func (i *inspection) tellKind() string {
	if i.form.Type == declaredType {
		return "it declares that it is an access token"
	}
	return "nothing in it says that it is not an access token"
}

func (i *inspection) tellClaims() string {
	return fmt.Sprintf("client %s, scope %s", orNone(i.claims.ClientID), orNone(i.claims.Scope.String()))
}

func (i *inspection) tellAudience() string { return "it is for this API" }

func (i *inspection) tellTimes() string {
	if i.now.After(i.claims.Expiry) {
		return fmt.Sprintf("it expired %s ago, within the leeway of %s", apart(i.now, i.claims.Expiry), plain.Duration(i.issuer.leeway))
	}
	return fmt.Sprintf("it is good for another %s", apart(i.claims.Expiry, i.now))
}

func (i *inspection) tellSignature() string {
	return "it was made with the issuer's key over this token"
}

func (i *inspection) tellProfile() string {
	if i.issuer.profile == AnyProfile {
		return "none is configured"
	}
	return "it keeps to RFC 9068"
}

func (i *inspection) tellBinding() string {
	return "it is bound to no key, so that its bearer may use it"
}

func (i *inspection) tellOwnCheck() string {
	if i.issuer.check == nil {
		return "none is configured"
	}
	return "it has nothing against the token"
}

// orNone quotes a text that may be missing.
func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return strictjson.Excerpt(text)
}

// hints has the likely mistake behind each refusal.
var hints = [...]struct {
	err  error
	hint string
}{
	{ErrOpaque, "the client has asked for no audience, so the issuer gave it a token for itself: ask for this API's"},
	{ErrEncrypted, "the client has asked for no audience, so the issuer gave it a token for itself: ask for this API's; or encryption is on for this API: turn it off"},
	{ErrIssuer, "compare Config.Issuer with the token's iss, to the last slash"},
	{ErrAlgorithm, "if the issuer really signs so, name the algorithm in Config.Algorithms"},
	{ErrUnknownKey, "the token is from another tenant or environment, or its key has been removed"},
	{ErrSignature, "the token was altered on the way, or made by somebody else"},
	{ErrIDToken, "the client has sent the ID Token: send the access token"},
	{ErrTokenType, "the client has sent a token that is for something else: send the access token"},
	{ErrAudience, "the client must ask for this API's audience; a client ID in aud means that it has asked for none, or sent an ID Token"},
	{ErrExpired, "the client must get a new token; if it has, look at the clocks"},
	{ErrNotYetValid, "the clocks of the issuer and this machine are apart"},
	{ErrBound, "the client has asked for a token that is bound to a key (DPoP or mutual TLS): ask for a bearer token"},
	{ErrMissingClaim, "the issuer must be set to the profile of RFC 9068, or Config.Profile must not ask for it"},
	{ErrUnavailable, "this is not about the token: look at the issuer"},
}

// hint returns the likely mistake behind the failure of a step.
func (i *inspection) hint(step string, failure error) string {
	switch {
	case step == ownCheck:
		return "" // of one's own check, nothing is known here
	case errors.Is(failure, ErrMalformed) && strings.ContainsAny(i.token, " \t\r\n\"'"):
		return "give the token alone: no Bearer, no quotes, no line break"
	case errors.Is(failure, ErrMalformed) && step == form && i.token != "":
		return "it was cut or altered on its way, or is something else: copy it again, all of it"
	case errors.Is(failure, ErrAlgorithm) && !slices.Contains(jwks.Algorithms(), i.form.Algorithm):
		return "this algorithm is never accepted: have the issuer sign with RS256"
	case errors.Is(failure, ErrIssuer) && i.issuerButForTheSlash():
		return "the slash at the end counts: write Config.Issuer exactly as the token's iss"
	case errors.Is(failure, ErrAudience) && i.hasClaims() && i.audienceButForTheSlash():
		return "the slash at the end counts: Config.Audience and what the client asks for must be the same"
	case errors.Is(failure, ErrAudience) && i.hasClaims() && i.claims.ClientID != "" && slices.Contains(i.claims.Audience, i.claims.ClientID):
		return "aud is the ID of the client: it has sent its ID Token, or asked for no audience; it must ask for this API's"
	case step == profile:
		failure = ErrMissingClaim
	}
	for _, h := range hints {
		if errors.Is(failure, h.err) {
			return h.hint
		}
	}
	return ""
}

// issuerButForTheSlash reports whether the token's issuer is a trusted one but
// for a slash at the end, the most common mistake of all.
func (i *inspection) issuerButForTheSlash() bool {
	value, _ := i.payload.Lookup("iss")
	name, _ := value.Text()
	for trusted := range i.validator.issuers {
		if sameButForTheSlash(name, trusted) {
			return true
		}
	}
	return false
}

// audienceButForTheSlash reports the same of the token's audiences.
func (i *inspection) audienceButForTheSlash() bool {
	return slices.ContainsFunc(i.claims.Audience, func(name string) bool {
		return slices.ContainsFunc(i.issuer.audiences, func(own string) bool { return sameButForTheSlash(name, own) })
	})
}

func sameButForTheSlash(a, b string) bool { return a+"/" == b || a == b+"/" }
