package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/claims"
	"github.com/bearerguard/bearerguard/scope"
)

// What a guard finds wrong with a request, other than with its token: for that,
// see the sentinels of package claims. An [Error] wraps one of either.
var (
	// ErrNoToken is wrapped where the request has no access token: no
	// credentials, or those of another scheme.
	ErrNoToken = errors.New("middleware: no access token")

	// ErrInvalidRequest is wrapped where the credentials are malformed, or more
	// than one (RFC 6750 §2, §3.1).
	ErrInvalidRequest = errors.New("middleware: the request is malformed")

	// ErrInvalidToken is wrapped where the validator refuses the token, beside
	// its own error.
	ErrInvalidToken = errors.New("middleware: the validator refuses the token")

	// ErrInsufficientScope is wrapped where the token lacks a scope (RFC 6750
	// §3.1).
	ErrInsufficientScope = errors.New("middleware: the token lacks a scope")

	// ErrInsufficientUserAuthentication is wrapped where the user must log in again,
	// or in a stronger way (RFC 9470 §3).
	ErrInsufficientUserAuthentication = errors.New("middleware: the user's authentication is insufficient")

	// ErrAccessDenied is wrapped where another requirement refuses the request, or the
	// handler does ([Guard.Refuse]).
	ErrAccessDenied = errors.New("middleware: a requirement refuses the request")

	// ErrUnavailable is wrapped where a requirement or the handler cannot say, since
	// what it asks, such as a database or the issuer's userinfo endpoint, cannot be
	// asked now. Where nothing can be said about the token itself, it is
	// claims.ErrUnavailable: so an outage of the keys is told from one of anything else.
	ErrUnavailable = errors.New("middleware: what the request depends on is not available")
)

// Codes of [Error.Code]. The first three are those of RFC 6750 §3.1.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"

	// CodeInsufficientUserAuthentication is the code of RFC 9470 §3: with a newer
	// or stronger login of the user, the request would be let through.
	CodeInsufficientUserAuthentication = "insufficient_user_authentication"

	// CodeAccessDenied is the code of a 403 that is not about scopes. It stands
	// in the body and not in the challenge, where it is not defined: a client
	// that was told insufficient_scope would ask for a token again and again.
	CodeAccessDenied = "access_denied"

	// CodeUnavailable is the code of a 503. It stands in the body only, with
	// RFC 6749 §4.1.2.1's word for it.
	CodeUnavailable = "temporarily_unavailable"
)

// An Error is a refusal: what the client is told, and why.
type Error struct {
	// Status is the HTTP status: 400, 401, 403, 413 or 503, or what a requirement
	// of one's own says, from 400 to 599. A challenge goes with the first three.
	Status int

	// Code is the error code, one of the constants above. It is empty where the
	// request had no token at all: then there is no error to tell of
	// (RFC 6750 §3.1).
	Code string

	// Description is a sentence for the client's developer. It is the same for
	// all tokens that are refused. It is printable ASCII without " and \.
	Description string

	// Scope has the scopes that the client should ask for, separated by spaces;
	// empty where that is not known or not the trouble.
	Scope string

	// ACRValues has the authentication context classes of which the user's login
	// must have one, separated by spaces, and MaxAge how long ago it may have
	// been. They are set with [CodeInsufficientUserAuthentication] (RFC 9470 §3);
	// empty and zero mean that it does not matter.
	ACRValues string
	MaxAge    time.Duration

	// RetryAfter is how long the client should wait, in the header Retry-After.
	// Zero means five seconds with the status 503, and no header otherwise.
	RetryAfter time.Duration

	// Err is the reason, for logs. The client must not see it, so it is left out
	// of JSON.
	Err error `json:"-"`
}

// Error returns the code and the description: what the client is told as well.
func (e *Error) Error() string {
	if e.Code == "" {
		return "middleware: " + e.Description
	}
	return "middleware: " + e.Code + ": " + e.Description
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func missingToken(reason error) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Description: "no access token was sent; send it in the header Authorization: Bearer TOKEN",
		Err:         reason,
	}
}

func invalidRequest(description string, reason error) *Error {
	return &Error{
		Status:      http.StatusBadRequest,
		Code:        CodeInvalidRequest,
		Description: description,
		Err:         reason,
	}
}

// invalidToken says the same of every token: which check failed is of use to
// whoever is trying out forgeries, and to nobody whose token is honest.
func invalidToken(reason error) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInvalidToken,
		Description: "the access token is expired, malformed or not meant for this API",
		Err:         refusedToken{reason},
	}
}

// A refusedToken is the validator's error, which tells all, and [ErrInvalidToken].
type refusedToken struct{ error }

func (e refusedToken) Is(target error) bool { return target == ErrInvalidToken }
func (e refusedToken) Unwrap() error        { return e.error }

func insufficientScope(rule scope.Rule, have scope.Set) *Error {
	return &Error{
		Status:      http.StatusForbidden,
		Code:        CodeInsufficientScope,
		Description: "the access token lacks a scope that this resource needs",
		Scope:       rule.Closest(have).String(),
		Err:         fmt.Errorf("%w: %s", ErrInsufficientScope, rule.Missing(have)),
	}
}

func insufficientAuthentication(description, reason string) *Error {
	return &Error{
		Status:      http.StatusUnauthorized,
		Code:        CodeInsufficientUserAuthentication,
		Description: description,
		Err:         fmt.Errorf("%w: %s", ErrInsufficientUserAuthentication, reason),
	}
}

func accessDenied(reason error) *Error {
	return &Error{
		Status:      http.StatusForbidden,
		Code:        CodeAccessDenied,
		Description: "the access token does not permit this request",
		Err:         fmt.Errorf("%w: %w", ErrAccessDenied, reason),
	}
}

// unavailable is for what keeps the guard from saying anything about the token.
func unavailable(reason error) *Error {
	return tryLater("the access token cannot be checked now; try again later", reason)
}

// notSaid is for what keeps a requirement from saying anything.
func notSaid(reason error) *Error {
	if !errors.Is(reason, ErrUnavailable) {
		reason = fmt.Errorf("%w: %w", ErrUnavailable, reason)
	}
	return tryLater("what this request depends on is not available now; try again later", reason)
}

// tryLater passes on what the reason says of when to try again.
func tryLater(description string, reason error) *Error {
	e := &Error{
		Status:      http.StatusServiceUnavailable,
		Code:        CodeUnavailable,
		Description: description,
		Err:         reason,
	}
	if hint, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](reason); ok {
		e.RetryAfter = min(max(hint.RetryAfter(), time.Second), time.Hour)
	}
	return e
}

// isOurs reports whether an error is no fault of the client's: there is nothing
// wrong with the token, only nobody could say whether it is good. Answering
// invalid_token then would have clients throw good tokens away.
func isOurs(err error) bool {
	return errors.Is(err, claims.ErrUnavailable) || errors.Is(err, ErrUnavailable) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refusalOf returns the refusal that a requirement's error stands for. Somebody
// else has made that error: whatever it is, the request is refused. The refusal
// is the guard's own, to fill in what the route needs.
func refusalOf(err error) *Error {
	var e *Error
	switch found := errors.As(err, &e); {
	case found && e == nil:
		return accessDenied(errors.New("it returned a nil *Error"))
	case found && 400 <= e.Status && e.Status <= 599:
		own := *e
		return &own
	case isOurs(err):
		return notSaid(err)
	default:
		return accessDenied(err)
	}
}

// reason returns the sentinel for why a request is refused: one of this package
// or of package claims.
func (v *verdict) reason() error {
	switch e := v.refusal; {
	case e.Status >= 500 && v.failed != nil && v.passage != nil: // the token is good
		return ErrUnavailable
	case e.Status >= 500:
		return claims.ErrUnavailable
	case e.Code == CodeInvalidToken:
		return cmp.Or(claims.Reason(e.Err), ErrInvalidToken)
	case e.Code == CodeInvalidRequest:
		return ErrInvalidRequest
	case e.Code == CodeInsufficientScope:
		return ErrInsufficientScope
	case e.Code == CodeInsufficientUserAuthentication:
		return ErrInsufficientUserAuthentication
	case e.isMissingToken():
		return ErrNoToken
	default:
		return ErrAccessDenied
	}
}

// isMissingToken reports whether there was no token. What a validator or a
// requirement says does not count: they are asked only where there is one.
func (e *Error) isMissingToken() bool { return e.Code == "" && errors.Is(e.Err, ErrNoToken) }
