package p2p

import (
	"testing"
	"time"

	"parley/internal/simnet"
)

// Two servers that dial each other at the same time end up with exactly one
// connection, whatever the order in which the packets cross: 1,000 rounds with
// random delays. It is there at once, or after one redial.
func TestSimultaneousDialsLeaveOneConnection(t *testing.T) {
	const rounds = 1000
	atOnce := 0
	for round := range rounds {
		inWorld(t, func(w *world) {
			a, b := w.server(2*round, nil), w.server(2*round+1, nil)
			link := simnet.Link{Delay: time.Duration(round%50) * time.Millisecond, Jitter: time.Duration(1+round%7) * 5 * time.Millisecond}
			w.net.SetLink(a.host, b.host, link)
			for _, err := range []error{a.AddPeer(b.node()), b.AddPeer(a.node())} {
				if err != nil {
					t.Fatal(err)
				}
			}
			one := func() bool {
				pa, pb := a.Peers(), b.Peers()
				return len(pa) == 1 && len(pb) == 1 && pa[0].LocalAddr() == pb[0].RemoteAddr() && pa[0].RemoteAddr() == pb[0].LocalAddr()
			}
			w.pass(3 * time.Second)
			if one() {
				atOnce++
			} else {
				w.eventually(redialBound, "one connection between a and b", one)
			}
			kept := a.Peers()[0]
			w.pass(time.Minute)
			if !one() || a.Peers()[0] != kept {
				t.Fatalf("round %d: the connection did not stay", round)
			}
			if n := len(w.net.Conns()); n != 2 {
				t.Fatalf("round %d: %d ends of connections are open, want 2", round, n)
			}
		})
	}
	t.Logf("one connection at once in %d of %d rounds, after a redial in the others", atOnce, rounds)
	if atOnce < rounds*99/100 {
		t.Errorf("one connection at once in %d of %d rounds, want at least 99 %%", atOnce, rounds)
	}
}

// redialBound is the longest that two servers may be without a connection after
// both theirs ended.
const redialBound = 10 * time.Second
