package p2p

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"parley/internal/localnode"
	"parley/nat"
)

// An address that the operator names is in the first record already, and what other
// nodes say of either family does not count.
func TestNamedAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		named := netip.MustParseAddr("203.0.113.9")
		s := w.server(1, func(c *Config) { c.NAT = nat.External(named.String()) })
		if ep, _ := s.Self().TCPEndpoint(); ep != netip.AddrPortFrom(named, 30303) {
			t.Errorf("the record has %v, want %v and the port", ep, named)
		}
		for i := range 20 {
			for from, says := range map[netip.Addr]string{
				netip.AddrFrom4([4]byte{80, byte(i), 0, 1}):           "90.0.0.1:30303",
				netip.AddrFrom16([16]byte{0x2a, 0, 1, byte(i), 0, 1}): "[2a00:1::1]:30303",
			} {
				if err := s.changeLocal(func(l *localnode.Local) error {
					_, err := l.Vote(time.Now(), from, netip.MustParseAddrPort(says))
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if self := s.Self(); self.Addr4() != named || self.Addr6().IsValid() {
			t.Errorf("after 20 votes the record has %v and %v, want %v alone", self.Addr4(), self.Addr6(), named)
		}
	})
}

// The record follows what is known of the outside, family by family: the address,
// with mapped ports where there are some. When nothing is known any more, the
// endpoint stays and what other nodes say counts again.
func TestRecordFollowsOutside(t *testing.T) {
	l, err := localnode.New(testKey(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	ports := []nat.Port{{Protocol: nat.TCP, Internal: 30303}, {Protocol: nat.UDP, Internal: 30304}}
	outside := netip.MustParseAddr("90.0.0.1")
	for _, step := range []struct {
		name     string
		out      nat.Outside
		tcp, udp uint16
	}{
		{"an address and no mappings", nat.Outside{Addr: outside}, 30303, 30304},
		{"one mapping", nat.Outside{Addr: outside, Mappings: []nat.Mapping{{Protocol: nat.TCP, Internal: 30303, External: 4000}}}, 4000, 30304},
		{"nothing", nat.Outside{}, 4000, 30304},
	} {
		if err := announce(l, step.out, false, false, ports); err != nil {
			t.Fatal(err)
		}
		tcp, _ := l.Node().TCPEndpoint()
		udp, _ := l.Node().UDPEndpoint()
		if tcp != netip.AddrPortFrom(outside, step.tcp) || udp != netip.AddrPortFrom(outside, step.udp) {
			t.Errorf("%s: the record has %v and %v, want the ports %d and %d at %v", step.name, tcp, udp, step.tcp, step.udp, outside)
		}
	}
	elsewhere := netip.MustParseAddrPort("90.0.0.2:30303")
	for i := range 20 {
		if _, err := l.Vote(time.Unix(1e9, 0), netip.AddrFrom4([4]byte{80, byte(i), 0, 1}), elsewhere); err != nil {
			t.Fatal(err)
		}
	}
	if udp, _ := l.Node().UDPEndpoint(); udp != elsewhere {
		t.Errorf("after 20 votes the record has %v, want %v", udp, elsewhere)
	}
}

// Ports of the loopback interface are not mapped.
func TestNothingToMap(t *testing.T) {
	s := &Server{Config: Config{PrivateKey: testKey(1), ListenAddr: "127.0.0.1:0", NoDial: true, NAT: nat.Any(), Protocols: []Protocol{idleProtocol()}}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if m, _, err := s.newNAT(&s.cfg); m != nil || err != nil {
		t.Errorf("a mapper %v, %v for a node on the loopback interface, want none", m, err)
	}
}

// Behind a proxy nobody is asked for the own address, not even for that of a name.
func TestNoNATThroughProxy(t *testing.T) {
	for text, want := range map[string]nat.Method{
		"any": nat.None(), "stun": nat.None(), "extip:example.org": nat.None(), "extip:203.0.113.9": nat.External("203.0.113.9"),
	} {
		method, err := nat.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c := Config{NAT: method, Proxy: &url.URL{Scheme: "socks5", Host: "127.0.0.1:1080"}}.withDefaults()
		if c.NAT != want {
			t.Errorf("%s becomes %v, want %v", text, c.NAT, want)
		}
	}
}
