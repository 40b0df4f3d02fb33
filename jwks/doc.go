// Package jwks is where the keys come from that verify tokens.
//
// A [Source] answers one question: which keys fit this algorithm and this key
// ID. [Remote] asks an authorization server and remembers the answer; [Static]
// has keys that are pinned and never asks anybody.
//
//	keys, err := jwks.NewRemote(jwks.Config{Issuer: "https://my-domain.auth0.com/"})
//
// That is what claims.NewValidator does by itself where it is given no source,
// so most programs never name this package.
//
// # What a request sees
//
// A Remote does nothing until it is asked. From then on it goes by the age of
// the last key set that it fetched:
//
//	none yet   the request waits for the fetch, within its own context
//	fresh      ≤ 5 min: served from memory
//	stale      ≤ 15 min: served from memory; a refresh starts in the background
//	overdue    ≤ 24 h: waits up to 2 s for a refresh, but not after one has
//	           failed: then it is served from memory while retries go on
//	expired    > 24 h: as if there were none
//
// A key ID that is not in the set starts a fetch too, since keys rotate; but
// only twice in a row and then once in 10 s, so that made-up key IDs cannot be
// used to flood the authorization server. Where there is no usable set and none
// can be had, the error is [ErrUnavailable]: nobody can say whether the token is
// good. Where the set is good and the key is not in it, it is [ErrUnknownKey].
//
// # What is left out
//
// A key set is read strictly, and key by key: one that cannot be used is left
// out and the others serve (RFC 7517 §5). See [ParseSet] for the rules. Only
// asymmetric algorithms exist here.
package jwks
