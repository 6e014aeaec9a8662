package discv4

import (
	"net/netip"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
)

// lowestPort is the lowest UDP port at which a node named by another is believed
// to be. Below it are services that should not get packets from us because
// somebody said so.
const lowestPort = 1025

// fewNodes is how many nodes are left for the second packet when the first has as
// many as fit, which is 12. A packet with no more than these may have overtaken it.
const fewNodes = maxNodes - 12

// handlePong takes the endpoint proof.
func (e *Engine) handlePong(at place, m *Pong) error {
	r := e.asked[m.PingHash]
	if r == nil || r.kind != KindPing || r.dialog.place != at {
		return DropUnasked
	}
	e.heard++
	d := r.dialog
	answer := reply{seq: m.Seq}
	for i := range r.tries {
		if r.hashes[i] == m.PingHash {
			answer.rtt = e.t - r.sent[i]
		}
	}
	e.rtt.Add(answer.rtt)

	first := e.bonds.get(e.t, at) == nil
	b := e.bonds.prove(e.t, at)
	if b != nil {
		b.ponged = max(b.ponged, d.ponged)
		if first && d.unasked {
			b.quiet = e.t + quietTime
		}
	}
	if endpoint := netip.AddrPortFrom(m.To.Addr, m.To.UDP); endpoint.Addr().IsValid() && endpoint.Port() != 0 {
		e.out.Votes = append(e.out.Votes, Vote{From: at.at.Addr(), Endpoint: endpoint})
	}

	node := e.nodeAt(r.node, at)
	e.table.Verified(e.now, node)
	e.tellProven(b, node, false)

	if len(d.waiting) > 0 && !e.trusted(d) {
		// Its PING should follow, unless it has its proof already.
		e.timers.set(&d.grace, e.t+e.grace())
	}
	e.end(r, answer)
	return nil
}

// nodeAt returns n, or what the table knows better of it, as a node at the
// endpoint that it has proven.
func (e *Engine) nodeAt(n *enode.Node, at place) *enode.Node {
	if known, ok := e.table.Get(at.id); ok {
		n = newerOf(n, known)
	}
	return placed(n, at.at)
}

// placed returns n if at is among its endpoints, and otherwise n with at in place
// of the one of that family.
func placed(n *enode.Node, at netip.AddrPort) *enode.Node {
	for have := range n.UDPEndpoints() {
		if have == at {
			return n
		}
	}
	if at.Addr().Is4() {
		return n.WithAddr(at.Addr(), n.Addr6()).WithUDP(at.Port())
	}
	return n.WithAddr(n.Addr4(), at.Addr()).WithUDP(at.Port())
}

// tellProven puts out a node that proved its endpoint.
func (e *Engine) tellProven(b *bond, n *enode.Node, changed bool) {
	if b == nil || !changed && e.t-b.told < toldPause {
		return
	}
	b.told = e.t
	e.out.Proven = append(e.out.Proven, n)
}

// handleNeighbors takes a part of the answer to FindNode.
func (e *Engine) handleNeighbors(at place, p *Packet, m *Neighbors) error {
	d := e.dialogs[at]
	if d == nil || d.finding == nil {
		return DropUnasked
	}
	e.heard++
	r := d.finding
	for i := range m.Nodes {
		if len(r.nodes) == maxNodes {
			break
		}
		if n, ok := e.neighbor(at.at.Addr(), &m.Nodes[i]); ok && !holds(r.nodes, n.ID()) {
			r.nodes = append(r.nodes, n)
		}
	}
	r.parts++
	r.named += len(m.Nodes)
	full := p.Size+neighborSize > MaxSize || len(m.Nodes) >= maxNodes-fewNodes
	switch {
	case r.named >= maxNodes || r.parts > 1:
		// Two packets hold 16 nodes of any kind, so there is no third.
	case full, 0 < len(m.Nodes) && len(m.Nodes) <= fewNodes:
		// The other part is right behind, if there is one.
		e.timers.set(&r.timer, e.t+e.grace())
		return nil
	}
	e.end(r, reply{nodes: r.nodes})
	return nil
}

// neighborSize is the least that a packet takes for another node: with an IPv4
// address and the smallest ports.
const neighborSize = 2 + 5 + 1 + 1 + 66

// neighbor returns the node that another one told of, if it can be one and be
// reached from here.
func (e *Engine) neighbor(sender netip.Addr, n *Neighbor) (*enode.Node, bool) {
	switch {
	case n.UDP < lowestPort:
		return nil, false
	case netaddr.CheckRelay(sender, n.Addr) != nil || !e.restrict.Allows(n.Addr):
		return nil, false
	}
	key, err := enode.ParsePublicKey(n.Key[:])
	if err != nil || key == e.key.Public() {
		return nil, false
	}
	// Where a node has proven to be counts for more than where another says it is.
	if known, ok := e.table.Get(enode.PubkeyID(key)); ok {
		if p, ok := e.placeOf(known); ok && e.bonds.all[p] != nil {
			return known, true
		}
	}
	return enode.NewV4(key, n.Addr, n.TCP, n.UDP), true
}

func holds(nodes []*enode.Node, id enode.ID) bool {
	for _, n := range nodes {
		if n.ID() == id {
			return true
		}
	}
	return false
}

// handleENRResponse takes a record. It is verified only here, where somebody waits
// for it.
func (e *Engine) handleENRResponse(at place, m *ENRResponse) error {
	r := e.asked[m.RequestHash]
	if r == nil || r.kind != KindENRRequest || r.dialog.place != at {
		return DropUnasked
	}
	e.heard++
	record, err := enr.ParseBytes(m.Record)
	if err != nil {
		e.end(r, reply{err: ErrRecord})
		return DropRecord
	}
	n, err := enode.New(record)
	if err != nil || n.ID() != at.id {
		e.end(r, reply{err: ErrRecord})
		return DropRecord
	}
	e.end(r, reply{record: n})
	return nil
}

// adopted returns the node that the table should have after n at the given place
// published record, or nil if the record should not change it: one that is not
// newer, or that claims to be at another address. A record that names no address
// is one of a node that does not know its own.
func (e *Engine) adopted(n, record *enode.Node, at place) *enode.Node {
	if record == nil || record.Seq() <= n.Seq() {
		return nil
	}
	addr := record.Addr6()
	if at.at.Addr().Is4() {
		addr = record.Addr4()
	}
	if addr.IsValid() && addr != at.at.Addr() {
		return nil
	}
	for other := range record.UDPEndpoints() {
		if netaddr.CheckRelay(at.at.Addr(), other.Addr()) != nil {
			return nil
		}
	}
	record = placed(record, at.at)
	if _, ok := record.TCPEndpoint(); !ok {
		if tcp, ok := n.TCPEndpoint(); ok {
			record = record.WithTCP(tcp.Port())
		}
	}
	return record
}
