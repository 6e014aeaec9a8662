package discv4

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
)

// alone returns a network with one engine, which does nothing unasked.
func alone(t testing.TB) (*network, *host) {
	net := newNetwork(t, 1, time.Millisecond)
	h := net.add(1, nil, quiet)
	h.e.Advance(h.time())
	h.flush()
	return net, h
}

// An expiration is good from now to five minutes from now, and nothing overflows.
func TestF1Expiration(t *testing.T) {
	net, h := alone(t)
	now := uint64(net.now.Unix())
	for i, c := range []struct {
		name string
		exp  uint64
		want Drop
	}{
		{"now", now, 0},
		{"in 20 s", now + 20, 0},
		{"in 5 min", now + 300, 0},
		{"in 5 min and 1 s", now + 301, DropFuture},
		{"1 s ago", now - 1, DropExpired},
		{"20 s ago", now - 20, DropExpired},
		{"0", 0, DropExpired},
		{"2^63-1", math.MaxInt64, DropFuture},
		{"2^64-1", math.MaxUint64, DropFuture},
	} {
		t.Run("F1/"+c.name, func(t *testing.T) {
			s := net.stranger(100+i, publicAddr(100+i))
			s.bond(h)
			for _, m := range []Message{
				&Ping{Version: 4, Expiration: c.exp}, &FindNode{Expiration: c.exp}, &ENRRequest{Expiration: c.exp},
			} {
				before := h.dropped(c.want)
				s.send(h, m)
				got := s.take()
				if c.want != 0 && (len(got) != 0 || h.dropped(c.want) != before+1) {
					t.Errorf("%v: answered with %v, %d dropped", m.Kind(), got, h.dropped(c.want)-before)
				}
				if c.want == 0 && len(got) != 1 {
					t.Errorf("%v: answered with %v, want one packet", m.Kind(), got)
				}
			}
			// Answers too: a request of ours is not ended by an old one.
			call := h.e.Ping(h.time(), s.node())
			var hash [32]byte
			net.tap = func(_, _ netip.AddrPort, p *Packet) bool { hash = p.Hash; return true }
			h.flush()
			net.tap = nil
			s.send(h, &Pong{PingHash: hash, Expiration: c.exp})
			if _, ended := h.done[call]; ended != (c.want == 0) {
				t.Errorf("PONG: ended the call: %v", ended)
			}
		})
	}
}

func (s *stranger) node() *enode.Node {
	return enode.NewV4(s.key.Public(), s.at.Addr(), 9, s.at.Port())
}

// Junk is silent, and costs no memory.
func TestF2Silent(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	data, _, _ := Seal(s.key, &Ping{Version: 4, Expiration: s.exp()})
	for i := range data {
		bad := append([]byte(nil), data...)
		bad[i] ^= 0x10
		s.sendBytes(h, bad)
	}
	if got := h.dropped(DropHash); got != uint64(len(data)) || len(s.in) != 0 {
		t.Errorf("%d of %d packets with a flipped bit dropped for the hash, answers %v", got, len(data), s.take())
	}
	for _, kind := range []byte{0, 7, 255} {
		s.sendBytes(h, sealRaw(s.key, kind, []byte{0xc0}))
	}
	for _, size := range []int{0, 97, 98, 1281, 65507} {
		s.sendBytes(h, make([]byte, size))
	}
	st := h.e.Stats()
	if st.Dropped[DropKind] != 3 || st.Dropped[DropShort] != 3 || st.Dropped[DropLong] != 2 || len(s.in) != 0 {
		t.Errorf("%+v, answers %v", st, s.take())
	}
}

// Only who proved an ID at an IP and port within 12 hours is answered.
func TestF4Unbonded(t *testing.T) {
	find := func(s *stranger) Message { return &FindNode{Expiration: s.exp()} }
	record := func(s *stranger) Message { return &ENRRequest{Expiration: s.exp()} }
	for _, ask := range []func(*stranger) Message{find, record} {
		net, h := alone(t)
		s := net.stranger(100, publicAddr(100))
		kind := ask(s).Kind()
		s.send(h, ask(s))
		expectKinds(t, kind.String()+" from a stranger", s.take())

		s.bond(h)
		other := net.stranger(100, netip.AddrPortFrom(s.at.Addr(), s.at.Port()+1))
		other.send(h, ask(s)) // with another expiration, so that it is no replay
		expectKinds(t, kind.String()+" from another port", other.take())
		other = net.stranger(100, netip.AddrPortFrom(publicAddr(101).Addr(), s.at.Port()))
		other.send(h, ask(s))
		expectKinds(t, kind.String()+" from another IP", other.take())
		other = net.stranger(101, s.at)
		other.send(h, ask(s))
		expectKinds(t, kind.String()+" from another key", other.take())
		if got := h.dropped(DropUnbonded); got != 4 {
			t.Errorf("%v: %d dropped as unbonded, want 4", kind, got)
		}

		net.now = net.now.Add(12 * time.Hour)
		s.send(h, ask(s))
		if got := s.take(); len(got) != 1 {
			t.Errorf("%v: after 12h: %v", kind, got)
		}
		net.now = net.now.Add(time.Second)
		s.send(h, ask(s))
		expectKinds(t, kind.String()+" after 12h and 1s", s.take())
	}
}

// A proof is a PONG with the hash of a PING of ours, from where that was sent, and
// once.
func TestF5Pong(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	s.ping(h)
	expectKinds(t, "PING from a stranger", []Kind{s.in[0].Message.Kind(), s.in[1].Message.Kind()}, KindPong, KindPing)
	hash := s.in[1].Hash
	s.in = nil

	wrong := hash
	wrong[0] ^= 1
	elsewhere := net.stranger(100, publicAddr(101))
	port := net.stranger(100, netip.AddrPortFrom(s.at.Addr(), s.at.Port()+1))
	key := net.stranger(101, s.at)
	for _, c := range []struct {
		name string
		from *stranger
		hash [32]byte
	}{
		{"wrong hash", s, wrong}, {"zero hash", s, [32]byte{}}, {"other IP", elsewhere, hash}, {"other port", port, hash}, {"other key", key, hash},
	} {
		c.from.send(h, &Pong{PingHash: c.hash, Expiration: s.exp()})
		if n := len(h.e.bonds.all); n != 0 {
			t.Fatalf("%s: %d bonds", c.name, n)
		}
	}
	good, _, _ := Seal(s.key, &Pong{To: Endpoint{Addr: h.at.Addr(), UDP: h.at.Port()}, PingHash: hash, Expiration: s.exp()})
	s.sendBytes(h, good)
	if len(h.e.bonds.all) != 1 || len(h.votes) != 1 || len(h.proven) != 1 {
		t.Fatalf("%d bonds, %d votes, %d proven, want 1 each", len(h.e.bonds.all), len(h.votes), len(h.proven))
	}
	before := h.dropped(DropUnasked)
	net.now = net.now.Add(time.Second)
	s.sendBytes(h, good)
	if b := h.e.bonds.all[s.place()]; h.dropped(DropUnasked) != before+1 || b.proved == h.e.t || len(h.votes) != 1 {
		t.Error("a PONG counts twice")
	}
}

// A packet with a spoofed source causes one PONG of at most one and a half times
// its size and one PING; its replays, nothing.
func TestF6Amplification(t *testing.T) {
	for _, at := range []netip.AddrPort{publicAddr(100), netip.MustParseAddrPort("[2607:f8b0::1]:30303")} {
		net, h := alone(t)
		// A record number as large as can be makes the largest PONG.
		r, _ := enr.Sign(h.key, math.MaxUint64, enr.IP(h.at.Addr()), enr.UDP(h.at.Port()))
		self, _ := enode.New(r)
		if err := h.e.SetSelf(self); err != nil {
			t.Fatal(err)
		}
		s := net.stranger(100, at)
		data, _, _ := Seal(s.key, &Ping{Expiration: s.exp()}) // the smallest PING
		s.sendBytes(h, data)
		if got := s.in; len(got) != 2 || got[0].Message.Kind() != KindPong || got[1].Message.Kind() != KindPing {
			t.Fatalf("answers %v", s.take())
		}
		if len(data) != 113 {
			t.Errorf("the smallest PING has %d bytes", len(data))
		}
		if size := s.in[0].Size; 2*size > 3*len(data) {
			t.Errorf("%v: PING of %d bytes, PONG of %d", at, len(data), size)
		}
		s.in = nil
		for range 1000 {
			s.sendBytes(h, data)
		}
		expectKinds(t, "1000 replays", s.take())
		if got := h.dropped(DropReplay); got != 1000 {
			t.Errorf("%d dropped as replays", got)
		}
		// A replay that several readers let pass at the same time.
		p, _ := Open(data)
		h.e.Receive(h.time(), s.at, p)
		h.flush()
		if got := h.dropped(DropReplay); got != 1001 {
			t.Errorf("%d dropped as replays", got)
		}
		// The same packet from elsewhere.
		s.at = publicAddr(200)
		s.sendBytes(h, data)
		expectKinds(t, "replay from elsewhere", s.take())
	}
}

// A PING comes back only for a PING, two seconds apart, three times in a minute.
func TestF6PingBack(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	var pongs, pings int
	begin := net.now
	var times []time.Duration
	for range 119 {
		s.ping(h)
		for _, k := range s.take() {
			switch k {
			case KindPong:
				pongs++
			case KindPing:
				pings++
				times = append(times, net.now.Sub(begin))
			}
		}
		net.run(500*time.Millisecond, nil)
	}
	if pongs != 119 || pings != maxPingBacks {
		t.Errorf("119 PINGs in a minute: %d PONGs, %d PINGs, want 119 and %d", pongs, pings, maxPingBacks)
	}
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d < pingBackPause {
			t.Errorf("PINGs %v apart", d)
		}
	}
	net.run(time.Second, nil)
	s.ping(h)
	expectKinds(t, "after a minute", s.take(), KindPong, KindPing)

	// An engine with nothing else to do sends none by itself.
	before := h.e.Stats().Sent
	net.run(time.Minute, nil)
	if after := h.e.Stats().Sent; after != before {
		t.Errorf("sent %v, then %v", before, after)
	}
}

// 30000 spoofed PINGs cost a bounded amount of memory, nothing that would be
// written to a disk, and leave room for those who are known.
func TestF7Flood(t *testing.T) {
	net, h := alone(t)
	friend := net.stranger(100, publicAddr(100))
	friend.bond(h)
	key := testKey(101)
	m := &Ping{Version: 4}
	h.proven, h.votes = nil, nil
	answered := 0
	for i := range 30_000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{80 + byte(i>>16), byte(i >> 8), byte(i), 1}), 30303)
		if i%10 == 0 {
			net.now = net.now.Add(time.Millisecond) // 10000 a second
		}
		// Signing 30000 packets would take most of the test. The engine sees
		// what Open would have made of them.
		m.Expiration = uint64(net.now.Unix()) + 20
		data := make([]byte, 128)
		data[0], data[1], data[2], data[3] = byte(i>>16), byte(i>>8), byte(i), 1
		if h.e.Admit(h.time(), from, data) != nil {
			continue
		}
		answered++
		h.e.Receive(h.time(), from, &Packet{Hash: [32]byte(data[:32]), Key: key.Public(), ID: enode.PubkeyID(key.Public()), Size: 128, Message: m})
		h.flush()
		if i%1000 == 0 {
			friend.ping(h)
			expectKinds(t, "PING of a friend", friend.take(), KindPong)
		}
	}
	st := h.e.Stats()
	// Three seconds of half the rate, and the other half that was full.
	if limit := 3*4000 + 4000 + 100; answered > limit || answered < 3*4000-100 {
		t.Errorf("%d opened, want about 3 s × 4000 + 4000 at most", answered)
	}
	if pings := st.Sent[KindPing]; pings > 4*250+1 {
		t.Errorf("%d PINGs sent", pings)
	}
	if len(h.proven) != 0 || len(h.votes) != 0 || st.Bonds != 1 {
		t.Errorf("%d proven, %d votes, %d bonds", len(h.proven), len(h.votes), st.Bonds)
	}
	// Entries of each map by their size with the keys; twice that in a Go map.
	bytes := 2 * (h.e.gate.replays.len()*16 + h.e.gate.hosts.len()*24 + h.e.gate.nets.len()*24 +
		h.e.pingBacks.len()*56 + len(h.e.dialogs)*1200 + len(h.e.gate.share.nets)*16)
	if bytes > 8<<20 {
		t.Errorf("about %d bytes in maps: %d replays, %d hosts, %d ping backs, %d dialogs", bytes,
			h.e.gate.replays.len(), h.e.gate.hosts.len(), h.e.pingBacks.len(), len(h.e.dialogs))
	}
}

// Statements about our endpoint that we did not ask for are not votes.
func TestF8Votes(t *testing.T) {
	net, h := alone(t)
	lie := Endpoint{netip.MustParseAddr("8.8.8.8"), 53, 53}
	for i := range 12 {
		s := net.stranger(100+i, publicAddr(100+i))
		for range 20 {
			s.send(h, &Pong{To: lie, PingHash: [32]byte{byte(i)}, Expiration: s.exp()})
			s.send(h, &Ping{Version: 4, To: lie, Expiration: s.exp()})
		}
	}
	if len(h.votes) != 0 || h.e.self != h.self {
		t.Errorf("%d votes", len(h.votes))
	}
	// Even asked, a node has one vote for each question.
	s := net.stranger(200, publicAddr(200))
	s.ping(h)
	for _, p := range s.in {
		if p.Message.Kind() == KindPing {
			for range 100 {
				s.send(h, &Pong{To: lie, PingHash: p.Hash, Expiration: s.exp()})
			}
		}
	}
	want := Vote{From: s.at.Addr(), Endpoint: netip.AddrPortFrom(lie.Addr, lie.UDP)}
	if len(h.votes) != 1 || h.votes[0] != want {
		t.Errorf("votes %v, want %v", h.votes, want)
	}
}

// ENRRequest is answered once a second for each endpoint.
func TestF11ENRRequest(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	s.bond(h)
	for range 40 {
		s.send(h, &ENRRequest{Expiration: s.exp()})
		net.now = net.now.Add(100 * time.Millisecond)
	}
	got := s.take()
	if len(got) != 4 || h.dropped(DropAnswered) != 36 {
		t.Errorf("40 requests in 4 s: answers %v, %d dropped", got, h.dropped(DropAnswered))
	}
}

// The table and all requests under way survive a step of the wall clock, and
// nothing more than that is needed for the network to work again once it is set
// right.
func TestF12ClockStep(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour} {
		t.Run("F12 L3/"+step.String(), func(t *testing.T) {
			net := newNetwork(t, 3, 20*time.Millisecond)
			net.start(8)
			net.run(20*time.Second, nil)
			h := net.nodes[3]
			_, before := h.e.Len()
			if before != 7 {
				t.Fatalf("%d live", before)
			}
			// In the middle of a request.
			c := h.e.RequestENR(h.time(), net.nodes[5].self)
			h.flush()
			h.step = step
			net.run(10*time.Second, nil)
			r, ok := h.done[c]
			if !ok {
				t.Error("request never ends")
			}
			_ = r
			net.run(10*time.Minute, nil)
			if all, live := h.e.Len(); all != 7 || live != 7 {
				t.Errorf("after 10 minutes with a wrong clock: %d nodes, %d live, had 7", all, live)
			}
			h.step = 0
			net.run(30*time.Second, nil)
			c = h.e.Ping(h.time(), net.nodes[6].self)
			if r := h.wait(c); r.Err != nil {
				t.Errorf("with the clock right again: %v", r.Err)
			}
			if all, live := h.e.Len(); all != 7 || live != 7 {
				t.Errorf("with the clock right again: %d nodes, %d live", all, live)
			}
		})
	}
}

// A node that was suspended for two minutes pings each node it knows once at most
// in the second after, knows them all to be live in half a minute, and is known
// to the others.
func TestL5Suspended(t *testing.T) {
	net := newNetwork(t, 4, 20*time.Millisecond)
	net.start(12)
	net.run(30*time.Second, nil)
	h := net.nodes[3]
	_, before := h.e.Len()
	h.asleep = true
	net.run(2*time.Minute, nil)
	pings, most := make(map[netip.AddrPort]int), 0
	net.tap = func(from, to netip.AddrPort, p *Packet) bool {
		if from == h.at && p.Message.Kind() == KindPing {
			pings[to]++
			most = max(most, pings[to])
		}
		return false
	}
	unread := len(h.unread)
	h.awake()
	net.run(time.Second, nil)
	t.Logf("%d packets had come; pings to %d of %d nodes in the second after, at most %d to one", unread, len(pings), before, most)
	if most > 1 {
		t.Errorf("%d pings to one node in the second after, want 1 at most", most)
	}
	net.tap = nil
	net.run(29*time.Second, nil)
	if _, live := h.e.Len(); live < before {
		t.Errorf("%d live nodes half a minute after, %d before", live, before)
	}
	if r := net.nodes[9].wait(net.nodes[9].e.Ping(net.nodes[9].time(), h.self)); r.Err != nil {
		t.Errorf("another node pings it: %v", r.Err)
	}
}
