package discv4

import (
	"errors"
	"slices"
	"time"

	"parley/enode"
)

// Ends of a call other than an answer.
var (
	// ErrTimeout: the node did not answer, although it was asked several times.
	ErrTimeout = errors.New("discv4: no answer")

	// ErrNoEndpoint: the node has no UDP endpoint, or none that may be contacted.
	ErrNoEndpoint = errors.New("discv4: node has no UDP endpoint that may be contacted")

	// ErrBusy: too many requests are under way, in all or to this node.
	ErrBusy = errors.New("discv4: too many requests")

	// ErrNotFound: nobody knows the node that was to be resolved.
	ErrNotFound = errors.New("discv4: node not found")

	// ErrRecord: the node answered with a record that is not its own valid one.
	ErrRecord = errors.New("discv4: answer with an invalid record")
)

const (
	// maxTries is how often a request is sent, pingTries how often a PING: most of
	// those who do not answer that do not exist any more, while who does not
	// answer another request did answer a PING. With a tenth of the packets lost
	// each way, 7 in 1000 PINGs remain unanswered.
	maxTries  = 4
	pingTries = 3

	// maxWaiting is how many requests may wait for one node.
	maxWaiting = 16
)

// A reply is how a request ended.
type reply struct {
	rtt    time.Duration // Ping
	seq    uint64        // Ping: of the other's record
	nodes  []*enode.Node // FindNode
	record *enode.Node   // ENRRequest
	err    error

	// Nothing at all was accepted from anybody since the request was sent. Then
	// it may be our network or our clock that is to blame, not the node.
	silence bool
}

// A request is one question to one node, with its repetitions.
type request struct {
	kind   Kind
	dialog *dialog
	node   *enode.Node // who is asked
	target enode.PublicKey
	done   []func(reply)

	hashes [maxTries][32]byte // of the packets sent
	sent   [maxTries]time.Duration
	tries  int
	heard  uint64 // Engine.heard when it was sent first
	timer  timer

	// Of the answer to FindNode: what is of use, and how much there was.
	nodes        []*enode.Node
	named, parts int
}

// A dialog is what is under way with one place. It is there for as long as
// something is.
type dialog struct {
	place   place
	ping    *request   // under way, or nil
	finding *request   // FindNode under way, or nil: Neighbors do not say what they answer
	others  int        // ENRRequests under way
	waiting []*request // until the other side has its proof of our endpoint, or finding ends

	ponged  time.Duration // when we last answered a PING of the other side
	pinged  time.Duration // when we last began to ask for its proof, so that it asks for ours
	assumed bool          // it answered ours and sent none, so it will have its proof
	grace   timer         // ends the wait for its PING

	expiration uint64 // of the last request sent

	// Our ping only answers one of the other side: nobody here wants anything of
	// it.
	unasked bool
}

// ask begins a request to n, or fails it: then done is called before ask returns.
func (e *Engine) ask(kind Kind, n *enode.Node, target enode.PublicKey, done func(reply)) {
	p, ok := e.placeOf(n)
	if !ok {
		done(reply{err: ErrNoEndpoint})
		return
	}
	d := e.dialogs[p]
	if e.pending >= e.limits.Requests || d != nil && len(d.waiting) >= maxWaiting {
		done(reply{err: ErrBusy})
		return
	}
	if d == nil {
		d = e.newDialog(p)
	}
	d.unasked = false
	if kind == KindPing && d.ping != nil {
		// The one under way will do.
		d.ping.node = newerOf(d.ping.node, n)
		d.ping.done = append(d.ping.done, done)
		return
	}
	r := e.newRequest(kind, d, n)
	r.target, r.done = target, append(r.done, done)
	if kind == KindPing {
		d.ping = r
		e.try(r)
		return
	}
	d.waiting = append(d.waiting, r)
	e.pump(d)
}

// pingBack asks a stranger for its endpoint proof, once.
func (e *Engine) pingBack(p place, key enode.PublicKey, tcp uint16) {
	if e.pending >= e.limits.Requests {
		return
	}
	d := e.dialogs[p]
	if d == nil {
		d = e.newDialog(p)
		d.unasked = true
	}
	d.ponged = e.t
	d.ping = e.newRequest(KindPing, d, enode.NewV4(key, p.at.Addr(), tcp, p.at.Port()))
	d.ping.tries = pingTries - 1
	e.try(d.ping)
}

// placeOf returns where n is contacted: at the first of its endpoints that is
// allowed. One that is to be avoided is the last choice.
func (e *Engine) placeOf(n *enode.Node) (p place, ok bool) {
	if n == nil || n.ID() == e.own.id {
		return place{}, false
	}
	for at := range n.UDPEndpoints() {
		if !e.restrict.Allows(at.Addr()) {
			continue
		}
		if avoid := at.Addr().Is4() && e.avoid4 || at.Addr().Is6() && e.avoid6; !avoid {
			return place{n.ID(), normalize(at)}, true
		}
		if !ok {
			p, ok = place{n.ID(), normalize(at)}, true
		}
	}
	return p, ok
}

func (e *Engine) newDialog(p place) *dialog {
	d := &dialog{place: p, ponged: never}
	if b := e.bonds.get(e.t, p); b != nil {
		d.ponged, d.expiration = b.ponged, b.expiration
	}
	d.grace.fire = func() {
		d.assumed = true
		e.pump(d)
	}
	e.dialogs[p] = d
	e.known[p.at]++
	return d
}

func (e *Engine) newRequest(kind Kind, d *dialog, n *enode.Node) *request {
	r := &request{kind: kind, dialog: d, node: n, heard: e.heard}
	r.timer.fire = func() { e.late(r) }
	e.pending++
	return r
}

// trusted reports whether the other side should have its proof of our endpoint, so
// that it takes our requests.
func (e *Engine) trusted(d *dialog) bool { return d.assumed || e.t-d.ponged < trustLife }

// pump sends what waits and may be sent, and sees to it that the rest will be.
func (e *Engine) pump(d *dialog) {
	if len(d.waiting) > 0 && !e.trusted(d) {
		if d.ping == nil && d.grace.index == 0 {
			// The other side will send a PING when it gets one of ours.
			d.ping = e.newRequest(KindPing, d, d.waiting[0].node)
			d.pinged = e.t
			e.try(d.ping)
		}
		return
	}
	e.timers.stop(&d.grace)
	for i := 0; i < len(d.waiting); {
		r := d.waiting[i]
		if r.kind == KindFindNode && d.finding != nil {
			i++
			continue
		}
		d.waiting = slices.Delete(d.waiting, i, i+1)
		if r.kind == KindFindNode {
			d.finding = r
		} else {
			d.others++
		}
		e.try(r)
	}
	e.tidy(d)
}

// tidy forgets a dialog in which nothing is under way.
func (e *Engine) tidy(d *dialog) {
	if d.ping != nil || d.finding != nil || d.others > 0 || len(d.waiting) > 0 || e.dialogs[d.place] != d {
		return
	}
	e.timers.stop(&d.grace)
	if b := e.bonds.all[d.place]; b != nil {
		b.ponged, b.expiration = max(b.ponged, d.ponged), d.expiration
	}
	delete(e.dialogs, d.place)
	uncount(e.known, d.place.at)
}

// try sends a request, for the first time or again.
func (e *Engine) try(r *request) {
	if r.tries == 0 {
		r.heard = e.heard
	}
	var m Message
	to := r.dialog.place.at
	switch expiration := e.expirationOf(r.dialog); r.kind {
	case KindPing:
		m = &Ping{
			Version:    version,
			From:       e.own.from,
			To:         Endpoint{Addr: to.Addr(), UDP: to.Port()},
			Expiration: expiration,
			Seq:        e.self.Seq(),
		}
	case KindFindNode:
		m = &FindNode{Target: r.target, Expiration: expiration}
	default:
		m = &ENRRequest{Expiration: expiration}
	}
	hash := e.send(to, m)
	r.hashes[r.tries], r.sent[r.tries] = hash, e.t
	r.tries++
	if r.kind != KindFindNode {
		e.asked[hash] = r
	}
	wait := e.retryAfter()
	if r.kind == KindENRRequest {
		// Others answer it once a second, as we do.
		wait = max(wait, recordPause+100*time.Millisecond)
	}
	e.timers.set(&r.timer, e.t+wait)
}

// late is called when a request was not answered in time.
func (e *Engine) late(r *request) {
	d := r.dialog
	switch {
	case r.parts > 0:
		// There is no more to the answer than this.
		e.end(r, reply{nodes: r.nodes})
	case r.tries >= maxTries || r.kind == KindPing && r.tries >= pingTries:
		e.end(r, reply{err: ErrTimeout, silence: e.heard == r.heard})
	case r.kind == KindPing || r.tries > 1 && !(d.assumed && r.tries == maxTries-1):
		e.try(r)
	case r.tries > 1 && e.t < d.pinged+pingBackPause+e.grace():
		// It sent no PING for ours, or that got lost, so it may well have no proof.
		// Others too may send the next one only after a while.
		e.timers.set(&r.timer, d.pinged+pingBackPause+e.grace())
	default:
		// Perhaps it is not the packet that was lost but, on the other side, the
		// proof of our endpoint. A PING of ours brings it to make a new one.
		d.ponged, d.assumed = never, false
		if b := e.bonds.all[d.place]; b != nil {
			b.ponged = never
		}
		if r.kind == KindFindNode {
			d.finding = nil
		} else {
			d.others--
		}
		d.waiting = slices.Insert(d.waiting, 0, r)
		e.pump(d)
	}
}

// end ends a request and calls those who wait for it.
func (e *Engine) end(r *request, with reply) {
	d := r.dialog
	e.timers.stop(&r.timer)
	for i := range r.tries {
		if e.asked[r.hashes[i]] == r {
			delete(e.asked, r.hashes[i])
		}
	}
	e.pending--
	switch r.kind {
	case KindPing:
		d.ping = nil
	case KindFindNode:
		d.finding = nil
	default:
		d.others--
	}
	var stranded []*request
	if r.kind == KindPing && with.err != nil && !e.trusted(d) {
		stranded, d.waiting = d.waiting, nil
	}
	if with.err == ErrTimeout && !with.silence {
		e.failed(d.place)
	}
	e.pump(d)
	for _, done := range r.done {
		done(with)
	}
	for _, w := range stranded {
		e.pending--
		for _, done := range w.done {
			done(with)
		}
	}
}

// failed tells the table that nobody answered at p. It matters only if the table
// knows the node there: anybody can say that a node is where it is not.
func (e *Engine) failed(p place) {
	if known, ok := e.table.Get(p.id); ok {
		if at, ok := e.placeOf(known); ok && at == p {
			e.table.Failed(e.now, p.id)
		}
	}
}

// newerOf returns a, or b if its record is newer.
func newerOf(a, b *enode.Node) *enode.Node {
	if b.Seq() > a.Seq() {
		return b
	}
	return a
}

// firstRTT is what is assumed of the network before the first answer.
const firstRTT = 600 * time.Millisecond

// retryAfter is how long to wait before a request is sent again. It is never
// short: the nodes that matter may be farther away than most.
func (e *Engine) retryAfter() time.Duration {
	return min(max(e.rtt.Timeout(), 250*time.Millisecond), 1500*time.Millisecond)
}

// grace is how long to wait for what should come right behind a packet.
func (e *Engine) grace() time.Duration {
	return min(max(e.rtt.Mean(), 5*time.Millisecond), 300*time.Millisecond)
}
