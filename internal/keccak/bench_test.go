package keccak

import (
	"crypto/sha3"
	"fmt"
	"testing"

	legacy "golang.org/x/crypto/sha3"
)

// One permutation: of this package, in x/crypto, in the standard library (which
// has no Keccak-256), and several at once.
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
	for _, width := range []int{4, 8} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			bank := NewBank(width)
			var s [MaxWidth]Sponge
			var digests [MaxWidth][Size]byte
			for i := range width {
				bank.Start(i, &s[i], nil, &digests[i])
			}
			for b.Loop() {
				bank.permute()
			}
		})
	}
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

// Hashes side by side; the figure is for one of them.
func BenchmarkBank(b *testing.B) {
	for _, width := range []int{4, 8} {
		for _, n := range []int{1, 2, 4, 8} {
			if n > width {
				continue
			}
			for _, size := range []int{16, 1 << 10, 32 << 10} {
				b.Run(fmt.Sprintf("%d/%d/%d", width, n, size), func(b *testing.B) {
					bank := NewBank(width)
					var sponges [MaxWidth]Sponge
					var digests [MaxWidth][Size]byte
					in := make([]byte, size)
					for b.Loop() {
						for i := range n {
							bank.Start(i, &sponges[i], in, &digests[i])
						}
						for !bank.Free(0) {
							bank.Advance()
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/hash")
				})
			}
		}
	}
}
