package keccak

import (
	"encoding/binary"

	"github.com/cloudflare/circl/simd/keccakf1600"
)

// MaxWidth is the largest width of a Bank.
const MaxWidth = 8

// Width returns how many hashes this processor can permute at once: 8 with
// AVX-512, 4 with AVX2, else 1.
func Width() int {
	switch {
	case eightAtOnce():
		return 8
	case keccakf1600.IsEnabledX4():
		return 4
	}
	return 1
}

// A Bank continues several hashes side by side, one in each column. A column has
// an input and a pace of its own: all that columns share is the moment of the
// permutation.
type Bank struct {
	a       []uint64             // lane i of column c at width*i+c
	four    *keccakf1600.StateX4 // holds a, if the width is 4
	eight   *[200]uint64         // a, if the width is 8 and the processor can
	columns []column
}

// A column is the place of one hash in a Bank.
type column struct {
	sponge  *Sponge // nil if the column is free
	in      []byte  // still to be taken up
	digest  *[Size]byte
	squeeze bool // the next permutation gives the digest
}

// NewBank returns a Bank of a width of 1 to MaxWidth, whose columns are free.
// Widths that the processor has no permutation for work, one column after the
// other.
func NewBank(width int) *Bank {
	b := &Bank{columns: make([]column, width)}
	switch {
	case width == 4 && keccakf1600.IsEnabledX4():
		b.four = new(keccakf1600.StateX4)
		b.a = b.four.Initialize(false)
	case width == 8 && eightAtOnce():
		b.eight = new([200]uint64)
		b.a = b.eight[:]
	default:
		b.a = make([]uint64, 25*width)
	}
	return b
}

// Start gives a free column its work: to continue s with in, and to write to
// digest what s.Sum would return then. All three belong to the Bank until the
// column is free again.
func (b *Bank) Start(column int, s *Sponge, in []byte, digest *[Size]byte) {
	c := &b.columns[column]
	c.sponge, c.in, c.digest, c.squeeze = s, in, digest, false
	if s.n+len(in) < rate {
		b.finish(column)
		return
	}
	n := rate - s.n
	s.xor(in[:n])
	c.in = in[n:]
	b.load(column)
}

// Free reports whether a column has no work, or has done it.
func (b *Bank) Free(column int) bool { return b.columns[column].sponge == nil }

// Advance brings each column that is not free forward by one permutation.
func (b *Bank) Advance() {
	b.permute()
	for i := range b.columns {
		c := &b.columns[i]
		switch {
		case c.sponge == nil:
		case c.squeeze:
			b.read(i, c.digest)
			*c = column{}
		case len(c.in) >= rate:
			b.xor(i, c.in[:rate])
			c.in = c.in[rate:]
		default:
			b.store(i)
			b.finish(i)
		}
	}
}

// finish takes up the end of a column's input, less than a block, and prepares
// the digest. The sponge keeps the state that goes on.
func (b *Bank) finish(column int) {
	c := &b.columns[column]
	s := c.sponge
	s.xor(c.in)
	b.load(column)
	width := len(b.columns)
	b.a[width*(s.n/8)+column] ^= 1 << (8 * (s.n % 8))
	b.a[width*(rate/8-1)+column] ^= 1 << 63
	c.in, c.squeeze = nil, true
}

// permute permutes all columns that are not free, and perhaps others. One alone
// costs less than all at once.
func (b *Bank) permute() {
	busy := 0
	for i := range b.columns {
		if !b.Free(i) {
			busy++
		}
	}
	switch {
	case b.eight != nil && busy > 1:
		permuteEight(b.eight)
	case b.four != nil && busy > 1:
		b.four.Permute()
	default:
		for i := range b.columns {
			if !b.Free(i) {
				b.permuteOne(i)
			}
		}
	}
}

// permuteOne permutes a column alone.
func (b *Bank) permuteOne(column int) {
	var a [25]uint64
	b.get(column, &a)
	permute(&a)
	b.set(column, &a)
}

// load copies the state of a column's sponge into the column.
func (b *Bank) load(column int) { b.set(column, &b.columns[column].sponge.a) }

// store copies a column, which was permuted, into its sponge.
func (b *Bank) store(column int) {
	s := b.columns[column].sponge
	b.get(column, &s.a)
	s.n = 0
}

func (b *Bank) set(column int, a *[25]uint64) {
	width := len(b.columns)
	for i, w := range a {
		b.a[width*i+column] = w
	}
}

func (b *Bank) get(column int, a *[25]uint64) {
	width := len(b.columns)
	for i := range a {
		a[i] = b.a[width*i+column]
	}
}

// xor adds a block to the state in a column.
func (b *Bank) xor(column int, block []byte) {
	a, width := b.a[column:], len(b.columns)
	words := (*[rate]byte)(block)
	for i, at := 0, 0; i < rate; i, at = i+8, at+width {
		a[at] ^= binary.LittleEndian.Uint64(words[i : i+8])
	}
}

// read copies the beginning of a column.
func (b *Bank) read(column int, digest *[Size]byte) {
	width := len(b.columns)
	for i := range Size / 8 {
		binary.LittleEndian.PutUint64(digest[8*i:], b.a[width*i+column])
	}
}
