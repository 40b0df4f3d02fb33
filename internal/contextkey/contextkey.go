// Package contextkey has the keys to which the contexts of package middleware answer,
// for the rooms that read what is there and cannot import it.
package contextkey

// Claims is the key of a *claims.Claims: the handler's own copy, which it may change.
// Package claims finds claims by it.
type Claims struct{}

// Believed is the key of a *claims.Claims that the guard has verified, of the same
// passage as the token: for whoever decides by them what happens to the token. It is a
// copy each time.
type Believed struct{}
