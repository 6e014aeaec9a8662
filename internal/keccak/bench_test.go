package keccak

import (
	"crypto/sha3"
	"fmt"
	"testing"

	legacy "golang.org/x/crypto/sha3"
)

// One permutation: of this package, in x/crypto, in the standard library (which
// has no Keccak-256), and four at once.
func BenchmarkPermutation(b *testing.B) {
	var block [rate]byte
	b.Run("here", func(b *testing.B) {
		var s Sponge
		for b.Loop() {
			s.Absorb(block[:])
		}
	})
	b.Run("x-crypto", func(b *testing.B) {
		h := legacy.NewLegacyKeccak256()
		for b.Loop() {
			h.Write(block[:])
		}
	})
	b.Run("std", func(b *testing.B) {
		h := sha3.New256()
		for b.Loop() {
			h.Write(block[:])
		}
	})
	b.Run("four", func(b *testing.B) {
		q := NewQuad()
		for b.Loop() {
			q.four.Permute()
		}
	})
}

func BenchmarkSum(b *testing.B) {
	b.Run("here", func(b *testing.B) {
		var s Sponge
		for b.Loop() {
			s.Sum()
		}
	})
	b.Run("x-crypto", func(b *testing.B) {
		h := legacy.NewLegacyKeccak256()
		var digest [Size]byte
		for b.Loop() {
			h.Sum(digest[:0])
		}
	})
}

// Hashes side by side; the figure is for all of them.
func BenchmarkQuad(b *testing.B) {
	for _, n := range []int{1, 2, 3, 4} {
		for _, size := range []int{16, 1 << 10, 32 << 10} {
			b.Run(fmt.Sprintf("%d/%d", n, size), func(b *testing.B) {
				q := NewQuad()
				var sponges [Columns]Sponge
				var digests [Columns][Size]byte
				in := make([]byte, size)
				b.SetBytes(int64(n * size))
				for b.Loop() {
					for i := range n {
						q.Start(i, &sponges[i], in, &digests[i])
					}
					for !(q.Free(0) && q.Free(1) && q.Free(2) && q.Free(3)) {
						q.Advance()
					}
				}
			})
		}
	}
}
