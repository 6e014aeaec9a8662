package p2p

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"parley/enode"
	"parley/internal/simnet"
	"parley/rlpx"
)

// A row is a sequence of numbered messages in one direction of a session. What
// message i is follows from the seed and i, so nothing needs to be kept of it.
type row struct {
	seed      uint64
	sent, got atomic.Uint64
}

// A book makes the messages of rows.
type book struct{ filler []byte }

// maxLoadSize is the largest message of the load. It is above what a queue holds
// together, so it fits only into an empty one.
const maxLoadSize = 1200 << 10

func newBook() *book {
	b := &book{make([]byte, 2*maxLoadSize)}
	rng := rand.NewChaCha8([32]byte{5})
	for i := 0; i < len(b.filler); i += 8192 { // half of it is zero
		rng.Read(b.filler[i : i+4096])
	}
	return b
}

// loadSize returns the size of message i of a row: nothing or less than 1 KB mostly,
// seldom some 100 KB, and now and then 1 MB. Broadcasts have their number in them
// always, and tell by it whether they are large.
func loadSize(rng *rand.Rand, seed, i uint64) int {
	r := rng.IntN(10_000)
	switch {
	case seed == newsSeed && i < largeNews:
		return 8 + rng.IntN(600)
	case seed == newsSeed:
		return 240_000
	case r < 500:
		return 0
	case r < 9960:
		return 8 + rng.IntN(1000)
	case r < 9998:
		return 50_000 + rng.IntN(100_000)
	default:
		return maxLoadSize - rng.IntN(300_000)
	}
}

// newsSeed is that of the row of all broadcasts. The large ones are numbered from
// largeNews on.
const (
	newsSeed  = 1
	largeNews = 1 << 32
)

// body returns what follows the number in message i of a row. Of an empty message
// not even the number is there.
func (b *book) body(seed, i uint64) (body []byte, empty bool) {
	var pcg rand.PCG
	pcg.Seed(seed, i)
	rng := rand.New(&pcg)
	n := loadSize(rng, seed, i)
	if n < 8 {
		return nil, true
	}
	at := rng.IntN(len(b.filler) - n)
	return b.filler[at : at+n-8], false
}

// append appends message i of a row.
func (b *book) append(dst []byte, seed, i uint64) []byte {
	body, empty := b.body(seed, i)
	if empty {
		return dst
	}
	return append(binary.BigEndian.AppendUint64(dst, i), body...)
}

// check reports how a payload differs from message i of a row.
func (b *book) check(payload []byte, seed, i uint64) error {
	body, empty := b.body(seed, i)
	switch {
	case empty && len(payload) == 0:
		return nil
	case empty || len(payload) < 8:
		return fmt.Errorf("%d bytes came where message %d of %d bytes was due", len(payload), i, len(body)+8)
	}
	if got := binary.BigEndian.Uint64(payload); got != i {
		return fmt.Errorf("message %d came where %d was due", got, i)
	}
	if !bytes.Equal(payload[8:], body) {
		return fmt.Errorf("message %d came with %d other bytes, want %d", i, len(payload)-8, len(body))
	}
	return nil
}

// A session is one connection of a peer of the load, seen from both sides.
type session struct {
	l   *load
	n   int // of the peer
	rng *rand.Rand

	// What the peer reads and the server writes, and the other way.
	down, asked, answers  row
	up, asks, answersBack row

	conn    *rlpx.Conn
	fd      *simnet.Conn
	turn    chan struct{} // holds a value while somebody writes to conn
	read    chan struct{} // closed when the peer has read the end
	ready   chan struct{} // closed when both protocols run at the server
	over    chan struct{} // closed when both have returned
	leaving atomic.Bool   // the peer has ended it or is about to
	pausing atomic.Bool   // the peer takes nothing
	unasked atomic.Bool   // a ping waits for its pong

	mu      sync.Mutex // guards the fields below
	peer    *Peer
	flow    MsgReadWriter
	ask     MsgReadWriter
	running int
	news    []uint64 // broadcasts that are on their way
}

// newSession returns the k-th session of the n-th peer.
func (l *load) newSession(n, k int) *session {
	seed := uint64(n+1)<<32 | uint64(k)<<8
	s := &session{
		l: l, n: n, rng: rand.New(rand.NewPCG(seed, 9)), turn: make(chan struct{}, 1),
		read: make(chan struct{}), ready: make(chan struct{}), over: make(chan struct{}),
	}
	s.down.seed, s.up.seed = seed|1, seed|2
	s.asked.seed, s.answersBack.seed = seed|3, seed|3 // an answer repeats its question
	s.asks.seed, s.answers.seed = seed|4, seed|4
	return s
}

// join connects and returns when both protocols run at the server.
func (l *load) join(n, k int) (*session, error) {
	s := l.newSession(n, k)
	l.mu.Lock()
	l.sessions[n] = s
	l.mu.Unlock()
	fd, err := l.hosts[n].DialContext(l.w.Context(), "tcp", l.server.host.AddrPort(30303).String())
	if err != nil {
		return nil, err
	}
	s.fd = fd.(*simnet.Conn)
	if s.conn, err = rlpx.Initiate(fd, l.keys[n], l.server.PrivateKey.Public(), nil); err != nil {
		return nil, err
	}
	version := uint64(snappyVersion)
	if n%16 == 5 {
		version-- // does not compress
	}
	hello, err := (&Hello{Version: version, Name: "load", Caps: []Cap{{"ask", 1}, {"flow", 1}}, PublicKey: l.keys[n].Public()}).append(nil)
	if err != nil {
		return nil, err
	}
	if err := s.conn.WriteMsg(codeHello, hello); err != nil {
		return nil, err
	}
	if m, err := s.conn.ReadMsg(); err != nil || m.Code != codeHello {
		return nil, fmt.Errorf("code %#x, %w; want Hello", m.Code, err)
	}
	s.conn.SetLimits(rlpx.Limits{})
	s.conn.SetSnappy(version >= snappyVersion)
	go s.listen()
	return s, within(10*time.Second, s.ready)
}

// within waits for a channel to be closed.
func within(d time.Duration, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-time.After(d):
		return fmt.Errorf("waited %v in vain", d)
	}
}

// send writes a message of the peer. Who waits for his turn must not do so for a
// mutex: virtual time would stand still.
func (s *session) send(code uint64, payload []byte) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.leaving.Load() && code != codeDisconnect {
		return errLeft
	}
	s.fd.SetWriteDeadline(time.Now().Add(writeTimeout))
	return s.conn.WriteMsg(code, payload)
}

var errLeft = errors.New("the peer has left")

// listen is the reader of the peer.
func (s *session) listen() {
	defer close(s.read)
	rng := rand.New(rand.NewPCG(uint64(s.n), 4))
	for {
		s.fd.SetReadDeadline(time.Time{})
		m, err := s.conn.ReadMsg()
		if err == nil {
			err = s.take(m.Code, m.Payload)
			m.Release()
		}
		if err != nil {
			if !s.leaving.Load() {
				s.l.fail("peer %d: %v", s.n, err)
			}
			return
		}
		switch {
		case s.leaving.Load():
		case s.pausing.Load():
			rest(loadPause)
			s.pausing.Store(false)
		case s.n%10 == 3 && rng.IntN(20) == 0: // a slow one
			rest(time.Duration(rng.IntN(300)) * time.Millisecond)
		}
	}
}

// take checks a message that the peer got, and answers it.
func (s *session) take(code uint64, payload []byte) error {
	switch code {
	case codePing:
		if err := s.send(codePong, emptyList[:]); err != nil && !s.leaving.Load() {
			return err
		}
	case codePong:
		s.unasked.Store(false)
	case codeDisconnect:
		if !s.leaving.Load() {
			return fmt.Errorf("told to go: %w", parseDisconnect(payload))
		}
	case wireAsk + codeQuestion:
		if err := s.l.got(&s.asked, payload); err != nil {
			return fmt.Errorf("question: %w", err)
		}
		err := s.send(wireAsk+codeAnswer, payload)
		if err == nil {
			s.answersBack.sent.Add(1)
		} else if !s.leaving.Load() {
			return err
		}
	case wireAsk + codeAnswer:
		if err := s.l.got(&s.answers, payload); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	case wireFlow + codeNumbered:
		if err := s.l.got(&s.down, payload); err != nil {
			return fmt.Errorf("message: %w", err)
		}
	case wireFlow + codeNews:
		return s.takeNews(payload)
	default:
		return fmt.Errorf("code %#x", code)
	}
	return nil
}

func (s *session) takeNews(payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.news) == 0 {
		return fmt.Errorf("a broadcast of %d bytes that was not for it, or came again", len(payload))
	}
	if err := s.l.book.check(payload, newsSeed, s.news[0]); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	if s.news = s.news[1:]; len(s.news) == 0 {
		s.news = nil
	}
	s.l.newsGot.Add(1)
	return nil
}

// talk is the writer of the peer: it sends, asks and pings until the given time.
func (s *session) talk(until time.Time) error {
	var buf []byte
	for s.l.breather(s.rng, until) {
		if s.rng.IntN(8) == 0 {
			s.unasked.Store(true)
			if err := s.send(codePing, emptyList[:]); err != nil {
				return err
			}
		}
		code, to := uint64(wireFlow+codeNumbered), &s.up
		if s.rng.IntN(3) == 0 {
			code, to = wireAsk+codeQuestion, &s.asks
		}
		for range burst(s.rng) {
			buf = s.l.next(buf[:0], to)
			if err := s.send(code, buf); err != nil {
				return err
			}
			to.sent.Add(1)
		}
	}
	return nil
}

// part ends the session as a peer does that says so, or as one does whose program
// ends. In the first case all that it sent must arrive.
func (s *session) part(politely bool) error {
	s.leaving.Store(true)
	if politely {
		if err := s.send(codeDisconnect, appendDisconnect(nil, DiscRequested)); err != nil {
			return err
		}
		if err := within(time.Minute, s.read); err != nil {
			return fmt.Errorf("no end of the connection: %w", err)
		}
	} else if s.rng.IntN(2) == 0 {
		s.fd.Reset()
	}
	s.conn.Close()
	if err := errors.Join(within(time.Minute, s.over), within(time.Minute, s.read)); err != nil {
		return err
	}
	for _, r := range s.rows() {
		sent, got := r.sent.Load(), r.got.Load()
		if r.up && politely && got != sent {
			return fmt.Errorf("the server got %d of %d %s from a peer that left politely", got, sent, r.name)
		}
		if got > sent+1 { // the last one may have arrived though it failed
			return fmt.Errorf("%d of %d %s arrived", got, sent, r.name)
		}
	}
	s.l.parted.Add(1)
	return nil
}

// A namedRow is a row with what its messages are.
type namedRow struct {
	*row
	name string
	up   bool
}

func (s *session) rows() []namedRow {
	return []namedRow{
		{&s.down, "messages to the peer", false}, {&s.up, "messages of the peer", true},
		{&s.asked, "questions to the peer", false}, {&s.answersBack, "answers of the peer", true},
		{&s.asks, "questions of the peer", true}, {&s.answers, "answers to the peer", false},
	}
}

// settled reports what has not arrived.
func (s *session) settled() error {
	for _, r := range s.rows() {
		if sent, got := r.sent.Load(), r.got.Load(); sent != got {
			return fmt.Errorf("%d of %d %s arrived", got, sent, r.name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.news) > 0:
		return fmt.Errorf("%d broadcasts have not arrived, the first is %d", len(s.news), s.news[0])
	case s.unasked.Load():
		return errors.New("a ping was not answered")
	}
	return nil
}

// joined notes that a protocol runs with the peer.
func (s *session) joined(p *Peer, name string, rw MsgReadWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer = p
	if name == "flow" {
		s.flow = rw
	} else {
		s.ask = rw
	}
	if s.running++; s.running == 2 {
		close(s.ready)
	}
}

// left notes that one has returned.
func (s *session) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 {
		close(s.over)
	}
}

// sessionOf returns the current session of a peer.
func (l *load) sessionOf(id enode.ID) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[l.index[id]]
}
