package p2p

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"parley/enr"
	"parley/internal/localnode"
	"parley/internal/peerset"
)

// Errors of AddProtocol and RemoveProtocol.
var (
	ErrProtocolOffered    = errors.New("the protocol is offered already")
	ErrProtocolNotOffered = errors.New("the protocol is not offered")
)

// AddProtocol offers one more protocol: connections that begin from now on negotiate
// it, its Attributes enter the record, and its DialCandidates are asked. Peers keep what
// they run; whoever is to run the new protocol at once has to connect again. It
// fails, and changes nothing, if Config would be wrong with the protocol
// (ErrProtocolOffered if the capability is there already) or the record too large.
// Given before Start, it is kept until then.
func (s *Server) AddProtocol(p Protocol) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("p2p: add protocol: %w", err)
	}
	p.Attributes = slices.Clone(p.Attributes)
	return s.changeLocal(func(local *localnode.Local) error {
		if err := s.mayOffer(p.Cap()); err != nil {
			return fmt.Errorf("add protocol %v: %w", p.Cap(), err)
		}
		if err := local.Set(p.Attributes...); err != nil {
			return fmt.Errorf("add protocol %v: %w", p.Cap(), err)
		}
		s.protocols = append(slices.Clip(s.protocols), p) // a copy: connections hold the list
		s.hello = nil
		s.askSource(&p)
		return nil
	})
}

// mayOffer reports what is against one more capability. Caller holds mu.
func (s *Server) mayOffer(c Cap) error {
	switch {
	case slices.ContainsFunc(s.protocols, func(p Protocol) bool { return p.Cap() == c }):
		return ErrProtocolOffered
	case len(s.protocols) >= maxCaps:
		return fmt.Errorf("%d capabilities are offered, more do not fit into Hello", maxCaps)
	}
	return nil
}

// RemoveProtocol no longer offers a protocol: connections that begin from now on do not
// negotiate it, its DialCandidates are asked no more, and those of its Attributes that
// no other protocol has leave the record. Peers that run it, or are negotiating it just
// now, go on; see Peer.Disconnect. It returns ErrProtocolNotOffered if there is none of
// this name and version. Given before Start, it is kept until then.
func (s *Server) RemoveProtocol(c Cap) error {
	return s.changeLocal(func(local *localnode.Local) error {
		i := slices.IndexFunc(s.protocols, func(p Protocol) bool { return p.Cap() == c })
		if i < 0 {
			return fmt.Errorf("remove protocol %v: %w", c, ErrProtocolNotOffered)
		}
		rest := slices.Concat(s.protocols[:i], s.protocols[i+1:])
		if err := local.Delete(onlyIn(&s.protocols[i], rest)...); err != nil {
			return fmt.Errorf("remove protocol %v: %w", c, err)
		}
		s.protocols, s.hello = rest, nil
		if stop := s.sources[c]; stop != nil {
			stop()
			delete(s.sources, c)
			if !slices.ContainsFunc(rest, func(p Protocol) bool { return p.Name == c.Name && p.DialCandidates != nil }) {
				s.set.DropSource(peerset.ProtocolSource(c.Name))
			}
		}
		return nil
	})
}

// onlyIn returns the keys of a protocol's attributes that no other one has.
func onlyIn(p *Protocol, others []Protocol) []string {
	var keys []string
	for _, e := range p.Attributes {
		shared := slices.ContainsFunc(others, func(o Protocol) bool {
			return slices.ContainsFunc(o.Attributes, func(a enr.Entry) bool { return a.ENRKey() == e.ENRKey() })
		})
		if !shared {
			keys = append(keys, e.ENRKey())
		}
	}
	return keys
}

// offered returns the protocols that are offered now. The list is never written to.
func (s *Server) offered() []Protocol {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.protocols
}

// greeting returns the protocols that are offered now, and the payload of the Hello
// that says so. Neither is ever written to.
func (s *Server) greeting() ([]Protocol, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hello == nil {
		h := &Hello{Version: baseVersion, Name: s.cfg.Name, PublicKey: s.cfg.PrivateKey.Public()}
		for i := range s.protocols {
			h.Caps = append(h.Caps, s.protocols[i].Cap())
		}
		slices.SortFunc(h.Caps, Cap.Compare) // the order in which people read them
		var err error
		if s.hello, err = h.append(nil); err != nil {
			return nil, nil, err
		}
	}
	return s.protocols, s.hello, nil
}

// askSource starts to take candidates from a protocol's own source, if it has one and
// the Server runs and dials. Caller holds mu.
func (s *Server) askSource(p *Protocol) {
	c := p.Cap()
	if p.DialCandidates == nil || s.cfg.NoDial || !s.running() || s.sources[c] != nil {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.sources[c] = stop
	own := []Protocol{*p}
	s.tasks.Go(func() {
		defer stop()
		s.pull(ctx, peerset.ProtocolSource(c.Name), own[0].DialCandidates, func() []Protocol { return own })
	})
}
