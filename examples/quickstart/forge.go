package main

import (
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
)

// What is here is done by attackers: with tokens that they have seen and keys
// that are public.

// tampered returns the token with another scope in its payload, and the
// signature as it was.
func tampered(token, scope string) string {
	parts := strings.Split(token, ".")
	payload := decode(parts[1])
	payload["scope"] = scope
	return parts[0] + "." + encode(payload) + "." + parts[2]
}

// unsigned returns the token with the algorithm none and no signature.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	header := decode(parts[0])
	header["alg"] = "none"
	return encode(header) + "." + parts[1] + "."
}

// hs256 returns the token signed by HMAC, with the text of the public key as the
// shared secret.
func hs256(token string, publicKey []byte) string {
	parts := strings.Split(token, ".")
	header := decode(parts[0])
	header["alg"] = "HS256"
	input := encode(header) + "." + parts[1]
	mac := hmac.New(sha256.New, publicKey)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// decode reads a part of a token of ours, which is well formed.
func decode(part string) map[string]any {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		panic(err)
	}
	return members
}

func encode(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// publicKey returns the issuer's first RSA key in PEM, as anyone can get it.
func publicKey(ctx context.Context, issuer string) ([]byte, error) {
	var metadata struct {
		KeySet string `json:"jwks_uri"`
	}
	if err := getJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &metadata); err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct {
			Type     string `json:"kty"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := getJSON(ctx, metadata.KeySet, &set); err != nil {
		return nil, err
	}
	for _, key := range set.Keys {
		if key.Type != "RSA" {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(key.Modulus)
		if err != nil {
			return nil, err
		}
		e, err := base64.RawURLEncoding.DecodeString(key.Exponent)
		if err != nil {
			return nil, err
		}
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
	}
	return nil, fmt.Errorf("the key set of %s has no RSA key", issuer)
}

func getJSON(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}
