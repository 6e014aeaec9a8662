//go:build !libsecp256k1

package secp

import "crypto/sha256"

// nonces is the deterministic generator of RFC 6979, section 3.2, for SHA-256
// and an order of 256 bits. Names and steps are those of the section.
type nonces struct{ k, v [32]byte }

// newNonces does steps a to f. The digest is below N.
func newNonces(secret, digest *[32]byte) nonces {
	var g nonces
	for i := range g.v {
		g.v[i] = 1
	}
	g.update(0, secret, digest)
	g.update(1, secret, digest)
	return g
}

// update sets K = HMAC_K(V ‖ b ‖ secret ‖ digest) and V = HMAC_K(V), where both
// inputs may be missing.
func (g *nonces) update(b byte, inputs ...*[32]byte) {
	var buf [97]byte
	message := append(append(buf[:0], g.v[:]...), b)
	for _, in := range inputs {
		message = append(message, in[:]...)
	}
	g.k = hmacSHA256(&g.k, message)
	g.v = hmacSHA256(&g.k, g.v[:])
}

// next does step h: it returns the next candidate, which is in 1..N-1. Asked
// again, it goes on as the step says for a candidate that was not suitable.
func (g *nonces) next() [32]byte {
	for {
		g.v = hmacSHA256(&g.k, g.v[:])
		candidate := g.v
		g.update(0)
		if isScalar(&candidate, &maxScalar) {
			return candidate
		}
	}
}

// hmacSHA256 is HMAC (RFC 2104) for a key of 32 bytes and a message of at most
// 97. One signature takes seven of them; crypto/hmac would allocate each time.
func hmacSHA256(key *[32]byte, message []byte) [32]byte {
	var inner [64 + 97]byte
	var outer [64 + 32]byte
	for i := range 64 {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	n := copy(inner[64:], message)
	sum := sha256.Sum256(inner[:64+n])
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}
