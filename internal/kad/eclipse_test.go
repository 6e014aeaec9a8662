package kad

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/enode"
)

// An attacker has two hosts, one IPv4 /24 and one IPv6 /64, and 10,000 IDs in
// them, which all answer.
type attacker struct {
	nodes []*enode.Node
	is    map[enode.ID]bool
}

func newAttacker() *attacker {
	a := &attacker{is: make(map[enode.ID]bool)}
	for i := range 10_000 {
		addr := fmt.Sprintf("90.9.9.%d:%d", i%250+1, i+1)
		if i%2 == 0 {
			addr = fmt.Sprintf("[2a00:9:9:9::%x]:1", i+1)
		}
		n := node(50_000_000+i, addr)
		a.nodes = append(a.nodes, n)
		a.is[n.ID()] = true
	}
	slices.SortFunc(a.nodes, func(a, b *enode.Node) int { return a.ID().Compare(b.ID()) })
	return a
}

// near returns 16 of the attacker's nodes next to the target, in ID order.
func (a *attacker) near(target enode.ID) []*enode.Node {
	i, _ := slices.BinarySearchFunc(a.nodes, target, func(n *enode.Node, id enode.ID) int { return n.ID().Compare(id) })
	i = min(max(i-8, 0), len(a.nodes)-16)
	return a.nodes[i : i+16]
}

// L11, the part of the table and the lookup: a victim that restarts with an empty
// table and two honest bootnodes, while 10,000 IDs of the attacker greet it before
// and between its lookups, and lead each lookup that reaches them further among
// themselves. In 10 minutes the attacker gets no more than its 20 places in the
// table, which are fewer than the honest nodes there, and at most half of what
// lookups find.
func TestL11Eclipse(t *testing.T) {
	w := newWorld(200, 0)
	a := newAttacker()
	// Honest tables know as many of the attacker's as they may.
	for _, id := range w.ids {
		for i := range 200 {
			w.table[id].Verified(at, a.nodes[i*50])
		}
	}
	seeds := 1000
	if testing.Short() {
		seeds = 50
	}
	worstTable, worstLookup, honestAtLeast := 0.0, 0.0, 1000
	for seed := range seeds {
		table, share := w.eclipse(t, a, uint64(seed))
		bad, honest := 0, 0
		for _, e := range table.queue {
			switch {
			case e.state != live:
			case a.is[e.node.ID()]:
				bad++
			default:
				honest++
			}
		}
		worstTable = max(worstTable, float64(bad)/float64(bad+honest))
		worstLookup = max(worstLookup, share)
		honestAtLeast = min(honestAtLeast, honest)
		if bad > 20 || honest < 40 || share > 0.5 {
			t.Errorf("seed %d: %d live nodes of the attacker, %d honest; %.2f of what lookups found is the attacker's", seed, bad, honest, share)
		}
	}
	t.Logf("%d seeds: at worst %.2f of the live nodes and %.2f of what lookups found are the attacker's, %d live nodes honest", seeds, worstTable, worstLookup, honestAtLeast)
}

// eclipse plays the drill and returns the victim's table and the attacker's share
// of what its lookups found.
func (w *world) eclipse(t *testing.T, a *attacker, seed uint64) (*Table, float64) {
	t.Helper()
	rng := newRand(seed)
	var own enode.ID
	for i := range own {
		own[i] = byte(rng.Uint32())
	}
	table := New(own, Config{}, newRand(seed))
	boot := []*enode.Node{w.nodes[rng.IntN(len(w.nodes))], w.nodes[rng.IntN(len(w.nodes))]}
	greet := func(now time.Time) {
		for range 100 {
			n := a.nodes[rng.IntN(len(a.nodes))]
			table.Seen(now, n)
			table.Verified(now, n)
		}
	}
	found, bad := 0, 0
	greet(at)
	for now := at; now.Sub(at) < 10*time.Minute; {
		target, next := table.NextRefresh(now)
		if !next.IsZero() {
			n, wake := table.NextCheck(now)
			switch {
			case n != nil:
				table.Checked(now, n.ID(), true, nil)
			case wake.IsZero() || wake.After(next):
				now = next
			default:
				now = wake
			}
			continue
		}
		greet(now)
		l := NewLookup(own, target, append(table.Closest(target, 16, false), boot...), LookupConfig{Paths: 2})
		run(t, l, rng, func(n *enode.Node) ([]*enode.Node, bool) {
			nodes := a.near(target)
			if !a.is[n.ID()] {
				nodes = w.table[n.ID()].Closest(target, 16, true)
			}
			table.Verified(now, n)
			for _, n := range nodes {
				table.Seen(now, n)
			}
			return nodes, true
		})
		for _, n := range l.Result() {
			found++
			if a.is[n.ID()] {
				bad++
			}
		}
	}
	check(t, table)
	return table, float64(bad) / float64(found)
}
