package peerset

import (
	"net/netip"

	"parley/enode"
	"parley/internal/netaddr"
)

// Trust lets a node connect above Limits.Peers and lifts a ban of its ID: what the
// operator said last holds.
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
	s.bans.liftID(n.ID())
	s.scores.forget(n.ID())
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
