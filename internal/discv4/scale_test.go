package discv4

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
)

// In a network of 60 nodes with default settings, 80 ms between any two and a loss
// of 1 %, every table has 32 live nodes 20 s after the last node started, and
// lookups find the 16 nearest.
func TestTables(t *testing.T) {
	net := newNetwork(t, 1, 80*time.Millisecond)
	net.loss = 0.01
	net.start(60)
	net.run(20*time.Second, nil)
	if live := net.liveMin(); live < 32 {
		t.Errorf("a table has %d live nodes", live)
	}
	exact, median := net.lookups(100)
	t.Logf("%d of 100 lookups exact, median %v", exact, median)
	if exact < 99 {
		t.Errorf("%d of 100 lookups exact", exact)
	}
}

// The first lookup of a fresh node ends within 100 ms on a network of 1 ms.
func TestFirstLookup(t *testing.T) {
	net := newNetwork(t, 2, time.Millisecond)
	net.start(50)
	net.run(10*time.Second, nil)
	h := net.add(100, []*enode.Node{net.nodes[0].self}, nil)
	target := h.e.RandomTarget()
	began := net.now
	c := h.e.Lookup(h.time(), target)
	r := h.wait(c)
	if d := h.ended[c].Sub(began); d > 100*time.Millisecond || len(r.Nodes) != 16 {
		t.Errorf("%d nodes after %v", len(r.Nodes), d)
	} else {
		t.Logf("%d nodes after %v", len(r.Nodes), d)
	}
}

// Lookups get by with loss, reordering, repetition and long delays, and no table
// gives up nodes that are there.
func TestL1BadNetwork(t *testing.T) {
	for _, c := range []struct {
		loss         float64
		nodes, tries int
		want         int
	}{{0.01, 16, 20, 20}, {0.10, 16, 20, 19}, {0.30, 24, 40, 24}} {
		t.Run(fmt.Sprintf("L1/%.0f%%", 100*c.loss), func(t *testing.T) {
			net := newNetwork(t, 7, 200*time.Millisecond)
			net.jitter = 600 * time.Millisecond // in any order
			net.loss, net.twice = c.loss, 0.05
			net.start(c.nodes)
			net.run(30*time.Second, nil)
			exact, median := net.lookups(c.tries)
			t.Logf("%d of %d lookups exact, median %v, live nodes at least %d", exact, c.tries, median, net.liveMin())
			if exact < c.want {
				t.Errorf("%d of %d lookups exact, want %d", exact, c.tries, c.want)
			}
			if live := net.liveMin(); c.loss <= 0.1 && live < c.nodes-3 {
				t.Errorf("a table has %d of %d nodes live", live, c.nodes-1)
			}
		})
	}
}

// The same seed gives the same packets in the same order at the same times.
func TestReplay(t *testing.T) {
	record := func(seed uint64) (sum uint64, packets int) {
		net := newNetwork(t, seed, 20*time.Millisecond)
		net.loss, net.twice, net.jitter = 0.05, 0.05, 30*time.Millisecond
		begin := net.now
		h := sha256.New()
		net.tap = func(from, to netip.AddrPort, p *Packet) bool {
			packets++
			fmt.Fprintln(h, net.now.Sub(begin), from, to, p.Message.Kind(), p.Size)
			return false
		}
		net.start(10)
		net.run(20*time.Second, nil)
		return binary.BigEndian.Uint64(h.Sum(nil)), packets
	}
	first, n := record(1)
	again, _ := record(1)
	other, _ := record(2)
	if first != again || first == other {
		t.Errorf("transcripts of %d packets: %x, again %x, another seed %x", n, first, again, other)
	}
}

// What it costs to answer is what the back end's recovery allocates (7 times) and
// the packet, its content and each answer.
func TestAllocations(t *testing.T) {
	net, h := alone(t)
	for i := range 40 {
		s := net.stranger(500+i, publicAddr(500+i))
		s.bond(h)
	}
	s := net.stranger(100, netip.MustParseAddrPort("127.0.0.1:30303"))
	s.bond(h)
	for _, c := range []struct {
		name    string
		message func(i int) Message
		answers int
		most    float64
	}{
		{"D1 PING", func(i int) Message { return &Ping{Version: 4, Expiration: s.exp(), Seq: uint64(i)} }, 1, 10},
		{"D2 FINDNODE", func(i int) Message { return &FindNode{Target: h.e.RandomTarget(), Expiration: s.exp()} }, 2, 16},
	} {
		const runs = 200
		var packets [][]byte
		for i := range runs + 1 {
			data, _, err := Seal(s.key, c.message(i))
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, data)
		}
		h.e.Take()
		h.e.Take()
		var i, sent int
		now := h.time()
		allocs := testing.AllocsPerRun(runs, func() {
			data := packets[i]
			i++
			if Check(data) != nil || h.e.Admit(now, s.at, data) != nil {
				return
			}
			p, err := Open(data)
			if err != nil {
				return
			}
			h.e.Receive(now, s.at, p)
			sent += len(h.e.Take().Packets)
		})
		t.Logf("%s: %v allocations", c.name, allocs)
		if allocs > c.most || sent != c.answers*i {
			t.Errorf("%s: %v allocations for each, %d packets for %d; want at most %v, %d for each", c.name, allocs, sent, i, c.most, c.answers)
		}
	}
}

func BenchmarkPing(b *testing.B) {
	net, h := alone(b)
	h.e.gate.limits.Rate = 1 << 30
	s := net.stranger(100, netip.MustParseAddrPort("127.0.0.1:30303"))
	s.bond(h)
	benchmark(b, h, s, func(i int) Message { return &Ping{Version: 4, Expiration: s.exp(), Seq: uint64(i)} })
}

func BenchmarkFindNode(b *testing.B) {
	net, h := alone(b)
	h.e.gate.limits.Rate = 1 << 30
	for i := range 100 {
		net.stranger(500+i, publicAddr(500+i)).bond(h)
	}
	s := net.stranger(100, netip.MustParseAddrPort("127.0.0.1:30303"))
	s.bond(h)
	benchmark(b, h, s, func(int) Message { return &FindNode{Target: h.e.RandomTarget(), Expiration: s.exp()} })
}

// benchmark measures what one reader spends on a packet, from its bytes to the
// bytes of the answers. Packets are signed beforehand and come again after so many
// that the replay cache is emptied in between.
func benchmark(b *testing.B, h *host, s *stranger, message func(i int) Message) {
	packets := make([][]byte, 2000)
	for i := range packets {
		packets[i], _, _ = Seal(s.key, message(i))
	}
	now := h.time()
	b.ReportAllocs()
	var i, sent int
	for b.Loop() {
		if i%len(packets) == 0 {
			h.e.gate.replays = newAged[[16]byte, struct{}](maxFuture, maxReplays)
		}
		data := packets[i%len(packets)]
		i++
		if Check(data) != nil || h.e.Admit(now, s.at, data) != nil {
			continue
		}
		p, err := Open(data)
		if err != nil {
			continue
		}
		h.e.Receive(now, s.at, p)
		sent += len(h.e.Take().Packets)
	}
	if sent < i {
		b.Errorf("%d answers to %d packets", sent, i)
	}
}

// BenchmarkBadHash is what junk costs.
func BenchmarkBadHash(b *testing.B) {
	data, _, _ := Seal(testKey(1), &Ping{Version: 4})
	data[0]++
	b.ReportAllocs()
	for b.Loop() {
		_ = Check(data)
	}
}
