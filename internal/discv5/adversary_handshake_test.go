package discv5

import (
	"math/big"
	"net/netip"
	"testing"
	"time"
)

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
	if n := len(h.sessions.all); n != 32 || h.sessions.strangers.Len()+h.sessions.proven.Len() != 32 {
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
