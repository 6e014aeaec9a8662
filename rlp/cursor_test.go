package rlp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
)

// unhex reads hex with spaces in it.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// What each method makes of one item: the value, or the error, after which the
// cursor is where it was.
func TestCursorItems(t *testing.T) {
	u64 := func(c *Cursor) (any, error) { return c.Uint64() }
	u8 := func(c *Cursor) (any, error) { return c.Uint(8) }
	u1 := func(c *Cursor) (any, error) { return c.Uint(1) }
	boolean := func(c *Cursor) (any, error) { return c.Bool() }
	str := func(c *Cursor) (any, error) { b, err := c.Bytes(); return string(b), err }
	fixed := func(n int) func(c *Cursor) (any, error) {
		return func(c *Cursor) (any, error) {
			dst := make([]byte, n)
			err := c.Fixed(dst)
			return string(dst), err
		}
	}
	large := func(c *Cursor) (any, error) {
		n, err := c.BigInt()
		if err != nil {
			return nil, err
		}
		return n.String(), nil
	}
	list := func(c *Cursor) (any, error) {
		l, err := c.List()
		return l.Len(), err
	}
	raw := func(c *Cursor) (any, error) { r, err := c.Raw(); return string(r), err }
	skip := func(c *Cursor) (any, error) { return nil, c.Skip() }
	u256 := func(c *Cursor) (any, error) {
		var u Uint256
		err := u.DecodeRLP(c)
		return u.Big().String(), err
	}

	type row struct {
		name string
		read func(*Cursor) (any, error)
		in   string
		want any // value or error
	}
	for _, r := range []row{
		{"uint", u64, "80", uint64(0)},
		{"uint", u64, "01", uint64(1)},
		{"uint", u64, "7f", uint64(127)},
		{"uint", u64, "8180", uint64(128)},
		{"uint", u64, "820100", uint64(256)},
		{"uint", u64, "88ffffffffffffffff", uint64(math.MaxUint64)},
		{"uint", u64, "89010000000000000000", ErrTooLarge},
		{"uint", u64, "00", ErrCanonical},
		{"uint", u64, "8100", ErrCanonical},
		{"uint", u64, "817f", ErrCanonical},
		{"uint", u64, "820001", ErrCanonical},
		{"uint", u64, "8800ffffffffffffff", ErrCanonical},
		{"uint", u64, "b801ff", ErrCanonical},
		{"uint", u64, "c0", ErrExpectedString},
		{"uint", u64, "c101", ErrExpectedString},
		{"uint", u64, "81", ErrTruncated},
		{"uint", u64, "82ff", ErrTruncated},
		{"uint", u64, "", ErrTruncated},
		{"uint8", u8, "81ff", uint64(255)},
		{"uint8", u8, "820100", ErrTooLarge},
		{"uint1", u1, "01", uint64(1)},
		{"uint1", u1, "02", ErrTooLarge},

		{"bool", boolean, "80", false},
		{"bool", boolean, "01", true},
		{"bool", boolean, "02", ErrTooLarge},
		{"bool", boolean, "00", ErrCanonical},
		{"bool", boolean, "c0", ErrExpectedString},

		{"bytes", str, "80", ""},
		{"bytes", str, "00", "\x00"},
		{"bytes", str, "8180", "\x80"},
		{"bytes", str, "83646f67", "dog"},
		{"bytes", str, "b838" + strings.Repeat("61", 56), strings.Repeat("a", 56)},
		{"bytes", str, "b7" + strings.Repeat("61", 55), strings.Repeat("a", 55)},
		{"bytes", str, "b837" + strings.Repeat("61", 55), ErrCanonical},
		{"bytes", str, "b90038" + strings.Repeat("61", 56), ErrCanonical},
		{"bytes", str, "b838" + strings.Repeat("61", 55), ErrTruncated},
		{"bytes", str, "b8", ErrTruncated},
		{"bytes", str, "c3010203", ErrExpectedString},

		{"fixed", fixed(3), "83646f67", "dog"},
		{"fixed", fixed(2), "83646f67", ErrSize},
		{"fixed", fixed(4), "83646f67", ErrSize},
		{"fixed", fixed(1), "61", "a"},
		{"fixed", fixed(1), "80", ErrSize},
		{"fixed", fixed(0), "80", ""},
		{"fixed", fixed(1), "8161", ErrCanonical},
		{"fixed", fixed(1), "c161", ErrExpectedString},

		{"bigint", large, "80", "0"},
		{"bigint", large, "89010000000000000000", "18446744073709551616"},
		{"bigint", large, "8200ff", ErrCanonical},
		{"bigint", large, "c0", ErrExpectedString},

		{"uint256", u256, "80", "0"},
		{"uint256", u256, "820400", "1024"},
		{"uint256", u256, "a0" + strings.Repeat("ff", 32), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).String()},
		{"uint256", u256, "a101" + strings.Repeat("00", 32), ErrTooLarge},
		{"uint256", u256, "8200ff", ErrCanonical},

		{"list", list, "c0", 0},
		{"list", list, "c3010203", 3},
		{"list", list, "f838" + strings.Repeat("01", 56), 56},
		{"list", list, "f837" + strings.Repeat("01", 55), ErrCanonical},
		{"list", list, "f90038" + strings.Repeat("01", 56), ErrCanonical},
		{"list", list, "c30102", ErrTruncated},
		{"list", list, "80", ErrExpectedList},
		{"list", list, "00", ErrExpectedList},

		{"raw", raw, "c3010203", string(unhex("c3010203"))},
		{"raw", raw, "05", "\x05"},
		{"raw", raw, "8105", ErrCanonical},
		{"skip", skip, "c3010203", nil},
		{"skip", skip, "c301", ErrTruncated},
	} {
		in := unhex(r.in)
		for _, after := range []int{0, 1} { // more input does not matter if the item is complete
			b := append(bytes.Clone(in), make([]byte, after)...)
			c := NewCursor(b)
			got, err := r.read(&c)
			if want, ok := r.want.(error); ok {
				if after == 1 && errors.Is(want, ErrTruncated) {
					continue
				}
				if !errors.Is(err, want) {
					t.Errorf("%s of %s: error %v, want %v", r.name, r.in, err, want)
				}
				if c.Len() != len(b) {
					t.Errorf("%s of %s: cursor moved by %d bytes on an error", r.name, r.in, len(b)-c.Len())
				}
				continue
			}
			if err != nil || got != r.want {
				t.Errorf("%s of %s = %v, %v; want %v", r.name, r.in, got, err, r.want)
			}
			if c.Len() != after {
				t.Errorf("%s of %s: %d bytes left, want %d", r.name, r.in, c.Len(), after)
			}
		}
	}
}

// A list is read item by item; its end and what is missing have their own errors,
// other than those outside of a list.
func TestCursorList(t *testing.T) {
	c := NewCursor(unhex("c4 01 82ffff 05"))
	l, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Count(); n != 2 || err != nil {
		t.Errorf("Count = %d, %v; want 2", n, err)
	}
	if kind, size, err := l.Kind(); kind != String || size != 1 || err != nil {
		t.Errorf("Kind = %v, %d, %v; want string, 1", kind, size, err)
	}
	if v, err := l.Uint64(); v != 1 || err != nil {
		t.Errorf("first = %d, %v; want 1", v, err)
	}
	if err := l.End(); !errors.Is(err, ErrTooManyElements) {
		t.Errorf("End before the end = %v, want %v", err, ErrTooManyElements)
	}
	if v, err := l.Uint64(); v != 0xffff || err != nil {
		t.Errorf("second = %x, %v; want ffff", v, err)
	}
	if _, err := l.Uint64(); !errors.Is(err, ErrTooFewElements) || l.More() || l.End() != nil {
		t.Errorf("behind the end: %v, More %v, End %v; want %v, false, nil", err, l.More(), l.End(), ErrTooFewElements)
	}
	if err := c.End(); !errors.Is(err, ErrTrailing) {
		t.Errorf("End = %v, want %v", err, ErrTrailing)
	}
	if err := c.Skip(); err != nil || c.End() != nil {
		t.Errorf("Skip, End = %v, %v; want nil", err, c.End())
	}
	// An item may not reach over the end of its list.
	c = NewCursor(unhex("c2 82ff ff"))
	l, _ = c.List()
	if _, err := l.Bytes(); !errors.Is(err, ErrTruncated) {
		t.Errorf("item longer than its list: %v, want %v", err, ErrTruncated)
	}
	if _, err := l.Count(); !errors.Is(err, ErrTruncated) {
		t.Errorf("Count of it: %v, want %v", err, ErrTruncated)
	}
}

// What the cursor returns is part of the input, and appending to it does not
// write there.
func TestCursorAliases(t *testing.T) {
	in := unhex("c983646f678363617405 07")
	c := NewCursor(in)
	l, _ := c.List()
	dog, _ := l.Bytes()
	raw, _ := l.Raw()
	_ = append(dog, 'X')
	_ = append(raw, 'X')
	if !bytes.Equal(in, unhex("c983646f678363617405 07")) {
		t.Errorf("append changed the input to %x", in)
	}
	in[2] = 'h'
	if string(dog) != "hog" {
		t.Errorf("string is %q, a copy; want the input's bytes", dog)
	}
}

// The cursor does not allocate, whether the input is right or wrong.
func TestCursorAllocs(t *testing.T) {
	in := unhex("d8 05 01 83646f67 820400 c3010203 88ffffffffffffffff 8100")
	in[0] = listBase + byte(len(in)-1)
	var dog [3]byte
	if n := testing.AllocsPerRun(100, func() {
		c := NewCursor(in)
		l, _ := c.List()
		l.Uint64()
		l.Bool()
		l.Fixed(dog[:])
		l.Uint(16)
		l.Count()
		inner, _ := l.List()
		inner.Skip()
		inner.Raw()
		l.Uint64()
		if _, err := l.Bytes(); err == nil {
			t.Fatal("8100 accepted")
		}
		l.Uint64()
		l.End()
		Valid(in)
	}); n != 0 {
		t.Errorf("cursor allocates %v times, want 0", n)
	}
}

// Valid looks into lists, where Raw does not.
func TestValid(t *testing.T) {
	deep := func(n int) string {
		b := []byte{listBase}
		for range n - 1 {
			b = append(AppendList(nil, len(b)), b...)
		}
		return hex.EncodeToString(b)
	}
	for _, r := range []struct {
		in   string
		want error
	}{
		{"80", nil},
		{"c0", nil},
		{"c7c0c1c0c3c0c1c0", nil},
		{"c4c0c0c080", nil},
		{"", ErrTruncated},
		{"8080", ErrTrailing},
		{"c080", ErrTrailing},
		{"c2c180", nil},
		{"c2c280", ErrTruncated}, // reaches over the end of the outer list
		{"c3c28080", nil},
		{"c3c18080", nil},
		{"c28100", ErrCanonical},
		{"c3c3c281", ErrTruncated},
		{"c4c3c28100", ErrCanonical},
		{"c4c3c08100", ErrCanonical},
		{deep(64), nil},
		{deep(65), ErrDepth},
		{deep(5000), ErrDepth},
	} {
		if err := Valid(unhex(r.in)); !errors.Is(err, r.want) || (err == nil) != (r.want == nil) {
			t.Errorf("Valid(%.40s) = %v, want %v", r.in, err, r.want)
		}
	}
}
