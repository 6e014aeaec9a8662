package kad

import (
	"slices"
	"time"

	"parley/enode"
)

// A replacement is a node that waits for a place in a bucket.
type replacement struct {
	node   *enode.Node
	nets   nets
	proven bool // its endpoint was proven once; otherwise it is hearsay
}

// replacement returns the position of the waiting node with the given ID, or -1.
func (b *bucket) replacement(id enode.ID) int {
	return slices.IndexFunc(b.replacements, func(r replacement) bool { return r.node.ID() == id })
}

// takeReplacement takes the waiting node at position i out of b.
func (t *Table) takeReplacement(b *bucket, i int) replacement {
	r := b.replacements[i]
	b.replacements = slices.Delete(b.replacements, i, i+1)
	t.waiting.sub(r.nets)
	return r
}

// merge returns the same node as it is known best after n was told or proven, and
// whether that endpoint was proven. The rules are those for nodes in the table.
func (r replacement) merge(n *enode.Node, proven bool) (*enode.Node, bool) {
	switch {
	case proven && (n.Seq() >= r.node.Seq() || !covers(r.node, n)):
		return n, true
	case proven:
		return r.node, true
	case n.Seq() > r.node.Seq():
		return n, r.proven && covers(n, r.node)
	default:
		return r.node, r.proven
	}
}

// wait puts n, which is nowhere in the table, among the replacements of its
// bucket, if it may wait there. The networks of those who wait are bounded like
// those of the table, apart from it.
func (t *Table) wait(n *enode.Node, k nets, proven bool) {
	b := t.bucketOf(n.ID())
	if !t.mayWait(b, k) {
		// Whoever is proven takes the turn of somebody who is not: first of its
		// own networks, which frees what it needs.
		i := slices.IndexFunc(b.replacements, func(r replacement) bool {
			return proven && !r.proven && k.common(r.nets) != [3]bool{}
		})
		if i < 0 {
			return
		}
		r := t.takeReplacement(b, i)
		if !t.mayWait(b, k) {
			b.replacements = slices.Insert(b.replacements, i, r)
			t.waiting.add(r.nets)
			return
		}
	}
	if len(b.replacements) >= MaxReplacements {
		i := slices.IndexFunc(b.replacements, func(r replacement) bool { return !r.proven })
		switch {
		case i >= 0:
			t.takeReplacement(b, i)
		case proven:
			t.takeReplacement(b, 0)
		default:
			return
		}
	}
	b.replacements = append(b.replacements, replacement{node: n, nets: k, proven: proven})
	t.waiting.add(k)
}

// mayWait reports whether the networks k have room among the replacements of b.
func (t *Table) mayWait(b *bucket, k nets) bool {
	if !t.waiting.within(k, nets{}, t.cfg.PerTable) {
		return false
	}
	if t.cfg.PerBucket < 0 {
		return true
	}
	var n [3]int
	for _, r := range b.replacements {
		count(&n, k, r.nets)
	}
	return below(n, t.cfg.PerBucket)
}

// drop takes e out of the table and gives its place to one who waits.
func (t *Table) drop(now time.Time, e *entry) {
	t.take(e)
	t.promote(now, t.bucketOf(e.node.ID()))
}

// promote gives a free place in b to one who waits: the last seen of those who
// proved their endpoint, or else any by chance, so that nobody gains by being
// named often. It reports whether there was one.
func (t *Table) promote(now time.Time, b *bucket) bool {
	chosen, others := -1, 0
	for i, r := range b.replacements {
		switch {
		case !t.fits(b, r.nets, nil):
		case r.proven:
			chosen, others = i, -1
		case others >= 0:
			if others++; t.rng.IntN(others) == 0 {
				chosen = i
			}
		}
	}
	if chosen < 0 {
		return false
	}
	r := t.takeReplacement(b, chosen)
	e := t.insert(now, r.node, r.nets)
	t.schedule(e, now.Add(t.jitter(promoted)))
	return true
}
