// Package known is a door between packages claims and middleware, for what both must
// know alike and no user needs. Claims that are remembered of a token are shared by all
// requests with it, and everybody else gets a copy: a guard makes one only for those who
// ask for it. And what is a sign of a machine is written down once.
package known

import "context"

// Validate is the method Validate of the *claims.Validator v; its claims are a
// *claims.Claims, which the caller must neither change nor hand out. Package claims
// sets it.
var Validate func(v any, ctx context.Context, token string) (claims any, err error)

// HasSignOfMachine reports whether a *claims.Claims has any sign of a machine, whatever
// else it says. Package claims sets it.
var HasSignOfMachine func(claims any) bool
