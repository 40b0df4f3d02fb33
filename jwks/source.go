package jwks

import (
	"context"
	"errors"
	"fmt"

	"github.com/bearerguard/bearerguard/internal/strictjson"
)

// A Source has the keys of one issuer.
type Source interface {
	// Keys returns the keys that may have signed a token whose header names the
	// algorithm alg and the key kid; kid is "" where the header names none. Each
	// key that is returned has Algorithm() == alg. There is at least one, unless
	// there is an error:
	//
	//   - [ErrUnknownKey] is wrapped where the source knows its keys and none
	//     fits: the token is refused;
	//   - any other error, [ErrUnavailable] for one, means that the source
	//     cannot say: the request is answered 503.
	//
	// Keys honours ctx, and may be called from many goroutines at once. The
	// caller must not change the slice.
	Keys(ctx context.Context, alg, kid string) ([]*Key, error)
}

var (
	// ErrUnknownKey is wrapped where no key of the issuer fits the algorithm and
	// the key ID of a token. The token is refused (HTTP 401).
	ErrUnknownKey = errors.New("jwks: no key fits")

	// ErrUnavailable is wrapped where the keys of the issuer cannot be had at
	// the moment. Nothing can be said about the token (HTTP 503).
	//
	// The error, or one that it wraps, may have a method
	//
	//	RetryAfter() time.Duration
	//
	// for errors.As to find: how long it is, from when the error was returned,
	// until asking again may be of use. Package middleware uses it for the header
	// Retry-After. Those of a [Remote] have it where the last fetch has failed:
	// then it says when the next one may start. They have none where the context
	// has ended first.
	ErrUnavailable = errors.New("jwks: keys are not available")
)

// Static returns a source that has these keys and no others, and never asks
// anybody. Keys come from [ParseSet] or [NewKey].
//
// It panics if there are no keys or one is nil: such a source would refuse every
// token.
func Static(keys ...*Key) Source {
	if len(keys) == 0 {
		panic("jwks: Static needs at least one key")
	}
	for _, key := range keys {
		if key == nil {
			panic("jwks: Static was given a nil key")
		}
	}
	return &static{newIndex(keys)} // a pointer, so that it can be told from another
}

type static struct{ index index }

func (s *static) Keys(_ context.Context, alg, kid string) ([]*Key, error) {
	return s.index.lookup(alg, kid)
}

// maxCandidates is how many keys with the same ID and algorithm are tried. Each
// costs a signature verification for every token that names it.
const maxCandidates = 4

// An index finds keys by algorithm and ID without looking at the others.
type index struct {
	byID  map[indexKey][]*Key
	byAlg map[string][]*Key
}

type indexKey struct{ alg, kid string }

// newIndex indexes keys, each under the algorithms that it may be used with.
func newIndex(keys []*Key) index {
	x := index{byID: map[indexKey][]*Key{}, byAlg: map[string][]*Key{}}
	for _, key := range keys {
		for _, bound := range key.bindings() {
			alg := bound.algorithm
			x.byAlg[alg] = append(x.byAlg[alg], bound)
			if key.id == "" {
				continue
			}
			k := indexKey{alg, key.id}
			if len(x.byID[k]) < maxCandidates {
				x.byID[k] = append(x.byID[k], bound)
			}
		}
	}
	return x
}

// find returns the keys with that algorithm and ID, if there are any. For a token that
// names no key, it is the one key with that algorithm: where there are several, trying
// them all would let a stranger's token cost as many verifications.
func (x index) find(alg, kid string) []*Key {
	if kid != "" {
		return x.byID[indexKey{alg, kid}]
	}
	if keys := x.byAlg[alg]; len(keys) == 1 {
		return keys
	}
	return nil
}

// lookup is find with an error where there are none.
func (x index) lookup(alg, kid string) ([]*Key, error) {
	switch keys := x.find(alg, kid); {
	case len(keys) > 0:
		return keys, nil
	case kid != "":
		return nil, fmt.Errorf("%w: no key %s for %s in the issuer's key set",
			ErrUnknownKey, strictjson.Excerpt(kid), strictjson.Excerpt(alg))
	default:
		return nil, fmt.Errorf("%w: the token names no key, and the issuer's key set has %d for %s",
			ErrUnknownKey, len(x.byAlg[alg]), strictjson.Excerpt(alg))
	}
}
