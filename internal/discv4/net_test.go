package discv4

import (
	"cmp"
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

// A network is engines wired to each other in one loop. The same seed gives the
// same run.
type network struct {
	t      testing.TB
	rng    *rand.Rand
	now    time.Time
	delay  time.Duration // one way
	jitter time.Duration // at most as much more
	loss   float64
	twice  float64 // packets that arrive twice
	nodes  []*host
	at     map[netip.AddrPort]*host
	flight []flying
	order  uint64

	// tap sees each packet when it is sent, and says whether it gets lost.
	tap func(from, to netip.AddrPort, p *Packet) (lost bool)
}

type flying struct {
	at       time.Time
	order    uint64
	from, to netip.AddrPort
	data     []byte
}

// A host is one engine with what came out of it.
type host struct {
	net    *network
	e      *Engine
	key    *enode.PrivateKey
	self   *enode.Node
	at     netip.AddrPort
	dead   bool
	asleep bool // nothing runs; what comes waits in the socket
	unread []flying
	step   time.Duration // added to its wall clock
	done   map[Call]Result
	ended  map[Call]time.Time
	votes  []Vote
	proven []*enode.Node
}

func newNetwork(t testing.TB, seed uint64, delay time.Duration) *network {
	return &network{
		t:     t,
		rng:   rand.New(rand.NewPCG(seed, 1)),
		now:   testclock.Start(),
		delay: delay,
		at:    make(map[netip.AddrPort]*host),
	}
}

// publicAddr returns a public address in a network of its own.
func publicAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{60 + byte(i>>16), byte(i >> 8), byte(i), 7}), 30303)
}

func signed(t testing.TB, key *enode.PrivateKey, seq uint64, at netip.AddrPort) *enode.Node {
	t.Helper()
	r, err := enr.Sign(key, seq, enr.IP(at.Addr()), enr.UDP(at.Port()), enr.TCP(at.Port()+1))
	if err != nil {
		t.Fatal(err)
	}
	n, err := enode.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// add starts a node with key n at publicAddr(n), or elsewhere.
func (net *network) add(n int, boot []*enode.Node, change func(*Config)) *host {
	net.t.Helper()
	h := &host{net: net, key: testKey(n), at: publicAddr(n), done: make(map[Call]Result), ended: make(map[Call]time.Time)}
	h.self = signed(net.t, h.key, 5, h.at)
	cfg := Config{Key: h.key, Self: h.self, Rand: rand.New(rand.NewPCG(net.rng.Uint64(), 2)), Bootnodes: boot}
	if change != nil {
		change(&cfg)
		h.self = cfg.Self
		h.at, _ = cfg.Self.UDPEndpoint()
	}
	var err error
	if h.e, err = New(cfg); err != nil {
		net.t.Fatal(err)
	}
	net.nodes = append(net.nodes, h)
	net.at[h.at] = h
	return h
}

// quiet makes an engine without a life of its own: nothing is refreshed or checked
// during a test.
func quiet(cfg *Config) {
	cfg.Table = kad.Config{Fast: 100 * time.Hour, Slow: 100 * time.Hour, RefreshFast: 100 * time.Hour, RefreshSlow: 100 * time.Hour}
}

func (h *host) time() time.Time { return testclock.Step(h.net.now, h.step) }

// flush takes what came out of the engine.
func (h *host) flush() {
	out := h.e.Take()
	for _, p := range out.Packets {
		h.net.send(h.at, p.To, p.Data)
	}
	for _, r := range out.Done {
		h.done[r.Call], h.ended[r.Call] = r, h.net.now
	}
	h.votes = append(h.votes, out.Votes...)
	h.proven = append(h.proven, out.Proven...)
	if n := len(h.e.dialogs); n > h.e.limits.Requests || len(h.e.bonds.all) > h.e.limits.Bonds || len(h.e.asked) > 3*h.e.limits.Requests {
		h.net.t.Fatalf("%v: %d dialogs, %d bonds, %d asked", h.at, n, len(h.e.bonds.all), len(h.e.asked))
	}
}

func (net *network) send(from, to netip.AddrPort, data []byte) {
	if net.tap != nil {
		p, err := Open(data)
		if err != nil {
			net.t.Fatalf("%v sent a packet that nobody can open: %v", from, err)
		}
		if net.tap(from, to, p) {
			return
		}
	}
	copies := 1
	if net.rng.Float64() < net.twice {
		copies = 2
	}
	for range copies {
		if net.rng.Float64() < net.loss {
			continue
		}
		d := net.delay
		if net.jitter > 0 {
			d += time.Duration(net.rng.Int64N(int64(net.jitter)))
		}
		net.order++
		f := flying{net.now.Add(d), net.order, from, to, data}
		i, _ := slices.BinarySearchFunc(net.flight, f, func(a, b flying) int {
			return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order, b.order))
		})
		net.flight = slices.Insert(net.flight, i, f)
	}
}

// receive is what a shell does with a packet.
func (h *host) receive(from netip.AddrPort, data []byte) {
	if err := Check(data); err != nil {
		h.e.Refuse(err)
		return
	}
	if h.e.Admit(h.time(), from, data) != nil {
		return
	}
	p, err := Open(data)
	if err != nil {
		h.e.Refuse(err)
		return
	}
	h.e.Receive(h.time(), from, p)
	h.flush()
}

// deliver is receive for a packet that another host is known to have signed. It
// spares most of the time that a large network takes.
func (h *host) deliver(from *host, data []byte) {
	if Check(data) != nil || h.e.Admit(h.time(), from.at, data) != nil {
		return
	}
	m, err := parse(Kind(data[headerSize-1]), data[headerSize:])
	if err != nil {
		h.net.t.Fatalf("%v sent %x: %v", from.at, data, err)
	}
	h.e.Receive(h.time(), from.at, &Packet{
		Hash: [32]byte(data[:hashSize]), Key: from.key.Public(), ID: from.self.ID(), Size: len(data), Message: m,
	})
	h.flush()
}

// run lets the network live until the condition holds, at most for d. It returns
// whether the condition held.
func (net *network) run(d time.Duration, until func() bool) bool {
	end := net.now.Add(d)
	for {
		if until != nil && until() {
			return true
		}
		next := end
		var who *host
		for _, h := range net.nodes {
			if h.dead || h.asleep {
				continue
			}
			wake := h.e.Wake()
			if wake.IsZero() || wake.Before(net.now) {
				wake = net.now
			}
			if wake.Before(next) {
				next, who = wake, h
			}
		}
		if len(net.flight) > 0 && !net.flight[0].at.After(next) && net.flight[0].at.Before(end) {
			f := net.flight[0]
			net.flight = net.flight[1:]
			net.now = f.at
			if h := net.at[f.to]; h != nil && h.asleep {
				h.unread = append(h.unread, f)
			} else if h != nil && !h.dead {
				h.deliver(net.at[f.from], f.data)
			}
			continue
		}
		net.now = next
		if who == nil {
			return until != nil && until()
		}
		who.e.Advance(who.time())
		who.flush()
	}
}

// awake ends a sleep: what came meanwhile is read.
func (h *host) awake() {
	h.asleep = false
	for _, f := range h.unread {
		h.deliver(h.net.at[f.from], f.data)
	}
	h.unread = nil
}

// wait runs until the call of h ends, ten minutes at most.
func (h *host) wait(c Call) Result {
	h.net.t.Helper()
	h.flush()
	if !h.net.run(10*time.Minute, func() bool { _, ok := h.done[c]; return ok }) {
		h.net.t.Fatal("call does not end within ten minutes")
	}
	return h.done[c]
}

// A stranger speaks the protocol by hand: it has a key and an endpoint, and keeps
// what is sent to it.
type stranger struct {
	net *network
	key *enode.PrivateKey
	at  netip.AddrPort
	in  []*Packet

	serial uint64
}

func (net *network) stranger(n int, at netip.AddrPort) *stranger {
	return &stranger{net: net, key: testKey(n), at: at}
}

func (s *stranger) place() place { return place{enode.PubkeyID(s.key.Public()), s.at} }

// send has h receive a packet at once, keeps what it answers and returns the hash
// of what was sent.
func (s *stranger) send(h *host, m Message) [32]byte {
	s.net.t.Helper()
	data, hash, err := Seal(s.key, m)
	if err != nil {
		s.net.t.Fatal(err)
	}
	s.sendBytes(h, data)
	return hash
}

func (s *stranger) sendBytes(h *host, data []byte) {
	s.net.t.Helper()
	before := s.net.tap
	s.net.tap = func(_, to netip.AddrPort, p *Packet) bool {
		if to == s.at {
			s.in = append(s.in, p)
		}
		return true
	}
	h.receive(s.at, data)
	s.net.tap = before
}

// exp returns an expiration that is good, and another one with each call: equal
// packets are replays.
func (s *stranger) exp() uint64 {
	s.serial++
	return uint64(s.net.now.Unix()) + 20 + s.serial%250
}

func (s *stranger) ping(h *host) [32]byte {
	s.net.t.Helper()
	return s.send(h, &Ping{Version: 4, From: Endpoint{s.at.Addr(), s.at.Port(), 9}, Expiration: s.exp()})
}

// take returns the kinds of what came, and forgets them but for the last ping.
func (s *stranger) take() (kinds []Kind) {
	for _, p := range s.in {
		kinds = append(kinds, p.Message.Kind())
	}
	s.in = nil
	return kinds
}

// bond makes h prove the stranger's endpoint.
func (s *stranger) bond(h *host) {
	s.net.t.Helper()
	s.ping(h)
	for _, p := range s.in {
		if p.Message.Kind() == KindPing {
			s.send(h, &Pong{PingHash: p.Hash, Expiration: s.exp()})
		}
	}
	if h.e.bonds.all[s.place()] == nil {
		s.net.t.Fatalf("no bond; got %v", s.take())
	}
	s.in = nil
}

func (h *host) dropped(d Drop) uint64 { return h.e.Stats().Dropped[d] }

func expectKinds(t testing.TB, what string, got []Kind, want ...Kind) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
