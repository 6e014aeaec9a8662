package rlpx

import (
	"bytes"
	"sync"
	"testing"
)

// Each size goes to the smallest class that holds it; a class wastes less than
// half of a buffer below 64 KiB and at most a fifth above.
func TestClasses(t *testing.T) {
	for class := range classes {
		size := classSize(class)
		if got := classOf(size); got != class {
			t.Errorf("classOf(%d) = %d, want %d", size, got, class)
		}
		if class > 0 {
			if got := classOf(classSize(class-1) + 1); got != class {
				t.Errorf("classOf(%d) = %d, want %d", classSize(class-1)+1, got, class)
			}
			if waste := size - classSize(class-1) - 1; size > 64<<10 && waste > size/5 {
				t.Errorf("class of %d bytes wastes up to %d", size, waste)
			}
		}
	}
	if first, last := classSize(0), classSize(classes-1); first != 256 || last != 16<<20 {
		t.Errorf("classes from %d to %d bytes, want 256 to 16 MiB", first, last)
	}
	if classOf(0) != 0 || classOf(1) != 0 {
		t.Error("small sizes are not in the first class")
	}
}

// What goes out is counted until it comes back, whatever its size; nil pools
// lend as well.
func TestBuffers(t *testing.T) {
	for _, b := range []*Buffers{NewBuffers(), NewPoisonedBuffers(), nil} {
		for _, n := range []int{0, 1, 256, 257, 65_537, 1 << 24, 1<<24 + 1} {
			got := b.Get(n)
			if len(got) != n {
				t.Fatalf("Get(%d) has length %d", n, len(got))
			}
			if b != nil && b.InUse() != int64(cap(got)) {
				t.Errorf("after Get(%d): %d in use, capacity %d", n, b.InUse(), cap(got))
			}
			b.Put(got)
			wantInUse(t, b, 0)
		}
		b.Put(nil)
		wantInUse(t, b, 0)

		grown := b.Grow(nil, 100)
		grown = append(grown, "kept"...)
		for range 20 {
			grown = b.Grow(grown, 10_000)
			grown = append(grown, make([]byte, 10_000)...)
		}
		if !bytes.HasPrefix(grown, []byte("kept")) || len(grown) != 200_004 {
			t.Errorf("grown to %d bytes beginning with %q", len(grown), grown[:4])
		}
		b.Put(grown)
		wantInUse(t, b, 0)
	}
}

// The first Release of a message ends its lease; later ones, of any copy, do
// nothing to whoever has the buffer then.
func TestReleaseTwice(t *testing.T) {
	bufs := NewPoisonedBuffers()
	l := bufs.lend(100)
	m := Msg{Payload: l.data, Loan: Loan{l, l.gen.Load()}}
	copied := m
	m.Release()
	wantInUse(t, bufs, 0)
	if m.Payload[0] != 0xdb || m.Payload[99] != 0xdb {
		t.Error("a released payload of a poisoned pool can still be read")
	}

	// The next holder of the same buffer.
	l.data = l.data[:100]
	l.counted.Store(int64(cap(l.data)))
	bufs.inUse.Add(int64(cap(l.data)))
	next := Msg{Payload: l.data, Loan: Loan{l, l.gen.Load()}}
	copied.Release()
	m.Release()
	wantInUse(t, bufs, int64(cap(l.data)))
	next.Release()
	wantInUse(t, bufs, 0)
	Msg{}.Release()
}

// Many goroutines that release copies of one message give its buffer back once.
func TestReleaseConcurrent(t *testing.T) {
	bufs := NewBuffers()
	for range 200 {
		l := bufs.lend(1000)
		m := Msg{Payload: l.data, Loan: Loan{l, l.gen.Load()}}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(m.Release)
		}
		wg.Wait()
		wantInUse(t, bufs, 0)
	}
}

// HandOver ends the account of a message, once, and not the lease: the buffer
// goes back with Release all the same.
func TestHandOver(t *testing.T) {
	bufs := NewPoisonedBuffers()
	a, b := bufs.lend(100), bufs.lend(100)
	m := Msg{Payload: a.data, Loan: Loan{a, a.gen.Load()}}
	m.HandOver()
	m.HandOver()
	wantInUse(t, bufs, int64(cap(b.data)))
	if m.Payload[0] == 0xdb {
		t.Error("HandOver gave the buffer back")
	}
	m.Release()
	m.HandOver()
	wantInUse(t, bufs, int64(cap(b.data)))
	if m.Payload[0] != 0xdb {
		t.Error("Release after HandOver did not give the buffer back")
	}
	b.end()
	wantInUse(t, bufs, 0)
	Msg{}.HandOver()
}
