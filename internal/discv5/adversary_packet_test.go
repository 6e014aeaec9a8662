package discv5

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
	"unsafe"
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
	quiet(t, h, s.addr, whoareyou(c.nonces[0]), DropUnasked)
	s.packets(epoch, h, s.message(h.id, s.nonce(), appendPong(nil, m.id, 1, h.addr)))
	if len(h.done) != 1 {
		t.Error("the call does not end with the PONG")
	}
	quiet(t, h, s.addr, whoareyou(c.nonces[0]), DropUnasked) // the call is over
}
