package claims

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/internal/known"
	"github.com/bearerguard/bearerguard/internal/wiring"
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

	// AudienceAliases are further identifiers of this same API, such as the one
	// that it had before a move. One of them in "aud" is as good as Audience.
	AudienceAliases []string

	// Algorithms are those that the issuer signs access tokens with, of
	// jwks.Algorithms. Nil means RS256. A token's "alg" picks among them and
	// nothing else (RFC 8725 §3.1).
	Algorithms []string

	// Profile says how closely tokens must keep to a standard. The zero value is
	// [AnyProfile].
	Profile Profile

	// ScopeClaims are the names of the claims that have a token's scopes, each a
	// list in one string or an array of strings; all of them count. They are
	// claims of the token itself, not paths into one. Nil means "scope" and
	// "scp"; a list takes the place of these. With Auth0's RBAC permissions it is
	// {"scope", "permissions"}, with Entra ID's app roles {"scp", "roles"}.
	//
	// ID Tokens have roles too, and a bare one may not be recognised (see the
	// package doc): ask for roles only if no client has the API's identifier as
	// its ID, or with the profile [RFC9068].
	ScopeClaims []string

	// Leeway is how far the clocks of this machine and the issuer may be apart.
	// It is added to the life of a token at both ends. Zero means 30 seconds,
	// [NoLeeway] none; a millisecond is the least, ten minutes are the most.
	Leeway time.Duration

	// Check is asked last, about claims that are otherwise good: for rules of
	// one's own, such as a list of revoked token IDs. What it returns decides:
	// nil lets the token in. An error that wraps [ErrUnavailable],
	// jwks.ErrUnavailable or the end of a context means that it cannot say: 503.
	// Any other error refuses the token (401) and is wrapped beside [ErrRefused].
	// So wrap ErrUnavailable where your list cannot be reached.
	//
	// It is called on the request's goroutine, under no lock, and must not keep
	// or change the claims. Nil means that there is nothing more to check.
	Check func(context.Context, *Claims) error
}

// A Profile says how closely access tokens must keep to a standard.
type Profile int

const (
	// AnyProfile takes access tokens in the shapes that authorization servers
	// give them, whether or not they declare their type.
	AnyProfile Profile = iota

	// RFC9068 takes only tokens that keep to RFC 9068: they declare the type
	// at+jwt, and have sub, client_id, iat and jti. With it, no ID Token can be
	// taken for an access token, however bare it is. It is for authorization
	// servers that do so (Auth0: the API's token profile RFC 9068). Some declare
	// the type and leave out one of the claims; their tokens are refused.
	RFC9068
)

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

// WithIssuer trusts another issuer besides, with a Config of its own: its own
// audience, algorithms, scope claims and keys. It is for an API that moves from one
// authorization server to another, or takes tokens of several.
//
// Which Config counts is decided by the token's "iss" alone, compared as it is; the
// keys of one issuer never verify the token of another (RFC 8725 §3.8), and one that
// is slow or down does not touch the others' tokens. The same issuer twice is an
// error, and so is one Keys for two: two domains of one tenant, which sign with the
// same keys, get a source each.
//
// All else in a Config is this issuer's alone too, also Check and Profile: a list of
// revoked tokens that is to hold for all issuers must stand in each Config.
//
// What comes after holds across all of them, since each may say what it likes in its
// tokens. A scope opens a route whichever issuer grants it; so does a client's ID
// (middleware.Clients), a role, or an organization in a claim. And subjects are unique
// within an issuer only: whoever stores them must store Claims.Issuer too. For a route
// that takes fewer issuers there is middleware.Issuers. And metadata name all issuers
// beside the audience of the first Config, unless middleware.ResourceMetadata says
// otherwise.
func WithIssuer(config Config) Option {
	return Option{func(v *Validator) error { return v.trust(config) }}
}

// A Validator decides whether a token is an access token of a trusted issuer for
// this API. It is safe for concurrent use. Make one with [NewValidator]; the zero
// value can check nothing.
type Validator struct {
	issuers  map[string]*issuer // by issuer identifier
	owners   wiring.Owners
	audience string
	maxSize  int
	memory   *memory // nil: none

	inspections sync.Pool // each is large, and short-lived
}

// An issuer is a Config that has been checked.
type issuer struct {
	audiences   []string // the first is the API's identifier, the others are aliases
	keys        jwks.Source
	leeway      time.Duration
	algorithms  []string
	profile     Profile
	scopeClaims []string
	check       func(context.Context, *Claims) error
}

// NewValidator returns a validator. It does no I/O, so that an API starts while
// its authorization server is down; see [Validator.Warm].
//
// The error says which field is wrong and what to do.
func NewValidator(config Config, options ...Option) (*Validator, error) {
	v := &Validator{issuers: map[string]*issuer{}, owners: wiring.Owners{}, audience: config.Audience, maxSize: DefaultMaxTokenSize, memory: newMemory(DefaultMemorySize)}
	if err := v.trust(config); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
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

// trust adds an issuer.
func (v *Validator) trust(config Config) error {
	trusted, err := newIssuer(config)
	if err != nil {
		return err
	}
	if _, twice := v.issuers[config.Issuer]; twice {
		return fmt.Errorf("the issuer %q is configured twice: each has one Config", config.Issuer)
	}
	if err := v.owners.Add(trusted.keys, config.Issuer); err != nil {
		return err
	}
	v.issuers[config.Issuer] = trusted
	return nil
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
		audiences:   append([]string{config.Audience}, config.AudienceAliases...),
		keys:        config.Keys,
		leeway:      config.Leeway,
		profile:     config.Profile,
		scopeClaims: slices.Clone(config.ScopeClaims),
		check:       config.Check,
	}
	if config.ScopeClaims == nil {
		trusted.scopeClaims = []string{"scope", "scp"}
	}
	if err := trusted.complain(); err != nil {
		return nil, err
	}
	algorithms, err := wiring.Algorithms(config.Algorithms, jwks.Algorithms())
	if err != nil {
		return nil, err
	}
	trusted.algorithms = algorithms
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
	if err := wiring.CheckKeys(config.Keys, config.Issuer); err != nil {
		return nil, err
	}
	return trusted, nil
}

// complain returns an error for lists that cannot be meant.
func (i *issuer) complain() error {
	for _, alias := range i.audiences[1:] {
		if alias == "" || strings.TrimSpace(alias) != alias {
			return fmt.Errorf("Config.AudienceAliases has %q: an alias is another identifier of this API, exactly as in the aud of its tokens", alias)
		}
	}
	if len(i.scopeClaims) == 0 {
		return errors.New("Config.ScopeClaims is empty: leave it nil for scope and scp")
	}
	for _, name := range i.scopeClaims {
		if name == "" || strings.ContainsAny(name, " \t\r\n") {
			return fmt.Errorf("Config.ScopeClaims has %q, which is no claim's name: leave it nil for scope and scp", name)
		}
	}
	if i.profile != AnyProfile && i.profile != RFC9068 {
		return fmt.Errorf("Config.Profile is %d: it must be AnyProfile or RFC9068", i.profile)
	}
	return nil
}

// Issuers returns the identifiers of the trusted issuers, sorted.
func (v *Validator) Issuers() []string { return slices.Sorted(maps.Keys(v.issuers)) }

// Audience returns the identifier of this API: [Config].Audience as it was given
// to [NewValidator].
func (v *Validator) Audience() string { return v.audience }

// Warm fetches the keys now, unless they are fresh, for programs that want to be
// ready before their first request, or to stop where the issuer cannot be
// reached. It does so by the source's own method Warm(context.Context) error, as
// a [jwks.Remote] has one; another source needs no warming. The error wraps
// [ErrUnavailable] and says what came back.
//
// Call it at the start. Its error is no answer for a readiness probe: it fails
// while the issuer is down, although the last good keys still serve. See
// [Validator.Status].
func (v *Validator) Warm(ctx context.Context) error {
	names := v.Issuers()
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for n, name := range names { // side by side: none waits for one that is slow
		source, ok := v.issuers[name].keys.(interface{ Warm(context.Context) error })
		if !ok {
			continue
		}
		all.Go(func() {
			if err := source.Warm(ctx); err != nil {
				errs[n] = fmt.Errorf("%w: issuer %q: %w", ErrUnavailable, name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Status returns the status of the key source, for a readiness page, where it has
// one: a method Status() jwks.Status, as a [jwks.Remote] has. Pinned keys have none
// and are always ready. It never fetches.
//
// A Remote fetches only when it is asked for keys. So a probe that keeps requests
// away while the state is jwks.NotReady must call [Validator.Warm] then, or nothing
// ever will: see the example. jwks.Degraded is ready, since there are keys to serve
// from.
//
// Of several issuers, each has a status of its own. One that is not ready keeps only
// its own tokens out, so a probe that waits for all of them lets an outage of one
// stop the requests of the others.
func (v *Validator) Status() []jwks.Status {
	var all []jwks.Status
	for _, name := range v.Issuers() {
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
// issuer, algorithm, key, signature, kind of token, profile, claims' types,
// audience, time, binding, and the check of one's own. Nothing that the token says
// is believed before its signature is good, except the issuer, which picks the
// configuration. See [Validator.Explain] for all of them at once.
//
// How long it takes tells how far a token has come, and no secret: all that is
// compared with it are identifiers that the API's clients know, and public keys.
func (v *Validator) Validate(ctx context.Context, token string) (*Claims, error) {
	believed, err := v.believe(ctx, token)
	if believed.shared {
		return believed.claims.clone(), nil
	}
	return believed.claims, err
}

func init() {
	known.Validate = func(v any, ctx context.Context, token string) (any, bool, error) {
		believed, err := v.(*Validator).believe(ctx, token)
		return believed.claims, believed.known, err
	}
	known.HasSignOfMachine = func(c any) bool { return c.(*Claims).machineSign() != none }
}

// A belief is what a good token says.
type belief struct {
	claims *Claims
	shared bool // with other requests, as it may be: nobody may change the claims
	known  bool // the signature was verified for an earlier request
}

// believe is [Validator.Validate] without the copy.
func (v *Validator) believe(ctx context.Context, token string) (belief, error) {
	recalled, keys, err := v.recall(ctx, token)
	if err != nil || recalled.known {
		return recalled, err
	}
	i := v.inspect(token)
	defer v.release(i)
	i.keys = keys
	const last = len(steps) - 1
	for s := range last {
		if err := steps[s].run(&i.inspection, ctx); err != nil {
			return belief{}, err
		}
	}
	shared := i.issuer.check == nil
	if !shared { // the check might change them
		i.claims = i.entry.claims.clone()
	}
	if err := steps[last].run(&i.inspection, ctx); err != nil {
		return belief{}, err
	}
	v.memory.keep(&i.inspection)
	return belief{claims: i.claims, shared: shared}, nil
}

// A roomyInspection has the room that a token is taken apart in.
type roomyInspection struct {
	inspection
	own room
}

// inspect returns an inspection of the token, to be given back when it is over.
func (v *Validator) inspect(token string) *roomyInspection {
	i, ok := v.inspections.Get().(*roomyInspection)
	if !ok {
		i = new(roomyInspection)
	}
	i.validator, i.token, i.room = v, token, &i.own
	return i
}

// release gives an inspection back, with nothing in it that makes a token.
func (v *Validator) release(i *roomyInspection) {
	i.inspection = inspection{}
	i.own.form.Clear()
	clear(i.own.payload[:])
	v.inspections.Put(i)
}
