package claims

import (
	"errors"

	"github.com/bearerguard/bearerguard/internal/jws"
)

// Each refusal of [Validator.Validate] wraps one of these. All but
// [ErrUnavailable] mean that the token is refused: HTTP 401 and invalid_token
// (RFC 6750 §3.1).
var (
	// ErrMalformed is wrapped where the token is no JWS in compact form with a
	// claims set (RFC 7515 §5.2, RFC 7519 §7.2), or a registered claim has
	// another type than RFC 7519 gives it.
	ErrMalformed = errors.New("claims: the token is malformed")

	// ErrTooLarge is wrapped where the token has more bytes than are read.
	ErrTooLarge = errors.New("claims: the token is too large")

	// ErrOpaque is wrapped where the token has no parts, so that only its issuer
	// can say what it means. Often the client asked for no audience.
	ErrOpaque = errors.New("claims: the token is opaque, not a JWT")

	// ErrEncrypted is wrapped where the token is a JWE (RFC 7516).
	ErrEncrypted = errors.New("claims: the token is encrypted")

	// ErrSerialization is wrapped where the token is in the JSON serialization
	// of RFC 7515 §7.2, which JWTs do not use.
	ErrSerialization = errors.New("claims: the token is not in compact form")

	// ErrCritical is wrapped where the header has "crit": no extension is
	// understood here (RFC 7515 §4.1.11).
	ErrCritical = errors.New("claims: the token's header has critical extensions")

	// ErrUnencoded is wrapped where the header has "b64" (RFC 7797).
	ErrUnencoded = errors.New("claims: the token's payload is not encoded as a JWT's is")

	// ErrCompressed is wrapped where the header has "zip".
	ErrCompressed = errors.New("claims: the token is compressed")

	// ErrNested is wrapped where the token contains another token
	// (RFC 7519 §5.2).
	ErrNested = errors.New("claims: the token contains another token")

	// ErrIssuer is wrapped where the token's issuer is not the trusted one, or it
	// names none (RFC 8725 §3.8). No key is looked for.
	ErrIssuer = errors.New("claims: the token is not from a trusted issuer")

	// ErrAlgorithm is wrapped where the token is signed with an algorithm that
	// is not accepted, "none" among them (RFC 8725 §3.1, §3.2).
	ErrAlgorithm = errors.New("claims: the token's algorithm is not accepted")

	// ErrUnknownKey is wrapped where the issuer has no key that fits the token,
	// beside the jwks.ErrUnknownKey of the source.
	ErrUnknownKey = errors.New("claims: the token's key is not the issuer's")

	// ErrSignature is wrapped where the signature was not made with the
	// issuer's key over this token.
	ErrSignature = errors.New("claims: the token's signature is wrong")

	// ErrIDToken is wrapped where the token is an ID Token: it says who logged
	// in at a client, and opens no API (OpenID Connect Core §2, RFC 8725 §3.12).
	ErrIDToken = errors.New("claims: the token is an ID Token, not an access token")

	// ErrTokenType is wrapped where the token is of another kind: a refresh
	// token, a logout token, a security event (RFC 8725 §3.11).
	ErrTokenType = errors.New("claims: the token is not an access token")

	// ErrAudience is wrapped where the token is not meant for this API: its
	// audience does not contain the API's identifier (RFC 9068 §4).
	ErrAudience = errors.New("claims: the token is for another audience")

	// ErrExpired is wrapped where the token's time is over, or it does not say
	// when that is (RFC 7519 §4.1.4).
	ErrExpired = errors.New("claims: the token has expired")

	// ErrNotYetValid is wrapped where the token's time has not come: its "nbf"
	// or its "iat" is in the future (RFC 7519 §4.1.5, §4.1.6).
	ErrNotYetValid = errors.New("claims: the token is not valid yet")

	// ErrBound is wrapped where the token is bound to a key of its holder
	// ("cnf", RFC 7800) of which a bearer token gives no proof (RFC 9449 §7.2).
	ErrBound = errors.New("claims: the token is bound to a key, and there is no proof of it")

	// ErrMissingClaim is wrapped where the token lacks a claim that
	// [Config.Profile] asks for.
	ErrMissingClaim = errors.New("claims: the token lacks a claim")

	// ErrRefused is wrapped, beside its own error, where [Config.Check] refuses
	// the token.
	ErrRefused = errors.New("claims: the API's own check refuses the token")

	// ErrUnavailable is wrapped where nothing can be said about the token: the
	// keys cannot be had, or the context ended before. It is not the client's
	// fault: HTTP 503.
	//
	// An error that it is wrapped beside may have a method
	//
	//	RetryAfter() time.Duration
	//
	// for errors.As to find: how long it is, from when the error was returned,
	// until asking again may be of use. Those of a [jwks.Remote] have it where a
	// fetch has failed, and one of [Config.Check] may have it. Package middleware
	// uses it for the header Retry-After.
	ErrUnavailable = errors.New("claims: tokens cannot be checked now")
)

// A refusal is one of the above, and why. It is for refusals that cost nothing to
// cause, so that as little as can be is done for them: its text is put together where
// somebody reads it, and most are only counted.
type refusal struct{ sentinel, why error }

func (r *refusal) Error() string        { return r.sentinel.Error() + ": " + r.why.Error() }
func (r *refusal) Is(target error) bool { return target == r.sentinel }
func (r *refusal) Unwrap() error        { return r.why }

// words are put together when they are read.
type words func() string

func (w words) Error() string { return w() }

// sentinels has all of the above, each before those that may be wrapped beside it:
// the first three are wrapped beside errors of a source or of an API's own check,
// which may be of any kind.
var sentinels = [...]error{
	ErrUnavailable, ErrRefused, ErrUnknownKey,
	ErrMalformed, ErrTooLarge, ErrOpaque, ErrEncrypted, ErrSerialization, ErrCritical, ErrUnencoded, ErrCompressed, ErrNested,
	ErrIssuer, ErrAlgorithm, ErrSignature, ErrIDToken, ErrTokenType, ErrMissingClaim,
	ErrAudience, ErrExpired, ErrNotYetValid, ErrBound,
}

// Reason returns the one of this package's errors, such as [ErrIDToken], that err
// wraps, and nil where it wraps none. Its text is the same for all tokens, so that
// it can be a label in metrics and a word to look for in logs, which the text of
// err, with what was found in the token, cannot.
//
// Where err wraps several, it is the one that decided: [ErrUnavailable] before all,
// then [ErrRefused], whatever a check of one's own has said.
func Reason(err error) error {
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return sentinel
		}
	}
	return nil
}

// formErrors has the sentinel for each way of being no JWS that can be read,
// other than being malformed.
var formErrors = []struct{ form, sentinel error }{
	{jws.ErrOpaque, ErrOpaque},
	{jws.ErrEncrypted, ErrEncrypted},
	{jws.ErrSerialization, ErrSerialization},
	{jws.ErrCritical, ErrCritical},
	{jws.ErrUnencoded, ErrUnencoded},
	{jws.ErrCompressed, ErrCompressed},
	{jws.ErrNested, ErrNested},
}
