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
// take them. One goroutine, the reader, puts messages in; each protocol has an
// inbox to read from.
type intake struct {
	mu       sync.Mutex
	room     sync.Cond // the reader waits for room
	bytes    int       // of all inboxes
	ended    error     // why no more messages come
	discard  bool      // the messages that wait are not wanted any more
	progress time.Time // when the reader began to wait, or a protocol last took a message since
	waiting  bool      // the reader waits for room
}

// An inbox is the part of the intake that one protocol reads. Its fields are
// guarded by the intake's mutex.
type inbox struct {
	ready sync.Cond // the protocol waits for a message
	msgs  []Msg
	head  int // msgs[:head] were taken
}

func (in *intake) init(run []*running) {
	in.room.L = &in.mu
	for _, r := range run {
		r.queue.ready.L = &in.mu
	}
}

// put hands a message to a protocol. It does not block; the reader calls wait
// before it reads the next one.
func (in *intake) put(q *inbox, m Msg) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.discard {
		m.Release()
		return
	}
	in.bytes += m.Size() + queuedOverhead
	if q.head > 0 && len(q.msgs) == cap(q.msgs) { // make room instead of growing
		n := copy(q.msgs, q.msgs[q.head:])
		clear(q.msgs[n:])
		q.msgs, q.head = q.msgs[:n], 0
	}
	q.msgs = append(q.msgs, m)
	q.ready.Signal()
}

// wait blocks the reader while the queue is full. It returns false if the
// connection ended meanwhile.
func (in *intake) wait() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.ended == nil && in.bytes >= maxQueued {
		if !in.waiting {
			in.waiting, in.progress = true, time.Now()
		}
		in.room.Wait()
	}
	in.waiting = false
	return in.ended == nil
}

// stalled returns for how long the reader has been waiting without any protocol
// taking a message; zero if it does not wait.
func (in *intake) stalled(now time.Time) time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.waiting {
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

// take returns the next message for the protocol that reads q. After the end it
// gives what had arrived before, then the reason.
func (in *intake) take(q *inbox) (Msg, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(q.msgs) == q.head && in.ended == nil {
		q.ready.Wait()
	}
	if len(q.msgs) == q.head {
		return Msg{}, in.ended
	}
	m := q.msgs[q.head]
	q.msgs[q.head] = Msg{}
	if q.head++; q.head == len(q.msgs) {
		q.msgs, q.head = q.msgs[:0], 0
		if cap(q.msgs) > 64 {
			q.msgs = nil // a burst is over
		}
	}
	in.bytes -= m.Size() + queuedOverhead
	m.wire.HandOver()
	in.progress = time.Now()
	if in.waiting && in.bytes < maxQueued {
		in.room.Signal()
	}
	return m, nil
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
	in.room.Broadcast()
	for _, r := range run {
		r.queue.ready.Broadcast()
	}
}
