// Package contextkey has the key by which package claims finds claims in a context,
// for package middleware, whose contexts answer to it.
package contextkey

// Claims is the key of a *claims.Claims.
type Claims struct{}
