package p2p

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"parley/internal/simnet"
	"parley/rlpx"
)

// WriteMsg blocks at most 20 s, also when each write in progress ends before its
// own deadline.
func TestWriteMsgWaitsAtMost20s(t *testing.T) {
	inWorld(t, func(w *world) {
		rws := make(chan MsgReadWriter, 1)
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(rws) })
		x := s.stranger(2).join()
		rw := <-rws
		x.deaf()
		payload := incompressible(400_000)
		took := make(chan time.Duration, 8)
		for range 8 {
			go func() {
				began := time.Now()
				_ = rw.WriteMsg(Msg{Payload: payload})
				took <- time.Since(began)
			}()
			w.pass(0)
		}
		for range 8 { // the other side takes one batch every 19 s
			w.pass(19 * time.Second)
			x.fd.(*simnet.Conn).SetWindow(450_000)
			x.next()
			x.deaf()
			if len(took) == 8 {
				break
			}
		}
		x.fd.Close()
		for range 8 {
			if d := <-took; d > 20*time.Second {
				t.Errorf("WriteMsg took %v, want at most 20s", d)
			}
		}
	})
}

// A ping that found no room in the queue was not sent, so nobody owes a pong: a
// peer that takes large messages as fast as its link carries them, and answers
// every ping, stays.
func TestPingWithoutRoomIsNotAwaited(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.SetDefaultLink(simnet.Link{Delay: time.Millisecond, Bandwidth: 1 << 20})
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(_ *Peer, rw MsgReadWriter) error {
				payload := incompressible(8 << 20)
				for {
					if err := rw.WriteMsg(Msg{Payload: payload}); err != nil {
						return err
					}
				}
			}
		})
		events := s.collect()
		x := s.stranger(2)
		x.exchange(x.hello())
		pings, got := 0, 0
		go func() {
			for {
				m, err := x.conn.ReadMsg()
				if err != nil {
					return
				}
				switch m.Code {
				case codePing:
					pings++
					x.send(codePong, emptyList[:])
				case baseLength:
					got++
				}
				m.Release()
			}
		}()
		w.pass(2 * time.Minute)
		if s.PeerCount() != 1 {
			all := events()
			t.Errorf("dropped after %d messages of 8 MiB and %d pings: %v", got, pings, all[len(all)-1].Error)
		}
		x.fd.Close()
		w.pass(time.Second)
	})
}

// A pong that found no room is still owed.
func TestPongWithoutRoomIsOwed(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(nil) })
		x := s.stranger(2).join()
		x.deaf()
		w.pass(0)
		s.Broadcast(Outgoing{"idle", 0, incompressible(2 << 20)}, s.Peers())
		w.pass(0)
		x.send(codePing, emptyList[:])
		w.pass(time.Second)
		x.hear()
		x.next()
		pongs := make(chan struct{}, 1)
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
		w.pass(5 * time.Second)
		if len(pongs) != 1 {
			t.Error("no pong within 5 s after the queue was empty")
		}
		x.fd.Close()
		w.pass(time.Second)
	})
}

// The logger is the user's code: it may call the Server.
func TestLoggerMayCallServer(t *testing.T) {
	inWorld(t, func(w *world) {
		h := &callingHandler{}
		s := w.server(1, func(c *Config) { c.Logger = slog.New(h) })
		h.s = s.Server
		w.net.Host(privateAddr(9))
		s.AddPeer(nodeAt(9, privateAddr(9))) // dial refused
		x := s.stranger(2)                   // setup fails
		x.fd.Close()
		w.pass(time.Second)
		for _, m := range h.under {
			t.Errorf("%q is logged while the Server's mutex is held", m)
		}
	})
}

type callingHandler struct {
	s     *Server
	under []string
}

func (h *callingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *callingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *callingHandler) WithGroup(string) slog.Handler            { return h }
func (h *callingHandler) Handle(_ context.Context, r slog.Record) error {
	for range 10_000 { // another goroutine may hold it for a moment
		if h.s.mu.TryLock() {
			h.s.mu.Unlock()
			return nil
		}
		runtime.Gosched()
	}
	h.under = append(h.under, r.Message)
	return nil
}

// A Hello that arrived is released also if ours could not be written.
func TestHelloIsReleasedWhenOursFails(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		for i := range 3 {
			host := w.net.Host(privateAddr(500 + i))
			w.net.SetLink(host, s.host, simnet.Link{}) // byte by byte, a delay would take all the time there is
			x := &stranger{t: s, key: testKey(2), fd: s.dialFrom(host)}
			x.fd.(*simnet.Conn).SetWindow(1) // our Hello does not get out
			conn, err := rlpx.Initiate(x.fd, x.key, s.PrivateKey.Public(), nil)
			if err != nil {
				w.Fatal(err)
			}
			x.conn = conn
			payload, _ := x.hello().append(nil)
			x.send(codeHello, payload)
			w.pass(100 * time.Millisecond)
			x.fd.Close()
			w.pass(time.Second)
		}
		if st := s.Stats(); st.Buffered != 0 || st.PendingIn != 0 {
			t.Errorf("%d bytes are held, %d handshakes in flight; want none", st.Buffered, st.PendingIn)
		}
	})
}
