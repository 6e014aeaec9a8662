package p2p

import (
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/simnet"
	"parley/rlp"
)

// A peer at rest costs one goroutine for each protocol that runs with it, and no
// other: one of them reads.
func TestCostGoroutines(t *testing.T) {
	const peers = 20
	for _, protocols := range []int{1, 3} {
		inWorld(t, func(w *world) {
			s := w.server(1, func(c *Config) {
				c.MaxPeers, c.NoDial = peers, true
				for i := range protocols - 1 {
					p := idleProtocol()
					p.Name = string(rune('a' + i))
					c.Protocols = append(c.Protocols, p)
				}
			})
			w.pass(time.Second)
			before := runtime.NumGoroutine()
			for i := range peers {
				x := s.stranger(10 + i)
				h := x.hello()
				h.Caps = append(h.Caps, Cap{"a", 1}, Cap{"b", 1})
				x.exchange(h)
			}
			w.pass(time.Second)
			// One more or less may belong to the test binary itself.
			got, want := runtime.NumGoroutine()-before, peers*protocols
			if got < want-2 || got > want+2 {
				t.Errorf("%d goroutines for %d peers with %d protocols each, want %d", got, peers, protocols, want)
			}
		})
	}
}

// serverEnd returns the server's end of its only connection.
func (s *testServer) serverEnd() *simnet.Conn {
	s.w.Helper()
	conns := s.host.Conns()
	if len(conns) != 1 {
		s.w.Fatalf("%d connections, want 1", len(conns))
	}
	return conns[0]
}

// To become a peer, a stranger costs the server one write (ack and Hello), two
// reads (auth, Hello), and no goroutine but the one that waits for it.
func TestCostSetup(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		w.pass(time.Second)
		before := runtime.NumGoroutine()
		x := s.stranger(2)
		w.pass(10 * time.Millisecond) // less than the timeout
		if n := runtime.NumGoroutine() - before; n > 1 {
			t.Errorf("%d goroutines wait for Hello, want 1", n)
		}
		fd := s.serverEnd()
		if n := fd.Stats().Writes; n != 1 {
			t.Errorf("%d writes before their Hello, want 1", n)
		}
		x.join()
		if stats := fd.Stats(); stats.Writes != 1 || stats.Reads > 3 { // the third waits for a message
			t.Errorf("%d writes and %d reads of a new peer, want 1 and 3", stats.Writes, stats.Reads)
		}
	})
}

// One lone message is one system call. What comes while a call is under way goes
// out together in one more, from however many goroutines it comes, as do
// messages of Broadcast.
func TestCostWrites(t *testing.T) {
	inWorld(t, func(w *world) {
		rws := make(chan MsgReadWriter, 1)
		s := w.server(1, func(c *Config) { c.Protocols[0].Run = handle(rws) })
		x := s.stranger(2).join()
		rw, fd := <-rws, s.serverEnd()
		payload := rlp.AppendBytes(nil, make([]byte, 100))

		before := fd.Stats().Writes
		for range 10 {
			rw.WriteMsg(Msg{Payload: payload})
			synctest.Wait()
		}
		if n := fd.Stats().Writes - before; n != 10 {
			t.Errorf("%d writes for 10 lone messages, want 10", n)
		}
		before = fd.Stats().Writes
		x.deaf()
		for range 64 {
			go rw.WriteMsg(Msg{Payload: payload})
		}
		synctest.Wait()
		x.hear()
		synctest.Wait()
		if n := fd.Stats().Writes - before; n != 2 {
			t.Errorf("%d writes for 64 messages of as many goroutines, want 2: the first, and the rest", n)
		}
		before = fd.Stats().Writes
		x.deaf()
		for range 64 {
			s.Broadcast(Outgoing{"idle", 0, payload}, s.Peers())
		}
		synctest.Wait()
		x.hear()
		synctest.Wait()
		if n := fd.Stats().Writes - before; n > 2 {
			t.Errorf("%d writes for 64 broadcasts, want at most 2", n)
		}
		for range 10 + 2*64 {
			x.next()
		}
	})
}

// A small message is read with one system call, and many that arrive together
// with a few.
func TestCostReads(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.server(1, nil)
		x := s.stranger(2).join()
		fd := s.serverEnd()
		w.pass(time.Second)
		before := fd.Stats().Reads
		for range 10 {
			x.send(baseLength, rlp.AppendBytes(nil, make([]byte, 50)))
			w.pass(time.Second)
		}
		if n := fd.Stats().Reads - before; n != 10 {
			t.Errorf("%d reads for 10 small messages, want 10", n)
		}
		var all []byte
		for range 64 {
			all, _ = x.conn.AppendMsg(all, baseLength, []byte{0xc0})
		}
		before = fd.Stats().Reads
		x.fd.Write(all)
		w.pass(time.Second)
		if n := fd.Stats().Reads - before; n > 4 {
			t.Errorf("%d reads for 64 messages at once (%d bytes), want at most 4", n, len(all))
		}
	})
}

// A pair is two servers with one connection in memory, in real time.
func newPair(t testing.TB, run func(*Peer, MsgReadWriter) error) (a, b *Server, rw MsgReadWriter) {
	t.Helper()
	rws := make(chan MsgReadWriter, 1)
	start := func(n int, f func(*Peer, MsgReadWriter) error) *Server {
		s := &Server{Config: Config{PrivateKey: testKey(n), NoDial: true, Protocols: []Protocol{{Name: "idle", Version: 1, Length: 4, Run: f}}}}
		s.Logger = slog.New(slog.DiscardHandler)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	a, b = start(1, handle(rws)), start(2, run)
	x, y := simnet.Pipe(simnet.PipeOptions{})
	var both sync.WaitGroup
	both.Go(func() {
		if err := b.SetupConn(t.Context(), y, nil); err != nil {
			t.Error(err)
		}
	})
	if err := a.SetupConn(t.Context(), x, nodeAt(2, privateAddr(2))); err != nil {
		t.Fatal(err)
	}
	both.Wait()
	return a, b, <-rws
}

// Sending a message of a usual size and receiving it allocates nothing but what
// the network in memory does for its own sake.
func TestCostAllocations(t *testing.T) {
	if raceEnabled {
		return // pools give nothing back on purpose then
	}
	for _, size := range []int{100, 30_000} {
		got := make(chan struct{}, 1)
		a, _, rw := newPair(t, func(_ *Peer, rw MsgReadWriter) error {
			for {
				m, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				m.Release()
				got <- struct{}{}
			}
		})
		payload := rlp.AppendBytes(nil, make([]byte, size))
		peers := a.Peers()
		for _, c := range []struct {
			name string
			send func()
			most float64
		}{
			{"WriteMsg", func() { rw.WriteMsg(Msg{Payload: payload}) }, maxAllocsWrite},
			{"Broadcast", func() { a.Broadcast(Outgoing{"idle", 0, payload}, peers) }, maxAllocsBroadcast},
		} {
			one := func() { c.send(); <-got }
			for range 50 {
				one()
			}
			n := testing.AllocsPerRun(500, one)
			t.Logf("%s of %d bytes: %.1f allocations until the other protocol has it", c.name, size, n)
			if n > c.most {
				t.Errorf("%s of %d bytes: %.1f allocations, want at most %v", c.name, size, n, c.most)
			}
		}
	}
}

// What a message costs, sending and receiving together; and a broadcast to one
// peer: the block that is compressed, the goroutine that seals it, and the flusher,
// without which nothing is written on a network in memory.
const (
	maxAllocsWrite     = 1
	maxAllocsBroadcast = 5
)

// A peer at rest holds no buffers and less than 16 KiB in all, simulated network
// and both sides of it included; a message of 800 KB changes that only for as long
// as it is being read.
func TestCostMemory(t *testing.T) {
	const peers = 40
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what lies in pools goes in the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	inWorld(t, func(w *world) {
		s := w.server(1, func(c *Config) { c.MaxPeers, c.NoDial = peers, true })
		w.pass(time.Second)
		before := heap()
		var xs []*stranger
		for i := range peers {
			xs = append(xs, s.stranger(10+i).join())
		}
		w.pass(time.Second)
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes of buffers for %d peers at rest, want none", held, peers)
		}
		idle := (heap() - before) / peers
		t.Logf("%d bytes for a peer at rest, with the other side and the connection", idle)
		if idle > 16<<10 {
			t.Errorf("%d bytes for a peer at rest, want at most 16 KiB", idle)
		}
		x := xs[0]
		x.hear()
		s.host.Conns()[0].SetWindow(2 << 20)
		payload := incompressible(800_000)
		before = heap()
		if err := x.send(baseLength, payload); err != nil {
			w.Fatal(err)
		}
		w.pass(time.Second)
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes of buffers after a message of %d bytes, want none", held, len(payload))
		}
		more := heap() - before
		t.Logf("%d bytes more after a message of %d bytes", more, len(payload))
		if more > 64<<10 {
			t.Errorf("%d bytes more after a message of %d bytes, want at most 64 KiB", more, len(payload))
		}
		runtime.KeepAlive(payload)
		runtime.KeepAlive(xs)
	})
}

// While the memory for messages is used up, nothing more is read; if that lasts,
// the peer that holds the most goes, and when there is memory again the others go
// on with what lay on the wire.
func TestMemoryIsUsedUp(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan struct{}, 10)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				if p.ID() == newID(3) { // takes nothing
					<-p.Context().Done()
					return nil
				}
				for {
					if _, err := rw.ReadMsg(); err != nil {
						return err
					}
					got <- struct{}{}
				}
			}
		})
		x, hog := s.stranger(2).join(), s.stranger(3).join()
		hog.send(baseLength, incompressible(10_000))
		x.send(baseLength, []byte{0xc0})
		<-got
		w.pass(2 * tick) // the one whose protocol does not read is read too

		all := s.bufs.Get(maxMemory) // as if others held it; never touched
		x.send(baseLength, []byte{0xc0})
		x.send(baseLength, []byte{0xc0})
		w.pass(400 * time.Millisecond)
		if len(got) > 1 { // the reader was in its read already
			t.Errorf("%d messages were read while the memory is used up, want at most 1", len(got))
		}
		w.eventually(time.Second, "somebody is dropped", func() bool { return s.PeerCount() < 2 })
		if err := s.lastVerdict(newID(3)).Err; s.PeerCount() != 1 || !errors.Is(err, errMemory) {
			t.Errorf("%d peers, verdict on the one that holds the most: %v; want 1, errMemory", s.PeerCount(), err)
		}
		s.bufs.Put(all)
		w.pass(tick)
		if len(got) != 2 || s.PeerCount() != 1 {
			t.Errorf("%d messages were read when there was memory again, with %d peers; want 2, 1", len(got), s.PeerCount())
		}
		x.fd.Close()
		hog.fd.Close()
	})
}
