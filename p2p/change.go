package p2p

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"parley/discover"
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

// SetNetRestrict changes Config.NetRestrict: peers outside of it are disconnected, and
// nobody outside is dialed, accepted, asked for nodes or answered any more. Given
// before Start, it is kept until then.
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
	if disc := s.Discovery(); err == nil && disc != nil {
		s.restrict(disc)
	}
	return err
}

// restrict tells discovery of the permitted networks as they are now.
func (s *Server) restrict(disc *discover.Service) {
	s.publishing.Lock() // so that no older list comes after a newer one
	defer s.publishing.Unlock()
	if err := disc.SetNetRestrict(s.permitted()...); err != nil && !errors.Is(err, discover.ErrClosed) {
		s.log.Error("Cannot restrict discovery", "err", err)
	}
}

// permitted returns the permitted networks, none if all are.
func (s *Server) permitted() []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(s.set.Restrict().Prefixes())
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
