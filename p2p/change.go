package p2p

import (
	"fmt"
	"net/netip"

	"parley/internal/netaddr"
	"parley/internal/peerset"
)

// SetMaxPeers changes Config.MaxPeers: zero means 50, negative none. With fewer
// slots than peers nobody new comes in; the peers stay, unless drop is true: then
// those above the limit are told "too many peers", the youngest first. Given before
// Start, it is kept until then.
func (s *Server) SetMaxPeers(n int, drop bool) error {
	var over []*Peer
	err := s.change(func(s *Server) error {
		c := s.cfg
		c.MaxPeers = n
		c = c.withDefaults()
		for _, id := range s.set.SetLimits(limitsOf(&c)) {
			if drop && s.running() {
				over = append(over, s.peers[id])
			}
		}
		return nil
	})
	for _, p := range over {
		p.DisconnectError(DiscTooManyPeers, errFewerSlots)
	}
	return err
}

var errFewerSlots = fmt.Errorf("%w: their number was lowered", peerset.ErrTooManyPeers)

// SetNetRestrict changes Config.NetRestrict for connections: peers outside of it are
// disconnected, and nobody outside is dialed or accepted any more. Discovery keeps
// to the list that it was started with. Given before Start, it is kept until then.
func (s *Server) SetNetRestrict(prefixes ...netip.Prefix) error {
	list, err := netaddr.ListOf(prefixes...)
	if err != nil {
		return fmt.Errorf("p2p: NetRestrict: %w", err)
	}
	var outside []*Peer
	err = s.change(func(s *Server) error {
		for _, id := range s.set.SetRestrict(list) {
			if s.running() {
				outside = append(outside, s.peers[id])
			}
		}
		return nil
	})
	for _, p := range outside {
		p.DisconnectError(DiscRequested, peerset.ErrRestricted)
	}
	return err
}

// PauseDialing stops dialing, of static nodes too, or lets it go on. Peers and dials
// in flight stay. Given before Start, it is kept until then.
func (s *Server) PauseDialing(yes bool) error {
	return s.change(func(s *Server) error { s.set.Pause(yes); return nil })
}

// limitsOf returns the limits that a configuration with defaults asks for.
func limitsOf(c *Config) peerset.Limits {
	return peerset.Limits{Peers: c.MaxPeers, Dialed: dialedShare(c), Pending: c.MaxPendingPeers}
}

// dialedShare returns how many peers may be dialed dynamically: at least half of
// them, unless DialRatio says otherwise.
func dialedShare(c *Config) int {
	if c.NoDial || c.MaxPeers == 0 {
		return 0
	}
	return (c.MaxPeers + c.DialRatio - 1) / c.DialRatio
}

// MaxInboundConns returns how many peers may be inbound.
func (s *Server) MaxInboundConns() int { return s.limits().Inbound() }

// MaxDialedConns returns how many peers may be dialed dynamically.
func (s *Server) MaxDialedConns() int { return s.limits().Dialed }

func (s *Server) limits() peerset.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set != nil {
		return s.set.Limits()
	}
	cfg := s.Config.withDefaults()
	return limitsOf(&cfg)
}
