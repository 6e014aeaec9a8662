package discover

import (
	"bytes"
	"context"
	"math/big"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

// The rows G1 to G5 of discovery v5 as bytes into the socket of a Service: packets,
// challenges, handshakes and sessions. G8 is in talk_test.go, G11 in
// socket_test.go.

// quiet sends a packet and sees to it that it has no effect but to be counted.
func (s *v5Stranger) quiet(what string, to *host, data []byte, dropped string) {
	s.w.t.Helper()
	before := to.Stats().V5
	s.send(to, data)
	got := s.take()
	after := to.Stats().V5
	if len(got) != 0 || after.Dropped[dropped] != before.Dropped[dropped]+1 {
		s.w.t.Errorf("%s: %d packets came back, dropped %v; want none, one more for %q", what, len(got), after.Dropped, dropped)
	}
	if after.Sessions != before.Sessions || after.HandshakesOut != before.HandshakesOut || after.PacketsOut != before.PacketsOut {
		s.w.t.Errorf("%s has an effect: %+v, before %+v", what, after, before)
	}
}

// Packets that are no packets are dropped, each for its reason.
func TestG1Malformed(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV5)
		s := w.v5Stranger(100)
		own := a.node.ID()
		good := s.unreadable().masked(own)
		edit := func(at int, to ...byte) []byte {
			p := s.unreadable()
			copy(p.head[at:], to)
			return p.masked(own)
		}
		for _, c := range []struct {
			name    string
			data    []byte
			dropped string
		}{
			{"empty", nil, "size"},
			{"62 bytes", good[:62], "size"},
			{"63 bytes", good[:63], "authsize"},
			{"1280 bytes of zero", make([]byte, 1280), "protocol"},
			{"1281 bytes of zero", make([]byte, 1281), "size"},
			{"1281 bytes, else good", append(bytes.Clone(good), make([]byte, 1281-len(good))...), "size"},
			{"65507 bytes, else good", append(bytes.Clone(good), make([]byte, 65507-len(good))...), "size"},
			{"no tag", good[:39+32+15], "authsize"},
			{"protocol id", edit(16, 'D'), "protocol"},
			{"version", edit(23, 2), "version"},
			{"flag 3", edit(24, 3), "flag"},
			{"flag 255", edit(24, 255), "flag"},
			{"authsize 65535", edit(37, 255, 255), "authsize"},
			{"authsize 31", edit(38, 31), "authsize"},
			{"authsize 33", edit(38, 33), "authsize"},
			{"authsize of no WHOAREYOU", edit(24, v5Whoareyou), "authsize"},
			{"authsize of no handshake", edit(24, v5Handshake), "authsize"},
			{"to another node", s.unreadable().masked(s.id), "protocol"},
			{"from the node itself", edit(39, own[:]...), "self"},
		} {
			s.quiet(c.name, a, c.data, c.dropped)
		}
		s.send(a, append(bytes.Clone(good), make([]byte, 1280-len(good))...))
		if got := s.take(); len(got) != 1 || got[0].flag() != v5Whoareyou {
			t.Errorf("1280 bytes: %d packets, want WHOAREYOU", len(got))
		}
	})
}

// A flood of packets that cannot be read, from one source and in the names of 40,000
// nodes at 200 addresses, which is more than there are places for challenges, is
// answered with no more bytes than it has, keeps within 4 MiB, and does not keep an
// honest node from a session.
func TestG2Flood(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(both)
		honest := w.v5Stranger(99)
		whoareyou := honest.challenge(a)

		one := w.v5Stranger(100)
		sent := 0
		for i := range 1000 {
			p := one.unreadable()
			sent += p.size()
			for _, got := range one.packets(a, p) {
				if got.flag() != v5Whoareyou || i == 0 && !bytes.Equal(got.nonce(), p.nonce()) {
					t.Fatalf("flag %d with the nonce of another packet", got.flag())
				}
			}
		}
		if one.in > sent || one.n != 1000 {
			t.Errorf("%d packets of %d bytes for 1000 of %d", one.n, one.in, sent)
		}

		crowd := make([]*v5Stranger, 200)
		for i := range crowd {
			crowd[i] = w.v5Stranger(200 + i)
		}
		heap := heapInUse()
		for i, s := range crowd {
			if i == 50 {
				got := honest.packets(a, honest.handshake(a, whoareyou, v5Ping([]byte{1}), nil))
				if len(got) != 1 {
					t.Errorf("the honest node gets %d packets in the flood; dropped %v", len(got), a.Stats().V5.Dropped)
				}
			}
			sent := 0
			for j := range 200 {
				s.id[31], s.id[30] = byte(j), byte(j>>8)
				p := s.unreadable()
				sent += p.size()
				s.send(a, p.masked(a.node.ID()))
				if j%10 == 9 { // so that little is held on the way
					s.receive()
				}
			}
			if s.in > sent || s.n == 0 {
				t.Fatalf("%d bytes are answered with %d", sent, s.in)
			}
		}
		if grown := heapInUse() - heap; grown > 4<<20 {
			t.Errorf("the flood holds %d bytes", grown)
		} else {
			t.Logf("the flood holds %d KiB", grown>>10)
		}
		if st := a.Stats().V5; st.Sessions != 1 || st.Calls != 0 || size(a.Table()) != 0 {
			t.Errorf("the flood leaves %d sessions, %d calls, %d nodes; want that of the honest node", st.Sessions, st.Calls, size(a.Table()))
		}
		if news := a.Take(); len(news.Votes)+len(news.Proven) != 0 {
			t.Errorf("the flood makes news: %v", news)
		}
	})
}

// Only the challenge to the last packet of a call has an effect, and once.
func TestG3Whoareyou(t *testing.T) {
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV5)
		s := w.v5Stranger(100)
		own := a.node.ID()
		s.quiet("for nothing sent", a, s.whoareyou(s.nonce()).masked(own), "unasked")

		done := make(chan error, 1)
		go func() { _, err := a.Ping(context.Background(), s.reachable()); done <- err }()
		first := s.take()[0]
		wrong := bytes.Clone(first.nonce())
		wrong[11]++
		s.quiet("wrong nonce", a, s.whoareyou(wrong).masked(own), "unasked")
		beside := s.beside(30304).v5()
		beside.quiet("from another port", a, s.whoareyou(first.nonce()).masked(own), "unasked")
		s.quiet("with a body", a, s.whoareyou(first.nonce(), 0xc1, 0xc0).masked(own), "authsize")

		m := s.accept(a, first) // the true one still works
		s.quiet("second", a, s.whoareyou(first.nonce()).masked(own), "unasked")
		if got := a.Stats().V5; got.HandshakesOut != 1 || got.ChallengesIn != 1 {
			t.Errorf("%d handshakes for %d challenges, want 1 for 1", got.HandshakesOut, got.ChallengesIn)
		}
		s.send(a, s.message(s.nonce(), v5Pong(m.id, a)).masked(own))
		if err := <-done; err != nil {
			t.Errorf("Ping: %v", err)
		}
		s.take()
		s.quiet("when the call is over", a, s.whoareyou(first.nonce()).masked(own), "unasked")
		if news := a.Take(); len(news.Votes) != 1 || len(news.Proven) != 1 {
			t.Errorf("news %v, want one vote and one node", news)
		}
	})
	// A challenge to the handshake itself, and the same challenge again.
	inWorld(t, simnet.Link{}, func(w *world) {
		a := w.add(onlyV5)
		s := w.v5Stranger(100)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { _, err := a.Ping(ctx, s.reachable()); done <- err }()
		whoareyou := s.whoareyou(s.take()[0].nonce()).masked(a.node.ID())
		s.send(a, whoareyou)
		handshake := s.take()[0]
		s.quiet("for the handshake", a, s.whoareyou(handshake.nonce()).masked(a.node.ID()), "unasked")
		for range 100 {
			s.quiet("replayed", a, whoareyou, "unasked")
		}
		cancel()
		<-done
	})
}

// A handshake with anything wrong is refused, and the honest node may still answer
// the same challenge.
func TestG4Handshake(t *testing.T) {
	other := testKey(t, 7000).Public()
	for _, c := range []struct {
		name    string
		dropped string
		change  func(w *world, a *v5Answer)
	}{
		{"record of another node", "record", func(w *world, a *v5Answer) { a.record = w.v5Stranger(900).record }},
		{"no record", "record", func(_ *world, a *v5Answer) { a.record = nil }},
		{"record of 301 bytes", "record", func(_ *world, a *v5Answer) { a.record = append(a.record, make([]byte, 301-len(a.record))...) }},
		{"record changed", "record", func(_ *world, a *v5Answer) { a.record[len(a.record)-1]++ }},
		{"signature changed", "identity", func(_ *world, a *v5Answer) { a.signature[5]++ }},
		{"signature of zero", "identity", func(_ *world, a *v5Answer) { a.signature = [64]byte{} }},
		{"signature with high s", "identity", func(_ *world, a *v5Answer) {
			n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
			n.Sub(n, new(big.Int).SetBytes(a.signature[32:])).FillBytes(a.signature[32:])
		}},
		{"key off the curve", "identity", func(_ *world, a *v5Answer) { a.ephemeral = [33]byte{2, 32: 5} }},
		{"key of format 4", "identity", func(_ *world, a *v5Answer) { a.ephemeral[0] = 4 }},
		{"key of all ones", "identity", func(_ *world, a *v5Answer) { copy(a.ephemeral[:], bytes.Repeat([]byte{255}, 33)) }},
		{"another key", "identity", func(_ *world, a *v5Answer) { a.ephemeral = other.Compress() }},
		{"another sender", "no challenge", func(_ *world, a *v5Answer) { a.src[0]++ }},
		{"encrypted otherwise", "undecryptable", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, simnet.Link{}, func(w *world) {
				a := w.add(onlyV5)
				s := w.v5Stranger(100)
				challenge := s.challenge(a)
				bad := s.handshake(a, challenge, v5Ping([]byte{1}), func(answer *v5Answer) {
					if c.change != nil {
						c.change(w, answer)
					}
				})
				if c.change == nil {
					bad.content[0]++
				}
				s.quiet(c.name, a, bad.masked(a.node.ID()), c.dropped)
				good := s.handshake(a, challenge, v5Ping([]byte{1}), nil)
				s.beside(30304).v5().quiet("from another port", a, good.masked(a.node.ID()), "no challenge")
				if got := s.packets(a, good); len(got) != 1 || a.Stats().V5.Sessions != 1 {
					t.Fatalf("the honest handshake fails: dropped %v", a.Stats().V5.Dropped)
				}
				s.quiet("again", a, good.masked(a.node.ID()), "no challenge")
			})
		})
	}
	t.Run("lower sequence number", func(t *testing.T) {
		inWorld(t, simnet.Link{}, func(w *world) {
			a := w.add(onlyV5)
			s := w.v5Stranger(100)
			old := s.record
			s.record = nodeOf(t, s.key, 2, zeroEndpoint).Record().Bytes()
			s.join(a)
			challenge := s.challenge(a)
			if seq := challenge.auth()[23]; seq != 2 {
				t.Errorf("the challenge says sequence number %d, want 2", seq)
			}
			bad := s.handshake(a, challenge, v5Ping([]byte{1}), func(answer *v5Answer) { answer.record = old })
			s.quiet("old record", a, bad.masked(a.node.ID()), "record")
			good := s.handshake(a, challenge, v5Ping([]byte{1}), func(answer *v5Answer) { answer.record = nil })
			if got := s.packets(a, good); len(got) != 1 {
				t.Errorf("without a record it fails too: dropped %v", a.Stats().V5.Dropped)
			}
		})
	})
	t.Run("many", func(t *testing.T) {
		inWorld(t, simnet.Link{}, func(w *world) {
			a := w.add(onlyV5)
			s := w.v5Stranger(100)
			bad := s.handshake(a, s.challenge(a), v5Ping([]byte{1}), func(answer *v5Answer) { answer.signature[5]++ })
			for range 200 {
				s.send(a, bad.masked(a.node.ID()))
				synctest.Wait()
			}
			if got := a.Stats().V5.Dropped; got["identity"] != 10 || got["busy"] != 190 {
				t.Errorf("of 200 bad handshakes of one host in no time dropped %v; want 10 looked at", got)
			}
		})
	})
}

// Sessions that 64 Sybils make push out other strangers, not the session with a node
// that answered us, nor a node of the table; one that was lost is made again in a
// round trip.
func TestG5Sybils(t *testing.T) {
	const delay = 10 * time.Millisecond
	inWorld(t, simnet.Link{Delay: delay}, func(w *world) {
		a := w.add(func(c *Config) { onlyV5(c); c.Sessions = 32 })
		peer := w.add(onlyV5)
		w.wait(5 * time.Second)
		enter := func(s *v5Stranger) {
			t.Helper()
			s.send(a, s.unreadable().masked(a.node.ID()))
			w.wait(2 * delay)
			s.send(a, s.handshake(a, s.take()[0], v5Ping([]byte{1}), nil).masked(a.node.ID()))
			w.wait(2 * delay)
			if got := s.take(); len(got) != 1 {
				t.Fatalf("%d packets for a handshake; dropped %v", len(got), a.Stats().V5.Dropped)
			}
		}
		guest := w.v5Stranger(100)
		enter(guest)
		for i := range 64 {
			enter(w.v5Stranger(200 + i))
		}
		before := a.Stats().V5
		if before.Sessions != 32 {
			t.Errorf("%d sessions, want 32", before.Sessions)
		}
		if _, live := a.Table().Live(); live != 1 {
			t.Errorf("%d live nodes in the table, want the peer", live)
		}
		if p, err := peer.Ping(w.context(time.Second), a.node); err != nil || p.RTT != 2*delay {
			t.Errorf("Ping = %v, %v; want %v", p, err, 2*delay)
		}
		if after := a.Stats().V5; after.HandshakesIn != before.HandshakesIn || after.ChallengesOut != before.ChallengesOut {
			t.Error("the session with the peer was pushed out")
		}
		// The guest does not know yet that its session is lost.
		guest.send(a, guest.message(guest.nonce(), v5Ping([]byte{2})).masked(a.node.ID()))
		w.wait(2 * delay)
		got := guest.take()
		if len(got) != 1 || got[0].flag() != v5Whoareyou {
			t.Fatalf("%d packets for a message in a lost session, want WHOAREYOU", len(got))
		}
		guest.send(a, guest.handshake(a, got[0], v5Ping([]byte{3}), nil).masked(a.node.ID()))
		w.wait(2 * delay)
		if got = guest.take(); len(got) != 1 || !slices.Equal(guest.plain(got[0]).id, []byte{3}) {
			t.Errorf("%d packets a round trip after WHOAREYOU, want PONG", len(got))
		}
	})
}
