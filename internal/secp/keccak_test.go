package secp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The hash depends on the bytes only, not on how they are cut.
func TestKeccak256Parts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 5).Draw(t, "parts")
		if got, want := Keccak256(parts...), Keccak256(bytes.Join(parts, nil)); got != want {
			t.Fatalf("in parts %x, at once %x", got, want)
		}
	})
}
