package p2p

import (
	"net/netip"

	"parley/enode"
	"parley/internal/peerset"
)

// A Policy holds rules of the operator's own about whom to have to do with. It is
// asked at each gate, with what is known there, and can only refuse: whom it has
// nothing against still has to pass everything else. It holds for static and trusted
// nodes too.
//
// Check returns nil, or the reason against it, which Explain shows, at [GatePolicy]. An
// error of [DryRun] is counted and refuses nobody. Check is called by many goroutines
// at once and holds up the connection that it is asked about, or the search for more
// nodes, but no lock. It must be quick, because for [AskAccept] it holds up everybody
// who connects after.
type Policy interface {
	Check(q Question) error
}

// A PolicyFunc is a function that is a Policy.
type PolicyFunc func(q Question) error

// Check calls the function.
func (f PolicyFunc) Check(q Question) error { return f(q) }

// An Ask is one of the questions to a Policy.
type Ask string

// The questions, in the order in which a node meets them when it connects, and when
// we connect to it.
const (
	// AskAccept: may somebody at Addr connect? Nothing has been read from the
	// connection. Not asked for SetupConn.
	AskAccept Ask = "accept"

	// AskOffer: is Node, which Source names, a candidate? Not asked for static nodes.
	AskOffer Ask = "offer"

	// AskDial: may Node be dialed? It has the addresses at which it would be, those of
	// a host name as they are now; behind a Proxy a host name has none.
	AskDial Ask = "dial"

	// AskAdmit: may ID at Addr, which has sent Hello, become a peer? Asked of both
	// directions. Node is the one that was dialed, nil of an inbound connection.
	AskAdmit Ask = "admit"
)

// A Question is what a Policy is asked. What is not known has its zero value. The
// Policy changes nothing of it.
type Question struct {
	Ask     Ask
	ID      enode.ID
	Node    *enode.Node
	Source  string         // as in Stats.Sources
	Addr    netip.AddrPort // the other side of a connection
	Inbound bool
	Hello   *Hello
}

// DryRun returns a Policy that asks p and refuses nobody: what p has objections to is
// counted in Stats.PolicyDryRuns. To try out a new rule beside those in force, return
// what DryRun(rule).Check returns, as it is, when they have no objection.
func DryRun(p Policy) Policy {
	return PolicyFunc(func(q Question) error {
		if err := p.Check(q); err != nil {
			return &dryRunError{err}
		}
		return nil
	})
}

// A dryRunError is an objection that is only counted.
type dryRunError struct{ error }

// Unwrap returns the objection.
func (e *dryRunError) Unwrap() error { return e.error }

// opinion asks the policy. Caller does not hold mu.
func (s *Server) opinion(q Question) peerset.Opinion {
	if s.cfg.Policy == nil {
		return peerset.Opinion{}
	}
	err := s.cfg.Policy.Check(q)
	_, dry := err.(*dryRunError) // one that is wrapped or joined with others is for real
	return peerset.Opinion{Err: err, DryRun: dry}
}

// mayDial asks the policy whether a node may be dialed.
func (s *Server) mayDial(n *enode.Node) error {
	o := s.opinion(Question{Ask: AskDial, ID: n.ID(), Node: n})
	if o.Err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set.Consult(o)
}

// mayJoin asks the policy whether the other side of l, which is proven, may become a
// peer.
func (s *Server) mayJoin(l *link) peerset.Opinion {
	c := l.asks()
	return s.opinion(Question{Ask: AskAdmit, ID: c.ID, Node: l.dest, Addr: c.Addr, Inbound: c.Inbound, Hello: l.hello})
}
