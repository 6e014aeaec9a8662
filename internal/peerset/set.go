// Package peerset decides whom to keep: who may connect, who becomes a peer,
// whom to dial next, and why somebody was refused.
//
// A Set is a core: it has no lock, goroutine, clock or socket. Its owner calls it
// under one mutex, passes the time in, and carries out what it returns.
package peerset

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// ID names a node.
type ID = enode.ID

// The reasons for which a node is refused. They are wrapped with detail.
var (
	ErrSelf             = errors.New("it is this node itself")
	ErrAlreadyConnected = errors.New("already connected")
	ErrTooManyPeers     = errors.New("too many peers")
	ErrRestricted       = errors.New("address is outside the permitted networks (netrestrict)")
	ErrTooSoon          = errors.New("too soon after the last attempt")
	ErrTooManyPending   = errors.New("too many handshakes in flight")
	ErrTooManyFromHost  = errors.New("too many connections from this address")
	ErrTooManyFromNet   = errors.New("too many connections from this network")
	ErrTooManyStatic    = fmt.Errorf("more than %d static or trusted nodes", MaxStatic)
	ErrNoEndpoint       = errors.New("no TCP endpoint is known")
	ErrAlreadyDialing   = errors.New("already being dialed")
	ErrQueueFull        = errors.New("enough candidates are waiting")
)

// MaxStatic bounds the number of static nodes, and of trusted nodes.
const MaxStatic = 1000

// simultaneous is the age below which two connections with one node count as
// made at the same time.
const simultaneous = 5 * time.Second

// Limits bound a Set.
type Limits struct {
	Peers   int // peers in all; trusted nodes come on top
	Dialed  int // of them, dynamically dialed
	Pending int // handshakes in flight, inbound and dialed each
}

// Inbound returns how many peers may be inbound.
func (l Limits) Inbound() int { return max(0, l.Peers-l.Dialed) }

// A Set knows the peers, the connections that may become peers, the nodes to be
// dialed, and what was said about all of them.
//
// Methods must not be called concurrently. Times passed in must not go
// backwards.
type Set struct {
	self       ID
	limits     Limits
	restrict   netaddr.List
	resolvable bool // see Resolvable

	peers   map[ID]*peer
	inbound int // peers that count against Limits.Inbound
	dialed  int // peers that count against Limits.Dialed
	above   int // peers that are trusted

	trusted map[ID]*enode.Node
	friends map[netip.Addr]int // addresses of static and trusted nodes, with how many have each

	door   door
	dialer dialer
	book   book
}

// A peer as the Set sees it. Whether it counts against a share is decided when
// it is added, so that the sums stay right when it becomes static or trusted.
type peer struct {
	addr           netip.AddrPort
	inbound        bool
	since          time.Time
	countsInbound  bool
	countsDialed   bool
	countsAsPublic bool // held against its address and network
}

// New returns an empty Set for the node self. An empty restrict permits every
// address.
func New(self ID, limits Limits, restrict netaddr.List) *Set {
	return &Set{
		self:     self,
		limits:   limits,
		restrict: restrict,
		peers:    make(map[ID]*peer),
		trusted:  make(map[ID]*enode.Node),
		friends:  make(map[netip.Addr]int),
		door:     newDoor(),
		dialer:   newDialer(),
		book:     newBook(),
	}
}

// Admit reports whether a connection to id may become a peer: it returns nil or
// the reason to give the other side.
//
// It is asked twice for each connection, when the first authenticated frame has
// proved who the other side is and again by Add when Hello has said what it
// speaks, because other connections may have taken the slot in between.
func (s *Set) Admit(now time.Time, id ID, inbound bool) error {
	existing := s.peers[id]
	switch {
	case id == s.self:
		return ErrSelf
	case existing != nil && !s.yields(now, existing, id, inbound):
		return ErrAlreadyConnected
	case existing != nil:
		return nil // takes the slot of the other connection
	case s.trusted[id] != nil:
		return nil // trusted nodes do not compete for slots
	case s.competing() >= s.limits.Peers:
		return fmt.Errorf("%w (%d)", ErrTooManyPeers, s.limits.Peers)
	case inbound && !s.Static(id) && s.inbound >= s.limits.Inbound():
		return fmt.Errorf("%w (%d inbound)", ErrTooManyPeers, s.limits.Inbound())
	}
	return nil
}

// competing returns the number of peers that count against Limits.Peers.
func (s *Set) competing() int { return len(s.peers) - s.above }

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

// Add makes the connection a peer, or returns the reason against it as Admit
// does. If replaced is true, an older connection with the same node gives way
// and is no longer a peer: the owner ends it and does not call Remove for it.
func (s *Set) Add(now time.Time, id ID, addr netip.AddrPort, inbound bool) (replaced bool, err error) {
	if err := s.Admit(now, id, inbound); err != nil {
		return false, err
	}
	if old := s.peers[id]; old != nil {
		s.forget(id, old)
		replaced = true
	}
	privileged := s.trusted[id] != nil || s.Static(id)
	p := &peer{
		addr:           addr,
		inbound:        inbound,
		since:          now,
		countsInbound:  inbound && !privileged,
		countsDialed:   !inbound && !privileged,
		countsAsPublic: inbound && !privileged && !netaddr.Exempt(addr.Addr()),
	}
	s.peers[id] = p
	if p.countsInbound {
		s.inbound++
	}
	if p.countsDialed {
		s.dialed++
	}
	if p.countsAsPublic {
		s.door.enter(addr.Addr())
	}
	if s.trusted[id] != nil {
		s.above++
	}
	s.dialer.connected(now, id, inbound)
	return replaced, nil
}

// Remove takes a peer out. The cause decides when a static node is dialed again.
func (s *Set) Remove(now time.Time, id ID, cause Cause) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.forget(id, p)
	s.dialer.lost(now, id, cause, now.Sub(p.since), id.Compare(s.self) < 0)
}

func (s *Set) forget(id ID, p *peer) {
	delete(s.peers, id)
	if p.countsInbound {
		s.inbound--
	}
	if p.countsDialed {
		s.dialed--
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

// Restricted reports whether addr is outside the permitted networks.
func (s *Set) Restricted(addr netip.Addr) bool {
	return !s.restrict.Allows(addr)
}

// Trust lets a node connect above Limits.Peers.
func (s *Set) Trust(n *enode.Node) error {
	old := s.trusted[n.ID()]
	if old == nil && len(s.trusted) >= MaxStatic {
		return ErrTooManyStatic
	}
	s.befriend(old, -1)
	s.befriend(n, +1)
	s.trusted[n.ID()] = n
	if old == nil && s.Connected(n.ID()) {
		s.above++
	}
	return nil
}

// Untrust takes that right away. An existing connection stays.
func (s *Set) Untrust(id ID) {
	if s.trusted[id] == nil {
		return
	}
	s.befriend(s.trusted[id], -1)
	delete(s.trusted, id)
	if s.Connected(id) {
		s.above--
	}
}

// Trusted reports whether id was trusted.
func (s *Set) Trusted(id ID) bool { return s.trusted[id] != nil }

// befriend counts the addresses of a static or trusted node, whose connections
// are exempt from the limits by address. A nil node has none.
func (s *Set) befriend(n *enode.Node, by int) {
	if n == nil {
		return
	}
	for _, addr := range []netip.Addr{n.Addr4(), n.Addr6()} {
		if !addr.IsValid() {
			continue
		}
		addr = netaddr.Normalize(addr)
		if s.friends[addr] += by; s.friends[addr] <= 0 {
			delete(s.friends, addr)
		}
	}
}

// Note keeps a verdict on a node, for Explain and the counts by gate.
func (s *Set) Note(id ID, v Verdict) {
	s.book.note(id, v, func(id ID) bool { return s.Static(id) || s.Trusted(id) })
}

// Count counts a refusal of somebody who cannot be named.
func (s *Set) Count(g Gate) { s.book.refused[g]++ }

// Refused returns the number of refusals by gate.
func (s *Set) Refused() map[Gate]uint64 {
	m := make(map[Gate]uint64, len(s.book.refused))
	for g, n := range s.book.refused {
		m[g] = n
	}
	return m
}

// A Story is what the Set knows of a node.
type Story struct {
	Node      *enode.Node // nil if only its ID is known
	Connected bool
	Static    bool
	Trusted   bool
	Dialing   bool
	Failures  int       // dials that failed in a row
	NextDial  time.Time // zero if it will not be dialed
	Verdicts  []Verdict // oldest first
}

// Explain tells what is known of a node.
func (s *Set) Explain(id ID) Story {
	st := Story{
		Node:      s.trusted[id],
		Connected: s.Connected(id),
		Static:    s.Static(id),
		Trusted:   s.Trusted(id),
		Verdicts:  s.book.read(id),
	}
	if t := s.dialer.targets[id]; t != nil {
		st.Node = t.node
		st.Dialing = t.dialing
		st.Failures = t.failures
		if t.static && !st.Connected && !t.dialing {
			st.NextDial = t.next
		}
	}
	return st
}

// StaticNodes returns the static nodes in the order in which they were added.
func (s *Set) StaticNodes() []*enode.Node {
	nodes := make([]*enode.Node, 0, len(s.dialer.static))
	for _, id := range s.dialer.static {
		nodes = append(nodes, s.dialer.targets[id].node)
	}
	return slices.Clip(nodes)
}
