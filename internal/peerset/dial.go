package peerset

import (
	"container/list"
	"errors"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

const (
	maxTargets = 4096 // dynamic nodes whose last dial is remembered

	// slow is the age from which a dial holds no dialed slot any more, only its
	// place among those in flight: who has not answered by then seldom does. If it
	// does after all and the slots are taken, Admit refuses it.
	slow = 3 * time.Second

	// probes is how many dynamic dials may be younger than that. What comes of them
	// says whom to dial next, so more at once would only be more guesses.
	probes = 8
)

// A dialer knows the nodes to be dialed.
type dialer struct {
	static  []ID // in the order in which they were added
	targets map[ID]*target
	recent  list.List // IDs of the dynamic targets, the one that was heard of longest ago first
	queues  []*queue  // in the order in which the sources were first heard of
	flying  []*target // dials in flight, oldest first
	rests   rests
	pace    pacer
	x       experience

	exploring bool      // the next dynamic dial
	opened    time.Time // when a slot was freed or a dynamic dial began
}

type target struct {
	node     *enode.Node
	addrs    []netip.Addr // at which it might be dialed
	net      netip.Prefix // under which experience with it is kept; zero if none is
	source   Source
	place    *list.Element // in dialer.recent; nil if static
	static   bool
	waiting  bool // among the candidates
	offered  time.Time
	dialing  bool
	dynamic  bool         // the dial in flight takes a dialed slot
	held     []netip.Addr // addresses that the dial in flight counts in Set.crowd
	began    time.Time
	guessed  features // what the last dynamic dial was chosen by
	past     past
	failures int
	next     time.Time // not to be dialed before
	barred   error     // why it cannot be dialed at all, as last noted
}

func newDialer() dialer {
	return dialer{targets: make(map[ID]*target), rests: make(rests), pace: newPacer(), x: newExperience()}
}

// know takes over what is known of the node.
func (t *target) know(n *enode.Node) { t.node, t.addrs, t.net = n, addrsOf(n), netOf(n) }

func (t *target) features(now time.Time) features {
	return features{source: t.source, net: t.net, class: t.past.class(now)}
}

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
		if t.place != nil {
			d.recent.Remove(t.place)
			t.place = nil
		}
		d.unqueue(id, t)
	}
	s.befriend(n, +1)
	t.know(n)
	t.static, t.source, t.barred = true, SourceStatic, nil
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
	d.static = slices.DeleteFunc(d.static, func(x ID) bool { return x == id })
	t.static, t.source = false, SourceOther
	t.place = d.recent.PushBack(id)
	d.trim()
}

// Static reports whether a node is to be kept connected.
func (s *Set) Static(id ID) bool {
	t := s.dialer.targets[id]
	return t != nil && t.static
}

// StaticNodes returns the static nodes in the order in which they were added.
func (s *Set) StaticNodes() []*enode.Node {
	nodes := make([]*enode.Node, 0, len(s.dialer.static))
	for _, id := range s.dialer.static {
		nodes = append(nodes, s.dialer.targets[id].node)
	}
	return slices.Clip(nodes)
}

// Learn notes the addresses that a static node's host name was resolved to.
func (s *Set) Learn(n *enode.Node) {
	if t := s.dialer.targets[n.ID()]; t != nil && t.static {
		s.befriend(t.node, -1)
		s.befriend(n, +1)
		t.know(n)
	}
}

// Resolvable says whether a static node of which only the key is known can be
// found when it is dialed.
func (s *Set) Resolvable(yes bool) { s.resolvable = yes }

// Pause stops NextDial from giving out nodes, static ones too, or lets it go on.
// Dials in flight and peers stay.
func (s *Set) Pause(yes bool) { s.paused = yes }

// dialable reports why a node cannot be dialed at all.
func (s *Set) dialable(now time.Time, n *enode.Node, addrs []netip.Addr) (Gate, error) {
	if n.Hostname() != "" { // its addresses are looked up, and checked by Permit, at each dial
		if err := s.banned(now, n.ID()); err != nil {
			return GateBan, err
		}
		return "", nil
	}
	if err := s.banned(now, n.ID(), addrs...); err != nil {
		return GateBan, err
	}
	switch {
	case len(addrs) == 0 && s.resolvable && s.Static(n.ID()):
		return "", nil // it is looked for when it is dialed
	case len(addrs) == 0:
		return GateRecord, ErrNoEndpoint
	case !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !s.Restricted(a) }):
		return GateNetRestrict, ErrRestricted
	}
	return "", nil
}

// Permit returns those of a node's addresses, as found out just now, at which it may
// be dialed. If the bans and the permitted networks leave none, it returns why: the
// ban, if there was one.
func (s *Set) Permit(now time.Time, id ID, addrs []netip.Addr) ([]netip.Addr, error) {
	var permitted []netip.Addr
	var ban, restricted error
	for _, addr := range addrs {
		err := s.banned(now, id, addr)
		switch {
		case err != nil:
			ban = err
		case s.Restricted(netaddr.Normalize(addr)):
			restricted = ErrRestricted
		default:
			permitted = append(permitted, addr)
		}
	}
	switch {
	case len(permitted) > 0:
		return permitted, nil
	case ban != nil:
		return nil, ban
	}
	return nil, restricted
}

// NextDial returns the node to dial now, static nodes first and anchors after
// them, and marks it as being dialed; each is answered by Add or DialDone. If
// there is none, wake is when to ask again, zero if only an event can change it.
func (s *Set) NextDial(now time.Time) (n *enode.Node, wake time.Time) {
	if s.paused || s.InFlight() >= s.limits.Pending {
		return nil, time.Time{}
	}
	t, wake := s.nextStatic(now)
	if t != nil {
		s.begin(now, t, false)
		return t.node, time.Time{}
	}
	t, other := s.nextCandidate(now)
	if t != nil {
		s.begin(now, t, true)
		return t.node, time.Time{}
	}
	if !other.IsZero() {
		wake = earlier(wake, other)
	}
	return nil, wake
}

func (s *Set) nextStatic(now time.Time) (next *target, wake time.Time) {
	room := s.competing() < s.limits.Peers
	if !room && s.limits.Peers > 0 {
		_, room = s.bumped()
	}
	for _, id := range s.dialer.static {
		t := s.dialer.targets[id]
		if t.dialing || s.Connected(id) || id == s.self {
			continue
		}
		gate, err := s.dialable(now, t.node, t.addrs)
		if err == nil && s.trusted[id] == nil && !room {
			gate, err = GateQuota, ErrTooManyPeers
		}
		if !sameReason(err, t.barred) { // say it once, until it changes
			if t.barred = err; err != nil {
				s.Note(id, Verdict{Time: now, Gate: gate, Err: err})
			}
		}
		if ban, ok := errors.AsType[*BanError](err); ok && !ban.Until.IsZero() {
			wake = earlier(wake, ban.Until)
		}
		if err != nil {
			continue
		}
		if at := latest(t.next, s.dialer.pace.after(id)); now.Before(at) {
			wake = earlier(wake, at)
			continue
		}
		return t, time.Time{}
	}
	return nil, wake
}

func sameReason(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

func (s *Set) begin(now time.Time, t *target, dynamic bool) {
	t.dialing, t.dynamic, t.began = true, dynamic, now
	s.dialer.flying = append(s.dialer.flying, t)
	s.dialer.pace.dialed(now, t.node.ID())
	s.funnel(t.source).Dialed++
	t.guessed = features{}
	for _, addr := range t.addrs {
		if !netaddr.Exempt(addr) {
			s.dialer.rests.until(now, netaddr.HostKey(addr), now.Add(redialAfter))
		}
	}
	if dynamic {
		t.held = t.addrs
		s.crowd.count(+1, t.held...)
		t.guessed = t.features(now)
		s.dialer.spend(t.source)
		s.dialer.opened = now
		s.dialer.exploring = s.rng.IntN(explore) == 0
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
		t = d.remember(n, SourceOther)
	}
	d.unqueue(n.ID(), t)
	s.begin(now, t, false)
	return nil
}

// DialDone says that a dial did not lead to a peer.
func (s *Set) DialDone(now time.Time, id ID, cause Cause) {
	t := s.dialer.targets[id]
	if t == nil || !t.dialing {
		return
	}
	if t.dynamic {
		switch {
		case cause.failure():
			s.dialer.x.learn(now, t.guessed, 0, 1)
		case cause == CauseNoRoom:
			s.dialer.x.learn(now, t.guessed, 1, 0)
		}
	}
	t.past.dialed = true
	if cause.failure() {
		t.past.failed, t.past.cause = true, cause
	}
	if cause == CauseNoRoom {
		t.past.failed, t.past.served = false, now
	}
	if cause == CauseDropped && !t.static {
		for _, addr := range t.held {
			s.dialer.rests.until(now, netaddr.NetKey(addr), now.Add(droppedAfter))
		}
	}
	s.end(t)
	if cause != CauseNoRoom {
		t.failures++
	}
	t.rest(now, cause, id.Compare(s.self) < 0)
}

func (t *target) rest(now time.Time, cause Cause, lower bool) {
	pause := cause.pause(max(1, t.failures), t.static, lower)
	t.next = now.Add(pause)
	if cause != CauseAlreadyConnected {
		t.next = later(t.next, t.began, redialAfter)
	}
}

// end takes a dial out of those in flight.
func (s *Set) end(t *target) {
	t.dialing = false
	s.dialer.flying = slices.DeleteFunc(s.dialer.flying, func(x *target) bool { return x == t })
	if t.dynamic {
		t.dynamic = false
		s.crowd.count(-1, t.held...)
		t.held = nil
	}
}

// succeeded notes that c became a peer. A dial of ours that led to it is over;
// one that still runs beside an inbound connection ends by DialDone.
func (s *Set) succeeded(now time.Time, c Conn) {
	t := s.dialer.targets[c.ID]
	if t == nil || c.Inbound || !t.dialing {
		return
	}
	if t.dynamic {
		s.dialer.x.learn(now, t.guessed, 1, 0)
	}
	t.past = past{dialed: true, served: now}
	s.end(t)
}

// lost notes that the peer p, which was id, is gone.
func (s *Set) lost(now time.Time, id ID, p *peer, cause Cause) {
	t := s.dialer.targets[id]
	if t == nil {
		return
	}
	after := now.Sub(p.since)
	if p.countsDialed {
		s.dialer.opened = now
		for _, q := range s.dialer.queues {
			q.heard = now // from now on they are asked
		}
	}
	if !p.inbound {
		t.past.served = now
	}
	if after >= settled {
		t.failures = 0
		if cause == CauseUnreachable || cause == CauseEnded {
			pause := 2 * time.Second
			if !t.static && cause == CauseEnded {
				pause = endedAfter
			}
			t.next = later(now.Add(pause), t.began, redialAfter)
			s.dialer.requeue(now, id, t)
			return
		}
	} else if p.countsDialed && t.guessed.source != "" && cause.failure() {
		// It had only looked like a success.
		s.dialer.x.learn(now, t.guessed, -1, 1)
		t.past.failed, t.past.cause, t.past.served = true, cause, time.Time{}
	}
	t.failures++
	t.rest(now, cause, id.Compare(s.self) < 0)
}

// InFlight returns the number of dials in flight.
func (s *Set) InFlight() int { return len(s.dialer.flying) }

// later returns t, or since+d if that is later. A zero since does not count.
func later(t, since time.Time, d time.Duration) time.Time {
	if u := since.Add(d); !since.IsZero() && u.After(t) {
		return u
	}
	return t
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier returns the earlier of two times, of which a may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
