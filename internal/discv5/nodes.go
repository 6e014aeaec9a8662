package discv5

import (
	"net/netip"
	"slices"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
)

// Limits on the answer to one FINDNODE, both given and taken.
const (
	maxNodes        = 16
	maxNodesPackets = 5

	// maxRecords is how many bytes of records fit a NODES message beside a
	// request-id of 8 bytes and the headers of lists.
	maxRecords = maxPlaintext - 1 - 3 - 9 - 1 - 3

	// lowPort is the highest port that a node is not contacted at if others told
	// of it: services there may answer anything they do not understand.
	lowPort = 1024
)

// findNode answers FINDNODE with live nodes of the table. Distances outside of
// 0 to 256 and those named before are ignored.
func (e *Engine) findNode(s *session, m message) Drop {
	var wanted [257]bool
	var records [maxNodes]*enr.Record
	n := 0
	for n < maxNodes && m.distances.More() {
		d, err := m.distances.Uint64()
		if err != nil {
			return DropMessage
		}
		if d > 256 || wanted[d] {
			continue
		}
		wanted[d] = true
		if d == 0 {
			records[n] = e.self.Record()
			n++
			continue
		}
		for _, node := range e.table.AtDistance(int(d), maxNodes, true) {
			if n == maxNodes {
				break
			}
			if node.Record() != nil && node.ID() != s.place.id && tellable(node, s.place.addr.Addr()) {
				records[n] = node.Record()
				n++
			}
		}
	}
	e.sendNodes(s, m.id, records[:n])
	return 0
}

// tellable reports whether the endpoints of a node may be told to, or by, a host.
func tellable(n *enode.Node, host netip.Addr) bool {
	some := false
	for at := range n.UDPEndpoints() {
		if netaddr.CheckRelay(host, at.Addr()) != nil {
			return false
		}
		some = true
	}
	return some
}

// sendNodes sends records in as few packets as they take, one if there are none.
// What does not fit in maxNodesPackets is left out.
func (e *Engine) sendNodes(s *session, id requestID, records []*enr.Record) {
	var ends [maxNodesPackets]int
	packets, size := 0, 0
	for i, r := range records {
		if size+r.Len() > maxRecords {
			ends[packets] = i
			packets++
			size = 0
			if packets == maxNodesPackets {
				break
			}
		}
		size += r.Len()
	}
	if packets < maxNodesPackets {
		ends[packets] = len(records)
		packets++
	}
	start := 0
	for _, end := range ends[:packets] {
		e.send(s, KindNodes, appendNodes(e.plain[:0], id, packets, records[start:end]))
		start = end
	}
}

// A nodesAnswer collects the NODES messages that answer one request.
type nodesAnswer struct {
	some           bool // packets came
	packets, total int
	tried          int // records looked at
	nodes          []*enode.Node
}

// again makes the answer wait for all of its packets once more, since the request
// was repeated.
func (a *nodesAnswer) again() { a.packets, a.tried = 0, 0 }

// collect takes a NODES message and reports whether the answer is complete. The
// number of records that are verified is limited, not only of those kept, as
// each costs an operation on the curve.
func (e *Engine) collect(c *call, m message) bool {
	a := &c.nodes
	if a.packets == 0 {
		a.total = int(min(max(m.total, 1), maxNodesPackets))
	}
	a.some = true
	a.packets++
	for m.records.More() && a.tried < maxNodes && len(a.nodes) < maxNodes {
		raw, err := m.records.Raw()
		if err != nil {
			break
		}
		a.tried++
		if n := e.acceptable(c, raw); n != nil {
			a.nodes = append(a.nodes, n)
		}
	}
	return a.packets >= a.total || a.tried >= maxNodes
}

// acceptable returns the node of a record in an answer, or nil: what is not
// wanted is dropped singly.
func (e *Engine) acceptable(c *call, raw []byte) *enode.Node {
	n, err := e.verified.parse(raw)
	if err != nil || n.ID() == e.id {
		return nil
	}
	distance := uint(enode.LogDistance(c.at.id, n.ID()))
	if !slices.Contains(c.distances, distance) {
		return nil
	}
	if slices.ContainsFunc(c.nodes.nodes, func(o *enode.Node) bool { return o.ID() == n.ID() }) {
		return nil
	}
	// What a node says about itself is for who asked to judge.
	if distance != 0 && !e.contactable(n, c.at.addr.Addr()) {
		return nil
	}
	return n
}

// contactable reports whether this node may contact one that the host at teller
// told of.
func (e *Engine) contactable(n *enode.Node, teller netip.Addr) bool {
	for at := range n.UDPEndpoints() {
		if at.Port() <= lowPort {
			return false
		}
	}
	_, ok := e.endpoint(n)
	return ok && tellable(n, teller)
}
