package p2p

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/peerset"
	"parley/internal/simnet"
)

// pairs calls f with the hosts of each server of one group and each of another.
func pairs(as, bs []*testServer, f func(a, b *simnet.Host)) {
	for _, a := range as {
		for _, b := range bs {
			f(a.host, b.host)
		}
	}
}

// connections returns the number of connections that both of their sides have.
func connections(all []*testServer) int {
	ends := 0
	for _, s := range all {
		ends += s.PeerCount()
	}
	return ends / 2
}

// swarm starts n servers that find each other by discovery v5, and waits until each
// has all the others as peers.
func (w *world) swarm(n int) []*testServer {
	w.Helper()
	first := w.finder(1, w.net.Host(privateAddr(1)), func(c *Config) { c.DiscoveryV5 = true })
	all := []*testServer{first}
	for i := 2; i <= n; i++ {
		all = append(all, w.finder(i, w.net.Host(privateAddr(i)), func(c *Config) {
			c.DiscoveryV5 = true
			c.BootstrapNodes = []*enode.Node{first.Self()}
		}))
	}
	w.connected(all, 2*time.Minute)
	return all
}

// statics starts n servers without discovery, each of which is told of those after
// it.
func (w *world) statics(n int) []*testServer {
	w.Helper()
	var all []*testServer
	for i := 1; i <= n; i++ {
		all = append(all, w.server(i, func(c *Config) {
			for k := i + 1; k <= n; k++ {
				c.StaticNodes = append(c.StaticNodes, nodeAt(k, privateAddr(k)))
			}
		}))
	}
	w.connected(all, 2*time.Minute)
	return all
}

// connected waits until each has all the others as peers.
func (w *world) connected(all []*testServer, d time.Duration) {
	w.Helper()
	w.eventually(d, "everybody is everybody's peer", func() bool { return connections(all) == len(all)*(len(all)-1)/2 })
}

// watch lets time pass second by second and returns the most dials that one server
// began within one of them.
func (w *world) watch(d time.Duration, all []*testServer) (most uint64) {
	before := make([]uint64, len(all))
	for i, s := range all {
		before[i] = s.Stats().Dials
	}
	for range d / time.Second {
		w.pass(time.Second)
		for i, s := range all {
			now := s.Stats().Dials
			most = max(most, now-before[i])
			before[i] = now
		}
	}
	return most
}

// L2: a minute after a partition of ten minutes everybody has at least four fifths
// of its peers again, and at no time does anybody dial more than five nodes a
// second. So it is with peers that discovery found, and with static nodes at
// whatever point of their back-off the partition ends.
func TestL2Partition(t *testing.T) {
	found := 12
	if raceEnabled {
		found = 6 // discovery for ten minutes is many signatures
	}
	for _, c := range []struct {
		name  string
		start func(w *world, n int) []*testServer
		size  int
		cut   time.Duration
	}{
		{"found", (*world).swarm, found, 10 * time.Minute},
		{"static", (*world).statics, 16, 9 * time.Minute},
	} {
		size := c.size
		if *soak {
			size = 40
		}
		t.Run(fmt.Sprintf("%s %v", c.name, c.cut), func(t *testing.T) {
			inWorld(t, func(w *world) {
				all := c.start(w, size)
				left, right := all[:size/2], all[size/2:]
				pairs(left, right, w.net.Partition)
				during := w.watch(c.cut, all)
				if got, want := connections(all), size/2*(size/2-1); got != want {
					t.Errorf("%d connections during the partition, want %d, those within the halves", got, want)
				}
				pairs(left, right, w.net.Heal)
				after := w.watch(time.Minute, all)
				fewest := size
				for _, s := range all {
					fewest = min(fewest, s.PeerCount())
				}
				t.Logf("a minute after: every server has at least %d of %d peers; at most %d dials a second during the partition, %d after it", fewest, size-1, during, after)
				if fewest*5 < (size-1)*4 {
					t.Errorf("a server has %d of %d peers a minute after the partition, want four fifths", fewest, size-1)
				}
				if during > 5 || after > 5 {
					t.Errorf("a server began %d and %d dials in a second, want at most 5", during, after)
				}
			})
		})
	}
}

// L1: where packets take 200 to 800 ms and a tenth of them gets lost, servers
// become peers and stay it for ten minutes. Where three tenths get lost a
// connection may break, but nobody takes the network's fault for the other's: once
// the network is good, all are peers again within a minute. Lookups in such
// networks are tested in internal/discv4 and internal/discv5.
func TestL1BadNetwork(t *testing.T) {
	for _, loss := range []float64{0.01, 0.1, 0.3} {
		t.Run(fmt.Sprintf("%.0f%%", 100*loss), func(t *testing.T) {
			inWorld(t, func(w *world) {
				const size = 6
				bad := simnet.Link{Delay: 200 * time.Millisecond, Jitter: 600 * time.Millisecond, Loss: loss, Duplicate: 0.05}
				w.net.SetDefaultLink(bad)
				all := w.statics(size)
				var drops []func() []Event
				for _, s := range all {
					drops = append(drops, s.collect())
				}
				w.pass(10 * time.Minute)
				dropped := 0
				for i, s := range all {
					for _, e := range drops[i]() {
						if e.Type != EventDrop {
							continue
						}
						dropped++
						if loss <= 0.1 {
							t.Errorf("a peer was dropped: %v", e.Error)
						}
					}
					for _, o := range all {
						for _, v := range s.Explain(o.Self().ID()).Verdicts {
							if errors.Is(v.Err, peerset.ErrBanned) || errors.Is(v.Err, DiscUselessPeer) || errors.Is(v.Err, DiscProtocolError) || errors.Is(v.Err, DiscSubprotocolError) {
								t.Errorf("what the network did is held against a node: %v", v.Err)
							}
						}
					}
					if bans := s.Bans(); len(bans) > 0 {
						t.Errorf("banned: %v", bans)
					}
				}
				t.Logf("%d of %d ends of connections broke in ten minutes", dropped, size*(size-1))
				w.net.SetDefaultLink(simnet.Link{Delay: 10 * time.Millisecond})
				w.connected(all, time.Minute)
			})
		})
	}
}
