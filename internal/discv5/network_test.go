package discv5

import (
	"crypto/sha256"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
)

// The same seed gives the same packets at the same times, another seed others.
func TestReplay(t *testing.T) {
	run := func(seed uint64) [32]byte {
		w := newWorld(t, seed)
		w.loss = 0.05
		h := sha256.New()
		w.tap = func(from, to netip.AddrPort, data []byte) {
			h.Write([]byte(w.now.String() + from.String() + to.String()))
			h.Write(data)
		}
		boot := w.add()
		for range 7 {
			w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
		}
		w.run(10*time.Second, nil)
		w.result(w.hosts[3], w.hosts[3].Lookup(w.now, randomID(w.rng)))
		return [32]byte(h.Sum(nil))
	}
	first := run(1)
	if again := run(1); first != again {
		t.Error("two runs with the same seed differ")
	}
	if first == run(2) {
		t.Error("two runs with different seeds do not")
	}
}

// L1: lookups find the nearest nodes where a tenth of all packets is lost.
func TestLoss(t *testing.T) {
	w := newWorld(t, 30)
	w.delay = 40 * time.Millisecond
	w.loss = 0.1
	boot := w.add()
	for range 39 {
		w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	}
	w.run(60*time.Second, nil)
	good, total := 0, 0
	for i := range 10 {
		h := w.hosts[1+i]
		target := randomID(w.rng)
		r := w.result(h, h.Lookup(w.now, target))
		for _, id := range w.nearest(target, 16, h) {
			total++
			if slices.ContainsFunc(r.Nodes, func(n *enode.Node) bool { return n.ID() == id }) {
				good++
			}
		}
	}
	if good*100 < total*95 {
		t.Errorf("lookups found %d of the %d nearest nodes, want 95 %%", good, total)
	}
	t.Logf("%d of %d", good, total)
}

// A node that moved is found through others.
func TestResolve(t *testing.T) {
	w := newWorld(t, 31)
	boot := w.add()
	a := w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	moved := w.add(func(c *Config) {
		c.Bootnodes = []*enode.Node{boot.node}
		c.Self = signed(t, c.Key, 5, c.mustEndpoint())
	})
	w.run(10*time.Second, nil)
	a.table.Remove(w.now, moved.id)
	old := signed(t, moved.key, 4, netip.MustParseAddrPort("21.0.0.1:30303"))
	if r := w.result(a, a.Resolve(w.now, old)); r.Err != nil || r.Node.Seq() != 5 {
		t.Errorf("Resolve: %v, %v", r.Node, r.Err)
	}
	nobody := signed(t, testKey(t, w.rng), 4, netip.MustParseAddrPort("21.0.0.1:30303"))
	if r := w.result(a, a.Resolve(w.now, nobody)); r.Err != ErrNotFound {
		t.Errorf("Resolve of nobody: %v, %v", r.Node, r.Err)
	}
}

func (c *Config) mustEndpoint() netip.AddrPort {
	at, ok := c.Self.UDPEndpoint()
	if !ok {
		panic("no endpoint")
	}
	return at
}

// IPv6 works like IPv4: an omitted "udp6" is "udp", and a node without IPv4 uses
// the other endpoint of nodes that have two.
func TestDualStack(t *testing.T) {
	w := newWorld(t, 32)
	v6 := netip.MustParseAddr("2600::1")
	only6 := func(c *Config) {
		c.NoIPv4 = true
		c.Self = signed(t, c.Key, 1, netip.AddrPort{}, enr.IP(v6), enr.UDP(30303))
	}
	a := w.addAt(netip.AddrPortFrom(v6, 30303), only6)
	for name, c := range map[string]struct {
		entries []enr.Entry
		port    uint16
	}{
		"udp6 omitted": {[]enr.Entry{enr.IP(netip.MustParseAddr("20.9.9.9")), enr.UDP(4000)}, 4000},
		"udp6":         {[]enr.Entry{enr.IP(netip.MustParseAddr("20.9.9.9")), enr.UDP(4000), enr.UDP6(4006)}, 4006},
		"no IPv4":      {[]enr.Entry{enr.UDP6(4007)}, 4007},
	} {
		t.Run(name, func(t *testing.T) {
			at := netip.AddrPortFrom(netip.MustParseAddr("2600:0:0:1::").Next(), c.port)
			b := w.addAt(at, func(cfg *Config) {
				cfg.Self = signed(t, cfg.Key, 1, netip.AddrPort{}, append(c.entries, enr.IP(at.Addr()))...)
			})
			r := w.result(a, a.Ping(w.now, b.node))
			if r.Err != nil || r.Endpoint != a.addr {
				t.Errorf("Ping over IPv6: %v, %v", r.Endpoint, r.Err)
			}
			// The first endpoint of b is IPv4; it answers where it was asked.
			if !slices.Contains(a.votes, Vote{at.Addr(), a.addr}) {
				t.Errorf("votes = %v", a.votes)
			}
		})
	}
	b := w.add()
	if r := w.result(a, a.Ping(w.now, b.node)); r.Err != ErrNoEndpoint {
		t.Errorf("a node without IPv4 pings one that has nothing else: %v", r.Err)
	}
}

// Nodes with another protocol id do not hear each other.
func TestProtocol(t *testing.T) {
	w := newWorld(t, 33)
	private := func(c *Config) { c.Protocol = "parley" }
	a, b, public := w.add(private), w.add(private), w.add()
	if r := w.result(a, a.Ping(w.now, b.node)); r.Err != nil {
		t.Errorf("Ping in a private network: %v", r.Err)
	}
	if r := w.result(a, a.Ping(w.now, public.node)); r.Err != ErrTimeout {
		t.Errorf("Ping from a private network: %v", r.Err)
	}
	if public.stats.Dropped[DropProtocol] != 1+maxRepeats || public.stats.PacketsOut != 0 {
		t.Errorf("the public node drops %v and sends %d packets", public.stats.Dropped, public.stats.PacketsOut)
	}
}

// Nothing is taken from or sent to addresses outside of Restrict.
func TestRestrict(t *testing.T) {
	w := newWorld(t, 34)
	list, err := netaddr.ParseList("20.0.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	a := w.add(func(c *Config) { c.Restrict = list })
	b := w.add()
	out := w.addAt(netip.MustParseAddrPort("20.1.0.1:30303"))
	if r := w.result(a, a.Ping(w.now, b.node)); r.Err != nil {
		t.Errorf("Ping inside: %v", r.Err)
	}
	if r := w.result(a, a.Ping(w.now, out.node)); r.Err != ErrNoEndpoint {
		t.Errorf("Ping outside: %v", r.Err)
	}
	if r := w.result(out, out.Ping(w.now, a.node)); r.Err != ErrTimeout || a.stats.Dropped[DropRestricted] != 1+maxRepeats {
		t.Errorf("Ping from outside: %v, drops %v", r.Err, a.stats.Dropped)
	}
}

// All mistakes of a Config are told at once.
func TestConfig(t *testing.T) {
	if _, err := New(Config{Protocol: "x", Sessions: -1}); err == nil || err.Error() !=
		"discv5: new engine: no key\nprotocol id \"x\" is not 6 bytes long\n-1 sessions" {
		t.Errorf("New: %v", err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	key, other := testKey(t, rng), testKey(t, rng)
	self := signed(t, key, 1, netip.MustParseAddrPort("20.0.0.1:30303"))
	if _, err := New(Config{Key: other, Self: self}); err == nil {
		t.Error("New takes the record of another key")
	}
	e, err := New(Config{Key: key, Self: self})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*enode.Node{nil, signed(t, other, 1, netip.AddrPort{}), enode.NewV4(key.Public(), netip.Addr{}, 1, 1)} {
		if e.SetSelf(n) == nil {
			t.Errorf("SetSelf takes %v", n)
		}
	}
}

// The node at the far end of a partition is dropped from what is told to others,
// and comes back after it.
func TestPartition(t *testing.T) {
	w := newWorld(t, 35)
	boot := w.add()
	a := w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	w.run(10*time.Second, nil)
	if _, live := a.table.Len(); live != 1 {
		t.Fatalf("%d live nodes at first, want the bootnode", live)
	}
	w.loss = 1
	w.run(10*time.Minute, nil)
	if _, live := a.table.Len(); live != 0 {
		t.Errorf("%d live nodes in the partition", live)
	}
	w.loss = 0
	w.run(time.Minute, nil)
	if _, live := a.table.Len(); live != 1 {
		t.Errorf("%d live nodes a minute after the partition, want 1", live)
	}
}

// An answer holds 16 nodes, chosen without knowing the target. Lookups find the
// nearest all the same, in a network where buckets are full.
func TestLookupFullBuckets(t *testing.T) {
	w := newWorld(t, 99)
	boot := w.add()
	for range 99 {
		w.add(func(c *Config) { c.Bootnodes = []*enode.Node{boot.node} })
	}
	w.run(15*time.Second, nil)
	good, total := 0, 0
	for i := range 30 {
		h := w.hosts[1+i*3]
		target := randomID(w.rng)
		r := w.result(h, h.Lookup(w.now, target))
		for _, id := range w.nearest(target, 16, h) {
			total++
			if slices.ContainsFunc(r.Nodes, func(n *enode.Node) bool { return n.ID() == id }) {
				good++
			}
		}
	}
	if good*1000 < total*995 {
		t.Errorf("lookups found %d of the %d nearest nodes, want 99.5 %%", good, total)
	}
	t.Logf("%d of %d", good, total)
}
