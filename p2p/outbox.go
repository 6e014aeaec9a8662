package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/rlpx"
)

// writeTimeout bounds one system call that writes, and the wait for a place in
// the queue.
const writeTimeout = 20 * time.Second

var (
	// ErrQueueFull means that a message did not find room in the connection's
	// queue in time.
	ErrQueueFull = errors.New("p2p: send queue is full")

	// ErrUnsent is wrapped by the error that reports messages which were queued
	// but not handed to the system before the connection ended.
	ErrUnsent = errors.New("p2p: queued messages were not sent")
)

// An outbox seals messages in the order in which they come and writes them. One
// lone message is written by the goroutine that brings it; what comes while
// somebody is writing goes out together, in one system call, by a flusher that
// lives until nothing is left.
type outbox struct {
	conn *rlpx.Conn
	fd   *stream
	bufs *rlpx.Buffers
	fail func(error) // tells the peer that writing failed, not called under mu

	mu      sync.Mutex // guards the fields below and the order of sealing
	room    sync.Cond  // somebody waits for room or for everything to be written
	pending []byte     // sealed frames
	frames  int        // number of frames in pending
	shared  shares     // messages of Broadcast, not sealed yet, that follow pending
	sending int        // bytes that are being written
	queued  uint64     // messages ever queued
	written uint64     // of them, those that were written
	writing bool       // somebody is in send or trySend, or a flusher runs
	spread  bool       // the spreader has this outbox in its hands
	closing bool       // Disconnect is queued: nothing may follow
	pongs   int        // pongs in pending
	err     error      // sticky: why nothing can be written
	unsent  int        // frames lost by err

	flusher sync.WaitGroup
}

func (o *outbox) init(conn *rlpx.Conn, fd *stream, bufs *rlpx.Buffers, fail func(error)) {
	o.conn, o.fd, o.bufs, o.fail = conn, fd, bufs, fail
	o.room.L = &o.mu
}

// held returns the bytes that wait or are being written.
func (o *outbox) held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting()
}

// waiting is held. Caller holds mu.
func (o *outbox) waiting() int { return len(o.pending) + o.sending + o.shared.size }

// write queues a message and, if nobody else is writing, writes it.
func (o *outbox) write(code uint64, payload []byte) error {
	o.mu.Lock()
	if err := o.waitForRoom(len(payload)); err != nil {
		o.mu.Unlock()
		return err
	}
	if err := o.seal(code, payload); err != nil || o.writing {
		o.mu.Unlock()
		return err
	}
	o.writing = true
	err := o.send()
	if err == nil && o.frames > 0 {
		o.flusher.Go(o.flush) // what came meanwhile is not this caller's to wait for
	} else {
		o.writing = false
	}
	o.mu.Unlock()
	if err != nil {
		o.fail(err)
	}
	return err
}

// enqueue queues a message without blocking. It is for those who must not wait:
// who reads, the shared timer, Broadcast. The message is sealed by the given
// function.
func (o *outbox) enqueue(size int, seal func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case !o.fits(size):
		return ErrQueueFull
	}
	if err := seal(); err != nil {
		return err
	}
	if !o.writing {
		o.writing = true
		o.flusher.Go(o.flush)
	}
	return nil
}

// fits reports whether a message of the given size may be queued. Caller holds mu.
func (o *outbox) fits(size int) bool {
	waiting := o.waiting()
	return waiting == 0 || waiting+size <= maxQueued
}

// waitForRoom blocks until a message of the given size fits. Caller holds mu.
func (o *outbox) waitForRoom(size int) error {
	if o.err == nil && !o.closing && o.fits(size) {
		return nil
	}
	over := time.Now().Add(writeTimeout)
	timer := time.AfterFunc(writeTimeout, o.wake)
	defer timer.Stop()
	for o.err == nil && !o.closing && !o.fits(size) {
		if !time.Now().Before(over) {
			return ErrQueueFull
		}
		o.room.Wait()
	}
	switch {
	case o.err != nil:
		return o.err
	case o.closing:
		return errClosing
	}
	return nil
}

var errClosing = errors.New("p2p: connection is closing")

// seal appends a frame to pending, behind what is shared. Caller holds mu.
func (o *outbox) seal(code uint64, payload []byte) error {
	return o.sealBy((*rlpx.Conn).AppendMsg, code, payload)
}

// sealCompressed is seal for a payload that is compressed already and too large to
// be shared. Caller holds mu.
func (o *outbox) sealCompressed(code uint64, block []byte) error {
	return o.sealBy((*rlpx.Conn).AppendCompressed, code, block)
}

func (o *outbox) sealBy(seal func(c *rlpx.Conn, dst []byte, code uint64, b []byte) ([]byte, error), code uint64, b []byte) error {
	if o.closing {
		return errClosing
	}
	o.sealShared()
	o.pending = o.bufs.Grow(o.pending, rlpx.SealedSize(len(b)))
	frames, err := seal(o.conn, o.pending, code, b)
	if err != nil {
		return fmt.Errorf("p2p: message %#x of %d bytes: %w", code, len(b), err)
	}
	o.pending = frames
	o.frames++
	o.queued++
	return nil
}

// send writes what is pending. Caller holds mu, which is released while the
// system works.
func (o *outbox) send() error {
	batch, frames := o.take()
	o.mu.Unlock()

	o.fd.armWrite(writeTimeout)
	_, err := o.fd.Write(batch)

	o.mu.Lock()
	o.sent(batch, frames, err)
	return err
}

// take takes what is pending out to be written. Caller holds mu.
func (o *outbox) take() (batch []byte, frames int) {
	batch, frames = o.pending, o.frames
	o.pending, o.frames, o.pongs = nil, 0, 0
	o.sending = len(batch)
	return batch, frames
}

// sent notes what became of a batch. Caller holds mu.
func (o *outbox) sent(batch []byte, frames int, err error) {
	o.bufs.Put(batch)
	o.sending = 0
	if err != nil {
		o.lose(frames, err)
	} else {
		o.written += uint64(frames)
	}
	o.room.Broadcast()
}

// lose makes err sticky and counts what is lost by it. Caller holds mu.
func (o *outbox) lose(frames int, err error) {
	o.unsent += frames + o.frames + o.shared.drop()
	o.bufs.Put(o.pending)
	o.pending, o.frames = nil, 0
	if o.err == nil {
		o.err = err
	}
}

// flush writes until nothing is left.
func (o *outbox) flush() {
	o.mu.Lock()
	o.flushLocked(nil)
}

// flushLocked is flush with an outcome of the batch before. Caller holds mu, which
// is released in the end.
func (o *outbox) flushLocked(err error) {
	for o.frames > 0 && err == nil {
		err = o.send()
	}
	o.writing = false
	o.room.Broadcast()
	o.mu.Unlock()
	if err != nil {
		o.fail(err)
	}
}

// drain waits until everything queued so far was written.
func (o *outbox) drain(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && o.written < o.queued {
		stop := context.AfterFunc(ctx, o.wake)
		defer stop()
	}
	for last := o.queued; o.err == nil && o.written < last; {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.room.Wait()
	}
	return o.lost()
}

// wake makes those who wait look again.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room.Broadcast()
}

// lost reports messages that were queued but never sent. Caller holds mu.
func (o *outbox) lost() error {
	switch {
	case o.unsent > 0:
		return fmt.Errorf("%w: %d: %w", ErrUnsent, o.unsent, o.err)
	case o.err != nil:
		return o.err
	}
	return nil
}

// goodbye queues a Disconnect behind everything else, gives all of it a short
// time to be written, and lets nothing follow.
func (o *outbox) goodbye(reason DiscReason, within time.Duration) {
	o.mu.Lock()
	if o.err == nil && !o.closing {
		if o.seal(codeDisconnect, appendDisconnect(nil, reason)) == nil && !o.writing {
			o.writing = true
			o.flusher.Go(o.flush)
		}
	}
	o.closing = true
	o.room.Broadcast()
	o.mu.Unlock()

	o.fd.lastWrite(within)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.idle()
}

// idle waits until nobody is writing or about to. Caller holds mu and has set
// closing, so that nobody begins.
func (o *outbox) idle() {
	for o.writing || o.spread {
		o.room.Wait()
	}
}

// close ends the outbox: what is still queued is lost, later calls get err. The
// connection is closed already, so nobody stays in a system call.
func (o *outbox) close(err error) {
	o.mu.Lock()
	o.closing = true
	if o.err == nil {
		o.lose(0, err)
	}
	o.room.Broadcast()
	o.idle()
	o.mu.Unlock()
	o.flusher.Wait()
}

// pong queues a pong, unless there is no room, or the other side lets so many
// pile up that it does not read them anyway.
func (o *outbox) pong() error {
	return o.enqueue(len(emptyList), func() error {
		if o.pongs >= maxPongs {
			return ErrQueueFull
		}
		o.pongs++
		return o.seal(codePong, emptyList[:])
	})
}
