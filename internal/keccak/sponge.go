// Package keccak is Keccak-256 as Ethereum uses it, for one running hash or for
// up to eight side by side.
//
// It is the function submitted to the SHA-3 competition. SHA3-256 of FIPS 202
// differs from it in the padding alone.
package keccak

import "encoding/binary"

const (
	// Size is the length of a digest in bytes.
	Size = 32

	// rate is how much the state takes up between two permutations, in bytes.
	rate = 136
)

// A Sponge is a running hash. The zero value has taken nothing up yet; a copy
// runs on its own.
type Sponge struct {
	a [25]uint64
	n int // bytes taken up since the last permutation, below rate
}

// Absorb continues the hash with p.
func (s *Sponge) Absorb(p []byte) {
	if s.n > 0 {
		n := min(rate-s.n, len(p))
		s.xor(p[:n])
		if s.n < rate {
			return
		}
		permute(&s.a)
		s.n = 0
		p = p[n:]
	}
	for len(p) >= rate {
		block := p[:rate]
		for i := range rate / 8 {
			s.a[i] ^= binary.LittleEndian.Uint64(block[8*i:])
		}
		permute(&s.a)
		p = p[rate:]
	}
	s.xor(p)
}

// xor adds p, which fits, to the state.
func (s *Sponge) xor(p []byte) {
	i, shift := s.n/8, 8*(s.n%8)
	s.n += len(p)
	for len(p) >= 8 {
		w := binary.LittleEndian.Uint64(p)
		s.a[i] ^= w << shift
		s.a[i+1] ^= w >> (64 - shift)
		p = p[8:]
		i++
	}
	if len(p) > 0 {
		w := word(p)
		s.a[i] ^= w << shift
		s.a[i+1] ^= w >> (64 - shift)
	}
}

// word reads fewer than eight bytes.
func word(p []byte) (w uint64) {
	for i, b := range p {
		w |= uint64(b) << (8 * i)
	}
	return w
}

// Sum returns the digest of what was taken up so far. The hash may go on.
func (s *Sponge) Sum() (digest [Size]byte) {
	a := s.a
	a[s.n/8] ^= 1 << (8 * (s.n % 8))
	a[rate/8-1] ^= 1 << 63
	permute(&a)
	for i := range Size / 8 {
		binary.LittleEndian.PutUint64(digest[8*i:], a[i])
	}
	return digest
}

// Sum256 returns the Keccak-256 hash of all arguments, one after the other.
func Sum256(data ...[]byte) [Size]byte {
	var s Sponge
	for _, b := range data {
		s.Absorb(b)
	}
	return s.Sum()
}
