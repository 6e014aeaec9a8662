//go:build interop && linux

package natlab

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/interop/nodes"
)

// met returns the remote endpoint of a peer, and whether the node has it.
func (r *Runner) met(other *Runner) (at netip.AddrPort, ok bool) {
	r.t.Helper()
	for _, p := range r.Peers() {
		if p.ID == other.ID {
			at := netip.MustParseAddrPort(p.Network.RemoteAddress)
			return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true
		}
	}
	return netip.AddrPort{}, false
}

// befriended waits until nodes are peers of each other.
func befriended(t testing.TB, within time.Duration, all ...*Runner) {
	t.Helper()
	took := nodes.Wait(t, within, "all are peers of each other", func() bool {
		for i, a := range all {
			for _, b := range all[:i] {
				if _, ok := a.met(b); !ok {
					return false
				}
			}
		}
		return true
	})
	t.Logf("all are peers after %v", took.Round(10*time.Millisecond))
}

// Two nodes with both families, two with IPv4 and two with IPv6 alone, that are told
// of the first one only, find each other and become peers, all that have a family in
// common; and the others do not.
func TestFamilies(t *testing.T) {
	t.Parallel()
	s := OpenStreet(t)
	hosts := []*Host{
		s.NewHost(true, true), s.NewHost(true, true),
		s.NewHost(true, false), s.NewHost(true, false),
		s.NewHost(false, true), s.NewHost(false, true),
	}
	first := hosts[0].Run(30303, nil)
	all := []*Runner{first}
	for _, h := range hosts[1:] {
		all = append(all, h.Run(30303, []string{first.Record().String()}))
	}
	common := func(a, b *Host) bool {
		return a.IPv4.IsValid() && b.IPv4.IsValid() || a.IPv6.IsValid() && b.IPv6.IsValid()
	}
	took := nodes.Wait(t, time.Minute, "all that can are peers", func() bool {
		for i, a := range all {
			for j, b := range all {
				if _, ok := a.met(b); i != j && !ok && common(hosts[i], hosts[j]) {
					return false
				}
			}
		}
		return true
	})
	t.Logf("all are peers after %v", took.Round(10*time.Millisecond))
	for i, a := range all {
		for j, b := range all {
			at, ok := a.met(b)
			if ok != (i != j && common(hosts[i], hosts[j])) {
				t.Errorf("host %d has host %d as a peer: %v", i+1, j+1, ok)
			}
			if ok && at.Addr() != hosts[j].IPv4 && at.Addr() != hosts[j].IPv6 {
				t.Errorf("host %d has host %d at %v", i+1, j+1, at)
			}
		}
	}
}

// What is sent over IPv6 is swallowed on the way. A node with both families connects
// to others with both within a second all the same, and after four of them it tries
// IPv4 first: the kernel is asked for one connection and no longer for two.
func TestFamilyBlackHole(t *testing.T) {
	t.Parallel()
	const lost, after = 4, 2
	s := OpenStreet(t)
	here, there := s.NewHost(true, true), s.NewHost(true, true)
	var others []*Runner
	for i := range lost + after {
		others = append(others, there.Run(30303+i, nil, "--nodiscover"))
	}
	node := here.Run(30303, nil, "--nodiscover")
	there.Swallow6()
	for i, other := range others {
		opens := here.Counter("Tcp", "ActiveOpens")
		node.AddPeer(other.Record().String())
		var at netip.AddrPort
		took := nodes.Wait(t, quick, fmt.Sprintf("node %d is a peer", i+1), func() (ok bool) {
			at, ok = node.met(other)
			return ok
		})
		opens = here.Counter("Tcp", "ActiveOpens") - opens
		t.Logf("node %d: a peer at %v after %v, %d connections asked for", i+1, at, took.Round(time.Millisecond), opens)
		if at.Addr() != there.IPv4 || took > time.Second {
			t.Errorf("node %d is a peer at %v after %v, want over IPv4 within a second", i+1, at, took)
		}
		want := 2
		if i >= lost {
			want = 1
		}
		if opens != want {
			t.Errorf("for node %d the kernel was asked for %d connections, want %d", i+1, opens, want)
		}
	}
	if n := len(slices.DeleteFunc(node.Peers(), func(p nodes.Peer) bool { return p.Network.Inbound })); n != len(others) {
		t.Errorf("%d peers, want %d", n, len(others))
	}
}
