package discv5

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/kad"
)

// Reasons for which a call has no result.
var (
	ErrTimeout    = errors.New("discv5: no answer")
	ErrNoEndpoint = errors.New("discv5: node has no endpoint that may be used")
	ErrSelf       = errors.New("discv5: it is this node itself")
	ErrBusy       = errors.New("discv5: too many calls are waiting")
	ErrTooLarge   = errors.New("discv5: message does not fit a packet")
	ErrDistance   = errors.New("discv5: distance is not in 0 to 256")
	ErrNotFound   = errors.New("discv5: node was not found")
)

const (
	// callTimeout is how long an answer may take at least, from the first packet
	// of ours that asks for it; twice as much if the network is so slow that
	// most take about that long, or if it is not known how slow it is.
	callTimeout = 700 * time.Millisecond

	// callStep is how often a call that waits is looked at.
	callStep = callTimeout / 4

	// maxRepeats is how often a packet is sent again. With a tenth of the packets
	// lost each way, 7 in 1000 requests remain unanswered.
	maxRepeats = 2

	// maxSilence is how many calls may end without an answer, one after the other,
	// before what was measured of the network no longer holds.
	maxSilence = 16

	maxCalls   = 4096 // in all
	maxWaiting = 64   // for one node, not sent yet
	maxFlying  = 8    // to one node, sent and not answered
	maxSends   = 3    // of one call: with an old session, to be challenged, as a handshake
)

// A call is a request to a node, from the moment it is made to its end.
type call struct {
	at      place
	node    *enode.Node
	kind    Kind   // of the request
	id      uint64 // request-id
	message []byte // plaintext

	// done is told the end, from settle. It may be nil.
	done func(now time.Time, c *call)

	check      bool // the table is told by whoever made the call
	flying     bool
	shook      bool      // sent as a handshake
	sends      int       // without repeats
	generation uint64    // of the session it was sent in, 0 for none
	handshake  []byte    // the packet, if it was sent as one
	began      time.Time // when it was sent
	sentAt     time.Time // the same, or when it was repeated
	nonces     [1 + maxRepeats]nonce
	repeats    int       // of them, those after the first
	look       time.Time // when to look at it
	prev, next *call     // in the list by look

	distances []uint // FINDNODE: asked for
	nodes     nodesAnswer
	seq       uint64         // PONG
	endpoint  netip.AddrPort // PONG
	payload   []byte         // TALKRESP
	rtt       time.Duration
	err       error
}

// A remote is a node at an endpoint to which there are calls.
type remote struct {
	flying  []*call // sent, at most maxFlying
	lead    *call   // the one that is to make a session; others wait for it
	waiting []*call // in the order in which they go out
}

// A callBook holds all calls.
type callBook struct {
	open    map[uint64]*call // by request-id
	byNonce map[nonce]*call  // by the packets sent
	remotes map[place]*remote
	due     callList
	ended   []*call // not told yet
}

func newCallBook() callBook {
	return callBook{open: make(map[uint64]*call), byNonce: make(map[nonce]*call), remotes: make(map[place]*remote)}
}

// newCall enters a call, which is not sent yet. Request ids are random and have
// no leading zero byte.
func (e *Engine) newCall(at place, n *enode.Node, kind Kind, done func(time.Time, *call)) *call {
	c := &call{at: at, node: n, kind: kind, done: done}
	for c.id>>56 == 0 || e.calls.open[c.id] != nil {
		c.id = e.rng.Uint64()
	}
	e.calls.open[c.id] = c
	return c
}

// request begins a call to a node. The message is made by the caller once the
// request-id is known. Done is told of failures too, but not before settle.
func (e *Engine) request(now time.Time, n *enode.Node, kind Kind, write func(b []byte, id requestID) []byte, done func(time.Time, *call)) *call {
	fail := func(err error) *call {
		c := &call{node: n, kind: kind, done: done, err: err}
		e.calls.ended = append(e.calls.ended, c)
		return c
	}
	if n.ID() == e.id {
		return fail(ErrSelf)
	}
	endpoint, ok := e.endpoint(n)
	if !ok {
		return fail(ErrNoEndpoint)
	}
	at := place{n.ID(), endpoint}
	r := e.calls.remotes[at]
	if len(e.calls.open) >= maxCalls || (r != nil && len(r.waiting) >= maxWaiting) {
		return fail(ErrBusy)
	}
	if r == nil {
		r = new(remote)
		e.calls.remotes[at] = r
	}
	c := e.newCall(at, n, kind, done)
	c.message = write(nil, ownID(c.id))
	r.waiting = append(r.waiting, c)
	e.pump(now, at, r)
	return c
}

// endpoint returns where to contact a node: where there is a session, or else
// the first endpoint that may be used. One that is to be avoided is the last choice.
func (e *Engine) endpoint(n *enode.Node) (best netip.AddrPort, ok bool) {
	avoided := false
	for at := range n.UDPEndpoints() {
		avoid := at.Addr().Is4() && e.avoid4 || at.Addr().Is6() && e.avoid6
		switch {
		case !e.permitted(at):
		case !avoid && e.sessions.all[place{n.ID(), at}] != nil:
			return at, true
		case !ok || avoided && !avoid:
			best, avoided, ok = at, avoid, true
		}
	}
	return best, ok
}

// pump sends what waits for a node, as far as it may go out now.
func (e *Engine) pump(now time.Time, at place, r *remote) {
	for len(r.waiting) > 0 && r.lead == nil && len(r.flying) < maxFlying {
		c := r.waiting[0]
		r.waiting = r.waiting[1:]
		e.launch(now, r, c)
	}
	if len(r.flying) == 0 && len(r.waiting) == 0 {
		delete(e.calls.remotes, at)
	}
}

// launch sends a call in the session with its node, or a packet that will be
// challenged if there is none.
func (e *Engine) launch(now time.Time, r *remote, c *call) {
	s := e.sessions.all[c.at]
	if s != nil && s.now.sent == 1<<32-1 {
		e.sessions.drop(s) // its nonces are used up
		s = nil
	}
	if s == nil {
		c.generation, r.lead = 0, c
		e.calls.sent(now, r, c, e.sendRandom(c.at))
		return
	}
	c.generation = s.now.generation
	e.calls.sent(now, r, c, e.send(s, c.kind, c.message))
}

// sent notes that a call went out in the packet with the given nonce.
func (b *callBook) sent(now time.Time, r *remote, c *call, n nonce) {
	c.began, c.sentAt, c.flying = now, now, true
	c.nonces[0], c.repeats = n, 0
	c.sends++
	b.byNonce[n] = c
	b.await(now, c)
	r.flying = append(r.flying, c)
}

// await sets when c is looked at next. It is in no list.
func (b *callBook) await(now time.Time, c *call) {
	c.look = now.Add(callStep)
	b.due.push(c)
}

// repeat sends the packet of a call again, because it or its answer may have got
// lost. What is repeated is the same to the other side: a packet that is to be
// challenged has the same nonce, a handshake the same bytes. If it has the
// handshake already, it wants the request as a message of the session.
func (e *Engine) repeat(now time.Time, c *call) {
	c.repeats++
	c.sentAt = now
	n := c.nonces[0]
	s := e.sessions.all[c.at]
	switch {
	case c.shook:
		e.emit(c.at.addr, append(e.room(), c.handshake...))
		if s != nil && s.now.generation == c.generation && c.repeatable() {
			n = e.send(s, c.kind, c.message)
		}
	case c.generation == 0:
		e.sendUnreadable(c.at, n)
	case s != nil && c.repeatable():
		n = e.send(s, c.kind, c.message)
	}
	c.nonces[c.repeats] = n
	e.calls.byNonce[n] = c
	c.nodes.again()
}

// repeatable reports whether the other side may get the request twice: it makes no
// difference to it, or to us, except where another program acts on it.
func (c *call) repeatable() bool { return c.kind != KindTalkReq }

// unsend takes back that a call is on its way.
func (b *callBook) unsend(r *remote, c *call) {
	if !c.flying {
		return
	}
	c.flying = false
	for _, n := range c.nonces[:1+c.repeats] {
		delete(b.byNonce, n)
	}
	b.due.remove(c)
	r.flying = slices.DeleteFunc(r.flying, func(o *call) bool { return o == c })
	if r.lead == c {
		r.lead = nil
	}
}

// finish ends a call. The caller pumps its remote.
func (b *callBook) finish(r *remote, c *call, err error) {
	if !c.flying {
		r.waiting = slices.DeleteFunc(r.waiting, func(o *call) bool { return o == c })
	}
	b.unsend(r, c)
	delete(b.open, c.id)
	c.err = err
	b.ended = append(b.ended, c)
}

// answered acts on a response.
func (e *Engine) answered(now time.Time, s *session, m message) Drop {
	c := e.calls.open[m.id.value()]
	if c == nil || c.at != s.place || m.kind != c.kind+1 || c.sends == 0 {
		return DropNoCall
	}
	r := e.calls.remotes[c.at]
	if r.lead == c {
		r.lead = nil
	}
	e.sessions.prove(s)
	c.rtt = now.Sub(c.sentAt)
	e.measure(now, c)
	switch m.kind {
	case KindPong:
		c.seq, c.endpoint = m.seq, m.endpoint
		e.out.Votes = append(e.out.Votes, Vote{s.place.addr.Addr(), m.endpoint})
	case KindTalkResp:
		c.payload = append([]byte{}, m.payload...)
	case KindNodes:
		if !e.collect(c, m) {
			e.pump(now, c.at, r)
			return 0
		}
	}
	e.calls.finish(r, c, nil)
	e.pump(now, c.at, r)
	return 0
}

// measure takes in how long the answer to what was sent last took. Of packets
// that were repeated it is not known which one was answered; only where nothing
// was measured yet it counts as the first, because in a slow network every packet
// is repeated until something was.
func (e *Engine) measure(now time.Time, c *call) {
	e.silence = 0
	if c.repeats == 0 || !e.rtt.Measured() {
		e.rtt.Add(now.Sub(c.began))
	}
}

// unanswered notes that a call ended without an answer.
func (e *Engine) unanswered() {
	e.stats.Timeouts++
	if e.silence++; e.silence >= maxSilence {
		e.silence, e.rtt = 0, kad.NewRTT(callStep)
	}
}

// patience returns how long an answer may take.
func (e *Engine) patience() time.Duration {
	if !e.rtt.Measured() {
		return 2 * callTimeout
	}
	return min(max(e.rtt.Timeout(), callTimeout), 2*callTimeout)
}

// lookAfterCalls ends the calls whose answer did not come, and sends those again
// whose answer should have come by now. If it was the one that should have made a
// session, the node does not answer at all, and those that waited for it end too.
func (e *Engine) lookAfterCalls(now time.Time) {
	usual := e.rtt.Timeout()
	for {
		c := e.calls.due.first
		if c == nil || now.Before(c.look) {
			return
		}
		if now.Sub(c.began) < e.patience() {
			if c.repeats < maxRepeats && now.Sub(c.sentAt) >= usual {
				e.repeat(now, c)
			}
			e.calls.due.remove(c)
			e.calls.await(now, c)
			continue
		}
		r := e.calls.remotes[c.at]
		lead := r.lead == c
		if c.nodes.some {
			e.calls.finish(r, c, nil) // some of the answer came
		} else {
			e.unanswered()
			e.calls.finish(r, c, ErrTimeout)
		}
		if lead {
			for _, w := range slices.Clone(r.waiting) {
				e.calls.finish(r, w, ErrTimeout)
			}
		}
		e.pump(now, c.at, r)
	}
}

// conclude tells the table and the caller how a call ended.
func (e *Engine) conclude(now time.Time, c *call) {
	switch {
	case c.check || c.sends == 0: // the latter says nothing about the node
	case c.err == nil:
		if c.kind == KindPing {
			e.table.Verified(now, c.node)
		} else {
			e.table.Answered(now, c.node)
		}
		e.upkeep.due = true
		if c.shook {
			e.out.Proven = append(e.out.Proven, c.node)
		}
	default:
		e.table.Failed(now, c.node.ID())
		e.upkeep.due = true
	}
	if c.done != nil {
		c.done(now, c)
	}
}

// A callList is ordered by the time of the next look, because that is equally far
// ahead for all calls.
type callList struct {
	first, last *call
}

func (l *callList) push(c *call) {
	c.prev = l.last
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *callList) remove(c *call) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
}
