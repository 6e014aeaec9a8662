package rlpx

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"parley/internal/secp"
)

// link is one direction of an in-memory connection: unbounded, so that a test
// can write first and read later in one goroutine.
type link struct {
	mu       sync.Mutex
	wake     sync.Cond
	data     []byte
	closed   bool
	deadline time.Time
	timer    *time.Timer

	segment func(have int) int // how much of have one Read returns; nil for all
	reads   int                // calls of Read that returned bytes
}

func newLink() *link {
	l := new(link)
	l.wake.L = &l.mu
	return l
}

func (l *link) read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case !l.deadline.IsZero() && !time.Now().Before(l.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(l.data) > 0:
			n := min(len(p), len(l.data))
			if l.segment != nil {
				n = min(n, l.segment(n))
			}
			n = copy(p, l.data[:n])
			l.data = l.data[n:]
			l.reads++
			return n, nil
		case l.closed:
			return 0, io.EOF
		}
		l.wake.Wait()
	}
}

func (l *link) write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, io.ErrClosedPipe
	}
	l.data = append(l.data, p...)
	l.wake.Broadcast()
	return len(p), nil
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.wake.Broadcast()
}

func (l *link) setDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.deadline = t
	if !t.IsZero() {
		l.timer = time.AfterFunc(time.Until(t), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.wake.Broadcast()
		})
	}
	l.wake.Broadcast()
}

// end is a net.Conn on two links. It counts what its owner does.
type end struct {
	in, out *link
	writes  int
	written int
}

// pipe returns the two ends of an in-memory connection.
func pipe() (a, b *end) {
	x, y := newLink(), newLink()
	return &end{in: x, out: y}, &end{in: y, out: x}
}

func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

func (e *end) Write(p []byte) (int, error) {
	e.writes++
	n, err := e.out.write(p)
	e.written += n
	return n, err
}

func (e *end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error { e.in.setDeadline(t); return nil }
func (e *end) SetWriteDeadline(time.Time) error  { return nil }
func (e *end) SetDeadline(t time.Time) error     { return e.SetReadDeadline(t) }
func (e *end) LocalAddr() net.Addr               { return &net.TCPAddr{} }
func (e *end) RemoteAddr() net.Addr              { return &net.TCPAddr{} }

// hangUp ends the direction away from e: the other side reads what is there,
// then io.EOF.
func (e *end) hangUp() { e.out.close() }

// key returns a fixed private key for a number.
func key(n byte) *secp.PrivateKey {
	b := make([]byte, 32)
	b[0], b[31] = 0x5a, n
	k, err := secp.ParsePrivateKey(b)
	if err != nil {
		panic(err)
	}
	return k
}

var (
	keyA = key(1) // the initiator
	keyB = key(2) // the recipient
)

// session runs the handshake over an in-memory connection, with limits as after
// Hello. Both sides share a poisoned pool.
func session(t testing.TB) (a, b *Conn, ea, eb *end, bufs *Buffers) {
	t.Helper()
	bufs = NewPoisonedBuffers()
	ea, eb = pipe()
	type result struct {
		c   *Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := Accept(eb, keyB, bufs)
		done <- result{c, err}
	}()
	a, err := Initiate(ea, keyA, keyB.Public(), bufs)
	if err != nil {
		t.Fatalf("Initiate: %v", err)
	}
	r := <-done
	if r.err != nil {
		t.Fatalf("Accept: %v", r.err)
	}
	a.SetLimits(Limits{})
	r.c.SetLimits(Limits{})
	return a, r.c, ea, eb, bufs
}

// wantInUse fails the test if buffers are still lent out.
func wantInUse(t testing.TB, bufs *Buffers, want int64) {
	t.Helper()
	if got := bufs.InUse(); got != want {
		t.Errorf("%d bytes of buffers in use, want %d", got, want)
	}
}
