package rlp

import "fmt"

// The memory that values may take while they are decoded: twice the input, and
// slack that makes the bound irrelevant for small messages. Of the 64 KiB that
// Decode promises, 8 KiB are left for the state of the call and for an error with
// a path of MaxDepth steps.
const (
	memoryFactor = 2
	memorySlack  = 56 << 10
)

// memory is what is left of the allowance of one Decode call.
type memory struct {
	left int       // bytes
	idle []*Cursor // lent by Cursor.Decode and given back, at most one for each level
}

// borrow returns an idle cursor or a new one.
func (m *memory) borrow() *Cursor {
	n := len(m.idle)
	if n == 0 {
		return new(Cursor)
	}
	c := m.idle[n-1]
	m.idle = m.idle[:n-1]
	return c
}

// newMemory returns the allowance for an input of wire bytes.
func newMemory(wire int) memory {
	if wire > (maxInt-memorySlack)/memoryFactor {
		return memory{left: maxInt}
	}
	return memory{left: memoryFactor*wire + memorySlack}
}

const maxInt = int(^uint(0) >> 1)

// charge takes the heap space of n elements of size bytes each, allocated
// together, off the allowance. It is called before the allocation.
func (m *memory) charge(n, size int) error {
	if n == 0 || size == 0 {
		return nil
	}
	if n > m.left/size {
		return fmt.Errorf("%w: at least %d × %d bytes", ErrMemory, n, size)
	}
	total := heapSize(n * size)
	if total > m.left {
		return fmt.Errorf("%w: %d × %d bytes", ErrMemory, n, size)
	}
	m.left -= total
	return nil
}

// heapSize is at least what the runtime takes from the heap for an allocation of
// n > 0 bytes. Its size classes are 16 bytes apart up to 256 bytes, then at most
// 3/16 apart; above 32 KiB it hands out pages of 8 KiB. A slot of more than 512
// bytes with pointers begins with a word of the runtime's own.
func heapSize(n int) int {
	switch {
	case n <= 256:
		return (n + 15) &^ 15
	case n <= 32<<10:
		return n + n*3/16 + 8
	case n > maxInt-8191:
		return n
	}
	return (n + 8191) &^ 8191
}
