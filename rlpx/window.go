package rlpx

import (
	"io"
	"net"
	"time"
)

const (
	// inlineWindow is what a connection can hold of its input without a buffer
	// from the pool: a header and a small body, read in one system call. Frames
	// are multiples of 16 bytes and this is not, so a read that fills the window
	// has always cut a frame, and the rest of it is worth a larger buffer.
	inlineWindow = 248

	// readAhead is the size of that larger buffer; before the limits of an
	// established connection are set, earlyReadAhead is.
	readAhead      = 16 << 10
	earlyReadAhead = 4 << 10

	// firstRead is the size of the buffer for a handshake packet, which does not fit
	// into the inline window: with the padding that EIP-8 asks for it has 320 to 590
	// bytes, and a recipient's Hello may follow.
	firstRead = 1 << 10
)

// A window holds the bytes that were read from a connection and not used yet.
// It returns its buffer to the pool whenever it runs empty.
type window struct {
	bufs  *Buffers
	ahead int
	lease *lease // nil while inline holds the bytes
	r, w  int    // unused bytes are buf()[r:w]

	inline [inlineWindow]byte
}

func (w *window) buf() []byte {
	if w.lease != nil {
		return w.lease.data
	}
	return w.inline[:]
}

// unread returns the bytes not used yet; valid until the next fill.
func (w *window) unread() []byte { return w.buf()[w.r:w.w] }

// take uses up the next n bytes, which must be there, and returns them; valid
// until the next fill or settle.
func (w *window) take(n int) []byte {
	b := w.buf()[w.r : w.r+n : w.r+n]
	w.r += n
	return b
}

// fill reads until at least n bytes are unread. What was read before an error
// stays.
func (w *window) fill(from io.Reader, n int) error {
	for w.w-w.r < n {
		w.makeRoom(n)
		got, err := from.Read(w.buf()[w.w:])
		w.w += got
		if err != nil && w.w-w.r < n {
			if err == io.EOF && w.w > w.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// reserve makes room for a first read of up to n bytes.
func (w *window) reserve(n int) { w.lease = w.bufs.lend(n) }

// makeRoom sees to it that n bytes can be unread and that some can be read.
func (w *window) makeRoom(n int) {
	buf := w.buf()
	switch {
	case w.r == w.w:
		w.r, w.w = 0, 0
		if n <= len(buf) {
			return
		}
	case w.r+n <= len(buf) && w.w < len(buf):
		return
	case w.lease != nil && n <= len(buf):
		w.r, w.w = 0, copy(buf, w.unread())
		return
	}
	next := w.bufs.lend(max(n, w.ahead))
	w.r, w.w = 0, copy(next.data, w.unread())
	w.lease.end()
	w.lease = next
}

// settle gives the buffer back if nothing is left in it.
func (w *window) settle() {
	if w.r == w.w {
		w.drop()
	}
}

// drop forgets everything that is unread.
func (w *window) drop() {
	w.lease.end()
	w.lease, w.r, w.w = nil, 0, 0
}

const (
	// A body may take bodyGrace, and bodyRate more bytes for each second beyond.
	bodyGrace = 5 * time.Second
	bodyRate  = 1 << 10
)

// A source reads from a connection. While paced it demands a minimum rate.
type source struct {
	fd    net.Conn
	paced bool
	start time.Time
	got   int
}

// pace starts to demand the minimum rate, with got bytes in already.
func (s *source) pace(got int) { s.paced, s.start, s.got = true, time.Now(), got }

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.paced {
		due := s.start.Add(bodyGrace + time.Duration(s.got)*time.Second/bodyRate)
		if err := s.fd.SetReadDeadline(due); err != nil {
			return 0, err
		}
	}
	n, err := s.fd.Read(p)
	s.got += n
	return n, err
}

// unexpected turns the end of the stream into what it is within a frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
