package discv4

import (
	"slices"
	"time"

	"parley/enode"
)

// start adds n nodes that know the first one, 50 ms after each other.
func (net *network) start(n int) {
	net.t.Helper()
	boot := net.add(1, nil, nil)
	for i := 2; i <= n; i++ {
		net.add(i, []*enode.Node{boot.self}, nil)
		net.run(50*time.Millisecond, nil)
	}
}

// nearest returns the IDs of the 16 nodes of the network nearest to target, as it
// is, but for h.
func (net *network) nearest(h *host, target enode.ID) []enode.ID {
	var ids []enode.ID
	for _, other := range net.nodes {
		if other != h && !other.dead {
			ids = append(ids, other.self.ID())
		}
	}
	slices.SortFunc(ids, func(a, b enode.ID) int { return enode.CompareDistance(target, a, b) })
	return ids[:min(16, len(ids))]
}

func idsOf(nodes []*enode.Node) (ids []enode.ID) {
	for _, n := range nodes {
		ids = append(ids, n.ID())
	}
	return ids
}

// lookups does count lookups of random targets from random nodes, and returns how
// many gave exactly the 16 nearest, and how long the median took.
func (net *network) lookups(count int) (exact int, median time.Duration) {
	net.t.Helper()
	var took []time.Duration
	for range count {
		h := net.nodes[net.rng.IntN(len(net.nodes))]
		target := h.e.RandomTarget()
		began := net.now
		c := h.e.Lookup(h.time(), target)
		r := h.wait(c)
		if slices.Equal(idsOf(r.Nodes), net.nearest(h, enode.PubkeyID(target))) {
			exact++
		}
		took = append(took, h.ended[c].Sub(began))
	}
	slices.Sort(took)
	return exact, took[len(took)/2]
}

func (net *network) liveMin() int {
	least := 1 << 30
	for _, h := range net.nodes {
		_, live := h.e.Len()
		least = min(least, live)
	}
	return least
}
