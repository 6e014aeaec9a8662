package p2p

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/enode"
)

// A ban ends the connections that it meets and keeps the node out, until it is
// lifted or over; Explain says so.
func TestBan(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		host := w.net.Host(privateAddr(1002))
		for name, b := range map[string]Ban{
			"a node":    {ID: newID(2), Until: time.Now().Add(time.Hour), Why: "test"},
			"a network": {Net: netip.PrefixFrom(privateAddr(1002), 32)},
		} {
			x := s.strangerFrom(2, host).join()
			if err := s.Ban(b); err != nil {
				t.Fatalf("%s: Ban = %v", name, err)
			}
			x.wantReason(DiscUselessPeer)
			if b.ID == newID(2) {
				again := s.strangerFrom(2, host)
				again.exchange(again.hello())
				again.wantReason(DiscUselessPeer)
				e := s.Explain(newID(2))
				if v := e.Verdicts[len(e.Verdicts)-1]; v.Gate != GateBan || e.Ban == nil || !strings.Contains(e.Advice, "It is banned") {
					t.Errorf("%s: gate %s, ban %v, advice %q", name, v.Gate, e.Ban, e.Advice)
				}
			} else {
				fd := s.dialFrom(host)
				if _, err := fd.Read(make([]byte, 1)); err == nil {
					t.Errorf("%s: the connection is not closed at once", name)
				}
				if s.Stats().Refused[GateBan] == 0 {
					t.Errorf("%s: the refusal is not counted", name)
				}
			}
			if bans := s.Bans(); len(bans) != 1 || bans[0].Why != b.Why {
				t.Errorf("%s: Bans = %v", name, bans)
			}
			if err := s.Unban(b.ID, b.Net); err != nil {
				t.Errorf("%s: Unban = %v", name, err)
			}
			if err := s.Unban(b.ID, b.Net); !errors.Is(err, ErrNotBanned) {
				t.Errorf("%s: second Unban = %v, want ErrNotBanned", name, err)
			}
			w.pass(time.Second)
			y := s.strangerFrom(2, host).join()
			y.fd.Close()
			w.pass(time.Second)
		}
		if err := s.Ban(Ban{}); !errors.Is(err, ErrBadBan) {
			t.Errorf("Ban of nothing = %v, want ErrBadBan", err)
		}
	})
}

// Points that a protocol holds against a peer lead to a ban; a trusted peer has none.
func TestPenalize(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.TrustedNodes = []*enode.Node{nodeAt(3, privateAddr(3))} })
		x, trusted := s.stranger(2).join(), s.stranger(3).join()
		for _, p := range s.Peers() {
			p.Penalize(BanPoints*0.6, "a mistake")
		}
		w.pass(time.Second)
		if s.PeerCount() != 2 || s.Explain(newID(2)).Points < BanPoints*0.59 {
			t.Fatalf("%d peers, %v points after the first mistake", s.PeerCount(), s.Explain(newID(2)).Points)
		}
		for _, p := range s.Peers() {
			p.Penalize(BanPoints*0.6, "another mistake")
		}
		x.wantReason(DiscUselessPeer)
		w.pass(time.Second)
		if bans := s.Bans(); len(bans) != 1 || bans[0].ID != newID(2) || !bans[0].Earned || bans[0].Why != "another mistake" || time.Until(bans[0].Until) > time.Hour {
			t.Errorf("Bans = %+v, want the stranger for an hour", bans)
		}
		if s.PeerCount() != 1 || !s.Explain(newID(3)).Connected {
			t.Error("the trusted peer has gone")
		}
		trusted.fd.Close()
	})
	NewPeer(nodeAt(2, privateAddr(2)), "test", nil).Penalize(BanPoints, "it has no server")
}

// Bans, points and anchors survive a restart. Anchors are dialed without any source.
func TestKeepOverRestart(t *testing.T) {
	database := filepath.Join(t.TempDir(), "nodes.db")
	inWorld(t, func(w *world) {
		var nodes []*enode.Node
		for n := 10; n < 13; n++ {
			nodes = append(nodes, w.server(n, nil).node())
		}
		host := w.net.Host(privateAddr(1))
		start := func(configure func(*Config)) *testServer {
			listener, err := host.Listen(30303)
			if err != nil {
				t.Fatal(err)
			}
			return w.serverOn(1, host, listener, func(c *Config) {
				c.NodeDatabase = database
				if configure != nil {
					configure(c)
				}
			})
		}
		s := start(func(c *Config) {
			c.Protocols[0].DialCandidates = func(context.Context) iter.Seq[*enode.Node] {
				return func(yield func(*enode.Node) bool) {
					for _, n := range nodes {
						if !yield(n) {
							return
						}
					}
				}
			}
		})
		w.eventually(time.Minute, "three peers are dialed", func() bool { return s.PeerCount() == 3 })
		if err := s.Ban(Ban{Net: netip.MustParsePrefix("10.9.0.0/16"), Why: "test"}); err != nil {
			t.Errorf("Ban = %v", err)
		}
		banned := s.Peers()[0]
		banned.Penalize(BanPoints, "test")
		s.Peers()[1].Penalize(30, "test")
		other := s.Peers()[1].ID()
		w.pass(time.Second)
		s.Stop()

		s = start(nil)
		if bans := s.Bans(); len(bans) != 2 || bans[0].ID != banned.ID() || bans[1].Net.String() != "10.9.0.0/16" || bans[1].Why != "test" {
			t.Errorf("Bans after the restart = %v", bans)
		}
		if p := s.Explain(other).Points; p < 29 || p > 30 {
			t.Errorf("%v points after the restart, want 30", p)
		}
		w.eventually(time.Minute, "the anchors are peers", func() bool { return s.PeerCount() == 2 })
		if f := s.Stats().Sources["anchor"]; f.Dialed != 2 || f.Connected != 2 || f.Hello != 2 || f.Peer != 2 {
			t.Errorf("funnel of the anchors = %+v", f)
		}
		s.Stop()
	})
}

// A ban that could not be stored holds, and whoever asked for it is told.
func TestBanNotStored(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.NodeDatabase = filepath.Join(file, "nodes.db") })
		if err := s.Ban(Ban{ID: newID(2)}); !errors.Is(err, ErrBanNotStored) {
			t.Errorf("Ban = %v, want ErrBanNotStored", err)
		}
		if len(s.Bans()) != 1 {
			t.Error("the ban does not hold")
		}
	})
}

// Whoever fills the inbound slots from one network gives way to peers from others,
// and is told why.
func TestInboundGivesWay(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.serverAt(1, netip.MustParseAddr("81.1.1.1"), func(c *Config) { c.MaxPeers, c.NoDial = 8, true })
		var crowd []*testServer
		to := func(n int, addr string) *testServer {
			return w.serverAt(n, netip.MustParseAddr(addr), func(c *Config) { c.StaticNodes = []*enode.Node{s.node()} })
		}
		for i := range 8 {
			crowd = append(crowd, to(10+i, fmt.Sprintf("90.9.9.%d", i+1)))
		}
		w.pass(3 * time.Minute)
		if s.PeerCount() != 8 {
			t.Fatalf("%d peers, want the 8 of one network", s.PeerCount())
		}
		late := to(30, "90.9.9.30")
		w.pass(time.Second)
		if late.PeerCount() != 0 {
			t.Error("a ninth one of the network is a peer")
		}
		to(50, "82.1.1.1")
		w.pass(time.Second)
		if s.PeerCount() != 8 || !s.Explain(newID(50)).Connected {
			t.Errorf("%d peers, of which the one of another network is one: %v", s.PeerCount(), s.Explain(newID(50)).Connected)
		}
		gone := 0
		for i, c := range crowd {
			if c.PeerCount() == 1 {
				continue
			}
			gone++
			if v := c.lastVerdict(newID(1)); !errors.Is(v.Err, DiscTooManyPeers) {
				t.Errorf("who gave way was told %v", v.Err)
			}
			if e := s.Explain(newID(10 + i)); !errors.Is(e.Verdicts[0].Err, errGaveWay) && !strings.Contains(e.Verdicts[0].Err.Error(), "gave way") {
				t.Errorf("verdicts on it: %v", e.Verdicts)
			}
		}
		if gone != 1 {
			t.Errorf("%d peers gave way, want one", gone)
		}
		to(51, "83.1.1.1")
		w.pass(time.Second)
		if s.Explain(newID(51)).Connected {
			t.Error("another one gave way within a minute")
		}
	})
}
