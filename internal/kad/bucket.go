package kad

import (
	"slices"
	"time"

	"parley/enode"
)

// A bucket holds nodes of one distance, or of all small ones.
type bucket struct {
	entries      []*entry      // at most BucketSize, in the order in which they entered
	replacements []replacement // at most MaxReplacements, the one seen last is last
}

// An entry is a node in a bucket.
type entry struct {
	node  *enode.Node
	nets  nets
	added time.Time
	state state

	since  time.Time // when it came into its state
	checks int       // checks passed
	fails  int       // requests unanswered since the last proof
	pinged bool      // it answered a PING

	due      time.Time // of its next check, or when an outcome is no longer awaited
	inFlight bool      // a check was asked for
	position int       // in the queue
}

// A state is what is known of a node in a bucket.
type state uint8

const (
	// unverified: it never proved that it is where it is said to be.
	unverified state = iota
	// live: it did. Only live nodes are told to others, and they never give way.
	live
	// stale: it was live, then stopped answering, and nobody wanted its place.
	// It is kept for a while, because it may have been our own network that failed.
	stale
)

// bucketOf returns the bucket for the node with the given ID.
func (t *Table) bucketOf(id enode.ID) *bucket {
	return &t.buckets[max(enode.LogDistance(t.self, id)-lowest, 0)]
}

// setState brings e into a state.
func (t *Table) setState(now time.Time, e *entry, s state) {
	if e.state == live {
		t.live--
	}
	if s == live {
		t.live++
	}
	e.state, e.since = s, now
}

// insert puts n into its bucket as an unverified node. The caller made sure that
// it fits and that it is nowhere in the table.
func (t *Table) insert(now time.Time, n *enode.Node, nets nets) *entry {
	e := &entry{node: n, nets: nets, added: now, since: now, due: now}
	b := t.bucketOf(n.ID())
	b.entries = append(b.entries, e)
	t.entries[n.ID()] = e
	t.members.add(nets)
	t.queue.push(e)
	return e
}

// take takes e out of its bucket and leaves the place empty.
func (t *Table) take(e *entry) {
	b := t.bucketOf(e.node.ID())
	b.entries = slices.DeleteFunc(b.entries, func(other *entry) bool { return other == e })
	delete(t.entries, e.node.ID())
	t.members.sub(e.nets)
	t.queue.remove(e)
	if e.state == live {
		t.live--
	}
}
