package authtest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/internal/fakeissuer"
	"github.com/bearerguard/bearerguard/jwks"
)

// The user and the client that tokens speak of where no option says otherwise.
const (
	DefaultSubject  = "user-1"
	DefaultClientID = "client-1"
)

// An Issuer is a fake authorization server with keys of its own. It is safe for
// concurrent use.
type Issuer struct {
	core   *fakeissuer.Issuer
	client *http.Client                     // reaches the issuer
	fail   func(format string, args ...any) // tells of a mistake of the caller's; does not return
	helper func()                           // has that point to the caller
	server *http.Server                     // nil in memory

	mu       sync.Mutex
	audience string // of the first configuration
}

// issuerCount numbers the issuers in memory, so that each has a name of its own.
var issuerCount atomic.Int64

// NewIssuer returns an issuer in memory, for one test. When the test ends, what
// is under way is released and awaited, so that nothing is left running, and the
// issuer signs no more.
//
// A test with a testing/synctest bubble makes it inside the bubble: one from outside
// waits by the clock of the machine, and what hangs keeps the bubble from ending.
func NewIssuer(tb testing.TB) *Issuer {
	tb.Helper()
	url := fmt.Sprintf("https://issuer-%d.test/", issuerCount.Add(1))
	issuer := newIssuer(url, func(format string, args ...any) {
		tb.Helper()
		tb.Fatalf(format, args...)
	})
	issuer.helper = tb.Helper
	issuer.client = issuer.core.Client()
	tb.Cleanup(issuer.core.Close)
	return issuer
}

// Start returns an issuer that listens on a socket, for programs: examples,
// demonstrations, development in another language. The address is host:port on
// this machine, such as "127.0.0.1:0" for any free port; another host is an
// error, since whoever can reach the issuer can have tokens. Call
// [Issuer.Close] when it is not needed any more.
//
// Its methods panic on a caller's mistake that an issuer of [NewIssuer] would
// fail the test for.
func Start(addr string) (*Issuer, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("authtest: the address %q is not host:port, such as 127.0.0.1:0", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("authtest: the address %q is not of this machine only: use 127.0.0.1", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("authtest: %w", err)
	}
	issuer := newIssuer("http://"+listener.Addr().String()+"/", func(format string, args ...any) {
		panic(fmt.Sprintf(format, args...))
	})
	issuer.client = http.DefaultClient
	issuer.server = &http.Server{
		Handler:           onlyTo(listener.Addr().String(), issuer.core),
		ReadHeaderTimeout: 5 * time.Second,
	}
	go issuer.server.Serve(listener) // ends with Close
	return issuer, nil
}

// onlyTo refuses requests that name another host: a page in a browser can have
// its own name point to this machine, and would get tokens.
func onlyTo(host string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "this issuer is known as "+host, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func newIssuer(url string, fail func(string, ...any)) *Issuer {
	issuer := &Issuer{core: fakeissuer.New(url), fail: fail, helper: func() {}}
	issuer.AddUser(DefaultSubject, map[string]any{
		"name":           "Ada Example",
		"email":          "ada@example.com",
		"email_verified": true,
	})
	return issuer
}

// Close stops an issuer of [Start]: requests that hang are released, all are
// awaited. An issuer of [NewIssuer] is closed by its test.
func (i *Issuer) Close() error {
	var err error
	if i.server != nil {
		err = i.server.Close()
	}
	i.core.Close()
	return err
}

// URL returns the issuer identifier, the "iss" of the tokens.
func (i *Issuer) URL() string { return i.core.URL() }

// HTTPClient returns an HTTP client that reaches the issuer; for one in memory,
// nothing else does. With it, a test can make a source of keys or a validator of
// its own:
//
//	keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer.URL(), Client: issuer.HTTPClient()})
//	validator, err := claims.NewValidator(claims.Config{Issuer: issuer.URL(), Audience: audience, Keys: keys})
func (i *Issuer) HTTPClient() *http.Client { return i.client }

// KeySetURL returns where the key set is, for tests of pinned keys.
func (i *Issuer) KeySetURL() string { return i.core.KeySetURL() }

// Config returns the configuration of a validator for the issuer's access tokens
// with that audience. It finds the keys by discovery, as in production. It is for
// APIs that set more than these: change it as production does, and give it to
// claims.NewValidator.
//
//	config := issuer.Config("https://example.com/health-api")
//	config.Profile = claims.RFC9068
//	validator, err := claims.NewValidator(config)
//
// The audience of the first call is that of tokens which do not say otherwise.
func (i *Issuer) Config(audience string) claims.Config {
	i.helper()
	keys, err := jwks.NewRemote(jwks.Config{Issuer: i.URL(), Client: i.client})
	if err != nil {
		i.fail("authtest: %v", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.audience == "" {
		i.audience = audience
	}
	return claims.Config{Issuer: i.URL(), Audience: audience, Keys: keys}
}

// Validator returns a validator of [Issuer.Config], for APIs that need no more
// than the issuer and the audience.
func (i *Issuer) Validator(audience string, options ...claims.Option) *claims.Validator {
	i.helper()
	v, err := claims.NewValidator(i.Config(audience), options...)
	if err != nil {
		i.fail("authtest: %v", err)
	}
	return v
}

// Token returns a signed access token in the shape of RFC 9068, good for an hour
// and without scopes, except for what the options say. Its audience is that of
// the first call of [Issuer.Validator] or [Issuer.Config]: where there was none,
// [Audience] is needed.
func (i *Issuer) Token(options ...TokenOption) string {
	i.helper()
	return i.sign(i.accessToken(options))
}

// IDToken returns a signed ID Token, as the issuer would give it to the client
// [DefaultClientID] after user-1 has logged in: its audience is the client. No
// API may accept it.
func (i *Issuer) IDToken(options ...TokenOption) string {
	i.helper()
	return i.sign(i.idToken(options))
}

// Authorize puts an access token of [Issuer.Token] on a request, in place of the
// one that it may have.
func (i *Issuer) Authorize(r *http.Request, options ...TokenOption) {
	i.helper()
	r.Header.Set("Authorization", "Bearer "+i.Token(options...))
}

// AddClient lets a client get tokens from the token endpoint, by the client
// credentials grant (RFC 6749 §4.4) with the parameter audience, or resource
// (RFC 8707 §2). The client may have the scopes there; it may have several
// audiences by several calls.
func (i *Issuer) AddClient(id, secret, audience string, scopes ...string) {
	i.core.AddClient(id, secret, audience, scopes)
}

// AddUser makes a user known, who has these claims in ID Tokens with that
// [Subject], and at the userinfo endpoint. There is one from the start,
// [DefaultSubject], with name, email and email_verified.
//
// ID Tokens have all of the claims. Of the standard ones, the userinfo endpoint tells
// what the access token's scopes ask for (OpenID Connect Core §5.4): with openid alone
// none of them, with profile the name and what is said of the person, and with email,
// address and phone the claims that begin so. Claims that are not standard, such as
// org_id, are told in any case, since each provider has a rule of its own for them.
//
// A user who is not known has no profile, and exists all the same: the endpoint
// answers 200, with the sub of the token alone.
func (i *Issuer) AddUser(subject string, profile map[string]any) {
	i.core.AddUser(fakeissuer.User{Subject: subject, Profile: profile})
}

// UserinfoURL returns where the userinfo endpoint is, which tells of users to whoever
// has an access token of theirs with the scope openid (OpenID Connect Core §5.3). What
// it tells is said at [Issuer.AddUser].
// Auth0 has it in the audience of such tokens.
func (i *Issuer) UserinfoURL() string { return i.core.UserinfoURL() }

// TokenURL returns where the token endpoint is.
func (i *Issuer) TokenURL() string { return i.core.TokenURL() }
