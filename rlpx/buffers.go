package rlpx

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// Buffers lends byte slices in size classes to the connections of one server and
// counts what is out. A nil *Buffers works: it allocates, lets the collector take
// what comes back, and counts nothing.
//
// Safe for concurrent use.
type Buffers struct {
	inUse  atomic.Int64
	poison bool

	classes [classes]sync.Pool // of *lease, each with data of its class's size
	empty   sync.Pool          // of *lease without data
}

// A lease is a buffer on loan. Holders remember the generation they were given:
// the first to give it back ends it, so that a second, late Release of a copied
// message cannot take the buffer from its next holder.
type lease struct {
	home *Buffers
	data []byte // len is what was asked for, cap the size of the class
	gen  atomic.Uint64

	counted atomic.Int64 // what inUse holds for it
}

// Classes are powers of two from minClass to stepClass and quarters of a power
// of two from there to maxClass. Larger buffers are not kept.
const (
	minClassBits  = 8
	stepClassBits = 16
	maxClassBits  = 24
	powers        = stepClassBits - minClassBits + 1
	classes       = powers + 4*(maxClassBits-stepClassBits)

	maxClass = 1 << maxClassBits
)

// classOf returns the smallest class that holds n bytes, n at most maxClass.
func classOf(n int) int {
	if n <= 1<<minClassBits {
		return 0
	}
	up := bits.Len(uint(n - 1)) // n is above 2^(up-1) and at most 2^up
	if up <= stepClassBits {
		return up - minClassBits
	}
	quarter := (n - 1 - 1<<(up-1)) >> (up - 3)
	return powers + 4*(up-1-stepClassBits) + quarter
}

// classSize returns the size of the buffers in a class.
func classSize(class int) int {
	if class < powers {
		return 1 << (minClassBits + class)
	}
	class -= powers
	base := 1 << (stepClassBits + class/4)
	return base + (class%4+1)*base/4
}

// NewBuffers returns an empty pool.
func NewBuffers() *Buffers { return new(Buffers) }

// NewPoisonedBuffers returns a pool for tests: it overwrites each buffer as it
// comes back, so that whoever still reads it finds 0xdb instead of old data that
// happens to look right.
func NewPoisonedBuffers() *Buffers { return &Buffers{poison: true} }

// InUse returns the bytes that are lent out, by the capacity of the buffers.
func (b *Buffers) InUse() int64 {
	if b == nil {
		return 0
	}
	return b.inUse.Load()
}

// Get returns a buffer of length n with unspecified content. Its capacity is
// that of its class.
func (b *Buffers) Get(n int) []byte {
	l := b.lend(n)
	data := l.data
	if b != nil {
		l.data = nil
		b.empty.Put(l)
	}
	return data
}

// Put gives back a buffer that Get or Grow returned. It may have been resliced at
// its end, but not at its beginning, and not moved by append. Put(nil) is
// allowed.
func (b *Buffers) Put(data []byte) {
	if b == nil || cap(data) == 0 {
		return
	}
	l, ok := b.empty.Get().(*lease)
	if !ok {
		l = &lease{home: b}
	}
	l.data = data
	l.counted.Store(int64(cap(data)))
	b.takeBack(l)
}

// Grow returns data with room for n more bytes behind its length, so that append
// need not move it. If that takes another buffer, data goes back.
func (b *Buffers) Grow(data []byte, n int) []byte {
	if cap(data)-len(data) >= n {
		return data
	}
	if b == nil {
		return slices.Grow(data, n)
	}
	grown := b.Get(max(len(data)+n, min(2*cap(data), maxClass)))
	grown = grown[:copy(grown, data)]
	b.Put(data)
	return grown
}

// lend returns a lease of n bytes.
func (b *Buffers) lend(n int) *lease {
	if b == nil {
		return &lease{data: make([]byte, n)}
	}
	var l *lease
	if n <= maxClass {
		class := classOf(n)
		var ok bool
		if l, ok = b.classes[class].Get().(*lease); !ok {
			l = &lease{home: b, data: make([]byte, classSize(class))}
		}
	} else {
		l = &lease{home: b, data: make([]byte, n)}
	}
	l.data = l.data[:n]
	l.counted.Store(int64(cap(l.data)))
	b.inUse.Add(int64(cap(l.data)))
	return l
}

// uncount takes the lease out of inUse, once.
func (l *lease) uncount() { l.home.inUse.Add(-l.counted.Swap(0)) }

// takeBack accepts a lease from its only holder.
func (b *Buffers) takeBack(l *lease) {
	size := cap(l.data)
	l.uncount()
	if b.poison {
		whole := l.data[:size]
		whole[0] = 0xdb
		for n := 1; n < size; n *= 2 {
			copy(whole[n:], whole[:n])
		}
	}
	if size > maxClass || classSize(classOf(size)) != size {
		return
	}
	b.classes[classOf(size)].Put(l)
}

// release ends the lease if gen is still its generation.
func (l *lease) release(gen uint64) {
	if l.gen.CompareAndSwap(gen, gen+1) && l.home != nil {
		l.home.takeBack(l)
	}
}

// end gives back a lease that was never handed out.
func (l *lease) end() {
	if l != nil {
		l.release(l.gen.Load())
	}
}
