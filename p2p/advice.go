package p2p

import (
	"context"
	"errors"
	"net"
	"time"

	"parley/enode"
	"parley/internal/peerset"
	"parley/rlpx"
)

// Explain tells why a node is, or is not, a peer: what each gate said about it,
// kept at the time by the gates themselves.
func (s *Server) Explain(id enode.ID) Explanation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		return Explanation{ID: id}
	}
	return s.explain(id)
}

// ExplainStatic explains every static node, those of AddPeer too, in the order in
// which they were added.
func (s *Server) ExplainStatic() []Explanation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		return nil
	}
	var all []Explanation
	for _, n := range s.set.StaticNodes() {
		all = append(all, s.explain(n.ID()))
	}
	return all
}

// explain is Explain. Caller holds mu.
func (s *Server) explain(id enode.ID) Explanation {
	st := s.set.Explain(time.Now(), id)
	if p := s.peers[id]; p != nil && st.Node == nil {
		st.Node = p.node
	}
	e := Explanation{
		ID: id, Node: st.Node, Connected: st.Connected, Static: st.Static, Trusted: st.Trusted,
		Source: string(st.Source), Ban: st.Ban, Points: st.Points,
		Dialing: st.Dialing, Failures: st.Failures, NextDial: st.NextDial, Verdicts: st.Verdicts,
	}
	e.Advice = s.advice(&e)
	return e
}

// advice says what to do about the last verdict. Caller holds mu.
func (s *Server) advice(e *Explanation) string {
	if e.Connected || e.Dialing {
		return ""
	}
	if e.ID == s.local.ID() {
		return "This is the node itself."
	}
	if e.Ban != nil {
		if e.Ban.Until.IsZero() {
			return "It is banned: lift the ban of " + e.Ban.Target() + "."
		}
		return "It is banned: lift the ban of " + e.Ban.Target() + ", or wait until " + e.Ban.Until.UTC().Format(time.RFC3339) + "."
	}
	if len(e.Verdicts) == 0 {
		switch {
		case !e.Static:
			return "This node was never heard of here. To be kept connected it must be a static node."
		case s.cfg.NoDial:
			return "Dialing is off: the other side must connect to us."
		}
		return "It has not been dialed yet."
	}
	v := e.Verdicts[len(e.Verdicts)-1]
	return adviceFor(&v)
}

func adviceFor(v *Verdict) string {
	reason, _ := errors.AsType[DiscReason](v.Err)
	_, dns := errors.AsType[*net.DNSError](v.Err)
	switch {
	case errors.Is(v.Err, peerset.ErrRestricted):
		return "Its address is outside the permitted networks: widen NetRestrict or leave it out."
	case errors.Is(v.Err, peerset.ErrNoEndpoint) || errors.Is(v.Err, errNoTCP):
		return "Only its key is known: give its URL with address and TCP port, enode://…@host:port."
	case errors.Is(v.Err, peerset.ErrBanned):
		return "It was banned then, and is not any more."
	case errors.Is(v.Err, peerset.ErrPolicy):
		return "The policy of this node is against it: see what it says above."
	case errors.Is(v.Err, peerset.ErrTooManyInNet):
		return "Enough nodes of its network are dialed: make it a static node to have it nevertheless."
	case errors.Is(v.Err, peerset.ErrTooManyPeers):
		return "We are full: raise MaxPeers, or make the node a trusted one."
	case errors.Is(v.Err, peerset.ErrSelf) || errors.Is(v.Err, rlpx.ErrSelf) || reason == DiscSelf:
		return "Its key is our own: two nodes must not share a node key."
	case dns:
		return "Its host name cannot be looked up: check the name and the resolver."
	case v.Gate == GateDial && (errors.Is(v.Err, context.DeadlineExceeded) || isTimeout(v.Err)):
		return "Nothing answers there: check that it runs, its address, and the firewalls between."
	case v.Gate == GateDial:
		return "The connection was refused: check that it runs, listens on this port, and its firewall."
	case v.Gate == GateRLPx && !v.Inbound:
		return "Something answers there that is not the holder of this key: check the public key in its URL."
	case reason == DiscTooManyPeers:
		return "The other side is full: it must have a free slot, or trust this node."
	case reason == DiscUselessPeer && v.Gate == GateHello:
		return "The two sides speak no protocol in common: compare their capabilities."
	case reason == DiscAlreadyConnected:
		return "The other side has a connection with this node ID already; it is tried again shortly."
	case v.Gate == GateProtocol && reason == DiscSubprotocolError:
		return "A sub-protocol ended it: compare network ID, genesis and fork ID of the two sides."
	case v.Gate == GateProtocol && reason == DiscUselessPeer:
		return "The other side has no use for us: usually another network, or nothing that it could fetch."
	case v.Gate == GateProtocol && reason == DiscRequested && time.Since(v.Time) < time.Hour:
		return "It was ended on purpose; see who asked for it in the line above."
	}
	return ""
}
