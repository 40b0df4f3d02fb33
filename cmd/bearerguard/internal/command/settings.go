package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
)

// settings are the flags that explain and doctor share: the configuration of an
// API, as claims.Config has it.
type settings struct {
	issuer       string
	audience     string
	algorithms   list
	leeway       time.Duration
	keysURL      string
	insecureHTTP bool
	timeout      time.Duration
	json         bool
}

func (s *settings) register(flags *flag.FlagSet) {
	flags.StringVar(&s.issuer, "issuer", "", "the issuer `URL` that the API is configured with (Config.Issuer), exact to the last slash")
	flags.StringVar(&s.audience, "audience", "", "the `identifier` of the API (Config.Audience)")
	flags.Var(&s.algorithms, "algorithms", "the `names` that Config.Algorithms has, with commas (default RS256)")
	flags.DurationVar(&s.leeway, "leeway", 30*time.Second, "how far clocks may be apart, such as 30s (Config.Leeway); 0 means not at all")
	flags.StringVar(&s.keysURL, "jwks-url", "", "the `URL` of the key set, for an issuer without discovery (jwks.Config.URL)")
	flags.BoolVar(&s.insecureHTTP, "insecure-http", false, "allow http to other hosts than this machine, in a test network (jwks.Config.InsecureHTTP)")
	flags.DurationVar(&s.timeout, "timeout", 15*time.Second, "how long the issuer may take, all in all, such as 15s")
	flags.BoolVar(&s.json, "json", false, "print JSON")
}

// check returns an error where something required is missing, or is not at all
// what the library takes: what that says repeats it, and it may be a token.
func (s *settings) check() error {
	switch {
	case s.issuer == "":
		return usage("-issuer is missing: give the issuer URL that the API is configured with, such as https://my-domain.auth0.com/")
	case !isPlainURL(s.issuer):
		return usage("-issuer is not the URL of an issuer: write it without query and fragment, such as https://my-domain.auth0.com/")
	case s.keysURL != "" && !strings.Contains(s.keysURL, "://"):
		return usage("-jwks-url is not a URL: write it as https://host/path")
	case slices.ContainsFunc(s.algorithms, func(name string) bool { return !slices.Contains(jwks.Algorithms(), name) }):
		return usage("-algorithms has a name that is not accepted: it must be one of %s", strings.Join(jwks.Algorithms(), ", "))
	case s.audience == "":
		return usage("-audience is missing: give the identifier of the API, such as https://example.com/health-api")
	case s.timeout <= 0:
		return usage("-timeout is %v: it must be longer than nothing", s.timeout)
	}
	return nil
}

// isPlainURL reports whether a text can be the URL of an issuer (RFC 8414 §2).
func isPlainURL(text string) bool {
	return strings.Contains(text, "://") && !strings.ContainsAny(text, "?#")
}

// config returns the configuration that the flags stand for.
func (s *settings) config(keys jwks.Source) claims.Config {
	config := claims.Config{Issuer: s.issuer, Audience: s.audience, Algorithms: s.algorithms, Leeway: s.leeway, Keys: keys}
	if s.leeway == 0 {
		config.Leeway = claims.NoLeeway
	}
	return config
}

// remote returns the source of keys that an API has by default, with a client
// that can be watched.
func (s *settings) remote(client *http.Client) (*jwks.Remote, error) {
	return jwks.NewRemote(jwks.Config{Issuer: s.issuer, URL: s.keysURL, Client: client, InsecureHTTP: s.insecureHTTP})
}

// accepted returns the algorithms that the configuration accepts.
func (s *settings) accepted() []string {
	if s.algorithms == nil {
		return []string{"RS256"}
	}
	return s.algorithms
}

// told returns what an error of the library says, without the name of the package
// that says it.
func told(err error) string {
	text := err.Error()
	for _, prefix := range []string{"claims: ", "jwks: ", "middleware: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// misconfigured returns an error of the library's constructors as one of the
// command line.
func misconfigured(err error) error {
	return fmt.Errorf("the configuration cannot be used: %s", told(err))
}

// errScope does not repeat the scope, which may be a token in the wrong place.
var errScope = usageError{"-scope is not a list of scopes: it has words of printable ASCII without quotes and backslashes, and one space between two"}

// profileNamed returns the profile of that name.
func profileNamed(name string) (claims.Profile, error) {
	switch strings.ToLower(name) {
	case "", "any":
		return claims.AnyProfile, nil
	case "rfc9068":
		return claims.RFC9068, nil
	}
	return 0, usage("-profile is not known: it is any or rfc9068")
}

// keysFrom reads a key set from a file.
func keysFrom(ctx context.Context, name string) (*jwks.Set, error) {
	text, err := readFile(ctx, "-jwks", name, maxInput)
	if err != nil {
		return nil, err
	}
	set, err := jwks.ParseSet([]byte(text))
	if errors.Is(err, jwks.ErrSet) {
		return nil, fmt.Errorf("-jwks: the file does not have %s", strings.TrimPrefix(told(err), "not "))
	}
	return set, err
}
