package p2p

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"parley/enode"
	"parley/internal/peerset"
)

// Fewer slots drop nobody unless asked to, and keep others out; more let them in.
func TestSetMaxPeers(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPeers, c.NoDial = 3, true })
		x, y := s.stranger(2).join(), s.stranger(3)
		w.pass(time.Second)
		y.join()
		if err := s.SetMaxPeers(1, false); err != nil || s.PeerCount() != 2 || s.MaxInboundConns() != 1 {
			t.Errorf("SetMaxPeers(1) = %v, %d peers, %d inbound; want 2 peers, 1 inbound", err, s.PeerCount(), s.MaxInboundConns())
		}
		z := s.stranger(4)
		z.exchange(z.hello())
		z.wantReason(DiscTooManyPeers)
		if err := s.SetMaxPeers(1, true); err != nil {
			t.Error(err)
		}
		y.wantReason(DiscTooManyPeers)
		w.pass(time.Second)
		if s.PeerCount() != 1 || !s.Explain(newID(2)).Connected {
			t.Errorf("%d peers, want the one that came first", s.PeerCount())
		}
		if err := s.SetMaxPeers(2, true); err != nil {
			t.Error(err)
		}
		s.stranger(5).join()
		x.fd.Close()
	})
}

// Peers outside of the new networks are disconnected and kept out.
func TestSetNetRestrict(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		inside, outside := w.net.Host(netip.MustParseAddr("10.1.0.1")), w.net.Host(netip.MustParseAddr("10.2.0.1"))
		s.strangerFrom(2, inside).join()
		x := s.strangerFrom(3, outside).join()
		if err := s.SetNetRestrict(netip.Prefix{}); err == nil {
			t.Error("an invalid network is taken")
		}
		if err := s.SetNetRestrict(netip.MustParsePrefix("10.1.0.0/16")); err != nil {
			t.Error(err)
		}
		x.wantReason(DiscRequested)
		w.pass(time.Second)
		if s.PeerCount() != 1 {
			t.Errorf("%d peers, want the one inside", s.PeerCount())
		}
		if v := s.lastVerdict(newID(3)); !errors.Is(v.Err, peerset.ErrRestricted) {
			t.Errorf("verdict on the one outside: %v", v.Err)
		}
		if _, err := s.dialFrom(outside).Read(make([]byte, 1)); err == nil {
			t.Error("somebody outside is let in")
		}
	})
}

// Paused, nobody is dialed; afterwards those who waited are.
func TestPauseDialing(t *testing.T) {
	inWorld(t, func(w *world) {
		b := w.server(2, nil)
		s := &Server{Config: Config{
			PrivateKey: testKey(1), Dialer: simDialer{w.net.Host(privateAddr(1))},
			Protocols: []Protocol{idleProtocol()}, StaticNodes: []*enode.Node{b.node()},
		}}
		if err := s.PauseDialing(true); err != nil { // before Start
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		defer s.Stop()
		w.pass(time.Minute)
		if n := s.Stats().Dials; n != 0 {
			t.Errorf("%d dials while paused", n)
		}
		s.PauseDialing(false)
		w.pass(time.Second)
		if s.PeerCount() != 1 {
			t.Errorf("%d peers after the pause, want 1", s.PeerCount())
		}
	})
}

// SetNetRestrict holds for discovery too, when it is given before Start and at run
// time: nodes outside leave the tables.
func TestSetNetRestrictReachesDiscovery(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finder(1, w.net.Host(netip.MustParseAddr("10.2.0.1")), nil)

		other := w.finder(2, w.net.Host(netip.MustParseAddr("10.1.0.2")), func(c *Config) {
			c.BootstrapNodes = []*enode.Node{first.Self()}
		})
		w.eventually(10*time.Second, "discovery finds the first node", func() bool { return known(other.Server) == 1 })
		if err := other.SetNetRestrict(netip.MustParsePrefix("10.1.0.0/16")); err != nil {
			t.Fatal(err)
		}
		if n := known(other.Server); n != 0 {
			t.Errorf("%d nodes in the tables, want none inside", n)
		}
		host := w.net.Host(netip.MustParseAddr("10.1.0.3"))
		conn, err := host.ListenPacket(30303)
		if err != nil {
			t.Fatal(err)
		}
		early := &Server{Config: Config{
			PrivateKey: testKey(3), DiscConn: conn, Dialer: simDialer{host}, Protocols: []Protocol{idleProtocol()},
			BootstrapNodes: []*enode.Node{first.Self()}, Logger: slog.New(slog.DiscardHandler),
		}}
		if err := early.SetNetRestrict(netip.MustParsePrefix("10.1.0.0/16")); err != nil {
			t.Fatal(err)
		}
		if err := early.Start(); err != nil {
			t.Fatal(err)
		}
		defer early.Stop()
		w.pass(30 * time.Second)
		if n := known(early); n != 0 || conn.Stats().Writes != 0 {
			t.Errorf("%d nodes in the tables, %d packets sent; want none outside and nothing", n, conn.Stats().Writes)
		}
	})
}

// known returns how many nodes are in the tables of discovery.
func known(s *Server) int {
	ids := make(map[enode.ID]bool)
	table := s.Discovery().Table()
	for _, b := range append(table.V4, table.V5...) {
		for _, e := range b.Entries {
			ids[e.Node.ID()] = true
		}
	}
	return len(ids)
}
