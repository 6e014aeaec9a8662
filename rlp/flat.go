package rlp

import (
	"reflect"
	"slices"
	"unsafe"
)

// This file holds all the uses of unsafe in the package. Slices of hashes and of
// integers are most of what peers send each other, and reflection takes several
// times longer to hand out one element than it takes to encode it. So these
// slices are looked at as what they are in memory, and everything else goes
// through reflect. docs/decisions/0002-rlp-type-plans.md

// flat returns the elements of the slice v as a []T over the same memory. The
// element type of v must have T's size and alignment and hold no pointers.
func flat[T uint16 | uint32 | uint64](v reflect.Value) []T {
	return unsafe.Slice((*T)(v.UnsafePointer()), v.Len())
}

// flatArrays returns the elements of v, a slice of byte arrays of size bytes, one
// after the other over the same memory.
func flatArrays(v reflect.Value, size int) []byte {
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Len()*size)
}

// fillFlat makes the elements functions of a slice of integers or byte arrays
// without reflection for each element. It reports whether it knows elem.
func (c *compiler) fillFlat(e *elems, elem reflect.Type) bool {
	if reflect.PointerTo(elem).Implements(appenderType) || reflect.PointerTo(elem).Implements(decoderType) {
		return false
	}
	switch elem.Kind() {
	case reflect.Uint16:
		flatUints[uint16](e)
	case reflect.Uint32:
		flatUints[uint32](e)
	case reflect.Uint64:
		flatUints[uint64](e)
	case reflect.Uint, reflect.Uintptr:
		if elem.Size() == 4 {
			flatUints[uint32](e)
		} else {
			flatUints[uint64](e)
		}
	case reflect.Array:
		if !isByte(elem.Elem()) || elem.Len() < 2 {
			return false // one byte may be an item without a header
		}
		flatBytes(e, elem.Len())
	default:
		return false
	}
	return true
}

func flatUints[T uint16 | uint32 | uint64](e *elems) {
	e.size = func(v reflect.Value, _ int) int {
		n := 0
		for _, x := range flat[T](v) {
			n += UintSize(uint64(x))
		}
		return n
	}
	e.append = func(b []byte, v reflect.Value, _ int) ([]byte, error) {
		for _, x := range flat[T](v) {
			b = AppendUint(b, uint64(x))
		}
		return b, nil
	}
	e.decode = func(c *Cursor, v reflect.Value) error {
		xs := flat[T](v)
		for i := range xs {
			x, err := c.Uint(int(8 * unsafe.Sizeof(xs[i])))
			if err != nil {
				return at(index(i), err)
			}
			xs[i] = T(x)
		}
		return nil
	}
}

// flatBytes is for arrays of size > 1 bytes, whose items all have the same header
// and size: the size and number of the elements need no look at each of them.
func flatBytes(e *elems, size int) {
	head := appendHead(nil, stringBase, size)
	item := len(head) + size
	e.constant = true
	e.size = func(v reflect.Value, _ int) int { return v.Len() * item }
	e.count = func(c *Cursor, limit int) (int, error) {
		if len(c.b)%item != 0 {
			return c.countTo(limit) // there is a wrong element; decode will find it
		}
		return len(c.b) / item, nil
	}
	e.append = func(b []byte, v reflect.Value, _ int) ([]byte, error) {
		in := flatArrays(v, size)
		for ; len(in) > 0; in = in[size:] {
			b = append(b, head...)
			b = append(b, in[:size]...)
		}
		return b, nil
	}
	e.decode = func(c *Cursor, v reflect.Value) error {
		out := flatArrays(v, size)
		for i := range v.Len() {
			if err := c.Fixed(out[i*size : (i+1)*size]); err != nil {
				return at(index(i), err)
			}
		}
		return nil
	}
	if size == hashSize {
		e.append, e.decode = appendHashes, decodeHashes
	}
}

// Most byte arrays are hashes. A size known to the compiler makes a copy of two
// or four moves.
const (
	hashSize = 32
	hashItem = 1 + hashSize
	hashHead = stringBase + hashSize
)

func appendHashes(b []byte, v reflect.Value, _ int) ([]byte, error) {
	in := flatArrays(v, hashSize)
	start, n := len(b), v.Len()*hashItem
	b = slices.Grow(b, n)[:start+n]
	for out := b[start:]; len(out) >= hashItem; out, in = out[hashItem:], in[hashSize:] {
		out[0] = hashHead
		*(*[hashSize]byte)(out[1:]) = *(*[hashSize]byte)(in)
	}
	return b, nil
}

func decodeHashes(c *Cursor, v reflect.Value) error {
	out := flatArrays(v, hashSize)
	for i := 0; len(out) > 0; i, out = i+1, out[hashSize:] {
		if len(c.b) >= hashItem && c.b[0] == hashHead {
			*(*[hashSize]byte)(out) = *(*[hashSize]byte)(c.b[1:])
			c.b = c.b[hashItem:]
		} else if err := c.Fixed(out[:hashSize]); err != nil {
			return at(index(i), err)
		}
	}
	return nil
}
