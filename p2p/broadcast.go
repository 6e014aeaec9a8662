package p2p

import (
	"fmt"

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
// compressed once. It never blocks: peers whose queue is full, or that do not run
// the protocol, are skipped and named in the result.
func (s *Server) Broadcast(m Outgoing, peers []*Peer) []Missed {
	var missed []Missed
	block, err := rlpx.Compress(nil, m.Payload)
	for _, p := range peers {
		e := err
		if e == nil {
			e = p.broadcast(m, block)
		}
		if e != nil {
			missed = append(missed, Missed{p, e})
		}
	}
	return missed
}

func (p *Peer) broadcast(m Outgoing, block []byte) error {
	r := p.protocol(m.Protocol)
	if r == nil {
		return ErrNotRunning
	}
	if m.Code >= r.Length {
		return fmt.Errorf("p2p: message code %#x is not below the length %#x of %v", m.Code, r.Length, r.Cap())
	}
	code := r.offset + m.Code
	err := p.out.enqueue(len(m.Payload), func() error {
		if p.conn.Snappy() {
			return p.out.sealCompressed(code, block)
		}
		return p.out.seal(code, m.Payload)
	})
	if err == nil {
		p.noteMsg(EventMsgSend, r, m.Code, len(m.Payload))
	}
	return err
}
