package kad

import (
	"container/heap"
	"slices"
	"time"

	"parley/enode"
)

const (
	// pace is the least time between two checks. A table of 320 new nodes is
	// checked within 7 seconds.
	pace = 20 * time.Millisecond

	// lost is when the outcome of a check is no longer awaited.
	lost = 10 * time.Second

	// retry is how long a node that did not answer is left alone, plus at most as
	// long again by chance.
	retry = 2 * time.Second

	// staleCheck is the longest pause between two checks of a stale node, so that
	// a network that comes back is found again within a minute. After staleFor it
	// is forgotten.
	staleCheck = 40 * time.Second
	staleFor   = time.Hour
)

// patience returns how many requests in a row a node may leave unanswered. At a
// loss of 10 % each way a node that is there misses two in a row once in 28 times,
// four once in 770, six once in 21,000.
func (e *entry) patience() int {
	switch {
	case e.state == unverified:
		return 2
	case e.checks < 8:
		return 4
	default:
		return 6
	}
}

// NextCheck returns the node that should be sent a PING now, or nil and the time
// at which to ask again, which is zero if the table is empty and may become
// earlier with any other call. The outcome is to be told to [Table.Checked]; if it is
// not within 10 seconds the node is returned again.
//
// A node that just got its place is due within 2 seconds. One that is live is
// due after about as long as it has been so, from Config.Fast to Config.Slow; one
// that failed to answer, after 2 to 4 seconds. Two checks are 20 ms apart or more.
func (t *Table) NextCheck(now time.Time) (n *enode.Node, wake time.Time) {
	if len(t.queue) == 0 {
		return nil, time.Time{}
	}
	e := t.queue[0]
	if at := later(e.due, t.paced); at.After(now) {
		return nil, at
	}
	e.inFlight = true
	t.schedule(e, now.Add(lost))
	t.paced = now.Add(pace)
	return e.node, time.Time{}
}

// Checked tells the table whether the node that NextCheck returned answered, and
// the newer record that it published, if it has one and it was fetched, or nil.
// What nobody asked for, any more, is ignored.
func (t *Table) Checked(now time.Time, id enode.ID, ok bool, updated *enode.Node) {
	e := t.entries[id]
	if e == nil || !e.inFlight {
		return
	}
	e.inFlight = false
	if !ok {
		t.failed(now, e)
		return
	}
	e.checks++
	e.pinged = true
	t.proved(now, e)
	if updated != nil && updated.ID() == id && updated.Seq() > e.node.Seq() && t.usable(updated) {
		t.update(now, e, updated, false)
	}
}

// proved notes that e proved its endpoint now. That takes the place of its next
// check, but for the first.
func (t *Table) proved(now time.Time, e *entry) {
	e.fails = 0
	if e.state != live {
		t.setState(now, e, live)
	}
	if !e.inFlight && e.pinged {
		t.schedule(e, now.Add(t.interval(e, now)))
	}
}

// failed notes that e left a request unanswered. It loses its place if it did so
// too often and another waits for it, or never was live.
func (t *Table) failed(now time.Time, e *entry) {
	e.inFlight = false
	e.fails++
	switch {
	case e.state == stale && now.Sub(e.since) < staleFor:
		t.schedule(e, now.Add(t.interval(e, now)))
	case e.state != stale && e.fails < e.patience():
		t.schedule(e, now.Add(retry+t.jitter(retry)))
	case e.state == live && !t.awaited(e):
		t.setState(now, e, stale)
		t.schedule(e, now.Add(t.interval(e, now)))
	default:
		t.drop(now, e)
	}
}

// awaited reports whether another node waits for the place of e.
func (t *Table) awaited(e *entry) bool {
	b := t.bucketOf(e.node.ID())
	return slices.ContainsFunc(b.replacements, func(r replacement) bool { return t.fits(b, r.nets, e) })
}

// interval returns the pause before the next check of e: as long as it has been
// in its state, because what has been there for long will be there for longer,
// give or take a quarter so that checks do not gather.
func (t *Table) interval(e *entry, now time.Time) time.Duration {
	most := t.cfg.Slow
	if e.state == stale {
		most = min(most, staleCheck)
	}
	d := min(max(now.Sub(e.since), t.cfg.Fast), most)
	return d - d/4 + t.jitter(d/2)
}

// jitter returns a random duration below d, or 0 if d is not positive.
func (t *Table) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(t.rng.Int64N(int64(d)))
}

// schedule sets the time of e's next check.
func (t *Table) schedule(e *entry, due time.Time) {
	e.due = due
	heap.Fix(&t.queue, e.position)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A queue is a heap of entries by the time at which they are due. Each knows its
// position in it.
type queue []*entry

func (q *queue) push(e *entry)   { heap.Push(q, e) }
func (q *queue) remove(e *entry) { heap.Remove(q, e.position) }

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].position, q[j].position = i, j
}

// Push is for package heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.position = len(*q)
	*q = append(*q, e)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
