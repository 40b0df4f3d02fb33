// Package discovery finds an issuer's endpoints (OpenID Connect Discovery 1.0).
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/internal/fetch"
	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// ErrIssuer is wrapped when a document is that of another issuer than the one
// that was asked for (OpenID Connect Discovery 1.0 §4.3).
var ErrIssuer = errors.New("the issuer's metadata names another issuer")

// Metadata is what is wanted to be known of an issuer.
type Metadata struct {
	Issuer  string
	JWKSURL string // "" where the issuer names none

	// UserinfoURL is what the metadata name as the userinfo endpoint, "" where that
	// is nothing or no text. Most who ask for metadata have no use for it, so it is
	// not looked at here: see [CheckEndpoint].
	UserinfoURL string
}

// URL returns where the metadata of an issuer are: a "/" at the end is taken
// off before the well-known path is appended (OpenID Connect Discovery 1.0 §4.1).
func URL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// oauthURL returns where the metadata of an issuer are that knows OAuth only:
// the well-known path stands between host and path (RFC 8414 §3.1).
func oauthURL(issuer string) string {
	scheme, rest, _ := strings.Cut(issuer, "://")
	host, path, _ := strings.Cut(rest, "/")
	url := scheme + "://" + host + "/.well-known/oauth-authorization-server"
	if path = strings.TrimSuffix(path, "/"); path != "" {
		url += "/" + path
	}
	return url
}

// CheckIssuer returns an error unless metadata can be fetched for the issuer
// (RFC 8414 §2: an https URL without query or fragment).
func CheckIssuer(issuer string, insecureHTTP bool) error {
	if err := fetch.CheckURL(issuer, insecureHTTP); err != nil {
		return err
	}
	if strings.Contains(issuer, "/.well-known/") {
		return fmt.Errorf("%s is where an issuer's metadata are: take off /.well-known/ and what follows", strictjson.Excerpt(issuer))
	}
	if strings.ContainsAny(issuer, "?#") {
		return fmt.Errorf("%s has a query or a fragment, which no issuer has", strictjson.Excerpt(issuer))
	}
	return nil
}

// Get fetches the metadata of an issuer with a client of [fetch.NewClient], each
// document of maxSize bytes at most. Where the issuer has none of OpenID Connect,
// which a status of 4xx says (but 408 and 429), those of OAuth will do (RFC 8414).
// The JWKSURL in the result may be fetched from.
func Get(ctx context.Context, client *http.Client, issuer string, maxSize int64, insecureHTTP bool) (Metadata, error) {
	metadata, err := getFrom(ctx, client, URL(issuer), issuer, maxSize, insecureHTTP)
	if !absent(err) {
		return metadata, err
	}
	metadata, second := getFrom(ctx, client, oauthURL(issuer), issuer, maxSize, insecureHTTP)
	if second != nil {
		// The first says only where there is nothing: what there is to be known of
		// the failure, such as how long to wait, is in the second.
		return Metadata{}, fmt.Errorf("%v; %w", err, second)
	}
	return metadata, nil
}

// getFrom fetches the metadata of an issuer from one address.
func getFrom(ctx context.Context, client *http.Client, url, issuer string, maxSize int64, insecureHTTP bool) (Metadata, error) {
	document, err := fetch.Get(ctx, client, url, maxSize, fetch.Validators{})
	if err != nil {
		return Metadata{}, err
	}
	return read(document, issuer, insecureHTTP)
}

// absent reports whether an error says that there is no such document. An issuer
// that is too slow or too busy to tell has not said so (RFC 9110 §15.5.9, RFC
// 6585 §4).
func absent(err error) bool {
	status, ok := errors.AsType[*fetch.StatusError](err)
	return ok && 400 <= status.StatusCode && status.StatusCode < 500 &&
		status.StatusCode != http.StatusRequestTimeout && status.StatusCode != http.StatusTooManyRequests
}

// read reads the metadata of an issuer.
func read(document fetch.Document, issuer string, insecureHTTP bool) (Metadata, error) {
	object, err := strictjson.ParseObject(document.Body)
	if err != nil {
		return Metadata{}, document.Invalid(err)
	}
	var metadata Metadata
	if metadata.Issuer, err = object.OptionalText("issuer"); err != nil {
		return Metadata{}, document.Invalid(err)
	}
	if metadata.JWKSURL, err = object.OptionalText("jwks_uri"); err != nil {
		return Metadata{}, document.Invalid(err)
	}
	userinfo, _ := object.Lookup("userinfo_endpoint")
	metadata.UserinfoURL, _ = userinfo.Text()
	if metadata.Issuer != issuer {
		return Metadata{}, fmt.Errorf("GET %s: %w", document.URL, mismatch(issuer, metadata.Issuer))
	}
	if metadata.JWKSURL != "" {
		if err := CheckEndpoint(metadata.JWKSURL, issuer, insecureHTTP); err != nil {
			return Metadata{}, fmt.Errorf("GET %s: its jwks_uri cannot be used: %w", document.URL, err)
		}
	}
	return metadata, nil
}

// CheckEndpoint returns an error unless the URL, which the issuer's metadata name,
// may be fetched from. That http is good for this machine holds for what an operator
// writes: an issuer out there has no business with what listens here.
func CheckEndpoint(endpoint, issuer string, insecureHTTP bool) error {
	if err := fetch.CheckURL(endpoint, insecureHTTP); err != nil {
		return err
	}
	if !insecureHTTP && fetch.IsHTTPS(issuer) && !fetch.IsHTTPS(endpoint) {
		return fmt.Errorf("%s is http, and the issuer is https", strictjson.Excerpt(endpoint))
	}
	return nil
}

// mismatch says how the issuers differ: most often by a slash at the end.
func mismatch(want, got string) error {
	switch {
	case got == want+"/":
		return fmt.Errorf("%w: configured is %q, it says %q: add the slash at the end", ErrIssuer, want, got)
	case got+"/" == want:
		return fmt.Errorf("%w: configured is %q, it says %q: take off the slash at the end", ErrIssuer, want, got)
	default:
		return fmt.Errorf("%w: configured is %q, it says %s", ErrIssuer, want, strictjson.Excerpt(got))
	}
}
