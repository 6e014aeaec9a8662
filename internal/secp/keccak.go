package secp

import (
	"hash"

	"golang.org/x/crypto/sha3"
)

// Keccak256 returns the Keccak-256 hash of all arguments, one after the other.
// This is the function submitted to the SHA-3 competition, as used by Ethereum;
// it differs from SHA3-256 of FIPS 202 in the padding.
func Keccak256(data ...[]byte) [32]byte {
	h := sha3.NewLegacyKeccak256()
	for _, b := range data {
		h.Write(b)
	}
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

// NewKeccak256 returns a running Keccak-256. Sum does not change its state, so
// writing may go on afterwards, as the MACs of RLPx need it.
func NewKeccak256() hash.Hash { return sha3.NewLegacyKeccak256() }
