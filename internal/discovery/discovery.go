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
}

// URL returns where the metadata of an issuer are: a "/" at the end is taken
// off before the well-known path is appended (OpenID Connect Discovery 1.0 §4.1).
func URL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
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

// Get fetches the metadata of an issuer with a client of [fetch.NewClient]. The
// JWKSURL in the result may be fetched from.
func Get(ctx context.Context, client *http.Client, issuer string, insecureHTTP bool) (Metadata, error) {
	document, err := fetch.Get(ctx, client, URL(issuer))
	if err != nil {
		return Metadata{}, err
	}
	object, err := strictjson.ParseObject(document.Body)
	if err != nil {
		return Metadata{}, document.Invalid(err)
	}
	var metadata Metadata
	members := []struct {
		name  string
		value *string
	}{
		{"issuer", &metadata.Issuer},
		{"jwks_uri", &metadata.JWKSURL},
	}
	for _, m := range members {
		value, ok := object.Lookup(m.name)
		if !ok {
			continue
		}
		if *m.value, ok = value.Text(); !ok {
			return Metadata{}, document.Invalid(fmt.Errorf("its %s is a JSON %s, not a string", m.name, value.Kind()))
		}
	}
	if metadata.Issuer != issuer {
		return Metadata{}, fmt.Errorf("GET %s: %w", document.URL, mismatch(issuer, metadata.Issuer))
	}
	if metadata.JWKSURL != "" {
		if err := checkEndpoint(metadata.JWKSURL, issuer, insecureHTTP); err != nil {
			return Metadata{}, fmt.Errorf("GET %s: its jwks_uri cannot be used: %w", document.URL, err)
		}
	}
	return metadata, nil
}

// checkEndpoint returns an error unless the URL, which a document names, may be
// fetched from. That http is good for this machine holds for what an operator
// writes: an issuer out there has no business with what listens here.
func checkEndpoint(endpoint, issuer string, insecureHTTP bool) error {
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
