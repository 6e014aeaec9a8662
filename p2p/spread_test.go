package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"parley/enode"
	"parley/rlpx"
)

// withNumber returns a payload that tells its number, of about the given size.
func withNumber(n uint64, size int) []byte {
	b := incompressible(max(size, 16))
	binary.BigEndian.PutUint64(b[len(b)-8:], n)
	return b
}

// A tightListener accepts connections whose sockets take little at once.
type tightListener struct{ net.Listener }

func (l tightListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// Over real sockets, with readers of which some take nothing for a while, every
// peer gets every message once, in the order of the calls, whoever else writes to
// it at the same time.
func TestBroadcastOverTCP(t *testing.T) {
	const peers, messages = 24, 40
	type running struct {
		*Peer
		MsgReadWriter
	}
	ready := make(chan running, peers)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Config: Config{
		PrivateKey: testKey(1), NoDial: true, MaxPeers: peers, Listener: tightListener{l}, Logger: slog.New(slog.DiscardHandler),
		Protocols: []Protocol{{Name: "idle", Version: 1, Length: 4, Run: func(p *Peer, rw MsgReadWriter) error {
			ready <- running{p, rw}
			return handle(nil)(p, rw)
		}}},
	}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()

	start := make(chan struct{}) // for those who read late; they get broadcasts only
	late := make(map[enode.ID]bool)
	var readers sync.WaitGroup
	for i := range peers {
		fd, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer fd.Close()
		fd.(*net.TCPConn).SetReadBuffer(16 << 10)
		fd.SetDeadline(time.Now().Add(time.Minute))
		conn, err := rlpx.Initiate(fd, testKey(10+i), s.PrivateKey.Public(), nil)
		if err != nil {
			t.Fatal(err)
		}
		hello, _ := (&Hello{Version: 5, Name: "x", Caps: []Cap{{"idle", 1}}, PublicKey: testKey(10 + i).Public()}).append(nil)
		if err := conn.WriteMsg(codeHello, hello); err != nil {
			t.Fatal(err)
		}
		if m, err := conn.ReadMsg(); err != nil || m.Code != codeHello {
			t.Fatalf("code %#x, %v; want Hello", m.Code, err)
		}
		conn.SetLimits(rlpx.Limits{})
		conn.SetSnappy(true)
		isLate := i%3 == 0
		late[newID(10+i)] = isLate
		readers.Go(func() {
			own := uint64(messages / 4)
			if isLate {
				<-start
				own = 0
			}
			var next [2]uint64 // of the broadcasts, and of the messages between them
			for next[0] < messages || next[1] < own {
				m, err := conn.ReadMsg()
				if err != nil {
					t.Errorf("peer %d after %d and %d messages: %v", i, next[0], next[1], err)
					return
				}
				if m.Code < baseLength {
					continue
				}
				kind := m.Code - baseLength
				if got := binary.BigEndian.Uint64(m.Payload[len(m.Payload)-8:]); got != next[kind] {
					t.Errorf("peer %d: message %d of kind %d came where %d was due", i, got, kind, next[kind])
					return
				}
				if kind == 0 && !isLate && m.Payload[len(m.Payload)-9] != byte(next[1]) { // all that was written before
					t.Errorf("peer %d: broadcast %d came after %d messages of its own, want %d", i, next[0], next[1], m.Payload[len(m.Payload)-9])
				}
				next[kind]++
				m.Release()
			}
		})
	}
	var all []*Peer
	var own []MsgReadWriter
	for range peers {
		r := <-ready
		all = append(all, r.Peer)
		if !late[r.Peer.ID()] {
			own = append(own, r)
		}
	}
	var written byte
	for n := range uint64(messages) {
		if n == 10 { // by then the sockets are full, the queues are not
			close(start)
		}
		if n%4 == 3 {
			for _, rw := range own {
				if err := rw.WriteMsg(Msg{Code: 1, Payload: withNumber(uint64(written), 300)}); err != nil {
					t.Error(err)
				}
			}
			written++
		}
		payload := withNumber(n, []int{20, 1000, 40_000, 9000}[n%4])
		payload[len(payload)-9] = written
		for missed := s.Broadcast(Outgoing{"idle", 0, payload}, all); missed != nil; {
			// A queue that is full is waited for: here nothing may be missed.
			var again []*Peer
			for _, m := range missed {
				if m.Err != ErrQueueFull {
					t.Fatal(m.Err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				m.Peer.Flush(ctx)
				cancel()
				again = append(again, m.Peer)
			}
			missed = s.Broadcast(Outgoing{"idle", 0, payload}, again)
		}
	}
	readers.Wait()
	for _, p := range all {
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if held := s.Stats().Buffered; held != 0 {
		t.Errorf("%d bytes of buffers are held, want none", held)
	}
}

// Blocks are sealed in the order of the calls on each connection, whatever others
// have in between: each gets its own selection.
func TestSpreaderKeepsSelections(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.Protocols[0].Run, c.MaxPeers, c.NoDial = handle(nil), 60, true })
		const peers, messages = 40, 30 // more than two crews
		var xs []*stranger
		for i := range peers {
			xs = append(xs, s.stranger(10+i).join())
		}
		byID := make(map[string]*Peer)
		for _, p := range s.Peers() {
			byID[p.ID().String()] = p
		}
		for n := range uint64(messages) {
			var to []*Peer
			for i := range peers {
				if (uint64(i)+n)%3 != 0 {
					to = append(to, byID[newID(10+i).String()])
				}
			}
			if missed := s.Broadcast(Outgoing{"idle", n % 4, withNumber(n, int(n)*37)}, to); missed != nil {
				t.Fatal(missed)
			}
		}
		for i, x := range xs {
			for n := range uint64(messages) {
				if (uint64(i)+n)%3 == 0 {
					continue
				}
				code, got := x.next()
				if code != baseLength+n%4 || !bytes.Equal(got[len(got)-8:], binary.BigEndian.AppendUint64(nil, n)) {
					t.Fatalf("peer %d got code %#x and number %x, want message %d", i, code, got[len(got)-8:], n)
				}
			}
		}
		w.pass(time.Second)
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes of buffers are held, want none", held)
		}
	})
}

// What waits to be sealed counts against the queue of its connection.
func TestSharesCount(t *testing.T) {
	var s shares
	b := &block{data: make([]byte, 1000), bufs: rlpx.NewBuffers()}
	b.users.Store(1)
	for range 40 {
		s.push(1, b)
	}
	if want := 40 * rlpx.SealedSize(1000); s.size != want {
		t.Errorf("size %d, want %d", s.size, want)
	}
	s.pop()
	if n := s.drop(); n != 39 || s.size != 0 || b.users.Load() != 1 {
		t.Errorf("dropped %d with %d bytes and %d users left, want 39, 0, 1", n, s.size, b.users.Load())
	}
	if cap(s.list) > 16 {
		t.Errorf("room for %d shares is kept", cap(s.list))
	}
	s.push(1, b)
	if f := s.first(); f == nil || f.block != b {
		t.Error("a share is lost after the burst")
	}
}
