package userinfo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/contextkey"
	"github.com/bearerguard/bearerguard/internal/discovery"
	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/internal/wiring"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/scope"
)

// openID is the scope without which an issuer tells nothing of a user.
const openID = "openid"

// Config says whom a [Client] asks. Issuer is required; every other field has a
// default.
type Config struct {
	// Issuer is the issuer identifier of the authorization server, as in
	// claims.Config: only its own tokens are sent to it. Where URL is empty, the
	// endpoint is found in its metadata, by discovery (OpenID Connect Discovery 1.0
	// §4, or else RFC 8414).
	Issuer string

	// URL is where the userinfo endpoint is, for issuers without discovery. Empty
	// means discovery from Issuer.
	URL string

	// Audience is the name of the userinfo endpoint among the audiences of a token;
	// one without it is refused before any call. Auth0 puts it there, by the
	// endpoint's URL, such as https://my-domain.auth0.com/userinfo; others do not.
	// Empty means that it is not asked for.
	Audience string

	// Client sends. Its transport and timeout are used; its cookies are not, since
	// one user's would go with another's token. A token follows no redirect. Nil
	// means a client of its own, with the proxy from the environment.
	Client *http.Client

	// Timeout bounds how long it takes to get one profile, discovery and body
	// included, and is not the request's own. Where as many calls are in flight as there
	// may be (256, and 16 of them about one user), it bounds how long it takes until
	// one may start, besides. Zero means 5 seconds.
	Timeout time.Duration

	// MaxAge is how long a profile is kept for further requests with the same token,
	// and not beyond the token's time. Where a guard lets a token in whose time is over
	// (claims.Config.Leeway), it is kept for 5 seconds. What has changed at the issuer
	// is seen that much later. Zero means a minute, [NoCache] that it is not kept.
	MaxAge time.Duration

	// MaxEntries is how many tokens' profiles are kept at the most. Each takes the text
	// of the answer, MaxSize bytes at the very most, once more what of it is written
	// with escapes, and about a kilobyte. The oldest go first. Zero means 1,000.
	MaxEntries int

	// MaxSize is how many bytes an answer may have, after decompression. Larger ones
	// are refused. Zero means 64 KiB.
	MaxSize int64

	// Keys has the keys with which signed answers (application/jwt) are verified.
	// Give the source of claims.Config.Keys, where there is one, so that keys are
	// fetched once. Two issuers cannot share one, as there. Nil means a [jwks.Remote] that finds them by discovery from
	// Issuer, and asks only if a signed answer comes.
	Keys jwks.Source

	// Algorithms are those that answers may be signed with, of jwks.Algorithms. Nil
	// means RS256.
	Algorithms []string

	// RequireSigned refuses answers that are not signed (application/json): for an issuer
	// with which userinfo_signed_response_alg is registered for every client. Without
	// it, TLS alone says whose answer it is, as OpenID Connect leaves it.
	RequireSigned bool

	// InsecureHTTP allows http to hosts other than this machine. Whoever is on the
	// way gets the tokens then, and can answer as he likes: it is for test networks.
	InsecureHTTP bool
}

// NoCache is the [Config.MaxAge] with which no answer is kept. Requests that wait
// for the same one at the same time share it nevertheless.
const NoCache time.Duration = -1

// An Option is a setting of [NewClient] that few programs need.
type Option struct{ apply func(*Client) error }

// WithIssuer has the client ask another issuer as well, about that one's own tokens:
// for an API whose validator has claims.WithIssuer. Each has its own endpoint, cache
// and keys, so that one that is slow or down does not touch the others. The same
// issuer twice is an error.
func WithIssuer(config Config) Option {
	return Option{func(c *Client) error { return c.know(config) }}
}

// A Client asks issuers about their users. It is safe for concurrent use, starts no
// goroutine but those of requests to an issuer, and there is nothing to close. Make
// one for all requests, with [NewClient].
type Client struct {
	issuers map[string]*provider // by issuer identifier
	owners  wiring.Owners
}

// NewClient returns a client for the userinfo endpoint of an issuer. It does no I/O,
// so that an API starts while its authorization server is down.
//
// The error says which field is wrong and what to do.
func NewClient(config Config, options ...Option) (*Client, error) {
	c := &Client{issuers: map[string]*provider{}, owners: wiring.Owners{}}
	if err := c.know(config); err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	for _, option := range options {
		if option.apply == nil {
			continue // the zero Option sets nothing
		}
		if err := option.apply(c); err != nil {
			return nil, fmt.Errorf("userinfo: %w", err)
		}
	}
	return c, nil
}

// know adds an issuer.
func (c *Client) know(config Config) error {
	if err := config.complete(); err != nil {
		return err
	}
	if c.issuers[config.Issuer] != nil {
		return fmt.Errorf("the issuer %q is configured twice: each has one Config", config.Issuer)
	}
	if config.Keys != nil {
		if err := c.owners.Add(config.Keys, config.Issuer); err != nil {
			return err
		}
	}
	c.issuers[config.Issuer] = newProvider(config)
	return nil
}

// complete checks a Config and fills in the defaults.
func (c *Config) complete() error {
	switch {
	case c.Issuer == "":
		return errors.New("Config.Issuer is empty: set it to the issuer identifier of your authorization server, as in claims.Config, such as https://my-domain.auth0.com/")
	case strings.TrimSpace(c.Issuer) != c.Issuer:
		return fmt.Errorf("Config.Issuer %q has white space around it: take it off", c.Issuer)
	case strings.TrimSpace(c.Audience) != c.Audience:
		return fmt.Errorf("Config.Audience %q has white space around it: take it off", c.Audience)
	case c.URL != "":
		if err := checkURL(c.URL, c.InsecureHTTP, fetch.CheckURL); err != nil {
			return fmt.Errorf("Config.URL: %w", err)
		}
	default:
		if err := checkURL(c.Issuer, c.InsecureHTTP, discovery.CheckIssuer); err != nil {
			return fmt.Errorf("Config.Issuer: %w", err)
		}
	}
	for _, err := range []error{
		wiring.OrDefault("Timeout", &c.Timeout, 5*time.Second),
		wiring.OrDefault("MaxEntries", &c.MaxEntries, 1000),
		wiring.OrDefault("MaxSize", &c.MaxSize, 64<<10),
	} {
		if err != nil {
			return err
		}
	}
	if c.MaxAge == NoCache {
		c.MaxAge = 0
	} else if err := wiring.OrDefault("MaxAge", &c.MaxAge, time.Minute); err != nil {
		return fmt.Errorf("%w; NoCache keeps nothing", err)
	}
	return c.completeKeys()
}

// completeKeys sees to it that signed answers can be verified, where that is
// possible.
func (c *Config) completeKeys() error {
	algorithms, err := wiring.Algorithms(c.Algorithms, jwks.Algorithms())
	if err != nil {
		return err
	}
	c.Algorithms = algorithms
	if c.Keys == nil {
		if err := discovery.CheckIssuer(c.Issuer, c.InsecureHTTP); err != nil {
			if c.RequireSigned {
				return fmt.Errorf("Config.RequireSigned without Config.Keys, which Config.Issuer does not lead to: %w", err)
			}
			return nil // there is a URL, and nowhere to find keys: signed answers are refused
		}
		remote, err := jwks.NewRemote(jwks.Config{Issuer: c.Issuer, Client: withoutCookies(c.Client), InsecureHTTP: c.InsecureHTTP})
		if err != nil {
			return err
		}
		c.Keys = remote
		return nil
	}
	return wiring.CheckKeys(c.Keys, c.Issuer)
}

// checkURL is check, with a word of this package's own for http: here it is tokens
// that are sent.
func checkURL(url string, insecureHTTP bool, check func(string, bool) error) error {
	err := check(url, insecureHTTP)
	if err != nil && check(url, true) == nil {
		return fmt.Errorf("%s is http, and whoever is on the way would get the tokens: use https, or, in a test network, Config.InsecureHTTP", strictjson.Excerpt(url))
	}
	return err
}

// Profile returns what the issuer says of the user whose access token a request
// came with. ctx is the request's context, in a handler or a requirement behind a
// guard of package middleware: it has the token and its claims. The claims that count
// are those that the guard has verified, whatever the handler has done to its copy of
// them: they say whose token it is, and so where it may be sent. Claims that somebody
// else has put there send nothing, and where they have been taken away, neither.
//
// The answer is the caller's own. It comes from the issuer, or from what the issuer
// has said a short while ago ([Config.MaxAge]). Requests with the same token that
// wait at the same time share one call, which is bounded by [Config.Timeout] and
// goes on if ctx ends.
//
// The error wraps one of this package's sentinels. Nothing is sent to anybody for
// [ErrNoToken], [ErrIssuer], [ErrNoUser], [ErrScope] and [ErrAudience]. Where the
// issuer is to blame it wraps claims.ErrUnavailable besides, and may have a method
//
//	RetryAfter() time.Duration
//
// for errors.As to find: how long the issuer asks to be left alone. Neither the
// token nor what the issuer has said of the user is in an error.
func (c *Client) Profile(ctx context.Context) (*Profile, error) {
	q, asks, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	return asks.profile(ctx, q)
}

// A question is asked about the user of one token.
type question struct {
	token    string
	subject  string
	clientID string
	expiry   time.Time
}

// admit returns what is to be asked and whom, or why the token is not to be sent. It
// goes by what the guard believes: the handler's own copy of the claims may have been
// changed, and would send the token to another issuer.
func (c *Client) admit(ctx context.Context) (question, *provider, error) {
	token, hasToken := middleware.TokenFromContext(ctx)
	who, _ := ctx.Value(contextkey.Believed{}).(*claims.Claims)
	if _, has := claims.FromContext(ctx); !hasToken || !has || who == nil {
		return question{}, nil, ErrNoToken
	}
	p := c.issuers[who.Issuer]
	switch {
	case p == nil:
		return question{}, nil, fmt.Errorf("%w: %s, %s", ErrIssuer, strictjson.Excerpt(who.Issuer), c.asksInstead(who.Issuer))
	case who.SubjectKind() == claims.MachineSubject:
		return question{}, nil, fmt.Errorf("%w: it is a machine's", ErrNoUser)
	case who.Subject == "":
		return question{}, nil, fmt.Errorf("%w: it has no sub", ErrNoUser)
	case !hasOpenID(who):
		return question{}, nil, lacksScope(ErrScope)
	case p.audience != "" && !slices.Contains(who.Audience, p.audience):
		return question{}, nil, fmt.Errorf("%w: its audience lacks %q", ErrAudience, p.audience)
	}
	return question{token, who.Subject, who.ClientID, who.Expiry}, p, nil
}

// asksInstead tells what is wrong where nobody is asked about the tokens of an issuer.
func (c *Client) asksInstead(issuer string) string {
	if how := wiring.BySlash(issuer, func(name string) bool { return c.issuers[name] != nil }); how != "" {
		return how + ": write Config.Issuer exactly as the token's iss"
	}
	return "for which the client has no Config: give it one, by WithIssuer"
}

// hasOpenID reports whether the token has the scope openid: among what the API takes
// for its permissions, or where tokens have their scopes otherwise. With
// claims.Config.ScopeClaims an API may look elsewhere, which is nothing to the
// issuer.
func hasOpenID(c *claims.Claims) bool {
	if c.Scope.Contains(openID) {
		return true
	}
	token, err := claims.As[struct {
		Scope any `json:"scope"`
		SCP   any `json:"scp"`
	}](c)
	if err != nil {
		return false
	}
	for _, claim := range [...]any{token.Scope, token.SCP} {
		switch claim := claim.(type) {
		case string:
			if scope.FromToken(claim).Contains(openID) {
				return true
			}
		case []any:
			if slices.Contains(claim, any(openID)) {
				return true
			}
		}
	}
	return false
}
