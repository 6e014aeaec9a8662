package p2p

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"parley/rlp"
)

// joinBoth makes the stranger a peer with the protocols idle (codes 0 to 3) and a
// second one, whose codes follow.
func (x *stranger) joinBoth(second string) *stranger {
	h := x.hello()
	h.Caps = append(h.Caps, Cap{second, 1})
	x.exchange(h)
	return x
}

// A protocol that never reads does not keep the connection from being read: pings
// are answered, messages are taken in, and the end is seen.
func TestTurnOfBusyProtocol(t *testing.T) {
	inWorld(t, func(w *world) {
		ended := make(chan time.Time, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(p *Peer, rw MsgReadWriter) error {
				<-p.Context().Done()
				ended <- time.Now()
				m, err := rw.ReadMsg()
				if err != nil || m.Size() != 1001 {
					t.Errorf("ReadMsg = %d bytes, %v; want what came before the end", m.Size(), err)
				}
				if _, err = rw.ReadMsg(); !errors.Is(err, DiscQuitting) {
					t.Errorf("ReadMsg = %v, want %v", err, DiscQuitting)
				}
				return err
			}
		})
		x := s.stranger(2).join()
		w.pass(time.Second)
		for range 3 {
			began := time.Now()
			x.send(codePing, emptyList[:])
			if m, err := x.conn.ReadMsg(); err != nil || m.Code != codePong {
				t.Fatalf("code %#x, %v; want a pong", m.Code, err)
			}
			if d := time.Since(began); d > 2*10*time.Millisecond+2*reliefDelay {
				t.Errorf("a pong took %v, want the way there and back and at most %v", d, 2*reliefDelay)
			}
		}
		x.send(baseLength, rlp.AppendBytes(nil, make([]byte, 998)))
		began := time.Now()
		x.send(codeDisconnect, appendDisconnect(nil, DiscQuitting))
		w.eventually(time.Second, "the peer is gone", func() bool { return s.PeerCount() == 0 })
		if d := (<-ended).Sub(began); d > 10*time.Millisecond+2*reliefDelay {
			t.Errorf("the end was seen after %v", d)
		}
	})
}

// A protocol that waits gets its message at once, whoever has the turn: while
// another one waits too, and while another one has left with a message and is at
// work.
func TestTurnOfTwoProtocols(t *testing.T) {
	inWorld(t, func(w *world) {
		type arrival struct {
			proto string
			code  uint64
			at    time.Time
		}
		arrivals := make(chan arrival, 10)
		run := func(name string, work time.Duration) func(*Peer, MsgReadWriter) error {
			return func(_ *Peer, rw MsgReadWriter) error {
				if name == "late" {
					rest(100 * time.Millisecond) // the other one takes the turn
				}
				for {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					arrivals <- arrival{name, m.Code, time.Now()}
					rest(work)
				}
			}
		}
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = run("idle", time.Minute) // at work for long after each
			p := idleProtocol()
			p.Name, p.Run = "late", run("late", 0)
			c.Protocols = append(c.Protocols, p)
		})
		x := s.stranger(2).joinBoth("late")
		w.pass(time.Second)
		for i, c := range []struct {
			codes  []uint64 // that arrive at one moment
			protos []string // that get them
		}{
			{[]uint64{4}, []string{"late"}}, {[]uint64{5}, []string{"late"}}, // both wait
			{[]uint64{1, 6}, []string{"idle", "late"}}, // idle leaves with the turn
			{[]uint64{7}, []string{"late"}},            // idle is at work
		} {
			var frames []byte
			for _, code := range c.codes {
				frames, _ = x.conn.AppendMsg(frames, baseLength+code, []byte{0xc0})
			}
			sent := time.Now()
			x.fd.Write(frames)
			want := make(map[arrival]bool)
			for j, proto := range c.protos {
				want[arrival{proto, c.codes[j] % 4, sent.Add(10 * time.Millisecond)}] = true
			}
			for range c.protos {
				if a := <-arrivals; !want[a] {
					t.Errorf("messages %d: %s got code %d after %v; want %v after 10ms", i, a.proto, a.code, a.at.Sub(sent), c)
				}
			}
		}
	})
}

// When a protocol that was at work comes back, it reads by itself again, and the
// goroutine that did so meanwhile ends.
func TestTurnComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		work := make(chan time.Duration, 1)
		got := make(chan time.Time, 1)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(_ *Peer, rw MsgReadWriter) error {
				for {
					if _, err := rw.ReadMsg(); err != nil {
						return err
					}
					got <- time.Now()
					rest(<-work)
				}
			}
		})
		x := s.stranger(2).join()
		w.pass(time.Second)
		in := &s.Peers()[0].in
		turns := func() (n uint32, armed bool) {
			in.mu.Lock()
			defer in.mu.Unlock()
			return in.turns, in.armed
		}
		send := func(d time.Duration) {
			work <- d
			sent := time.Now()
			x.send(baseLength, []byte{0xc0})
			if at := <-got; at.Sub(sent) != 10*time.Millisecond {
				t.Errorf("a message took %v, want 10ms", at.Sub(sent))
			}
		}
		send(time.Second)
		if held := s.Stats().Buffered; held != 0 {
			t.Errorf("%d bytes of buffers, want none: the message is the protocol's", held)
		}
		before, _ := turns()
		w.pass(500 * time.Millisecond)
		if n, _ := turns(); n != before+1 {
			t.Errorf("%d turns while the protocol is at work, want 1: somebody else's", n-before)
		}
		w.pass(time.Second) // the protocol is back, the other goroutine still has the turn
		before, _ = turns()
		send(0) // it leaves with this one
		w.pass(time.Second)
		if n, armed := turns(); n != before+1 || armed {
			t.Errorf("%d turns, relief armed: %v; want 1, the protocol's, and no timer", n-before, armed)
		}
		before, _ = turns()
		for range 5 {
			send(0)
			w.pass(time.Second)
		}
		if n, _ := turns(); n != before+5 {
			t.Errorf("%d turns for 5 messages, want one each: the protocol's", n-before)
		}
		// A message every 8 ms, each good for 6 ms of work: the protocol comes back in
		// time, whenever the timer looks.
		go func() {
			for range 20 {
				work <- 6 * time.Millisecond
				<-got
				rest(5 * time.Millisecond)
				in.mu.Lock()
				if in.reading {
					t.Error("somebody reads while the protocol is at work for less than it may be")
				}
				in.mu.Unlock()
			}
		}()
		for range 20 {
			x.send(baseLength, []byte{0xc0})
			rest(8 * time.Millisecond)
		}
		w.pass(time.Second)
		// It came back once since the timer was set, but then it did not.
		work <- 6 * time.Millisecond
		x.send(baseLength, []byte{0xc0})
		rest(8 * time.Millisecond)
		x.send(baseLength, []byte{0xc0})
		<-got
		work <- time.Second
		<-got
		began := time.Now()
		x.send(codePing, emptyList[:])
		if m, err := x.conn.ReadMsg(); err != nil || m.Code != codePong || time.Since(began) > 40*time.Millisecond {
			t.Errorf("code %#x after %v, %v; want a pong in 40ms", m.Code, time.Since(began), err)
		}
	})
}

// Whatever the protocols do between two messages, each gets all of its own in
// their order, and nothing waits for longer than it must.
func TestTurnKeepsOrder(t *testing.T) {
	for seed := range uint64(20) {
		inWorld(t, func(w *world) {
			const each = 300
			var done [2]atomic.Int64
			run := func(i int) func(*Peer, MsgReadWriter) error {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				return func(_ *Peer, rw MsgReadWriter) error {
					for n := range uint64(each) {
						m, err := rw.ReadMsg()
						if err != nil {
							return err
						}
						var got uint64
						if err := m.Decode(&got); err != nil {
							return err
						}
						if got != n {
							return fmt.Errorf("protocol %d: message %d, want %d", i, got, n)
						}
						m.Release()
						if r.IntN(3) == 0 {
							rest(time.Duration(r.IntN(40)) * time.Millisecond)
						}
						done[i].Add(1)
					}
					_, err := rw.ReadMsg()
					return err
				}
			}
			s := w.server(1, func(c *Config) {
				c.Protocols[0].Run = run(0)
				p := idleProtocol()
				p.Name, p.Run = "late", run(1)
				c.Protocols = append(c.Protocols, p)
			})
			x := s.stranger(2).joinBoth("late")
			r := rand.New(rand.NewPCG(seed, 7))
			var sent [2]uint64
			for sent[0]+sent[1] < 2*each {
				i := r.IntN(2)
				if sent[i] == each {
					i = 1 - i
				}
				x.send(baseLength+uint64(i)*4, rlp.AppendUint(nil, sent[i]))
				sent[i]++
				if r.IntN(10) == 0 {
					rest(time.Duration(r.IntN(30)) * time.Millisecond)
				}
			}
			w.eventually(30*time.Second, "everything has arrived", func() bool { return done[0].Load() == each && done[1].Load() == each })
			if n := s.PeerCount(); n != 1 {
				t.Errorf("seed %d: %d peers, want 1: %v", seed, n, s.lastVerdict(newID(2)).Err)
			}
		})
	}
}

// Two protocols of which one lets its inbox run full: the other one waits until
// there is room, and then goes on, with nobody left to read in between.
func TestTurnWhenFull(t *testing.T) {
	inWorld(t, func(w *world) {
		take := make(chan struct{})
		late := make(chan uint64, 1000)
		s := w.server(1, func(c *Config) {
			c.Protocols[0].Run = func(_ *Peer, rw MsgReadWriter) error {
				for range take {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					m.Release()
				}
				return nil
			}
			p := idleProtocol()
			p.Name, p.Run = "late", func(_ *Peer, rw MsgReadWriter) error {
				for {
					m, err := rw.ReadMsg()
					if err != nil {
						return err
					}
					late <- m.Code
				}
			}
			c.Protocols = append(c.Protocols, p)
		})
		x := s.stranger(2).joinBoth("late")
		s.host.Conns()[0].SetWindow(8 << 20)
		for range 4 {
			x.send(baseLength, incompressible(maxQueued/4))
		}
		x.send(baseLength+6, []byte{0xc0})
		w.pass(5 * time.Second)
		if len(late) != 0 {
			t.Errorf("%d messages were read behind a full inbox", len(late))
		}
		if d := s.Peers()[0].in.stalled(time.Now()); d < 4*time.Second {
			t.Errorf("stalled for %v, want all the time", d)
		}
		take <- struct{}{} // one message, and no more
		synctest.Wait()
		if len(late) != 1 || <-late != 2 {
			t.Error("the other protocol did not get its message as soon as there was room")
		}
		close(take)
	})
}

// A protocol that has read a message for another one does not hold on to its payload
// while it waits for the next.
func TestTurnKeepsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		begin := make(chan struct{})
		payload := make(chan weak.Pointer[byte], 1)
		s := w.server(1, func(c *Config) {
			c.Protocols = []Protocol{idleProtocol(), {Name: "late", Version: 1, Length: 1, Run: func(_ *Peer, rw MsgReadWriter) error {
				<-begin // until then idle reads the connection, and afterwards
				m, err := rw.ReadMsg()
				if err != nil {
					return err
				}
				payload <- weak.Make(&m.Payload[0])
				m.Release()
				_, err = rw.ReadMsg()
				return err
			}}}
		})
		x := s.stranger(2).joinBoth("late")
		x.send(baseLength+4, incompressible(100_000))
		w.pass(time.Second)
		close(begin)
		p := <-payload
		synctest.Wait()
		for range 3 { // sync.Pool keeps what it has through one
			runtime.GC()
		}
		if p.Value() != nil {
			t.Error("the payload of a message that was released is in memory")
		}
	})
}
