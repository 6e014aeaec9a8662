package keccak

import (
	"encoding/binary"

	"github.com/cloudflare/circl/simd/keccakf1600"
)

// Columns is how many hashes a Quad works on.
const Columns = 4

// Abreast reports whether this processor permutes four states at once in less
// time than one after the other. Where it does not, a Quad does not pay.
func Abreast() bool { return keccakf1600.IsEnabledX4() }

// A Quad continues up to four hashes side by side. Each column has an input and a
// pace of its own: all that they share is the moment of the permutation.
type Quad struct {
	four    keccakf1600.StateX4
	a       *[25 * Columns]uint64 // lane i of column c at Columns*i+c
	columns [Columns]column
}

// A column is the place of one hash in a Quad.
type column struct {
	sponge  *Sponge // nil if the column is free
	in      []byte  // still to be taken up
	digest  *[Size]byte
	squeeze bool // the next permutation gives the digest
}

// NewQuad returns a Quad with all columns free.
func NewQuad() *Quad {
	q := new(Quad)
	q.a = (*[25 * Columns]uint64)(q.four.Initialize(false))
	return q
}

// Start gives a free column its work: to continue s with in, and to write to
// digest what s.Sum would return then. All three belong to the Quad until the
// column is free again.
func (q *Quad) Start(column int, s *Sponge, in []byte, digest *[Size]byte) {
	c := &q.columns[column]
	c.sponge, c.in, c.digest, c.squeeze = s, in, digest, false
	if s.n+len(in) < rate {
		q.finish(column)
		return
	}
	n := rate - s.n
	s.xor(in[:n])
	c.in = in[n:]
	q.load(column)
}

// Free reports whether a column has no work, or has done it.
func (q *Quad) Free(column int) bool { return q.columns[column].sponge == nil }

// Advance brings each column that is not free forward by one permutation.
func (q *Quad) Advance() {
	busy, last := 0, 0
	for i := range q.columns {
		if !q.Free(i) {
			busy++
			last = i
		}
	}
	if busy > 1 {
		q.four.Permute()
	} else {
		q.permute(last)
	}
	for i := range q.columns {
		c := &q.columns[i]
		switch {
		case c.sponge == nil:
		case c.squeeze:
			q.read(i, c.digest)
			*c = column{}
		case len(c.in) >= rate:
			q.xor(i, c.in[:rate])
			c.in = c.in[rate:]
		default:
			q.store(i)
			q.finish(i)
		}
	}
}

// finish takes up the end of a column's input, less than a block, and prepares
// the digest. The sponge keeps the state that goes on.
func (q *Quad) finish(column int) {
	c := &q.columns[column]
	s := c.sponge
	s.xor(c.in)
	q.load(column)
	q.a[Columns*(s.n/8)+column] ^= 1 << (8 * (s.n % 8))
	q.a[Columns*(rate/8-1)+column] ^= 1 << 63
	c.in, c.squeeze = nil, true
}

// permute advances one column alone, which is cheaper than four.
func (q *Quad) permute(column int) {
	var a [25]uint64
	for i := range a {
		a[i] = q.a[Columns*i+column]
	}
	permute(&a)
	for i := range a {
		q.a[Columns*i+column] = a[i]
	}
}

// load copies the state of a column's sponge into the column.
func (q *Quad) load(column int) {
	for i, w := range &q.columns[column].sponge.a {
		q.a[Columns*i+column] = w
	}
}

// store copies a column, which was permuted, into its sponge.
func (q *Quad) store(column int) {
	s := q.columns[column].sponge
	for i := range s.a {
		s.a[i] = q.a[Columns*i+column]
	}
	s.n = 0
}

// xor adds a block to the state in a column.
func (q *Quad) xor(column int, block []byte) {
	block = block[:rate]
	for i := range rate / 8 {
		q.a[Columns*i+column] ^= binary.LittleEndian.Uint64(block[8*i:])
	}
}

// read copies the beginning of a column.
func (q *Quad) read(column int, digest *[Size]byte) {
	for i := range Size / 8 {
		binary.LittleEndian.PutUint64(digest[8*i:], q.a[Columns*i+column])
	}
}
