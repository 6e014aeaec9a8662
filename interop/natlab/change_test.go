//go:build interop && linux

package natlab

import (
	"net/netip"
	"testing"
	"time"

	"parley/interop/nodes"
)

// Row L8 with real programs: what may happen to the network of a host while a node
// runs. Within 30 seconds the node answers again where it is, by RLPx and both
// discovery protocols, and it gets its peers back.
func TestL8NetworkChanges(t *testing.T) {
	t.Parallel()

	// answers checks that the node answers on its host at an address.
	answers := func(t *testing.T, from *Host, r *Runner, addr netip.Addr) {
		t.Helper()
		url, questions := r.At(netip.AddrPortFrom(addr, 30303)), []string{byV4, byV5, overRLPx}
		took := nodes.Wait(t, 30*time.Second, "the node answers at "+addr.String(), func() bool {
			questions = from.Ask(url, questions...) // what was answered is not asked again
			return len(questions) == 0
		})
		t.Logf("it answers at %v after %v", addr, took.Round(10*time.Millisecond))
	}
	// scene builds a host for the node, which is the last one, some for its peers, and
	// one to ask from.
	scene := func(t *testing.T, v6 bool, peers int) (host, asks *Host, all []*Runner) {
		t.Helper()
		t.Parallel()
		s := OpenStreet(t)
		host, asks = s.NewHost(true, v6), s.NewHost(true, v6)
		var hosts []*Host
		for range peers {
			hosts = append(hosts, s.NewHost(true, v6))
		}
		return host, asks, friends(t, append(hosts, host)...)
	}
	// dropped waits until the peers of the last node have dropped it.
	dropped := func(t *testing.T, watches []*nodes.Watch, r *Runner) {
		t.Helper()
		began := time.Now()
		for _, w := range watches {
			w.Wait(dropTime-time.Since(began), "drop", r.ID)
		}
		t.Logf("its peers have dropped it after %v", time.Since(began).Round(10*time.Millisecond))
	}
	watch := func(all []*Runner) (watches []*nodes.Watch) {
		for _, r := range all[:len(all)-1] {
			watches = append(watches, r.Watch())
		}
		return watches
	}

	t.Run("interface down and up", func(t *testing.T) {
		host, asks, all := scene(t, true, 2)
		node, watches := all[2], watch(all)
		host.Down()
		dropped(t, watches, node)
		host.Configure()
		answers(t, asks, node, host.IPv4)
		answers(t, asks, node, host.IPv6)
		befriended(t, 2*time.Minute, all...)
	})
	t.Run("IPv6 lost", func(t *testing.T) {
		host, asks, all := scene(t, true, 2)
		node := all[2]
		host.LoseIPv6()
		answers(t, asks, node, host.IPv4)
		took := nodes.Wait(t, dropTime+time.Minute, "all are peers over IPv4", func() bool {
			for _, r := range all[:2] {
				if at, ok := node.met(r); !ok || at.Addr().Is6() {
					return false
				}
			}
			return true
		})
		t.Logf("all are peers over IPv4 after %v", took.Round(10*time.Millisecond))
	})
	t.Run("MTU 576", func(t *testing.T) {
		// What the node tells of so many others is more than one packet can hold.
		const peers = 6
		host, asks, all := scene(t, false, peers)
		node := all[peers]
		own := node.Watch()
		host.SetMTU(576)
		answers(t, asks, node, host.IPv4)
		newcomer := asks.Run(30303, []string{node.Record().String()})
		befriended(t, time.Minute, append(all, newcomer)...)
		if n := host.Counter("Ip", "FragCreates"); n == 0 {
			t.Error("nothing was sent that is larger than the MTU")
		}
		own.Quiet(dropTime, "drop")
	})
	t.Run("default route", func(t *testing.T) {
		host, asks, all := scene(t, true, 2)
		node, watches := all[2], watch(all)
		other := host.Plug(true, true)
		host.Down()
		other.Configure()
		answers(t, asks, node, other.IPv4)
		answers(t, asks, node, other.IPv6)
		dropped(t, watches, node)
		befriended(t, 2*time.Minute, all...)
	})
}
