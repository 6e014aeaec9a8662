package p2p

import (
	"context"
	"iter"
	"sync"
)

// maxEvents is how many events wait for one slow reader; the ones after are
// counted and left out.
const maxEvents = 1024

// A hub hands events to those who subscribed.
type hub struct {
	mu     sync.Mutex // guards the fields below
	subs   map[*subscriber]struct{}
	closed bool
	missed uint64 // by all slow readers
}

// A subscriber is one reader of events. Its fields are guarded by the hub's mutex.
type subscriber struct {
	ready sync.Cond
	queue []Event
	lost  int // events after the queue was full
	ended bool
}

// Events subscribes at the call and returns the events that follow, until ctx
// ends or the Server is stopped. The Server never waits for a reader: one that
// is more than 1024 events behind gets an EventLost in their place. The sequence
// can be ranged over once.
func (s *Server) Events(ctx context.Context) iter.Seq[Event] {
	sub := s.events.subscribe()
	stop := context.AfterFunc(ctx, func() { s.events.unsubscribe(sub) })
	return func(yield func(Event) bool) {
		defer stop()
		defer s.events.unsubscribe(sub)
		for {
			e, ok := s.events.next(sub)
			if !ok || !yield(e) {
				return
			}
		}
	}
}

func (h *hub) subscribe() *subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub := &subscriber{ended: h.closed}
	sub.ready.L = &h.mu
	if h.subs == nil {
		h.subs = make(map[*subscriber]struct{})
	}
	if !h.closed {
		h.subs[sub] = struct{}{}
	}
	return sub
}

func (h *hub) unsubscribe(sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, sub)
	sub.ended = true
	sub.ready.Broadcast()
}

func (h *hub) emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for sub := range h.subs {
		if sub.lost > 0 && len(sub.queue) < maxEvents {
			sub.queue = append(sub.queue, sub.gap())
		}
		if len(sub.queue) >= maxEvents {
			sub.lost++
			h.missed++
			continue
		}
		sub.queue = append(sub.queue, e)
		sub.ready.Signal()
	}
}

// gap returns the event that stands for those that were lost.
func (sub *subscriber) gap() Event {
	e := Event{Type: EventLost, Lost: sub.lost}
	sub.lost = 0
	return e
}

// next returns the next event for sub, and false when there will be none.
func (h *hub) next(sub *subscriber) (Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(sub.queue) == 0 && sub.lost == 0 && !sub.ended {
		sub.ready.Wait()
	}
	switch {
	case len(sub.queue) > 0:
		e := sub.queue[0]
		if sub.queue = sub.queue[1:]; len(sub.queue) == 0 {
			sub.queue = nil
		}
		return e, true
	case sub.lost > 0:
		return sub.gap(), true
	}
	return Event{}, false
}

func (h *hub) lost() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.missed
}

// close ends all subscriptions; what is queued is still delivered.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for sub := range h.subs {
		sub.ended = true
		sub.ready.Broadcast()
	}
	clear(h.subs)
}
