package discv4

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
)

// watch returns the packets that cross the network as "1>2 PING", by the index
// of the hosts.
func (net *network) watch() *[]string {
	var seen []string
	net.tap = func(from, to netip.AddrPort, p *Packet) bool {
		index := func(at netip.AddrPort) int { return 1 + slices.Index(net.nodes, net.at[at]) }
		seen = append(seen, fmt.Sprintf("%d>%d %v", index(from), index(to), p.Message.Kind()))
		return false
	}
	return &seen
}

// A node asks a stranger for nodes as soon as it has answered the stranger's PING:
// three one-way trips after its own.
func TestNoFixedWait(t *testing.T) {
	net := newNetwork(t, 1, 40*time.Millisecond)
	a, b := net.add(1, nil, quiet), net.add(2, nil, quiet)
	seen := net.watch()
	began := net.now
	c := a.e.FindNode(a.time(), b.self, a.e.RandomTarget())
	if r := a.wait(c); r.Err != nil {
		t.Fatal(r.Err)
	}
	want := []string{"1>2 PING", "2>1 PONG", "2>1 PING", "1>2 PONG", "1>2 FINDNODE", "2>1 NEIGHBORS"}
	if took := a.ended[c].Sub(began); took != 160*time.Millisecond || !slices.Equal(*seen, want) {
		t.Errorf("%v after %v, want %v after 160ms", *seen, took, want)
	}
}

// A node that forgot its bonds asks one that did not one round trip after its PONG,
// when no PING has come. One that relies on a bond that the other side forgot
// makes a new one.
func TestBondForgotten(t *testing.T) {
	net := newNetwork(t, 1, 40*time.Millisecond)
	a, b := net.add(1, nil, quiet), net.add(2, nil, quiet)
	if r := a.wait(a.e.FindNode(a.time(), b.self, a.e.RandomTarget())); r.Err != nil {
		t.Fatal(r.Err)
	}
	a = net.restart(a)
	seen := net.watch()
	began := net.now
	c := a.e.FindNode(a.time(), b.self, a.e.RandomTarget())
	r := a.wait(c)
	want := []string{"1>2 PING", "2>1 PONG", "1>2 FINDNODE", "2>1 NEIGHBORS"}
	if took := a.ended[c].Sub(began); r.Err != nil || took != 240*time.Millisecond || !slices.Equal(*seen, want) {
		t.Errorf("asker forgot: %v after %v, %v; want %v after 240ms", *seen, took, r.Err, want)
	}

	// a knows now that b has its proof only because b took its FINDNODE: it never
	// answered a PING. Have it do so.
	b.wait(b.e.Ping(b.time(), a.self))
	net.restart(b)
	seen = net.watch()
	r = a.wait(a.e.FindNode(a.time(), b.self, a.e.RandomTarget()))
	want = []string{"1>2 FINDNODE", "1>2 PING", "2>1 PONG", "2>1 PING", "1>2 PONG", "1>2 FINDNODE", "2>1 NEIGHBORS"}
	if r.Err != nil || !slices.Equal(*seen, want) {
		t.Errorf("asked forgot: %v, %v; want %v", *seen, r.Err, want)
	}
}

// restart replaces h by a node with the same key and endpoint that knows nothing.
func (net *network) restart(h *host) *host {
	i := slices.Index(net.nodes, h)
	fresh := net.add(i+1, nil, quiet)
	net.nodes = slices.Delete(net.nodes, len(net.nodes)-1, len(net.nodes))
	net.nodes[i] = fresh
	return fresh
}

// A node that just bonded with us gets nothing that it did not ask for, for one
// second, even from a lookup of the table's that would go to it. A lookup that
// somebody waits for goes to it at once.
func TestQuietAfterBond(t *testing.T) {
	net := newNetwork(t, 1, time.Millisecond)
	h := net.add(1, nil, nil)
	h.e.Advance(h.time())
	h.flush()
	s := net.stranger(100, publicAddr(100))
	s.bond(h)
	bonded := net.now
	var first time.Time
	net.tap = func(_, to netip.AddrPort, p *Packet) bool {
		if to == s.at && first.IsZero() {
			first = net.now
		}
		return true
	}
	h.e.refresh(enode.PubkeyID(h.e.RandomTarget()))
	h.flush()
	net.run(10*time.Second, nil)
	if first.IsZero() || first.Sub(bonded) < time.Second || first.Sub(bonded) > 2*time.Second {
		t.Errorf("first packet %v after the bond, want 1s to 2s", first.Sub(bonded))
	}
	// A call does not wait.
	for i, c := range []struct {
		call func(*stranger) Call
		want Kind
	}{
		{func(s *stranger) Call { return h.e.Ping(h.time(), s.node()) }, KindPing},
		{func(*stranger) Call { return h.e.Lookup(h.time(), h.e.RandomTarget()) }, KindFindNode},
	} {
		s = net.stranger(101+i, publicAddr(101+i))
		net.tap = nil
		s.bond(h)
		_, p := s.asks(h, func() Call { return c.call(s) })
		if p.Message.Kind() != c.want {
			t.Errorf("the call sent %v, want %v", p.Message.Kind(), c.want)
		}
	}
}

// The store is bounded as a whole and for each host, forgets the one not used for
// longest, and keeps count of endpoints.
func TestBondLimits(t *testing.T) {
	known := make(map[netip.AddrPort]int)
	s := newBonds(100, known)
	at := func(i int) place { return place{enode.ID{byte(i >> 8), byte(i)}, publicAddr(i)} }
	for i := range 150 {
		s.prove(time.Duration(i), at(i))
		s.get(time.Duration(i), at(0))
	}
	if len(s.all) != 100 || s.get(150, at(0)) == nil || s.get(150, at(1)) != nil || s.get(150, at(149)) == nil {
		t.Errorf("%d bonds; the one in use: %v", len(s.all), s.get(150, at(0)))
	}
	crowd, local := publicAddr(1000), netip.MustParseAddrPort("127.0.0.1:1")
	s = newBonds(1000, known)
	clear(known)
	for i := range 2 * hostBonds {
		s.prove(0, place{enode.ID{1, byte(i)}, crowd})
		s.prove(0, place{enode.ID{2, byte(i)}, local})
	}
	if known[crowd] != hostBonds || known[local] != 2*hostBonds {
		t.Errorf("one host has %d bonds, loopback %d; want %d and %d", known[crowd], known[local], hostBonds, 2*hostBonds)
	}
	s.prove(bondLife+1, at(1))
	if len(s.all) != 1 || len(s.hosts) != 1 || len(known) != 1 || s.order.Len() != 1 {
		t.Errorf("12 hours later: %d bonds, %d hosts, %d endpoints", len(s.all), len(s.hosts), len(known))
	}
}
