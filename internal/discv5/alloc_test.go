package discv5

import (
	"net/netip"
	"testing"
)

// What it takes to answer, in allocations.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		most  float64
		setup func(h *host, s *stranger) func() []byte
	}{
		"PING": {1, func(h *host, s *stranger) func() []byte {
			return func() []byte { return s.message(h.id, s.nonce(), appendPing(nil, ownID(1), 1)) }
		}},
		"FINDNODE": {4, func(h *host, s *stranger) func() []byte {
			for i := range 60 {
				h.table.Verified(epoch, signed(t, testKey(t, s.rng), 1, netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(i), 0, 1}), 30303)))
			}
			return func() []byte { return s.message(h.id, s.nonce(), appendFindNode(nil, ownID(1), []uint{256, 255, 254})) }
		}},
		"undecryptable": {1, func(h *host, s *stranger) func() []byte { // the mask cipher
			s.addr = netip.MustParseAddrPort("22.0.0.2:1")
			n := s.nonce()
			return func() []byte { return s.random(h.id, n) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 20)
			h := w.add()
			s := newStranger(t, 20, "22.0.0.1:30303")
			s.join(epoch, h)
			next := c.setup(h, s)
			h.Advance(epoch) // checks of the new nodes begin
			h.Take()
			const runs = 100
			packets := make([][]byte, runs+2)
			for i := range packets {
				packets[i] = next()
			}
			for range 2 { // the arena has its size
				h.Receive(epoch, s.addr, packets[0])
				h.Take()
				packets = packets[1:]
				packets = append(packets, next())
			}
			got := testing.AllocsPerRun(runs, func() {
				h.Receive(epoch, s.addr, packets[0])
				if len(h.Take().Packets) == 0 {
					t.Fatal("no answer")
				}
				packets = packets[1:]
			})
			if got > c.most {
				t.Errorf("%v allocations, want at most %v", got, c.most)
			}
			t.Logf("%v allocations", got)
		})
	}
}

// benchmark measures what an engine does for packets made beforehand.
func benchmark(b *testing.B, packet func(h *host, s *stranger) []byte) {
	w := newWorld(b, 21)
	h := w.add()
	s := newStranger(b, 21, "22.0.0.1:30303")
	s.join(epoch, h)
	for i := range 60 {
		h.table.Verified(epoch, signed(b, testKey(b, s.rng), 1, netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(i), 0, 1}), 30303)))
	}
	h.Advance(epoch)
	h.Take()
	session := h.sessions.all[place{s.id, s.addr}]
	data := packet(h, s)
	b.ReportAllocs()
	for b.Loop() {
		session.seen = [replayWindow]uint64{} // the same packet again
		h.Receive(epoch, s.addr, data)
		h.Take()
	}
}

func BenchmarkPing(b *testing.B) {
	benchmark(b, func(h *host, s *stranger) []byte {
		return s.message(h.id, s.nonce(), appendPing(nil, ownID(1), 1))
	})
}

func BenchmarkFindNode(b *testing.B) {
	benchmark(b, func(h *host, s *stranger) []byte {
		return s.message(h.id, s.nonce(), appendFindNode(nil, ownID(1), []uint{256, 255, 254}))
	})
}

func BenchmarkUndecryptable(b *testing.B) {
	benchmark(b, func(h *host, s *stranger) []byte {
		s.addr = netip.MustParseAddrPort("22.0.0.2:1")
		return s.random(h.id, s.nonce())
	})
}

func BenchmarkForeign(b *testing.B) {
	benchmark(b, func(*host, *stranger) []byte { return make([]byte, 100) })
}

// The whole handshake, with a record, as the recipient sees it.
func BenchmarkHandshake(b *testing.B) {
	w := newWorld(b, 22)
	h := w.add()
	s := newStranger(b, 22, "192.168.0.1:30303") // not limited by host
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		h.sessions = newSessions(10)
		now = now.Add(challengeLife)
		packet := s.random(h.id, s.nonce())
		b.StartTimer()
		h.Receive(now, s.addr, packet)
		b.StopTimer()
		answer := s.handshake(h, s.take(h)[0], appendPing(nil, ownID(1), 1), nil)
		b.StartTimer()
		h.Receive(now, s.addr, answer)
		h.Take()
	}
	if h.stats.HandshakesIn == 0 {
		b.Fatal("no handshake")
	}
}
