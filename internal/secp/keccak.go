package secp

import "parley/internal/keccak"

// Keccak256 returns the Keccak-256 hash of all arguments, one after the other.
// This is the function submitted to the SHA-3 competition, as used by Ethereum;
// it differs from SHA3-256 of FIPS 202 in the padding.
func Keccak256(data ...[]byte) [32]byte { return keccak.Sum256(data...) }
