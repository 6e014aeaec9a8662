package discv4

import (
	"container/heap"
	"time"
)

// A timer calls fire once, at its time or soon after. It is in at most one queue.
type timer struct {
	at    time.Duration
	order uint64 // of setting: timers of one time fire in this order
	index int    // in the queue, from 1; 0 if not in it
	fire  func()
}

// timers is the queue of an engine's timers.
type timers struct {
	heap  timerHeap
	order uint64
}

// set makes t fire at the given time instead of any earlier set.
func (q *timers) set(t *timer, at time.Duration) {
	q.order++
	t.at, t.order = at, q.order
	if t.index > 0 {
		heap.Fix(&q.heap, t.index-1)
	} else {
		heap.Push(&q.heap, t)
	}
}

// stop makes t not fire. It may be set again.
func (q *timers) stop(t *timer) {
	if t.index > 0 {
		heap.Remove(&q.heap, t.index-1)
	}
}

// next returns the time of the first timer.
func (q *timers) next() (time.Duration, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// run fires all timers whose time has come, and those that they set for now.
func (q *timers) run(now time.Duration) {
	for len(q.heap) > 0 && q.heap[0].at <= now {
		heap.Pop(&q.heap).(*timer).fire()
	}
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push is for package heap.
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	*h = append(*h, t)
	t.index = len(*h)
}

// Pop is for package heap.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	return t
}
