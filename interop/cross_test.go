//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sync"
	"testing"
	"time"

	"parley/eth"
	"parley/interop/nodes"
	"parley/p2p"
)

const (
	crossDials = 50 // node IDs are random, so either side's is lower in about half of them
	atOnce     = 5  // at the same time, all with one geth

	// crossRedial bounds the time without a connection. When each side has refused
	// the connection that the other one kept, parley dials again after 9 s at most;
	// geth would after half a minute.
	crossRedial = 20 * time.Second
)

// When geth and parley dial each other at the same moment, exactly one connection
// stays. If each side refused the one that the other kept, the next dial makes it.
func TestCrossDials(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth := startGeth(t, "geth", network, func(o *nodes.GethOptions) { o.MaxPeers = 2 * crossDials })
	atGeth := geth.Watch()

	var mu sync.Mutex
	var took []time.Duration
	t.Run("all", func(t *testing.T) {
		for i := range atOnce {
			t.Run(fmt.Sprint("lane", i), func(t *testing.T) {
				t.Parallel()
				for n := i; n < crossDials; n += atOnce {
					// From one side 1 ms earlier to the other side 1 ms earlier.
					skew := time.Duration(n%11-5) * 200 * time.Microsecond
					d := crossDial(t, network, geth, atGeth, skew)
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
			})
		}
	})
	if len(took) != crossDials {
		t.Fatalf("%d of %d cross-dials done", len(took), crossDials)
	}
	slices.Sort(took)
	late := 0
	for _, d := range took {
		if d > time.Second {
			late++
		}
	}
	t.Logf("%d cross-dials: median %v, longest %v, %d took more than 1s", len(took), took[len(took)/2], took[len(took)-1], late)
}

// crossDial has a new parley and geth dial each other and returns the time until
// there was the connection that stays.
func crossDial(t *testing.T, network nodes.Network, geth *nodes.Geth, atGeth *nodes.Watch, skew time.Duration) time.Duration {
	t.Helper()
	lib := startLibrary(t, network, eth.Handler{})
	defer lib.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	var drops []p2p.Event // owned by the goroutine until it has ended
	events := lib.Events(ctx)
	var follow sync.WaitGroup
	follow.Go(func() {
		for e := range events {
			if e.Type == p2p.EventDrop {
				drops = append(drops, e)
			}
		}
	})

	began := time.Now()
	var dials sync.WaitGroup
	var errs [2]error
	dials.Go(func() { <-time.After(max(skew, 0)); errs[0] = lib.dial(geth.Node) })
	dials.Go(func() { <-time.After(max(-skew, 0)); errs[1] = geth.TryCall(nil, "admin_addPeer", lib.url()) })
	dials.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}

	// The connection that both show and that is still there half a second later is
	// the one that stays: both have refused the other one by then.
	var one nodes.Peer
	var since time.Time
	nodes.Wait(t, crossRedial, "geth and parley keep one connection", func() bool {
		p, _, ok := geth.EthPeer(lib.id())
		mine := lib.PeersInfo()
		same := ok && len(mine) == 1 && mine[0].Network.LocalAddress == p.Network.RemoteAddress
		if !same || p.Network != one.Network {
			one, since = p, time.Now()
			return false
		}
		return time.Since(since) > 500*time.Millisecond
	})
	stats := lib.Stats()
	if stats.Peers != 1 || stats.PendingIn != 0 || stats.PendingOut != 0 {
		t.Errorf("parley has %d peers, %d and %d handshakes in flight; want 1, 0 and 0", stats.Peers, stats.PendingIn, stats.PendingOut)
	}

	geth.RemovePeer(lib.url())
	lib.Stop()
	cancel()
	follow.Wait()
	adds := atGeth.Events("add", lib.id())
	t.Logf("skew %v: one connection after %v, dialed by parley: %v; parley dropped %d, geth added %d", skew, since.Sub(began), one.Network.Inbound, len(drops), len(adds))
	return since.Sub(began)
}
