package peerset

import (
	"errors"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// redialAfter is how long a node is left alone after a dial, whatever its
// outcome. It is a little longer than the time for which other clients refuse
// repeated connections from one address.
const redialAfter = 35 * time.Second

const (
	// settled is the age from which a connection counts as a success: what
	// failed before no longer slows the next dial down.
	settled = 30 * time.Second

	maxCandidates = 256  // dynamic nodes waiting to be dialed
	maxTargets    = 4096 // dynamic nodes whose last dial is remembered
)

// A Cause says why a dial failed or a peer was lost, as far as it matters for
// when to try again.
type Cause int

// The causes.
const (
	CauseUnreachable      Cause = iota // no connection, or it broke
	CauseTooManyPeers                  // the other side is full
	CauseAlreadyConnected              // the other side has a connection with us
	CauseUseless                       // wrong network, no shared capability, unexpected identity
	CauseSelf                          // we dialed ourselves
	CauseEnded                         // either side ended it on purpose
)

// pause returns how long to wait after the n-th failure in a row, n ≥ 1.
func (c Cause) pause(n int, static, lower bool) time.Duration {
	double := func(first, most time.Duration) time.Duration {
		return min(first<<min(n-1, 16), most)
	}
	switch c {
	case CauseTooManyPeers:
		return double(5*time.Minute, 30*time.Minute)
	case CauseAlreadyConnected:
		// Two connections met and both ended. The sides wait for different times
		// so that they do not meet again.
		if lower {
			return 9 * time.Second
		}
		return 4 * time.Second
	case CauseUseless:
		if static {
			return double(redialAfter, 10*time.Minute)
		}
		return 24 * time.Hour
	case CauseSelf:
		return time.Hour
	case CauseEnded:
		return double(redialAfter, 5*time.Minute)
	}
	return double(redialAfter, 10*time.Minute)
}

// A dialer knows the nodes to be dialed.
type dialer struct {
	static     []ID // in the order in which they were added
	targets    map[ID]*target
	order      []ID // of the dynamic targets, oldest first
	candidates []ID // dynamic targets waiting to be dialed
	inFlight   int
	dynamic    int // of inFlight, those that take a dialed slot
}

type target struct {
	node     *enode.Node
	static   bool
	waiting  bool // among the candidates
	dialing  bool
	dynamic  bool // the dial in flight takes a dialed slot
	began    time.Time
	failures int
	next     time.Time // not to be dialed before
	barred   error     // why it cannot be dialed at all, as last noted
}

func newDialer() dialer { return dialer{targets: make(map[ID]*target)} }

// AddStatic adds a node that is to be kept connected. A node that is known
// already gets its new endpoints and is dialed without waiting further.
func (s *Set) AddStatic(now time.Time, n *enode.Node) error {
	d := &s.dialer
	id := n.ID()
	t := d.targets[id]
	if (t == nil || !t.static) && len(d.static) >= MaxStatic {
		return ErrTooManyStatic
	}
	if t == nil {
		t = &target{}
		d.targets[id] = t
	}
	if t.static {
		s.befriend(t.node, -1)
	} else {
		d.static = append(d.static, id)
		d.order = without(d.order, id)
		if t.waiting {
			d.candidates = without(d.candidates, id)
			t.waiting = false
		}
	}
	s.befriend(n, +1)
	t.node, t.static, t.barred = n, true, nil
	t.failures = 0
	t.next = now
	if ep, ok := n.TCPEndpoint(); !ok || !netaddr.Exempt(ep.Addr()) {
		t.next = later(now, t.began, redialAfter)
	}
	return nil
}

// RemoveStatic makes a static node an ordinary one.
func (s *Set) RemoveStatic(id ID) {
	d := &s.dialer
	t := d.targets[id]
	if t == nil || !t.static {
		return
	}
	s.befriend(t.node, -1)
	d.static = without(d.static, id)
	t.static = false
	d.order = append(d.order, id)
}

// Static reports whether a node is to be kept connected.
func (s *Set) Static(id ID) bool {
	t := s.dialer.targets[id]
	return t != nil && t.static
}

// Learn notes the addresses that a static node's host name was resolved to.
func (s *Set) Learn(n *enode.Node) {
	if t := s.dialer.targets[n.ID()]; t != nil && t.static {
		s.befriend(t.node, -1)
		s.befriend(n, +1)
		t.node = n
	}
}

// Wanted returns how many more candidates are of use now.
func (s *Set) Wanted() int {
	d := &s.dialer
	free := s.limits.Dialed - s.dialed - d.dynamic
	if free <= 0 || s.competing() >= s.limits.Peers {
		return 0
	}
	return max(0, min(2*free, maxCandidates)-len(d.candidates))
}

// Offer adds a candidate for a dial, or says why it is of no use. What it says
// about a node that was refused is kept for Explain.
func (s *Set) Offer(now time.Time, n *enode.Node, filtered error) error {
	gate, err := s.offer(now, n, filtered)
	if err != nil && gate != "" {
		s.Note(n.ID(), Verdict{Time: now, Gate: gate, Err: err})
	}
	return err
}

func (s *Set) offer(now time.Time, n *enode.Node, filtered error) (Gate, error) {
	d := &s.dialer
	t := d.targets[n.ID()]
	switch {
	case n.ID() == s.self:
		return "", ErrSelf
	case s.Connected(n.ID()):
		return "", ErrAlreadyConnected
	case t != nil && (t.dialing || t.waiting || t.static):
		return "", ErrAlreadyDialing
	case filtered != nil:
		return GateRecord, filtered
	}
	if gate, err := s.dialable(n); err != nil {
		return gate, err
	}
	switch {
	case t != nil && now.Before(t.next):
		return "", ErrTooSoon
	case len(d.candidates) >= maxCandidates:
		return "", ErrQueueFull
	}
	if t == nil {
		t = &target{}
		d.targets[n.ID()] = t
		d.order = append(d.order, n.ID())
		d.trim()
	}
	t.node, t.waiting = n, true
	d.candidates = append(d.candidates, n.ID())
	return "", nil
}

// trim forgets the oldest dynamic targets that are neither waiting nor being
// dialed.
func (d *dialer) trim() {
	for i := 0; len(d.order) > maxTargets && i < len(d.order); {
		t := d.targets[d.order[i]]
		if t.dialing || t.waiting {
			i++
			continue
		}
		delete(d.targets, d.order[i])
		d.order = slices.Delete(d.order, i, i+1)
	}
}

// dialable reports why a node cannot be dialed at all.
func (s *Set) dialable(n *enode.Node) (Gate, error) {
	if n.Hostname() != "" {
		return "", nil // its address is looked up, and checked, when it is dialed
	}
	ep, ok := n.TCPEndpoint()
	switch {
	case !ok && s.resolvable && s.Static(n.ID()):
		return "", nil // likewise
	case !ok:
		return GateRecord, ErrNoEndpoint
	case s.Restricted(netaddr.Normalize(ep.Addr())):
		return GateNetRestrict, ErrRestricted
	}
	return "", nil
}

// Resolvable says whether a static node of which only the key is known can be
// found when it is dialed.
func (s *Set) Resolvable(yes bool) { s.resolvable = yes }

// NextDial returns the node to dial now, static nodes first, and marks it as
// being dialed; each is answered by Add or DialDone. If there is none, wake is
// when to ask again, zero if only an event can change it.
func (s *Set) NextDial(now time.Time) (n *enode.Node, wake time.Time) {
	d := &s.dialer
	if d.inFlight >= s.limits.Pending {
		return nil, time.Time{}
	}
	for _, id := range d.static {
		t := d.targets[id]
		if t.dialing || s.Connected(id) || id == s.self {
			continue
		}
		gate, err := s.dialable(t.node)
		if err == nil && s.trusted[id] == nil && s.competing() >= s.limits.Peers {
			gate, err = GateQuota, ErrTooManyPeers
		}
		if !errors.Is(err, t.barred) { // say it once, until it changes
			if t.barred = err; err != nil {
				s.Note(id, Verdict{Time: now, Gate: gate, Err: err})
			}
		}
		if err != nil {
			continue
		}
		if now.Before(t.next) {
			wake = earlier(wake, t.next)
			continue
		}
		s.begin(now, t, false)
		return t.node, time.Time{}
	}
	for len(d.candidates) > 0 && s.dialed+d.dynamic < s.limits.Dialed && s.competing() < s.limits.Peers {
		id := d.candidates[0]
		d.candidates = slices.Delete(d.candidates, 0, 1)
		t := d.targets[id]
		t.waiting = false
		if s.Connected(id) || t.dialing {
			continue
		}
		s.begin(now, t, true)
		return t.node, time.Time{}
	}
	return nil, wake
}

func (s *Set) begin(now time.Time, t *target, dynamic bool) {
	t.dialing, t.dynamic, t.began = true, dynamic, now
	s.dialer.inFlight++
	if dynamic {
		s.dialer.dynamic++
	}
}

// Begin marks a node as being dialed on somebody else's account: the connection
// was opened elsewhere. It is answered by Add or DialDone too.
func (s *Set) Begin(now time.Time, n *enode.Node) error {
	d := &s.dialer
	t := d.targets[n.ID()]
	switch {
	case n.ID() == s.self:
		return ErrSelf
	case t != nil && t.dialing:
		return ErrAlreadyDialing
	case t == nil:
		t = &target{node: n}
		d.targets[n.ID()] = t
		d.order = append(d.order, n.ID())
		d.trim()
	}
	if t.waiting {
		d.candidates = without(d.candidates, n.ID())
		t.waiting = false
	}
	s.begin(now, t, !t.static)
	return nil
}

// DialDone says that a dial did not lead to a peer.
func (s *Set) DialDone(now time.Time, id ID, cause Cause) {
	if t := s.dialer.end(id); t != nil {
		t.failures++
		t.rest(now, cause, id.Compare(s.self) < 0)
	}
}

func (t *target) rest(now time.Time, cause Cause, lower bool) {
	pause := cause.pause(max(1, t.failures), t.static, lower)
	t.next = now.Add(pause)
	if cause != CauseAlreadyConnected {
		t.next = later(t.next, t.began, redialAfter)
	}
}

// end takes a dial out of those in flight. It returns nil if there was none.
func (d *dialer) end(id ID) *target {
	t := d.targets[id]
	if t == nil || !t.dialing {
		return nil
	}
	t.dialing = false
	d.inFlight--
	if t.dynamic {
		t.dynamic = false
		d.dynamic--
	}
	return t
}

// connected notes that id became a peer. A dial of ours that led to it is over;
// one that still runs beside an inbound connection ends by DialDone.
func (d *dialer) connected(now time.Time, id ID, inbound bool) {
	if !inbound {
		d.end(id)
	}
}

// lost notes that the peer id is gone after the given time.
func (d *dialer) lost(now time.Time, id ID, cause Cause, after time.Duration, lower bool) {
	t := d.targets[id]
	if t == nil {
		return
	}
	if after >= settled {
		t.failures = 0
		if cause == CauseUnreachable || cause == CauseEnded {
			t.next = later(now.Add(2*time.Second), t.began, redialAfter)
			return
		}
	}
	t.failures++
	t.rest(now, cause, lower)
}

// InFlight returns the number of dials in flight.
func (s *Set) InFlight() int { return s.dialer.inFlight }

// later returns t, or since+d if that is later. A zero since does not count.
func later(t, since time.Time, d time.Duration) time.Time {
	if u := since.Add(d); !since.IsZero() && u.After(t) {
		return u
	}
	return t
}

// earlier returns the earlier of two times, of which a may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func without(ids []ID, id ID) []ID {
	return slices.DeleteFunc(ids, func(x ID) bool { return x == id })
}
