package kad

import (
	"bytes"
	"slices"
	"testing"

	"parley/enode"

	"pgregory.net/rapid"
)

// filled returns a table that was told of as many nodes, two of three verified.
func filled(nodes int, seed uint64) *Table {
	table := New(self, Config{}, newRand(seed))
	for i := range nodes {
		n := node(int(seed)+i, apart(i))
		if i%3 == 0 {
			table.Seen(at, n)
		} else {
			table.Verified(at, n)
		}
	}
	return table
}

// Closest gives what sorting the whole table would, whichever bucket the target
// is in, also where several distances share one.
func TestClosest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64Range(0, 1<<20).Draw(t, "seed")
		table := filled(rapid.IntRange(0, 400).Draw(t, "nodes"), seed)
		target := enode.ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "target"))
		if rapid.Bool().Draw(t, "near a node") && len(table.queue) > 0 {
			target = table.queue[rapid.IntRange(0, len(table.queue)-1).Draw(t, "node")].node.ID()
			target[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		n := rapid.IntRange(-1, 40).Draw(t, "n")
		for _, verifiedOnly := range []bool{true, false} {
			var from []enode.ID
			for _, e := range table.queue {
				if e.state == live || e.state == unverified && !verifiedOnly {
					from = append(from, e.node.ID())
				}
			}
			want := nearest(target, max(n, 0), from)
			if got := ids(table.Closest(target, n, verifiedOnly)); !slices.Equal(got, want) {
				t.Fatalf("Closest(%v, %d, %v) =\n%v, want\n%v", target, n, verifiedOnly, got, want)
			}
		}
	})
}

// In the bucket that small distances share, Closest and AtDistance tell them
// apart.
func TestSharedBucket(t *testing.T) {
	nodes := make([]*enode.Node, 12)
	for i := range nodes {
		nodes[i] = node(i, apart(i))
	}
	for _, n := range nodes {
		own := n.ID()
		own[31] ^= 0x10 // at distance 5
		table := New(own, Config{}, newRand(1))
		verified(table, nodes...)
		for d := -1; d <= 300; d++ {
			var want []enode.ID
			for _, m := range nodes {
				if enode.LogDistance(own, m.ID()) == d {
					want = append(want, m.ID())
				}
			}
			if got := ids(table.AtDistance(d, 16, true)); !slices.Equal(got, want) {
				t.Fatalf("AtDistance(%d) = %v, want %v", d, got, want)
			}
		}
		if got := table.Closest(own, 1, true); got[0] != n {
			t.Errorf("the nearest is %v, want the one at distance 5", got[0].ID())
		}
	}
}

// G7: of more nodes at a distance than asked for, a random choice is told, of
// different nodes, and each node is told as often.
func TestG7AtDistanceIsByChance(t *testing.T) {
	table := newTable(Config{})
	nodes := nodesAt(256, 16)
	verified(table, nodes...)
	told := make(map[enode.ID]int)
	for range 4000 {
		got := table.AtDistance(256, 4, true)
		if len(got) != 4 {
			t.Fatalf("%d nodes, want 4", len(got))
		}
		for _, n := range got {
			told[n.ID()]++
		}
	}
	for _, n := range nodes {
		if c := told[n.ID()]; c < 900 || c > 1100 {
			t.Errorf("%v was told %d times of 4000, want about 1000", n.ID().TerminalString(), c)
		}
	}
	got := ids(table.AtDistance(256, 16, true))
	slices.SortFunc(got, func(a, b enode.ID) int { return bytes.Compare(a[:], b[:]) })
	if len(slices.Compact(got)) != 16 {
		t.Errorf("%d different nodes, want 16", len(got))
	}
	if got := table.AtDistance(256, 0, true); len(got) != 0 {
		t.Errorf("%d nodes for a limit of 0", len(got))
	}
}

// Each call that answers a request allocates its result and nothing else.
func TestAllocations(t *testing.T) {
	table := filled(4000, 0)
	target := enode.PubkeyID(pub(1))
	n, _ := table.Get(table.Closest(target, 1, true)[0].ID())
	for _, c := range []struct {
		name string
		want float64
		do   func()
	}{
		{"Closest", 1, func() { table.Closest(target, 16, true) }},
		{"AtDistance", 1, func() { table.AtDistance(256, 16, true) }},
		{"Seen", 0, func() { table.Seen(at, n) }},
		{"Verified", 0, func() { table.Verified(at, n) }},
		{"Get", 0, func() { table.Get(n.ID()) }},
		{"NextCheck", 0, func() { table.NextCheck(at) }},
	} {
		if got := testing.AllocsPerRun(100, c.do); got > c.want {
			t.Errorf("%s allocates %v times, want %v", c.name, got, c.want)
		}
	}
}

func BenchmarkClosest(b *testing.B) {
	table := filled(40_000, 0)
	target := enode.PubkeyID(pub(1))
	b.ReportAllocs()
	for b.Loop() {
		table.Closest(target, 16, true)
	}
}
