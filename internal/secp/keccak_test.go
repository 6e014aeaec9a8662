package secp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The hash depends on the bytes only, not on how they are cut; a running hash
// gives the sum so far and goes on.
func TestKeccak256Parts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 5).Draw(t, "parts")
		if got, want := Keccak256(parts...), Keccak256(bytes.Join(parts, nil)); got != want {
			t.Fatalf("in parts %x, at once %x", got, want)
		}
		h := NewKeccak256()
		for i, part := range parts {
			h.Write(part)
			want := Keccak256(parts[:i+1]...)
			if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
				t.Fatalf("running hash after part %d: %x, want %x", i, got, want)
			}
		}
	})
}

// A running hash has the sizes that HMAC and the RLPx MACs rely on.
func TestNewKeccak256(t *testing.T) {
	if h := NewKeccak256(); h.Size() != 32 || h.BlockSize() != 136 {
		t.Errorf("Size, BlockSize = %d, %d; want 32, 136", h.Size(), h.BlockSize())
	}
}
