package rlp

import (
	"bytes"
	"math/big"
)

// Uint256 is an unsigned integer of 256 bits, big endian. As an item it is an
// integer: no leading zeros, zero is the empty byte string.
type Uint256 [32]byte

// AppendRLP implements [Appender].
func (u *Uint256) AppendRLP(b []byte) ([]byte, error) {
	return AppendBytes(b, u.trimmed()), nil
}

// DecodeRLP implements [Decoder]. An integer of more than 32 bytes is
// [ErrTooLarge].
func (u *Uint256) DecodeRLP(c *Cursor) error {
	before := c.b
	s, err := c.integer()
	if err != nil {
		return err
	}
	if len(s) > len(u) {
		c.b = before
		return ErrTooLarge
	}
	*u = Uint256{}
	copy(u[len(u)-len(s):], s)
	return nil
}

// Big returns the value as a big.Int.
func (u *Uint256) Big() *big.Int { return new(big.Int).SetBytes(u[:]) }

// trimmed is u without its leading zeros.
func (u *Uint256) trimmed() []byte { return bytes.TrimLeft(u[:], "\x00") }
