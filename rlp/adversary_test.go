package rlp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

type (
	wideStruct struct {
		A [1000]uint64 `rlp:"-"`
		B []byte       `rlp:"optional"`
	}
	pointers struct {
		A *[512]byte `rlp:"nil"`
		B *big.Int
		C **uint64
		D string
	}
	headers struct {
		ID      uint64
		Headers []struct {
			Hash   [32]byte
			Number uint64
			Extra  []byte
		}
		Rest []Raw `rlp:"tail"`
	}
	nest []nest
)

// The types to decode hostile input into: what messages are made of, and what
// takes the most memory for the least input. They are new at each call.

// strictTargets have one encoding for each value.
func strictTargets() []any {
	return []any{
		new(uint64), new(string), new([]byte), new(big.Int), new([32]byte), new([][]byte), new([]string),
		new([]uint64), new([]uint16), new([][32]byte), new([]*big.Int), new([]big.Int), new([]Uint256),
		new([][]uint64), new([][][]byte), new([]bool), new([]struct{}), new([]pointers), new([]*[1 << 16]byte),
		new([][4]*uint64), new(announcement), new([]announcement), new(tree), new(chain), new(nest), new(plain),
		new(skipping), new([]foo),
	}
}

// rawTargets too, but do not look into every item.
func rawTargets() []any {
	return []any{new(Raw), new([]Raw), new(tailed), new(headers), new([]headers), new(nils), new([]nils)}
}

// looseTargets may have zero values at the end or leave them out.
func looseTargets() []any {
	return []any{new([]wideStruct), new([]*wideStruct), new(optional), new([]optional), new(optionalTailed)}
}

// targets are all of these and one that cannot be encoded.
func targets() []any {
	return slices.Concat(strictTargets(), rawTargets(), looseTargets(), []any{new([]part)})
}

// allocated returns what f allocates in all, freed or not, in bytes. The runtime
// allocates too, to collect garbage for one, so what is above limit is measured
// again: f does the same each time.
func allocated(limit int, f func()) int {
	least := maxInt
	for try := 0; try < 4 && least > limit; try++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}

// warm makes the plans of all targets, which are made once in a process.
func warm() {
	for _, target := range targets() {
		Decode([]byte{listBase}, target)
	}
}

// list wraps items into one list.
func list(items []byte) []byte { return append(AppendList(nil, len(items)), items...) }

// nested returns lists around one another.
func nested(depth int) []byte {
	// Written back to front: the innermost list is the last byte.
	sizes := make([]int, depth)
	for i := range sizes[1:] {
		sizes[i+1] = ListSize(sizes[i])
	}
	var b []byte
	for i := depth - 1; i >= 0; i-- {
		b = AppendList(b, sizes[i])
	}
	return b
}

// P9: whatever the bytes and the type, decoding takes no more than twice the
// input and 64 KiB, and nothing at all is believed about sizes and counts.
func TestP9Memory(t *testing.T) {
	warm()
	const size = 200_000
	row := func(item ...byte) []byte { return list(bytes.Repeat(item, size/len(item))) }
	some := func(n int, item ...byte) []byte { return list(bytes.Repeat(item, n)) }
	hashes := make([]byte, 0, 33000)
	for range 1000 {
		hashes = AppendBytes(hashes, make([]byte, 32))
	}
	for name, in := range map[string][]byte{
		"200,000 empty lists":       row(0xc0),
		"200,000 empty strings":     row(0x80),
		"200,000 ones":              row(0x01),
		"200,000 zero bytes":        row(0x00),
		"lists of one empty string": row(0xc1, 0x80),
		"lists of one empty list":   row(0xc1, 0xc0),
		"lists of two":              row(0xc2, 0x80, 0xc0),
		"strings of two":            row(0x82, 0xff, 0xff),
		"one list of many":          list(list(row(0x80))),
		"a message of empty lists":  list(append([]byte{1}, row(0xc0)...)),
		"16 MB string":              AppendBytes(nil, make([]byte, 16<<20)),
		"2,000 empty strings":       some(2000, 0x80),
		"2,000 empty lists":         some(2000, 0xc0),
		"5,000 empty strings":       some(5000, 0x80),
		"60,000 ones":               some(60000, 0x01),
		"900 lists of 3":            some(900, 0xc3, 1, 1, 1),
		"1,000 parts":               some(1000, 0xc2, 0xc1, 0x80),
		"1,500 of nine bytes":       some(1500, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9),
		"4,400 of nine bytes":       some(4400, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9),
		"7,000 of nine bytes":       some(7000, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9),
		"1,000 hashes":              list(hashes),
		"64 lists":                  nested(64),
		"10⁶ lists":                 nested(1e6),
	} {
		t.Run("P9/"+name, func(t *testing.T) {
			for _, target := range targets() {
				var err error
				limit := 2*len(in) + 64<<10
				if got := allocated(limit, func() { err = Decode(in, target) }); got > limit {
					t.Errorf("%v from %d bytes: allocated %d bytes, limit %d (error %v)", reflect.TypeOf(target).Elem(), len(in), got, limit, err)
				}
			}
		})
	}
}

// P9: a bomb is refused as what it is, before anything is allocated for it, and
// the same values are accepted where there is room for them.
func TestP9Bombs(t *testing.T) {
	const million = 1 << 20
	warm()
	for item, targets := range map[byte][]any{
		0x80: {new([][]byte), new([]uint64), new([]*big.Int)},
		0xc0: {new([][]uint64), new([]Raw), new([]tree)},
	} {
		bomb := list(bytes.Repeat([]byte{item}, 16*million))
		for _, target := range targets {
			planOf(reflect.TypeOf(target).Elem())
			var err error
			got := allocated(4<<10, func() { err = Decode(bomb, target) })
			if !errors.Is(err, ErrMemory) || got > 4<<10 {
				t.Errorf("16 M × %x as %T: %v after %d bytes; want %v after at most 4 KiB", item, target, err, got, ErrMemory)
			}
		}
	}
	small := list(bytes.Repeat([]byte{0x80}, 12_000))
	if err := Decode(small, new([]uint64)); !errors.Is(err, ErrMemory) {
		t.Errorf("12,000 × 8 bytes: %v, want %v", err, ErrMemory)
	}
	if err := DecodeLimit(small, new([]uint64), 12_000*8*5/4); err != nil {
		t.Errorf("12,000 × 8 bytes with a limit for them: %v", err)
	}
	if err := Decode(list(bytes.Repeat([]byte{0x80}, 6000)), new([]uint64)); err != nil {
		t.Errorf("6,000 × 8 bytes: %v", err)
	}
	if err := DecodeLimit(unhex("8101"), new([]byte), -1); !errors.Is(err, ErrCanonical) {
		t.Errorf("negative limit: %v, want %v", err, ErrCanonical)
	}
	if err := DecodeLimit(unhex("8181"), new([]byte), -1); !errors.Is(err, ErrMemory) {
		t.Errorf("negative limit: %v, want %v", err, ErrMemory)
	}
}

// P9: 64 lists within one another can be decoded, 65 cannot, and a million cost
// no more stack than that.
func TestP9Depth(t *testing.T) {
	for depth, want := range map[int]error{1: nil, 63: nil, 64: nil, 65: ErrDepth, 1000: ErrDepth, 1e6: ErrDepth} {
		in := nested(depth)
		var n nest
		err := Decode(in, &n)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%d lists: Decode = %v, want %v", depth, err, want)
		}
		if err == nil {
			if out, err := Encode(n); err != nil || !bytes.Equal(out, in) {
				t.Errorf("%d lists encode as %x, %v; want %x", depth, out, err, in)
			}
		}
		if err := Valid(in); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%d lists: Valid = %v, want %v", depth, err, want)
		}
		c, levels := NewCursor(in), 0
		for {
			inner, err := c.List()
			if err != nil {
				break
			}
			c, levels = inner, levels+1
		}
		if levels != min(depth, MaxDepth) {
			t.Errorf("%d lists: cursor enters %d, want %d", depth, levels, min(depth, MaxDepth))
		}
	}
	// A value as deep as that is not encoded either.
	n := nest{}
	for range MaxDepth {
		n = nest{n}
	}
	if _, err := Encode(n); !errors.Is(err, ErrDepth) {
		t.Errorf("Encode of %d lists = %v, want %v", MaxDepth+1, err, ErrDepth)
	}
}

// P9: sizes up to 2⁶⁴-1 are compared with what is there before they are used.
func TestP9Lengths(t *testing.T) {
	warm()
	for _, size := range []uint64{56, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, 1<<64 - 10, 1<<64 - 9, 1<<64 - 1} {
		for _, base := range []byte{longString, longList} {
			n := byteLen(size)
			head := appendBigEndian([]byte{base + byte(n)}, size, n)
			for _, in := range [][]byte{head, append(bytes.Clone(head), 1, 2, 3), list(head), list(append(bytes.Clone(head), 1, 2, 3))} {
				if err := Valid(in); !errors.Is(err, ErrTruncated) {
					t.Errorf("Valid(%x) = %v, want %v", in, err, ErrTruncated)
				}
				for _, target := range targets() {
					var err error
					got := allocated(8<<10, func() { err = Decode(in, target) })
					if raws, ok := target.(*[]Raw); ok && err == nil {
						t.Errorf("Decode(%x) gives %x", in, *raws)
					}
					if got > 8<<10 {
						t.Errorf("Decode(%x) into %T allocates %d bytes", in, target, got)
					}
				}
				c := NewCursor(in)
				if inner, err := c.List(); err == nil {
					c = inner
				}
				if _, err := c.Raw(); !errors.Is(err, ErrTruncated) {
					t.Errorf("Raw of %x = %v, want %v", in, err, ErrTruncated)
				}
			}
		}
	}
}

// P9: each size has one encoding. All longer ones are refused, wherever they are.
func TestP9NonMinimal(t *testing.T) {
	for _, size := range []int{0, 1, 2, 55, 56, 255, 256, 65535, 65536} {
		for width := 1; width <= 8; width++ {
			minimal := size > shortMax && byteLen(uint64(size)) == width
			if width < byteLen(uint64(size)) {
				continue
			}
			var be [8]byte
			binary.BigEndian.PutUint64(be[:], uint64(size))
			for _, base := range []byte{longString, longList} {
				in := append([]byte{base + byte(width)}, be[8-width:]...)
				in = append(in, bytes.Repeat([]byte{1}, size)...)
				for _, in := range [][]byte{in, list(in)} {
					if err := Valid(in); minimal != (err == nil) || !minimal && !errors.Is(err, ErrCanonical) {
						t.Errorf("size %d in %d bytes: Valid = %v; want an error: %v", size, width, err, !minimal)
					}
				}
				c := NewCursor(in)
				if err := c.Skip(); minimal != (err == nil) {
					t.Errorf("size %d in %d bytes: Skip = %v; want an error: %v", size, width, err, !minimal)
				}
			}
		}
	}
}

// The charge for an allocation is never less than what the runtime takes.
func TestHeapSize(t *testing.T) {
	for n := 1; n < 200_000; n += 1 + n/97 {
		bytesCap := cap(append([]byte(nil), make([]byte, n)...)) // rounded up to the size class
		if got := heapSize(n); got < bytesCap {
			t.Errorf("heapSize(%d) = %d, less than %d", n, got, bytesCap)
		}
		if got := heapSize(n); got > n+n/4+8191 {
			t.Errorf("heapSize(%d) = %d", n, got)
		}
	}
	for _, n := range []int{maxInt, maxInt - 1, maxInt - 8192} {
		if got := heapSize(n); got < n {
			t.Errorf("heapSize(%d) = %d", n, got)
		}
	}
	if m := newMemory(maxInt); m.left != maxInt {
		t.Errorf("allowance for %d bytes is %d", maxInt, m.left)
	}
	m := memory{left: maxInt}
	if err := m.charge(maxInt, 3); !errors.Is(err, ErrMemory) {
		t.Errorf("charge that overflows = %v, want %v", err, ErrMemory)
	}
}

func ExampleDecodeLimit() {
	// 50,000 small numbers take 8 bytes each in memory and one on the wire.
	enc, _ := Encode(make([]uint64, 50_000))
	var numbers []uint64
	fmt.Println(errors.Is(Decode(enc, &numbers), ErrMemory))
	fmt.Println(DecodeLimit(enc, &numbers, 1<<20), len(numbers))
	// Output:
	// true
	// <nil> 50000
}
