package discv5

import (
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/rlp"
)

// G6: whatever is said in NODES, a call ends within its timeout with at most 16
// nodes that were asked for.
func TestG6(t *testing.T) {
	w := newWorld(t, 7)
	h := w.add()
	s := newStranger(t, 9, "22.0.0.1:30303")
	// Nodes at distance 256 from s, and one that is not.
	var far []*enr.Record
	var near, lan, low, loop *enr.Record
	for i := 0; len(far) < 20 || near == nil || lan == nil || low == nil || loop == nil; i++ {
		key := testKey(t, w.rng)
		is256 := enode.LogDistance(s.id, enode.PubkeyID(key.Public())) == 256
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{40, byte(i), 0, 1}), 30303)
		switch {
		case !is256 && near == nil:
			near = signed(t, key, 1, at).Record()
		case !is256:
		case lan == nil:
			lan = signed(t, key, 1, netip.MustParseAddrPort("192.168.1.1:30303")).Record()
		case loop == nil:
			loop = signed(t, key, 1, netip.MustParseAddrPort("127.0.0.1:30303")).Record()
		case low == nil:
			low = signed(t, key, 1, netip.MustParseAddrPort("40.1.2.3:53")).Record()
		default:
			far = append(far, signed(t, key, 1, at).Record())
		}
	}
	body := func(id requestID, total uint64, records ...*enr.Record) []byte {
		m := appendNodes(nil, id, 1, records)
		list := rlp.NewCursor(m[1:])
		inner, err := list.List()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := inner.Raw(); err != nil {
			t.Fatal(err)
		}
		if _, err := inner.Raw(); err != nil {
			t.Fatal(err)
		}
		rest, err := inner.Raw()
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte{byte(KindNodes)}, rlp.AppendList(nil, rlp.BytesSize(id.bytes())+rlp.UintSize(total)+len(rest))...)
		b = rlp.AppendBytes(b, id.bytes())
		b = rlp.AppendUint(b, total)
		return append(b, rest...)
	}
	for name, c := range map[string]struct {
		total uint64
		sends [][]*enr.Record
		nodes int
		waits bool
	}{
		"total 0":         {0, [][]*enr.Record{far[:2]}, 2, false},
		"total 1":         {1, [][]*enr.Record{far[:2], far[2:4]}, 2, false},
		"total 6":         {6, [][]*enr.Record{far[:1], far[1:2], far[2:3], far[3:4], far[4:5], far[5:6]}, 5, false},
		"total 65535":     {65535, [][]*enr.Record{far[:2]}, 2, true},
		"total 2^64-1":    {1<<64 - 1, [][]*enr.Record{far[:2]}, 2, true},
		"rest never sent": {3, [][]*enr.Record{far[:2], far[2:4]}, 4, true},
		"nothing sent":    {3, nil, 0, true},
		"too many":        {3, [][]*enr.Record{far[:7], far[7:14], far[14:20]}, 16, false},
		"not asked for":   {1, [][]*enr.Record{{near, far[0], s.node.Record()}}, 1, false},
		"twice":           {2, [][]*enr.Record{{far[0], far[0]}, {far[0], far[1]}}, 2, false},
		"LAN":             {1, [][]*enr.Record{{lan, loop, low, far[0]}}, 1, false},
		"own record":      {1, [][]*enr.Record{{h.node.Record(), far[0]}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			h.sessions = newSessions(10)
			h.done = make(map[Call]Result)
			now := w.now
			id := h.FindNode(now, s.node, []uint{256})
			var m message
			for _, data := range s.take(h) {
				if s.open(data).flag == flagMessage {
					m = s.accept(now, h, data)
				}
			}
			if m.kind != KindFindNode {
				t.Fatalf("the stranger is asked %v", m.kind)
			}
			for _, records := range c.sends {
				s.packets(now, h, s.message(h.id, s.nonce(), body(m.id, c.total, records...)))
			}
			if _, over := h.done[id]; over == c.waits {
				t.Fatalf("the call is over: %v, want %v", over, !c.waits)
			}
			now = now.Add(callTimeout)
			h.Advance(now)
			w.now = now.Add(time.Second)
			for _, r := range h.Take().Done {
				h.done[r.Call] = r
			}
			r, over := h.done[id]
			if !over || len(r.Nodes) != c.nodes || (r.Err == nil) != (len(c.sends) > 0) {
				t.Errorf("after %v: over %v, %d nodes, %v; want %d nodes", callTimeout, over, len(r.Nodes), r.Err, c.nodes)
			}
		})
	}
}

// G7: FINDNODE is answered with at most 16 nodes in at most 5 packets, whatever
// is asked.
func TestG7(t *testing.T) {
	w := newWorld(t, 8)
	h := w.add()
	pad := enr.With("pad", make([]byte, 159))
	for i := range 60 {
		n := signed(t, testKey(t, w.rng), 1, netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(i), 0, 1}), 30303), pad)
		if got := n.Record().Len(); got > enr.SizeLimit || got < 295 {
			t.Fatalf("a record of %d bytes", got)
		}
		h.table.Verified(epoch, n)
	}
	s := newStranger(t, 10, "22.0.0.1:30303")
	s.join(epoch, h)
	var all, twice, beyond []uint
	for d := range uint(257) {
		all = append(all, 256-d)
		twice = append(twice, 256)
		beyond = append(beyond, 257+d)
	}
	ask := func(distances []uint) (nodes map[enode.ID]int, packets int) {
		nodes = make(map[enode.ID]int)
		for _, data := range s.packets(epoch, h, s.message(h.id, s.nonce(), appendFindNode(nil, ownID(9), distances))) {
			m := s.plain(data)
			if m.kind != KindNodes {
				t.Fatalf("FINDNODE is answered with %v", m.kind)
			}
			packets++
			for m.records.More() {
				raw, err := m.records.Raw()
				if err != nil {
					t.Fatal(err)
				}
				r, err := enr.ParseBytes(raw)
				if err != nil {
					t.Fatal(err)
				}
				nodes[enode.PubkeyID(r.PublicKey())]++
			}
			if m.total > 5 || m.id != ownID(9) {
				t.Errorf("total %d, id %x", m.total, m.id.bytes())
			}
		}
		return nodes, packets
	}
	for name, c := range map[string]struct {
		distances []uint
		nodes     int
		packets   int
	}{
		"all":          {all[:256], 15, 5}, // 3 of 300 bytes fit a packet
		"with 0":       {append([]uint{0}, all[:255]...), 16, 5},
		"256 twice":    {twice, 15, 5},
		"beyond 256":   {beyond[:200], 0, 1},
		"2^64-1 and 0": {[]uint{1<<64 - 1, 0, 0}, 1, 1},
		"none":         {nil, 0, 1},
		"empty bucket": {[]uint{3}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, packets := ask(c.distances)
			for id, n := range nodes {
				if n != 1 {
					t.Errorf("%v is told %d times", id, n)
				}
			}
			if len(nodes) != c.nodes || packets != c.packets {
				t.Errorf("%d nodes in %d packets, want %d in %d", len(nodes), packets, c.nodes, c.packets)
			}
		})
	}
}
