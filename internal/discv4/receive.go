package discv4

import (
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// What an endpoint that has not proved itself may cause, beside one PONG for each
// PING: a PING in return, because other nodes expect that within 300 ms, but not
// within pingBackPause of the last, and maxPingBacks in pingBackTime at most.
const (
	pingBackPause = 2 * time.Second
	maxPingBacks  = 3
	pingBackTime  = time.Minute
)

// recordPause is the least time between two answers to ENRRequest for one
// endpoint.
const recordPause = time.Second

// Receive acts on a packet from an endpoint.
func (e *Engine) Receive(now time.Time, from netip.AddrPort, p *Packet) {
	e.enter(now)
	e.stats.Received[p.Message.Kind()]++
	if err := e.receive(normalize(from), p); err != nil {
		e.Refuse(err)
	}
	e.upkeep()
}

func (e *Engine) receive(from netip.AddrPort, p *Packet) error {
	at := place{p.ID, from}
	if p.ID == e.own.id {
		return DropSelf
	}
	switch m := p.Message.(type) {
	case *Ping:
		if err := e.accept(p, m.Expiration); err != nil {
			return err
		}
		return e.handlePing(at, p, m)
	case *FindNode:
		if err := e.accept(p, m.Expiration); err != nil {
			return err
		}
		return e.handleFindNode(at, m)
	case *ENRRequest:
		if err := e.accept(p, m.Expiration); err != nil {
			return err
		}
		return e.handleENRRequest(at, p)
	case *Pong:
		if err := e.expired(m.Expiration); err != nil {
			return err
		}
		return e.handlePong(at, m)
	case *Neighbors:
		if err := e.expired(m.Expiration); err != nil {
			return err
		}
		return e.handleNeighbors(at, p, m)
	case *ENRResponse:
		return e.handleENRResponse(at, m)
	}
	return DropKind
}

// accept checks what asks for an answer: it must be of this time and be the first
// of its kind. Answers need no such check, since each is used up with its request;
// and the same list of neighbors may well be the answer to two of them.
func (e *Engine) accept(p *Packet, expiration uint64) error {
	if err := e.expired(expiration); err != nil {
		return err
	}
	if e.gate.replayed(e.t, p.Hash[:16]) {
		return DropReplay
	}
	e.gate.remember(e.t, &p.Hash)
	return nil
}

// handlePing answers first, then asks for an endpoint proof if there is none.
func (e *Engine) handlePing(at place, p *Packet, m *Ping) error {
	e.heard++
	b, d := e.bonds.get(e.t, at), e.dialogs[at]
	e.pong(at.at, p.Hash)
	if b != nil {
		b.ponged = e.t
	}
	if d != nil {
		// Our answer makes the other side take our requests.
		d.ponged = e.t
		e.pump(d)
	}
	switch {
	case b == nil && (d == nil || d.ping == nil):
		if e.mayPingBack(at.at) {
			e.pingBack(at, p.Key, m.From.TCP)
		}
	case b != nil:
		// It may have lost its place in the table meanwhile. Its proof is not of
		// this moment, so it will be checked.
		if _, known := e.table.Get(p.ID); !known {
			e.table.Seen(e.now, enode.NewV4(p.Key, at.at.Addr(), m.From.TCP, at.at.Port()))
		}
	}
	return nil
}

// pong answers a ping. The smallest ping that is accepted has 113 bytes, and the
// largest pong, to an IPv6 address and with a sequence number of 64 bits, 169: an
// endpoint that has not proved itself gets no more than one and a half times what
// it sent.
func (e *Engine) pong(to netip.AddrPort, ping [32]byte) {
	m := &e.scratch.pong
	*m = Pong{
		To:         Endpoint{Addr: to.Addr(), UDP: to.Port()},
		PingHash:   ping,
		Expiration: e.expiration(),
		Seq:        e.self.Seq(),
	}
	e.send(to, m)
}

// mayPingBack takes what a ping in return to this endpoint costs.
func (e *Engine) mayPingBack(to netip.AddrPort) bool {
	times, ok := e.pingBacks.get(e.t, to)
	if !ok {
		times = [maxPingBacks]time.Duration{never, never, never}
	}
	rate := float64(e.limits.PingBacks)
	switch {
	case e.t-times[maxPingBacks-1] < pingBackPause, e.t-times[0] < pingBackTime:
		return false
	case !e.backs.take(e.t, rate, rate):
		return false
	}
	copy(times[:], times[1:])
	times[maxPingBacks-1] = e.t
	e.pingBacks.put(e.t, to, times)
	return true
}

// handleFindNode answers with the nearest nodes that proved their endpoint.
func (e *Engine) handleFindNode(at place, m *FindNode) error {
	if e.bonds.get(e.t, at) == nil {
		return DropUnbonded
	}
	e.heard++
	target := enode.PubkeyID(m.Target)
	out := &e.scratch.neighbors
	out.Nodes, out.Expiration = out.Nodes[:0], e.expiration()
	room := MaxSize - headerSize - out.size() - 4 // two list headers of 3 bytes instead of 1
	sent := false
	named := 0
	for _, n := range e.table.Closest(target, maxNodes+1, true) { // the asker may be one
		neighbor, ok := neighborOf(n)
		if !ok || named == maxNodes || n.ID() == at.id || netaddr.CheckRelay(at.at.Addr(), neighbor.Addr) != nil {
			continue
		}
		size := neighbor.size()
		if size > room {
			e.send(at.at, out)
			sent = true
			room += out.nodes()
			out.Nodes = out.Nodes[:0]
		}
		room -= size
		named++
		out.Nodes = append(out.Nodes, neighbor)
	}
	if len(out.Nodes) > 0 || !sent {
		e.send(at.at, out)
	}
	return nil
}

func (e *Engine) handleENRRequest(at place, p *Packet) error {
	if e.bonds.get(e.t, at) == nil {
		return DropUnbonded
	}
	e.heard++
	if last, ok := e.records.get(e.t, at.at); ok && e.t-last < recordPause {
		return DropAnswered
	}
	e.records.put(e.t, at.at, e.t)
	e.own.record.RequestHash = p.Hash
	e.send(at.at, &e.own.record)
	return nil
}
