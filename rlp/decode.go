package rlp

import (
	"fmt"
	"math/big"
	"reflect"
)

// A Decoder decodes itself. Decode calls DecodeRLP on a pointer to the value, in
// place of the rules for its type. DecodeRLP reads exactly one item from c; the
// cursor ends with the list around that item. It must not keep c, and it must
// copy what it keeps of the bytes that c returns.
//
// [Cursor.Decode] and the list cursors made from c share the memory allowance of
// the Decode call. What DecodeRLP allocates itself is its own responsibility.
type Decoder interface {
	DecodeRLP(c *Cursor) error
}

// Decode decodes b, which must be exactly one item, into the value that v, a
// pointer, points to. It overwrites that value; everything the value refers to
// afterwards is new, except that a [Raw] refers to b.
//
// What Decode allocates is at most twice len(b) and 64 KiB. Input that needs more
// is refused with [ErrMemory] before it is allocated: think of ten million empty
// strings as a []string. Whether input is accepted depends on the input and the
// type of v only. [DecodeLimit] sets another bound.
//
// If Decode fails, it returns an [*Error], and the value may be partly decoded.
func Decode(b []byte, v any) error {
	return decodeWith(b, v, newMemory(len(b)))
}

// DecodeLimit is Decode with a bound of limit bytes on what it allocates. It is
// for types that take much more memory than their encodings, such as lists of
// small integers, from senders who are known.
func DecodeLimit(b []byte, v any, limit int) error {
	return decodeWith(b, v, memory{left: max(limit, 0)})
}

func decodeWith(b []byte, v any, m memory) error {
	rv, err := target(v)
	if err != nil {
		return err
	}
	c := newState(b, m)
	if err = planOf(rv.Type()).decode(c, rv); err == nil {
		err = c.End()
	}
	if err != nil {
		return rooted("decode", rv.Type(), err)
	}
	return nil
}

// Decode reads one item into the value that v, a pointer, points to, by the rules
// of the function [Decode]. A cursor given to a [Decoder] shares the memory
// allowance of the Decode call; any other allows each item twice its size and
// 64 KiB.
func (c *Cursor) Decode(v any) error {
	rv, err := target(v)
	if err != nil {
		return err
	}
	lent := c.lend()
	if err := planOf(rv.Type()).decode(lent, rv); err != nil {
		return rooted("decode", rv.Type(), err)
	}
	c.b = lent.b
	lent.mem.idle = append(lent.mem.idle, lent)
	return nil
}

// lend returns a copy of c on the heap, where the plans and methods of other
// packages may point to it, so that c itself can stay on the stack of a
// DecodeRLP that is called for each element of a long list.
func (c *Cursor) lend() *Cursor {
	if c.mem == nil {
		size := 0
		if _, head, payload, err := c.head(); err == nil {
			size = head + payload
		}
		lent := newState(c.b, newMemory(size))
		lent.depth = c.depth
		return lent
	}
	lent := c.mem.borrow()
	*lent = *c
	return lent
}

// newState returns a cursor over b with an allowance, in one allocation.
func newState(b []byte, m memory) *Cursor {
	s := &struct {
		cursor Cursor
		mem    memory
	}{Cursor{b: b}, m}
	s.cursor.mem = &s.mem
	return &s.cursor
}

// target returns the value that v points to.
func target(v any) (reflect.Value, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return rv, &Error{Op: "decode", Path: fmt.Sprintf("%T", v), Err: errTarget}
	}
	return rv.Elem(), nil
}

var errTarget = fmt.Errorf("%w: not a pointer, or nil", ErrValue)

func sizeError(got, want int) error {
	return fmt.Errorf("%w: %d bytes, want %d", ErrSize, got, want)
}

func decodeBool(c *Cursor, v reflect.Value) error {
	x, err := c.Bool()
	v.SetBool(x)
	return err
}

func decodeUint(bits int) func(*Cursor, reflect.Value) error {
	return func(c *Cursor, v reflect.Value) error {
		x, err := c.Uint(bits)
		v.SetUint(x)
		return err
	}
}

func decodeString(c *Cursor, v reflect.Value) error {
	s, err := c.Bytes()
	if err != nil {
		return err
	}
	if err := c.mem.charge(len(s), 1); err != nil {
		return err
	}
	v.SetString(string(s))
	return nil
}

func decodeBytes(c *Cursor, v reflect.Value) error {
	s, err := c.Bytes()
	if err != nil {
		return err
	}
	if err := c.mem.charge(len(s), 1); err != nil {
		return err
	}
	fresh := make([]byte, len(s)) // not nil, even if it is empty
	copy(fresh, s)
	v.SetBytes(fresh)
	return nil
}

func decodeByteArray(c *Cursor, v reflect.Value) error { return c.Fixed(v.Bytes()) }

func decodeRaw(c *Cursor, v reflect.Value) error {
	item, err := c.Raw()
	v.SetBytes(item)
	return err
}

// bigIntWords is more than what a big.Int allocates beyond the bytes of its
// value: it rounds up to words and keeps up to four in reserve.
const bigIntWords = 5 * 8

func decodeBigInt(c *Cursor, v reflect.Value) error {
	s, err := c.integer()
	if err != nil {
		return err
	}
	if len(s) > 0 {
		if err := c.mem.charge(len(s)+bigIntWords, 1); err != nil {
			return err
		}
	}
	x := bigIntOf(v)
	*x = big.Int{} // SetBytes would reuse words that a copy of x may share
	x.SetBytes(s)
	return nil
}

func decodeUint256(c *Cursor, v reflect.Value) error { return uint256Of(v).DecodeRLP(c) }

// decodeSelf leaves the item to the value's own method.
func decodeSelf(c *Cursor, v reflect.Value) error {
	_, head, size, err := c.head()
	if err != nil {
		return err
	}
	before := *c
	if err := v.Addr().Interface().(Decoder).DecodeRLP(c); err != nil {
		return err
	}
	if len(c.b) != len(before.b)-head-size || c.depth != before.depth {
		return ErrDecoder
	}
	return nil
}
