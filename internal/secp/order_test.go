package secp

import (
	"math/big"
	"testing"
)

// The constants are those of SEC 2.
func TestOrder(t *testing.T) {
	one := big.NewInt(1)
	for _, c := range []struct {
		name string
		got  uint256
		want *big.Int
	}{
		{"order", order, refN},
		{"maxScalar", maxScalar, sub(refN, one)},
		{"halfOrder", halfOrder, new(big.Int).Rsh(refN, 1)},
	} {
		if c.got != load((*[32]byte)(b32(c.want))) {
			t.Errorf("%s = %x, want %x", c.name, c.got, c.want)
		}
	}
}

// A scalar is in range from 1 to the maximum, both included, and a digest is
// reduced from N on. Every limb is the one that decides in one of the cases.
func TestRange(t *testing.T) {
	values := []*big.Int{small(0), small(1), top}
	for _, limit := range []*big.Int{refN, new(big.Int).Rsh(refN, 1)} {
		values = append(values, limit)
		for _, limb := range []uint{0, 64, 128, 192} {
			step := power(limb, 0)
			values = append(values, sub(limit, step), plus(limit, step))
		}
	}
	for _, v := range values {
		if v.BitLen() > 256 { // N + 2^192 is too long
			continue
		}
		b := (*[32]byte)(b32(v))
		for _, limit := range []struct {
			max  *uint256
			want *big.Int
		}{{&maxScalar, sub(refN, small(1))}, {&halfOrder, new(big.Int).Rsh(refN, 1)}} {
			want := v.Sign() > 0 && v.Cmp(limit.want) <= 0
			if got := isScalar(b, limit.max); got != want {
				t.Errorf("isScalar(%x, %x) = %v, want %v", v, limit.want, got, want)
			}
		}
		if got, want := reduce(b), b32(new(big.Int).Mod(v, refN)); got != [32]byte(want) {
			t.Errorf("reduce(%x) = %x, want %x", v, got, want)
		}
	}
}
