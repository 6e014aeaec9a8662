package p2p

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/enode"
	"parley/internal/simnet"
)

// The two protocols of the load, in the order that they have on the wire.
const (
	codeQuestion, codeAnswer = 0, 1 // of ask
	codeNumbered, codeNews   = 0, 1 // of flow

	wireAsk  = baseLength
	wireFlow = baseLength + 2
)

// A minute of the load is loadTalk of traffic, then quiet. loadPause is how long a
// peer takes nothing.
const (
	loadTalk  = 40 * time.Second
	loadPause = 8 * time.Second
)

// A load is a server with many peers that talk with it.
type load struct {
	w      *world
	server *testServer
	book   *book
	breath time.Duration       // how long a writer rests at most
	keys   []*enode.PrivateKey // of the peers, as hosts and sessions
	hosts  []*simnet.Host
	index  map[enode.ID]int // where a peer is in them

	mu       sync.Mutex // guards sessions
	sessions []*session // the newest of each peer

	failures         atomic.Int64
	newsSent         uint64 // broadcasts
	newsGot, newsDue atomic.Uint64
	missed, parted   atomic.Uint64
}

// fail reports what is wrong, but not a thousand times.
func (l *load) fail(format string, args ...any) {
	l.w.Helper()
	if l.failures.Add(1) <= 10 {
		l.w.Errorf(format, args...)
	}
}

// next appends the message of a row that is to be sent next.
func (l *load) next(dst []byte, r *row) []byte {
	return l.book.append(dst, r.seed, r.sent.Load())
}

// got checks and counts the message of a row that came.
func (l *load) got(r *row, payload []byte) error {
	err := l.book.check(payload, r.seed, r.got.Load())
	r.got.Add(1)
	return err
}

// breather rests for a moment and reports whether there is time left.
func (l *load) breather(rng *rand.Rand, until time.Time) bool {
	rest(time.Duration(rng.Int64N(int64(l.breath))))
	return time.Now().Before(until)
}

// burst returns how many messages are sent at once.
func burst(rng *rand.Rand) int {
	if rng.IntN(20) == 0 {
		return 16
	}
	return 1
}

// run is the part at the server of a protocol. Its handler sometimes takes its
// time, which must not keep the other protocol waiting.
func (l *load) run(name string) func(*Peer, MsgReadWriter) error {
	return func(p *Peer, rw MsgReadWriter) error {
		s := l.sessionOf(p.ID())
		s.joined(p, name, rw)
		defer s.left()
		rng := rand.New(rand.NewPCG(uint64(s.n), uint64(len(name))))
		for {
			m, err := rw.ReadMsg()
			if err != nil {
				if !s.leaving.Load() {
					l.fail("the server has dropped peer %d: %v", s.n, err)
				}
				return err
			}
			if err := s.serve(name, rw, m); err != nil {
				l.fail("from peer %d: %v", s.n, err)
				return err
			}
			m.Release()
			switch r := rng.IntN(2000); {
			case r == 0:
				rest(4 * time.Second)
			case r < 40:
				rest(time.Duration(rng.IntN(300)) * time.Millisecond)
			case r < 1000 && s.n%10 == 1: // both protocols of these are often at work
				rest(time.Duration(rng.IntN(800)) * time.Millisecond)
			}
		}
	}
}

// serve checks a message that the server got, and answers it.
func (s *session) serve(name string, rw MsgReadWriter, m Msg) error {
	switch {
	case name == "flow" && m.Code == codeNumbered:
		return s.l.got(&s.up, m.Payload)
	case name == "ask" && m.Code == codeAnswer:
		return s.l.got(&s.answersBack, m.Payload)
	case name == "ask" && m.Code == codeQuestion:
		if err := s.l.got(&s.asks, m.Payload); err != nil {
			return err
		}
		if err := rw.WriteMsg(Msg{Code: codeAnswer, Payload: m.Payload}); err == nil {
			s.answers.sent.Add(1)
		} else if !s.leaving.Load() {
			return err
		}
		return nil
	}
	return fmt.Errorf("code %d of %s", m.Code, name)
}

// tell is the writer of the server: it sends and asks until the given time.
func (s *session) tell(until time.Time) error {
	rng := rand.New(rand.NewPCG(uint64(s.n), 7))
	var buf []byte
	for s.l.breather(rng, until) && !s.leaving.Load() {
		rw, code, to := s.flow, uint64(codeNumbered), &s.down
		if rng.IntN(3) == 0 {
			rw, code, to = s.ask, codeQuestion, &s.asked
		}
		for range burst(rng) {
			buf = s.l.next(buf[:0], to)
			if err := rw.WriteMsg(Msg{Code: code, Payload: buf}); err != nil {
				if s.leaving.Load() {
					return nil
				}
				return fmt.Errorf("WriteMsg: %w", err)
			}
			to.sent.Add(1)
		}
	}
	return nil
}

// spend is a minute of a peer. Some leave in it and come again.
func (l *load) spend(s *session, minute int, until time.Time) error {
	var tell sync.WaitGroup
	defer tell.Wait()
	begin := func(s *session) {
		tell.Go(func() {
			if err := s.tell(until); err != nil {
				l.fail("to peer %d: %v", s.n, err)
			}
		})
	}
	begin(s)
	if s.n%10 == 7 {
		time.AfterFunc(time.Duration(s.rng.IntN(20))*time.Second, func() { s.pausing.Store(true) })
	}
	if (s.n+minute)%20 != 0 {
		return s.talk(until)
	}
	if err := s.talk(time.Now().Add(time.Duration(s.rng.IntN(15)) * time.Second)); err != nil {
		return err
	}
	if err := s.part(s.rng.IntN(2) == 0); err != nil {
		return fmt.Errorf("parting: %w", err)
	}
	rest(time.Second + time.Duration(s.rng.IntN(4000))*time.Millisecond)
	s, err := l.join(s.n, minute)
	if err != nil {
		return fmt.Errorf("coming again: %w", err)
	}
	begin(s)
	return s.talk(until)
}

// publish broadcasts until the given time, to some of the peers. Now and then it
// sends much to a few, with those among them that take nothing.
func (l *load) publish(rng *rand.Rand, until time.Time) {
	large := uint64(largeNews)
	for round := 0; ; round++ {
		rest(time.Duration(rng.Int64N(int64(2 * time.Second))))
		if !time.Now().Before(until) {
			return
		}
		l.mu.Lock()
		all := slices.Clone(l.sessions)
		l.mu.Unlock()
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if round%8 != 7 {
			l.newsSent++
			l.broadcast(l.newsSent, all[:1+rng.IntN(1+len(all)/3)])
			continue
		}
		slices.SortStableFunc(all, func(a, b *session) int {
			return cmp.Compare(btoi(b.pausing.Load()), btoi(a.pausing.Load()))
		})
		for range 12 {
			large++
			l.broadcast(large, all[:2])
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// broadcast sends a broadcast to the peers of sessions and notes for whom it is due.
// Virtual time stands still meanwhile, so it has not arrived anywhere yet.
func (l *load) broadcast(number uint64, to []*session) {
	of := make(map[*Peer]*session)
	var peers []*Peer
	for _, s := range to {
		s.mu.Lock()
		if s.peer != nil { // otherwise it is coming just now
			peers, of[s.peer] = append(peers, s.peer), s
		}
		s.mu.Unlock()
	}
	payload := l.book.append(nil, newsSeed, number)
	missed := l.server.Broadcast(Outgoing{"flow", codeNews, payload}, peers)
	for _, m := range missed {
		s := of[m.Peer]
		switch {
		case s == nil:
			l.fail("broadcast %d was missed by a peer that it was not for, or twice", number)
		case m.Err != ErrQueueFull && !s.leaving.Load():
			l.fail("broadcast %d was missed by peer %d: %v", number, s.n, m.Err)
		}
		delete(of, m.Peer)
	}
	l.missed.Add(uint64(len(missed)))
	for _, s := range of {
		s.mu.Lock()
		s.news = append(s.news, number)
		s.mu.Unlock()
	}
	l.newsDue.Add(uint64(len(of)))
}

// heap returns the bytes that are in use, after what is not was collected.
func heap() uint64 {
	for range 3 { // sync.Pool keeps what it has through one
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// startLoad makes a load of peers that are connected.
func startLoad(w *world, peers int, breath time.Duration) *load {
	l := &load{w: w, book: newBook(), breath: breath, index: make(map[enode.ID]int), sessions: make([]*session, peers)}
	l.server = w.server(1, func(c *Config) {
		c.MaxPeers, c.DialRatio, c.NoDial = peers+1, peers+1, true // the ratio leaves one slot to dialed ones
		c.Protocols = []Protocol{
			{Name: "ask", Version: 1, Length: 2, Run: l.run("ask")},
			{Name: "flow", Version: 1, Length: 2, Run: l.run("flow")},
		}
	})
	for n := range peers {
		l.keys = append(l.keys, testKey(100+n))
		l.index[newID(100+n)] = n
		l.hosts = append(l.hosts, w.net.Host(privateAddr(1000+n)))
		if n%8 == 1 { // what comes from there comes in pieces
			w.net.SetLink(l.server.host, l.hosts[n], simnet.Link{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, MaxSegment: 8000, Window: 64 << 10})
		}
	}
	return l
}

// check looks whether everything has arrived and nothing is left of it.
func (l *load) check(minute, goroutines int) (heapInUse uint64) {
	synctest.Wait()
	for _, s := range l.sessions {
		if err := s.settled(); err != nil {
			l.fail("minute %d: peer %d: %v", minute, s.n, err)
		}
	}
	if n := l.server.PeerCount(); n != len(l.hosts) {
		l.fail("minute %d: %d peers, want %d", minute, n, len(l.hosts))
	}
	if held := l.server.Stats().Buffered; held != 0 {
		l.fail("minute %d: %d bytes of buffers are held, want none", minute, held)
	}
	// Two for the protocols of each peer, and the reader of its other side. One more
	// or less may belong to the test binary itself.
	got, want := runtime.NumGoroutine()-goroutines, 3*len(l.hosts)
	if got < want-2 || got > want+2 {
		l.fail("minute %d: %d goroutines for %d peers with 2 protocols each, want %d", minute, got, len(l.hosts), want)
	}
	return heap()
}

// Peers with two protocols, of which some are slow, some take nothing for a while and
// some leave and come again, talk with a server in all ways at once: messages of up to
// 1.2 MB and broadcasts, questions and answers, pings. Each message arrives once, in
// its place and as it was, except for the broadcasts that were reported as missed;
// nobody is dropped; and each minute, when all is quiet, no buffer, goroutine or
// memory is left of it. It is 40 peers for 3 minutes, and 1,000 for 10 in make soak.
func TestLoad(t *testing.T) {
	peers, minutes, breath := 40, 3, 4*time.Second
	if *soak {
		peers, minutes, breath = 1000, 10, 10*time.Second
	}
	inWorld(t, func(w *world) {
		began := time.Now()
		w.net.SetDefaultLink(simnet.Link{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Window: 128 << 10})
		l := startLoad(w, peers, breath)
		w.pass(time.Second)
		goroutines := runtime.NumGoroutine()
		var coming sync.WaitGroup
		for n := range peers {
			coming.Go(func() {
				rest(time.Duration(n) * 10 * time.Millisecond)
				if _, err := l.join(n, -1); err != nil {
					l.fail("peer %d does not get in: %v", n, err)
				}
			})
		}
		coming.Wait()
		if t.Failed() {
			return
		}

		defer func() {
			for _, s := range l.sessions {
				s.leaving.Store(true) // now the server may drop them
			}
		}()
		var heaps []uint64
		for minute := range minutes {
			until := time.Now().Add(loadTalk)
			var talk sync.WaitGroup
			for _, s := range slices.Clone(l.sessions) {
				talk.Go(func() {
					if err := l.spend(s, minute, until); err != nil {
						l.fail("minute %d: peer %d: %v", minute, s.n, err)
					}
				})
			}
			l.publish(rand.New(rand.NewPCG(uint64(minute), 6)), until)
			talk.Wait()
			w.pass(time.Until(until.Add(20 * time.Second)))
			heaps = append(heaps, l.check(minute, goroutines))
			t.Logf("minute %d: %d bytes in use", minute, heaps[minute])
			if t.Failed() {
				return
			}
		}
		most := slices.Max(heaps[2:])
		if grown, limit := int64(most)-int64(heaps[1]), int64(1<<20+peers<<10); grown > limit {
			t.Errorf("the heap has grown by %d bytes from the second minute on, want at most %d: %d", grown, limit, heaps)
		}
		l.report(time.Since(began))
	})
}

// report logs what was done.
func (l *load) report(took time.Duration) {
	if l.missed.Load() == 0 || l.parted.Load() == 0 {
		l.w.Errorf("%d broadcasts missed and %d peers left, want some", l.missed.Load(), l.parted.Load())
	}
	st := l.server.Stats()
	l.w.Logf("%d peers, %v: %d MB in, %d MB out; %d broadcasts arrived of %d due, %d missed; %d times a peer left",
		len(l.hosts), took, st.BytesIn>>20, st.BytesOut>>20, l.newsGot.Load(), l.newsDue.Load(), l.missed.Load(), l.parted.Load())
}
