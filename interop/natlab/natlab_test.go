//go:build interop && linux

package natlab

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"parley/interop/nodes"
)

// quick is how long a program may take to learn where it is.
const quick = 20 * time.Second

// endpoint4 is where a port of the gateway is reached.
func (l *Lab) endpoint4(port int) netip.AddrPort {
	return netip.MustParseAddrPort(l.external + ":" + strconv.Itoa(port))
}

// STUN servers outside tell the gateway's address. TestRunMapping asks one of them.
func TestSTUN(t *testing.T) {
	l := Open(t)
	p := StartProbe(l, t, "stun:25.25.25.2:3478,25.25.25.3:3478,25.25.25.4:3478", 30303)
	p.Wait(quick, "the address is known", func(s State) bool {
		return s.IPv4.TCP == l.endpoint4(30303) && s.IPv4.Via == "stun"
	})
	if ports, holes := l.Mapped(); ports != 0 || holes != 0 {
		t.Errorf("%d ports and %d holes were made", ports, holes)
	}
	p.Stop()
}

// Another host of the network has the port already: the program gets another one
// and is reached there, and what the other host has stays its own.
func TestConflict(t *testing.T) {
	l := Open(t)
	start(t, l.neighbour, probe(t), "-nat", "pmp", "-port", "30303")
	nodes.Wait(t, quick, "the other host has its ports", func() bool {
		ports, _ := l.Mapped()
		return ports == 2
	})
	for _, c := range []struct{ method, via string }{{"upnp", "upnp"}, {"pmp", "pmp"}, {"pcp", "pcp"}, {"any", "pcp"}} {
		t.Run(c.method, func(t *testing.T) {
			p := StartProbe(l, t, c.method, 30303)
			s := p.Wait(quick, "another port is given", func(s State) bool { return s.IPv4.Mapped == 2 })
			if s.IPv4.Via != c.via {
				t.Errorf("mapped by %s, want %s", s.IPv4.Via, c.via)
			}
			if s.IPv4.TCP.Port() == 30303 || s.IPv4.UDP.Port() == 30303 {
				t.Errorf("TCP port %d, UDP port %d, want others than 30303", s.IPv4.TCP.Port(), s.IPv4.UDP.Port())
			}
			if tcp, udp := l.Call(s.IPv4.TCP.String(), s.IPv4.UDP.String()); !tcp || !udp {
				t.Errorf("from outside TCP answers: %v, UDP: %v", tcp, udp)
			}
			p.Stop()
			if ports, _ := l.Mapped(); ports != 2 {
				t.Errorf("%d ports lead inside, want those of the other host", ports)
			}
		})
	}
}

// A program that was killed, started again, has the same ports, and leaves nothing.
func TestKilled(t *testing.T) {
	l := Open(t)
	for _, method := range []string{"pmp", "pcp", "upnp"} {
		t.Run(method, func(t *testing.T) {
			for _, end := range []func(*Program){(*Program).Kill, (*Program).Stop} {
				p := StartProbe(l, t, method, 30303)
				s := p.Wait(quick, "the endpoints are known", func(s State) bool { return s.IPv4.Mapped == 2 })
				if s.IPv4.TCP != l.endpoint4(30303) || s.IPv4.UDP != l.endpoint4(30303) {
					t.Errorf("the program tells %+v, want port 30303", s.IPv4)
				}
				if tcp, udp := l.Call(s.IPv4.TCP.String(), s.IPv4.UDP.String()); !tcp || !udp {
					t.Errorf("from outside TCP answers: %v, UDP: %v", tcp, udp)
				}
				end(p)
			}
			if ports, _ := l.Mapped(); ports != 0 {
				t.Errorf("%d ports are left", ports)
			}
			if method == "upnp" {
				return // the holes of the killed one have names that nobody knows any more
			}
			nodes.Wait(t, quick, "no hole is left", func() bool {
				_, holes := l.Mapped()
				return holes == 0
			})
		})
	}
}

// A route that comes back is noticed at once: the kernel tells.
func TestRoute(t *testing.T) {
	l := Open(t)
	l.SetRoute(false)
	p := StartProbe(l, t, "pmp", 30303)
	p.Wait(quick, "there is no gateway", func(s State) bool { return s.IPv4.Problem != "" })
	l.SetRoute(true)
	p.Wait(quick, "there is one", func(s State) bool { return s.IPv4.Mapped == 2 && s.IPv4.Problem == "" })
	if !p.Says("the network has changed") {
		t.Error("that was found by chance, not told by the kernel")
	}
}
