package p2p

import (
	"fmt"
	"sync/atomic"

	"parley/rlpx"
)

// A Missed names a peer that a Broadcast skipped.
type Missed struct {
	Peer *Peer
	Err  error // ErrQueueFull, ErrNotRunning, or why the connection ended
}

// An Outgoing is a message for several peers.
type Outgoing struct {
	Protocol string // name of the sub-protocol, whatever its version
	Code     uint64 // inside the protocol
	Payload  []byte // one RLP value
}

// Broadcast queues a message for each of the given peers. The payload is
// compressed once and not used any more when Broadcast returns; sealing and
// writing are done beside, for several peers together. It never blocks: peers
// whose queue is full, or that do not run the protocol, are skipped and named in
// the result.
func (s *Server) Broadcast(m Outgoing, peers []*Peer) []Missed {
	var missed []Missed
	b, err := s.compress(m.Payload)
	for _, p := range peers {
		e := err
		if e == nil {
			e = p.broadcast(m, b)
		}
		if e != nil {
			missed = append(missed, Missed{p, e})
		}
	}
	if err == nil {
		s.spreader.begin()
		b.release()
	}
	return missed
}

func (p *Peer) broadcast(m Outgoing, b *block) error {
	r := p.protocol(m.Protocol)
	if r == nil {
		return ErrNotRunning
	}
	if m.Code >= r.Length {
		return fmt.Errorf("p2p: message code %#x is not below the length %#x of %v", m.Code, r.Length, r.Cap())
	}
	code := r.offset + m.Code
	var err error
	if p.conn.Snappy() && len(b.data) <= maxShared {
		err = p.out.share(code, b, len(m.Payload), &p.srv.spreader)
	} else {
		err = p.out.enqueue(len(m.Payload), func() error {
			if p.conn.Snappy() {
				return p.out.sealCompressed(code, b.data)
			}
			return p.out.seal(code, m.Payload)
		})
	}
	if err == nil {
		p.noteMsg(EventMsgSend, r, m.Code, len(m.Payload))
	}
	return err
}

// maxShared is the largest block that waits unsealed. It is far below what a frame
// can hold, so that sealing it cannot fail.
const maxShared = maxQueued

// A block is a compressed payload on its way to several connections.
type block struct {
	data  []byte
	bufs  *rlpx.Buffers
	users atomic.Int32
}

// compress makes a block of a payload, with the caller as its first user.
func (s *Server) compress(payload []byte) (*block, error) {
	buf := s.bufs.Get(rlpx.SealedSize(len(payload)))
	data, err := rlpx.Compress(buf[:0], payload)
	if err != nil {
		s.bufs.Put(buf)
		return nil, err
	}
	b := &block{data: data, bufs: s.bufs}
	b.users.Store(1)
	return b, nil
}

func (b *block) use() *block {
	b.users.Add(1)
	return b
}

// release gives the buffer back if this was the last user.
func (b *block) release() {
	if b.users.Add(-1) == 0 {
		b.bufs.Put(b.data)
	}
}

// shares are the messages that wait on one connection to be sealed.
type shares struct {
	list []share
	head int // list[:head] were sealed
	size int // bytes of the frames that will be made of the rest, at most
}

type share struct {
	code  uint64
	block *block
}

func (s *shares) push(code uint64, b *block) {
	s.list = append(s.list, share{code, b.use()})
	s.size += rlpx.SealedSize(len(b.data))
}

// first returns the message to be sealed next, or nil.
func (s *shares) first() *share {
	if s.head == len(s.list) {
		return nil
	}
	return &s.list[s.head]
}

// pop takes the first message out.
func (s *shares) pop() {
	f := s.first()
	s.size -= rlpx.SealedSize(len(f.block.data))
	f.block.release()
	*f = share{}
	if s.head++; s.head == len(s.list) {
		s.list, s.head = s.list[:0], 0
		if cap(s.list) > 16 {
			s.list = nil // a burst is over
		}
	}
}

// drop takes all messages out and returns how many there were.
func (s *shares) drop() int {
	n := len(s.list) - s.head
	for s.first() != nil {
		s.pop()
	}
	return n
}
