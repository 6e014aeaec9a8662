package discv5

import (
	"container/list"
	"testing"
)

// A handshake that the other side does not take leaves the session usable: who
// goes on with the old keys is answered with them.
func TestOldKeys(t *testing.T) {
	w := newWorld(t, 60)
	h := w.add()
	s := newStranger(t, 60, "22.0.0.1:30303")
	s.join(epoch, h)
	h.Advance(epoch)
	h.Take()
	read, write := s.read, s.write
	h.Ping(epoch, s.node)
	call := s.take(h)[0]
	s.accept(epoch, h, call) // the stranger forgets what came of it
	s.read, s.write = read, write
	for range 3 {
		got := s.packets(epoch, h, s.message(h.id, s.nonce(), appendPing(nil, ownID(1), 1)))
		if len(got) != 1 {
			t.Fatalf("%d packets in answer, want 1; drops %v", len(got), h.stats.Dropped)
		}
		if m := s.plain(got[0]); m.kind != KindPong {
			t.Errorf("answered with %v", m.kind)
		}
	}
	if n := h.stats.HandshakesIn; n != 1 {
		t.Errorf("%d handshakes, want the first only", n)
	}
}

// A handshake has the record of this node if the challenge tells of none or an
// older one.
func TestRecordInHandshake(t *testing.T) {
	for seq, want := range map[uint64]bool{0: true, 1: true, 2: false, 3: false} {
		w := newWorld(t, 61)
		h := w.add()
		if err := h.SetSelf(signed(t, h.key, 2, h.addr)); err != nil {
			t.Fatal(err)
		}
		s := newStranger(t, 61, "22.0.0.1:30303")
		h.Ping(epoch, s.node)
		first := s.open(s.take(h)[0])
		b := s.codec.appendWhoareyou(nil, s.iv(), first.nonce, [idNonceSize]byte{1}, seq)
		s.codec.mask(maskOf(h.id), b)
		p := s.open(s.packets(epoch, h, b)[0])
		if got := len(p.record) > 0; got != want {
			t.Errorf("own sequence number 2, challenge %d: record %v, want %v", seq, got, want)
		}
	}
}

// Sessions stay within their limit, and the lists agree with the map.
func TestSessionLimit(t *testing.T) {
	w := newWorld(t, 62)
	c := newSessions(8)
	for i := range 100 {
		at := place{id: randomID(w.rng)}
		s := c.install(at, nil, newKeys([keySize]byte{}, [keySize]byte{}, uint64(i)))
		if i%2 == 0 {
			c.prove(s)
		}
		if c.proven.Len()+c.strangers.Len() != len(c.all) || len(c.all) > 8 || c.proven.Len() > 6 {
			t.Fatalf("%d sessions: %d proven, %d strangers", len(c.all), c.proven.Len(), c.strangers.Len())
		}
		for _, l := range []*list.List{&c.proven, &c.strangers} {
			for e := l.Front(); e != nil; e = e.Next() {
				s := e.Value.(*session)
				if c.all[s.place] != s || s.used != e || c.list(s) != l {
					t.Fatal("a session in a list is not in the map, or not where it says")
				}
			}
		}
	}
}

// A cache of one session holds the one that answered last.
func TestOneSession(t *testing.T) {
	w := newWorld(t, 63)
	c := newSessions(1)
	for i := range 3 {
		s := c.install(place{id: randomID(w.rng)}, nil, newKeys([keySize]byte{}, [keySize]byte{}, uint64(i)))
		c.prove(s)
		if len(c.all) != 1 || c.proven.Back().Value != s || c.proven.Len() != 1 || c.strangers.Len() != 0 {
			t.Fatalf("%d sessions, %d of them proven, %d not; want the last alone", len(c.all), c.proven.Len(), c.strangers.Len())
		}
	}
}
