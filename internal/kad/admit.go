package kad

import (
	"net/netip"
	"time"

	"parley/enode"
)

// first is how long a new node is left alone before it is checked, plus at most
// as long again by chance. Most prove their endpoint by themselves in that time,
// and a node that we have just answered is not asked anything unexpected.
const first = time.Second

// promoted is the same for a node that waited for its place.
const promoted = 200 * time.Millisecond

// Seen tells the table of a node that another node named or that contacted us
// without proving its endpoint. It gets a place if one is free, and otherwise
// waits for one; it is checked soon, and not told to others before it passed.
//
// Of a node in the table only a record with a higher sequence number is news. If
// that moves the node to another endpoint, the new one has yet to be proven.
//
// Seen returns whether the node got a place by this call. It does nothing for
// this node itself and for nodes without a UDP endpoint that Config.Restrict
// allows.
func (t *Table) Seen(now time.Time, n *enode.Node) bool {
	if !t.usable(n) {
		return false
	}
	if e := t.entries[n.ID()]; e != nil {
		if n.Seq() > e.node.Seq() {
			t.update(now, e, n, false)
		}
		return false
	}
	return t.enter(now, n, false) != nil
}

// Verified tells the table that n proved its endpoint: it answered a PING that was
// sent there. It becomes live if it has a place or gets one; a place is taken from
// a node that is not live if need be. Otherwise it waits.
//
// The endpoint proven last is the one kept, whatever the sequence number; of two
// nodes with the same endpoint, the one with the higher sequence number.
func (t *Table) Verified(now time.Time, n *enode.Node) { t.verified(now, n, true) }

// Answered is Verified for an answer to another request than PING. It proves as
// much, but does not put off the node's first check: nodes that are in a table
// expect to be sent a PING, and some measure by it whether they are.
func (t *Table) Answered(now time.Time, n *enode.Node) { t.verified(now, n, false) }

func (t *Table) verified(now time.Time, n *enode.Node, ping bool) {
	if !t.usable(n) {
		return
	}
	e := t.entries[n.ID()]
	switch {
	case e == nil:
		e = t.enter(now, n, true)
	case n.Seq() >= e.node.Seq() || !covers(e.node, n):
		if !t.update(now, e, n, true) {
			// It moved to a network that has no place left.
			t.drop(now, e)
			t.wait(n, t.netsOf(n), true)
			return
		}
	}
	if e != nil {
		e.pinged = e.pinged || ping
		t.proved(now, e)
	}
}

// Failed tells the table that a node did not answer a request other than a check.
// A live node is checked soon; one that never proved its endpoint may have to go.
func (t *Table) Failed(now time.Time, id enode.ID) {
	switch e := t.entries[id]; {
	case e == nil:
	case e.state == unverified:
		t.failed(now, e)
	case e.state == live && !e.inFlight:
		t.schedule(e, earlier(e.due, now.Add(t.jitter(promoted))))
	}
}

// Remove forgets a node. One that waits gets its place.
func (t *Table) Remove(now time.Time, id enode.ID) {
	if e := t.entries[id]; e != nil {
		t.drop(now, e)
		return
	}
	b := t.bucketOf(id)
	if i := b.replacement(id); i >= 0 {
		t.takeReplacement(b, i)
	}
}

// usable reports whether n may be in the table at all.
func (t *Table) usable(n *enode.Node) bool {
	if n == nil || n.ID() == t.self {
		return false
	}
	for ep := range n.UDPEndpoints() {
		if t.cfg.Restrict.Allows(ep.Addr()) {
			return true
		}
	}
	return false
}

// enter gives n, which has no place, one or has it wait. It returns the new
// entry, or nil if it waits or is refused.
func (t *Table) enter(now time.Time, n *enode.Node, proven bool) *entry {
	b, nets := t.bucketOf(n.ID()), t.netsOf(n)
	if i := b.replacement(n.ID()); i >= 0 {
		n, proven = t.takeReplacement(b, i).merge(n, proven)
		nets = t.netsOf(n)
	}
	gone, ok := t.makeRoom(b, nets, proven)
	if !ok {
		t.wait(n, nets, proven)
		return nil
	}
	if gone != nil {
		t.take(gone)
		if gone.state == unverified {
			t.wait(gone.node, gone.nets, false)
		}
	}
	e := t.insert(now, n, nets)
	t.schedule(e, now.Add(first+t.jitter(first)))
	if gone != nil {
		t.promote(now, t.bucketOf(gone.node.ID())) // it may have been another bucket
	}
	return e
}

// makeRoom looks for a place for a node of the given networks in b. It returns
// the entry that has to leave for it, or nil if none has to, and whether there
// is a place.
func (t *Table) makeRoom(b *bucket, nets nets, proven bool) (gone *entry, ok bool) {
	if t.fits(b, nets, nil) {
		return nil, true
	}
	consider := func(e *entry) {
		if (e.state == stale || proven && e.state == unverified) && t.fits(b, nets, e) && (gone == nil || worse(e, gone)) {
			gone = e
		}
	}
	for _, e := range b.entries {
		consider(e)
	}
	if gone == nil && len(b.entries) < BucketSize {
		// It may be the limit for the table that keeps the node out.
		for i := range t.buckets {
			for _, e := range t.buckets[i].entries {
				consider(e)
			}
		}
	}
	return gone, gone != nil
}

// worse reports whether a gives way before b, which stands before it.
func worse(a, b *entry) bool {
	if a.state != b.state {
		return a.state == stale
	}
	if a.fails != b.fails {
		return a.fails > b.fails
	}
	return !a.added.Before(b.added)
}

// fits reports whether a node of the given networks has a place in b once gone,
// which may be nil or in another bucket, has left the table.
func (t *Table) fits(b *bucket, k nets, gone *entry) bool {
	room := BucketSize - len(b.entries)
	var left nets // networks of the one who leaves
	if gone != nil {
		left = gone.nets
		if t.bucketOf(gone.node.ID()) == b {
			room++
		}
	}
	if room <= 0 || !t.members.within(k, left, t.cfg.PerTable) {
		return false
	}
	if t.cfg.PerBucket < 0 {
		return true
	}
	var n [3]int
	for _, e := range b.entries {
		if e != gone {
			count(&n, k, e.nets)
		}
	}
	return below(n, t.cfg.PerBucket)
}

// update replaces the node of e by n, which has the same ID. If the endpoints of
// e are not all among those of n, the proof is void unless n was proven itself.
// It returns false and changes nothing if n's networks have no place for it.
func (t *Table) update(now time.Time, e *entry, n *enode.Node, proven bool) bool {
	nets := t.netsOf(n)
	if nets != e.nets {
		if !t.fits(t.bucketOf(n.ID()), nets, e) {
			return false
		}
		t.members.sub(e.nets)
		t.members.add(nets)
		e.nets = nets
		defer t.promote(now, t.bucketOf(n.ID())) // to a place in the network it left
	}
	moved := !covers(n, e.node)
	e.node = n
	if moved {
		e.inFlight = false // the outcome would be that of the old endpoint
		e.fails, e.checks, e.pinged = 0, 0, false
		if !proven {
			t.setState(now, e, unverified)
			t.schedule(e, now.Add(t.jitter(promoted)))
		}
	}
	return true
}

// covers reports whether n has all the UDP endpoints of other.
func covers(n, other *enode.Node) bool {
	for want := range other.UDPEndpoints() {
		if !hasEndpoint(n, want) {
			return false
		}
	}
	return true
}

func hasEndpoint(n *enode.Node, want netip.AddrPort) bool {
	for ep := range n.UDPEndpoints() {
		if ep == want {
			return true
		}
	}
	return false
}
