package rlp

import (
	"bytes"
	"errors"
	"testing"
)

// seed adds inputs that reach most of the decoder.
func seed(f *testing.F) {
	for _, s := range []string{
		"80", "c0", "05", "8180", "820400", "83646f67", "c20102", "c3010203", "c7c0c1c0c3c0c1c0", "8100", "b800", "f800", "00",
		"c6827a77c10401", "c801c6c202c0c203c0", "c601c402c203c0", "c880c0c08080c08080", "c40180c103", "c50162c10280",
		"bf0f000000000000021111", "ff0f000000000000021111", "89010000000000000000",
	} {
		f.Add(unhex(s))
	}
	for _, v := range []any{
		newAnnouncement(3), [][32]byte{{1}, {2}}, []uint64{0, 1, 1 << 40}, tree{1, []tree{{2, nil}}}, make([][]byte, 300), nested(66),
	} {
		b, ok := v.([]byte)
		if !ok {
			b, _ = Encode(v)
		}
		f.Add(b)
	}
}

// Decoding and encoding again gives the same bytes for every type whose values
// have one encoding, and a stable result for the others.
func FuzzRoundTrip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, target := range strictTargets() {
			if out, ok := reencode(t, in, target); ok && !bytes.Equal(out, in) {
				t.Fatalf("%T: Decode(%x), then Encode = %x", target, in, out)
			} else if ok && Valid(in) != nil {
				t.Fatalf("%T: Decode accepts %x, Valid says %v", target, in, Valid(in))
			}
		}
		for _, target := range rawTargets() {
			if out, ok := reencode(t, in, target); ok && !bytes.Equal(out, in) {
				t.Fatalf("%T: Decode(%x), then Encode = %x", target, in, out)
			}
		}
		for _, target := range looseTargets() {
			out, ok := reencode(t, in, target)
			if !ok {
				continue
			}
			if again, ok := reencode(t, out, target); !ok || !bytes.Equal(again, out) {
				t.Fatalf("%T: %x, then %x, then %x", target, in, out, again)
			}
		}
	})
}

// reencode decodes in and encodes the result. It reports whether in was accepted.
func reencode(t *testing.T, in []byte, target any) ([]byte, bool) {
	t.Helper()
	if err := DecodeLimit(in, target, 1<<20); err != nil {
		if e, ok := errors.AsType[*Error](err); !ok || e.Op != "decode" || e.Path == "" {
			t.Fatalf("%T: error %v is not an *Error with a path", target, err)
		}
		return nil, false
	}
	out, err := Encode(target)
	if err != nil {
		t.Fatalf("%T: what is decoded from %x cannot be encoded: %v", target, in, err)
	}
	return out, true
}

// Decoding allocates no more than it is allowed, and the 8 KiB left for the call.
func FuzzMemory(f *testing.F) {
	seed(f)
	f.Add(list(bytes.Repeat([]byte{0x80}, 1000)))
	f.Add(list(bytes.Repeat([]byte{0xc1, 0x80}, 500)))
	warm()
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, target := range targets() {
			limit := 4 * len(in)
			got := allocated(limit+8<<10, func() { _ = DecodeLimit(in, target, limit) })
			if got > limit+8<<10 {
				t.Fatalf("%T: %d bytes for an input of %d, limit %d", target, got, len(in), limit)
			}
		}
	})
}

// The cursor and Valid agree on what is an item.
func FuzzCursor(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		c := NewCursor(in)
		err := walk(t, &c)
		if err == nil {
			err = c.End()
		}
		if valid := Valid(in); (valid == nil) != (err == nil) {
			t.Fatalf("%x: cursor says %v, Valid %v", in, err, valid)
		}
	})
}

// walk reads one item to its depth.
func walk(t *testing.T, c *Cursor) error {
	kind, size, err := c.Kind()
	if err != nil {
		return err
	}
	before := *c
	if kind == String {
		s, err := c.Bytes()
		if err != nil || len(s) != size {
			t.Fatalf("Kind says %d bytes, Bytes %x, %v", size, s, err)
		}
		again := before
		if v, err := again.Uint64(); err == nil && !bytes.Equal(AppendUint(nil, v), AppendBytes(nil, s)) {
			t.Fatalf("%x read as %d", s, v)
		} else if err == nil != (len(s) <= 8 && (len(s) == 0 || s[0] != 0)) {
			t.Fatalf("%x read as an integer: %v", s, err)
		}
		return nil
	}
	items, err := c.List()
	if err != nil {
		return err
	}
	n, countErr := items.Count()
	read := 0
	for ; items.More(); read++ {
		if err := walk(t, &items); err != nil {
			return err
		}
	}
	if countErr != nil || n != read {
		t.Fatalf("Count = %d, %v; read %d", n, countErr, read)
	}
	return nil
}
