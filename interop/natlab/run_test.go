//go:build interop && linux

package natlab

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/interop/nodes"
)

// meets has the node outside connect to the one inside at an endpoint, and waits
// until that one shows the peer as inbound and coming from outside.
func meets(t *testing.T, outside, inside *Runner, at netip.AddrPort) {
	t.Helper()
	url := inside.At(at)
	outside.AddPeer(url)
	nodes.Wait(t, quick, "the node outside is a peer at "+at.String(), func() bool {
		for _, p := range inside.Peers() {
			from := netip.MustParseAddrPort(p.Network.RemoteAddress).Addr().Unmap()
			if p.ID == outside.ID && p.Network.Inbound && netip.MustParsePrefix("25.25.25.0/24").Contains(from) {
				return true
			}
		}
		return false
	})
	outside.RemovePeer(url)
}

// gone checks that nothing is left at the gateway.
func (l *Lab) gone(t *testing.T) {
	t.Helper()
	// A hole that this gateway refuses to remove is made to last for the shortest
	// time it knows, 10 s here.
	nodes.Wait(t, quick, "nothing is left at the gateway", func() bool {
		ports, holes := l.Mapped()
		return ports == 0 && holes == 0
	})
}

// A node behind the gateway has the gateway's address and its mapped port in its
// record, by each method. From outside it is found there by both discovery
// protocols and becomes a peer; over IPv6 it answers where the method makes holes.
// An interrupt takes the mappings back.
func TestRunMapping(t *testing.T) {
	const port = 30303
	l := Open(t)
	outside := l.RunOutside(t)
	for _, c := range []struct {
		method string
		ports  int  // mapped for IPv4
		holes  bool // for IPv6
	}{
		{"upnp", 2, true},
		{"pmp", 2, false},
		{"pmp:192.168.77.1", 2, false},
		{"pcp", 2, true},
		{"pcp:fe80::1%inside", 0, true},
		{"any", 2, true},
		{"stun:25.25.25.2:3478,25.25.25.3:3478,25.25.25.4:3478", 0, false},
	} {
		name, _, _ := strings.Cut(c.method, ",")
		t.Run(name, func(t *testing.T) {
			stun := strings.HasPrefix(c.method, "stun")
			at4, at6 := l.endpoint4(port), netip.AddrPortFrom(netip.MustParseAddr(Inside6), port)
			inside := l.RunInside(t, c.method, port)
			var want []netip.AddrPort
			if c.ports > 0 || stun {
				want = append(want, at4)
			}
			if c.holes {
				want = append(want, at6)
			}
			inside.WaitRecord(quick, "the record has the endpoints", want...)
			if stun {
				if failed := l.Ask(inside.At(at4), overRLPx, byV4, byV5); len(failed) != 3 {
					t.Fatalf("only %v fail while the gateway leads no port inside", failed)
				}
				l.Forward(port)
			}
			ports, holes := l.Mapped()
			if ports != c.ports || (holes == 2) != c.holes {
				t.Errorf("the gateway has %d ports and %d holes, want %d ports, holes: %v", ports, holes, c.ports, c.holes)
			}
			for _, at := range want {
				questions := []string{byV4, byV5}
				if at == at6 {
					questions = append(questions, overRLPx)
				} else {
					meets(t, outside, inside, at)
				}
				if failed := l.Ask(inside.At(at), questions...); len(failed) > 0 {
					t.Errorf("at %v no answer to %v", at, failed)
				}
			}
			took, err := inside.Interrupt()
			if err != nil {
				t.Errorf("after an interrupt: %v", err)
			}
			t.Logf("ended after %v", took.Round(10*time.Millisecond))
			l.gone(t)
		})
	}
}

// Row K1 with real programs: the gateway is off for a while and comes back with
// another address and without mappings. The mappings and holes are back within 2
// minutes, and within 5 minutes the record has the new address, at which the node
// outside becomes a peer and both discovery protocols answer. For that its sequence
// number rises once. An interrupt takes the mappings back.
func TestRunRestart(t *testing.T) {
	t.Parallel()
	l := Open(t)
	outside := l.RunOutside(t)
	type home struct {
		*Runner
		method string
		seq    uint64
		at6    netip.AddrPort // not valid if the method makes no holes
	}
	var homes []*home
	const mapped, holed = 2 * 4, 2 * 3 // by all but the last, and but pmp
	for i, method := range []string{"upnp", "pmp", "pcp", "any", "stun:25.25.25.2:3478"} {
		h := &home{method: method}
		at := []netip.AddrPort{l.endpoint4(30303 + i)}
		if method == "upnp" || method == "pcp" || method == "any" {
			h.at6 = netip.AddrPortFrom(netip.MustParseAddr(Inside6), uint16(30303+i))
			at = append(at, h.at6)
		}
		h.Runner = l.RunInside(t, method, 30303+i)
		h.seq = h.WaitRecord(quick, method+": the record has the endpoints", at...).Seq()
		homes = append(homes, h)
	}
	l.StopGateway()
	l.SetExternal("25.25.25.9")
	<-time.After(20 * time.Second) // it starts
	l.StartGateway()
	began := time.Now()
	var ports, holes int
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway had %d ports and %d holes, of %d and %d", ports, holes, mapped, holed)
		}
	})
	took := nodes.Wait(t, 2*time.Minute, "the mappings are back", func() bool {
		ports, holes = l.Mapped()
		return ports == mapped && holes == holed
	})
	t.Logf("the mappings are back after %v", took.Round(10*time.Millisecond))
	for _, h := range homes {
		at, questions := l.endpoint4(h.port), []string{byV4, byV5}
		h.WaitRecord(5*time.Minute-time.Since(began), h.method+": the record has the new address", at)
		if strings.HasPrefix(h.method, "stun") {
			l.Forward(h.port)
		}
		if failed := l.Ask(h.At(at), questions...); len(failed) > 0 {
			t.Errorf("%s: at %v no answer to %v", h.method, at, failed)
		}
		meets(t, outside, h.Runner, at)
		if h.at6.IsValid() {
			if failed := l.Ask(h.At(h.at6), append(questions, overRLPx)...); len(failed) > 0 {
				t.Errorf("%s: at %v no answer to %v", h.method, h.at6, failed)
			}
		}
	}
	for _, h := range homes {
		if n := h.Record(); n.Seq() != h.seq+1 {
			t.Errorf("%s: sequence number %d, want %d: %v", h.method, n.Seq(), h.seq+1, n)
		}
		if _, err := h.Interrupt(); err != nil {
			t.Errorf("%s: after an interrupt: %v", h.method, err)
		}
	}
	l.gone(t)
}
