package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/internal/plain"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/internal/wiring"
	"github.com/bearerguard/bearerguard/jwks"
)

// A step is one check of a token.
type step struct {
	name string // for [Validator.Explain]
	run  func(*inspection, context.Context) error

	// Validate runs the steps one after the other, so that each may use what
	// those before it have filled in. Explain goes on after a failure, with the
	// steps that can: needs says what must have been filled in.
	needs func(*inspection) bool

	// passed tells what was found good, for Explain.
	passed func(*inspection) string
}

// steps has the checks in the order in which they run.
var steps = [...]step{
	{form, (*inspection).readForm, always, (*inspection).tellForm},
	{"issuer", (*inspection).findIssuer, (*inspection).hasForm, (*inspection).tellIssuer},
	{"algorithm", (*inspection).checkAlgorithm, (*inspection).isTrusted, (*inspection).tellAlgorithm},
	{"key", (*inspection).findKeys, (*inspection).hasAlgorithm, (*inspection).tellKeys},
	{"signature", (*inspection).checkSignature, (*inspection).hasKeys, (*inspection).tellSignature},
	{"kind", (*inspection).checkKind, (*inspection).hasForm, (*inspection).tellKind},
	{profile, (*inspection).checkProfile, (*inspection).hasIssuer, (*inspection).tellProfile},
	{"claims", (*inspection).readClaims, (*inspection).hasIssuer, (*inspection).tellClaims},
	{"audience", (*inspection).checkAudience, (*inspection).hasClaims, (*inspection).tellAudience},
	{"time", (*inspection).checkTimes, (*inspection).hasClaims, (*inspection).tellTimes},
	{"binding", (*inspection).checkBinding, (*inspection).hasForm, (*inspection).tellBinding},
	{ownCheck, (*inspection).ask, (*inspection).isGood, (*inspection).tellOwnCheck},
}

// Names of steps that Explain knows more about.
const (
	form     = "form"
	profile  = "profile"
	ownCheck = "own check"
)

// An inspection is one token on its way through the steps.
type inspection struct {
	validator *Validator
	token     string

	form      jws.Compact
	payload   strictjson.Object
	room      *room   // of form and payload
	issuer    *issuer // whose configuration is used …
	trusted   bool    // … and the token is from it
	algorithm bool    // its algorithm is accepted
	keys      []*jwks.Key
	key       *jwks.Key // the one that has made the signature, once that is known
	now       time.Time
	entry     *remembered // what was read of the token, to be remembered if it is good
	claims    *Claims     // of the entry, or a copy for a check of the user's own

	failed bool // a step has failed; Explain only
}

// A room is memory for what nobody needs once the token has been checked.
type room struct {
	form    jws.Room
	payload [16]strictjson.Member
}

// readForm takes the token apart. Its size is looked at first, since decoding
// costs by the byte.
func (i *inspection) readForm(context.Context) error {
	if i.validator.issuers == nil {
		return fmt.Errorf("%w: the validator is a zero value; make one with NewValidator", ErrUnavailable)
	}
	if size := len(i.token); size > i.validator.maxSize {
		most := i.validator.maxSize
		return &refusal{ErrTooLarge, words(func() string { return fmt.Sprintf("it has %d bytes, and %d are the most", size, most) })}
	}
	form, err := i.room.form.Parse(i.token)
	if err != nil {
		sentinel := ErrMalformed
		for _, e := range formErrors {
			if err == e.form {
				sentinel = e.sentinel
			}
		}
		return &refusal{sentinel, err}
	}
	if len(form.KeyID) > jwks.MaxIDLength {
		return fmt.Errorf("%w: its kid has %d bytes, and %d are the most", ErrMalformed, len(form.KeyID), jwks.MaxIDLength)
	}
	payload, err := strictjson.ParseObjectIn(i.room.payload[:], form.Payload)
	if err != nil {
		return fmt.Errorf("%w: its payload is %w", ErrMalformed, err)
	}
	i.form, i.payload = form, payload
	return nil
}

// findIssuer picks the trusted issuer that the token says it is from. That is
// all that is done with this unverified claim: it is a choice among what was
// configured, and no address to ask (RFC 8725 §3.8, §3.10).
func (i *inspection) findIssuer(context.Context) error {
	value, ok := i.payload.Lookup("iss")
	if !ok {
		return fmt.Errorf("%w: it names no issuer", ErrIssuer)
	}
	name, ok := value.Text()
	if !ok {
		return wrongType("iss", value, "a string")
	}
	trusted, ok := i.validator.issuers[name]
	if !ok {
		v := i.validator
		return &refusal{ErrIssuer, words(func() string { return "it says " + strictjson.Excerpt(name) + v.trustedInstead(name) })}
	}
	i.issuer, i.trusted = trusted, true
	return nil
}

// trustedInstead tells what is trusted instead of the issuer of that name, and of
// the most common mistake.
func (v *Validator) trustedInstead(name string) string {
	if how := wiring.BySlash(name, func(name string) bool { return v.issuers[name] != nil }); how != "" {
		return ", " + how
	}
	if trusted, only := v.only(); only != nil {
		return fmt.Sprintf(", and trusted is %q", trusted)
	}
	return ""
}

// only returns the trusted issuer where there is one and no other.
func (v *Validator) only() (name string, only *issuer) {
	if len(v.issuers) == 1 {
		for name, only = range v.issuers {
		}
	}
	return name, only
}

// checkAlgorithm leaves the choice of the algorithm to the configuration: a
// token that could choose would choose "none" (RFC 8725 §3.1).
func (i *inspection) checkAlgorithm(context.Context) error {
	says, accepted := i.form.Algorithm, i.issuer.algorithms
	if slices.Contains(accepted, says) {
		i.algorithm = true
		return nil
	}
	return &refusal{ErrAlgorithm, words(func() string {
		return fmt.Sprintf("it says %s; accepted: %s", strictjson.Excerpt(says), strings.Join(accepted, ", "))
	})}
}

// findKeys asks the issuer's source for the keys that may have signed, once: the
// source may have the request wait.
func (i *inspection) findKeys(ctx context.Context) error {
	if i.keys != nil {
		return nil // they were asked for since the token is remembered
	}
	if remote, ok := i.issuer.keys.(*jwks.Remote); ok { // which has nearly always nothing to do
		if keys, now := keysNow(remote, i.form.Algorithm, i.form.KeyID); len(keys) > 0 {
			i.keys, i.now = keys, now
			return nil
		}
	}
	keys, err := i.issuer.keys.Keys(ctx, i.form.Algorithm, i.form.KeyID)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey) && !errors.Is(err, jwks.ErrUnavailable):
		return &refusal{ErrUnknownKey, err}
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case len(keys) == 0:
		return fmt.Errorf("%w: the source of keys returned neither a key nor an error", ErrUnavailable)
	}
	i.keys = keys
	return nil
}

var keysNow = known.KeysNow.(func(*jwks.Remote, string, string) ([]*jwks.Key, time.Time))

// checkSignature is where the token starts to be believed.
func (i *inspection) checkSignature(context.Context) error {
	input := view(i.form.SigningInput)
	for _, key := range i.keys {
		// A key is used with exactly one algorithm (RFC 8725 §3.1), also where
		// somebody's own source forgot to look.
		if key != nil && key.Algorithm() == i.form.Algorithm && key.Verify(input, i.form.Signature) {
			i.key = key
			return nil
		}
	}
	return fmt.Errorf("%w: no key of the issuer that fits has made it", ErrSignature)
}

// checkKind keeps out what the issuer has signed for another purpose.
func (i *inspection) checkKind(context.Context) error {
	return checkKind(i.form.Type, &i.payload)
}

// checkProfile wants what the profile wants beyond a token that may be an access
// token (RFC 9068 §2.1, §2.2; iss, aud and exp are asked for in any case).
func (i *inspection) checkProfile(context.Context) error {
	if i.issuer.profile != RFC9068 {
		return nil
	}
	if i.form.Type != declaredType {
		return fmt.Errorf("%w: its typ is %s, and RFC 9068 wants at+jwt", ErrTokenType, orNone(i.writtenType()))
	}
	for _, name := range [...]string{"sub", "client_id", "jti"} {
		value, _ := i.payload.Lookup(name)
		if text, _ := value.Text(); strings.TrimSpace(text) == "" {
			return fmt.Errorf("%w: RFC 9068 wants %s", ErrMissingClaim, name)
		}
	}
	if !i.payload.Has("iat") { // its type is looked at with the others'
		return fmt.Errorf("%w: RFC 9068 wants iat", ErrMissingClaim)
	}
	return nil
}

// readClaims gives the registered claims their types. Explain comes here without a key,
// where the signature is not good.
func (i *inspection) readClaims(context.Context) error {
	r := &remembered{payload: payload{i.payload.Clone()}}
	r.claims.payload = &r.payload
	if err := r.claims.read(&r.payload.object, i.issuer.scopeClaims); err != nil {
		return err
	}
	if i.key != nil {
		r.claims.KeyID = i.key.ID()
	}
	i.entry, i.claims = r, &r.claims.Claims
	i.lookAtClock()
	return nil
}

// lookAtClock reads the time, unless findKeys has: after the wait for keys, if there was
// one.
func (i *inspection) lookAtClock() {
	if i.now.IsZero() {
		i.now = time.Now()
	}
}

// checkAudience wants this API's identifier among the token's audiences, code
// point by code point (RFC 7519 §7.3): a prefix or a slash more is another API.
func (i *inspection) checkAudience(context.Context) error {
	for _, identifier := range i.issuer.audiences {
		if slices.Contains(i.claims.Audience, identifier) {
			return nil
		}
	}
	switch audience, own := i.claims.Audience, i.issuer.audiences[0]; {
	case len(audience) == 0:
		hint := ""
		if i.payload.Has("token_use") {
			hint = " (with Cognito, by resource binding)"
		}
		return fmt.Errorf("%w: it has none: the client must ask for the audience %q%s", ErrAudience, own, hint)
	default:
		const most = 4
		found := make([]string, 0, most)
		for _, name := range audience[:min(len(audience), most)] {
			found = append(found, strictjson.Excerpt(name))
		}
		if len(audience) > most {
			found = append(found, fmt.Sprintf("and %d more", len(audience)-most))
		}
		return fmt.Errorf("%w: %s, and this API is %q", ErrAudience, strings.Join(found, ", "), own)
	}
}

// checkTimes wants now to be within the token's life, give or take the leeway.
func (i *inspection) checkTimes(context.Context) error {
	leeway := i.issuer.leeway
	ahead := i.now.Add(leeway)
	switch c := i.claims; {
	case c.Expiry.IsZero():
		return fmt.Errorf("%w: it does not say when (exp is missing)", ErrExpired)
	case !i.now.Before(c.Expiry.Add(leeway)): // strictly before (RFC 7519 §4.1.4)
		return fmt.Errorf("%w: %s ago, at %s", ErrExpired, apart(i.now, c.Expiry), moment(c.Expiry))
	case ahead.Before(c.NotBefore):
		return fmt.Errorf("%w: its time begins in %s, at %s", ErrNotYetValid, apart(i.now, c.NotBefore), moment(c.NotBefore))
	case ahead.Before(c.IssuedAt):
		return fmt.Errorf("%w: it says that it was issued in the future, in %s, at %s: a clock is wrong", ErrNotYetValid, apart(i.now, c.IssuedAt), moment(c.IssuedAt))
	}
	return nil
}

// apart writes how far two moments are apart.
func apart(a, b time.Time) string { return plain.Duration(a.Sub(b).Round(time.Second)) }

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkBinding refuses a token that only the holder of some key may use: as a
// bearer token, it comes from whoever has it (RFC 9449 §7.2).
func (i *inspection) checkBinding(context.Context) error {
	if i.payload.Has("cnf") {
		return ErrBound
	}
	return nil
}

// ask asks the user's own check, the last.
func (i *inspection) ask(ctx context.Context) error {
	if i.issuer.check == nil {
		return nil
	}
	err := i.issuer.check(ctx, i.claims)
	switch {
	case err == nil, errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, jwks.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
}
