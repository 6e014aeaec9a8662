package discv5

import (
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/kad"
	"parley/internal/testclock"
)

var epoch = testclock.Start()

// A world is a network of engines in memory, driven by one loop. The same seed
// gives the same run.
type world struct {
	t     testing.TB
	now   time.Time
	rng   *rand.Rand
	hosts []*host
	byIP  map[netip.AddrPort]*host
	queue datagrams
	count int

	delay  time.Duration
	jitter time.Duration // more, so that packets overtake each other
	loss   float64
	twice  float64                                    // share of packets that arrive twice
	tap    func(from, to netip.AddrPort, data []byte) // sees each packet sent
	lose   func(from, to netip.AddrPort) bool         // says which get lost
}

// A host is an engine at an address.
type host struct {
	*Engine
	w    *world
	key  *enode.PrivateKey
	addr netip.AddrPort
	node *enode.Node

	step   time.Duration // added to its wall clock
	asleep bool          // nothing runs; what comes waits in the socket
	unread []datagram

	done   map[Call]Result
	talks  []TalkRequest
	votes  []Vote
	proven []*enode.Node
	found  []*enode.Node
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{t: t, now: epoch, rng: rand.New(rand.NewPCG(seed, 5)), byIP: make(map[netip.AddrPort]*host), delay: 10 * time.Millisecond}
}

// testKey returns a key that depends on the seed only.
func testKey(t testing.TB, rng *rand.Rand) *enode.PrivateKey {
	t.Helper()
	var b [32]byte
	fill(b[:], rng)
	key, err := enode.ParsePrivateKey(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signed returns a node with a record for an endpoint, or without one if addr is
// the zero AddrPort.
func signed(t testing.TB, key *enode.PrivateKey, seq uint64, addr netip.AddrPort, more ...enr.Entry) *enode.Node {
	t.Helper()
	entries := more
	if addr.IsValid() {
		entries = append(entries, enr.IP(addr.Addr()), enr.UDP(addr.Port()))
	}
	record, err := enr.Sign(key, seq, entries...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(record)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// add puts an engine into the world, at 20.a.b.1 for its number.
func (w *world) add(change ...func(*Config)) *host {
	w.t.Helper()
	i := len(w.hosts)
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 1}), 30303)
	return w.addAt(addr, change...)
}

func (w *world) addAt(addr netip.AddrPort, change ...func(*Config)) *host {
	w.t.Helper()
	key := testKey(w.t, w.rng)
	cfg := Config{
		Key: key, Self: signed(w.t, key, 1, addr), Rand: rand.New(rand.NewPCG(w.rng.Uint64(), 0)),
		// Without a bootnode there is nothing to do but what a test asks for.
		Table: kad.Config{},
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	h := &host{Engine: e, w: w, key: key, addr: addr, node: cfg.Self, done: make(map[Call]Result)}
	w.hosts = append(w.hosts, h)
	w.byIP[addr] = h
	e.Advance(w.now)
	w.flush(h)
	return h
}

// time returns what the host's clock shows.
func (h *host) time() time.Time { return testclock.Step(h.w.now, h.step) }

// awake ends a sleep: what came meanwhile is read.
func (w *world) awake(h *host) {
	h.asleep = false
	for _, g := range h.unread {
		h.Receive(h.time(), g.from, g.data)
		w.flush(h)
	}
	h.unread = nil
}

// flush carries out what an engine wants.
func (w *world) flush(h *host) {
	out := h.Take()
	for _, p := range out.Packets {
		w.send(h.addr, p.To, p.Data)
	}
	for _, r := range out.Done {
		h.done[r.Call] = r
	}
	h.talks = append(h.talks, out.Talks...)
	h.votes = append(h.votes, out.Votes...)
	h.proven = append(h.proven, out.Proven...)
	h.found = append(h.found, out.Found...)
}

func (w *world) send(from, to netip.AddrPort, data []byte) {
	if len(data) > MaxPacket || len(data) < MinPacket {
		w.t.Errorf("%v sends a packet of %d bytes", from, len(data))
	}
	if w.tap != nil {
		w.tap(from, to, data)
	}
	if w.lose != nil && w.lose(from, to) {
		return
	}
	copies := 1
	if w.twice > 0 && w.rng.Float64() < w.twice {
		copies = 2
	}
	for range copies {
		if w.loss > 0 && w.rng.Float64() < w.loss {
			continue
		}
		at := w.now.Add(w.delay)
		if w.jitter > 0 {
			at = at.Add(time.Duration(w.rng.Int64N(int64(w.jitter))))
		}
		w.count++
		heap.Push(&w.queue, datagram{at, w.count, from, to, bytes.Clone(data)})
	}
}

// run lets time pass. It returns early if until, which may be nil, is true.
func (w *world) run(d time.Duration, until func() bool) {
	w.t.Helper()
	end := w.now.Add(d)
	for until == nil || !until() {
		next, who := end, (*host)(nil)
		for _, h := range w.hosts {
			if wake := h.Wake(); !h.asleep && !wake.IsZero() && wake.Before(next) {
				next, who = wake, h
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			g := heap.Pop(&w.queue).(datagram)
			w.now = g.at
			if h := w.byIP[g.to]; h != nil && h.asleep {
				h.unread = append(h.unread, g)
			} else if h != nil {
				h.Receive(h.time(), g.from, g.data)
				w.flush(h)
			}
			continue
		}
		if next.After(w.now) {
			w.now = next
		}
		if who == nil {
			return
		}
		who.Advance(who.time())
		w.flush(who)
		if wake := who.Wake(); !wake.IsZero() && !wake.After(w.now) && len(who.out.Packets) == 0 {
			who.Advance(who.time())
			w.flush(who)
			if again := who.Wake(); !again.IsZero() && !again.After(w.now) {
				w.t.Fatalf("Advance at the time of Wake changes nothing: wake is %v before now", w.now.Sub(again))
			}
		}
	}
}

// result runs until a call of h has ended.
func (w *world) result(h *host, id Call) Result {
	w.t.Helper()
	w.flush(h)
	w.run(time.Minute, func() bool { _, ok := h.done[id]; return ok })
	r, ok := h.done[id]
	if !ok {
		w.t.Fatal("a call does not end within a minute")
	}
	return r
}

// A datagram is on its way.
type datagram struct {
	at       time.Time
	n        int
	from, to netip.AddrPort
	data     []byte
}

type datagrams []datagram

func (q datagrams) Len() int { return len(q) }
func (q datagrams) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].n, q[j].n)) < 0
}
func (q datagrams) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *datagrams) Push(x any)   { *q = append(*q, x.(datagram)) }
func (q *datagrams) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// nearest returns the ids of the n hosts nearest to target, h left out.
func (w *world) nearest(target enode.ID, n int, h *host) []enode.ID {
	var ids []enode.ID
	for _, o := range w.hosts {
		if o != h {
			ids = append(ids, o.id)
		}
	}
	slices.SortFunc(ids, func(a, b enode.ID) int { return enode.CompareDistance(target, a, b) })
	return ids[:min(n, len(ids))]
}

func randomID(rng *rand.Rand) (id enode.ID) {
	for i := 0; i < len(id); i += 8 {
		binary.BigEndian.PutUint64(id[i:], rng.Uint64())
	}
	return id
}

func netipAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
