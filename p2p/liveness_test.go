package p2p

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/rlp"
)

// Pongs answer pings in the order of a queue like any message; a lone one is one
// write.
func TestPongIsOneWrite(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		fd := s.serverEnd()
		w.pass(time.Second)
		before := fd.Stats().Writes
		x.send(codePing, rlp.AppendList(nil, 0))
		w.pass(50 * time.Millisecond)
		synctest.Wait()
		if n := fd.Stats().Writes - before; n != 1 {
			t.Errorf("%d writes for a pong, want 1", n)
		}
	})
}

// A ping beyond the burst is answered half a second later although no other
// follows; and a thousand pings are no flood if they take longer than a second.
func TestPingsBeyondTheBurst(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		pongs := make(chan struct{}, 100)
		go func() {
			for {
				m, err := x.conn.ReadMsg()
				if err != nil {
					return
				}
				if m.Code == codePong {
					pongs <- struct{}{}
				}
			}
		}()
		for range maxPongs + 4 {
			x.send(codePing, emptyList[:])
		}
		w.pass(20 * time.Millisecond)
		if n := len(pongs); n != maxPongs {
			t.Errorf("%d pongs at once, want %d", n, maxPongs)
		}
		w.pass(tick)
		if n := len(pongs); n != maxPongs+1 {
			t.Errorf("%d pongs after %v, want one more for the rest", n, tick)
		}
		for range 4 {
			w.pass(time.Second)
			for range maxPingRate / 3 {
				x.send(codePing, emptyList[:])
			}
		}
		w.pass(time.Second)
		if s.PeerCount() != 1 {
			t.Errorf("%d pings in four seconds ended the connection", 4*(maxPingRate/3))
		}
		x.fd.Close()
	})
}

// A protocol that takes a message now and then is alive, and so is its peer, whose
// pongs lie behind the messages that wait: nobody is dropped.
func TestSlowHandlerIsNotDropped(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				for {
					select {
					case <-p.Context().Done():
						return nil
					case <-time.After(20 * time.Second):
					}
					if _, err := rw.ReadMsg(); err != nil {
						return err
					}
				}
			}
		})
		x := s.stranger(2).join()
		go func() {
			for range 9 {
				x.send(baseLength, incompressible(100_000))
			}
			x.send(baseLength, incompressible(2<<20)) // the queue stays full
		}()
		for range 30 {
			w.pass(5 * time.Second)
			if s.PeerCount() != 1 {
				t.Errorf("dropped: %v", s.lastVerdict(newID(2)).Err)
				break
			}
		}
		x.fd.Close()
		w.pass(time.Minute)
	})
}

// Other messages are no pongs: who sends many and answers no ping is dropped 30 s
// after the first one.
func TestMissingPongEndsBusyConnection(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		began := time.Now()
		for s.PeerCount() == 1 && time.Since(began) < 2*time.Minute {
			x.send(baseLength, []byte{0xc0})
			w.pass(time.Second)
		}
		if d := time.Since(began); d < pingInterval+pongTimeout || d > pingInterval+pongTimeout+3*time.Second {
			t.Errorf("ended after %v, want %v", d, pingInterval+pongTimeout)
		}
		if err := s.lastVerdict(newID(2)).Err; !errors.Is(err, errNoPong) || !errors.Is(err, DiscReadTimeout) {
			t.Errorf("verdict %v, want no pong", err)
		}
		x.fd.Close()
	})
}

// A side that sends pings and does not read has at most 16 pongs waiting for it,
// however slowly the pings come.
func TestPongsWaitingAreFew(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		x.deaf()
		w.pass(100 * time.Millisecond)
		p := s.Peers()[0]
		for range 180 {
			x.send(codePing, emptyList[:])
			w.pass(100 * time.Millisecond)
			p.out.mu.Lock()
			n := p.out.frames
			p.out.mu.Unlock()
			if n > maxPongs+1 { // and a ping of ours
				w.Fatalf("%d frames wait, want at most %d pongs and a ping", n, maxPongs)
			}
		}
		x.fd.Close()
	})
}
