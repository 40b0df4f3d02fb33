package main

import (
	"fmt"
	"net/http"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/jwks"
	"github.com/bearerguard/bearerguard/middleware"
)

// The identifiers of the two APIs.
const (
	health  = "https://example.com/health-api"
	billing = "https://example.com/billing-api"
)

// newGateway returns both APIs. Each has a guard of its own, so that a token for one is
// nothing to the other: no code has to remember to look at the audience.
func newGateway(ofHealth, ofBilling middleware.Validator) http.Handler {
	healthGuard, billingGuard := middleware.New(ofHealth), middleware.New(ofBilling)
	mux := http.NewServeMux()
	mux.Handle("GET /health/patients", healthGuard.RequireScope("read:patients")(says("Ada, Grace")))
	mux.Handle("GET /billing/bills", billingGuard.RequireScope("read:bills")(says("12.50")))
	return mux
}

// newValidators returns a validator for each API. They share the issuer's keys, so that
// these are fetched once.
func newValidators(issuer string, client *http.Client) (ofHealth, ofBilling *claims.Validator, err error) {
	keys, err := jwks.NewRemote(jwks.Config{Issuer: issuer, Client: client})
	if err != nil {
		return nil, nil, err
	}
	if ofHealth, err = claims.NewValidator(claims.Config{Issuer: issuer, Audience: health, Keys: keys}); err != nil {
		return nil, nil, err
	}
	ofBilling, err = claims.NewValidator(claims.Config{Issuer: issuer, Audience: billing, Keys: keys})
	return ofHealth, ofBilling, err
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) })
}
