package rlp

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
)

// Each writer appends behind what is there, as many bytes as its Size function
// says, and the cursor reads the value back.
func TestAppendUint(t *testing.T) {
	values := []uint64{0, 1, 127, 128, 255, 256}
	for shift := 16; shift < 64; shift += 8 {
		values = append(values, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for _, v := range append(values, math.MaxUint64) {
		b := AppendUint([]byte("x"), v)
		if b[0] != 'x' || len(b)-1 != UintSize(v) {
			t.Errorf("AppendUint(%d) = %x; UintSize %d", v, b, UintSize(v))
		}
		c := NewCursor(b[1:])
		if got, err := c.Uint64(); got != v || err != nil || c.More() {
			t.Errorf("%d reads back as %d, %v", v, got, err)
		}
		same, err := AppendBigInt(nil, new(big.Int).SetUint64(v))
		if err != nil || !bytes.Equal(same, b[1:]) {
			t.Errorf("AppendBigInt(%d) = %x, %v; want %x", v, same, err, b[1:])
		}
		if n := BigIntSize(new(big.Int).SetUint64(v)); n != len(same) {
			t.Errorf("BigIntSize(%d) = %d, want %d", v, n, len(same))
		}
	}
}

func TestAppendBytes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 54, 55, 56, 57, 255, 256, 1<<16 - 1, 1 << 16, 1 << 24} {
		fills := []string{"\x00", "\x7f", "\x80", "\xff"}
		if n > 1<<16 {
			fills = fills[:1]
		}
		for _, fill := range fills {
			s := strings.Repeat(fill, n)
			b := AppendBytes([]byte("x"), []byte(s))
			if b[0] != 'x' || len(b)-1 != BytesSize([]byte(s)) || len(b)-1 != StringSize(s) {
				t.Errorf("%d × %x takes %d bytes; BytesSize %d, StringSize %d", n, fill, len(b)-1, BytesSize([]byte(s)), StringSize(s))
			}
			if !bytes.Equal(b, AppendString([]byte("x"), s)) {
				t.Errorf("%d × %x: AppendString and AppendBytes differ", n, fill)
			}
			c := NewCursor(b[1:])
			if got, err := c.Bytes(); string(got) != s || err != nil || c.More() {
				t.Errorf("%d × %x reads back as %d bytes, %v", n, fill, len(got), err)
			}
			l := append(AppendList([]byte("x"), len(b)-1), b[1:]...)
			if len(l)-1 != ListSize(len(b)-1) {
				t.Errorf("list of %d bytes takes %d; ListSize %d", len(b)-1, len(l)-1, ListSize(len(b)-1))
			}
			if err := Valid(l[1:]); err != nil {
				t.Errorf("list of %d bytes: %v", len(b)-1, err)
			}
			open, start := openList([]byte("x"))
			if closed := closeList(append(open, b[1:]...), start); !bytes.Equal(closed, l) {
				t.Errorf("list of %d bytes: closeList and AppendList differ", len(b)-1)
			}
		}
	}
}

func TestAppendBool(t *testing.T) {
	if b := AppendBool(AppendBool(nil, true), false); !bytes.Equal(b, unhex("0180")) {
		t.Errorf("AppendBool = %x, want 0180", b)
	}
}

func TestAppendBigInt(t *testing.T) {
	for _, bits := range []uint{64, 65, 127, 128, 255, 256, 440, 441, 5000} {
		v := new(big.Int).Lsh(big.NewInt(1), bits)
		v.Sub(v, big.NewInt(1))
		b, err := AppendBigInt([]byte("x"), v)
		if err != nil || b[0] != 'x' || len(b)-1 != BigIntSize(v) {
			t.Errorf("AppendBigInt(2^%d-1) = %d bytes, %v; BigIntSize %d", bits, len(b)-1, err, BigIntSize(v))
		}
		c := NewCursor(b[1:])
		if got, err := c.BigInt(); err != nil || got.Cmp(v) != 0 || c.More() {
			t.Errorf("2^%d-1 reads back as %v, %v", bits, got, err)
		}
	}
	if b, err := AppendBigInt([]byte("x"), big.NewInt(-1)); !errors.Is(err, ErrNegative) || string(b) != "x" {
		t.Errorf("AppendBigInt(-1) = %q, %v; want x, %v", b, err, ErrNegative)
	}
	if b, err := AppendBigInt(nil, nil); err != nil || !bytes.Equal(b, unhex("80")) {
		t.Errorf("AppendBigInt(nil) = %x, %v; want 80", b, err)
	}
	// With room in the slice nothing is allocated.
	v, buf := new(big.Int).Lsh(big.NewInt(1), 255), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { AppendBigInt(buf, v) }); n != 0 {
		t.Errorf("AppendBigInt allocates %v times, want 0", n)
	}
}
