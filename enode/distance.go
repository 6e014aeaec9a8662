package enode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// LogDistance returns the logarithmic distance of two IDs: the number of bits of
// a XOR b without its leading zeros. It is 0 for equal IDs and 256 if the first
// bits differ.
// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-theory.md#nodes-records-and-distances
func LogDistance(a, b ID) int {
	for i := 0; i < len(a); i += 8 {
		if x := word(&a, i) ^ word(&b, i); x != 0 {
			return 8*(len(a)-i) - bits.LeadingZeros64(x)
		}
	}
	return 0
}

// CompareDistance tells which of a and b is nearer to target: it returns a
// negative number if a is, a positive one if b is, and 0 only if a == b.
func CompareDistance(target, a, b ID) int {
	for i := 0; i < len(target); i += 8 {
		t := word(&target, i)
		da, db := t^word(&a, i), t^word(&b, i)
		switch {
		case da < db:
			return -1
		case da > db:
			return 1
		}
	}
	return 0
}

// word returns the 64 bits of id from byte i on, big endian.
func word(id *ID, i int) uint64 { return binary.BigEndian.Uint64(id[i:]) }

// Compare orders IDs as numbers. It returns -1, 0 or 1.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }
