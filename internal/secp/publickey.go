package secp

import (
	"errors"
	"fmt"
)

// ErrPublicKey is the cause of every error about a public key.
var ErrPublicKey = errors.New("secp: invalid public key")

// Strangers choose these, so they are made once and cost nothing to return.
var (
	errOffCurve = fmt.Errorf("%w: not a point of the curve", ErrPublicKey)
	errFormat   = fmt.Errorf("%w: unknown format byte", ErrPublicKey)
)

// PublicKey is a point of the curve as X‖Y, both big endian. A value that this
// package returned without an error is a valid point; the zero value is no key.
//
// Any 64 bytes can be converted to a PublicKey, so whatever takes one checks it
// again (0.3 µs). Keys can be compared with == and used in maps.
type PublicKey [64]byte

// ParsePublicKey reads a key in one of the forms in which devp2p sends it: 64
// bytes X‖Y (RLPx, discovery v4), 33 bytes compressed, 02 or 03 and X (ENR), or
// 65 bytes uncompressed, 04 and X‖Y (ECIES); SEC 1, section 2.3.3.
//
// It refuses, with an error that is ErrPublicKey, coordinates that are not below
// P, points off the curve, the point at infinity and the hybrid forms 06 and 07.
func ParsePublicKey(b []byte) (PublicKey, error) {
	var pub PublicKey
	switch len(b) {
	case 33:
		if b[0] != 2 && b[0] != 3 {
			return PublicKey{}, errFormat
		}
		point, ok := decompress((*[33]byte)(b))
		if !ok {
			return PublicKey{}, errOffCurve
		}
		return point, nil
	case 64:
		pub = PublicKey(b)
	case 65:
		if b[0] != 4 {
			return PublicKey{}, errFormat
		}
		pub = PublicKey(b[1:])
	default:
		return PublicKey{}, fmt.Errorf("%w: %d bytes instead of 33, 64 or 65", ErrPublicKey, len(b))
	}
	if !onCurve(&pub) {
		return PublicKey{}, errOffCurve
	}
	return pub, nil
}

// Compress returns the 33-byte form: 02 if Y is even, 03 if it is odd, then X.
// It does not check that p is valid.
func (p PublicKey) Compress() [33]byte {
	var b [33]byte
	b[0] = 2 | p[63]&1
	copy(b[1:], p[:32])
	return b
}

// IsZero reports whether p is the zero value, which stands for no key.
func (p PublicKey) IsZero() bool { return p == PublicKey{} }
