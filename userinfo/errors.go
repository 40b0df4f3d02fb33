package userinfo

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/middleware"
)

// What keeps a token from being sent to the issuer, or the issuer from telling of
// its user. An error of [Client.Profile] wraps one of these or of those below.
var (
	// ErrNoToken is wrapped where the context has no access token: it is not that of
	// a request that has passed a guard of package middleware, or the guard lets
	// requests without a token through and this is one.
	ErrNoToken = fmt.Errorf("userinfo: nobody can be asked about: %w", middleware.ErrNoToken)

	// ErrIssuer is wrapped where the token is of an issuer that the client has no
	// [Config] for, to the last slash: it is nobody else's business.
	ErrIssuer = errors.New("userinfo: the token is from another issuer")

	// ErrNoUser is wrapped where the token speaks of no user: it is a machine's
	// (claims.MachineSubject), or has no subject.
	ErrNoUser = errors.New("userinfo: the token speaks of no user")

	// ErrScope is wrapped where the token lacks the scope openid, without which no
	// issuer tells anything (OpenID Connect Core §5.3, §3.1.2.1). A requirement that
	// returns the error answers 403 and insufficient_scope.
	ErrScope = errors.New("userinfo: the token lacks the scope openid")

	// ErrAudience is wrapped where the token is not meant for the endpoint as well:
	// its audience lacks [Config.Audience].
	ErrAudience = errors.New("userinfo: the token is not for the userinfo endpoint")

	// ErrUnauthorized is wrapped where the issuer answers 401: it does not take the
	// token, or not any more, which the token itself does not tell. A requirement
	// that returns the error answers 401 and invalid_token.
	ErrUnauthorized = errors.New("userinfo: the issuer does not accept the token")

	// ErrForbidden is wrapped where the issuer answers 403.
	ErrForbidden = errors.New("userinfo: the issuer does not tell of the user with this token")
)

// What is wrong at the issuer, or on the way to it, and no fault of the client's.
// Each wraps claims.ErrUnavailable, so that a requirement that returns it answers
// 503, and [ErrUnavailable].
var (
	// ErrUnavailable is wrapped by all of these, and alone where there is no answer in
	// time, or one that is neither 200 nor one of those that have a word of their own.
	ErrUnavailable error = outage("userinfo: the issuer cannot be asked now")

	// ErrRateLimited is wrapped where the issuer answers 429. The error has a method
	// RetryAfter() time.Duration.
	ErrRateLimited error = issuersFault("userinfo: the issuer is asked too often")

	// ErrNoEndpoint is wrapped where the issuer's metadata name no userinfo endpoint
	// that may be asked.
	ErrNoEndpoint error = issuersFault("userinfo: the issuer names no userinfo endpoint")

	// ErrContentType is wrapped where the answer is neither application/json nor
	// application/jwt (OpenID Connect Core §5.3.2), or the former where
	// [Config.RequireSigned] asks for the latter.
	ErrContentType error = issuersFault("userinfo: the issuer's answer is of another type")

	// ErrTooLarge is wrapped where the answer is larger than [Config.MaxSize].
	ErrTooLarge error = issuersFault("userinfo: the issuer's answer is too large")

	// ErrMalformed is wrapped where the answer can be read in no way or in two, or
	// lacks the subject.
	ErrMalformed error = issuersFault("userinfo: the issuer's answer is malformed")

	// ErrSubject is wrapped where the answer is about somebody else than the token
	// (OpenID Connect Core §5.3.2).
	ErrSubject error = issuersFault("userinfo: the issuer's answer is about somebody else")

	// ErrUnverified is wrapped where the answer is signed and not verified: the
	// signature, the issuer, the audience or the time is wrong, it is another kind of
	// JWT, or there are no keys to verify it with.
	ErrUnverified error = issuersFault("userinfo: the issuer's answer is signed, and cannot be verified")

	// ErrEncrypted is wrapped where the answer is encrypted (JWE): nobody but the
	// client that it is for can read it.
	ErrEncrypted error = issuersFault("userinfo: the issuer's answer is encrypted")
)

// An outage is the sentinel that wraps claims.ErrUnavailable.
type outage string

func (o outage) Error() string { return string(o) }

func (outage) Unwrap() error { return claims.ErrUnavailable }

// An issuersFault is a sentinel that wraps ErrUnavailable.
type issuersFault string

func (f issuersFault) Error() string { return string(f) }

func (issuersFault) Unwrap() error { return ErrUnavailable }

// answers are the sentinels of what comes back, or does not. The last stands for what
// none of the others does.
var answers = [...]error{
	ErrUnauthorized, ErrForbidden,
	ErrRateLimited, ErrNoEndpoint, ErrContentType, ErrTooLarge, ErrMalformed, ErrSubject, ErrUnverified, ErrEncrypted,
	ErrUnavailable,
}

// kindOf returns the sentinel that an error of asking wraps.
func kindOf(err error) error {
	for _, kind := range answers {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return ErrUnavailable
}

// A refusal is an error that says, beside itself, how a guard answers it.
type refusal struct {
	error
	answer *middleware.Error
}

func (r *refusal) Unwrap() error { return r.error }

// As gives out a copy of the answer: errors are kept, and told to several requests.
func (r *refusal) As(target any) bool {
	answer, is := target.(**middleware.Error)
	if is {
		own := *r.answer
		*answer = &own
	}
	return is
}

// lacksScope completes an [ErrScope].
func lacksScope(err error) error {
	return &refusal{err, &middleware.Error{
		Status:      http.StatusForbidden,
		Code:        middleware.CodeInsufficientScope,
		Description: "the access token lacks the scope openid, without which its issuer does not tell of the user",
		Scope:       openID,
		Err:         err,
	}}
}

// notAccepted completes an [ErrUnauthorized].
func notAccepted(err error) error {
	return &refusal{err, &middleware.Error{
		Status:      http.StatusUnauthorized,
		Code:        middleware.CodeInvalidToken,
		Description: "the access token is not accepted by its issuer",
		Err:         err,
	}}
}

// A patient error says how long it is until asking again may be of use.
type patient struct {
	error
	wait time.Duration
}

// afterWish returns an error that says how long to wait, or the error as it is for
// zero.
func afterWish(err error, wish time.Duration) error {
	if wish <= 0 {
		return err
	}
	return &patient{err, wish}
}

// wishOf returns what an error says of when to ask again.
func wishOf(err error) time.Duration {
	if hint, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return hint.RetryAfter()
	}
	return 0
}

// RetryAfter returns how long it was, when the error was made.
func (p *patient) RetryAfter() time.Duration { return p.wait }

func (p *patient) Unwrap() error { return p.error }
