// Package known has doors between packages jwks, claims and middleware, for what two of
// them must know alike and no user needs. Claims that are remembered of a token are shared
// by all requests with it, and everybody else gets a copy: a guard makes one only for those
// who ask for it. What is a sign of a machine is written down once. And a clock that was
// looked at for a key need not be looked at again for the token.
package known

import "context"

// Validate is the method Validate of the *claims.Validator v; its claims are a
// *claims.Claims, which the caller must neither change nor hand out. It reports whether
// the token's signature was verified for an earlier request and remembered since. Package
// claims sets it.
var Validate func(v any, ctx context.Context, token string) (claims any, remembered bool, err error)

// HasSignOfMachine reports whether a *claims.Claims has any sign of a machine, whatever
// else it says. Package claims sets it.
var HasSignOfMachine func(claims any) bool

// KeysNow is a func(r *jwks.Remote, alg, kid string) ([]*jwks.Key, time.Time). It returns
// the keys as the method Keys does, and the time at which they were looked for; none where
// that would have more to do than to look, or has another answer. Package jwks sets it.
var KeysNow any
