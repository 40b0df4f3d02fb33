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
// the last key set that the issuer has confirmed. The numbers are defaults, see
// [Config]; the first two ages are longer or shorter by up to a tenth at random.
//
//	state                    what a request sees
//	none yet                 waits for the fetch, within its own context
//	fresh    up to 5 min     served from memory
//	stale    up to 15 min    served from memory; a refresh starts in the background
//	overdue  up to 24 h      waits for a refresh, 2 s at most; in an outage, which is
//	                         when one has just failed, served from memory at once
//	expired  from 24 h on    as if there were none yet
//
// A fetch takes 5 s at the most. There is one at a time, shared by all who wait,
// and it belongs to none of them: a request that is given up takes nothing along.
// After a failure the next fetch is due after 1 s, then 2, 4, 8 and 15 s, or when
// the issuer asks for it: after an hour at the latest where a set serves, after 15 s
// where none does or the key is unknown. It starts with the request that finds it
// due; those before can learn from their error how long that is (see
// [ErrUnavailable]).
//
// # Unknown keys
//
// A key ID that is not in the set causes a fetch too, since keys rotate; but only
// twice in a row and then once in 10 s, however many different ones there are. So
// key IDs that somebody makes up cost the issuer next to nothing, are no trouble
// to requests with known ones, and hold back a real rotation for 10 s at worst
// while the issuer can be reached.
//
//	the last fetch …   while there may be no fetch, an unknown key ID is
//	succeeded          ErrUnknownKey: the token is refused
//	failed             ErrUnavailable: nobody can say
//
// # What is believed
//
// What the issuer's metadata say of where the keys are is asked for again after a
// day, when a fetch has failed, and when two in a row were for unknown keys; but
// while the keys can be had where they were, metadata that are wrong or missing do
// not keep them away. The issuer may answer that the set is as before (304), and is
// not believed where there is a doubt: for an unknown key, after a failure, and from
// the age on at which a set is overdue, it is asked for in full. Addresses are https, also after a redirect,
// which stays on its host. A document has 1 MiB at most, a set 1,000 keys.
//
// A key set is read strictly, and key by key: one that cannot be used is left out
// and the others serve (RFC 7517 §5). See [ParseSet] for the rules. A set without
// a usable key is a failure, and never replaces a good one. Only asymmetric
// algorithms exist here.
//
// # Seen from outside
//
// [Remote.Status] is for a readiness page, and never fetches. [Config.Logger] and
// [Config.OnEvent] tell of each fetch and what it has changed, not of requests.
package jwks
