package kad

import (
	"fmt"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
)

// A node that was named gets a free place, is known, and is told to nobody until
// it has proved its endpoint.
func TestSeenIsNotTold(t *testing.T) {
	table := newTable(Config{})
	n := nodesAt(256, 1)[0]
	seen(t, table, n)
	wantLen(t, table, 1, 0)
	if got, ok := table.Get(n.ID()); !ok || got != n {
		t.Errorf("Get = %v, %v; want the node", got, ok)
	}
	if got := table.Closest(self, 16, true); len(got) != 0 {
		t.Errorf("Closest tells %d nodes that are not verified", len(got))
	}
	if got := table.AtDistance(256, 16, true); len(got) != 0 {
		t.Errorf("AtDistance tells %d nodes that are not verified", len(got))
	}
	if got := table.Closest(self, 16, false); len(got) != 1 {
		t.Errorf("Closest for a lookup = %d nodes, want 1", len(got))
	}
	table.Verified(at, n)
	wantLen(t, table, 1, 1)
	if got := table.Closest(self, 16, true); len(got) != 1 || got[0] != n {
		t.Errorf("Closest = %v, want the verified node", got)
	}
	if got := table.AtDistance(256, 16, true); len(got) != 1 || got[0] != n {
		t.Errorf("AtDistance = %v, want the verified node", got)
	}
}

// Items of a reply that cannot be used are dropped one by one, and one node
// named many times is one node.
func TestF9(t *testing.T) {
	restrict, err := netaddr.ParseList("10.0.0.0/8, 80.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	own := enode.NewV4(pub(7), node(7, "80.1.1.1:1").Addr(), 1, 1)
	for _, c := range []struct {
		name string
		node *enode.Node
		want bool
	}{
		{"nil", nil, false},
		{"own ID", own, false},
		{"unspecified", node(1, "0.0.0.0:30303"), false},
		{"multicast", node(1, "224.0.0.1:30303"), false},
		{"broadcast", node(1, "255.255.255.255:30303"), false},
		{"IPv6 unspecified", node(1, "[::]:30303"), false},
		{"port 0", node(1, "80.1.1.1:0"), false},
		{"outside of the permitted networks", node(1, "81.1.1.1:30303"), false},
		{"inside", node(1, "80.1.1.1:30303"), true},
		{"inside, private", node(1, "10.1.1.1:30303"), true},
		{"record without endpoint", signed(t, 1, 1), false},
		{"record with IPv4 inside, IPv6 outside", signed(t, 1, 1, append(at4("80.1.1.1:1"), enr.IP(node(1, "[2a00::1]:1").Addr()))...), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, verify := range []bool{false, true} {
				table := New(own.ID(), Config{Restrict: restrict}, newRand(1))
				for range 12 {
					if verify {
						table.Verified(at, c.node)
					} else {
						table.Seen(at, c.node)
					}
				}
				want := 0
				if c.want {
					want = 1
				}
				if all, _ := table.Len(); all != want {
					t.Errorf("verified %v: %d nodes in the table, want %d", verify, all, want)
				}
				check(t, table)
			}
		})
	}
}

// G5: nodes that are live keep their places, however many others prove theirs.
func TestG5LiveNodesKeepTheirPlaces(t *testing.T) {
	table := newTable(Config{})
	honest := nodesAt(256, BucketSize)
	verified(table, honest...)
	for i := range 5000 {
		n := node(100_000+i, apart(100_000+i))
		table.Seen(at, n)
		table.Verified(at, n)
	}
	wantWhere(t, table, "live", honest...)
	check(t, table)
}

// One network has 2 places in a bucket and 10 in the table, an IPv6 /48 twice as
// many. Addresses that are not public are not counted, nor are exempt nodes.
func TestNetworkLimits(t *testing.T) {
	for _, c := range []struct {
		name      string
		addr      func(i int) string
		perBucket int
		perTable  int
	}{
		{"IPv4 /24", func(i int) string { return fmt.Sprintf("80.1.1.%d:%d", i%250+1, 1000+i) }, 2, 10},
		{"one IPv4 address", func(i int) string { return fmt.Sprintf("80.1.1.1:%d", 1000+i) }, 2, 10},
		{"IPv4 /24, mapped into IPv6", func(i int) string { return fmt.Sprintf("[::ffff:80.1.1.%d]:1", i%250+1) }, 2, 10},
		{"IPv6 /64", func(i int) string { return fmt.Sprintf("[2a00:1:2:3::%x]:1", i+1) }, 2, 10},
		{"IPv6 /48", func(i int) string { return fmt.Sprintf("[2a00:1:2:%x::1]:1", i) }, 4, 20},
		{"apart", apart, 16, 64},
		{"shared (RFC 6598)", func(i int) string { return fmt.Sprintf("100.64.1.%d:1", i%250+1) }, 2, 10},
		{"loopback", func(i int) string { return fmt.Sprintf("127.0.0.1:%d", 1000+i) }, 16, 64},
		{"private", func(i int) string { return fmt.Sprintf("10.1.1.%d:1", i%250+1) }, 16, 64},
		{"link-local", func(i int) string { return fmt.Sprintf("169.254.1.%d:1", i%250+1) }, 16, 64},
		{"IPv6 private", func(i int) string { return fmt.Sprintf("[fd00::%x]:1", i+1) }, 16, 64},
		{"IPv6 loopback", func(i int) string { return fmt.Sprintf("[::1]:%d", 1000+i) }, 16, 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, verify := range []bool{false, true} {
				table := newTable(Config{})
				for i, b := range []int{256, 255, 254, 253} {
					for j, key := range keysAt(b, 20) {
						if n := node(key, c.addr(20*i+j)); verify {
							table.Verified(at, n)
						} else {
							table.Seen(at, n)
						}
					}
					if i == 0 {
						if all, _ := table.Len(); all != c.perBucket {
							t.Errorf("verified %v: one bucket has %d, want %d", verify, all, c.perBucket)
						}
					}
				}
				// Four buckets have room for 4 times the limit of one; six more fill the
				// limit of the table.
				for b := 252; b > 246; b-- {
					for j, key := range keysAt(b, 4) {
						table.Seen(at, node(key, c.addr(100+4*b+j)))
					}
				}
				all, _ := table.Len()
				if c.perTable == 64 {
					if all != 64+6*4 {
						t.Errorf("verified %v: the table has %d, want all %d", verify, all, 64+6*4)
					}
				} else if all != c.perTable {
					t.Errorf("verified %v: the table has %d, want %d", verify, all, c.perTable)
				}
			}
		})
	}

	t.Run("exempt nodes", func(t *testing.T) {
		keys := keysAt(256, 8)
		var exempt []enode.ID
		for _, k := range keys {
			exempt = append(exempt, enode.PubkeyID(pub(k)))
		}
		table := newTable(Config{Exempt: exempt})
		for _, k := range keys {
			seen(t, table, node(k, "80.1.1.1:1"))
		}
		others := keysAt(255, 3)
		seen(t, table, node(others[0], "80.1.1.1:1"), node(others[1], "80.1.1.1:1"))
		if table.Seen(at, node(others[2], "80.1.1.1:1")) {
			t.Error("a third node that is not exempt got a place")
		}
	})

	t.Run("no bound", func(t *testing.T) {
		table := newTable(Config{PerBucket: -1, PerTable: -1})
		for _, k := range keysAt(256, 16) {
			seen(t, table, node(k, "80.1.1.1:1"))
		}
		seventeenth := table.Seen(at, node(keysAt(256, 17)[16], "80.1.1.1:1"))
		if all, _ := table.Len(); seventeenth || all != 16 {
			t.Errorf("%d nodes, want a full bucket of 16", all)
		}
	})

	t.Run("both families count", func(t *testing.T) {
		table := newTable(Config{})
		places := 0
		for i := range byte(40) {
			n := signed(t, i+1, 1, append(at4(fmt.Sprintf("80.1.%d.1:1", i)), enr.IP(node(0, fmt.Sprintf("[2a00:1:2:3::%x]:1", i)).Addr()))...)
			if table.Seen(at, n) {
				places++
			}
		}
		if places > 10 {
			t.Errorf("%d nodes of one IPv6 /64 hide behind IPv4 addresses, want 10 at most", places)
		}
		check(t, table)
	})
}

// Hearsay cannot use up the places of a network: a node that proved its endpoint
// takes them from nodes of the same network that did not.
func TestHearsayDoesNotKeepOut(t *testing.T) {
	table := newTable(Config{})
	far := keysAt(256, 4)
	seen(t, table, node(far[0], "80.1.1.1:1"), node(far[1], "80.1.1.2:1"))
	honest := node(far[2], "80.1.1.3:1")
	if table.Seen(at, honest) {
		t.Fatal("a third node of the network got a place")
	}
	wantWhere(t, table, "waiting", honest)
	table.Verified(at, honest)
	wantWhere(t, table, "live", honest)
	check(t, table)

	// The same for the limit of the table, in another bucket.
	for i := range 4 {
		for _, k := range keysAt(255-i, 2) {
			table.Seen(at, node(k, fmt.Sprintf("80.1.1.%d:%d", 10+i, k%60000+1)))
		}
	}
	wantLen(t, table, 10, 1)
	honest = node(keysAt(250, 1)[0], "80.1.1.9:1")
	table.Verified(at, honest)
	wantWhere(t, table, "live", honest)
	wantLen(t, table, 10, 2)
	check(t, table)

	// Nor can it use up the turns of those who wait.
	table = newTable(Config{})
	verified(table, nodesAt(256, 16)...)
	table.Seen(at, node(far[0]+1_000_000, "80.1.1.1:1"))
	more := keysAt(256, 60)[40:]
	for _, k := range more[:10] {
		table.Seen(at, node(k, "80.1.1.1:1"))
	}
	honest = node(more[15], "80.1.1.9:1")
	table.Verified(at, honest)
	wantWhere(t, table, "waiting", honest)
	check(t, table)
}

// What a node in the table becomes when something else is said of it.
func TestUpdate(t *testing.T) {
	v4 := func(addr string) *enode.Node { return signed(t, 1, 1).WithAddr(node(0, addr).Addr()).WithUDP(1) }
	bare := func(addr string) *enode.Node {
		n := signed(t, 1, 1)
		ap := node(0, addr)
		return enode.NewV4(n.PublicKey(), ap.Addr(), 1, 1)
	}
	seq := func(n uint64, addr string, more ...enr.Entry) *enode.Node {
		return signed(t, 1, n, append(at4(addr), more...)...)
	}
	v6 := enr.IP(node(0, "[2a00::1]:1").Addr())
	const a, b = "80.1.1.1:1", "80.2.2.2:1"
	tell := func(table *Table, n *enode.Node) { table.Seen(at, n) }
	prove := func(table *Table, n *enode.Node) { table.Verified(at, n) }
	answer := func(table *Table, n *enode.Node) {
		table.NextCheck(at.Add(time.Hour))
		table.Checked(at.Add(time.Hour), n.ID(), true, n)
	}
	for _, c := range []struct {
		name     string
		old, new *enode.Node // old is live
		do       func(*Table, *enode.Node)
		replaced bool
		want     string
	}{
		{"told of a newer record", seq(1, a), seq(2, a), tell, true, "live"},
		{"told of the same record", seq(1, a), seq(1, a), tell, false, "live"},
		{"told of an older record", seq(2, a), seq(1, a), tell, false, "live"},
		{"told of a newer record elsewhere", seq(1, a), seq(2, b), tell, true, "unverified"},
		{"told of another place without record", bare(a), bare(b), tell, false, "live"},
		{"told of no record", seq(1, a), bare(b), tell, false, "live"},
		{"told of a record of a bare node", bare(a), seq(1, a), tell, true, "live"},
		{"told of one more address", seq(1, a), seq(2, a, v6), tell, true, "live"},
		{"told of one address fewer", seq(1, a, v6), seq(2, a), tell, true, "unverified"},
		{"proved with a newer record", seq(1, a), seq(2, a), prove, true, "live"},
		{"proved with an older record", seq(2, a), seq(1, a), prove, false, "live"},
		{"proved without the record", seq(2, a), bare(a), prove, false, "live"},
		{"proved with an older record elsewhere", seq(2, a), seq(1, b), prove, true, "live"},
		{"proved elsewhere without record", seq(2, a), bare(b), prove, true, "live"},
		{"proved elsewhere with the record", v4(a), v4(b), prove, true, "live"},
		{"fetched a newer record", seq(1, a), seq(2, a), answer, true, "live"},
		{"fetched a newer record elsewhere", seq(1, a), seq(2, b), answer, true, "unverified"},
		{"fetched an older record", seq(2, a), seq(1, b), answer, false, "live"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(Config{})
			table.Verified(at, c.old)
			c.do(table, c.new)
			wantNode := c.old
			if c.replaced {
				wantNode = c.new
			}
			if got, _ := table.Get(c.old.ID()); got != wantNode {
				t.Errorf("the table has seq %d at %v, want seq %d at %v", got.Seq(), got.Addr(), wantNode.Seq(), wantNode.Addr())
			}
			wantWhere(t, table, c.want, c.old)
			check(t, table)
		})
	}

	// A node that moves into a network without room stays what it was, if this is
	// only told, and loses its place if it is proven.
	t.Run("moved where there is no room", func(t *testing.T) {
		table := newTable(Config{})
		mover := seq(1, a)
		table.Verified(at, mover)
		d := enode.LogDistance(self, mover.ID())
		for _, k := range keysAt(d, 2) {
			table.Verified(at, node(k, "80.2.2.3:1"))
		}
		table.Seen(at, seq(2, b))
		if got, _ := table.Get(mover.ID()); got != mover {
			t.Errorf("the table has %v, want the node where it was", got.Addr())
		}
		table.Verified(at, seq(2, b))
		wantWhere(t, table, "waiting", mover)
		wantLen(t, table, 2, 2)
		check(t, table)
	})
}
