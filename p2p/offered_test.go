package p2p

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/enode"
	"parley/enr"
)

// late is a protocol that is added later, with two attributes.
func late() Protocol {
	p := idleProtocol()
	p.Name, p.Attributes = "late", []enr.Entry{enr.With("late", uint64(7)), enr.With("both", uint64(7))}
	return p
}

// runsWith returns the names of the protocols that run with a node, sorted.
func (s *testServer) runsWith(other *testServer) string {
	for _, p := range s.Peers() {
		if p.ID() == other.Self().ID() {
			return strings.Join(slices.Sorted(maps.Keys(p.Info().Protocols)), " ")
		}
	}
	return "no peer"
}

// wantRuns checks what runs between two servers, on both sides.
func (s *testServer) wantRuns(other *testServer, want string) {
	s.w.Helper()
	s.w.eventually(time.Minute, "they are peers", func() bool { return s.runsWith(other) != "no peer" && other.runsWith(s) != "no peer" })
	if a, b := s.runsWith(other), other.runsWith(s); a != want || b != want {
		s.w.Errorf("they run %q and %q, want %q", a, b, want)
	}
}

// wantKeys checks which of the attributes of the tests are in the record.
func (s *testServer) wantKeys(want ...string) {
	s.w.Helper()
	var got []string
	for _, key := range []string{"both", "first", "late"} {
		var v uint64
		if s.Self().Record().Load(enr.With(key, &v)) == nil {
			got = append(got, key)
		}
	}
	if !slices.Equal(got, want) {
		s.w.Errorf("the record has %v, want %v", got, want)
	}
}

// A protocol that is added is negotiated with who connects from then on, and by a peer
// that connects again; a peer that stays keeps what it runs. One that is removed is
// negotiated no more, and goes on where it runs. Hello, record and NodeInfo follow.
func TestProtocolsAtRunTime(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Attributes = []enr.Entry{enr.With("first", uint64(1)), enr.With("both", uint64(1))}
		})
		connect := func(n int) *testServer {
			return w.server(n, func(c *Config) {
				c.Protocols, c.StaticNodes = append(c.Protocols, late()), []*enode.Node{s.node()}
			})
		}
		old := connect(2)
		s.wantRuns(old, "idle")

		if err := s.AddProtocol(late()); err != nil {
			t.Fatal(err)
		}
		s.wantKeys("both", "first", "late")
		if s.NodeInfo().Protocols["late"] == nil {
			t.Error("NodeInfo does not have the protocol that was added")
		}
		s.wantRuns(connect(3), "idle late")
		w.pass(time.Minute)
		s.wantRuns(old, "idle")
		s.Peers()[slices.IndexFunc(s.Peers(), func(p *Peer) bool { return p.ID() == newID(2) })].Disconnect(DiscRequested)
		w.pass(5 * time.Minute)
		s.wantRuns(old, "idle late")

		if err := s.RemoveProtocol(Cap{"late", 1}); err != nil {
			t.Fatal(err)
		}
		s.wantKeys("both", "first")
		if s.NodeInfo().Protocols["late"] != nil {
			t.Error("NodeInfo has the protocol that was removed")
		}
		s.wantRuns(connect(4), "idle")
		w.pass(time.Minute)
		s.wantRuns(old, "idle late")
		if err := s.RemoveProtocol(Cap{"idle", 1}); err != nil {
			t.Fatal(err)
		}
		s.wantKeys()
		x := s.stranger(5)
		x.exchange(x.hello())
		x.wantReason(DiscUselessPeer)
	})
}

// A connection runs what our Hello offered it, whatever was added or removed before
// theirs came.
func TestProtocolsDuringHello(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2)
		w.pass(time.Second) // our Hello is out
		if err := errors.Join(s.AddProtocol(late()), s.RemoveProtocol(Cap{"idle", 1})); err != nil {
			t.Fatal(err)
		}
		h := x.hello()
		h.Caps = append(h.Caps, Cap{"late", 1})
		x.exchange(h)
		w.pass(time.Second)
		if peers := s.PeersInfo(); len(peers) != 1 || len(peers[0].Protocols) != 1 || peers[0].Protocols["idle"] == nil {
			t.Errorf("the peer runs %+v, want idle alone", peers)
		}
	})
}

// What cannot be offered is an error that changes nothing.
func TestProtocolsThatCannotBeOffered(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		before := s.Self()
		for what, change := range map[string]func(p *Protocol){
			"has no message codes": func(p *Protocol) { p.Length = 0 },
			"has no Run":           func(p *Protocol) { p.Run = nil },
			"printable ASCII":      func(p *Protocol) { p.Name = "much too long" },
			"offered already":      func(p *Protocol) { p.Name = "idle" },
			"300":                  func(p *Protocol) { p.Attributes = []enr.Entry{enr.With("x", strings.Repeat("x", 300))} },
		} {
			p := late()
			change(&p)
			if err := s.AddProtocol(p); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("AddProtocol = %v, want an error that says %q", err, what)
			}
		}
		if err := s.AddProtocol(idleProtocol()); !errors.Is(err, ErrProtocolOffered) {
			t.Errorf("the same again: %v", err)
		}
		if err := s.RemoveProtocol(Cap{"idle", 2}); !errors.Is(err, ErrProtocolNotOffered) {
			t.Errorf("another version is removed: %v", err)
		}
		if len(s.NodeInfo().Protocols) != 1 || s.Self() != before {
			t.Errorf("what failed has changed something: %v, record %d", s.NodeInfo().Protocols, s.Self().Seq())
		}
		for n := uint(1); n < maxCaps; n++ {
			p := late()
			if p.Version = n; n == 1 {
				p.Attributes = nil
			}
			if err := s.AddProtocol(p); err != nil {
				t.Fatal(err)
			}
		}
		p := late()
		if p.Version = 99; s.AddProtocol(p) == nil {
			t.Errorf("%d capabilities are offered", maxCaps+1)
		}
		s.Stop()
		if a, b := s.AddProtocol(p), s.RemoveProtocol(p.Cap()); !errors.Is(a, ErrStopped) || !errors.Is(b, ErrStopped) {
			t.Errorf("after Stop: %v, %v", a, b)
		}
	})
}

// Given before Start, changes are kept until then; one that cannot be is Start's error.
func TestProtocolsBeforeStart(t *testing.T) {
	inWorld(t, func(w *world) {
		s := &Server{Config: Config{PrivateKey: testKey(1), NoDial: true}}
		if err := errors.Join(s.AddProtocol(late()), s.AddProtocol(idleProtocol()), s.RemoveProtocol(Cap{"idle", 1})); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		(&testServer{Server: s, w: w}).wantKeys("both", "late")
		if got := s.NodeInfo().Protocols; len(got) != 1 || got["late"] == nil {
			t.Errorf("offered: %v, want late", got)
		}
		s.Stop()
		s = &Server{Config: Config{PrivateKey: testKey(1), NoDial: true}}
		if err := s.RemoveProtocol(Cap{"idle", 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); !errors.Is(err, ErrProtocolNotOffered) {
			t.Errorf("Start = %v", err)
		}
		s.Stop()
	})
}

// The nodes that a protocol names are dialed from when it is added until it is
// removed, and the filters of those that are offered count.
func TestProtocolSourcesAtRunTime(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprint("before Start ", early), func(t *testing.T) {
			inWorld(t, func(w *world) {
				first, second, third := w.server(11, nil), w.server(12, nil), w.server(13, nil)
				next := make(chan *enode.Node, 1)
				ended := 0
				p := late()
				p.DialCandidates = func(ctx context.Context) iter.Seq[*enode.Node] {
					return func(yield func(*enode.Node) bool) {
						for {
							select {
							case n := <-next:
								if !yield(n) {
									return
								}
							case <-ctx.Done():
								ended++
								return
							}
						}
					}
				}
				p.Filter = func(n *enode.Node) error {
					if n.ID() == second.Self().ID() {
						return errors.New("not this one")
					}
					return nil
				}
				var s *testServer
				if early {
					s = w.server(1, func(c *Config) { c.Protocols = append(c.Protocols, p) })
				} else {
					s = w.server(1, nil)
					if err := s.AddProtocol(p); err != nil {
						t.Fatal(err)
					}
				}
				next <- first.node()
				s.wantRuns(first, "idle")
				next <- second.node()
				w.pass(time.Minute)
				if got := s.runsWith(second); got != "no peer" {
					t.Errorf("the filter refused it, and it runs %q", got)
				}
				if err := s.PauseDialing(true); err != nil {
					t.Fatal(err)
				}
				if err := s.RemoveProtocol(p.Cap()); err != nil {
					t.Fatal(err)
				}
				w.pass(time.Second)
				if ended != 1 {
					t.Errorf("%d sources have ended, want the one of the protocol", ended)
				}
				if err := s.PauseDialing(false); err != nil {
					t.Fatal(err)
				}
				next <- third.node()
				w.pass(time.Minute)
				if len(next) == 0 {
					t.Error("the source is still asked")
				}
				p.Filter = nil
				if err := s.AddProtocol(p); err != nil {
					t.Fatal(err)
				}
				s.wantRuns(third, "idle")
			})
		})
	}
}
