// Package known is a door between packages claims and middleware: claims that are
// remembered of a token are shared by all requests with it, and everybody else gets a
// copy. A guard makes one only for those who ask for it.
package known

import "context"

// Validate is the method Validate of the *claims.Validator v; its claims are a
// *claims.Claims, which the caller must neither change nor hand out. Package claims
// sets it.
var Validate func(v any, ctx context.Context, token string) (claims any, err error)
