package p2p

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/enode"
	"parley/internal/peerset"
)

// A Ban keeps a node or a network out: its connections are refused, and it is not
// dialed. Either ID, the ID of a node, or Net, a network, is set; one address is a
// network of full prefix length.
//
// Since is when it began, Until when it ends, the zero Time if it does not end by
// itself. Why says why, in at most 200 bytes. Earned tells that it was made by
// Peer.Penalize and not by the operator.
type Ban = peerset.Ban

// A BanError is the reason for which somebody banned is refused. It holds the Ban.
type BanError = peerset.BanError

// Errors of Ban and Unban.
var (
	ErrBadBan      = peerset.ErrBadBan      // neither a node nor a network, both, or over already
	ErrTrusted     = peerset.ErrTrusted     // a trusted node cannot be banned
	ErrTooManyBans = peerset.ErrTooManyBans // 4,096 are in force
	ErrNotBanned   = errors.New("p2p: not banned")

	// ErrBanNotStored means that the change holds, but only until Stop: the node
	// database could not take it.
	ErrBanNotStored = errors.New("p2p: the ban holds until the node stops, it could not be stored")
)

// Ban puts a ban in force, in the place of an earlier one of the same node or
// network, and ends the connections that it meets. With a NodeDatabase it survives
// restarts; see ErrBanNotStored. Given before Start, it is kept until then.
//
// A trusted node cannot be banned by its ID, and a ban of its network does not meet
// it. A static node can be, and is not dialed then.
func (s *Server) Ban(b Ban) error {
	var met []*Peer
	now := false
	err := s.change(func(s *Server) error {
		ids, err := s.set.Ban(time.Now(), b)
		if s.running() { // otherwise the caller has gone
			now = true
			for _, id := range ids {
				met = append(met, s.peers[id])
			}
		}
		return err
	})
	for _, p := range met {
		p.DisconnectError(DiscUselessPeer, &BanError{Ban: b})
	}
	if err != nil || !now {
		return err
	}
	return s.storeBans()
}

// Unban lifts the ban of a node or, if prefix is valid, of exactly that network. It
// returns ErrNotBanned if there is none.
func (s *Server) Unban(id enode.ID, prefix netip.Prefix) error {
	now := false
	err := s.change(func(s *Server) error {
		known := s.set.Unban(id, prefix)
		if now = s.running(); now && !known {
			return ErrNotBanned
		}
		return nil
	})
	if err != nil || !now {
		return err
	}
	return s.storeBans()
}

// Bans returns the bans in force: of nodes in the order of their IDs, then of
// networks.
func (s *Server) Bans() []Ban {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		return nil
	}
	return s.set.Bans(time.Now())
}

// BanPoints is the number of points of Penalize at which a node is banned.
const BanPoints = peerset.BanScore

// Penalize adds to the points that are held against the node, and tells why. A
// mistake that an honest node may make now and then should cost about a tenth of
// BanPoints, what no honest node ever does all of them. Points halve every 30
// minutes and survive restarts, as does the ban that BanPoints lead to: for an hour
// at first, twice as long each time it is repeated within a month, at most a week.
// The connection is ended then. A trusted node is not penalised.
func (p *Peer) Penalize(points float64, why string) {
	if p.srv == nil {
		return
	}
	p.srv.mu.Lock()
	ban, banned := p.srv.set.Penalize(time.Now(), p.id, points, why)
	p.srv.mu.Unlock()
	if banned {
		p.DisconnectError(DiscUselessPeer, &BanError{Ban: ban})
	}
}

// Reward tells that the peer was of use: who was most useful does not give way when
// all slots are taken. Points halve every 30 minutes; only how those of the peers
// compare matters.
func (p *Peer) Reward(points float64) {
	if p.srv == nil {
		return
	}
	p.srv.mu.Lock()
	defer p.srv.mu.Unlock()
	p.srv.set.Reward(time.Now(), p.id, points)
}

// storeBans writes the bans to the node database.
func (s *Server) storeBans() error {
	if err := s.keep(keepBans); err != nil {
		return fmt.Errorf("%w: %w", ErrBanNotStored, err)
	}
	return nil
}
