package kad

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
)

// at is when the tests begin.
var at = time.Unix(1_000_000, 0)

// self is the ID of the node whose table is tested: zero, so that the distance
// of a node is the length of its ID in bits.
var self enode.ID

func newTable(cfg Config) *Table {
	return New(self, cfg, newRand(1))
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// pub returns the i-th of an endless supply of keys. They are no points of the
// curve, which nothing here needs.
func pub(i int) (key enode.PublicKey) {
	binary.BigEndian.PutUint64(key[:], uint64(i)+1)
	return key
}

// node returns the node with the i-th key at an address.
func node(i int, addr string) *enode.Node {
	ap := netip.MustParseAddrPort(addr)
	return enode.NewV4(pub(i), ap.Addr(), ap.Port(), ap.Port())
}

// apart returns an address of its own IPv4 /24 for each i.
func apart(i int) string {
	return fmt.Sprintf("%d.%d.%d.1:30303", 20+i>>16&63, i>>8&255, i&255)
}

// keysAt returns the first n keys of nodes at the distance d from self.
func keysAt(d, n int) []int {
	var keys []int
	for i := 0; len(keys) < n; i++ {
		if enode.LogDistance(self, enode.PubkeyID(pub(i))) == d {
			keys = append(keys, i)
		}
	}
	return keys
}

// nodesAt returns n nodes at the distance d from self, each in its own network.
func nodesAt(d, n int) []*enode.Node {
	var nodes []*enode.Node
	for _, i := range keysAt(d, n) {
		nodes = append(nodes, node(i, apart(i)))
	}
	return nodes
}

// signed returns the node with a record of its own key i, sequence number seq.
func signed(t testing.TB, i byte, seq uint64, entries ...enr.Entry) *enode.Node {
	t.Helper()
	key, err := enode.ParsePrivateKey(append(make([]byte, 31), i))
	if err != nil {
		t.Fatal(err)
	}
	r, err := enr.Sign(key, seq, entries...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// at4 returns the entries of an IPv4 endpoint.
func at4(addr string) []enr.Entry {
	ap := netip.MustParseAddrPort(addr)
	return []enr.Entry{enr.IP(ap.Addr()), enr.UDP(ap.Port())}
}

func seen(t *testing.T, table *Table, nodes ...*enode.Node) {
	t.Helper()
	for _, n := range nodes {
		if !table.Seen(at, n) {
			t.Fatalf("Seen(%v at %v) = false, want a place for it", n.ID().TerminalString(), n.Addr())
		}
	}
}

func verified(table *Table, nodes ...*enode.Node) {
	for _, n := range nodes {
		table.Verified(at, n)
	}
}

func wantLen(t *testing.T, table *Table, all, live int) {
	t.Helper()
	if a, l := table.Len(); a != all || l != live {
		t.Fatalf("Len() = %d, %d live; want %d, %d live", a, l, all, live)
	}
}

// where tells where a node is: "live", "unverified", "stale", "waiting" or "".
func where(table *Table, id enode.ID) string {
	if e := table.entries[id]; e != nil {
		return [...]string{"unverified", "live", "stale"}[e.state]
	}
	if table.bucketOf(id).replacement(id) >= 0 {
		return "waiting"
	}
	return ""
}

// wantWhere checks where nodes are.
func wantWhere(t *testing.T, table *Table, want string, nodes ...*enode.Node) {
	t.Helper()
	for i, n := range nodes {
		if got := where(table, n.ID()); got != want {
			t.Errorf("node %d of %d (%v at %v) is %q, want %q", i, len(nodes), n.ID().TerminalString(), n.Addr(), got, want)
		}
	}
}

// invariants returns what is wrong with a table, by counting everything again.
func invariants(t *Table) error {
	ids := make(map[enode.ID]bool)
	members, spare := make(tally), make(tally)
	lives := 0
	for i := range t.buckets {
		b := &t.buckets[i]
		if len(b.entries) > BucketSize || len(b.replacements) > MaxReplacements {
			return fmt.Errorf("bucket %d has %d entries and %d replacements", i, len(b.entries), len(b.replacements))
		}
		inBucket, inSpare := make(tally), make(tally)
		for _, e := range b.entries {
			id := e.node.ID()
			if ids[id] || id == t.self || t.bucketOf(id) != b || t.entries[id] != e {
				return fmt.Errorf("entry %v is twice in the table, us, in the wrong bucket or not in the index", id)
			}
			ids[id] = true
			if e.position >= len(t.queue) || t.queue[e.position] != e {
				return fmt.Errorf("entry %v is not in the queue at its position", id)
			}
			if e.state == live {
				lives++
			}
			if e.fails >= e.patience() && e.state != stale {
				return fmt.Errorf("entry %v is %d and failed %d times", id, e.state, e.fails)
			}
			inBucket.add(e.nets)
			members.add(e.nets)
		}
		for _, r := range b.replacements {
			id := r.node.ID()
			if ids[id] || id == t.self || t.bucketOf(id) != b {
				return fmt.Errorf("replacement %v is twice in the table, us or in the wrong bucket", id)
			}
			ids[id] = true
			inSpare.add(r.nets)
			spare.add(r.nets)
		}
		for _, c := range []tally{inBucket, inSpare} {
			if err := c.exceeds(t.cfg.PerBucket); err != nil {
				return fmt.Errorf("bucket %d: %w", i, err)
			}
		}
	}
	for _, c := range []tally{members, spare} {
		if err := c.exceeds(t.cfg.PerTable); err != nil {
			return err
		}
	}
	switch {
	case len(t.entries) > buckets*BucketSize, len(t.queue) != len(t.entries):
		return fmt.Errorf("%d entries, %d in the queue", len(t.entries), len(t.queue))
	case lives != t.live:
		return fmt.Errorf("%d are live, counted %d", lives, t.live)
	case !equal(members, t.members) || !equal(spare, t.waiting):
		return fmt.Errorf("networks are %v and %v, counted %v and %v", members, spare, t.members, t.waiting)
	}
	return nil
}

func (t tally) exceeds(limit int) error {
	for p, n := range t {
		most := limit
		if p.Bits() == 48 {
			most *= 2
		}
		if n > most {
			return fmt.Errorf("%d nodes of %v", n, p)
		}
	}
	return nil
}

func equal(a, b tally) bool {
	if len(a) != len(b) {
		return false
	}
	for p, n := range a {
		if b[p] != n {
			return false
		}
	}
	return true
}

func check(t testing.TB, table *Table) {
	t.Helper()
	if err := invariants(table); err != nil {
		t.Fatal(err)
	}
}

// ids returns the IDs of nodes.
func ids(nodes []*enode.Node) []enode.ID {
	var list []enode.ID
	for _, n := range nodes {
		list = append(list, n.ID())
	}
	return list
}

// nearest returns the n IDs nearest to target, by sorting all.
func nearest(target enode.ID, n int, from []enode.ID) []enode.ID {
	sorted := slices.Clone(from)
	slices.SortFunc(sorted, func(a, b enode.ID) int { return enode.CompareDistance(target, a, b) })
	return sorted[:min(n, len(sorted))]
}
