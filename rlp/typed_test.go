package rlp

import (
	"reflect"
	"testing"
)

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

func TestAnnouncementRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 4, 16, 300} {
		a := newAnnouncement(n)
		enc, err := Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		if len(enc) != cap(enc) {
			t.Errorf("n=%d: result has length %d and capacity %d; want them equal", n, len(enc), cap(enc))
		}
		if err := Valid(enc); err != nil {
			t.Fatal(err)
		}
		var back announcement
		if err := Decode(enc, &back); err != nil {
			t.Fatal(err)
		}
		if n > 0 && !reflect.DeepEqual(a, &back) {
			t.Errorf("n=%d: decoded %v, want %v", n, back, a)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{4, 16} {
		a := newAnnouncement(n)
		b.Run(index(n), func(b *testing.B) {
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
	for _, n := range []int{4, 16} {
		enc, _ := Encode(newAnnouncement(n))
		b.Run(index(n), func(b *testing.B) {
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
