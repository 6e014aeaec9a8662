package p2p

import (
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// unreachedYet is what a node says of which nothing is known yet.
func unreachedYet() Reachable {
	return Reachable{TCP4: ReachUnknown, TCP6: ReachUnknown, UDP4: ReachUnknown, UDP6: ReachUnknown}
}

// publicAddr returns the n-th of a row of public addresses in networks of their own.
func publicAddr(n int, ipv6 bool) netip.Addr {
	if ipv6 {
		return netip.AddrFrom16([16]byte{0x2a, 0, 0, byte(n), 15: 7})
	}
	return netip.AddrFrom4([4]byte{60, byte(n), 0, 7})
}

// of puts states of TCP and UDP into one family, and leaves the other unknown.
func of(tcp, udp Reach, ipv6 bool) Reachable {
	r := unreachedYet()
	if ipv6 {
		r.TCP6, r.UDP6 = tcp, udp
	} else {
		r.TCP4, r.UDP4 = tcp, udp
	}
	return r
}

// A node to which others come is reachable at once. One behind a NAT that lets in
// only answers talks with 16 of them, all know it, and hole after hole is open: after
// an hour it says that nobody gets through. Of the other family neither says anything.
func TestReachable(t *testing.T) {
	for name, ipv6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var others []*testServer
				var nodes []*enode.Node
				for n := range 16 {
					s := w.finder(n, w.net.Host(publicAddr(n, ipv6)), func(c *Config) { c.NoDial, c.DiscoveryV5 = true, true })
					if ipv6 { // it does not announce the loopback address
						if err := s.LocalNode().Delete("ip"); err != nil {
							t.Fatal(err)
						}
					}
					others, nodes = append(others, s), append(nodes, s.Self())
				}
				if got := others[0].NodeInfo().P2P.Reachable; got != unreachedYet() {
					t.Errorf("at the start: %+v", got)
				}

				hidden := privateAddr(1)
				if ipv6 {
					hidden = netip.MustParseAddr("fd00::1")
				}
				host := w.net.Host(hidden)
				w.net.NAT(simnet.PortRestricted, publicAddr(100, ipv6), 0, host)
				inside := w.finder(100, host, func(c *Config) {
					c.DiscoveryV5, c.StaticNodes, c.BootstrapNodesV5 = true, nodes, nodes
				})
				w.pass(time.Minute)
				if n := inside.PeerCount(); n != len(others) {
					t.Fatalf("%d peers, want %d", n, len(others))
				}
				if got, want := others[0].NodeInfo().P2P.Reachable, of(ReachYes, ReachYes, ipv6); got != want {
					t.Errorf("the public node: %+v, want %+v", got, want)
				}
				for _, s := range others[2:] { // they have said what they can
					s.Stop()
				}
				w.pass(58 * time.Minute)
				if got := inside.Stats().Reachable; got != unreachedYet() {
					t.Errorf("within the first hour behind the NAT: %+v", got)
				}
				w.pass(2 * time.Minute)
				if got, want := inside.Stats().Reachable, of(ReachNo, ReachNo, ipv6); got != want {
					t.Errorf("after an hour behind the NAT: %+v, want %+v", got, want)
				}
			})
		})
	}
}

// What a node hears of its own machine, by way of its public address perhaps, does not
// say that others get through; any other connection does, even one that is refused.
func TestReachableFromElsewhere(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.serverAt(1, publicAddr(1, false), func(c *Config) { c.NetRestrict = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
		outside := netip.MustParseAddr("90.0.0.1")
		if err := s.LocalNode().FixAddr(outside); err != nil {
			t.Fatal(err)
		}
		s.dialFrom(s.host)
		s.dialFrom(w.net.Host(outside))
		w.pass(time.Second)
		if got := s.Stats().Reachable; got != unreachedYet() {
			t.Errorf("by its own connections: %+v", got)
		}
		s.dialFrom(w.net.Host(publicAddr(2, false)))
		w.pass(time.Second)
		if got, want := s.Stats().Reachable, of(ReachYes, ReachUnknown, false); got != want {
			t.Errorf("by another: %+v, want %+v", got, want)
		}
	})
}
