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

const (
	// leeway is how far the clocks of this machine and the issuer may be apart.
	leeway = 30 * time.Second

	// signedWithin is how long before or after now a signed answer may say that it was
	// signed (iat): it was made for this question, and an old one may be a replay of
	// what was true once.
	signedWithin = 10 * time.Minute
)

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
	return form.Payload, v.checkClaims(&object, clientID)
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

func (v *verifier) checkClaims(object *strictjson.Object, clientID string) error {
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
	if err := checkKind(object); err != nil {
		return err
	}
	now := time.Now()
	if value, has := object.Lookup("iat"); has {
		if at, ok := seconds(value); !ok || now.Sub(at).Abs() > signedWithin {
			return fmt.Errorf("%w: it was not signed within %v of now", ErrUnverified, signedWithin)
		}
	}
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

// checkKind refuses other kinds of JWT that an issuer signs with the same key and for the
// same client: the rules for kinds must exclude each other (RFC 8725 §3.12), and an old
// ID Token has all that an answer must have. A mark counts by being there.
func checkKind(object *strictjson.Object) error {
	marks := [...]string{
		"nonce", "at_hash", "c_hash", "s_hash", // ID Tokens (OpenID Connect Core §2, §3.3.2.11; FAPI)
		"events",    // logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4) and RFC 8417 §2.2
		"token_use", // Cognito's tokens
	}
	for _, mark := range marks {
		if object.Has(mark) {
			return fmt.Errorf("%w: it is another kind of JWT: it has %s", ErrUnverified, mark)
		}
	}
	// An access token of a client that is its own audience. An issuer may tell of either,
	// and has no reason to tell of both (RFC 9068 §2.2).
	if object.Has("scope") && object.Has("client_id") {
		return fmt.Errorf("%w: it is another kind of JWT: it has scope and client_id", ErrUnverified)
	}
	typ, _ := object.Lookup("typ")
	switch kind, _ := typ.Text(); kind { // Keycloak says it there
	case "ID", "Refresh", "Offline", "Logout", "Bearer", "DPoP":
		return fmt.Errorf("%w: it is another kind of JWT: its claim typ is %q", ErrUnverified, kind)
	}
	return nil
}
