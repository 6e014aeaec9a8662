package discv5

import (
	"net/netip"
	"testing"
)

// Whichever single packet of a call gets lost, the call has its whole answer
// within its timeout, and the other side acts once on what must not be done twice.
func TestL1OnePacketLost(t *testing.T) {
	for _, c := range []struct {
		name    string
		session bool // there is one before the call
		packets int  // of the call, if none gets lost
		call    func(a *host, w *world, b *host) Call
		good    func(Result) bool
	}{
		{"PING", true, 2, ping, answeredWell},
		{"PING with a handshake", false, 4, ping, answeredWell},
		{"FINDNODE", true, 3, find, func(r Result) bool { return answeredWell(r) && len(r.Nodes) == 16 }},
		{"FINDNODE with a handshake", false, 5, find, func(r Result) bool { return answeredWell(r) && len(r.Nodes) == 16 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for lost := range c.packets {
				w := newWorld(t, uint64(100+lost))
				a, b := w.add(), w.add()
				for i := range 40 {
					key := testKey(t, w.rng)
					b.table.Verified(w.now, signed(t, key, 1, netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(i), 0, 1}), 30303)))
				}
				if c.session {
					w.result(a, a.Ping(w.now, b.node))
				}
				sent := 0
				w.lose = func(from, to netip.AddrPort) bool {
					if from != a.addr && from != b.addr || to != a.addr && to != b.addr {
						return true // nobody is there
					}
					sent++
					return sent == lost+1
				}
				start := w.now
				r := w.result(a, c.call(a, w, b))
				if !c.good(r) || w.now.Sub(start) >= callTimeout {
					t.Errorf("packet %d lost: %d nodes, %v after %v; want all, within %v", lost+1, len(r.Nodes), r.Err, w.now.Sub(start), callTimeout)
				}
				if sent < c.packets {
					t.Errorf("packet %d lost: only %d packets were sent", lost+1, sent)
				}
			}
		})
	}
}

func ping(a *host, w *world, b *host) Call { return a.Ping(w.now, b.node) }
func find(a *host, w *world, b *host) Call {
	return a.FindNode(w.now, b.node, []uint{256, 255, 254, 253})
}

func answeredWell(r Result) bool { return r.Err == nil }

// A TALKREQ is not sent twice: the application of the other side may act on it.
func TestTalkNotRepeated(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add(), w.add()
	b.HandleTalk("test", true)
	w.result(a, a.Ping(w.now, b.node))
	w.lose = func(from, _ netip.AddrPort) bool { return from == b.addr } // all answers
	if r := w.result(a, a.TalkRequest(w.now, b.node, "test", []byte("once"))); r.Err != ErrTimeout {
		t.Errorf("the call ended with %v, want ErrTimeout", r.Err)
	}
	if len(b.talks) != 1 {
		t.Errorf("the other side got %d requests, want 1", len(b.talks))
	}
}
