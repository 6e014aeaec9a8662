package kad

import (
	"net/netip"
	"testing"

	"parley/internal/netaddr"
)

// When the permitted networks change, those outside leave the table and those who
// waited inside take their places.
func TestSetRestrict(t *testing.T) {
	table := newTable(Config{})
	nodes := nodesAt(256, BucketSize+2)
	first, last := nodes[0], nodes[len(nodes)-1]
	for _, n := range nodes {
		table.Seen(at, n)
	}
	wantLen(t, table, BucketSize, 0)
	wantWhere(t, table, "waiting", last)
	inside := func(ns ...netip.Addr) (list netaddr.List) {
		t.Helper()
		var prefixes []netip.Prefix
		for _, addr := range ns {
			prefixes = append(prefixes, netip.PrefixFrom(addr, 32))
		}
		list, err := netaddr.ListOf(prefixes...)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	table.SetRestrict(at, inside(first.Addr(), last.Addr()))
	check(t, table)
	wantLen(t, table, 2, 0)
	wantWhere(t, table, "unverified", first, last)
	wantWhere(t, table, "", nodes[1:len(nodes)-1]...) // the other who waited too
	if table.Seen(at, nodes[1]) {
		t.Error("a node outside gets a place")
	}
	table.SetRestrict(at, netaddr.List{})
	seen(t, table, nodes[1])
}
