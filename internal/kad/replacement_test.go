package kad

import (
	"slices"
	"testing"
	"time"

	"parley/enode"
)

// A bucket holds 16 nodes and 10 more wait for a place, the last ones seen. A
// place that falls free goes to one of them.
func TestReplacement(t *testing.T) {
	table := newTable(Config{})
	nodes := nodesAt(256, 40)
	seen(t, table, nodes[:16]...)
	for _, n := range nodes[16:] {
		if table.Seen(at, n) {
			t.Fatal("Seen = true for a full bucket")
		}
	}
	wantWhere(t, table, "unverified", nodes[:16]...)
	wantWhere(t, table, "", nodes[16:30]...)
	wantWhere(t, table, "waiting", nodes[30:]...)
	check(t, table)

	// The one that proved its endpoint takes the place of the node that came last
	// of those who did not, which waits in its stead.
	table.Verified(at.Add(time.Second), nodes[20])
	wantWhere(t, table, "live", nodes[20])
	wantWhere(t, table, "waiting", nodes[15])
	wantLen(t, table, 16, 1)
	check(t, table)

	table.Remove(at, nodes[0].ID())
	wantLen(t, table, 16, 1)
	wantWhere(t, table, "", nodes[0])
	check(t, table)

	// A proven one is preferred to all others that wait.
	table = newTable(Config{})
	verified(table, nodes[:16]...)
	for _, n := range nodes[16:30] {
		table.Seen(at, n)
	}
	table.Verified(at, nodes[22])
	wantWhere(t, table, "waiting", nodes[22])
	for _, n := range nodes[30:] {
		table.Seen(at, n)
	}
	wantWhere(t, table, "waiting", nodes[22]) // hearsay does not push it out
	table.Remove(at, nodes[3].ID())
	wantWhere(t, table, "unverified", nodes[22]) // it is checked before it is told
	check(t, table)

	if got, ok := table.Get(nodes[39].ID()); !ok || got != nodes[39] {
		t.Errorf("Get = %v, %v for a node that waits", got, ok)
	}
	table.Remove(at, nodes[39].ID())
	wantWhere(t, table, "", nodes[39])
	if got, ok := table.Get(nodes[39].ID()); ok {
		t.Errorf("Get = %v for a node that was removed", got)
	}
	check(t, table)
}

// What a node that waits becomes when something else is said of it.
func TestReplacementMerge(t *testing.T) {
	const a, b = "80.1.1.1:1", "80.2.2.2:1"
	seq := func(n uint64, addr string) *enode.Node { return signed(t, 1, n, at4(addr)...) }
	bare := func(addr string) *enode.Node {
		return enode.NewV4(seq(1, a).PublicKey(), node(0, addr).Addr(), 1, 1)
	}
	for _, c := range []struct {
		name       string
		old        *enode.Node
		wasProven  bool
		new        *enode.Node
		proven     bool
		replaced   bool
		wantProven bool
	}{
		{"told of a newer record", seq(1, a), true, seq(2, a), false, true, true},
		{"told of a newer record elsewhere", seq(1, a), true, seq(2, b), false, true, false},
		{"told of an older record elsewhere", seq(2, a), true, seq(1, b), false, false, true},
		{"told of another place", bare(a), false, bare(b), false, false, false},
		{"proved without the record", seq(2, a), false, bare(a), true, false, true},
		{"proved elsewhere without record", seq(2, a), false, bare(b), true, true, true},
		{"proved with a newer record", seq(1, a), false, seq(2, a), true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(Config{})
			verified(table, nodesAt(enode.LogDistance(self, c.old.ID()), BucketSize)...)
			tell := func(n *enode.Node, proven bool) {
				if proven {
					table.Verified(at, n)
				} else {
					table.Seen(at, n)
				}
			}
			tell(c.old, c.wasProven)
			tell(c.new, c.proven)
			want := c.old
			if c.replaced {
				want = c.new
			}
			if got, _ := table.Get(c.old.ID()); got != want {
				t.Errorf("the table has seq %d at %v, want seq %d at %v", got.Seq(), got.Addr(), want.Seq(), want.Addr())
			}
			b := table.bucketOf(c.old.ID())
			if got := b.replacements[b.replacement(c.old.ID())].proven; got != c.wantProven {
				t.Errorf("proven = %v, want %v", got, c.wantProven)
			}
			check(t, table)
		})
	}
}

// Nobody gains a place by being named often: of those who only were named, each
// has the same chance.
func TestPromotionIsByChance(t *testing.T) {
	nodes := nodesAt(256, 26)
	won := make(map[enode.ID]int)
	const rounds = 2000
	rng := newRand(1)
	for range rounds {
		table := New(self, Config{}, rng)
		verified(table, nodes[:16]...)
		for _, n := range nodes[16:] {
			table.Seen(at, n)
		}
		for range 50 {
			table.Seen(at, nodes[25])
		}
		table.Remove(at, nodes[0].ID())
		i := slices.IndexFunc(nodes, func(n *enode.Node) bool { return where(table, n.ID()) == "unverified" })
		won[nodes[i].ID()]++
	}
	for _, n := range nodes[16:] {
		if w := won[n.ID()]; w < rounds/10*7/10 || w > rounds/10*13/10 {
			t.Errorf("%v won %d of %d times, want about %d", n.ID().TerminalString(), w, rounds, rounds/10)
		}
	}
}
