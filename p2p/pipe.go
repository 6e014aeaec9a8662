package p2p

import (
	"sync"
	"time"
)

// MsgPipe returns two connected ends: what is written to one is read from the
// other. WriteMsg blocks until the message was read, so that a test knows what
// the other side has seen. It is meant for tests of protocols.
func MsgPipe() (a, b *MsgPipeRW) {
	p := new(pipe)
	p.changed.L = &p.mu
	return &MsgPipeRW{p, 0}, &MsgPipeRW{p, 1}
}

// A MsgPipeRW is one end of a MsgPipe.
type MsgPipeRW struct {
	pipe *pipe
	side int
}

// A pipe has one place for a message in each direction.
type pipe struct {
	mu      sync.Mutex // guards the fields below
	changed sync.Cond
	slots   [2]slot // by the side that reads
	closed  bool
}

type slot struct {
	msg           Msg
	full          bool
	written, read uint64 // messages that were put in and taken out
}

// WriteMsg hands a copy of the message to the other end and returns when it was
// read.
func (rw *MsgPipeRW) WriteMsg(m Msg) error {
	p, s := rw.pipe, &rw.pipe.slots[1-rw.side]
	p.mu.Lock()
	defer p.mu.Unlock()
	for s.full && !p.closed {
		p.changed.Wait()
	}
	if p.closed {
		return ErrPipeClosed
	}
	s.msg = Msg{Code: m.Code, Payload: append([]byte(nil), m.Payload...), ReceivedAt: time.Now()}
	s.full = true
	s.written++
	turn := s.written
	p.changed.Broadcast()
	for s.read < turn && !p.closed {
		p.changed.Wait()
	}
	if s.read < turn {
		return ErrPipeClosed
	}
	return nil
}

// ReadMsg returns the next message from the other end.
func (rw *MsgPipeRW) ReadMsg() (Msg, error) {
	p, s := rw.pipe, &rw.pipe.slots[rw.side]
	p.mu.Lock()
	defer p.mu.Unlock()
	for !s.full && !p.closed {
		p.changed.Wait()
	}
	if !s.full || p.closed {
		return Msg{}, ErrPipeClosed
	}
	m := s.msg
	s.msg, s.full = Msg{}, false
	s.read++
	p.changed.Broadcast()
	return m, nil
}

// Close ends both sides: their current and later calls return ErrPipeClosed.
func (rw *MsgPipeRW) Close() error {
	rw.pipe.mu.Lock()
	defer rw.pipe.mu.Unlock()
	rw.pipe.closed = true
	rw.pipe.changed.Broadcast()
	return nil
}
