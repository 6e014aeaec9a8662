package rlp

import (
	"strconv"
	"testing"
)

// An announcement is the message that peers send most: the types, sizes and
// hashes of new transactions.
type announcement struct {
	Types  []byte
	Sizes  []uint32
	Hashes [][32]byte
}

func newAnnouncement(n int) *announcement {
	a := new(announcement)
	for i := range n {
		a.Types = append(a.Types, byte(i%4))
		a.Sizes = append(a.Sizes, uint32(100+i*37))
		var h [32]byte
		for j := range h {
			h[j] = byte(i + j)
		}
		a.Hashes = append(a.Hashes, h)
	}
	return a
}

// Encode allocates its result, Decode the state of the call and each slice, and
// Append into a large enough slice nothing.
func TestAllocs(t *testing.T) {
	a := newAnnouncement(16)
	if n := testing.AllocsPerRun(100, func() { Encode(a) }); n != 1 {
		t.Errorf("Encode allocates %v times, want 1", n)
	}
	enc, err := Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	var buf = make([]byte, 0, len(enc))
	if n := testing.AllocsPerRun(100, func() { Append(buf, a) }); n != 0 {
		t.Errorf("Append allocates %v times, want 0", n)
	}
	var back announcement
	if n := testing.AllocsPerRun(100, func() { Decode(enc, &back) }); n != 4 {
		t.Errorf("Decode allocates %v times, want 4", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{4, 16, 256} {
		a := newAnnouncement(n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{4, 16, 256} {
		enc, err := Encode(newAnnouncement(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var a announcement
				if err := Decode(enc, &a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The cursor and the writers are what Decode and Encode are measured against.
func BenchmarkCursor(b *testing.B) {
	enc, err := Encode(newAnnouncement(16))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := NewCursor(enc)
		l, _ := c.List()
		l.Bytes()
		sizes, _ := l.List()
		for sizes.More() {
			if _, err := sizes.Uint(32); err != nil {
				b.Fatal(err)
			}
		}
		hashes, _ := l.List()
		var h [32]byte
		for hashes.More() {
			if err := hashes.Fixed(h[:]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
