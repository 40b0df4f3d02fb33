package jwks

import (
	"crypto"
	"encoding/base64"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// This file is the only one outside of tests that knows how keys are written
// down: jwx turns a JWK into a key of crypto and back. What it is given has been
// vetted member by member (see set.go).

// importJWK returns the public key that the members of a JWK describe.
func importJWK(members []byte) (crypto.PublicKey, error) {
	parsed, err := jwk.ParseKey(members)
	if err != nil {
		return nil, err
	}
	var raw any
	if err := parsed.Raw(&raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// thumbprint returns the RFC 7638 thumbprint of a public key.
func thumbprint(public crypto.PublicKey) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", err
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
