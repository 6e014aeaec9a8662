package p2p

import (
	"fmt"
	"time"
)

// Reading a connection is a turn, which one goroutine has at a time. A protocol
// that waits for a message takes it and reads the connection itself, until a
// message of its own comes: the answer to a request needs no other goroutine to be
// woken, and a peer at rest has no goroutine beside those of its protocols.
// Messages of others it puts into their inboxes, those of the base protocol it
// handles.
//
// When it leaves with its message, the turn goes to another protocol that waits.
// If there is none, and none comes back within reliefDelay, a goroutine takes it
// that is there for nothing else: a protocol that is at work must not keep pings
// from being answered, the end of the connection from being seen, and messages
// from being read ahead. It leaves as soon as a protocol is back.

// reliefDelay is how long a connection may go unread while all of its protocols
// are at work. It is found out late rather than early, by at most twice as much,
// so that a busy connection costs no more than a timer now and then. Before the first
// turn it is up to one tick more.
const reliefDelay = 10 * time.Millisecond

// take sets m to the next message for the protocol r. After the end it gives what
// had arrived before, then the reason.
func (p *Peer) take(r *running, m *Msg) error {
	in, q := &p.in, &r.queue
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		switch {
		case !q.empty():
			was := in.full()
			in.pop(q, m)
			if was {
				p.passTurn()
			}
			return nil
		case in.ended != nil:
			*m = Msg{} // readFor may have left somebody else's in it
			return in.ended
		case in.reading || in.full():
			q.waiting = true
			q.ready.Wait()
			q.waiting = false
			continue
		}
		mine := p.readFor(r, m)
		switch {
		case mine && !in.discard:
			m.loan.HandOver()
			return nil
		case mine:
			m.Release()
		}
	}
}

// readFor takes the turn and gives it back: it reads until a message for r came,
// to which it sets m, or until nothing more may be read. Caller holds in.mu, which
// is released meanwhile.
func (p *Peer) readFor(r *running, m *Msg) (mine bool) {
	p.in.beginTurn()
	p.in.mu.Unlock()
	for more := true; more && !mine && p.srv.waitForMemory(p); {
		var to *running
		to, more = p.readMsg(m)
		switch to {
		case nil:
		case r:
			mine = true
		default:
			more = p.hand(to, m)
		}
	}
	p.in.mu.Lock()
	p.endTurn()
	return mine
}

// hand puts a message into the inbox of its protocol. It reports whether more may
// be read. Of m nothing is left, or whoever reads on would keep the payload from the
// collector for as long as nothing else comes.
func (p *Peer) hand(to *running, m *Msg) bool {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	p.in.put(&to.queue, m)
	*m = Msg{}
	return !p.in.full()
}

// firstTurn sees to it that the connection is read if no protocol begins by reading.
// It is called at each tick, so that the usual case, in which one does, costs
// nothing.
func (p *Peer) firstTurn() {
	if !p.hasBegun() {
		return
	}
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if p.in.turns == 0 {
		p.passTurn()
	}
}

// beginTurn takes the turn. Caller holds mu and has seen that it is free.
func (in *intake) beginTurn() {
	in.reading = true
	in.turns++
}

// endTurn gives the turn back. Caller holds in.mu.
func (p *Peer) endTurn() {
	p.in.reading = false
	p.passTurn()
}

// passTurn gives a turn that is free to a protocol that waits, or sees to it that
// it is taken in time. Caller holds in.mu.
func (p *Peer) passTurn() {
	in := &p.in
	switch {
	case in.ended != nil:
		in.still.Broadcast()
		return
	case in.reading || in.full(): // who makes room calls again
		return
	}
	if r := p.idle(); r != nil {
		r.queue.ready.Signal()
		return
	}
	if in.armed {
		return
	}
	in.armed, in.seen = true, in.turns
	if in.relief == nil {
		in.relief = time.AfterFunc(reliefDelay, p.relieve)
	} else {
		in.relief.Reset(reliefDelay)
	}
}

// idle returns a protocol that waits for its next message, or nil. Caller holds
// in.mu.
func (p *Peer) idle() *running {
	for _, r := range p.run {
		if r.queue.waiting && r.queue.empty() {
			return r
		}
	}
	return nil
}

// relieve is called when the turn was free for a while. If nobody has taken it
// meanwhile it reads ahead, until a protocol comes back or the inboxes are full.
func (p *Peer) relieve() {
	in := &p.in
	in.mu.Lock()
	in.armed = false
	if in.ended != nil || in.reading || in.full() {
		in.mu.Unlock()
		return
	}
	if in.seen != in.turns {
		p.passTurn() // which waits once more
		in.mu.Unlock()
		return
	}
	p.work.Add(1) // not after the end, so not while finish waits
	defer p.work.Done()
	in.beginTurn()
	in.mu.Unlock()
	p.readAhead()
	in.mu.Lock()
	p.endTurn()
	in.mu.Unlock()
}

// readAhead reads until a protocol waits for a message, or nothing more may be
// read.
func (p *Peer) readAhead() {
	for p.srv.waitForMemory(p) {
		var m Msg
		to, more := p.readMsg(&m)
		p.in.mu.Lock()
		back := p.idle() != nil
		p.in.mu.Unlock()
		if to != nil {
			more = p.hand(to, &m)
		}
		if back || !more {
			return
		}
	}
}

// settle waits until nobody reads. It is called after the end.
func (in *intake) settle() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.reading {
		in.still.Wait()
	}
	if in.relief != nil {
		in.relief.Stop()
	}
}

// readMsg reads one message. Those of the base protocol it handles. If it is one
// for another protocol, it sets m to it and returns the protocol. It reports false
// if the connection has ended.
func (p *Peer) readMsg(m *Msg) (to *running, ok bool) {
	p.fd.disarmRead() // whether the other side is alive, pings tell
	wire, err := p.conn.ReadMsg()
	if err != nil {
		p.readFailed(err)
		return nil, false
	}
	m.ReceivedAt = time.Now()
	if wire.Code < baseLength {
		ok = p.base(m.ReceivedAt, wire.Code, wire.Payload)
		wire.Release()
		return nil, ok
	}
	if to = owner(p.run, wire.Code); to == nil { // ReadMsg refuses such codes by their limit, but does not say why
		wire.Release()
		return nil, p.breach("message code %#x belongs to no shared protocol", wire.Code)
	}
	m.Code, m.Payload, m.loan = wire.Code-to.offset, wire.Payload, wire.Loan
	p.noteMsg(EventMsgRecv, to, m.Code, m.Size())
	return to, true
}

// base handles a message of the base protocol. It reports false if that ended the
// connection.
func (p *Peer) base(now time.Time, code uint64, payload []byte) bool {
	switch code {
	case codeDisconnect:
		p.end(parseDisconnect(payload), nil, true)
		return false
	case codePing:
		answer, flood := p.live.ping(now)
		if flood {
			return p.breach("more than %d pings in a second", maxPingRate)
		}
		if answer {
			p.answer()
		}
	case codePong:
		fastest, asked := p.live.pong(now)
		if !asked {
			p.srv.count.unaskedPongs.Add(1)
			return true
		}
		p.srv.noteLatency(p.id, fastest)
	case codeHello:
		return p.breach("a second Hello")
	default:
		if !p.live.reserved() {
			return p.breach("message codes %#x to %#x are reserved", codePong+1, baseLength-1)
		}
	}
	return true
}

// breach ends the connection because the other side broke the rules of the base
// protocol. It returns false.
func (p *Peer) breach(format string, args ...any) bool {
	p.end(DiscProtocolError, fmt.Errorf(format, args...), false)
	return false
}
