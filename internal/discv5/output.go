package discv5

import (
	"net/netip"
	"time"

	"parley/enode"
)

// An Output is what an Engine wants to be done since the last Take.
type Output struct {
	// Packets are to be sent, in this order. They and their bytes are valid
	// until the next call of a method of the engine that takes a time.
	Packets []Outgoing

	Done   []Result      // calls that ended
	Talks  []TalkRequest // for applications; see Engine.Answer
	Votes  []Vote        // about the endpoint of this node
	Proven []*enode.Node // answered at their endpoint in a new session or a check of the table
	Found  []*enode.Node // told of in lookups, or made a session with this node; not proven
}

// Outgoing is a packet to be sent.
type Outgoing struct {
	To   netip.AddrPort
	Data []byte
}

// A Call identifies a request to the engine until its Result. Zero is none.
type Call uint64

// A Result is how a call ended.
type Result struct {
	Call     Call
	Node     *enode.Node    // who was asked; the node found, of RequestENR and Resolve
	Nodes    []*enode.Node  // FindNode: in the order told; Lookup: nearest first
	Seq      uint64         // Ping: sequence number of the node's record
	Endpoint netip.AddrPort // Ping: where the node sees this one
	Talk     []byte         // TalkRequest: the response
	RTT      time.Duration  // of the message that was answered; zero for lookups
	Err      error          // nil, or wraps one of the errors of this package
}

// A Vote is what a node that was sent a PING says about the endpoint of this
// node.
type Vote struct {
	From     netip.Addr
	Endpoint netip.AddrPort
}

// Take returns what is to be done, and forgets it.
func (e *Engine) Take() Output {
	if e.taken {
		return Output{}
	}
	out := e.out
	e.taken = true
	e.out = Output{Packets: e.out.Packets}
	return out
}

// room returns memory at the end of the arena for a packet.
func (e *Engine) room() []byte {
	if cap(e.arena)-len(e.arena) < MaxPacket {
		// What was put there before stays valid: the packets refer to it.
		e.arena = make([]byte, 0, min(max(4*MaxPacket, 2*cap(e.arena)), 64*MaxPacket))
	}
	return e.arena[len(e.arena):]
}

// emit queues a packet that was appended to what room returned.
func (e *Engine) emit(to netip.AddrPort, data []byte) {
	e.arena = e.arena[:len(e.arena)+len(data)]
	e.out.Packets = append(e.out.Packets, Outgoing{to, data[:len(data):len(data)]})
	e.stats.PacketsOut++
	e.stats.BytesOut += uint64(len(data))
}

// send seals a message in a session and queues it. It returns the nonce.
func (e *Engine) send(s *session, kind Kind, plain []byte) nonce {
	e.nonce = e.countedNonce(s)
	b := e.codec.appendMessageHead(e.room(), e.iv(), e.nonce, e.id)
	head := len(b)
	b = s.now.write.Seal(b, e.nonce[:], plain, b)
	e.codec.mask(s.mask, b[:head])
	e.emit(s.place.addr, b)
	e.stats.MessagesOut[kind]++
	return e.nonce
}
