package discv5

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
)

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
	// An answer was measured, so nothing waits for longer than usual.
	live := newStranger(t, 14, "22.0.0.2:30303")
	live.join(epoch, h)
	h.Ping(epoch, live.node)
	for _, data := range live.take(h) {
		live.packets(epoch, h, live.message(h.id, live.nonce(), appendPong(nil, live.plain(data).id, 1, h.addr)))
	}
	if !h.rtt.Measured() || len(h.calls.open) != 0 {
		t.Fatalf("no answer of the live node was taken; %d calls wait", len(h.calls.open))
	}
	h.Take()
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
		n := enode.NewV4(dead.PublicKey(), netip.AddrFrom4([4]byte{60, byte(i >> 8), byte(i), 1}), 0, uint16(1025+i))
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
