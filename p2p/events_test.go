package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"parley/rlp"
)

// Events of one connection, with messages, in their order and as JSON: the names
// and forms of the admin API's peerEvents.
func TestEventsAsJSON(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.EnableMsgEvents = true
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				for {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					if err := rw.WriteMsg(Msg{Code: m.Code + 1, Payload: []byte{0xc1, 5}}); err != nil {
						return err
					}
					p.srv.Broadcast(Outgoing{"idle", 2, []byte{0xc0}}, []*Peer{p})
				}
			}
		})
		events := s.collect()
		x := s.stranger(2).join()
		x.send(baseLength, rlp.AppendBytes(nil, make([]byte, 300)))
		w.pass(time.Second)
		x.send(codeDisconnect, appendDisconnect(nil, DiscTooManyPeers))
		w.pass(time.Second)

		where := fmt.Sprintf(`"local":"10.0.0.1:30303","remote":"%v"}`, x.fd.LocalAddr())
		head := fmt.Sprintf(`"peer":"%v",`, newID(2))
		want := []string{
			`{"type":"add",` + head + where,
			`{"type":"msgrecv",` + head + `"protocol":"idle","msg_code":0,"msg_size":303,` + where,
			`{"type":"msgsend",` + head + `"protocol":"idle","msg_code":1,"msg_size":2,` + where,
			`{"type":"msgsend",` + head + `"protocol":"idle","msg_code":2,"msg_size":1,` + where,
			`{"type":"drop",` + head + `"error":"too many peers (said by the other side)",` + where,
		}
		got := events()
		if len(got) != len(want) {
			w.Fatalf("%d events: %+v; want %d", len(got), got, len(want))
		}
		for i, e := range got {
			b, err := json.Marshal(e)
			if err != nil || string(b) != want[i] {
				t.Errorf("event %d: %s, %v\nwant %s", i, b, err, want[i])
			}
			if e.Time.IsZero() || !e.Inbound || e.Name != "stranger" {
				t.Errorf("event %d: time %v, inbound %v, name %q", i, e.Time, e.Inbound, e.Name)
			}
		}
	})
}

// Without EnableMsgEvents there are add and drop only. The drop tells the reason,
// who asked for it, and the cause.
func TestDropEvents(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name   string
		end    func(*testServer, *stranger)
		reason DiscReason
		remote bool
		text   string
		cause  error
	}{
		{"they said so", func(_ *testServer, x *stranger) { x.send(codeDisconnect, []byte{0xc1, 8}) },
			DiscQuitting, true, "client quitting (said by the other side)", DiscQuitting},
		{"they closed", func(_ *testServer, x *stranger) { x.fd.Close() },
			DiscNetworkError, false, "network error: connection closed: EOF", io.EOF},
		{"we said so", func(s *testServer, _ *stranger) { s.Peers()[0].Disconnect(DiscUselessPeer) },
			DiscUselessPeer, false, "useless peer", DiscUselessPeer},
		{"we said why", func(s *testServer, _ *stranger) { s.Peers()[0].DisconnectError(DiscUselessPeer, boom) },
			DiscUselessPeer, false, "useless peer: boom", boom},
		{"the operator", func(s *testServer, x *stranger) { s.RemovePeer(nodeAt(2, privateAddr(2))) },
			DiscRequested, false, "disconnect requested: removed by the operator", errRemoved},
		{"the protocol ended", func(_ *testServer, x *stranger) { x.send(baseLength, []byte{0xc0}) },
			DiscRequested, false, "disconnect requested: idle/1 has ended", DiscRequested},
		{"the protocol failed", func(_ *testServer, x *stranger) { x.send(baseLength+1, []byte{0xc0}) },
			DiscSubprotocolError, false, "subprotocol error: boom", boom},
		{"the protocol gave a reason", func(_ *testServer, x *stranger) { x.send(baseLength+2, []byte{0xc0}) },
			DiscUselessPeer, false, "no use: useless peer", DiscUselessPeer},
		{"Stop", func(s *testServer, _ *stranger) { s.Stop() },
			DiscQuitting, false, "client quitting", DiscQuitting},
	} {
		inWorld(t, func(w *world) {
			s := w.server(1, func(cfg *Config) {
				cfg.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					return []error{nil, boom, fmt.Errorf("no use: %w", DiscUselessPeer)}[m.Code]
				}
			})
			events := s.collect()
			x := s.stranger(2).join()
			c.end(s, x)
			w.pass(2 * time.Second)
			all := events()
			if len(all) != 2 || all[0].Type != EventAdd || all[1].Type != EventDrop {
				w.Fatalf("%s: events %+v, want add and drop", c.name, all)
			}
			e := all[1]
			if e.Reason != c.reason || e.ByRemote != c.remote || e.Error != c.text || !errors.Is(e.Err, c.cause) || !errors.Is(e.Err, c.reason) {
				t.Errorf("%s: %v, by remote %v, %q, %v; want %v, %v, %q, %v", c.name, e.Reason, e.ByRemote, e.Error, e.Err, c.reason, c.remote, c.text, c.cause)
			}
		})
	}
}

// A reader that is too slow loses what comes after 1,024 events, and is told how
// many that were; the server and other readers do not notice.
func TestSlowReaderOfEvents(t *testing.T) {
	const messages = 1500
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.EnableMsgEvents = true })
		slow := s.Events(w.Context())
		all := s.collect()
		x := s.stranger(2).join()
		for i := range messages {
			x.send(baseLength, []byte{0xc0})
			if i%100 == 0 {
				w.pass(100 * time.Millisecond) // the other reader keeps up
			}
		}
		w.pass(time.Second)
		if n := len(all()); n != messages+1 {
			t.Errorf("the other reader got %d events, want %d", n, messages+1)
		}
		lost := messages + 1 - maxEvents
		if n := s.Stats().EventsLost; n != uint64(lost) {
			t.Errorf("EventsLost = %d, want %d", n, lost)
		}
		n := 0
		for e := range slow {
			if n++; n <= maxEvents {
				if e.Type == EventLost {
					w.Fatalf("event %d is lost already", n)
				}
				continue
			}
			if e.Type != EventLost || e.Lost != lost {
				t.Errorf("after %d events came %+v, want %d lost", maxEvents, e, lost)
			}
			break
		}
		if n != maxEvents+1 {
			t.Errorf("the slow reader got %d events, want %d and a Lost", n, maxEvents)
		}
		// Who stops reading has no subscription any more.
		s.events.mu.Lock()
		defer s.events.mu.Unlock()
		if n := len(s.events.subs); n != 1 {
			t.Errorf("%d subscriptions are left, want that of the other reader", n)
		}
	})
}

// Events subscribes at the call and ends with its context, with Stop after what
// had happened, and at once after Stop; before Start it works as later.
func TestEventsBeginAndEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		ctx, cancel := context.WithCancel(w.Context())
		short, long := s.Events(ctx), s.Events(w.Context())
		s.stranger(2).join()

		ended := make(chan int, 1)
		go func() {
			n := 0
			for range short {
				n++
			}
			ended <- n
		}()
		synctest.Wait()
		if len(ended) != 0 {
			w.Fatal("the sequence ended by itself")
		}
		cancel()
		if n := <-ended; n != 1 {
			t.Errorf("%d events before the context ended, want 1", n)
		}
		s.Stop()
		var types []EventType
		for e := range long {
			types = append(types, e.Type)
		}
		if len(types) != 2 || types[0] != EventAdd || types[1] != EventDrop {
			t.Errorf("events until Stop: %v, want add and drop", types)
		}
		for e := range s.Events(w.Context()) {
			t.Errorf("event %+v after Stop", e)
		}
		fresh := &Server{Config: Config{PrivateKey: testKey(3), NoDial: true, Logger: slog.New(slog.DiscardHandler)}}
		early := fresh.Events(w.Context())
		if err := fresh.Start(); err != nil {
			w.Fatal(err)
		}
		fresh.Stop()
		for e := range early {
			t.Errorf("event %+v of a server without peers", e)
		}
	})
}
