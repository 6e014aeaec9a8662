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

// startProgram starts what is tested: another Start here puts another program behind
// the gateway.
func startProgram(l *Lab, t testing.TB, method string, port int) *Program {
	t.Helper()
	return StartProbe(l, t, method, port)
}

// endpoint4 is where a port of the gateway is reached.
func (l *Lab) endpoint4(port int) netip.AddrPort {
	return netip.MustParseAddrPort(l.external + ":" + strconv.Itoa(port))
}

// By each protocol the program learns the gateway's address, and has its port
// mapped: who is outside connects through it, with IPv6 too where the protocol
// knows that. When the program ends, nothing is left at the gateway, and nobody
// gets through.
func TestMapping(t *testing.T) {
	l := Open(t)
	for _, c := range []struct {
		method, via string
		holes       bool // for IPv6
	}{
		{"upnp", "upnp", true},
		{"pmp", "pmp", false},
		{"pmp:192.168.77.1", "pmp", false},
		{"pcp", "pcp", true},
		{"pcp:fe80::1%inside", "", true},
		{"any", "pcp", true},
	} {
		t.Run(c.method, func(t *testing.T) {
			const port = 30303
			tcp, udp := l.Call(l.endpoint4(port).String(), l.endpoint4(port).String())
			if tcp || udp {
				t.Fatal("somebody answers before the program runs")
			}
			p := startProgram(l, t, c.method, port)
			s := p.Wait(quick, "the endpoints are known", func(s State) bool {
				return (c.via == "" || s.IPv4.Mapped == 2) && (!c.holes || s.IPv6.Mapped == 2)
			})
			ports, holes := l.Mapped()
			if c.via != "" {
				if s.IPv4.Via != c.via || s.IPv4.TCP != l.endpoint4(port) || s.IPv4.UDP != l.endpoint4(port) || ports != 2 {
					t.Errorf("the program tells %+v, the gateway has %d ports; want %v by %s", s.IPv4, ports, l.endpoint4(port), c.via)
				}
				if tcp, udp := l.Call(s.IPv4.TCP.String(), s.IPv4.UDP.String()); !tcp || !udp {
					t.Errorf("from outside TCP answers: %v, UDP: %v", tcp, udp)
				}
			}
			if c.holes {
				want := netip.AddrPortFrom(netip.MustParseAddr(Inside6), port)
				if s.IPv6.TCP != want || s.IPv6.UDP != want || holes != 2 {
					t.Errorf("the program tells %+v, the gateway has %d holes; want %v", s.IPv6, holes, want)
				}
				if tcp, udp := l.Call(s.IPv6.TCP.String(), s.IPv6.UDP.String()); !tcp || !udp {
					t.Errorf("from outside over IPv6 TCP answers: %v, UDP: %v", tcp, udp)
				}
			}
			began := time.Now()
			p.Stop()
			t.Logf("ended after %v", time.Since(began).Round(10*time.Millisecond))
			// A hole that this gateway refuses to remove is made to last for the
			// shortest time it knows, 10 s here.
			nodes.Wait(t, quick, "nothing is left", func() bool {
				ports, holes := l.Mapped()
				return ports == 0 && holes == 0
			})
		})
	}
}

// STUN servers outside tell the gateway's address.
func TestSTUN(t *testing.T) {
	l := Open(t)
	for _, method := range []string{"stun:25.25.25.2:3478", "stun:25.25.25.2:3478,25.25.25.3:3478,25.25.25.4:3478"} {
		t.Run(method, func(t *testing.T) {
			p := startProgram(l, t, method, 30303)
			p.Wait(quick, "the address is known", func(s State) bool {
				return s.IPv4.TCP == l.endpoint4(30303) && s.IPv4.Via == "stun"
			})
			if ports, holes := l.Mapped(); ports != 0 || holes != 0 {
				t.Errorf("%d ports and %d holes were made", ports, holes)
			}
			p.Stop()
		})
	}
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
	for _, method := range []string{"upnp", "pmp", "pcp"} {
		t.Run(method, func(t *testing.T) {
			p := startProgram(l, t, method, 30303)
			s := p.Wait(quick, "another port is given", func(s State) bool { return s.IPv4.Mapped == 2 })
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

// Row K1 with real programs: the gateway is off for a while and comes back with
// another address and without mappings. The mappings are back within 2 minutes,
// the new address is told within 5.
func TestRestart(t *testing.T) {
	l := Open(t)
	var programs []*Program
	methods := []string{"upnp", "pmp", "pcp", "any", "stun:25.25.25.2:3478"}
	const mapped = 2 * 4 // by all but the last
	for i, method := range methods {
		p := startProgram(l, t, method, 30303+i)
		p.Wait(quick, method+": the address is known", func(s State) bool { return s.IPv4.TCP == l.endpoint4(30303+i) })
		programs = append(programs, p)
	}
	l.StopGateway()
	l.SetExternal("25.25.25.9")
	<-time.After(20 * time.Second) // it starts
	l.StartGateway()
	took := nodes.Wait(t, 2*time.Minute, "the mappings are back", func() bool {
		ports, _ := l.Mapped()
		return ports == mapped
	})
	t.Logf("the mappings are back after %v", took)
	for i, p := range programs {
		s := p.Wait(5*time.Minute-took, methods[i]+": the new address is told", func(s State) bool { return s.IPv4.TCP == l.endpoint4(30303+i) })
		if tcp, udp := l.Call(s.IPv4.TCP.String(), s.IPv4.UDP.String()); (!tcp || !udp) && i < len(methods)-1 {
			t.Errorf("%s: from outside TCP answers: %v, UDP: %v", methods[i], tcp, udp)
		}
	}
	for _, p := range programs {
		p.Stop()
	}
	nodes.Wait(t, quick, "nothing is left", func() bool {
		ports, holes := l.Mapped()
		return ports == 0 && holes == 0
	})
}

// A program that was killed, started again, has the same ports, and leaves nothing.
func TestKilled(t *testing.T) {
	l := Open(t)
	for _, method := range []string{"pmp", "pcp", "upnp"} {
		t.Run(method, func(t *testing.T) {
			for _, end := range []func(*Program){(*Program).Kill, (*Program).Stop} {
				p := startProgram(l, t, method, 30303)
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
	p := startProgram(l, t, "pmp", 30303)
	p.Wait(quick, "there is no gateway", func(s State) bool { return s.IPv4.Problem != "" })
	l.SetRoute(true)
	p.Wait(quick, "there is one", func(s State) bool { return s.IPv4.Mapped == 2 && s.IPv4.Problem == "" })
	if !p.Says("the network has changed") {
		t.Error("that was found by chance, not told by the kernel")
	}
}
