package jwks_test

import (
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/bearerguard/bearerguard/jwks"
	"github.com/stretchr/testify/require"
)

// rocaModulus returns an odd number of so many bits with the form that a modulus
// of CVE-2017-15361 has: a multiple of the product of the primes below 702, and a
// power of 65537 modulo that product. A set's reader takes no roots, so nobody has
// to find primes.
func rocaModulus(bits, power int64) *big.Int {
	product := big.NewInt(1)
	for p := int64(2); p < 702; p++ {
		if prime := big.NewInt(p); prime.ProbablyPrime(0) {
			product.Mul(product, prime)
		}
	}
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.Sub(n, new(big.Int).Mod(n, product)).Add(n, product)
	return n.Add(n, new(big.Int).Exp(big.NewInt(65537), big.NewInt(power), product))
}

// CVE-2017-15361: whoever has the public key can work out the private one.
func TestAKeyOfABrokenGeneratorIsLeftOut(t *testing.T) {
	for _, bits := range []int64{2048, 3072, 4096} {
		for _, power := range []int64{0, 1, 2, 1000, 123456789} {
			n := rocaModulus(bits, power)
			require.Equal(t, int(bits), n.BitLen())

			_, err := jwks.NewKey("k", "RS256", &rsa.PublicKey{N: n, E: 65537})
			require.ErrorContains(t, err, "CVE-2017-15361", "%d bits, power %d", bits, power)

			set, err := jwks.ParseSet(setOf(rsaJWK.with("n", encode(n.Bytes())), ecJWK))
			require.NoError(t, err)
			require.Len(t, set.Keys, 1)
			require.Len(t, set.LeftOut, 1)
			require.Contains(t, set.LeftOut[0].Reason, "CVE-2017-15361")

			// Its odd neighbours are no powers any more.
			for _, step := range []int64{-2, 2} {
				neighbour := new(big.Int).Add(n, big.NewInt(step))
				_, err = jwks.NewKey("k", "RS256", &rsa.PublicKey{N: neighbour, E: 65537})
				require.NoError(t, err, "%d bits, power %d, %+d", bits, power, step)
			}
		}
	}
}

// A modulus that has the mark modulo all primes but one is somebody's good key.
// The test goes through its remainders modulo 691, the last prime that tells
// anything: modulo 701, all remainders are powers of 65537.
func TestAKeyThatIsNearlyOfABrokenGeneratorServes(t *testing.T) {
	const last = 691
	powers := 1
	for power := 65537 % last; power != 1; power = power * 65537 % last {
		powers++
	}
	require.Less(t, powers, last-1)

	n := rocaModulus(2048, 7)
	step := big.NewInt(2) // changes n modulo the last prime, and no other
	for p := int64(3); p < 702; p += 2 {
		if prime := big.NewInt(p); p != last && prime.ProbablyPrime(0) {
			step.Mul(step, prime)
		}
	}
	refused := 0
	for range last {
		if _, err := jwks.NewKey("k", "RS256", &rsa.PublicKey{N: n, E: 65537}); err != nil {
			require.ErrorContains(t, err, "CVE-2017-15361")
			refused++
		}
		n.Add(n, step)
	}
	require.Equal(t, powers, refused)
}
