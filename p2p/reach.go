package p2p

import (
	"net/netip"
	"time"

	"parley/internal/netaddr"
	"parley/internal/reach"
)

// A Reach says whether strangers get through to this node.
type Reach string

// The values of Reach.
const (
	ReachUnknown Reach = "unknown" // too little is known
	ReachYes     Reach = "yes"     // somebody from a public address came in unasked in the last 6 hours
	ReachNo      Reach = "no"      // nobody did for an hour, while hosts in 16 networks answered
)

// Reachable says for each transport and family of addresses whether strangers get
// through to this node.
//
// A connection counts if it came in, whatever became of it; a datagram if its host was
// sent nothing in the 10 minutes before, because NATs let in answers. This machine does
// not count. Those who answered are nodes that were dialed and proved their key, and
// nodes that replied to discovery. Connections through a Proxy say nothing of this host,
// so that with one TCP stays unknown until somebody comes in.
type Reachable struct {
	TCP4 Reach `json:"tcp4"`
	TCP6 Reach `json:"tcp6"`
	UDP4 Reach `json:"udp4"`
	UDP6 Reach `json:"udp6"`
}

// reachable returns what is known now. Caller holds mu.
func (s *Server) reachable(now time.Time) Reachable {
	state := func(t reach.Transport, ipv6 bool) Reach {
		switch s.reach.State(now, t, ipv6) {
		case reach.Yes:
			return ReachYes
		case reach.No:
			return ReachNo
		}
		return ReachUnknown
	}
	return Reachable{
		TCP4: state(reach.TCP, false), TCP6: state(reach.TCP, true),
		UDP4: state(reach.UDP, false), UDP6: state(reach.UDP, true),
	}
}

// came notes that somebody came in unasked; at is the address of this machine at which,
// if it is known. What this machine sends to itself, by way of its public address
// perhaps, does not count. Caller holds mu.
func (s *Server) came(now time.Time, t reach.Transport, from, at netip.Addr) {
	self := s.local.Node()
	for _, own := range []netip.Addr{at, self.Addr4(), self.Addr6()} {
		if own.IsValid() && netaddr.HostKey(own) == netaddr.HostKey(from) {
			return
		}
	}
	s.reach.Came(now, t, from)
}

// noteAnswer notes that the other side of a connection that was dialed has proved to
// be a node.
func (s *Server) noteAnswer(l *link) {
	if l.inbound() || s.cfg.Proxy != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reach.Answered(time.Now(), reach.TCP, addrPort(l.fd.RemoteAddr()).Addr())
}

// noteReach takes in what discovery tells: who answered, and who came unasked.
func (s *Server) noteReach(now time.Time, answered, strangers []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range answered {
		s.reach.Answered(now, reach.UDP, a)
	}
	for _, a := range strangers {
		s.came(now, reach.UDP, a, netip.Addr{})
	}
}
