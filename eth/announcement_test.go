package eth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"parley/rlp"
)

func testAnnouncement(n int) *Announcement {
	a := &Announcement{
		Types:  bytes.Repeat([]byte{2}, n),
		Sizes:  make([]uint32, n),
		Hashes: make([]Hash, n),
	}
	for i := range n {
		a.Sizes[i] = uint32(i * i)
		a.Hashes[i] = Hash{byte(i), byte(i >> 8), 1}
	}
	return a
}

// An announcement has three elements before eth/72 and four since.
func TestAnnouncementForm(t *testing.T) {
	a := &Announcement{Types: []byte{0, 3}, Sizes: []uint32{110, 131072}, Hashes: []Hash{{0xaa}, {0xbb}}, Cells: CellMask{15: 0xff}}
	hash := func(first string) string {
		return "a0" + first + "00000000000000000000000000000000000000000000000000000000000000"
	}
	body := "820003" + "c5" + "6e" + "83020000" + "f842" + hash("aa") + hash("bb")
	for _, tt := range []struct {
		version uint
		want    string
	}{
		{68, "f84d" + body},
		{71, "f84d" + body},
		{72, "f85e" + body + "90000000000000000000000000000000ff"},
	} {
		b, err := a.appendFor(tt.version, nil)
		if got := hex.EncodeToString(b); err != nil || got != tt.want {
			t.Fatalf("eth/%d: %s, %v; want %s", tt.version, got, err, tt.want)
		}
		p, err := parseAnnouncement(tt.version, b)
		if err != nil {
			t.Fatalf("eth/%d: %v", tt.version, err)
		}
		got := p.copy()
		want := *a
		if tt.version < 72 {
			want.Cells = CellMask{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("eth/%d: read back as %+v; want %+v", tt.version, got, want)
		}
	}
	with, _ := a.appendFor(72, nil)
	if _, err := parseAnnouncement(71, with); !errors.Is(err, rlp.ErrTooManyElements) {
		t.Errorf("form of eth/72 in eth/71: %v, want ErrTooManyElements", err)
	}
	// An empty mask is what EIP-8070 asks for without blob transactions.
	b, _ := hex.DecodeString("c480c0c080")
	if p, err := parseAnnouncement(72, b); err != nil || p.cells != (CellMask{}) {
		t.Errorf("empty mask: %v, %v", p.cells, err)
	}
}

// The three lists must be of one length, and hold what they should.
func TestAnnouncementRefusals(t *testing.T) {
	if _, err := (&Announcement{Types: []byte{1}}).appendFor(69, nil); !errors.Is(err, ErrAnnouncement) {
		t.Errorf("uneven lists to send: %v, want ErrAnnouncement", err)
	}
	h := Hash{1}
	for _, tt := range []struct {
		name    string
		version uint
		items   []any
		want    error
	}{
		{"types short", 69, []any{[]byte{}, []uint{1}, []Hash{h}}, ErrAnnouncement},
		{"sizes short", 69, []any{[]byte{1, 1}, []uint{1}, []Hash{h, h}}, ErrAnnouncement},
		{"hashes short", 69, []any{[]byte{1, 1}, []uint{1, 1}, []Hash{h}}, ErrAnnouncement},
		{"eth/67: hashes only", 69, []any{h, h}, rlp.ErrExpectedList},
		{"size of 33 bits", 69, []any{[]byte{1}, []uint64{1 << 32}, []Hash{h}}, rlp.ErrTooLarge},
		{"short hash", 69, []any{[]byte{1}, []uint{1}, [][]byte{{1, 2, 3}}}, rlp.ErrSize},
		{"no mask", 72, []any{[]byte{1}, []uint{1}, []Hash{h}}, rlp.ErrTooFewElements},
		{"mask of 15", 72, []any{[]byte{1}, []uint{1}, []Hash{h}, make([]byte, 15)}, rlp.ErrSize},
		{"mask a list", 72, []any{[]byte{1}, []uint{1}, []Hash{h}, []uint{}}, rlp.ErrExpectedString},
		{"one more", 72, []any{[]byte{1}, []uint{1}, []Hash{h}, CellMask{}, uint(1)}, rlp.ErrTooManyElements},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := rlp.Encode(tt.items)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseAnnouncement(tt.version, b); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// Looking at an announcement allocates nothing; copying it, three slices.
func TestAnnouncementAllocs(t *testing.T) {
	b, err := testAnnouncement(MaxAnnouncement).appendFor(69, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { _, err = parseAnnouncement(69, b) }); n != 0 || err != nil {
		t.Errorf("parse: %v allocations, %v; want 0", n, err)
	}
	p, err := parseAnnouncement(69, b)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { p.copy() }); n != 3 {
		t.Errorf("copy: %v allocations, want 3", n)
	}
}

func FuzzAnnouncement(f *testing.F) {
	for _, v := range []uint{69, 72} {
		for _, n := range []int{0, 1, 5} {
			b, err := testAnnouncement(n).appendFor(v, nil)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(v, b)
		}
	}
	f.Fuzz(func(t *testing.T, version uint, b []byte) {
		p, err := parseAnnouncement(version, b)
		if err != nil {
			return
		}
		a := p.copy()
		again, err := a.appendFor(version, nil)
		if err != nil {
			t.Fatal(err)
		}
		if version >= 72 && p.cells == (CellMask{}) {
			return // an empty mask is written as sixteen zeros
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x encoded again as %x", b, again)
		}
	})
}

func BenchmarkParseAnnouncement(b *testing.B) {
	msg, err := testAnnouncement(256).appendFor(69, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := parseAnnouncement(69, msg)
		if err != nil {
			b.Fatal(err)
		}
		p.copy()
	}
}
