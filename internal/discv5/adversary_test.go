package discv5

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"parley/enode"
	"parley/enr"
	"parley/internal/secp"
	"parley/rlp"
)

// quiet checks that a packet has no effect but a count.
func quiet(t *testing.T, h *host, from netip.AddrPort, data []byte, want Drop) {
	t.Helper()
	before := h.stats.Dropped[want]
	h.Receive(epoch, from, data)
	if out := h.Take(); len(out.Packets) != 0 || len(out.Done) != 0 || len(out.Talks) != 0 || len(out.Votes) != 0 {
		t.Errorf("%v: the engine reacts: %d packets", want, len(out.Packets))
	}
	if h.stats.Dropped[want] != before+1 {
		t.Errorf("not dropped as %v; drops %v", want, h.stats.Dropped)
	}
}

// G1: packets that are no packets are dropped, without allocation.
func TestG1(t *testing.T) {
	w := newWorld(t, 1)
	h := w.add()
	s := newStranger(t, 1, "22.0.0.1:30303")
	good := s.random(h.id, s.nonce())
	edit := func(at int, to byte) []byte { // changes a header byte under the mask
		b := bytes.Clone(good)
		c := newCodec(h.id, DefaultProtocol)
		end := headerStart + idSize
		c.mask(maskOf(h.id), b[:end])
		b[at] = to
		c.mask(maskOf(h.id), b[:end])
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		drop Drop
	}{
		"empty":              {nil, DropSize},
		"62 bytes":           {good[:62], DropSize},
		"63 bytes":           {good[:63], DropAuthSize},
		"1280 bytes of zero": {make([]byte, 1280), DropProtocol},
		"1281 bytes":         {make([]byte, 1281), DropSize},
		"no tag":             {good[:headerStart+idSize+tagSize-1], DropAuthSize},
		"protocol id":        {edit(ivSize, 'D'), DropProtocol},
		"version":            {edit(ivSize+7, 2), DropVersion},
		"flag":               {edit(nonceStart-1, 3), DropFlag},
		"flag 255":           {edit(nonceStart-1, 255), DropFlag},
		"authsize 65535":     {edit(headerStart-2, 255), DropAuthSize},
		"authsize 31":        {edit(headerStart-1, 31), DropAuthSize},
		"authsize 33":        {edit(headerStart-1, 33), DropAuthSize},
		"WHOAREYOU size":     {edit(nonceStart-1, flagWhoareyou), DropAuthSize},
		"handshake size":     {edit(nonceStart-1, flagHandshake), DropAuthSize},
	} {
		t.Run(name, func(t *testing.T) {
			quiet(t, h, s.addr, c.data, c.drop)
			if mine := h.Receive(epoch, s.addr, c.data); mine != (c.drop != DropSize && c.drop != DropProtocol) {
				t.Errorf("Receive = %v", mine)
			}
			if n := testing.AllocsPerRun(10, func() { h.Receive(epoch, s.addr, c.data) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	quiet(t, h, netip.AddrPortFrom(s.addr.Addr(), 0), good, DropRestricted)
	self := newStranger(t, 1, "22.0.0.1:30303")
	self.id = h.id
	quiet(t, h, s.addr, self.random(h.id, self.nonce()), DropSelf)
	d := NewDemux(h.id, "")
	if !d.Match(good) || d.Match(good[:62]) || d.Match(edit(ivSize, 'D')) || d.Match(make([]byte, 98)) {
		t.Error("Demux does not tell packets of discovery v5 from others")
	}
}

// G2 and AMP: a flood of packets that cannot be read is answered with no more
// bytes than it has, keeps memory within 4 MiB, and does not keep an honest node
// from making a session in the middle of it.
func TestG2(t *testing.T) {
	w := newWorld(t, 2)
	h := w.add()
	honest := newStranger(t, 2, "22.0.0.1:30303")
	whoareyou := honest.challenge(epoch, h)

	flood := newStranger(t, 3, "23.0.0.1:1000")
	now := epoch
	send := func(from netip.AddrPort) {
		n := flood.nonce()
		data := flood.random(h.id, n)
		h.Receive(now, from, data)
		out := h.Take()
		sent := 0
		for _, p := range out.Packets {
			if p.To == from {
				sent += len(p.Data)
				if flood.sent%100 == 0 && flood.open(p.Data).nonce != n {
					t.Fatalf("a packet from %v gets the challenge of another", from)
				}
			} else if p.To != honest.addr { // which is checked meanwhile
				t.Fatalf("a packet from %v is answered to %v", from, p.To)
			}
		}
		if sent > len(data) {
			t.Fatalf("%d bytes are answered with %d", len(data), sent)
		}
	}
	for i := range 10_000 { // 200 ms of the flood
		now = epoch.Add(time.Duration(i) * 20 * time.Microsecond)
		if i%2 == 0 {
			send(flood.addr)
		} else {
			send(netip.AddrPortFrom(netip.AddrFrom4([4]byte{24, byte(i >> 16), byte(i >> 8), byte(i)}), 1000))
		}
	}
	if got := honest.packets(now, h, honest.handshake(h, whoareyou, appendPing(nil, ownID(1), 1), nil)); len(got) == 0 {
		t.Fatalf("the honest node is not answered in the flood; drops %v", h.stats.Dropped)
	}
	for i := range 100_000 {
		now = now.Add(20 * time.Microsecond)
		send(netip.AddrPortFrom(netip.AddrFrom4([4]byte{25, byte(i >> 16), byte(i >> 8), byte(i)}), 1000))
	}
	pages := 0
	for _, p := range h.challenges.pages {
		if p != nil {
			pages++
		}
	}
	size := unsafe.Sizeof(*h.challenges) + uintptr(pages)*unsafe.Sizeof([challengeWays]challenge{}) + unsafe.Sizeof(h.budget)
	if size > 4<<20 {
		t.Errorf("challenges take %d bytes", size)
	}
	if all, _ := h.table.Len(); len(h.sessions.all) != 1 || len(h.calls.open) > 1 || all != 1 {
		t.Errorf("the flood leaves %d sessions, %d calls, %d nodes; want those of the honest node", len(h.sessions.all), len(h.calls.open), all)
	}
	t.Logf("challenges take %d bytes", size)
}

// Packets that follow each other get the same WHOAREYOU, byte for byte; half a
// second later they get another, and either may be answered, whatever else is
// sent in the name of the node.
func TestChallengeRepeated(t *testing.T) {
	w := newWorld(t, 3)
	h := w.add()
	for _, second := range []bool{false, true} {
		s := newStranger(t, 4, "22.0.0.1:30303")
		p1, p2 := s.random(h.id, s.nonce()), s.random(h.id, s.nonce())
		w1, again := s.packets(epoch, h, p1)[0], s.packets(epoch.Add(challengeLife-1), h, p1)[0]
		if !bytes.Equal(w1, again) {
			t.Error("the repeated packet gets other bytes")
		}
		if w2 := s.packets(epoch.Add(challengeRepeat-1), h, p2)[0]; !bytes.Equal(w1, w2) {
			t.Error("a second packet gets another challenge at once")
		}
		w2 := s.packets(epoch.Add(challengeRepeat), h, p2)[0]
		if bytes.Equal(w1, w2) || s.open(w2).nonce == s.open(w1).nonce {
			t.Error("a second packet gets the challenge of the first half a second later")
		}
		now := epoch.Add(challengeRepeat)
		for range 1000 {
			now = now.Add(time.Millisecond)
			s.packets(now, h, s.random(h.id, s.nonce()))
		}
		answered := w1
		if second {
			answered = w2
		}
		before := h.stats.HandshakesIn
		s.packets(now, h, s.handshake(h, answered, appendPing(nil, ownID(1), 1), nil))
		if h.stats.HandshakesIn != before+1 {
			t.Errorf("second %v: the handshake fails; drops %v", second, h.stats.Dropped)
		}
		h.sessions = newSessions(10)
		if late := s.packets(epoch.Add(challengeLife), h, p1)[0]; bytes.Equal(late, w1) {
			t.Error("the challenge is the same after its life")
		}
		h.sessions = newSessions(10)
		h.challenges.forget(place{s.id, s.addr})
	}
}

// G3: only the challenge to the last packet of a call has an effect, once.
func TestG3(t *testing.T) {
	w := newWorld(t, 4)
	h := w.add()
	s := newStranger(t, 5, "22.0.0.1:30303")
	whoareyou := func(n nonce, body ...byte) []byte {
		b := s.codec.appendWhoareyou(nil, s.iv(), n, [idNonceSize]byte{1}, 0)
		s.codec.mask(maskOf(h.id), b)
		return append(b, body...)
	}
	quiet(t, h, s.addr, whoareyou(nonce{1}), DropUnasked) // nothing was sent

	h.Ping(epoch, s.node)
	first := s.take(h)[0]
	p := s.open(first)
	wrong := p.nonce
	wrong[11]++
	quiet(t, h, s.addr, whoareyou(wrong), DropUnasked)
	quiet(t, h, netip.MustParseAddrPort("22.0.0.1:30304"), whoareyou(p.nonce), DropUnasked)
	quiet(t, h, s.addr, whoareyou(p.nonce, 0xc1, 0xc0), DropAuthSize)
	m := s.accept(epoch, h, first) // the true one still works
	quiet(t, h, s.addr, whoareyou(p.nonce), DropUnasked)
	if m.kind != KindPing {
		t.Errorf("the handshake carries %v", m.kind)
	}
	if got := h.stats.HandshakesOut; got != 1 {
		t.Errorf("%d handshakes, want 1", got)
	}
	// A challenge to the handshake itself.
	c := h.calls.open[m.id.value()]
	quiet(t, h, s.addr, whoareyou(c.nonce), DropUnasked)
	s.packets(epoch, h, s.message(h.id, s.nonce(), appendPong(nil, m.id, 1, h.addr)))
	if len(h.done) != 1 {
		t.Error("the call does not end with the PONG")
	}
	quiet(t, h, s.addr, whoareyou(c.nonce), DropUnasked) // the call is over
}

// G4: a handshake with anything wrong is refused, and the honest node may still
// answer the same challenge.
func TestG4(t *testing.T) {
	other := newStranger(t, 6, "22.0.1.1:30303")
	ping := appendPing(nil, ownID(1), 1)
	for name, c := range map[string]struct {
		change func(*answer)
		drop   Drop
	}{
		"record of another node": {func(a *answer) { a.record = other.node.Record().Bytes() }, DropRecord},
		"no record":              {func(a *answer) { a.record = nil }, DropRecord},
		"record of 301 bytes":    {func(a *answer) { a.record = append(a.record, make([]byte, 301-len(a.record))...) }, DropRecord},
		"record changed":         {func(a *answer) { a.record[len(a.record)-1]++ }, DropRecord},
		"signature changed":      {func(a *answer) { a.sig[5]++ }, DropIdentity},
		"signature zero":         {func(a *answer) { a.sig = [signatureSize]byte{} }, DropIdentity},
		"signature high s":       {highS, DropIdentity},
		"key off the curve":      {func(a *answer) { a.ephemeral = [ephemeralSize]byte{2, 32: 5} }, DropIdentity},
		"key of format 4":        {func(a *answer) { a.ephemeral[0] = 4 }, DropIdentity},
		"key of all ones": {func(a *answer) {
			for i := range a.ephemeral {
				a.ephemeral[i] = 255
			}
		}, DropIdentity},
		"sender":              {func(a *answer) { a.src = other.id }, DropNoChallenge},
		"another ephemeral":   {func(a *answer) { a.ephemeral = other.key.Public().Compress() }, DropIdentity},
		"encrypted otherwise": {nil, DropUndecryptable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 5)
			h := w.add()
			s := newStranger(t, 7, "22.0.0.1:30303")
			whoareyou := s.challenge(epoch, h)
			bad := s.handshake(h, whoareyou, ping, c.change)
			if c.change == nil {
				bad[len(bad)-1]++
			}
			quiet(t, h, s.addr, bad, c.drop)
			if len(h.sessions.all) != 0 {
				t.Error("there is a session")
			}
			good := s.handshake(h, whoareyou, ping, nil)
			quiet(t, h, netip.MustParseAddrPort("22.0.0.1:30304"), good, DropNoChallenge) // from elsewhere
			if got := s.packets(epoch, h, good); len(got) == 0 || len(h.sessions.all) != 1 {
				t.Errorf("the honest handshake fails; drops %v", h.stats.Dropped)
			}
			quiet(t, h, s.addr, good, DropNoChallenge) // and only once
		})
	}
	t.Run("lower sequence number", func(t *testing.T) {
		w := newWorld(t, 5)
		h := w.add()
		s := newStranger(t, 7, "22.0.0.1:30303")
		h.table.Seen(epoch, signed(t, s.key, 2, s.addr))
		whoareyou := s.challenge(epoch, h)
		if seq := s.open(whoareyou).seq; seq != 2 {
			t.Fatalf("the challenge says sequence number %d, want 2", seq)
		}
		quiet(t, h, s.addr, s.handshake(h, whoareyou, ping, nil), DropRecord)
		s.packets(epoch, h, s.handshake(h, whoareyou, ping, func(a *answer) { a.record = nil }))
		if len(h.sessions.all) != 1 {
			t.Errorf("without a record it fails too; drops %v", h.stats.Dropped)
		}
	})
	t.Run("many", func(t *testing.T) {
		w := newWorld(t, 5)
		h := w.add()
		s := newStranger(t, 7, "22.0.0.1:30303")
		bad := s.handshake(h, s.challenge(epoch, h), ping, func(a *answer) { a.sig[5]++ })
		for range 1000 {
			s.packets(epoch, h, bad)
		}
		if n := h.stats.Dropped[DropIdentity]; n != handshakesPerHostSecond {
			t.Errorf("%d of 1000 bad handshakes from one host were verified, want %d", n, handshakesPerHostSecond)
		}
		for i := range 2000 { // from many networks
			s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{30, byte(i >> 8), byte(i), 1}), 30303)
			s.packets(epoch, h, s.handshake(h, s.challenge(epoch, h), ping, func(a *answer) { a.record = nil }))
		}
		if n := h.stats.Dropped[DropIdentity] + h.stats.Dropped[DropRecord]; n > handshakesPerSecond/2 {
			t.Errorf("%d handshakes of strangers were looked at in a second, want at most %d", n, handshakesPerSecond/2)
		}
	})
}

// highS replaces s of the signature by N-s, which verifies as well where that is
// not looked for.
func highS(a *answer) {
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	s := new(big.Int).SetBytes(a.sig[32:])
	n.Sub(n, s).FillBytes(a.sig[32:])
}

// G5: sessions that Sybils make push out other strangers, not a node that
// answered us; a session that was lost is made again in one call.
func TestG5(t *testing.T) {
	w := newWorld(t, 6)
	h := w.add(func(c *Config) { c.Sessions = 32 })
	peer, guest := w.add(), w.add()
	w.result(h, h.Ping(w.now, peer.node))
	w.result(guest, guest.Ping(w.now, h.node))
	s := newStranger(t, 8, "22.0.0.1:30303")
	for i := range 200 {
		now := w.now.Add(time.Duration(i) * 10 * time.Millisecond)
		s.key = testKey(t, s.rng)
		s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{30, byte(i), 0, 1}), 30303)
		s.node = signed(t, s.key, 1, netip.AddrPort{})
		s.id = s.node.ID()
		s.codec = newCodec(s.id, DefaultProtocol)
		s.join(now, h)
	}
	w.now = w.now.Add(2 * time.Second)
	if n := len(h.sessions.all); n != 32 || h.sessions.strangers.n+h.sessions.proven.n != 32 {
		t.Errorf("%d sessions, want 32", n)
	}
	if h.sessions.all[place{peer.id, peer.addr}] == nil {
		t.Error("the session with a node that answered us was pushed out")
	}
	before := h.stats.HandshakesIn
	start := w.now
	if r := w.result(guest, guest.Ping(w.now, h.node)); r.Err != nil || w.now.Sub(start) > 40*time.Millisecond {
		t.Errorf("the guest is back after %v, %v; want 40ms", w.now.Sub(start), r.Err)
	}
	if h.stats.HandshakesIn-before > 1 {
		t.Errorf("%d handshakes", h.stats.HandshakesIn-before)
	}
}

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

// G8: applications that do not answer hold a few requests of each node, and
// nothing else waits for them.
func TestG8(t *testing.T) {
	w := newWorld(t, 9)
	h := w.add()
	h.HandleTalk("slow", true)
	s := newStranger(t, 11, "22.0.0.1:30303")
	s.join(epoch, h)
	for i := range uint64(1000) {
		s.packets(epoch, h, s.message(h.id, s.nonce(), appendTalkReq(nil, ownID(i), "slow", []byte("x"))))
		if got := s.packets(epoch, h, s.message(h.id, s.nonce(), appendPing(nil, ownID(i), 1))); len(got) != 1 || s.plain(got[0]).kind != KindPong {
			t.Fatalf("PING %d in the flood is answered with %d packets", i, len(got))
		}
	}
	if len(h.talks) != maxTalksPerNode || h.stats.Dropped[DropTalk] != 1000-maxTalksPerNode {
		t.Errorf("%d requests wait, %d were dropped", len(h.talks), h.stats.Dropped[DropTalk])
	}
	for i := range 40 {
		o := newStranger(t, 100+uint64(i), fmt.Sprintf("31.%d.0.1:30303", i))
		o.join(epoch, h)
		for j := range uint64(10) {
			o.packets(epoch, h, o.message(h.id, o.nonce(), appendTalkReq(nil, ownID(j), "slow", nil)))
		}
	}
	if n := h.Stats().Talks; n != maxTalks {
		t.Errorf("%d requests wait in all, want %d", n, maxTalks)
	}
	h.Advance(epoch.Add(talkLife))
	if n := h.Stats().Talks; n != 0 {
		t.Errorf("%d requests wait after %v", n, talkLife)
	}
}

// G9: request ids come back byte for byte; those of more than 8 bytes do not.
func TestG9(t *testing.T) {
	w := newWorld(t, 10)
	h := w.add()
	s := newStranger(t, 12, "22.0.0.1:30303")
	s.join(epoch, h)
	for _, id := range [][]byte{{}, {0}, {0, 0, 7}, {1}, {0x80}, make([]byte, 8), {1, 2, 3, 4, 5, 6, 7, 8}} {
		var r requestID
		r.n = uint8(copy(r.b[:], id))
		for _, plain := range [][]byte{appendPing(nil, r, 1), appendFindNode(nil, r, []uint{0}), appendTalkReq(nil, r, "x", nil)} {
			got := s.packets(epoch, h, s.message(h.id, s.nonce(), plain))
			if len(got) != 1 {
				t.Fatalf("%v with id %x gets %d packets", Kind(plain[0]), id, len(got))
			}
			if m := s.plain(got[0]); !bytes.Equal(m.id.bytes(), id) || m.kind != Kind(plain[0])+1 {
				t.Errorf("id %x of %v comes back as %x in %v", id, Kind(plain[0]), m.id.bytes(), m.kind)
			}
		}
	}
	nine := append([]byte{byte(KindPing), 0xcb, 0x89}, make([]byte, 9)...)
	quiet(t, h, s.addr, s.message(h.id, s.nonce(), append(nine, 1)), DropMessage)
	for _, plain := range [][]byte{{}, {0}, {7, 0xc0}, {255, 0xc0}, {1}, {1, 0xc0}, {1, 0xc1, 1}, {1, 0xc2, 1, 1, 0}, {3, 0xc2, 1, 1}, {1, 0xc3, 1, 0x81, 1}} {
		quiet(t, h, s.addr, s.message(h.id, s.nonce(), plain), DropMessage)
	}
}

// G10: what was received once has no second effect, and a changed bit none at
// all.
func TestG10(t *testing.T) {
	w := newWorld(t, 11)
	h := w.add()
	h.HandleTalk("x", true)
	s := newStranger(t, 13, "22.0.0.1:30303")
	s.join(epoch, h)
	talk := s.message(h.id, s.nonce(), appendTalkReq(nil, ownID(1), "x", nil))
	s.packets(epoch, h, talk)
	for range 100 {
		quiet(t, h, s.addr, talk, DropReplay)
	}
	n := s.nonce()
	ping := s.message(h.id, n, appendPing(nil, ownID(2), 1))
	if got := s.packets(epoch, h, ping); len(got) != 1 {
		t.Fatalf("PING gets %d packets", len(got))
	}
	quiet(t, h, s.addr, s.message(h.id, n, appendPing(nil, ownID(3), 1)), DropReplay) // same nonce, other content
	if len(h.talks) != 1 {
		t.Errorf("%d requests reached the application, want 1", len(h.talks))
	}
	fresh := s.message(h.id, s.nonce(), appendPing(nil, ownID(4), 1))
	in := h.stats.MessagesIn
	for bit := range len(fresh) * 8 {
		flipped := bytes.Clone(fresh)
		flipped[bit/8] ^= 1 << (bit % 8)
		for _, data := range s.packets(epoch, h, flipped) {
			if len(data) > len(fresh) {
				t.Fatalf("bit %d: answered with %d bytes", bit, len(data))
			}
		}
	}
	if h.stats.MessagesIn != in {
		t.Error("a packet with a changed bit was read")
	}
	if got := s.packets(epoch, h, fresh); len(got) != 1 || s.plain(got[0]).kind != KindPong {
		t.Error("the session does not survive")
	}
	// Answers to calls: not by another node, and not twice.
	h.Ping(epoch, s.node)
	m := s.plain(s.take(h)[0])
	other := newStranger(t, 14, "22.0.0.2:30303")
	other.join(epoch, h)
	quiet(t, h, other.addr, other.message(h.id, other.nonce(), appendPong(nil, m.id, 1, h.addr)), DropNoCall)
	pong := s.message(h.id, s.nonce(), appendPong(nil, m.id, 1, h.addr))
	s.packets(epoch, h, pong)
	quiet(t, h, s.addr, pong, DropReplay)
	quiet(t, h, s.addr, s.message(h.id, s.nonce(), appendPong(nil, m.id, 1, h.addr)), DropNoCall)
}

// G12: calls to a node that is not there are bounded and fail at once or with
// the first.
func TestG12(t *testing.T) {
	w := newWorld(t, 12)
	h := w.add()
	dead := signed(t, testKey(t, w.rng), 1, netip.MustParseAddrPort("22.0.0.1:30303"))
	busy, packets := 0, 0
	for range 100_000 {
		h.Ping(epoch, dead)
		out := h.Take()
		packets += len(out.Packets)
		for _, r := range out.Done {
			if r.Err == ErrBusy {
				busy++
			}
		}
	}
	if open := len(h.calls.open); open != 1+maxWaiting || busy != 100_000-open || packets != 1 {
		t.Errorf("%d calls wait, %d failed at once, %d packets; want %d, the rest, 1", open, busy, packets, 1+maxWaiting)
	}
	h.Advance(epoch.Add(callTimeout))
	if n := len(h.Take().Done); n != 1+maxWaiting || len(h.calls.open) != 0 {
		t.Errorf("%d calls end after %v, %d are left", n, callTimeout, len(h.calls.open))
	}
	// And to many that are not there.
	for i := range 10_000 {
		n := enode.NewV4(secp.PublicKey(dead.PublicKey()), netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 1}), 0, uint16(1025+i))
		h.Ping(epoch.Add(time.Second), n)
		h.Take()
	}
	if open := len(h.calls.open); open != maxCalls {
		t.Errorf("%d calls wait, want %d", open, maxCalls)
	}
}

// A node without an endpoint in its record gets answers and nothing else.
func TestNoEndpoint(t *testing.T) {
	w := newWorld(t, 13)
	h := w.add()
	s := newStranger(t, 14, "22.0.0.1:30303")
	s.node = signed(t, s.key, 1, netip.AddrPort{})
	s.join(epoch, h)
	w.byIP[s.addr] = nil
	asked := 0
	w.tap = func(_, to netip.AddrPort, _ []byte) {
		if to == s.addr {
			asked++
		}
	}
	w.run(10*time.Minute, nil)
	if all, _ := h.table.Len(); all != 0 || asked != 0 {
		t.Errorf("%d nodes in the table, %d packets in ten minutes", all, asked)
	}
	if r := w.result(h, h.Ping(w.now, s.node)); r.Err != ErrNoEndpoint {
		t.Errorf("Ping: %v", r.Err)
	}
	// With an endpoint it is checked within 10 s.
	s = newStranger(t, 15, "22.0.0.1:30303")
	s.join(w.now, h)
	w.run(10*time.Second, nil)
	if asked == 0 {
		t.Error("a node that contacted us is not checked within 10s")
	}
	if _, live := h.table.Len(); live != 0 {
		t.Error("it is live without having answered")
	}
}

// A node that says it is at an address where strangers are not contacted gets
// its answers and no place in the table.
func TestEndpointRefused(t *testing.T) {
	for _, at := range []string{"10.0.0.1:30303", "127.0.0.1:30303", "22.0.0.1:53", "[fe80::1]:30303"} {
		w := newWorld(t, 15)
		h := w.add()
		s := newStranger(t, 16, "22.0.0.1:30303")
		s.node = signed(t, s.key, 1, netip.MustParseAddrPort(at))
		s.join(epoch, h)
		if all, _ := h.table.Len(); all != 0 || len(h.calls.open) != 0 {
			t.Errorf("%s: %d nodes in the table, %d calls", at, all, len(h.calls.open))
		}
	}
}

// Own request ids have no leading zero byte, and answers are matched by number,
// with zeros or without.
func TestRequestID(t *testing.T) {
	w := newWorld(t, 14)
	h := w.add()
	for range 5000 {
		if c := h.newCall(place{}, nil, KindPing, nil); c.id>>56 == 0 {
			t.Fatalf("id %x", c.id)
		}
		clear(h.calls.open)
	}
	for _, b := range [][]byte{{}, {0}, {0, 0}} {
		var r requestID
		r.n = uint8(copy(r.b[:], b))
		if r.value() != 0 {
			t.Errorf("%x has value %d", b, r.value())
		}
	}
	full := ownID(0x0102)
	stripped := requestID{b: [8]byte{1, 2}, n: 2}
	if full.value() != stripped.value() || binary.BigEndian.Uint64(full.b[:]) != 0x0102 {
		t.Errorf("values %x and %x", full.value(), stripped.value())
	}
}
