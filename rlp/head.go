package rlp

import (
	"fmt"
	"math/bits"
)

// MaxDepth is how many lists may be nested in one another. Deeper input and
// deeper values are refused with [ErrDepth].
const MaxDepth = 64

// A Kind tells the two kinds of items apart.
type Kind uint8

const (
	// String is a byte string. Integers and booleans are byte strings too.
	String Kind = iota
	// List is a list of items.
	List
)

func (k Kind) String() string {
	if k == List {
		return "list"
	}
	return "string"
}

// The first byte of an item. Yellow paper, appendix B.
const (
	stringBase = 0x80 // up to 0xb7: string of 0 to 55 bytes
	longString = 0xb7 // plus the number of bytes of the size
	listBase   = 0xc0 // up to 0xf7: list of 0 to 55 bytes
	longList   = 0xf7 // plus the number of bytes of the size
	shortMax   = 55   // largest size that fits the first byte
)

var (
	errSizeZeros   = fmt.Errorf("%w: size begins with zeros", ErrCanonical)
	errSizeShort   = fmt.Errorf("%w: short size in long form", ErrCanonical)
	errSingleByte  = fmt.Errorf("%w: byte below 0x80 with a header", ErrCanonical)
	errLeadingZero = fmt.Errorf("%w: integer begins with zeros", ErrCanonical)
	errBool        = fmt.Errorf("%w: boolean is neither 0 nor 1", ErrTooLarge)
)

// parseHead reads the header of the item at the start of b, which must not be
// empty. The payload is b[head : head+size] and is known to lie inside b.
func parseHead(b []byte) (kind Kind, head, size int, err error) {
	switch tag := b[0]; {
	case tag < stringBase:
		return String, 0, 1, nil
	case tag <= longString:
		size = int(tag - stringBase)
		if size >= len(b) {
			return 0, 0, 0, ErrTruncated
		}
		if size == 1 && b[1] < stringBase {
			return 0, 0, 0, errSingleByte
		}
		return String, 1, size, nil
	case tag < listBase:
		head, size, err = parseLong(b, int(tag-longString))
		return String, head, size, err
	case tag <= longList:
		size = int(tag - listBase)
		if size >= len(b) {
			return 0, 0, 0, ErrTruncated
		}
		return List, 1, size, nil
	default:
		head, size, err = parseLong(b, int(tag-longList))
		return List, head, size, err
	}
}

// parseLong reads a size of n bytes, 1 to 8, that follows the first byte of b.
func parseLong(b []byte, n int) (head, size int, err error) {
	head = 1 + n
	if len(b) < head {
		return 0, 0, ErrTruncated
	}
	if b[1] == 0 {
		return 0, 0, errSizeZeros
	}
	var s uint64
	for _, x := range b[1:head] {
		s = s<<8 | uint64(x)
	}
	if s <= shortMax {
		return 0, 0, errSizeShort
	}
	// Compared before it becomes an int, which may have 32 bits.
	if s > uint64(len(b)-head) {
		return 0, 0, ErrTruncated
	}
	return head, int(s), nil
}

// headSize is the number of bytes of the header of a payload of size bytes that
// is not a single byte below 0x80.
func headSize(size int) int {
	if size <= shortMax {
		return 1
	}
	return 1 + byteLen(uint64(size))
}

// appendHead appends a header: base is stringBase or listBase.
func appendHead(b []byte, base byte, size int) []byte {
	if size <= shortMax {
		return append(b, base+byte(size))
	}
	n := byteLen(uint64(size))
	b = append(b, base+shortMax+byte(n))
	return appendBigEndian(b, uint64(size), n)
}

// appendBigEndian appends the low n bytes of v.
func appendBigEndian(b []byte, v uint64, n int) []byte {
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		b = append(b, byte(v>>shift))
	}
	return b
}

// byteLen is the number of bytes of v without leading zeros.
func byteLen(v uint64) int { return (bits.Len64(v) + 7) / 8 }
