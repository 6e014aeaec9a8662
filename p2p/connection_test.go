package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
)

// Messages of several protocols on one connection come to each with its own
// codes, in both directions and in events, wherever they lie on the wire.
func TestCodesOfSeveralProtocols(t *testing.T) {
	inWorld(t, func(w *world) {
		echo := func(_ *Peer, rw MsgReadWriter) error {
			for {
				m, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				if err := rw.WriteMsg(m); err != nil {
					return err
				}
			}
		}
		s := w.server(1, func(c *Config) {
			c.EnableMsgEvents = true
			c.Protocols = []Protocol{{Name: "z", Version: 1, Length: 2, Run: echo}, {Name: "a", Version: 1, Length: 5, Run: echo}, {Name: "idle", Version: 1, Length: 4, Run: echo}}
		})
		events := s.collect()
		x := s.stranger(2)
		h := x.hello()
		h.Caps = []Cap{{"z", 1}, {"idle", 1}, {"a", 1}}
		x.exchange(h)
		for _, c := range []struct {
			wire  uint64
			proto string
			code  uint64
		}{{0x10, "a", 0}, {0x14, "a", 4}, {0x15, "idle", 0}, {0x18, "idle", 3}, {0x19, "z", 0}, {0x1a, "z", 1}} {
			x.send(c.wire, []byte{0xc0})
			if code, _ := x.next(); code != c.wire {
				t.Errorf("code %#x came back as %#x", c.wire, code)
			}
			all := events()
			for _, e := range all[len(all)-2:] {
				if e.Protocol != c.proto || *e.MsgCode != c.code {
					t.Errorf("code %#x: event %v of %s, code %d; want %s, %d", c.wire, e.Type, e.Protocol, *e.MsgCode, c.proto, c.code)
				}
			}
		}
	})
}

// A node that came to us has no port: the one it used is nobody's to dial.
func TestInboundNodeHasNoPort(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		p := s.Peers()[0]
		if ep, ok := p.Node().TCPEndpoint(); ok {
			t.Errorf("the node can be dialed at %v", ep)
		}
		if got, want := p.RemoteAddr().String(), x.fd.LocalAddr().String(); got != want || p.Node().Addr() != p.RemoteAddr().Addr() {
			t.Errorf("RemoteAddr %v, node's address %v; want %v", got, p.Node().Addr(), want)
		}
	})
}

// A reader that was paused goes on when the protocol takes messages again, and
// nothing is lost by it; what a protocol has taken is no longer counted for the
// connection, released or not.
func TestReaderGoesOnAfterPause(t *testing.T) {
	const messages = 30
	inWorld(t, func(w *world) {
		resume := make(chan struct{})
		got := make(chan int, messages)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(_ *Peer, rw MsgReadWriter) error {
				<-resume
				for {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					got <- m.Size() // and not released
				}
			}
		})
		x := s.stranger(2).join()
		payload := incompressible(50_000)
		go func() {
			for range messages {
				if err := x.send(baseLength, payload); err != nil {
					t.Error(err)
				}
			}
		}()
		w.pass(10 * time.Second)
		p := s.Peers()[0]
		if q := p.in.queued(); q < maxQueued || q > maxQueued+60_000 {
			t.Errorf("%d bytes are queued, want 1 MiB and at most one message", q)
		}
		if held := s.Stats().Buffered; held < maxQueued || held > 3*maxQueued/2 {
			t.Errorf("%d bytes of buffers for a full queue of 1 MiB", held)
		}
		close(resume)
		for i := range messages {
			if n := <-got; n != len(payload) {
				w.Fatalf("message %d has %d bytes, want %d", i, n, len(payload))
			}
		}
		w.pass(time.Second)
		if held, q := s.Stats().Buffered, p.in.queued(); held != 0 || q != 0 {
			t.Errorf("%d bytes of buffers and %d queued after all was taken, want none", held, q)
		}
	})
}

// Empty messages cost something in the queue too: they cannot pile up without
// bound.
func TestEmptyMessagesFillTheQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, _ MsgReadWriter) error { <-p.Context().Done(); return nil }
		})
		x := s.stranger(2)
		h := x.hello()
		h.Version = 4
		x.exchange(h)
		w.pass(20 * time.Millisecond)
		var frames []byte
		for range maxQueued/queuedOverhead + 500 {
			frames, _ = x.conn.AppendMsg(frames, baseLength, nil)
		}
		x.fd.SetWriteDeadline(time.Now().Add(5 * time.Second))
		x.fd.Write(frames)
		w.pass(time.Second)
		r := s.Peers()[0].run[0]
		if n, most := len(r.queue.msgs), maxQueued/queuedOverhead; n != most {
			t.Errorf("%d empty messages are queued, want %d", n, most)
		}
		x.fd.Close()
	})
}

// Whoever says goodbye is not answered.
func TestDisconnectIsNotAnswered(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		w.pass(100 * time.Millisecond)
		before := s.Stats().BytesOut
		began := time.Now()
		x.send(codeDisconnect, appendDisconnect(nil, DiscQuitting))
		if o := untilClosed(x.fd, began); o.after != hangs {
			t.Errorf("closed after %v, want %v", o.after, hangs)
		}
		if n := s.Stats().BytesOut - before; n != 0 {
			t.Errorf("%d bytes answered, want none", n)
		}
	})
}

// Explain tells that the other side said it.
func TestRefusalByRemoteIsNamed(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		s.stranger(2).send(codeDisconnect, appendDisconnect(nil, DiscTooManyPeers))
		w.pass(time.Second)
		if got, want := s.lastVerdict(newID(2)).Err.Error(), "they said: too many peers"; got != want {
			t.Errorf("verdict %q, want %q", got, want)
		}
	})
}

// Bytes behind the Hello of somebody who is refused are given back with the rest.
func TestRefusedLeavesNoBuffers(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		f := s.forge(50, nil)
		h := &Hello{Version: 5, Name: strings.Repeat("x", 1000), Caps: []Cap{{"other", 1}}, PublicKey: testKey(50).Public()}
		hello, _ := h.append([]byte{0x80})
		f.fd.Write(append(f.sound(hello), make([]byte, 3000)...))
		untilClosed(f.fd, time.Now())
		f.fd.Close()
		if v := s.lastVerdict(newID(50)); !errors.Is(v.Err, DiscUselessPeer) {
			t.Errorf("verdict %v, want useless peer", v.Err)
		}
		s.wantNothingHeld()
	})
}

// A watcher is a log that looks at the Server when a peer was dropped.
type watcher struct {
	s     *Server
	mu    sync.Mutex
	peers []int
}

func (h *watcher) Enabled(context.Context, slog.Level) bool { return true }
func (h *watcher) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *watcher) WithGroup(string) slog.Handler            { return h }
func (h *watcher) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "Peer dropped" {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.peers = append(h.peers, h.s.PeerCount())
	}
	return nil
}

// When a drop is told, the peer is no longer among the peers.
func TestDropIsToldAfterRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		h := new(watcher)
		s := w.server(1, func(c *Config) { c.Logger = slog.New(h) })
		h.s = s.Server
		events := s.collect()
		s.stranger(2).join().fd.Close()
		w.pass(time.Second)
		if len(events()) != 2 || fmt.Sprint(h.peers) != "[0]" {
			t.Errorf("peers at the time of each drop: %v, want [0]", h.peers)
		}
	})
}

// When dials cross and one connection replaces the other, no protocol sees both
// at once, however long its Run takes to return; one drop, for already connected,
// comes before the second add, and the connection that stays is in its place.
func TestReplacedConnectionEndsFirst(t *testing.T) {
	replaced := 0
	for round := range 30 {
		inWorld(t, func(w *world) {
			var mu sync.Mutex
			now, most := map[string]int{}, 0
			slow := func(p *Peer, rw MsgReadWriter) error {
				who := p.LocalAddr().Addr().String()
				mu.Lock()
				now[who]++
				most = max(most, now[who])
				mu.Unlock()
				<-p.Context().Done()
				rest(300 * time.Millisecond) // virtual time
				mu.Lock()
				now[who]--
				mu.Unlock()
				return errors.New("done")
			}
			run := func(c *Config) { c.Protocols[0].Run = slow }
			a, b := w.server(2*round, run), w.server(2*round+1, run)
			w.net.SetLink(a.host, b.host, simnet.Link{Delay: 10 * time.Millisecond, Jitter: 15 * time.Millisecond})
			told := []func() []Event{a.collect(), b.collect()}
			a.AddPeer(b.node())
			b.AddPeer(a.node())
			w.pass(3 * time.Second)
			before := replaced
			for _, events := range told {
				var types []string
				for _, e := range events() {
					types = append(types, string(e.Type))
					if e.Type == EventDrop && e.Reason == DiscAlreadyConnected && !e.ByRemote {
						replaced++
					}
				}
				for i, s := range types {
					if want := []string{"add", "drop"}[i%2]; s != want {
						t.Errorf("round %d: events %s, want add and drop in turn", round, strings.Join(types, " "))
						break
					}
				}
			}
			if most != 1 {
				t.Errorf("round %d: %d connections with one node ran at once", round, most)
			}
			if a.PeerCount() != 1 || b.PeerCount() != 1 {
				t.Errorf("round %d: %d and %d peers, want 1 each", round, a.PeerCount(), b.PeerCount())
				return
			}
			lower := a
			if newID(2*round).Compare(newID(2*round+1)) > 0 {
				lower = b
			}
			if replaced > before && lower.Peers()[0].Inbound() {
				t.Errorf("round %d: what stayed was not dialed by the lower ID", round)
			}
		})
	}
	if replaced == 0 {
		t.Error("no connection was replaced in any round")
	}
	t.Logf("%d connections were replaced", replaced)
}

// After Disconnect nothing follows: what protocols still write is refused at once,
// and what they had written goes out before it.
func TestNothingFollowsDisconnect(t *testing.T) {
	inWorld(t, func(w *world) {
		rws := make(chan MsgReadWriter, 1)
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(rws) })
		x := s.stranger(2).join()
		rw, p := <-rws, s.Peers()[0]
		x.deaf()
		w.pass(100 * time.Millisecond)
		for range 2 {
			if missed := s.Broadcast(Outgoing{"idle", 1, []byte{0xc0}}, []*Peer{p}); missed != nil {
				w.Fatal(missed[0].Err)
			}
		}
		synctest.Wait()
		p.Disconnect(DiscUselessPeer)
		synctest.Wait()
		began := time.Now()
		if err := rw.WriteMsg(Msg{Code: 2, Payload: []byte{0xc0}}); err == nil || time.Since(began) != 0 {
			t.Errorf("WriteMsg = %v after %v, want an error at once", err, time.Since(began))
		}
		if missed := s.Broadcast(Outgoing{"idle", 2, []byte{0xc0}}, []*Peer{p}); len(missed) != 1 {
			t.Errorf("Broadcast missed %v, want the peer", missed)
		}
		x.hear()
		var codes []uint64
		for {
			m, err := x.conn.ReadMsg()
			if err != nil {
				break
			}
			codes = append(codes, m.Code)
		}
		if fmt.Sprint(codes) != fmt.Sprint([]uint64{baseLength + 1, baseLength + 1, codeDisconnect}) {
			t.Errorf("codes %#x arrived, want two messages and a Disconnect", codes)
		}
	})
}

// When we end a connection, the messages that no protocol took go back with their
// buffers.
func TestUntakenMessagesAreGivenBack(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, _ MsgReadWriter) error { <-p.Context().Done(); return nil }
		})
		x := s.stranger(2).join()
		x.send(baseLength, incompressible(100_000))
		x.send(baseLength, incompressible(100_000))
		w.pass(time.Second)
		if held := s.Stats().Buffered; held < 200_000 {
			t.Errorf("%d bytes of buffers for two messages of 100 KB", held)
		}
		s.Peers()[0].Disconnect(DiscUselessPeer)
		s.wantNothingHeld()
	})
}

// An inbox that held a burst lets go of the room for it.
func TestInboxAfterBurst(t *testing.T) {
	run := match([]Protocol{idleProtocol()}, []Cap{{"idle", 1}})
	var in intake
	in.init(run)
	q := &run[0].queue
	for range 1000 {
		in.put(q, &Msg{})
	}
	var m Msg
	for range 1000 {
		in.pop(q, &m)
	}
	if n := cap(q.msgs); n > 64 || in.queued() != 0 {
		t.Errorf("room for %d messages, %d bytes counted; want at most 64, none", n, in.queued())
	}
}

// A connection that is older than five seconds does not give way to one in the
// other direction, whatever the IDs: that is refused.
func TestOldConnectionStays(t *testing.T) {
	for n := 2; n < 10; n++ { // IDs below and above ours
		inWorld(t, func(w *world) {
			b := w.server(n, func(c *Config) { c.NoDial = true })
			s := w.dialing(nil, b.node())
			w.pass(5 * time.Second)
			kept := s.Peers()[0]
			x := s.stranger(n)
			x.exchange(x.hello())
			x.wantReason(DiscAlreadyConnected)
			w.pass(time.Second)
			if ps := s.Peers(); len(ps) != 1 || ps[0] != kept {
				t.Errorf("peers %v, want the one that was there", ps)
			}
		})
	}
}

// Stats counts the bytes of all connections, both ways.
func TestStatsCountBytes(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		x.send(baseLength, incompressible(10_000))
		x.send(codePing, emptyList[:])
		w.pass(time.Second)
		conn, st := s.serverEnd().Stats(), s.Stats()
		if st.BytesIn != uint64(conn.BytesRead) || st.BytesOut != uint64(conn.BytesWritten) || st.BytesIn < 10_000 || st.BytesOut < 300 {
			t.Errorf("%d bytes in, %d out; the connection has read %d and written %d", st.BytesIn, st.BytesOut, conn.BytesRead, conn.BytesWritten)
		}
	})
}

// Whoever ends its Hello after Stop has begun does not become a peer.
func TestNobodyEntersAfterStop(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		s.Stop()
		p := NewPeer(nodeAt(2, privateAddr(2)), "late", nil)
		if err := s.enter(&link{fd: new(stream)}, p); !errors.Is(err, DiscQuitting) || s.PeerCount() != 0 {
			t.Errorf("enter = %v with %d peers, want client quitting and none", err, s.PeerCount())
		}
	})
}
