package simnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// A stream is one connection: two ends and a lane from each to the other.
type stream struct {
	epoch time.Time
	seq   uint64
	hosts [2]*Host        // the dialer and the acceptor; nil in a pipe
	busy  *sync.WaitGroup // the network's, which counts blocked calls; nil in a pipe
	ended func(side int, last bool)

	conns [2]Conn

	mu    sync.Mutex // guards the fields below; taken after the network's
	lanes [2]lane    // lanes[i] carries what end i sends
	ends  [2]end
}

// An end is the state of one side that is not part of a lane.
type end struct {
	addr     net.Addr
	closed   bool
	aborted  bool // by Reset on this side
	writing  bool // a Write is under way; others wait, so that each goes out whole
	readers  gate
	writers  gate
	deadline struct{ read, write int64 }
	stats    Stats
}

func newStream(link Link, from, to netip.AddrPort, seed uint64) *stream {
	s := &stream{epoch: time.Now()}
	for i, addr := range [2]netip.AddrPort{from, to} {
		s.conns[i] = Conn{s: s, side: i}
		s.lanes[i] = lane{link: link, window: link.window(), rand: newRand(seed, uint64(i)), fin: never, rst: never}
		e := &s.ends[i]
		e.addr = net.TCPAddrFromAddrPort(addr)
		e.deadline.read, e.deadline.write = never, never
		e.readers.init(&s.mu)
		e.writers.init(&s.mu)
	}
	return s
}

func (s *stream) now() int64 { return int64(time.Since(s.epoch)) }

// wake lets everybody who waits on the stream look again.
func (s *stream) wake() {
	for i := range s.ends {
		s.ends[i].readers.cond.Broadcast()
		s.ends[i].writers.cond.Broadcast()
	}
}

// failure returns why end side can go on neither reading nor writing, or nil.
// A deadline that has come fails a call even if data is there, as in package
// net; so where both come at the same time, the outcome is always the same.
func (s *stream) failure(side int, deadline, now int64) error {
	e, in := &s.ends[side], &s.lanes[1-side]
	switch {
	case e.closed:
		return net.ErrClosed
	case e.aborted || in.rst <= now:
		return syscall.ECONNRESET
	case deadline <= now:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// reroute takes on a link and whether it is up.
func (s *stream) reroute(link Link, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for i := range s.lanes {
		l := &s.lanes[i]
		l.link = link
		switch {
		case !up && !l.cut:
			l.hold(now)
		case up && l.cut:
			l.release(now)
		}
	}
	s.wake()
}

// kill ends both sides at once, without a word between them.
func (s *stream) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ends {
		s.ends[i].closed = true
		s.ends[i].stopTimers()
		s.lanes[i].discard()
	}
	s.wake()
}

func (e *end) stopTimers() {
	e.readers.stop()
	e.writers.stop()
}
