package peerset

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

const (
	// waitingScale is how many candidates of one network wait, in multiples of
	// how many of it may be peers.
	waitingScale = 2

	// staleAfter is how long a candidate waits before it is given up: its source
	// has newer ones.
	staleAfter = 30 * time.Minute
)

// A Candidate is a node that could be dialed.
type Candidate struct {
	Node     *enode.Node
	Source   Source
	Filtered error // what the protocols have against it
	Policy   Opinion
}

// Wanted returns how many more candidates of a source are of use now.
func (s *Set) Wanted(now time.Time, source Source) int {
	young, _ := s.young(now)
	free := s.slots() - young
	if s.paused || free <= 0 {
		return 0
	}
	return max(0, min(max(2*free, minWaiting), maxWaiting)-len(s.dialer.queue(source).waiting))
}

// slots returns how many dialed peers there is room for.
func (s *Set) slots() int { return min(s.limits.Dialed-s.dialed, s.limits.Peers-s.competing()) }

// young returns how many dynamic dials have only just begun, and when the first of
// them will not be young any more.
func (s *Set) young(now time.Time) (n int, until time.Time) {
	for _, t := range s.dialer.flying { // oldest first
		if at := t.began.Add(slow); t.dynamic && at.After(now) {
			n++
			until = earlier(until, at)
		}
	}
	return n, until
}

// Offerable reports whether there is a point in finding out more about a node that
// could be offered: it is not a peer, waits for nothing, and was not dialed a
// moment ago.
func (s *Set) Offerable(now time.Time, id ID) bool {
	t := s.dialer.targets[id]
	switch {
	case id == s.self || s.Connected(id):
		return false
	case t == nil:
		return true
	}
	return !t.waiting && !t.dialing && !t.static && !now.Before(t.next)
}

// Offer adds a candidate for a dial, or says why it is of no use. What it says
// about a node that was refused is kept for Explain, except where the reason is
// only that it comes too often.
func (s *Set) Offer(now time.Time, c Candidate) error {
	if c.Source == "" {
		c.Source = SourceOther
	}
	q := s.dialer.queue(c.Source)
	q.heard, c.Source = now, q.source
	s.funnel(c.Source).Offered++
	gate, err := s.offer(now, c)
	switch {
	case err == nil:
		return nil
	case gate == GateSource || gate == GateHistory:
		s.count(c.Source, gate)
	default:
		s.note(c.Source, c.Node.ID(), Verdict{Time: now, Gate: gate, Err: err})
	}
	return err
}

func (s *Set) offer(now time.Time, c Candidate) (Gate, error) {
	d := &s.dialer
	n := c.Node
	t := d.targets[n.ID()]
	switch {
	case n.ID() == s.self:
		return GateSource, ErrSelf
	case s.Connected(n.ID()):
		return GateSource, ErrAlreadyConnected
	case t != nil && t.waiting:
		if n.Seq() > t.node.Seq() && c.Filtered == nil {
			t.know(n) // it moved, or changed what it says of itself
		}
		return GateSource, ErrAlreadyDialing
	case t != nil && (t.dialing || t.static):
		return GateSource, ErrAlreadyDialing
	case c.Filtered != nil:
		return GateRecord, c.Filtered
	}
	if err := s.objection(c.Policy); err != nil {
		return GatePolicy, err
	}
	addrs := addrsOf(n)
	if gate, err := s.dialable(now, n, addrs); err != nil {
		return gate, err
	}
	if t != nil && now.Before(t.next) {
		return GateHistory, ErrTooSoon
	}
	q := d.queue(c.Source)
	switch {
	case s.crowd.full(1, addrs...):
		return GateQuota, fmt.Errorf("%w (%v)", ErrTooManyInNet, netOf(n))
	case len(q.waiting) >= maxWaiting || d.waitingOf(q).full(waitingScale, addrs...):
		return GateSource, ErrQueueFull
	}
	if t == nil {
		t = d.remember(n, c.Source)
	}
	if t.place != nil {
		d.recent.MoveToBack(t.place)
	}
	t.know(n)
	t.source, t.waiting, t.offered = c.Source, true, now
	q.waiting = append(q.waiting, n.ID())
	return "", nil
}

// waitingOf counts the candidates of a source by network: whoever fills a source
// from one network must not keep the others of that source out.
func (d *dialer) waitingOf(q *queue) crowd {
	c := make(crowd)
	for _, id := range q.waiting {
		c.count(+1, d.targets[id].addrs...)
	}
	return c
}

// nextCandidate returns the candidate to dial now and takes it from its queue.
func (s *Set) nextCandidate(now time.Time) (next *target, wake time.Time) {
	d := &s.dialer
	slots := s.slots()
	if slots <= 0 {
		return nil, time.Time{}
	}
	if young, until := s.young(now); young >= min(slots, probes) {
		return nil, until
	}
	var all []ready
	for _, q := range d.queues {
		var dropped []ID
		for _, id := range q.waiting {
			t := d.targets[id]
			gate, err := s.dialable(now, t.node, t.addrs)
			switch {
			case s.Connected(id) || t.dialing || now.Sub(t.offered) >= staleAfter:
				dropped = append(dropped, id)
				continue
			case err != nil: // bans and permitted networks may have changed
				s.Note(id, Verdict{Time: now, Gate: gate, Err: err})
				dropped = append(dropped, id)
				continue
			case s.crowd.full(1, t.addrs...):
				continue
			}
			at := latest(latest(t.next, d.pace.after(id)), d.rests.over(now, t.addrs))
			if now.Before(at) {
				wake = earlier(wake, at)
				continue
			}
			if q.source == SourceAnchor {
				d.unqueue(id, t)
				return t, time.Time{}
			}
			all = append(all, ready{t, q})
		}
		for _, id := range dropped {
			t := d.targets[id]
			d.unqueue(id, t)
			if !t.past.dialed && !t.dialing {
				d.drop(id, t)
			}
		}
	}
	if len(all) == 0 {
		return nil, wake
	}
	best, patience := s.pick(d.x.lottery(now, s.rng), all)
	if at := d.opened.Add(patience); now.Before(at) {
		return nil, earlier(wake, at)
	}
	d.unqueue(best.t.node.ID(), best.t)
	return best.t, time.Time{}
}

// requeue makes a node that was a peer a candidate again, without its source having
// to find it again.
func (d *dialer) requeue(now time.Time, id ID, t *target) {
	if t.static || t.waiting || t.dialing || t.guessed.source == "" {
		return
	}
	q := d.queue(t.source)
	t.waiting, t.offered = true, now
	q.waiting = append(q.waiting, id)
}

// unqueue takes a target from the candidates, if it is one of them.
func (d *dialer) unqueue(id ID, t *target) {
	if !t.waiting {
		return
	}
	t.waiting = false
	q := d.queue(t.source)
	q.waiting = slices.DeleteFunc(q.waiting, func(x ID) bool { return x == id })
}

// remember makes a target of a node, and forgets the oldest one that is neither
// waiting nor being dialed if there are too many.
func (d *dialer) remember(n *enode.Node, source Source) *target {
	t := &target{source: source}
	t.know(n)
	d.targets[n.ID()] = t
	t.place = d.recent.PushBack(n.ID())
	d.trim()
	return t
}

func (d *dialer) trim() {
	for e := d.recent.Front(); d.recent.Len() > maxTargets && e != nil; {
		id := e.Value.(ID)
		e = e.Next()
		if t := d.targets[id]; !t.dialing && !t.waiting {
			d.drop(id, t)
		}
	}
}

func (d *dialer) drop(id ID, t *target) {
	if t.place != nil {
		d.recent.Remove(t.place)
		delete(d.targets, id)
	}
}

// Rests say for how long hosts and networks are left alone: other clients refuse
// whoever comes again too soon, by address or by network.
type rests map[netip.Prefix]time.Time

const maxRests = 4096

// until leaves the hosts of key alone until the given time.
func (r rests) until(now time.Time, key netip.Prefix, at time.Time) {
	if !key.IsValid() || !at.After(r[key]) {
		return
	}
	if _, ok := r[key]; !ok && len(r) >= maxRests {
		for k, t := range r {
			if !t.After(now) {
				delete(r, k)
			}
		}
		if len(r) >= maxRests {
			return // the pause for each node still holds
		}
	}
	r[key] = at
}

// over returns when none of addrs has to be left alone any more.
func (r rests) over(now time.Time, addrs []netip.Addr) time.Time {
	var over time.Time
	for _, addr := range addrs {
		if netaddr.Exempt(addr) {
			continue
		}
		for _, key := range [2]netip.Prefix{netaddr.HostKey(addr), netaddr.NetKey(addr)} {
			if at := r[key]; at.After(now) && at.After(over) {
				over = at
			}
		}
	}
	return over
}
