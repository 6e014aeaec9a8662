package discv4

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// What is missing or does not fit is an error of New.
func TestNewErrors(t *testing.T) {
	key := testKey(1)
	self := signed(t, key, 1, publicAddr(1))
	rng := rand.New(rand.NewPCG(1, 1))
	for name, cfg := range map[string]Config{
		"no key":      {Self: self, Rand: rng},
		"no rand":     {Key: key, Self: self},
		"no self":     {Key: key, Rand: rng},
		"no record":   {Key: key, Rand: rng, Self: enode.NewV4(key.Public(), netip.Addr{}, 0, 0)},
		"another key": {Key: testKey(2), Rand: rng, Self: self},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Every call ends, with the reason if there is no answer.
func TestCallErrors(t *testing.T) {
	net := newNetwork(t, 1, time.Millisecond)
	restrict, err := netaddr.ParseList("60.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	h := net.add(1, nil, func(c *Config) { quiet(c); c.Restrict = restrict })
	gone := signed(t, testKey(50), 1, publicAddr(50))
	nowhere := enode.NewV4(testKey(51).Public(), netip.Addr{}, 0, 0)
	outside := enode.NewV4(testKey(52).Public(), netip.MustParseAddr("8.8.8.8"), 1, 30303)
	target := h.e.RandomTarget()
	for _, c := range []struct {
		name string
		n    *enode.Node
		want error
	}{{"dead", gone, ErrTimeout}, {"no endpoint", nowhere, ErrNoEndpoint}, {"outside", outside, ErrNoEndpoint}, {"self", h.self, ErrNoEndpoint}} {
		began := net.now
		for name, call := range map[string]func() Call{
			"Ping":       func() Call { return h.e.Ping(h.time(), c.n) },
			"RequestENR": func() Call { return h.e.RequestENR(h.time(), c.n) },
			"FindNode":   func() Call { return h.e.FindNode(h.time(), c.n, target) },
		} {
			if r := h.wait(call()); r.Err != c.want {
				t.Errorf("%s, %s: %v, want %v", name, c.name, r.Err, c.want)
			}
		}
		if d := net.now.Sub(began); d > 3*3*firstRTT {
			t.Errorf("%s: three calls took %v", c.name, d)
		}
	}
	if r := h.wait(h.e.Resolve(h.time(), gone)); r.Err != ErrNotFound {
		t.Errorf("Resolve: %v, want %v", r.Err, ErrNotFound)
	}
	if r := h.wait(h.e.Lookup(h.time(), target)); r.Err != nil || len(r.Nodes) != 0 {
		t.Errorf("Lookup in an empty network: %+v", r)
	}
	if st := h.e.Stats(); st.Requests != 0 || len(h.e.dialogs) != 0 || len(h.e.asked) != 0 || len(h.e.calls) != 0 || len(h.e.known) != 0 {
		t.Errorf("left behind: %d requests, %d dialogs, %d hashes, %d calls, %d endpoints",
			st.Requests, len(h.e.dialogs), len(h.e.asked), len(h.e.calls), len(h.e.known))
	}
	// A packet from outside the networks allowed is not answered.
	s := net.stranger(60, netip.MustParseAddrPort("8.8.8.8:30303"))
	s.ping(h)
	if got := s.take(); len(got) != 0 || h.dropped(DropRestrict) != 1 {
		t.Errorf("restricted: %v", got)
	}
}

// Requests beyond what may wait fail at once, and a call that was cancelled has no
// result.
func TestBusyAndCancel(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(100, publicAddr(100))
	for range maxWaiting + 1 {
		h.e.FindNode(h.time(), s.node(), h.e.RandomTarget())
	}
	h.flush()
	if len(h.done) != 1 || h.done[maxWaiting+1].Err != ErrBusy {
		t.Errorf("%v", h.done)
	}
	for i := range 2000 {
		h.e.FindNode(h.time(), net.stranger(200+i, publicAddr(200+i)).node(), h.e.RandomTarget())
	}
	h.flush()
	if n := len(h.e.dialogs); n > h.e.limits.Requests {
		t.Errorf("%d dialogs", n)
	}
	if done := len(h.done); done < 1000 {
		t.Errorf("%d calls failed at once", done)
	}
	for c := range h.e.lastCall + 1 {
		h.e.Cancel(h.time(), c)
	}
	done := len(h.done)
	net.run(time.Minute, nil)
	if st := h.e.Stats(); len(h.done) != done || st.Requests != 0 || len(h.e.calls) != 0 {
		t.Errorf("%d results after Cancel, %d requests and %d calls left", len(h.done)-done, st.Requests, len(h.e.calls))
	}
}

// Resolve asks the node itself, finds one that moved, and settles for the endpoint
// of one that has no record to give.
func TestResolve(t *testing.T) {
	net := newNetwork(t, 4, time.Millisecond)
	net.start(12)
	net.run(10*time.Second, nil)
	a, b := net.nodes[3], net.nodes[9]
	for name, n := range map[string]*enode.Node{
		"where it is":      enode.NewV4(b.key.Public(), b.at.Addr(), 0, b.at.Port()),
		"somewhere else":   enode.NewV4(b.key.Public(), publicAddr(900).Addr(), 0, 30303),
		"without endpoint": enode.NewV4(b.key.Public(), netip.Addr{}, 0, 0),
		"an old record":    signed(t, b.key, 1, publicAddr(901)),
	} {
		a.e.table.Remove(a.time(), b.self.ID())
		if r := a.wait(a.e.Resolve(a.time(), n)); r.Err != nil || r.Node.Seq() != 5 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A packet of our own that comes back, and one from where no answer can go, are
// dropped.
func TestSelfAndSource(t *testing.T) {
	net, h := alone(t)
	s := net.stranger(1, publicAddr(5)) // the engine's key
	s.ping(h)
	if got := s.take(); len(got) != 0 || h.dropped(DropSelf) != 1 {
		t.Errorf("own packet: %v", got)
	}
	for i, at := range []string{"8.8.8.8:0", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1"} {
		s = net.stranger(2, netip.MustParseAddrPort(at))
		s.ping(h)
		if got := s.take(); len(got) != 0 || h.dropped(DropSource) != uint64(i+1) {
			t.Errorf("from %s: %v", at, got)
		}
	}
	// Mapped into IPv6, an address is the same endpoint.
	s = net.stranger(3, netip.MustParseAddrPort("8.8.8.8:30303"))
	s.bond(h)
	data, _, _ := Seal(s.key, &FindNode{Expiration: s.exp()})
	s.net.tap = func(_, to netip.AddrPort, p *Packet) bool { s.in = append(s.in, p); return true }
	h.receive(netip.MustParseAddrPort("[::ffff:8.8.8.8]:30303"), data)
	s.net.tap = nil
	expectKinds(t, "mapped address", s.take(), KindNeighbors)
}
