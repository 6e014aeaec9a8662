package rlp

import "math/big"

// A Cursor reads items one after the other from a byte slice. It accepts
// canonical encodings only and, but for BigInt and Decode, allocates nothing:
// what it returns refers to the bytes it was given.
//
// A method that fails leaves the cursor where it was. A Cursor is a small value;
// a copy reads on independently.
type Cursor struct {
	b     []byte  // what is left to read
	depth int     // lists around b
	mem   *memory // what decoding may still allocate; nil outside of Decode
}

// NewCursor returns a cursor over the items in b, of which there may be any
// number. End tells that all were read.
func NewCursor(b []byte) Cursor { return Cursor{b: b} }

// More reports whether anything is left to read.
func (c *Cursor) More() bool { return len(c.b) > 0 }

// Len is the number of bytes left to read.
func (c *Cursor) Len() int { return len(c.b) }

// End returns nil if everything was read, and otherwise [ErrTooManyElements]
// in a list, [ErrTrailing] outside.
func (c *Cursor) End() error {
	switch {
	case len(c.b) == 0:
		return nil
	case c.depth > 0:
		return ErrTooManyElements
	}
	return ErrTrailing
}

// head reads the next header without moving.
func (c *Cursor) head() (kind Kind, head, size int, err error) {
	if len(c.b) == 0 {
		if c.depth > 0 {
			return 0, 0, 0, ErrTooFewElements
		}
		return 0, 0, 0, ErrTruncated
	}
	return parseHead(c.b)
}

// Kind returns the kind of the next item and the size of its payload in bytes.
// It does not move the cursor.
func (c *Cursor) Kind() (kind Kind, size int, err error) {
	kind, _, size, err = c.head()
	return kind, size, err
}

// Bytes reads a byte string. The result aliases the input; its capacity ends
// with it, so appending to it copies.
func (c *Cursor) Bytes() ([]byte, error) {
	kind, head, size, err := c.head()
	if err != nil {
		return nil, err
	}
	if kind != String {
		return nil, ErrExpectedString
	}
	s := c.b[head : head+size : head+size]
	c.b = c.b[head+size:]
	return s, nil
}

// Fixed reads a byte string of exactly len(dst) bytes into dst. Another length
// is [ErrSize], and dst keeps its content.
func (c *Cursor) Fixed(dst []byte) error {
	before := c.b
	s, err := c.Bytes()
	if err != nil {
		return err
	}
	if len(s) != len(dst) {
		c.b = before
		return sizeError(len(s), len(dst))
	}
	copy(dst, s)
	return nil
}

// Uint64 reads an integer of at most 64 bits. A larger one is [ErrTooLarge].
func (c *Cursor) Uint64() (uint64, error) { return c.Uint(64) }

// Uint reads an integer of at most the given number of bits, 1 to 64. A larger
// one is [ErrTooLarge].
func (c *Cursor) Uint(bits int) (uint64, error) {
	if v, n := shortUint(c.b); n > 0 && v>>(bits-1)>>1 == 0 {
		c.b = c.b[n:]
		return v, nil
	}
	// Zero, or an error to be named.
	before := c.b
	s, err := c.integer()
	if err != nil {
		return 0, err
	}
	if len(s) > 0 {
		c.b = before
		return 0, ErrTooLarge
	}
	return 0, nil
}

// shortUint reads the canonical encoding of an integer above zero of at most
// eight bytes. It returns the integer and the number of bytes it takes, or no
// bytes if b begins with anything else.
func shortUint(b []byte) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 || b[0] > stringBase+8 {
		return 0, 0
	}
	if b[0] < stringBase {
		return uint64(b[0]), 1
	}
	n = 1 + int(b[0]-stringBase)
	if len(b) < n || n == 1 || b[1] == 0 || n == 2 && b[1] < stringBase {
		return 0, 0
	}
	for _, x := range b[1:n] {
		v = v<<8 | uint64(x)
	}
	return v, n
}

// integer reads a byte string without leading zeros.
func (c *Cursor) integer() ([]byte, error) {
	before := c.b
	s, err := c.Bytes()
	if err != nil {
		return nil, err
	}
	if len(s) > 0 && s[0] == 0 {
		c.b = before
		return nil, errLeadingZero
	}
	return s, nil
}

// Bool reads the integer 0 or 1.
func (c *Cursor) Bool() (bool, error) {
	before := c.b
	v, err := c.Uint64()
	if err != nil {
		return false, err
	}
	if v > 1 {
		c.b = before
		return false, errBool
	}
	return v == 1, nil
}

// BigInt reads an integer of any size into a new big.Int.
func (c *Cursor) BigInt() (*big.Int, error) {
	s, err := c.integer()
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(s), nil
}

// List reads a list and returns a cursor over its items. The cursor it is called
// on moves past the whole list at once, so a caller that wants each item to be
// read calls End on the result.
func (c *Cursor) List() (Cursor, error) {
	kind, head, size, err := c.head()
	if err != nil {
		return Cursor{}, err
	}
	if kind != List {
		return Cursor{}, ErrExpectedList
	}
	if c.depth >= MaxDepth {
		return Cursor{}, ErrDepth
	}
	items := Cursor{b: c.b[head : head+size : head+size], depth: c.depth + 1, mem: c.mem}
	c.b = c.b[head+size:]
	return items, nil
}

// Raw reads one item of either kind and returns it with its header. The result
// aliases the input. Only its own header is checked; [Valid] checks the items
// inside of a list too.
func (c *Cursor) Raw() (Raw, error) {
	_, head, size, err := c.head()
	if err != nil {
		return nil, err
	}
	item := Raw(c.b[: head+size : head+size])
	c.b = c.b[head+size:]
	return item, nil
}

// Skip moves past one item of either kind, checking no more than Raw does.
func (c *Cursor) Skip() error {
	_, err := c.Raw()
	return err
}

// Count returns how many items are left, from their headers, without moving.
func (c *Cursor) Count() (int, error) { return c.countTo(maxInt) }

// countTo is Count, but stops when there are more than limit items.
func (c *Cursor) countTo(limit int) (int, error) {
	n := 0
	for b := c.b; len(b) > 0 && n <= limit; n++ {
		_, head, size, err := parseHead(b)
		if err != nil {
			return 0, err
		}
		b = b[head+size:]
	}
	return n, nil
}
