package discv4

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/kad"
	"parley/rlp"
)

// asks has h ask the stranger, which must have bonded, and returns the call.
func (s *stranger) asks(h *host, call func() Call) (Call, *Packet) {
	s.net.t.Helper()
	var asked *Packet
	s.net.tap = func(_, to netip.AddrPort, p *Packet) bool {
		if to == s.at {
			asked = p
		}
		return true
	}
	c := call()
	h.flush()
	s.net.tap = nil
	if asked == nil {
		s.net.t.Fatal("nothing asked")
	}
	return c, asked
}

// Of the nodes that another names, each that cannot be one is dropped by itself,
// and no more than 16 are kept.
func TestF9Neighbors(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	s.bond(h)
	entry := func(n int, addr string, port uint16) Neighbor {
		return Neighbor{Endpoint{netip.MustParseAddr(addr), port, port}, testKey(n).Public()}
	}
	ask := func(parts ...[]Neighbor) []*enode.Node {
		t.Helper()
		c, p := s.asks(h, func() Call { return h.e.FindNode(h.time(), s.node(), h.e.RandomTarget()) })
		if p.Message.Kind() != KindFindNode {
			t.Fatalf("asked with %v", p.Message.Kind())
		}
		for _, nodes := range parts {
			s.send(h, &Neighbors{Nodes: nodes, Expiration: s.exp()})
		}
		return h.wait(c).Nodes
	}

	for _, c := range []struct {
		addr string
		port uint16
	}{
		{"0.0.0.0", 30303}, {"127.0.0.1", 30303}, {"10.0.0.1", 30303}, {"192.168.1.1", 30303}, {"224.0.0.1", 30303},
		{"255.255.255.255", 30303}, {"::", 30303}, {"::1", 30303}, {"fe80::1", 30303}, {"fc00::1", 30303},
		{"8.8.8.8", 0}, {"8.8.8.8", 1}, {"8.8.8.8", 1024},
	} {
		got := ask([]Neighbor{entry(200, c.addr, c.port), entry(201, "8.8.4.4", 1025)})
		if len(got) != 1 || got[0].ID() != enode.PubkeyID(testKey(201).Public()) {
			t.Errorf("%v:%d with a good one: got %v", c.addr, c.port, got)
		}
	}

	own := Neighbor{Endpoint{netip.MustParseAddr("8.8.8.8"), 30303, 30303}, h.key.Public()}
	offCurve := Neighbor{Endpoint{netip.MustParseAddr("8.8.8.8"), 30303, 30303}, enode.PublicKey{1}}
	same := slices.Repeat([]Neighbor{entry(202, "8.8.8.8", 30303)}, 12)
	if got := ask([]Neighbor{own, offCurve}); len(got) != 0 {
		t.Errorf("own ID and a key off the curve: %v", got)
	}
	if got := ask(same, nil); len(got) != 1 {
		t.Errorf("12 times the same: %v", got)
	}

	var many []Neighbor
	for i := range 40 {
		many = append(many, entry(300+i, publicAddr(300+i).Addr().String(), 30303))
	}
	if got := ask(many[:13], many[13:26]); len(got) != 16 {
		t.Errorf("13 and 13 nodes: %d kept", len(got))
	}
	// 20 packets: those after the sixteenth node answer nothing.
	before := h.dropped(DropUnasked)
	var parts [][]Neighbor
	for i := range 20 {
		parts = append(parts, many[2*i:2*i+2])
	}
	if got := ask(parts...); len(got) > 16 || h.dropped(DropUnasked)-before < 12 {
		t.Errorf("20 packets: %d kept, %d unsolicited", len(got), h.dropped(DropUnasked)-before)
	}

	before = h.dropped(DropUnasked)
	all, _ := h.e.Len()
	s.send(h, &Neighbors{Nodes: []Neighbor{entry(400, "9.9.9.9", 30303)}, Expiration: s.exp()})
	if after, _ := h.e.Len(); h.dropped(DropUnasked) != before+1 || after != all {
		t.Error("unsolicited NEIGHBORS were used")
	}
}

// Answers of two packets are taken in either order, without a fixed wait, and so
// are short ones.
func TestNeighborsParts(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	s.bond(h)
	h.e.rtt = kad.NewRTT(40 * time.Millisecond)
	var many []Neighbor
	for i := range 16 {
		many = append(many, Neighbor{Endpoint{publicAddr(300 + i).Addr(), 30303, 30303}, testKey(300 + i).Public()})
	}
	for _, c := range []struct {
		name  string
		parts [][]Neighbor
		want  int
		took  time.Duration
	}{
		{"12 and 4", [][]Neighbor{many[:12], many[12:]}, 16, 0},
		{"4 and 12", [][]Neighbor{many[12:], many[:12]}, 16, 0},
		{"8", [][]Neighbor{many[:8]}, 8, 0},
		{"none", [][]Neighbor{nil}, 0, 0},
		{"12", [][]Neighbor{many[:12]}, 12, 40 * time.Millisecond},
		{"3", [][]Neighbor{many[:3]}, 3, 40 * time.Millisecond},
	} {
		began := net.now
		call, _ := s.asks(h, func() Call { return h.e.FindNode(h.time(), s.node(), h.e.RandomTarget()) })
		for _, nodes := range c.parts {
			s.send(h, &Neighbors{Nodes: nodes, Expiration: s.exp()})
		}
		r := h.wait(call)
		if took := h.ended[call].Sub(began); r.Err != nil || len(r.Nodes) != c.want || took != c.took {
			t.Errorf("%s: %d nodes after %v, %v; want %d after %v", c.name, len(r.Nodes), took, r.Err, c.want, c.took)
		}
	}
}

// A record is good only if the node that was asked signed it. One that points
// elsewhere does not move a node of the table, and a number as high as can be is
// believed once.
func TestF10Records(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	s.bond(h)
	ask := func(record []byte) Result {
		t.Helper()
		net.now = net.now.Add(2 * time.Second)
		c, p := s.asks(h, func() Call { return h.e.RequestENR(h.time(), s.node()) })
		if p.Message.Kind() != KindENRRequest {
			t.Fatalf("asked with %v", p.Message.Kind())
		}
		s.send(h, &ENRResponse{RequestHash: p.Hash, Record: record})
		return h.wait(c)
	}
	good := signed(t, s.key, 1<<64-1, s.at).Record()
	if r := ask(good.Bytes()); r.Err != nil || r.Node.Seq() != 1<<64-1 {
		t.Errorf("good record: %+v", r)
	}
	// One byte more than a record may have; the largest that Sign makes is that
	// of 300 bytes.
	long := append(rlp.AppendList(nil, 298), make([]byte, 298)...)
	other := signed(t, testKey(7), 1, s.at).Record().Bytes()
	flipped := good.Bytes()
	flipped[10] ^= 1
	for name, b := range map[string][]byte{"other node's": other, "bad signature": flipped, "empty": {0xc0}, "a string": {0x80}, "301 bytes of": long} {
		before := h.dropped(DropRecord)
		if r := ask(b); r.Err != ErrRecord || h.dropped(DropRecord) != before+1 {
			t.Errorf("%s record: %v", name, r.Err)
		}
	}

	n := s.node()
	for _, c := range []struct {
		name string
		at   netip.AddrPort
		seq  uint64
		want bool
	}{
		{"where it is", s.at, 9, true},
		{"other IP", publicAddr(999), 9, false},
		{"LAN", netip.MustParseAddrPort("10.0.0.1:30303"), 9, false},
		{"no newer", s.at, 0, false},
	} {
		updated := h.e.adopted(n, signed(t, s.key, c.seq, c.at), s.place())
		if (updated != nil) != c.want {
			t.Errorf("%s: adopted %v", c.name, updated)
		}
	}
	// Without an address, or with another port, the proven endpoint stays.
	r, err := enr.Sign(s.key, 3)
	if err != nil {
		t.Fatal(err)
	}
	bare, _ := enode.New(r)
	for _, record := range []*enode.Node{bare, signed(t, s.key, 3, netip.AddrPortFrom(s.at.Addr(), 1234))} {
		updated := h.e.adopted(n, record, s.place())
		if at, _ := updated.UDPEndpoint(); at != s.at || updated.Seq() != 3 {
			t.Errorf("adopted at %v, proven at %v", at, s.at)
		}
	}
}

// A record of the table's own check is fetched when its number is new, and only
// then.
func TestRecordAdopted(t *testing.T) {
	net := newNetwork(t, 5, time.Millisecond)
	a := net.add(1, nil, nil)
	b := net.add(2, []*enode.Node{enode.NewV4(a.key.Public(), a.at.Addr(), 0, a.at.Port())}, nil)
	ok := net.run(time.Minute, func() bool {
		n, known := b.e.table.Get(a.self.ID())
		return known && n.Seq() == 5
	})
	if !ok {
		t.Fatal("record not fetched within a minute")
	}
	net.run(time.Minute, nil)
	before := b.e.Stats().Sent[KindENRRequest]
	net.run(10*time.Minute, nil)
	if after := b.e.Stats().Sent[KindENRRequest]; after != before {
		t.Errorf("%d more requests for the same record", after-before)
	}
	next := signed(t, a.key, 1<<64-1, a.at)
	if err := a.e.SetSelf(next); err != nil {
		t.Fatal(err)
	}
	if !net.run(20*time.Minute, func() bool { n, _ := b.e.table.Get(a.self.ID()); return n.Seq() == next.Seq() }) {
		t.Error("newer record not fetched")
	}
}
