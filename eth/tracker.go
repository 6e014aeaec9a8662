package eth

import (
	"math/rand/v2"
	"sync"

	"parley/rlp"
)

// A tracker matches the answers of one peer to our requests. A request id is
// random, is good for one answer of one kind from one peer, and is forgotten when
// that came, when the caller gave up, or with the session.
type tracker struct {
	mu      sync.Mutex // guards the fields below
	limit   int
	waiting map[uint64]*waiting // nil after close
}

// A waiting request. Only the one that takes it out of the map sends on done,
// once.
type waiting struct {
	answer uint64 // the code of its Response
	done   chan []rlp.Raw
}

func newTracker(limit int) *tracker {
	return &tracker{limit: limit, waiting: make(map[uint64]*waiting)}
}

// open registers a request whose answer will have the given code.
func (t *tracker) open(answer uint64) (id uint64, w *waiting, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.waiting == nil:
		return 0, nil, ErrPeerGone
	case len(t.waiting) >= t.limit:
		return 0, nil, ErrTooManyRequests
	}
	for {
		id = rand.Uint64()
		if _, used := t.waiting[id]; !used {
			break
		}
	}
	w = &waiting{answer: answer, done: make(chan []rlp.Raw, 1)}
	t.waiting[id] = w
	return id, w, nil
}

// take removes a request that waits for an answer of the given code, and reports
// whether there was one.
func (t *tracker) take(id, answer uint64) (*waiting, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.waiting[id]
	if !ok || w.answer != answer {
		return nil, false
	}
	delete(t.waiting, id)
	return w, true
}

// drop forgets a request whose caller gave up.
func (t *tracker) drop(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, id)
}

// close ends all requests: their channels are closed without an answer.
func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.waiting {
		close(w.done)
	}
	t.waiting = nil
}

// pending is the number of requests that wait for an answer.
func (t *tracker) pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}
