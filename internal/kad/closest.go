package kad

import (
	"slices"

	"parley/enode"
)

// Closest returns the n nodes of the table that are nearest to target, nearest
// first, fewer if the table has fewer. With verifiedOnly they are the live ones,
// which is what others may be told. Without, nodes that have yet to be verified are
// among them, and if all nodes are stale, those: they are where to begin again.
func (t *Table) Closest(target enode.ID, n int, verifiedOnly bool) []*enode.Node {
	if n <= 0 || len(t.entries) == 0 {
		return nil
	}
	nodes := t.closest(make([]*enode.Node, 0, min(n, len(t.entries))), target, n, func(s state) bool {
		return s == live || s == unverified && !verifiedOnly
	})
	if len(nodes) == 0 && !verifiedOnly {
		nodes = t.closest(nodes, target, n, func(s state) bool { return s == stale })
	}
	return nodes
}

// closest appends to nodes, which is empty, the nearest in the states wanted.
//
// A node at distance d from us differs from us first in bit d. Going to the target
// from there: if the target differs from us in that bit too, the node is nearer to
// it than we are, the more so the greater d is; if it does not, the node is
// farther than we are, the more so the greater d is. Hence whole buckets can be put
// in order, and few are looked into.
func (t *Table) closest(nodes []*enode.Node, target enode.ID, n int, wanted func(state) bool) []*enode.Node {
	visit := func(b *bucket) {
		start := len(nodes)
		for _, e := range b.entries {
			if !wanted(e.state) {
				continue
			}
			i := len(nodes)
			for i > start && enode.CompareDistance(target, e.node.ID(), nodes[i-1].ID()) < 0 {
				i--
			}
			if len(nodes) < n {
				nodes = slices.Insert(nodes, i, e.node)
			} else if i < n {
				copy(nodes[i+1:], nodes[i:])
				nodes[i] = e.node
			}
		}
	}
	nearer := func(i int) bool {
		bit := lowest + i - 1 // counted from the last bit of the ID
		mask := byte(1) << (bit % 8)
		return (t.self[31-bit/8]^target[31-bit/8])&mask != 0
	}
	for i := buckets - 1; i > 0 && len(nodes) < n; i-- {
		if nearer(i) {
			visit(&t.buckets[i])
		}
	}
	if len(nodes) < n {
		visit(&t.buckets[0]) // its distances are between the two
	}
	for i := 1; i < buckets && len(nodes) < n; i++ {
		if !nearer(i) {
			visit(&t.buckets[i])
		}
	}
	return nodes
}

// AtDistance returns the nodes of the table at the logarithmic distance d from
// this node, at most limit of them; of more, a random choice. With verifiedOnly
// they are live. It returns none for a distance that is not in 1 to 256.
func (t *Table) AtDistance(d, limit int, verifiedOnly bool) []*enode.Node {
	if d < 1 || d > 256 || limit <= 0 {
		return nil
	}
	b := &t.buckets[max(d-lowest, 0)]
	var nodes []*enode.Node
	for _, e := range b.entries {
		if e.state == live || e.state == unverified && !verifiedOnly {
			if d > lowest || enode.LogDistance(t.self, e.node.ID()) == d {
				if nodes == nil {
					nodes = make([]*enode.Node, 0, len(b.entries))
				}
				nodes = append(nodes, e.node)
			}
		}
	}
	if len(nodes) <= limit {
		return nodes
	}
	for i := range limit { // the first steps of a shuffle
		j := i + t.rng.IntN(len(nodes)-i)
		nodes[i], nodes[j] = nodes[j], nodes[i]
	}
	return nodes[:limit]
}
