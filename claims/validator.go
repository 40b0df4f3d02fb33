package claims

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
)

// Config says whose tokens are believed, and for which API. Issuer and Audience
// are required: there is no way to skip either check.
type Config struct {
	// Issuer is the issuer identifier of the authorization server. It is
	// compared with the token's "iss" as it is, to the last slash (RFC 8725
	// §3.8).
	Issuer string

	// Audience is the identifier of this API. The token's "aud" must contain it
	// as it is (RFC 9068 §4). It is not the ID of the client that calls the API:
	// that is the audience of ID Tokens. (In tokens of Entra ID v2.0 it is the
	// application ID of the API's own registration.)
	Audience string

	// Keys has the issuer's keys. Nil means a [jwks.Remote] that finds them by
	// discovery from Issuer, which then must be an https URL (or loopback). Give
	// one of your own for keys at another address, for pinned keys, for a client
	// with a proxy or root CAs, or for http in a test network.
	Keys jwks.Source

	// Leeway is how far the clocks of this machine and the issuer may be apart.
	// It is added to the life of a token at both ends. Zero means 30 seconds,
	// [NoLeeway] none; a millisecond is the least, ten minutes are the most.
	Leeway time.Duration
}

const (
	// NoLeeway is the [Config.Leeway] that gives none.
	NoLeeway time.Duration = -1

	// DefaultMaxTokenSize is how many bytes a token may have: 32 KiB. See
	// [WithMaxTokenSize].
	DefaultMaxTokenSize = 32 << 10

	defaultLeeway = 30 * time.Second
	maxLeeway     = 10 * time.Minute
)

// An Option is a setting of [NewValidator] that few programs need.
type Option struct{ apply func(*Validator) error }

// WithMaxTokenSize bounds the bytes of a token, in place of
// [DefaultMaxTokenSize]. Larger tokens are refused before anything in them is
// looked at.
func WithMaxTokenSize(bytes int) Option {
	return Option{func(v *Validator) error {
		if bytes <= 0 {
			return fmt.Errorf("WithMaxTokenSize(%d): a token needs more room than that", bytes)
		}
		v.maxSize = bytes
		return nil
	}}
}

// A Validator decides whether a token is an access token of a trusted issuer for
// this API. It is safe for concurrent use. Make one with [NewValidator]; the zero
// value can check nothing.
type Validator struct {
	issuers map[string]*issuer // by issuer identifier
	maxSize int
}

// An issuer is a Config that has been checked.
type issuer struct {
	audience   string
	keys       jwks.Source
	leeway     time.Duration
	algorithms []string
}

// NewValidator returns a validator. It does no I/O, so that an API starts while
// its authorization server is down; see [Validator.Warm].
//
// The error says which field is wrong and what to do.
func NewValidator(config Config, options ...Option) (*Validator, error) {
	v := &Validator{issuers: map[string]*issuer{}, maxSize: DefaultMaxTokenSize}
	trusted, err := newIssuer(config)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	v.issuers[config.Issuer] = trusted
	for _, option := range options {
		if option.apply == nil {
			continue // the zero Option sets nothing
		}
		if err := option.apply(v); err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
	}
	return v, nil
}

// newIssuer checks a Config.
func newIssuer(config Config) (*issuer, error) {
	switch {
	case config.Issuer == "":
		return nil, errors.New("Config.Issuer is empty: set it to the issuer identifier of your authorization server, exactly as in the iss of its tokens, such as https://my-domain.auth0.com/")
	case strings.TrimSpace(config.Issuer) != config.Issuer:
		return nil, fmt.Errorf("Config.Issuer %q has white space around it: take it off", config.Issuer)
	case config.Audience == "":
		return nil, errors.New("Config.Audience is empty: set it to the identifier of this API, exactly as in the aud of its access tokens, such as https://example.com/health-api")
	case strings.TrimSpace(config.Audience) != config.Audience:
		return nil, fmt.Errorf("Config.Audience %q has white space around it: take it off", config.Audience)
	case config.Leeway < 0 && config.Leeway != NoLeeway:
		return nil, fmt.Errorf("Config.Leeway is %v: use NoLeeway for none", config.Leeway)
	case 0 < config.Leeway && config.Leeway < time.Millisecond:
		return nil, fmt.Errorf("Config.Leeway is %v: a Duration counts nanoseconds; write 30 * time.Second", config.Leeway)
	case config.Leeway > maxLeeway:
		return nil, fmt.Errorf("Config.Leeway is %v, and %v are the most: set the clocks instead", config.Leeway, maxLeeway)
	}
	trusted := &issuer{
		audience:   config.Audience,
		keys:       config.Keys,
		leeway:     config.Leeway,
		algorithms: []string{"RS256"},
	}
	switch config.Leeway {
	case 0:
		trusted.leeway = defaultLeeway
	case NoLeeway:
		trusted.leeway = 0
	}
	if config.Keys == nil {
		remote, err := jwks.NewRemote(jwks.Config{Issuer: config.Issuer})
		if err != nil {
			return nil, err
		}
		trusted.keys = remote
		return trusted, nil
	}
	if value := reflect.ValueOf(config.Keys); (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil() {
		return nil, fmt.Errorf("Config.Keys is a nil %T: look at the error of the function that made it", config.Keys)
	}
	if owned, ok := config.Keys.(interface{ Issuer() string }); ok {
		if owner := owned.Issuer(); owner != "" && owner != config.Issuer {
			return nil, fmt.Errorf("Config.Keys has the keys of the issuer %q, and Config.Issuer is %q: they must be the same", owner, config.Issuer)
		}
	}
	return trusted, nil
}

// Warm fetches the keys now, unless they are fresh, for programs that want to be
// ready before their first request, or to stop where the issuer cannot be
// reached. It does so by the source's own method Warm(context.Context) error, as
// a [jwks.Remote] has one; another source needs no warming. The error wraps
// [ErrUnavailable] and says what came back.
//
// Call it once, at the start. It is not for a readiness probe: it fails while
// the issuer is down, although the last good keys still serve. See
// [Validator.Status].
func (v *Validator) Warm(ctx context.Context) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(v.issuers)) {
		source, ok := v.issuers[name].keys.(interface{ Warm(context.Context) error })
		if !ok {
			continue
		}
		if err := source.Warm(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%w: issuer %q: %w", ErrUnavailable, name, err))
		}
	}
	return errors.Join(errs...)
}

// Status tells what the key sources know, for a readiness page: of those with a
// method Status() jwks.Status, as a [jwks.Remote] has. It never fetches.
func (v *Validator) Status() []jwks.Status {
	var all []jwks.Status
	for _, name := range slices.Sorted(maps.Keys(v.issuers)) {
		if source, ok := v.issuers[name].keys.(interface{ Status() jwks.Status }); ok {
			all = append(all, source.Status())
		}
	}
	return all
}

// Validate returns the claims of a token, or why it is refused: the error wraps
// one of this package's sentinels, and its text tells what was expected and what
// was found, for logs and not for the client.
//
// The checks run in this order, and the first failure is the answer: form,
// issuer, algorithm, key, signature, kind of token, claims' types, audience,
// time, binding. Nothing that the token says is believed before its signature is
// good, except the issuer, which picks among the configured ones.
func (v *Validator) Validate(ctx context.Context, token string) (*Claims, error) {
	i := inspection{validator: v, token: token}
	for _, step := range steps {
		if err := step(&i, ctx); err != nil {
			return nil, err
		}
	}
	return i.claims, nil
}

// An inspection is one token on its way through the steps. Each step may use
// what those before it have filled in.
type inspection struct {
	validator *Validator
	token     string

	form    jws.Compact
	payload strictjson.Object
	name    string  // of the issuer
	issuer  *issuer // the trusted one of that name
	keys    []*jwks.Key
	now     time.Time
	claims  *Claims
}

// steps has the checks in the order in which they run.
var steps = []func(*inspection, context.Context) error{
	(*inspection).readForm,
	(*inspection).findIssuer,
	(*inspection).checkAlgorithm,
	(*inspection).findKeys,
	(*inspection).checkSignature,
	(*inspection).checkKind,
	(*inspection).readClaims,
	(*inspection).checkAudience,
	(*inspection).checkTimes,
	(*inspection).checkBinding,
}

// readForm takes the token apart. Its size is looked at first, since decoding
// costs by the byte.
func (i *inspection) readForm(context.Context) error {
	if i.validator.issuers == nil {
		return fmt.Errorf("%w: the validator is a zero value; make one with NewValidator", ErrUnavailable)
	}
	if size := len(i.token); size > i.validator.maxSize {
		return fmt.Errorf("%w: it has %d bytes, and %d are the most", ErrTooLarge, size, i.validator.maxSize)
	}
	form, err := jws.Parse(i.token)
	if err != nil {
		sentinel := ErrMalformed
		for _, e := range formErrors {
			if errors.Is(err, e.form) {
				sentinel = e.sentinel
			}
		}
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	if len(form.KeyID) > jwks.MaxIDLength {
		return fmt.Errorf("%w: its kid has %d bytes, and %d are the most", ErrMalformed, len(form.KeyID), jwks.MaxIDLength)
	}
	payload, err := strictjson.ParseObject(form.Payload)
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
		return fmt.Errorf("%w: it says %s%s", ErrIssuer, strictjson.Excerpt(name), i.validator.trustedInstead(name))
	}
	i.name, i.issuer = name, trusted
	return nil
}

// trustedInstead tells what is trusted instead of the issuer of that name, and of
// the most common mistake.
func (v *Validator) trustedInstead(name string) string {
	if _, ok := v.issuers[name+"/"]; ok {
		return ", which lacks the slash at the end of the configured one"
	}
	if without, had := strings.CutSuffix(name, "/"); had && v.issuers[without] != nil {
		return ", which has a slash at the end that the configured one lacks"
	}
	if len(v.issuers) == 1 {
		for trusted := range v.issuers {
			return fmt.Sprintf(", and trusted is %q", trusted)
		}
	}
	return ""
}

// checkAlgorithm leaves the choice of the algorithm to the configuration: a
// token that could choose would choose "none" (RFC 8725 §3.1).
func (i *inspection) checkAlgorithm(context.Context) error {
	if slices.Contains(i.issuer.algorithms, i.form.Algorithm) {
		return nil
	}
	return fmt.Errorf("%w: it says %s, and accepted is %s",
		ErrAlgorithm, strictjson.Excerpt(i.form.Algorithm), strings.Join(i.issuer.algorithms, ", "))
}

// findKeys asks the issuer's source for the keys that may have signed.
func (i *inspection) findKeys(ctx context.Context) error {
	keys, err := i.issuer.keys.Keys(ctx, i.form.Algorithm, i.form.KeyID)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey) && !errors.Is(err, jwks.ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnknownKey, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case len(keys) == 0:
		return fmt.Errorf("%w: the source of keys returned neither a key nor an error", ErrUnavailable)
	}
	i.keys = keys
	return nil
}

// checkSignature is where the token starts to be believed.
func (i *inspection) checkSignature(context.Context) error {
	input := []byte(i.form.SigningInput)
	for _, key := range i.keys {
		// A key is used with exactly one algorithm (RFC 8725 §3.1), also where
		// somebody's own source forgot to look.
		if key != nil && key.Algorithm() == i.form.Algorithm && key.Verify(input, i.form.Signature) {
			return nil
		}
	}
	return fmt.Errorf("%w: no key of the issuer that fits has made it", ErrSignature)
}

// checkKind keeps out what the issuer has signed for another purpose.
func (i *inspection) checkKind(context.Context) error {
	return checkKind(i.form.Type, i.payload)
}

// readClaims gives the registered claims their types. Time is read here, after
// the wait for keys.
func (i *inspection) readClaims(context.Context) error {
	c, err := newClaims(i.payload)
	if err != nil {
		return err
	}
	i.claims, i.now = c, time.Now()
	return nil
}

// checkAudience wants this API's identifier among the token's audiences, code
// point by code point (RFC 7519 §7.3): a prefix or a slash more is another API.
func (i *inspection) checkAudience(context.Context) error {
	switch audience := i.claims.Audience; {
	case slices.Contains(audience, i.issuer.audience):
		return nil
	case len(audience) == 0:
		hint := ""
		if i.payload.Has("token_use") {
			hint = " (with Cognito, by resource binding)"
		}
		return fmt.Errorf("%w: it has none: the client must ask for the audience %q%s", ErrAudience, i.issuer.audience, hint)
	default:
		const most = 4
		found := make([]string, 0, most)
		for _, name := range audience[:min(len(audience), most)] {
			found = append(found, strictjson.Excerpt(name))
		}
		if len(audience) > most {
			found = append(found, fmt.Sprintf("and %d more", len(audience)-most))
		}
		return fmt.Errorf("%w: %s, and this API is %q", ErrAudience, strings.Join(found, ", "), i.issuer.audience)
	}
}

// checkTimes wants now to be within the token's life, give or take the leeway.
func (i *inspection) checkTimes(context.Context) error {
	leeway := i.issuer.leeway
	switch c := i.claims; {
	case c.Expiry.IsZero():
		return fmt.Errorf("%w: it does not say when (exp is missing)", ErrExpired)
	case !i.now.Before(c.Expiry.Add(leeway)): // strictly before (RFC 7519 §4.1.4)
		return fmt.Errorf("%w: at %s, %s ago", ErrExpired, c.Expiry.UTC().Format(time.RFC3339), i.now.Sub(c.Expiry).Round(time.Second))
	case i.now.Add(leeway).Before(c.NotBefore):
		return fmt.Errorf("%w: not before %s, in %s", ErrNotYetValid, c.NotBefore.UTC().Format(time.RFC3339), c.NotBefore.Sub(i.now).Round(time.Second))
	case i.now.Add(leeway).Before(c.IssuedAt):
		return fmt.Errorf("%w: it was issued at %s, in %s: a clock is wrong", ErrNotYetValid, c.IssuedAt.UTC().Format(time.RFC3339), c.IssuedAt.Sub(i.now).Round(time.Second))
	}
	return nil
}

// checkBinding refuses a token that only the holder of some key may use: as a
// bearer token, it comes from whoever has it (RFC 9449 §7.2).
func (i *inspection) checkBinding(context.Context) error {
	if i.payload.Has("cnf") {
		return ErrBound
	}
	return nil
}
