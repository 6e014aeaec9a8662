package p2p

import (
	"sync"
	"time"
)

const (
	// pingInterval is the time between two pings of ours, pongTimeout how long
	// the answer may take.
	pingInterval = 15 * time.Second
	pongTimeout  = 30 * time.Second

	// Pings of the other side are answered one by one up to maxPongs, which come
	// back at pongRate a second; beyond that one pong answers several. More than
	// maxPingRate in a second is an attack.
	maxPongs    = 16
	pongRate    = 2
	maxPingRate = 1000

	// handlerTimeout is how long a protocol may leave a full queue untouched.
	handlerTimeout = 30 * time.Second

	// tick is the resolution of all these, and the longest that a pong is put off.
	tick = 500 * time.Millisecond
)

// liveness keeps account of ping and pong on one connection.
type liveness struct {
	mu       sync.Mutex // guards the fields below
	nextPing time.Time
	asked    time.Time     // when our unanswered ping was queued; zero if none
	fastest  time.Duration // that a pong took

	credits float64   // pongs that may be sent at once
	counted time.Time // when credits was brought up to date
	second  time.Time // the second in which pings are counted
	pings   uint32    // in it
	ignored uint16    // messages with reserved codes
	owed    bool      // a ping waits for its pong
}

func (l *liveness) start(now time.Time) {
	l.nextPing = now.Add(pingInterval)
	l.credits, l.counted = maxPongs, now
}

// ping notes a ping of the other side. It reports whether to answer now, and
// whether there are too many.
func (l *liveness) ping(now time.Time) (answer, flood bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		l.second, l.pings = now, 0
	}
	if l.pings++; l.pings > maxPingRate {
		return false, true
	}
	if l.spend(now) {
		l.owed = false
		return true, false
	}
	l.owed = true
	return false, false
}

// spend takes the credit for one pong.
func (l *liveness) spend(now time.Time) bool {
	l.credits = min(maxPongs, l.credits+now.Sub(l.counted).Seconds()*pongRate)
	l.counted = now
	if l.credits < 1 {
		return false
	}
	l.credits--
	return true
}

// pong notes a pong of the other side. It returns the shortest time that one has
// taken so far, and whether this one was asked for.
func (l *liveness) pong(now time.Time) (fastest time.Duration, asked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked.IsZero() {
		return l.fastest, false
	}
	if took := now.Sub(l.asked); l.fastest == 0 || took < l.fastest {
		l.fastest = took
	}
	l.asked = time.Time{}
	return l.fastest, true
}

// reserved notes a message with a reserved code and reports whether it may be
// ignored.
func (l *liveness) reserved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ignored++
	return l.ignored <= maxReserved
}

// unasked takes back that a ping of ours went out. Without room for it something
// else is on its way, whose own deadline tells whether the other side is alive.
func (l *liveness) unasked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.nextPing = time.Time{}, time.Time{}
}

// owe notes that a ping still waits for its pong.
func (l *liveness) owe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed = true
}

// duties are what is to be done for a connection at a tick.
type duties struct{ ping, pong, late bool }

// tick returns what is due. While the reader is paused, a pong may lie unread,
// so nobody is late.
func (l *liveness) tick(now time.Time, paused bool) (d duties) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if paused && !l.asked.IsZero() {
		l.asked = now
	}
	switch {
	case !l.asked.IsZero():
		d.late = now.Sub(l.asked) > pongTimeout-tick // at the next tick it is more
	case l.nextPing.Sub(now) < tick/2: // a tick comes a little earlier or later than it should
		d.ping = true
		l.asked = now
		l.nextPing = now.Add(pingInterval)
	}
	if l.owed { // ticks come at pongRate
		l.owed, d.pong = false, true
		l.credits, l.counted = 0, now
	}
	return d
}

// tend does what is due for the peer. It does not block.
func (p *Peer) tend(now time.Time) {
	p.firstTurn()
	stalled := p.in.stalled(now)
	if stalled >= handlerTimeout {
		p.end(DiscSubprotocolError, errHandlerStalled, false)
		return
	}
	d := p.live.tick(now, stalled > 0)
	if d.late {
		p.end(DiscReadTimeout, errNoPong, false)
		return
	}
	if d.pong {
		p.answer()
	}
	if d.ping && p.out.enqueue(len(emptyList), func() error { return p.out.seal(codePing, emptyList[:]) }) != nil {
		p.live.unasked()
	}
}

// answer queues a pong, at the next tick if there is no room for it now.
func (p *Peer) answer() {
	if p.out.pong() != nil {
		p.live.owe()
	}
}
