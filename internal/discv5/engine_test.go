package discv5

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
)

// A PING to a node without a session takes a challenge and a handshake; the next
// goes straight. The result says what the node said, and so does the vote.
func TestPing(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add(), w.add()
	start := w.now
	r := w.result(a, a.Ping(w.now, b.node))
	if r.Err != nil || r.Seq != 1 || r.Endpoint != a.addr || r.RTT != 20*time.Millisecond {
		t.Fatalf("first ping: %+v", r)
	}
	if d := w.now.Sub(start); d != 40*time.Millisecond {
		t.Errorf("first ping took %v, want two round trips of 20ms", d)
	}
	start = w.now
	if r = w.result(a, a.Ping(w.now, b.node)); r.Err != nil || w.now.Sub(start) != 20*time.Millisecond {
		t.Errorf("second ping took %v, %v; want one round trip", w.now.Sub(start), r.Err)
	}
	if want := (Vote{b.addr.Addr(), a.addr}); !slices.Contains(a.votes, want) {
		t.Errorf("votes = %v, want %v among them", a.votes, want)
	}
	// The way back uses the same session.
	before := a.Stats().ChallengesOut
	if r = w.result(b, b.Ping(w.now, a.node)); r.Err != nil || a.Stats().ChallengesOut != before {
		t.Errorf("ping back: %v, %d challenges", r.Err, a.Stats().ChallengesOut-before)
	}
	if !slices.ContainsFunc(a.proven, func(n *enode.Node) bool { return n.ID() == b.id }) {
		t.Error("the node that answered is not among those proven")
	}
}

// A silent node costs one timeout, and so do all calls that wait for it. It is twice
// as long before anybody has answered, and again after many calls in vain.
func TestTimeout(t *testing.T) {
	w := newWorld(t, 2)
	a := w.add()
	key := testKey(t, w.rng)
	silent := signed(t, key, 1, netipAddrPort("21.0.0.1:30303"))
	other := w.add()
	for i, want := range []time.Duration{2 * callTimeout, callTimeout, 2 * callTimeout} {
		start := w.now
		first, second := a.Ping(w.now, silent), a.Ping(w.now, silent)
		for _, id := range []Call{first, second} {
			if r := w.result(a, id); !errors.Is(r.Err, ErrTimeout) {
				t.Errorf("result %+v, want a timeout", r)
			}
		}
		if d := w.now.Sub(start); d != want {
			t.Errorf("%d: two calls to a silent node took %v, want %v", i, d, want)
		}
		if i == 0 {
			if s := a.Stats(); s.Calls != 0 || len(a.calls.remotes) != 0 || len(a.calls.byNonce) != 0 {
				t.Errorf("left: %d calls, %d remotes, %d nonces", s.Calls, len(a.calls.remotes), len(a.calls.byNonce))
			}
			if r := w.result(a, a.Ping(w.now, other.node)); r.Err != nil {
				t.Errorf("ping = %v", r.Err)
			}
			continue
		}
		w.lose = func(_, _ netip.AddrPort) bool { return true }
		for range maxSilence {
			w.result(a, a.Ping(w.now, silent))
		}
	}
}

// A node that lost its sessions is shaken hands with again, within the call.
func TestSessionLost(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add(), w.add()
	w.result(a, a.Ping(w.now, b.node))
	b.sessions = newSessions(10)
	start := w.now
	ids := []Call{a.Ping(w.now, b.node), a.RequestENR(w.now, b.node), a.FindNode(w.now, b.node, []uint{256})}
	for _, id := range ids {
		if r := w.result(a, id); r.Err != nil {
			t.Errorf("after the loss: %v", r.Err)
		}
	}
	// One handshake for the three; the others follow when it was answered.
	if d, n := w.now.Sub(start), a.Stats().HandshakesOut; d != 60*time.Millisecond || n != 2 {
		t.Errorf("took %v and %d handshakes, want 60ms and 2 with the first", d, n)
	}
}

// Both sides begin at the same moment. Both calls are answered, and so are those
// that follow.
func TestCrossingHandshakes(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.add(), w.add()
	for i := range 3 {
		ca, cb := a.Ping(w.now, b.node), b.Ping(w.now, a.node)
		w.flush(b)
		if ra, rb := w.result(a, ca), w.result(b, cb); ra.Err != nil || rb.Err != nil {
			t.Errorf("round %d: %v, %v", i, ra.Err, rb.Err)
		}
	}
	if n := a.Stats().HandshakesOut + b.Stats().HandshakesOut; n > 2 {
		t.Errorf("%d handshakes, want at most one from each side", n)
	}
}

// A record of a node that has a newer one is fetched, and TALKREQ carries what
// applications say.
func TestRequests(t *testing.T) {
	w := newWorld(t, 5)
	a, b := w.add(), w.add()
	newer := signed(t, b.key, 7, b.addr)
	if err := b.SetSelf(newer); err != nil {
		t.Fatal(err)
	}
	if r := w.result(a, a.RequestENR(w.now, b.node)); r.Err != nil || r.Node.Seq() != 7 {
		t.Errorf("RequestENR: %+v", r)
	}
	if r := w.result(a, a.Resolve(w.now, b.node)); r.Err != nil || r.Node.Seq() != 7 {
		t.Errorf("Resolve: %+v", r)
	}
	if r := w.result(a, a.TalkRequest(w.now, b.node, "nobody", []byte("x"))); r.Err != nil || len(r.Talk) != 0 {
		t.Errorf("TALKREQ of an unknown protocol: %+v", r)
	}
	b.HandleTalk("echo", true)
	id := a.TalkRequest(w.now, b.node, "echo", []byte("hello"))
	w.flush(a)
	w.run(50*time.Millisecond, nil)
	if len(b.talks) != 1 || b.talks[0].Node.ID() != a.id || b.talks[0].Protocol != "echo" {
		t.Fatalf("talks = %+v", b.talks)
	}
	if err := b.Answer(w.now, b.talks[0], append(b.talks[0].Payload, '!')); err != nil {
		t.Fatal(err)
	}
	w.flush(b)
	if r := w.result(a, id); r.Err != nil || string(r.Talk) != "hello!" {
		t.Errorf("TALKREQ: %+v", r)
	}
	if err := b.Answer(w.now, b.talks[0], nil); !errors.Is(err, ErrTalkOver) {
		t.Errorf("second answer: %v", err)
	}
	if r := w.result(a, a.TalkRequest(w.now, b.node, "echo", make([]byte, MaxTalkRequest-3))); !errors.Is(r.Err, ErrTooLarge) {
		t.Errorf("TALKREQ of one byte too many: %v", r.Err)
	}
	if r := w.result(a, a.FindNode(w.now, b.node, []uint{1, 257})); !errors.Is(r.Err, ErrDistance) {
		t.Errorf("FINDNODE of distance 257: %v", r.Err)
	}
	// A request that is too long for a handshake goes behind a PING.
	b.sessions = newSessions(10)
	a.sessions = newSessions(10)
	long := make([]byte, MaxTalkRequest-4)
	id = a.TalkRequest(w.now, b.node, "echo", long)
	w.flush(a)
	w.run(100*time.Millisecond, nil)
	if len(b.talks) != 2 || len(b.talks[1].Payload) != len(long) {
		t.Fatalf("%d talks", len(b.talks))
	}
	if err := b.Answer(w.now, b.talks[1], make([]byte, MaxTalkResponse)); err != nil {
		t.Fatal(err)
	}
	w.flush(b)
	if r := w.result(a, id); r.Err != nil || len(r.Talk) != MaxTalkResponse {
		t.Errorf("long TALKREQ: %v, %d bytes", r.Err, len(r.Talk))
	}
}

// Nodes that know one bootnode find each other, and lookups find the nearest.
func TestNetwork(t *testing.T) {
	w := newWorld(t, 6)
	boot := w.add()
	for range 49 {
		w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	}
	w.run(30*time.Second, nil)
	least := 1000
	for _, h := range w.hosts {
		_, live := h.table.Len()
		least = min(least, live)
	}
	if least < 32 {
		t.Errorf("a node knows %d live nodes after 30s, want 32", least)
	}
	good, total := 0, 0
	for i := range 10 {
		h := w.hosts[1+i]
		target := randomID(w.rng)
		if i == 0 {
			target = w.hosts[30].id
		}
		r := w.result(h, h.Lookup(w.now, target))
		for _, id := range w.nearest(target, 16, h) {
			total++
			if slices.ContainsFunc(r.Nodes, func(n *enode.Node) bool { return n.ID() == id }) {
				good++
			}
		}
	}
	if good*100 < total*99 {
		t.Errorf("lookups found %d of the %d nearest nodes, want 99 %%", good, total)
	}
	t.Logf("least live %d, lookups %d/%d, packets %d", least, good, total, w.count)
}
