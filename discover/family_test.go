package discover

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
	"parley/internal/simnet"
)

// With one socket for each family a packet leaves through that of its family.
func TestTwoSockets(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				open := func(i int) (*Service, netip.AddrPort, netip.AddrPort) {
					four, six := netip.AddrFrom4([4]byte{60, 0, byte(i), 7}), netip.MustParseAddr("2a00:0:1::7")
					for range i {
						six = six.Next()
					}
					m := w.net.Host(four, six)
					cfg := Config{PrivateKey: testKey(t, i)}
					kind.set(&cfg)
					conn, err := m.ListenPacket(30304)
					if err != nil {
						t.Fatal(err)
					}
					conn6, err := m.ListenPacket(30306)
					if err != nil {
						t.Fatal(err)
					}
					cfg.Conn, cfg.Conn6 = conn, conn6
					s, err := Listen(cfg)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(s.Close)
					return s, netip.AddrPortFrom(four, 30304), netip.AddrPortFrom(six, 30306)
				}
				a, a4, a6 := open(1)
				defer a.Close()
				b, b4, b6 := open(2)
				defer b.Close()
				for to, from := range map[netip.AddrPort]netip.AddrPort{a4: b4, a6: b6} {
					node := enode.NewV4(testKey(t, 1).Public(), to.Addr(), 0, to.Port())
					if p, err := b.Ping(context.Background(), node); err != nil || p.RTT != 2*time.Millisecond {
						t.Errorf("Ping %v = %v, %v; want 2ms", to, p, err)
					}
					votes := b.Take().Votes
					if !slices.Contains(votes, Vote{to.Addr(), from}) {
						t.Errorf("%v says %v, want that we are at %v", to, votes, from)
					}
				}
			})
		})
	}
}

// A host with IPv6 alone, whose socket is for both families, gets to know a node with
// both, although its first packet goes nowhere; and when a packet came over IPv4
// it uses that again.
func TestNoRoute(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inWorld(t, simnet.Link{Delay: time.Millisecond}, func(w *world) {
				four, six := netip.MustParseAddr("60.0.0.7"), netip.MustParseAddr("2a00:0:1::7")
				r, err := enr.Sign(testKey(t, 0), 1, enr.IP(four), enr.IP(six), enr.UDP(30303))
				if err != nil {
					t.Fatal(err)
				}
				dual, err := enode.New(r)
				if err != nil {
					t.Fatal(err)
				}
				w.addAt(func(c *Config) { kind.set(c); c.Self = dual }, four, six)
				alone := w.addAt(func(c *Config) { kind.set(c); c.Bootnodes = []*enode.Node{dual} }, netip.MustParseAddr("2a00:0:2::7"))
				w.wait(10 * time.Second)
				if n := alone.live(); n != 1 {
					t.Errorf("%d nodes are known after 10 s, want the one with both families", n)
				}
				w.list[0].Close()
				alone.Close()
				if w.list[0].noWay != (noWay{}) {
					t.Errorf("the node with both families finds no way: %+v", w.list[0].noWay)
				}
				if !alone.noWay.ipv4 || alone.noWay.ipv6 {
					t.Errorf("no way to IPv4: %v, to IPv6: %v; want the first", alone.noWay.ipv4, alone.noWay.ipv6)
				}
				if alone.noWay.heard(four); alone.noWay.ipv4 {
					t.Error("a packet that came over IPv4 does not show that there is a way")
				}
			})
		})
	}
}
