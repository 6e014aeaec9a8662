package p2p

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"parley/enode"
)

// A node that cannot be dialed, or turns out to be of no use, falls in the database; one
// that is a peer, is full, or was not tried because of something here does not.
func TestScoreFallsWithDials(t *testing.T) {
	for _, c := range []struct {
		name  string
		node  func(w *world, s *testServer) *enode.Node
		score int // of 100; a failure halves it
	}{
		{"a peer", func(w *world, _ *testServer) *enode.Node { return w.server(2, nil).node() }, 100},
		{"nobody listens", func(w *world, _ *testServer) *enode.Node {
			return nodeAt(2, w.net.Host(privateAddr(2)).Addr())
		}, 50},
		{"no such host", func(*world, *testServer) *enode.Node { return nodeAt(2, privateAddr(2)) }, 50},
		{"another key", func(w *world, _ *testServer) *enode.Node { return nodeAt(2, w.server(3, nil).host.Addr()) }, 50},
		{"other protocols", func(w *world, _ *testServer) *enode.Node {
			return w.server(2, func(c *Config) { c.Protocols[0].Name = "other" }).node()
		}, 50},
		{"another network", func(w *world, _ *testServer) *enode.Node {
			return w.server(2, func(c *Config) {
				c.Protocols[0].Run = func(*Peer, MsgReadWriter) error { return errors.New("another genesis") }
			}).node()
		}, 50},
		{"full", func(w *world, _ *testServer) *enode.Node {
			return w.server(2, func(c *Config) { c.MaxPeers = -1 }).node()
		}, 100},
		{"not permitted", func(w *world, s *testServer) *enode.Node {
			if err := s.SetNetRestrict(netip.MustParsePrefix("10.0.0.1/32")); err != nil {
				t.Fatal(err)
			}
			return w.server(2, nil).node()
		}, 100},
		{"no way there", func(*world, *testServer) *enode.Node {
			return nodeAt(2, netip.MustParseAddr("fd00::2"))
		}, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := w.server(1, nil)
				n := c.node(w, s)
				for range 100 {
					s.db.Proven(time.Now(), n, netip.AddrPortFrom(n.Addr(), 30303))
				}
				if err := s.AddPeer(n); err != nil {
					t.Fatal(err)
				}
				w.pass(20 * time.Second) // for one dial
				if e, _ := s.db.Get(n.ID()); e.Score != c.score {
					t.Errorf("its score is %d, want %d; %v", e.Score, c.score, s.Explain(n.ID()).Verdicts)
				}
			})
		})
	}
}

// A host without a way to one of a node's families says nothing of the node, unless the
// other family was tried and failed.
func TestNoWay(t *testing.T) {
	local, remote := error(syscall.ENETUNREACH), error(syscall.ECONNREFUSED)
	for _, c := range []struct {
		err  error
		want bool
	}{
		{local, true},
		{remote, false},
		{unreached{{err: local}, {err: local}}, true},
		{unreached{{err: local}, {err: remote}}, false},
	} {
		if got := noWay(&SetupError{Step: StepDial, Err: c.err}); got != c.want {
			t.Errorf("noWay(%v) = %v, want %v", c.err, got, c.want)
		}
	}
}
