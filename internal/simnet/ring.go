package simnet

// A ring is a queue of bytes that grows as needed and holds no memory to speak
// of while it is empty.
type ring struct {
	buf   []byte // its length is a power of two, or 0
	start int    // index of the first byte
	n     int    // bytes queued
}

// keptWhenEmpty is the largest buffer that an empty ring keeps.
const keptWhenEmpty = 2 << 10

func (r *ring) write(b []byte) {
	if need := r.n + len(b); need > len(r.buf) {
		size := max(len(r.buf), 256)
		for size < need {
			size *= 2
		}
		buf := make([]byte, size)
		r.peek(buf[:r.n])
		r.buf, r.start = buf, 0
	}
	end := (r.start + r.n) & (len(r.buf) - 1)
	copied := copy(r.buf[end:], b)
	copy(r.buf, b[copied:])
	r.n += len(b)
}

// read fills b, which must not be longer than what is queued.
func (r *ring) read(b []byte) {
	r.peek(b)
	r.n -= len(b)
	switch {
	case r.n > 0:
		r.start = (r.start + len(b)) & (len(r.buf) - 1)
	case len(r.buf) > keptWhenEmpty:
		*r = ring{}
	default:
		r.start = 0
	}
}

func (r *ring) peek(b []byte) {
	if len(b) > 0 {
		copied := copy(b, r.buf[r.start:])
		copy(b[copied:], r.buf)
	}
}
