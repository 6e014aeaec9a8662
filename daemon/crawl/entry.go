package crawl

import (
	"slices"
	"time"

	"parley/dnsdisc"
	"parley/enode"
)

// An outcome is what came of checking a node.
type outcome uint8

const (
	unchecked outcome = iota
	passed
	failed
)

// An entry is a node that was heard of.
type entry struct {
	old     dnsdisc.NodeStatus // what was known before, zero if nothing
	places  []*enode.Node      // where it may be, in the order in which they are tried
	tried   int                // index of the place being tried, or tried last
	waiting bool               // for a visit, or being visited
	tellers int                // nodes that told of it

	outcome outcome
	at      time.Time   // of the check
	record  *enode.Node // as it showed itself then
}

// place returns the index of the place that n is at, or -1.
func (e *entry) place(n *enode.Node) int {
	at, _ := n.UDPEndpoint()
	return slices.IndexFunc(e.places, func(p *enode.Node) bool {
		known, _ := p.UDPEndpoint()
		return known == at
	})
}

// knows reports whether n tells no place that would be added.
func (e *entry) knows(n *enode.Node) bool { return len(e.places) >= maxPlaces || e.place(n) >= 0 }

// add adds a place, and reports whether it is worth asking there. A newer record
// comes before what others say without one.
func (e *entry) add(n *enode.Node) bool {
	if i := e.place(n); i >= 0 {
		if n.Seq() > e.places[i].Seq() {
			e.places[i] = n
		}
		return false
	}
	if len(e.places) >= maxPlaces {
		return false
	}
	next := len(e.places)
	if untried := e.tried + 1; untried < next && n.Seq() > e.places[untried].Seq() {
		next = untried
	}
	e.places = slices.Insert(e.places, next, n)
	return true
}

// checked notes the outcome of a check: the node with its record, or nil.
func (e *entry) checked(at time.Time, record *enode.Node) {
	e.outcome, e.at, e.record = failed, at, record
	if record != nil {
		e.outcome = passed
	}
}

// status returns what the result says about the node, and false if it has no place
// there. Each check that is passed adds one to the score, one that is not halves
// it; at 0 the node is given up.
func (e *entry) status() (status dnsdisc.NodeStatus, ok bool) {
	status = e.old
	if e.outcome == unchecked {
		return status, status.Record != nil
	}
	at := e.at.UTC().Truncate(time.Second)
	status.LastCheck = at
	if e.outcome == failed {
		status.Score /= 2
		return status, status.Record != nil && status.Score > 0
	}
	status.Score = max(status.Score, 0) + 1
	status.LastResponse = at
	if status.FirstResponse.IsZero() {
		status.FirstResponse = at
	}
	if r := e.record.Record(); r != nil && (status.Record == nil || r.Seq() >= status.Seq) {
		status.Record, status.Seq = r, r.Seq()
	}
	return status, status.Record != nil
}
