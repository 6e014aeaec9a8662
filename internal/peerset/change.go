package peerset

import (
	"cmp"
	"slices"
	"time"

	"parley/enode"
	"parley/internal/netaddr"
)

// Limits returns the limits in force.
func (s *Set) Limits() Limits { return s.limits }

// SetLimits changes the limits. Peers above them stay; it returns those that
// would have to go, the youngest of each share first, for the owner to disconnect
// if it was asked to. Nobody new comes in until they are below.
func (s *Set) SetLimits(l Limits) (over []ID) {
	s.limits = l
	var all []ID
	for id := range s.peers {
		if s.trusted[id] == nil {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b ID) int {
		return cmp.Or(s.peers[b].since.Compare(s.peers[a].since), a.Compare(b))
	})
	inbound, dialed, rest := s.inbound-l.Inbound(), s.dialed-l.Dialed, s.competing()-l.Peers
	take := func(excess *int, counts func(*peer) bool) {
		for _, id := range all {
			if *excess <= 0 {
				return
			}
			if counts(s.peers[id]) && !slices.Contains(over, id) {
				over = append(over, id)
				*excess--
				rest--
			}
		}
	}
	take(&inbound, func(p *peer) bool { return p.countsInbound })
	take(&dialed, func(p *peer) bool { return p.countsDialed })
	left := rest
	take(&left, func(*peer) bool { return true })
	return over
}

// Restrict returns the permitted networks. The empty list permits all.
func (s *Set) Restrict() netaddr.List { return s.restrict }

// SetRestrict changes the permitted networks and returns the peers that are
// outside now, sorted, for the owner to disconnect.
func (s *Set) SetRestrict(list netaddr.List) (outside []ID) {
	s.restrict = list
	return s.peersWho(func(_ ID, p *peer) bool { return s.Restricted(p.addr.Addr()) })
}

// anchors is how many peers are dialed first after a restart.
const anchors = 2

// Anchors returns up to two nodes to be kept over a restart: of the dynamically
// dialed peers the most useful one, as Reward said, and the one that was connected
// for longest, in two networks. Whoever waits for a restart to get hold of all the
// slots finds two of them taken.
func (s *Set) Anchors(now time.Time) []*enode.Node {
	var of []ID
	for id, p := range s.peers {
		if t := s.dialer.targets[id]; p.countsDialed && !s.privileged(id) && t != nil {
			of = append(of, id)
		}
	}
	best := func(better func(a, b *peer) int) (ID, bool) {
		if len(of) == 0 {
			return ID{}, false
		}
		id := slices.MinFunc(of, func(a, b ID) int { return cmp.Or(better(s.peers[a], s.peers[b]), a.Compare(b)) })
		group := groupOf(s.peers[id].addr.Addr())
		of = slices.DeleteFunc(of, func(x ID) bool {
			return x == id || group.IsValid() && groupOf(s.peers[x].addr.Addr()) == group
		})
		return id, true
	}
	oldest := func(a, b *peer) int { return a.since.Compare(b.since) }
	useful := func(a, b *peer) int { return cmp.Or(cmp.Compare(b.worth(now), a.worth(now)), oldest(a, b)) }
	var nodes []*enode.Node
	for _, better := range []func(a, b *peer) int{useful, oldest} {
		if id, ok := best(better); ok {
			nodes = append(nodes, s.dialer.targets[id].node)
		}
	}
	return nodes
}

// SetAnchors offers the nodes that Anchors gave before a restart. They are dialed
// before all other candidates.
func (s *Set) SetAnchors(now time.Time, nodes []*enode.Node) {
	for _, n := range nodes[:min(len(nodes), anchors)] {
		_ = s.Offer(now, Candidate{Node: n, Source: SourceAnchor}) // what is against it is noted
	}
}
