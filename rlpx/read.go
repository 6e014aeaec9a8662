package rlpx

import (
	"errors"
	"fmt"
	"os"
)

// Limits bound what ReadMsg accepts.
type Limits struct {
	// Frame is the largest frame size that a header may claim, in bytes: code and
	// payload as they come, compressed or not. Zero or less means all that the
	// header can tell, 16 MiB - 1.
	Frame int

	// Message returns the largest payload accepted for a message code, in bytes
	// after decompression; 0 refuses the message. It is asked when the code is
	// known and before anything is inflated, by the goroutine in ReadMsg. nil, and
	// any larger answer, mean MaxMessage.
	Message func(code uint64) int

	// Absolute leaves the read deadline of the connection alone, so that it holds
	// for whole messages. Otherwise it holds until a header is read; ReadMsg then
	// replaces it: a body may take 5 s, and a second more for each KiB received.
	// What is left on the connection afterwards is used up: set a new deadline
	// before each ReadMsg.
	Absolute bool
}

// SetLimits replaces the limits. It waits for a ReadMsg in progress.
func (c *Conn) SetLimits(l Limits) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if l.Frame <= 0 || l.Frame > maxFrame {
		l.Frame = maxFrame
	}
	c.limits = l
	c.win.ahead = readAhead
	if l.Absolute {
		c.win.ahead = earlyReadAhead
	}
}

// A Msg is a message as received. Copies share the payload.
type Msg struct {
	Code     uint64
	Payload  []byte // decompressed; valid until Release
	WireSize int    // bytes of its frame on the wire, header and MACs included
	Loan            // the payload's buffer
}

// A Loan is a buffer that its holder may give back. The zero value is none.
type Loan struct {
	lease *lease
	gen   uint64
}

// Release gives the buffer back. It is optional: without it the collector takes
// the buffer, and InUse goes on counting it unless HandOver was called. Any
// further Release, of this or any copy, does nothing.
func (l Loan) Release() {
	if l.lease != nil {
		l.lease.release(l.gen)
	}
}

// HandOver takes the buffer out of InUse: from now on it counts as its holder's
// memory, no longer as the connection's, whether it is released or not. It must
// not run at the same time as a Release of a copy.
func (l Loan) HandOver() {
	if l.lease != nil && l.lease.home != nil && l.lease.gen.Load() == l.gen {
		l.lease.uncount()
	}
}

const (
	// smallBody is up to which size, with padding and MAC, a body is opened in
	// the window, without a buffer of its own for the ciphertext.
	smallBody = 4 << 10

	// firstChunk is the size of the buffer for the beginning of a larger body.
	// Each further one is as large as all before together, so that a claim costs
	// memory only as far as bytes arrive for it.
	firstChunk = 64 << 10

	maxChunks = 9 // firstChunk doubled until it holds maxFrame
)

// ReadMsg waits for the next message, under the read deadline of the connection
// and Limits. Only one goroutine may read.
//
// After a timeout while waiting for a header ReadMsg may be called again; any
// other error is final, and all buffers are back when it is returned. The error
// wraps ErrMAC, ErrTooLarge, ErrMalformed or ErrSelf, if the other side is to
// blame, or else what the connection returned: io.EOF only between two frames.
func (c *Conn) ReadMsg() (Msg, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.err != nil {
		return Msg{}, c.err
	}
	c.src.paced = false
	if err := c.win.fill(&c.src, frameHead); err != nil {
		err = fmt.Errorf("rlpx: read header: %w", err)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.fail(err)
		}
		return Msg{}, err
	}
	m, err := c.readFrame()
	if err != nil {
		err = fmt.Errorf("rlpx: read %w", err)
		c.fail(err)
		return Msg{}, err
	}
	c.win.settle()
	return m, nil
}

// fail ends all reading.
func (c *Conn) fail(err error) {
	c.err = err
	c.win.drop()
}

// readFrame reads a frame whose header is in the window.
func (c *Conn) readFrame() (Msg, error) {
	size, err := c.in.openHeader(c.win.take(frameHead))
	if err != nil {
		return Msg{}, err
	}
	if size > c.limits.Frame {
		return Msg{}, fmt.Errorf("header: frame of %d bytes: %w (limit %d)", size, ErrTooLarge, c.limits.Frame)
	}
	rest := padded(size) + macSize
	if have := len(c.win.unread()); have < rest && !c.limits.Absolute {
		c.src.pace(have)
	}
	var m Msg
	if rest <= smallBody {
		m, err = c.readSmall(size)
	} else {
		m, err = c.readLarge(size)
	}
	if err != nil {
		return Msg{}, err
	}
	m.WireSize = frameLen(size)
	return m, nil
}

// readSmall opens a body inside the window.
func (c *Conn) readSmall(size int) (Msg, error) {
	if err := c.win.fill(&c.src, padded(size)+macSize); err != nil {
		return Msg{}, fmt.Errorf("body: %w", unexpected(err))
	}
	body := c.win.take(padded(size))
	c.in.absorb(body)
	if err := c.verify(c.win.take(macSize)); err != nil {
		return Msg{}, err
	}
	c.in.decrypt(body, body)
	return c.open(body[:size], nil)
}

// readLarge reads a body into buffers of its own, which grow as it arrives.
func (c *Conn) readLarge(size int) (Msg, error) {
	var list [maxChunks]*lease
	chunks := list[:0]
	defer func() {
		for _, l := range chunks {
			l.end()
		}
	}()
	total := padded(size)
	for have := 0; have < total; {
		l := c.win.bufs.lend(min(max(firstChunk, have), total-have))
		chunks = append(chunks, l)
		if err := c.readBody(l.data); err != nil {
			return Msg{}, fmt.Errorf("body: %w", unexpected(err))
		}
		have += len(l.data)
	}
	if err := c.win.fill(&c.src, macSize); err != nil {
		return Msg{}, fmt.Errorf("body: %w", unexpected(err))
	}
	if err := c.verify(c.win.take(macSize)); err != nil {
		return Msg{}, err
	}
	if len(chunks) == 1 {
		whole := chunks[0]
		chunks = nil
		c.in.decrypt(whole.data, whole.data)
		return c.open(whole.data[:size], whole)
	}
	// Decrypting moves the bytes anyway: it joins the chunks without a copy.
	whole := c.win.bufs.lend(total)
	at := 0
	for i, l := range chunks {
		c.in.decrypt(whole.data[at:], l.data)
		at += len(l.data)
		l.end()
		chunks[i] = nil
	}
	return c.open(whole.data[:size], whole)
}

// readBody fills p with ciphertext, from the window first, and hashes it while
// it is fresh in the processor's cache.
func (c *Conn) readBody(p []byte) error {
	n := copy(p, c.win.unread())
	c.in.absorb(c.win.take(n))
	for n < len(p) {
		got, err := c.src.Read(p[n:])
		c.in.absorb(p[n : n+got])
		n += got
		if err != nil && n < len(p) {
			return err
		}
	}
	return nil
}

// verify checks the MAC of a body. With the first one the other side has proven
// that it holds the key it named.
func (c *Conn) verify(mac []byte) error {
	if err := c.in.verifyBody(mac); err != nil {
		return err
	}
	if c.mirror {
		return fmt.Errorf("body: %w", ErrSelf)
	}
	return nil
}

// open makes a message of a decrypted body. whole is the lease that body lies
// in, nil if it lies in the window; open takes it over.
func (c *Conn) open(body []byte, whole *lease) (Msg, error) {
	m, err := c.openMessage(body, whole)
	if m.lease != whole {
		whole.end()
	}
	if err != nil {
		return Msg{}, fmt.Errorf("message: %w", err)
	}
	return m, nil
}

// openMessage is open, but keeps whole only as the lease of what it returns.
func (c *Conn) openMessage(body []byte, whole *lease) (Msg, error) {
	code, data, err := splitCode(body)
	if err != nil {
		return Msg{}, err
	}
	limit := MaxMessage
	if c.limits.Message != nil {
		limit = min(limit, c.limits.Message(code))
	}
	size := len(data)
	if c.snappy {
		if size, err = inflatedSize(data); err != nil {
			return Msg{}, err
		}
	}
	if size > limit || limit <= 0 {
		return Msg{}, fmt.Errorf("code %#x, %d bytes: %w (limit %d)", code, size, ErrTooLarge, max(limit, 0))
	}
	m := Msg{Code: code}
	switch {
	case !c.snappy && whole != nil:
		m.lease, m.Payload = whole, data
	case size > 0:
		m.lease = c.win.bufs.lend(size)
		m.Payload = m.lease.data
		if !c.snappy {
			copy(m.Payload, data)
		} else if err := inflate(m.Payload, data); err != nil {
			m.lease.end()
			return Msg{}, fmt.Errorf("code %#x: %w", code, err)
		}
	}
	if m.lease != nil {
		m.gen = m.lease.gen.Load()
	}
	return m, nil
}
