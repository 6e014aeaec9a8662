package p2p

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/simnet"
)

// finder starts a Server with discovery on a simulated host.
func (w *world) finder(n int, host *simnet.Host, configure func(*Config)) *testServer {
	w.Helper()
	listener, err := host.Listen(30303)
	if err != nil {
		w.Fatal(err)
	}
	conn, err := host.ListenPacket(30303)
	if err != nil {
		w.Fatal(err)
	}
	s := w.serverOn(n, host, listener, func(c *Config) {
		c.DiscConn = conn
		if configure != nil {
			configure(c)
		}
	})
	if err := s.LocalNode().Set(enr.IP(host.Addr())); err != nil { // it listens on all addresses
		w.Fatal(err)
	}
	return s
}

// Three nodes of which each knows only the first become each other's peers within
// ten seconds, by either protocol and by both.
func TestNodesFindEachOther(t *testing.T) {
	for _, protocols := range []string{"v4", "v5", "both"} {
		t.Run(protocols, func(t *testing.T) {
			inWorld(t, func(w *world) {
				choose := func(c *Config) { c.DiscoveryV4, c.DiscoveryV5 = protocols != "v5", protocols != "v4" }
				first := w.finder(1, w.net.Host(privateAddr(1)), choose)
				var all []*testServer
				for i := 2; i <= 3; i++ {
					all = append(all, w.finder(i, w.net.Host(privateAddr(i)), func(c *Config) {
						choose(c)
						c.BootstrapNodes = []*enode.Node{first.Self()} // its record: v5 needs it
					}))
				}
				all = append(all, first)
				w.eventually(10*time.Second, "each has two peers", func() bool {
					for _, s := range all {
						if s.PeerCount() != 2 {
							return false
						}
					}
					return true
				})
			})
		})
	}
}

// After a restart without bootnodes a node finds its peers from its database, with
// the same ID and a sequence number that is higher.
func TestRestartFromDatabase(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(privateAddr(1)), nil)
		host := w.net.Host(privateAddr(2))
		database := filepath.Join(t.TempDir(), "nodes.db")
		second := w.finder(2, host, func(c *Config) {
			c.NodeDatabase = database
			c.BootstrapNodes = []*enode.Node{first.node()}
		})
		w.eventually(10*time.Second, "a peer", func() bool { return second.PeerCount() == 1 })
		w.pass(time.Minute)
		before := second.Self()
		second.Stop()

		again := w.finder(2, host, func(c *Config) { c.NodeDatabase = database })
		if self := again.Self(); self.ID() != before.ID() || self.Seq() <= before.Seq() {
			t.Errorf("ID %v with number %d, before %v with %d; want the same and a higher one", self.ID(), self.Seq(), before.ID(), before.Seq())
		}
		w.eventually(90*time.Second, "a peer again", func() bool { return again.PeerCount() == 1 })
	})
}

// Discovery looks at as many packets as the configuration says.
func TestDiscoveryRate(t *testing.T) {
	for _, tt := range []struct {
		rate    int
		dropped bool
	}{{0, false}, {1, true}} {
		inWorld(t, func(w *world) {
			first := w.finder(1, w.net.Host(privateAddr(1)), func(c *Config) { c.DiscoveryRate, c.DiscoverySessions = tt.rate, 1 })
			for i := 2; i <= 4; i++ {
				w.finder(i, w.net.Host(privateAddr(i)), func(c *Config) { c.BootstrapNodes = []*enode.Node{first.node()} })
			}
			w.pass(time.Minute)
			stats := first.Discovery().Stats()
			if got := stats.V4.Dropped["rate"]; (got > 0) != tt.dropped {
				t.Errorf("rate %d: %d packets dropped for it", tt.rate, got)
			}
			if stats.V5.Sessions > 1 {
				t.Errorf("%d sessions, want at most 1", stats.V5.Sessions)
			}
		})
	}
}

// Without demand for peers nobody is looked for.
func TestNoLookupsWithoutDemand(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(privateAddr(1)), nil)
		full := w.finder(2, w.net.Host(privateAddr(2)), func(c *Config) {
			c.MaxPeers = -1
			c.BootstrapNodes = []*enode.Node{first.node()}
		})
		w.pass(time.Minute)
		before := full.Stats().Dials
		if before != 0 {
			t.Errorf("%d dials of a node that wants no peers, want none", before)
		}
	})
}

// A candidate that no protocol has a use for is not dialed, and Explain says why.
func TestFilterKeepsCandidatesFromBeingDialed(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(privateAddr(1)), nil)
		wrongFork := errors.New("another fork")
		picky := w.finder(2, w.net.Host(privateAddr(2)), func(c *Config) {
			c.BootstrapNodes = []*enode.Node{first.node()}
			c.Protocols[0].Filter = func(*enode.Node) error { return wrongFork }
		})
		w.pass(30 * time.Second)
		if picky.Stats().Dials != 0 {
			t.Errorf("%d dials, want none", picky.Stats().Dials)
		}
		if v := picky.lastVerdict(first.Self().ID()); !errors.Is(v.Err, wrongFork) || v.Gate != GateRecord {
			t.Errorf("verdict %v %v, want the filter's by gate record", v.Gate, v.Err)
		}
	})
}

// A static node of which only the key is known is found and dialed.
func TestStaticNodeIsResolved(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(privateAddr(1)), func(c *Config) { c.NoDial = true })
		hidden := w.finder(2, w.net.Host(privateAddr(2)), func(c *Config) {
			c.BootstrapNodes = []*enode.Node{first.node()}
			c.NoDial = true
		})
		w.pass(30 * time.Second)
		bare, err := enode.Parse("enode://" + hidden.node().URL()[8:8+128])
		if err != nil {
			t.Fatal(err)
		}
		s := w.finder(3, w.net.Host(privateAddr(3)), func(c *Config) {
			c.BootstrapNodes = []*enode.Node{first.node()}
			c.StaticNodes = []*enode.Node{bare}
		})
		w.eventually(2*time.Minute, "the static node is a peer", func() bool { return s.Explain(hidden.Self().ID()).Connected })
	})
}
