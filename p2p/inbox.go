package p2p

import (
	"sync"
	"time"
)

// maxQueued bounds, in bytes, the messages that wait on one connection: those
// that came for its protocols, and those that are to be sent. One message of any
// permitted size fits into an empty queue.
const maxQueued = 1 << 20

// queuedOverhead is what a queued message costs beyond its payload, so that
// empty messages cannot pile up.
const queuedOverhead = 128

// An intake holds the messages that arrived on a connection until its protocols
// take them. Each protocol has an inbox to read from; whoever has the turn to read
// (see turn.go) fills them.
type intake struct {
	mu       sync.Mutex // guards the fields below and the inboxes
	still    sync.Cond  // after the end: nobody reads any more
	bytes    int        // of all inboxes
	ended    error      // why no more messages come
	progress time.Time  // when the inboxes became full, or a protocol last took a message from one

	relief  *time.Timer // takes the turn if nobody else does; nil until it is needed
	armed   bool        // relief will fire
	seen    uint32      // turns when relief was armed
	turns   uint32      // that were taken so far
	reading bool        // somebody has the turn
	discard bool        // the messages that wait are not wanted any more
}

// An inbox is the part of the intake that one protocol reads.
type inbox struct {
	ready   sync.Cond // there is a message, or the turn to read is free
	waiting bool      // the protocol waits for ready
	msgs    []Msg
	head    int // msgs[:head] were taken
}

func (in *intake) init(run []*running) {
	in.still.L = &in.mu
	for _, r := range run {
		r.queue.ready.L = &in.mu
	}
}

func (q *inbox) empty() bool { return len(q.msgs) == q.head }

// full reports whether nothing more may be read. Caller holds mu.
func (in *intake) full() bool { return in.bytes >= maxQueued }

// put hands a message to a protocol that is not the one that reads. It does not
// block; who has the turn reads on only while the inboxes are not full. Caller
// holds mu.
func (in *intake) put(q *inbox, m *Msg) {
	if in.discard {
		m.Release()
		return
	}
	before := in.full()
	in.bytes += m.Size() + queuedOverhead
	if !before && in.full() {
		in.progress = time.Now()
	}
	if q.head > 0 && len(q.msgs) == cap(q.msgs) { // make room instead of growing
		n := copy(q.msgs, q.msgs[q.head:])
		clear(q.msgs[n:])
		q.msgs, q.head = q.msgs[:n], 0
	}
	q.msgs = append(q.msgs, *m)
	q.ready.Signal()
}

// stalled returns for how long the inboxes have been full without any protocol
// taking a message; zero if they are not.
func (in *intake) stalled(now time.Time) time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.full() {
		return 0
	}
	return now.Sub(in.progress)
}

// queued returns the bytes that wait.
func (in *intake) queued() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes
}

// pop moves the next message out of q, which is not empty, to m. Caller holds mu.
func (in *intake) pop(q *inbox, m *Msg) {
	*m = q.msgs[q.head]
	q.msgs[q.head] = Msg{}
	if q.head++; q.empty() {
		q.msgs, q.head = q.msgs[:0], 0
		if cap(q.msgs) > 64 {
			q.msgs = nil // a burst is over
		}
	}
	in.bytes -= m.Size() + queuedOverhead
	m.loan.HandOver()
	in.progress = time.Now()
}

// end wakes everybody. With discard, what waits is dropped: we ended the
// connection, so nothing more can be answered.
func (in *intake) end(reason error, discard bool, run []*running) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended == nil {
		in.ended = reason
	}
	if discard && !in.discard {
		in.discard = true
		for _, r := range run {
			for i := range r.queue.msgs[r.queue.head:] {
				m := &r.queue.msgs[r.queue.head+i]
				in.bytes -= m.Size() + queuedOverhead
				m.Release()
			}
			r.queue.msgs, r.queue.head = nil, 0
		}
	}
	for _, r := range run {
		r.queue.ready.Broadcast()
	}
}
