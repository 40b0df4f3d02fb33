package userinfo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/internal/jws"
	"github.com/bearerguard/bearerguard/internal/strictjson"
	"github.com/bearerguard/bearerguard/jwks"
)

// leeway is how far the clocks of this machine and the issuer may be apart.
const leeway = 30 * time.Second

// A verifier verifies signed answers (OpenID Connect Core §5.3.2).
type verifier struct {
	issuer     string
	keys       jwks.Source // nil: there are none
	algorithms []string
}

// verify returns what a signed answer says. It must be the issuer's, and for the
// client that the access token was issued to: §5.3.2 says that it should have both,
// and without them it could be any JWT that the issuer has signed.
func (v *verifier) verify(ctx context.Context, text, clientID string) (string, error) {
	form, err := jws.Parse(text)
	switch {
	case errors.Is(err, jws.ErrEncrypted):
		return "", ErrEncrypted
	case err != nil:
		return "", fmt.Errorf("%w: as a JWS: %s", ErrMalformed, misread(err))
	}
	if err := v.checkSignature(ctx, form); err != nil {
		return "", err
	}
	object, err := strictjson.ParseObject(form.Payload)
	if err != nil {
		return "", fmt.Errorf("%w: its payload: %s", ErrMalformed, misread(err))
	}
	return form.Payload, v.checkClaims(object, clientID)
}

func (v *verifier) checkSignature(ctx context.Context, form jws.Compact) error {
	switch {
	case v.keys == nil:
		return fmt.Errorf("%w: the client has no keys to verify it with: set Config.Keys", ErrUnverified)
	case form.Type != "" && form.Type != "jwt": // another kind of JWT says what it is (RFC 8725 §3.11)
		return fmt.Errorf("%w: its typ is that of another kind of JWT", ErrUnverified)
	case !slices.Contains(v.algorithms, form.Algorithm):
		name := "unknown"
		if slices.Contains(jwks.Algorithms(), form.Algorithm) {
			name = form.Algorithm
		}
		return fmt.Errorf("%w: its alg is %s, and Config.Algorithms does not have that", ErrUnverified, name)
	case len(form.KeyID) > jwks.MaxIDLength:
		return fmt.Errorf("%w: its kid is too long", ErrUnverified)
	}
	keys, err := v.keys.Keys(ctx, form.Algorithm, form.KeyID)
	switch {
	case errors.Is(err, jwks.ErrUnknownKey) && !errors.Is(err, jwks.ErrUnavailable):
		return fmt.Errorf("%w: no key of the issuer has its kid", ErrUnverified)
	case err != nil:
		return afterWish(fmt.Errorf("%w: the keys to verify it with: %s", ErrUnavailable, reason(err)), wishOf(err))
	}
	for _, key := range keys {
		// A key is used with exactly one algorithm (RFC 8725 §3.1), also where somebody's
		// own source forgot to look.
		if key != nil && key.Algorithm() == form.Algorithm && key.Verify([]byte(form.SigningInput), form.Signature) {
			return nil
		}
	}
	return fmt.Errorf("%w: no key of the issuer has made the signature", ErrUnverified)
}

func (v *verifier) checkClaims(object strictjson.Object, clientID string) error {
	issuer, _ := object.Lookup("iss")
	if text, _ := issuer.Text(); text != v.issuer {
		return fmt.Errorf("%w: its iss is not the issuer", ErrUnverified)
	}
	audience, _ := object.Lookup("aud")
	audiences, _ := audience.Texts()
	if text, ok := audience.Text(); ok {
		audiences = []string{text}
	}
	if clientID == "" || !slices.Contains(audiences, clientID) {
		return fmt.Errorf("%w: its aud is not the client of the access token", ErrUnverified)
	}
	now := time.Now()
	if value, has := object.Lookup("exp"); has {
		if at, ok := seconds(value); !ok || !now.Before(at.Add(leeway)) {
			return fmt.Errorf("%w: its time is over", ErrUnverified)
		}
	}
	if value, has := object.Lookup("nbf"); has {
		if at, ok := seconds(value); !ok || now.Add(leeway).Before(at) {
			return fmt.Errorf("%w: its time has not come", ErrUnverified)
		}
	}
	return nil
}
