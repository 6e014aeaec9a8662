package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/rlp"
	"parley/rlpx"
)

// handle gives what a Protocol.Run was called with to the test, and keeps the
// connection until the other side ends it.
func handle(rws chan<- MsgReadWriter) func(*Peer, MsgReadWriter) error {
	return func(p *Peer, rw MsgReadWriter) error {
		if rws != nil {
			rws <- rw
		}
		for {
			m, err := rw.ReadMsg()
			if err != nil {
				return err
			}
			m.Release()
		}
	}
}

// next returns the next message of a sub-protocol that the stranger gets.
func (x *stranger) next() (uint64, []byte) {
	x.t.w.Helper()
	for {
		m, err := x.conn.ReadMsg()
		if err != nil {
			x.t.w.Fatalf("ReadMsg = %v, want a message", err)
		}
		if m.Code >= baseLength {
			return m.Code, m.Payload
		}
	}
}

// deaf makes the stranger take nothing more, until hear.
func (x *stranger) deaf() { x.fd.(*simnet.Conn).SetWindow(0) }
func (x *stranger) hear() { x.fd.(*simnet.Conn).SetWindow(8 << 20) }

// Broadcast gives the same payload to every peer that runs the protocol, with the
// code that it has on each connection, plain to those without compression; it
// takes no time, and whoever gets nothing is named with the reason.
func TestBroadcastReachesPeers(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) {
			for i := range c.Protocols {
				c.Protocols[i].Run = handle(nil)
			}
			c.Protocols = append(c.Protocols,
				Protocol{Name: "early", Version: 1, Length: 7, Run: handle(nil)},
				Protocol{Name: "idle", Version: 2, Length: 9, Run: handle(nil)})
		})
		join := func(n int, version uint64, caps ...Cap) (*stranger, *Peer) {
			x := s.stranger(n)
			h := x.hello()
			h.Version, h.Caps = version, caps
			x.exchange(h)
			w.pass(20 * time.Millisecond)
			for _, p := range s.Peers() {
				if p.ID() == newID(n) {
					return x, p
				}
			}
			w.Fatalf("stranger %d is not a peer", n)
			return nil, nil
		}
		usual, p1 := join(11, 5, Cap{"idle", 1})
		plain, p2 := join(12, 4, Cap{"idle", 1})
		both, p3 := join(13, 5, Cap{"idle", 1}, Cap{"early", 1}) // early comes first on the wire
		newer, p4 := join(14, 5, Cap{"idle", 1}, Cap{"idle", 2})
		_, other := join(15, 5, Cap{"early", 1})
		slow, p5 := join(16, 5, Cap{"idle", 1})
		left, gone := join(17, 5, Cap{"idle", 1})
		left.fd.Close()
		slow.deaf()
		w.pass(time.Second)
		s.Broadcast(Outgoing{"idle", 0, incompressible(700 << 10)}, []*Peer{p5}) // more than half full

		payload := rlp.AppendBytes(nil, bytes.Repeat([]byte("parley "), 80<<10))
		began := time.Now()
		missed := s.Broadcast(Outgoing{"idle", 3, payload}, []*Peer{p1, p2, other, p3, p5, gone, p4})
		if d := time.Since(began); d != 0 {
			t.Errorf("Broadcast took %v, want none", d)
		}
		for _, c := range []struct {
			x    *stranger
			code uint64
		}{{usual, baseLength + 3}, {plain, baseLength + 3}, {both, baseLength + 7 + 3}, {newer, baseLength + 3}} {
			if code, got := c.x.next(); code != c.code || !bytes.Equal(got, payload) {
				t.Errorf("a peer got %d bytes with code %#x, want %d and %#x", len(got), code, len(payload), c.code)
			}
		}
		if len(missed) != 3 {
			w.Fatalf("%d peers missed it: %v; want 3", len(missed), missed)
		}
		for i, want := range []struct {
			peer *Peer
			err  error
		}{{other, ErrNotRunning}, {p5, ErrQueueFull}, {gone, DiscNetworkError}} {
			if missed[i].Peer != want.peer || !errors.Is(missed[i].Err, want.err) {
				t.Errorf("missed[%d] = %v, %v; want %v, %v", i, missed[i].Peer, missed[i].Err, want.peer, want.err)
			}
		}

		// What nobody may send is refused for each, and harms nobody.
		for _, c := range []struct {
			name string
			out  Outgoing
			want string
		}{
			{"code 4 of idle/1", Outgoing{"idle", 4, payload}, "code 0x4 is not below the length 0x4 of idle/1"},
			{"unknown protocol", Outgoing{"none", 0, payload}, ErrNotRunning.Error()},
			{"too large", Outgoing{"idle", 0, make([]byte, MaxPayload+1)}, rlpx.ErrTooLarge.Error()},
		} {
			missed := s.Broadcast(c.out, []*Peer{p1, p2})
			if len(missed) != 2 || !strings.Contains(missed[0].Err.Error(), c.want) {
				t.Errorf("%s: missed %v, want two with %q", c.name, missed, c.want)
			}
		}
		if n := s.PeerCount(); n != 6 {
			t.Errorf("%d peers, want the 6 that were left", n)
		}
	})
}

// A payload is compressed once, whatever the number of peers: for each of them
// only the room for the compressed form is taken.
func TestBroadcastCompressesOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(nil) })
		const peers = 10
		var xs []*stranger
		for i := range peers {
			x := s.stranger(10 + i).join()
			x.deaf()
			xs = append(xs, x)
		}
		payload := bytes.Repeat([]byte{7}, 1<<20)
		if missed := s.Broadcast(Outgoing{"idle", 0, payload}, s.Peers()); missed != nil {
			w.Fatalf("missed: %v", missed)
		}
		// 1 MiB of one byte is 49 KB of Snappy, in a buffer of 64 KiB. The block itself
		// is given back when all have it.
		synctest.Wait()
		if held := s.Stats().Buffered; held != peers*64<<10 {
			t.Errorf("%d bytes are held for %d peers, want 64 KiB each", held, peers)
		}
		for _, x := range xs {
			x.hear()
			if _, got := x.next(); !bytes.Equal(got, payload) {
				t.Errorf("a peer got %d other bytes", len(got))
			}
			x.fd.Close()
		}
		w.pass(time.Second)
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes are held afterwards, want none", held)
		}
	})
}

// Messages of WriteMsg and Broadcast arrive in the order of the calls, through
// times when the other side does not read.
func TestBroadcastAndWriteMsgInOrder(t *testing.T) {
	const messages = 600
	inWorld(t, func(w *world) {
		rws := make(chan MsgReadWriter, 1)
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(rws) })
		x := s.stranger(2).join()
		rw := <-rws
		p := s.Peers()[0]
		go func() {
			for i := range uint64(messages) {
				payload := rlp.AppendBytes(nil, binary.BigEndian.AppendUint64(make([]byte, 8*(i%50)), i))
				var err error
				if i%2 == 0 {
					err = rw.WriteMsg(Msg{Code: 1, Payload: payload})
				} else if missed := s.Broadcast(Outgoing{"idle", 1, payload}, []*Peer{p}); missed != nil {
					err = missed[0].Err
				}
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
		}()
		for i := range uint64(messages) {
			if i%200 == 100 {
				x.deaf()
				w.pass(time.Second)
				x.hear()
			}
			_, got := x.next()
			if n := binary.BigEndian.Uint64(got[len(got)-8:]); n != i {
				w.Fatalf("message %d arrived as number %d", n, i)
			}
		}
	})
}

// Flush waits until what was queued before it is written, and no longer than its
// context; after the end it tells how many messages were lost.
func TestFlush(t *testing.T) {
	inWorld(t, func(w *world) {
		rws := make(chan MsgReadWriter, 1)
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(rws) })
		x := s.stranger(2).join()
		rw, p := <-rws, s.Peers()[0]
		if err := p.Flush(w.Context()); err != nil {
			t.Errorf("Flush of nothing = %v", err)
		}
		x.deaf()
		out := Outgoing{"idle", 0, rlp.AppendBytes(nil, make([]byte, 100))}
		for range 3 {
			if missed := s.Broadcast(out, []*Peer{p}); missed != nil {
				w.Fatal(missed[0].Err)
			}
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(w.Context(), 3*time.Second)
		defer cancel()
		if err := p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("Flush = %v after %v, want its context's error after 3s", err, time.Since(began))
		}
		go func() { rest(2 * time.Second); x.hear() }() // virtual time
		began = time.Now()
		if err := p.Flush(w.Context()); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("Flush = %v after %v, want nil after 2s, when the other side read on", err, time.Since(began))
		}
		for range 3 {
			x.next()
		}

		x.deaf()
		w.pass(time.Second) // nobody is writing: the next one is alone in its write
		for range 4 {
			if missed := s.Broadcast(out, []*Peer{p}); missed != nil {
				w.Fatal(missed[0].Err)
			}
			synctest.Wait()
		}
		flushed := make(chan error, 1)
		go func() { flushed <- p.Flush(w.Context()) }()
		p.Disconnect(DiscUselessPeer)
		w.pass(3 * time.Second)
		// The four, and the Disconnect behind them.
		for name, err := range map[string]error{
			"Flush before the end": <-flushed,
			"Flush after the end":  p.Flush(w.Context()),
		} {
			if !errors.Is(err, ErrUnsent) || !strings.Contains(err.Error(), "not sent: 5: ") {
				t.Errorf("%s = %v, want ErrUnsent and 5", name, err)
			}
		}
		if err := rw.WriteMsg(Msg{}); err == nil {
			t.Error("WriteMsg after the end succeeded")
		}
		if missed := s.Broadcast(out, []*Peer{p}); len(missed) != 1 {
			t.Errorf("Broadcast after the end: missed %v, want the peer", missed)
		}
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes of buffers are held after the end, want none", held)
		}
	})
}
