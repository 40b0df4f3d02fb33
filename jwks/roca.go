package jwks

import "math/big"

// madeByROCA reports whether an RSA modulus has the fingerprint of CVE-2017-15361
// ("The Return of Coppersmith's Attack", Nemec et al., 2017). Smart cards and TPMs
// of one make chose each prime as k·M + (65537^a mod M), where M is the product of
// the first small primes: so few are left that the public key yields the private
// one. The product of two such primes is a power of 65537 modulo each factor of M.
// For 2048 bits, M goes up to 701, and for more bits further; that any other
// modulus passes for one up to there has a probability below 2^-160.
func madeByROCA(n *big.Int) bool {
primes:
	for p := int64(3); p <= 701; p += 2 {
		for divisor := int64(3); divisor*divisor <= p; divisor += 2 {
			if p%divisor == 0 {
				continue primes
			}
		}
		remainder := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for power != remainder {
			if power = power * 65537 % p; power == 1 {
				return false // been through all powers
			}
		}
	}
	return true
}
