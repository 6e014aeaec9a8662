package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"parley/rlp"
	"parley/rlpx"
)

// P1: a Disconnect in every form ends the connection with its reason or with
// DiscInvalid, before Hello (D9) and after, and every reason has a text.
func TestP1DisconnectInEveryForm(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    DiscReason
	}{
		{"\xc1\x04", DiscTooManyPeers},
		{"\x04", DiscTooManyPeers},
		{"\xc0", DiscRequested},
		{"", DiscRequested},
		{"\xc1\xc0", DiscInvalid},
		{"\x80", DiscRequested},                                       // the integer 0
		{"\xc3\x82\x01\x00", DiscInvalid},                             // [256]
		{"\xca\x89\x01\x00\x00\x00\x00\x00\x00\x00\x00", DiscInvalid}, // [2^64]
		{"\xc2\x81\x04", DiscInvalid},                                 // not canonical
		{"\xc2\x04\x05", DiscTooManyPeers},                            // a second item
		{"\xc1\x04junk", DiscTooManyPeers},
		{"\xb8\x80" + strings.Repeat("x", 128), DiscInvalid},
		{"\xf8", DiscInvalid},
		{"\xc1\x63", DiscReason(99)},
	} {
		if got := parseDisconnect([]byte(c.payload)); got != c.want {
			t.Errorf("parseDisconnect(%x) = %v, want %v", c.payload, got, c.want)
		}
		inWorld(t, func(w *world) {
			s := w.server(1, nil)
			events := s.collect()
			x := s.stranger(2).join()
			x.send(codeDisconnect, []byte(c.payload))
			w.pass(time.Second)
			all := events()
			if len(all) != 2 || all[1].Type != EventDrop || all[1].Reason != c.want || !all[1].ByRemote {
				t.Errorf("Disconnect %x: events %+v, want a drop by the other side with %v", c.payload, all, c.want)
			}
			early := s.stranger(3)
			early.send(codeDisconnect, []byte(c.payload))
			w.pass(time.Second)
			v := s.lastVerdict(newID(3))
			if got, ok := errors.AsType[DiscReason](v.Err); !ok || got != c.want || v.Gate != GateHello {
				t.Errorf("Disconnect %x instead of Hello: verdict %v %v, want %v by gate hello", c.payload, v.Gate, v.Err, c.want)
			}
		})
	}
	for r := range 256 {
		if DiscReason(r).String() == "" {
			t.Errorf("DiscReason(%d) has no text", r)
		}
	}
}

// D9: who says too many peers instead of Hello is left alone for five minutes.
func TestD9FullNodeIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.net.Host(privateAddr(77))
		listener, err := host.Listen(30303)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		calls := make(chan time.Time, 100)
		go func() {
			for {
				fd, err := listener.Accept()
				if err != nil {
					return
				}
				calls <- time.Now()
				if conn, err := rlpx.Accept(fd, testKey(77), nil); err == nil {
					conn.WriteMsg(codeDisconnect, []byte{0xc1, byte(DiscTooManyPeers)})
					conn.ReadMsg()
				}
				fd.Close()
			}
		}()
		s := w.server(1, nil)
		full := nodeAt(77, privateAddr(77))
		s.AddPeer(full)
		w.pass(6 * time.Minute)
		if len(calls) != 2 {
			t.Fatalf("%d connections in 6 minutes, want 2", len(calls))
		}
		if first, second := <-calls, <-calls; second.Sub(first) < 5*time.Minute {
			t.Errorf("dialed again after %v, want 5m or more", second.Sub(first))
		}
		e := s.Explain(full.ID())
		if r, _ := errors.AsType[DiscReason](e.Verdicts[0].Err); r != DiscTooManyPeers || !strings.Contains(e.Advice, "other side is full") {
			t.Errorf("explained by %v and %q, want too many peers", e.Verdicts[0].Err, e.Advice)
		}
	})
}

// P2: a million pings from somebody who reads nothing leave at most 16 pongs
// queued and no goroutine each, and end the connection.
func TestP2PingFloodWithoutReading(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		x.fd.(interface{ SetWindow(int) }).SetWindow(0)
		p := s.Peers()[0]
		var frames []byte
		sent := 0
		for ; sent < 1_000_000; sent++ {
			frames, _ = x.conn.AppendMsg(frames[:0], codePing, emptyList[:])
			x.fd.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := x.fd.Write(frames); err != nil {
				break
			}
			if q := p.out.held(); q > (maxPongs+1)*64 {
				t.Fatalf("%d bytes are queued after %d pings, want at most %d pongs", q, sent, maxPongs)
			}
		}
		w.pass(3 * time.Second)
		if s.PeerCount() != 0 {
			t.Errorf("still a peer after %d pings", sent)
		}
		if sent > 20_000 {
			t.Errorf("%d pings were taken, want far less", sent)
		}
	})
}

// P3: every ping is followed by a pong within 500 ms up to a burst of 16, then two
// a second answer them all; more than 1000 a second end the connection.
func TestP3PingRate(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		pongs := make(chan time.Time, 10_000)
		go func() {
			for {
				m, err := x.conn.ReadMsg()
				if err != nil {
					return
				}
				if m.Code == codePong {
					pongs <- time.Now()
				}
			}
		}()
		for i := range 16 {
			began := time.Now()
			x.send(codePing, emptyList[:])
			if d := (<-pongs).Sub(began); d > 500*time.Millisecond {
				t.Errorf("pong %d after %v, want at most 500ms", i, d)
			}
		}
		w.pass(time.Second)
		for len(pongs) > 0 {
			<-pongs
		}
		for range 100 { // ten seconds of ten pings each
			x.send(codePing, emptyList[:])
			w.pass(100 * time.Millisecond)
		}
		last := time.Now()
		w.pass(time.Second)
		n := len(pongs)
		if n < 19 || n > 25 {
			t.Errorf("%d pongs for 100 pings in 10 s, want about 2 a second", n)
		}
		var final time.Time
		for range n {
			final = <-pongs
		}
		if d := final.Sub(last); d > 500*time.Millisecond+20*time.Millisecond {
			t.Errorf("the last ping was answered after %v, want 500ms", d)
		}
		if s.PeerCount() != 1 {
			t.Fatal("ten pings a second ended the connection")
		}
		for range maxPingRate + 1 {
			x.send(codePing, emptyList[:])
		}
		w.pass(time.Second)
		if s.PeerCount() != 0 {
			t.Errorf("still a peer after %d pings at once", maxPingRate+1)
		}
	})
}

// P4: pongs that nobody asked for are counted and change nothing; ours are asked
// for every 15 s, and a missing answer ends the connection within 45 s (A6).
func TestP4UnaskedPongs(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		for range 100 {
			x.send(codePong, emptyList[:])
		}
		w.pass(time.Second)
		if st := s.Stats(); st.UnaskedPongs != 100 || st.Peers != 1 {
			t.Errorf("%d unasked pongs and %d peers, want 100 and 1", st.UnaskedPongs, st.Peers)
		}
		began := time.Now()
		pings := 0
		for {
			m, err := x.conn.ReadMsg()
			if err != nil || m.Code == codeDisconnect {
				if got := parseDisconnect(m.Payload); err != nil || got != DiscReadTimeout {
					t.Errorf("ended with %v, %v; want read timeout", got, err)
				}
				break
			}
			if m.Code == codePing {
				pings++
			}
		}
		if d := time.Since(began); d > 45*time.Second || pings != 1 {
			t.Errorf("ended after %v and %d pings, want at most 45s and 1 ping", d, pings)
		}
	})
}

// A6: a peer that vanishes without a word is dropped within 45 s.
func TestA6HalfOpenPeer(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.server(1, nil)
		b := w.server(2, func(c *Config) { c.StaticNodes = append(c.StaticNodes, a.node()) })
		w.eventually(time.Second, "peers", func() bool { return a.PeerCount() == 1 })
		w.pass(20 * time.Second)
		for _, c := range b.host.Conns() {
			c.Vanish()
		}
		began := time.Now()
		w.eventually(time.Minute, "a drops b", func() bool { return a.PeerCount() == 0 })
		if d := time.Since(began); d > 45*time.Second {
			t.Errorf("dropped after %v, want at most 45s", d)
		}
	})
}

// A8: somebody who does not read frees our writer within 20 s, and no more than
// the queue's bound is held for it meanwhile.
func TestA8PeerThatDoesNotRead(t *testing.T) {
	inWorld(t, func(w *world) {
		result := make(chan error, 1)
		took := make(chan time.Duration, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
				payload := incompressible(100_000)
				for {
					began := time.Now()
					if err := rw.WriteMsg(Msg{Payload: payload}); err != nil {
						took <- time.Since(began)
						result <- err
						return err
					}
				}
			}}}
		})
		x := s.stranger(2)
		x.fd.(interface{ SetWindow(int) }).SetWindow(64 << 10)
		x.exchange(x.hello())
		most := 0
		for range 300 {
			w.pass(100 * time.Millisecond)
			if ps := s.Peers(); len(ps) == 1 {
				most = max(most, ps[0].out.held())
			}
		}
		if d := <-took; d > writeTimeout {
			t.Errorf("the writer was held for %v, want at most %v", d, writeTimeout)
		}
		if err := <-result; err == nil || s.PeerCount() != 0 {
			t.Errorf("WriteMsg = %v with %d peers, want an error and none", err, s.PeerCount())
		}
		if most > maxQueued {
			t.Errorf("%d bytes were queued, want at most %d", most, maxQueued)
		}
	})
}

// C12: a message of 16 MiB to a peer that takes 1 KiB a second is given up after
// 20 s, and another peer does not notice.
func TestC12LargeMessageToSlowPeer(t *testing.T) {
	inWorld(t, func(w *world) {
		failed := make(chan time.Duration, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(p *Peer, rw MsgReadWriter) error {
				if p.ID() == newID(3) { // the other peer: an echo
					for {
						m, err := rw.ReadMsg()
						if err != nil {
							return err
						}
						rw.WriteMsg(m)
					}
				}
				began := time.Now()
				err := rw.WriteMsg(Msg{Payload: incompressible(14 << 20)})
				failed <- time.Since(began)
				return err
			}}}
		})
		slow := s.stranger(2)
		slow.fd.(interface{ SetWindow(int) }).SetWindow(1 << 10)
		slow.exchange(slow.hello())
		go func() {
			for {
				if _, err := slow.fd.Read(make([]byte, 1024)); err != nil {
					return
				}
				rest(time.Second) // virtual time: 1 KiB a second
			}
		}()
		other := s.stranger(3).join()
		for range 20 {
			began := time.Now()
			other.send(baseLength, rlp.AppendString(nil, "echo"))
			for {
				m, err := other.conn.ReadMsg()
				if err != nil {
					t.Fatal(err)
				}
				if m.Code == baseLength {
					break
				}
			}
			if d := time.Since(began); d > 25*time.Millisecond {
				t.Errorf("the other peer's echo took %v, want two delays of 10ms", d)
			}
			w.pass(time.Second)
		}
		if d := <-failed; d > writeTimeout {
			t.Errorf("WriteMsg took %v, want at most %v", d, writeTimeout)
		}
		w.pass(3 * time.Second)
		if n := s.PeerCount(); n != 1 {
			t.Errorf("%d peers, want the other one only", n)
		}
	})
}

// P5: while a handler reads nothing, pings are answered until 1 MiB is queued;
// then the reader pauses, and after 30 s the peer goes. One message of any size
// fits an empty queue.
func TestP5HandlerThatStopsReading(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(p *Peer, _ MsgReadWriter) error {
				<-p.Context().Done()
				return io.EOF
			}}}
		})
		events := s.collect()
		x := s.stranger(2).join()
		pongs := make(chan struct{}, 100)
		go func() {
			for {
				m, err := x.conn.ReadMsg()
				if err != nil {
					return
				}
				switch m.Code {
				case codePong:
					pongs <- struct{}{}
				case codePing:
					x.send(codePong, emptyList[:])
				}
			}
		}()
		x.send(baseLength, rlp.AppendBytes(nil, make([]byte, 900_000)))
		x.send(codePing, emptyList[:])
		w.pass(time.Second)
		if len(pongs) != 1 {
			t.Fatal("no pong while less than 1 MiB is queued")
		}
		w.pass(2 * time.Minute)
		if s.PeerCount() != 1 {
			t.Fatal("a peer was dropped although the queue is not full")
		}
		x.send(baseLength, rlp.AppendBytes(nil, make([]byte, 10<<20)))
		x.send(codePing, emptyList[:])
		w.pass(20 * time.Second)
		if len(pongs) != 1 || s.PeerCount() != 1 {
			t.Fatalf("%d pongs and %d peers while the reader is paused, want 1 and 1", len(pongs), s.PeerCount())
		}
		if q := s.Peers()[0].in.queued(); q < 10<<20 || q > 12<<20 {
			t.Errorf("%d bytes are queued, want the two messages", q)
		}
		w.pass(15 * time.Second)
		all := events()
		if s.PeerCount() != 0 || !strings.Contains(all[len(all)-1].Error, "took no message for 30 s") {
			t.Errorf("%d peers, last event %+v; want a drop for the handler", s.PeerCount(), all[len(all)-1])
		}
	})
}

// P6: a panic in a protocol drops that peer, is counted, and nothing else.
func TestP6HandlerPanics(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
				m, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				_ = m.Payload[1000]
				return nil
			}}}
		})
		other := s.stranger(3).join()
		x := s.stranger(2).join()
		x.send(baseLength, []byte{0xc0})
		x.wantReason(DiscSubprotocolError)
		x.fd.Close()
		w.pass(time.Second)
		if st := s.Stats(); st.Panics != 1 || st.Peers != 1 {
			t.Errorf("%d panics, %d peers; want 1, 1", st.Panics, st.Peers)
		}
		_ = other
	})
}

// P7: what a handler leaves unread of a message has no effect on the next.
func TestP7HandlerReadsHalf(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan string, 10)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
				for {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					half := make([]byte, m.Size()/2)
					m.Reader().Read(half)
					got <- fmt.Sprint(m.Code, m.Size())
					if m.Code%2 == 0 {
						m.Release()
					}
				}
			}}}
		})
		x := s.stranger(2).join()
		for i := range 4 {
			x.send(baseLength+uint64(i), rlp.AppendBytes(nil, bytes.Repeat([]byte{7}, 100*i)))
		}
		for i, want := range []string{"0 1", "1 102", "2 202", "3 303"} {
			if g := <-got; g != want {
				t.Errorf("message %d is %q, want %q (code and size)", i, g, want)
			}
		}
	})
}

// C8: messages with reserved codes are ignored up to eight; one above 2 KiB ends
// the connection at once.
func TestC8ReservedCodes(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		for code := range uint64(8) {
			x.send(codePong+1+code, []byte{0xc0})
		}
		w.pass(time.Second)
		if s.PeerCount() != 1 {
			t.Fatal("eight small messages with reserved codes ended the connection")
		}
		x.send(baseLength-1, []byte{0xc0})
		x.wantReason(DiscProtocolError)

		y := s.stranger(3).join()
		began := time.Now()
		y.send(codePong+1, rlp.AppendBytes(nil, make([]byte, 14<<20)))
		y.wantReason(DiscProtocolError)
		if d := time.Since(began); d > time.Second {
			t.Errorf("closed after %v, want at once", d)
		}
		if n := s.Stats().Buffered; n > 64<<10 {
			t.Errorf("%d bytes are held, want at most 64 KiB", n)
		}
	})
}

// C11: a sub-protocol's message before Hello, and a second Hello, end the
// connection.
func TestC11HelloInItsPlace(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		early := s.stranger(2)
		early.send(baseLength, []byte{0xc0})
		if got := early.reason(); got != DiscProtocolError {
			t.Errorf("a message before Hello is answered with %v, want %v", got, DiscProtocolError)
		}
		x := s.stranger(3).join()
		payload, _ := x.hello().append(nil)
		x.send(codeHello, payload)
		x.wantReason(DiscProtocolError)
		w.pass(time.Second)
		if s.PeerCount() != 0 {
			t.Errorf("%d peers, want none", s.PeerCount())
		}
	})
}

// When the other side ends the connection, what a protocol makes of the messages
// that came before is part of the reason: a Disconnect alone says little.
func TestDropTellsWhatTheProtocolFound(t *testing.T) {
	inWorld(t, func(w *world) {
		wrong := errors.New("their genesis is 0x41c2, ours 0x9a1f")
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(_ *Peer, rw MsgReadWriter) error {
				if _, err := rw.ReadMsg(); err != nil {
					return err
				}
				return wrong
			}}}
		})
		x := s.stranger(2).join()
		both, err := x.conn.AppendMsg(nil, baseLength, []byte{0xc0})
		if err == nil {
			both, err = x.conn.AppendMsg(both, codeDisconnect, []byte{0xc1, byte(DiscSubprotocolError)})
		}
		if err != nil {
			t.Fatal(err)
		}
		x.fd.Write(both)
		w.pass(time.Second)
		v := s.lastVerdict(newID(2))
		if reason, _ := errors.AsType[DiscReason](v.Err); !errors.Is(v.Err, wrong) || reason != DiscSubprotocolError {
			t.Errorf("verdict = %v, want the subprotocol error with what Run found", v.Err)
		}
		// Which of the two comes first, the protocol's error or the Disconnect, is
		// the scheduler's choice.
		said, found := "subprotocol error (said by the other side): "+wrong.Error(), "subprotocol error: "+wrong.Error()
		if got := v.Err.Error(); got != said && got != found {
			t.Errorf("verdict reads %q, want %q or %q", got, said, found)
		}
	})
}
