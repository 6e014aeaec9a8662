package secp

import (
	"encoding/binary"
	"math/bits"
)

// uint256 is an unsigned number, least significant limb first.
type uint256 [4]uint64

// N, the number of points of the curve (SEC 2, section 2.4.1), the largest
// scalar N-1, and N/2 rounded down, the largest s of a signature that has not
// been negated.
var (
	order     = uint256{0xbfd25e8cd0364141, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff}
	maxScalar = uint256{0xbfd25e8cd0364140, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff}
	halfOrder = uint256{0xdfe92f46681b20a0, 0x5d576e7357a4501d, 0xffffffffffffffff, 0x7fffffffffffffff}
)

func load(b *[32]byte) uint256 {
	return uint256{
		binary.BigEndian.Uint64(b[24:]),
		binary.BigEndian.Uint64(b[16:]),
		binary.BigEndian.Uint64(b[8:]),
		binary.BigEndian.Uint64(b[:]),
	}
}

// minus returns x-y modulo 2^256 and 1 if y > x, else 0. Constant time.
func (x uint256) minus(y *uint256) (diff uint256, borrow uint64) {
	for i := range x {
		diff[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	return diff, borrow
}

// isScalar reports whether b is in 1..limit. Only the answer depends on the value,
// not the time it takes, because b may be a secret.
func isScalar(b *[32]byte, limit *uint256) bool {
	x := load(b)
	_, above := limit.minus(&x)
	return x[0]|x[1]|x[2]|x[3] != 0 && above == 0
}

// reduce returns digest modulo N, which is what ECDSA signs (RFC 6979, section
// 2.3.4). N exceeds 2^255, so it is subtracted at most once.
func reduce(digest *[32]byte) [32]byte {
	diff, below := load(digest).minus(&order)
	if below == 1 {
		return *digest
	}
	var b [32]byte
	binary.BigEndian.PutUint64(b[24:], diff[0])
	binary.BigEndian.PutUint64(b[16:], diff[1])
	binary.BigEndian.PutUint64(b[8:], diff[2])
	binary.BigEndian.PutUint64(b[:], diff[3])
	return b
}
