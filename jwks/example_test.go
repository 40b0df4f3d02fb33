package jwks_test

import (
	"context"
	"fmt"

	"github.com/bearerguard/bearerguard/jwks"
)

// The key of RFC 7638 §3.1, and one that cannot verify signatures.
const document = `{"keys": [
	{
		"kid": "2011-04-29", "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB",
		"n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	},
	{"kid": "shared", "kty": "oct"}
]}`

func ExampleParseSet() {
	set, err := jwks.ParseSet([]byte(document))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range set.Keys {
		fmt.Println(key, key.Thumbprint())
	}
	for _, key := range set.LeftOut {
		fmt.Println(key)
	}
	// Output:
	// "2011-04-29" (RS256) NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
	// key 1 ("shared"): its kty "oct" is not known here
}

// Keys that are pinned are never fetched: for an API without a way out, or an
// issuer without a key set.
func ExampleStatic() {
	set, err := jwks.ParseSet([]byte(document))
	if err != nil {
		fmt.Println(err)
		return
	}
	source := jwks.Static(set.Keys...)

	keys, err := source.Keys(context.Background(), "RS256", "2011-04-29")
	fmt.Println(keys, err)

	_, err = source.Keys(context.Background(), "RS256", "2012-05-30")
	fmt.Println(err)
	// Output:
	// ["2011-04-29" (RS256)] <nil>
	// jwks: no key fits: no key "2012-05-30" for "RS256" in the issuer's key set
}

// A source says at start-up what is wrong with its configuration; it does not
// fetch anything before it is asked for a key.
func ExampleNewRemote() {
	_, err := jwks.NewRemote(jwks.Config{Issuer: "https://my-domain.auth0.com/"})
	fmt.Println(err)

	_, err = jwks.NewRemote(jwks.Config{Issuer: "http://my-domain.auth0.com/"})
	fmt.Println(err)
	// Output:
	// <nil>
	// jwks: Config.Issuer: "http://my-domain.auth0.com/" is http, and whoever is on the way could put in keys of their own: use https, or, in a test network, a jwks.Remote with InsecureHTTP
}
