package simnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Conn is one end of a stream connection. Beside being a [net.Conn] it can
// fail on demand: [Conn.Reset], [Conn.Vanish], [Conn.Stall], [Conn.Segments]
// and [Conn.SetWindow]. All methods are safe for concurrent use.
//
// Errors are those of package net: a [*net.OpError] around [net.ErrClosed],
// [os.ErrDeadlineExceeded], ECONNRESET or EPIPE; and io.EOF.
type Conn struct {
	s    *stream
	side int
}

var _ net.Conn = (*Conn)(nil)

// Stats counts what an end has done. What product code does with one call is
// one system call on a real socket.
type Stats struct {
	BytesRead, BytesWritten int64
	Reads, Writes           int // calls, successful or not
}

// Stats returns the counters of this end.
func (c *Conn) Stats() Stats {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.self().stats
}

func (c *Conn) self() *end  { return &c.s.ends[c.side] }
func (c *Conn) other() *end { return &c.s.ends[1-c.side] }
func (c *Conn) out() *lane  { return &c.s.lanes[c.side] }
func (c *Conn) in() *lane   { return &c.s.lanes[1-c.side] }

// Read returns what has arrived, at least one byte, or waits for it. After the
// other side's Close everything it sent can still be read, then comes io.EOF.
func (c *Conn) Read(b []byte) (int, error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e, in := c.self(), c.in()
	e.stats.Reads++
	for {
		now := s.now()
		if err := s.failure(c.side, e.deadline.read, now); err != nil {
			return 0, c.fail("read", err)
		}
		if len(b) == 0 {
			return 0, nil
		}
		if n := in.receive(b, now); n > 0 {
			e.stats.BytesRead += int64(n)
			c.other().writers.cond.Broadcast()
			return n, nil
		}
		if in.fin <= now {
			return 0, io.EOF
		}
		e.readers.wait(now, min(e.deadline.read, in.next()), s.busy)
	}
}

// Write sends b and returns when all of it is in the window, whether or not it
// has arrived. Bytes beyond the window wait for the other side to read; room
// is known at once, not after a delay. From the time when the other side's
// Close is known here, Write fails with EPIPE; what was sent between the two
// is lost without an error.
func (c *Conn) Write(b []byte) (int, error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e, in, out := c.self(), c.in(), c.out()
	e.stats.Writes++
	mine, done := false, 0
	defer func() {
		if mine {
			e.writing = false
			e.writers.cond.Broadcast()
		}
	}()
	for {
		now := s.now()
		err := s.failure(c.side, e.deadline.write, now)
		if err == nil && in.fin <= now {
			err = syscall.EPIPE
		}
		if err != nil {
			return done, c.fail("write", err)
		}
		if !e.writing || mine {
			e.writing, mine = true, true
			if n := min(out.room(), len(b)-done); n > 0 {
				out.send(b[done:done+n], now)
				done += n
				e.stats.BytesWritten += int64(n)
				c.other().readers.cond.Broadcast()
			}
			if done == len(b) {
				return done, nil
			}
		}
		e.writers.wait(now, min(e.deadline.write, in.fin, in.rst), s.busy)
	}
}

// Close ends the connection. What was written still arrives, followed by the
// end of the stream; what the other side has sent and this one has not read is
// lost. The second Close returns an error.
func (c *Conn) Close() error {
	s := c.s
	s.mu.Lock()
	e := c.self()
	if e.closed {
		s.mu.Unlock()
		return c.fail("close", net.ErrClosed)
	}
	e.closed = true
	e.stopTimers()
	c.out().end(s.now())
	c.in().discard()
	s.wake()
	last := c.other().closed
	s.mu.Unlock()
	if s.ended != nil {
		s.ended(c.side, last)
	}
	return nil
}

// Reset aborts the connection as a TCP RST does: this side's calls fail with
// ECONNRESET at once, the other's when the reset has crossed the link, and
// what it has not read by then is lost. Close is still to be called.
func (c *Conn) Reset() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.self().aborted = true
	c.out().abort(s.now())
	c.in().discard()
	s.wake()
}

// Vanish makes this end disappear from the network without a word, as by a
// power cut: what either side sends from now on, and what is under way, never
// arrives, nor does an end or a reset. The other side can write until the
// window is full, then it blocks.
func (c *Conn) Vanish() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for i := range s.lanes {
		s.lanes[i].hold(now)
		s.lanes[i].severed = true
	}
	s.wake()
}

// Stall keeps all that this end has under way, and all that it sends from now
// on, from arriving before d has passed.
func (c *Conn) Stall(d time.Duration) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	c.out().delay(now+int64(d), now)
	s.wake()
}

// Segments cuts what this end sends from now on: size is told how many bytes
// there are to send and returns how many of them arrive together, in a Read of
// their own. What it returns is brought into the range from 1 to n. Nil goes
// back to what the link does. The function must not call the connection.
func (c *Conn) Segments(size func(n int) int) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.out().cutter = size
}

// SetWindow sets how many bytes this end takes, under way or unread, before
// the other has to wait. With 0 it takes none.
func (c *Conn) SetWindow(n int) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.in().window = n
	c.s.wake()
}

// LocalAddr returns the address of this end, a [*net.TCPAddr].
func (c *Conn) LocalAddr() net.Addr { return c.self().addr }

// RemoteAddr returns the address of the other end, a [*net.TCPAddr].
func (c *Conn) RemoteAddr() net.Addr { return c.other().addr }

// SetDeadline sets both deadlines. Zero means none.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline sets when Read fails with [os.ErrDeadlineExceeded]. Zero
// means never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline sets when Write fails with [os.ErrDeadlineExceeded]. Zero
// means never.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e := c.self()
	if e.closed {
		return c.fail("set", net.ErrClosed)
	}
	at := int64(never)
	if !t.IsZero() {
		at = int64(t.Sub(s.epoch))
	}
	if read {
		e.deadline.read = at
		e.readers.cond.Broadcast()
	}
	if write {
		e.deadline.write = at
		e.writers.cond.Broadcast()
	}
	return nil
}

// fail gives an error the form that package net has; nil stays nil.
func (c *Conn) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
