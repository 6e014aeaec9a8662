package peerset

import (
	"fmt"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// simultaneous is the age below which two connections with one node count as
// made at the same time.
const simultaneous = 5 * time.Second

// A Conn is a connection that asks to become a peer.
type Conn struct {
	ID      ID             // who the other side has proved to be
	Addr    netip.AddrPort // the other side's address; zero if it has none
	Inbound bool
	Policy  Opinion
}

// A peer as the Set sees it. Whether it counts against a share is decided when
// it is added, so that the sums stay right when it becomes static or trusted.
type peer struct {
	addr           netip.AddrPort
	inbound        bool
	since          time.Time
	countsInbound  bool
	countsDialed   bool
	countsAsPublic bool          // held against its address and network
	latency        time.Duration // zero if not known
	value          float64       // at valued; see worth
	valued         time.Time
}

// Admit reports whether a connection may become a peer: it returns nil or the
// reason to give the other side.
//
// It is asked twice for each connection, when the first authenticated frame has
// proved who the other side is and again by Add when Hello has said what it
// speaks, because other connections may have taken the slot in between.
func (s *Set) Admit(now time.Time, c Conn) error {
	_, err := s.admit(now, c)
	return err
}

// admit also returns what adding the connection would lead to.
func (s *Set) admit(now time.Time, c Conn) (Added, error) {
	existing := s.peers[c.ID]
	trusted, static := s.trusted[c.ID] != nil, s.Static(c.ID)
	if c.ID == s.self {
		return Added{}, ErrSelf
	}
	if err := s.banned(now, c.ID, c.Addr.Addr()); err != nil {
		return Added{}, err
	}
	if err := s.objection(c.Policy); err != nil {
		return Added{}, err
	}
	switch {
	case existing != nil && !s.yields(now, existing, c.ID, c.Inbound):
		return Added{}, ErrAlreadyConnected
	case existing != nil:
		return Added{Replaced: true}, nil // takes the slot of the other connection
	case trusted:
		return Added{}, nil // trusted nodes do not compete for slots
	case !c.Inbound && !static:
		if err := s.admitDialed(c); err != nil {
			return Added{}, err
		}
	}
	switch {
	case static && s.competing() >= s.limits.Peers:
		if victim, ok := s.bumped(); ok && s.limits.Peers > 0 {
			return Added{Victim: victim, Evicted: true}, nil
		}
		return Added{}, fmt.Errorf("%w (%d)", ErrTooManyPeers, s.limits.Peers)
	case static:
		return Added{}, nil
	case c.Inbound && (s.competing() >= s.limits.Peers || s.inbound >= s.limits.Inbound()):
		if victim, ok := s.victim(now, c); ok {
			return Added{Victim: victim, Evicted: true}, nil
		}
	}
	switch {
	case s.competing() >= s.limits.Peers:
		return Added{}, fmt.Errorf("%w (%d)", ErrTooManyPeers, s.limits.Peers)
	case c.Inbound && s.inbound >= s.limits.Inbound():
		return Added{}, fmt.Errorf("%w (%d inbound)", ErrTooManyPeers, s.limits.Inbound())
	}
	return Added{}, nil
}

// admitDialed checks a connection that NextDial asked for: meanwhile others may
// have become peers, and the node may be somewhere else than was thought.
func (s *Set) admitDialed(c Conn) error {
	t := s.dialer.targets[c.ID]
	if t == nil || !t.dialing || !t.dynamic {
		return nil // opened on somebody else's account
	}
	if s.dialed >= s.limits.Dialed {
		return fmt.Errorf("%w (%d dialed)", ErrTooManyPeers, s.limits.Dialed)
	}
	s.crowd.count(-1, t.held...) // it does not stand in its own way
	defer s.crowd.count(+1, t.held...)
	if s.crowd.full(1, c.Addr.Addr()) {
		return fmt.Errorf("%w (%v)", ErrTooManyInNet, netaddr.NetKey(c.Addr.Addr()))
	}
	return nil
}

// competing returns the number of peers that count against Limits.Peers.
func (s *Set) competing() int { return len(s.peers) - s.above }

// privileged reports whether the slots and limits for strangers are not for id.
func (s *Set) privileged(id ID) bool { return s.trusted[id] != nil || s.Static(id) }

// yields reports whether the peer p, which is id, gives way to another
// connection with the same node. Both sides see two connections that were made
// at the same time and must keep the same one: that dialed by the lower ID.
func (s *Set) yields(now time.Time, p *peer, id ID, inbound bool) bool {
	if p.inbound == inbound || now.Sub(p.since) >= simultaneous {
		return false
	}
	newDialer, oldDialer := id, s.self
	if !inbound {
		newDialer, oldDialer = s.self, id
	}
	return newDialer.Compare(oldDialer) < 0
}

// Added tells what making a connection a peer has led to.
type Added struct {
	// Replaced: an older connection with the same node gives way.
	Replaced bool
	// Victim is the peer that gives way because all slots were taken, if Evicted.
	Victim  ID
	Evicted bool
}

// Add makes the connection a peer, or returns the reason against it as Admit
// does. Whoever gave way is no longer a peer: the owner ends the connection, of
// a Victim with "too many peers", and does not call Remove for it.
func (s *Set) Add(now time.Time, c Conn) (Added, error) {
	a, err := s.admit(now, c)
	if err != nil {
		return Added{}, err
	}
	if a.Replaced {
		s.forget(c.ID, s.peers[c.ID])
	}
	if a.Evicted {
		p := s.peers[a.Victim]
		s.Note(a.Victim, Verdict{Time: now, Gate: GateQuota, Inbound: p.inbound, Remote: p.addr, Err: errGaveWay})
		s.forget(a.Victim, p)
		s.lost(now, a.Victim, p, CauseEnded)
		if c.Inbound {
			s.evict.last = now
		}
	}
	privileged := s.privileged(c.ID)
	p := &peer{
		addr:           c.Addr,
		inbound:        c.Inbound,
		since:          now,
		countsInbound:  c.Inbound && !privileged,
		countsDialed:   !c.Inbound && !privileged,
		countsAsPublic: c.Inbound && !privileged && !netaddr.Exempt(c.Addr.Addr()),
	}
	s.reached(c.ID, c.Inbound, StagePeer)
	s.succeeded(now, c)
	s.peers[c.ID] = p
	if p.countsInbound {
		s.inbound++
	}
	if p.countsDialed {
		s.dialed++
		s.crowd.count(+1, c.Addr.Addr())
	}
	if p.countsAsPublic {
		s.door.enter(c.Addr.Addr())
	}
	if s.trusted[c.ID] != nil {
		s.above++
	}
	return a, nil
}

var errGaveWay = fmt.Errorf("%w: it gave way to another", ErrTooManyPeers)

// Remove takes a peer out. The cause decides when a node is dialed again.
func (s *Set) Remove(now time.Time, id ID, cause Cause) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.forget(id, p)
	s.dialer.pace.meet(id)
	s.lost(now, id, p, cause)
}

func (s *Set) forget(id ID, p *peer) {
	delete(s.peers, id)
	if p.countsInbound {
		s.inbound--
	}
	if p.countsDialed {
		s.dialed--
		s.crowd.count(-1, p.addr.Addr())
	}
	if p.countsAsPublic {
		s.door.leave(p.addr.Addr())
	}
	if s.trusted[id] != nil {
		s.above--
	}
}

// Counts returns the number of peers that came in and that were dialed.
func (s *Set) Counts() (inbound, dialed int) {
	for _, p := range s.peers {
		if p.inbound {
			inbound++
		} else {
			dialed++
		}
	}
	return inbound, dialed
}

// Connected reports whether id is a peer.
func (s *Set) Connected(id ID) bool { return s.peers[id] != nil }
