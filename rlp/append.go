package rlp

import (
	"math/big"
	"slices"
)

// AppendUint appends v as an integer: big endian without leading zeros.
func AppendUint(b []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(b, stringBase)
	case v < stringBase:
		return append(b, byte(v))
	case v < 1<<8:
		return append(b, stringBase+1, byte(v))
	case v < 1<<16:
		return append(b, stringBase+2, byte(v>>8), byte(v))
	}
	n := byteLen(v)
	b = append(b, stringBase+byte(n))
	return appendBigEndian(b, v, n)
}

// AppendBytes appends v as a byte string.
func AppendBytes(b, v []byte) []byte {
	if len(v) == 1 && v[0] < stringBase {
		return append(b, v[0])
	}
	return append(appendHead(b, stringBase, len(v)), v...)
}

// AppendString appends s as a byte string.
func AppendString(b []byte, s string) []byte {
	if len(s) == 1 && s[0] < stringBase {
		return append(b, s[0])
	}
	return append(appendHead(b, stringBase, len(s)), s...)
}

// AppendBool appends v as the integer 1 or 0.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, stringBase)
}

// AppendBigInt appends v as an integer of any size. A nil v is written as zero.
// A negative v is an error that wraps [ErrNegative], and b is returned as given.
func AppendBigInt(b []byte, v *big.Int) ([]byte, error) {
	if v == nil {
		return append(b, stringBase), nil
	}
	if v.Sign() < 0 {
		return b, ErrNegative
	}
	if v.IsUint64() {
		return AppendUint(b, v.Uint64()), nil
	}
	n := (v.BitLen() + 7) / 8
	b = slices.Grow(appendHead(b, stringBase, n), n)
	v.FillBytes(b[len(b) : len(b)+n])
	return b[:len(b)+n], nil
}

// AppendList appends the header of a list whose items take payload bytes. The
// caller appends the items; [UintSize] and the others tell their sizes.
func AppendList(b []byte, payload int) []byte {
	return appendHead(b, listBase, payload)
}

// UintSize is the number of bytes that [AppendUint] appends.
func UintSize(v uint64) int {
	if v < stringBase {
		return 1
	}
	return 1 + byteLen(v)
}

// BytesSize is the number of bytes that [AppendBytes] appends.
func BytesSize(v []byte) int {
	if len(v) == 1 && v[0] < stringBase {
		return 1
	}
	return headSize(len(v)) + len(v)
}

// StringSize is the number of bytes that [AppendString] appends.
func StringSize(s string) int {
	if len(s) == 1 && s[0] < stringBase {
		return 1
	}
	return headSize(len(s)) + len(s)
}

// BigIntSize is the number of bytes that [AppendBigInt] appends for v, which
// must not be negative.
func BigIntSize(v *big.Int) int {
	if v == nil {
		return 1
	}
	n := v.BitLen()
	if n <= 7 {
		return 1
	}
	n = (n + 7) / 8
	return headSize(n) + n
}

// ListSize is the number of bytes of a list, header included, whose items take
// payload bytes.
func ListSize(payload int) int { return headSize(payload) + payload }

// openList appends room for the header of a list of unknown size and returns
// where its items begin.
func openList(b []byte) (_ []byte, start int) {
	b = append(b, listBase)
	return b, len(b)
}

// closeList completes a list begun by openList. A size of more than one byte
// needs more room than was left, so the items move up: cheaper than measuring
// each list before writing it, because nested lists would be measured again at
// every level.
func closeList(b []byte, start int) []byte {
	size := len(b) - start
	if size <= shortMax {
		b[start-1] = listBase + byte(size)
		return b
	}
	n := byteLen(uint64(size))
	b = append(b, make([]byte, n)...)
	copy(b[start+n:], b[start:])
	b[start-1] = longList + byte(n)
	appendBigEndian(b[:start], uint64(size), n)
	return b
}
