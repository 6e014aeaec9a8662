package node

import (
	"fmt"
	"log/slog"

	"parley/daemon/config"
	"parley/eth"
)

// A chain is the eth protocol as configured.
type chain struct {
	*eth.Service
	network uint64 // network id; 0 in mirror mode
}

// newChain makes the eth protocol for the network that the settings name.
func newChain(s *config.Settings, log *slog.Logger) (*chain, error) {
	cfg := eth.Config{Versions: s.Protocols, Logger: log}
	switch {
	case s.Mirror():
		cfg.Mirror = true
	case s.Network == config.NetworkAny:
		cfg.Network, cfg.Genesis = *s.NetworkID, *s.Genesis
	default:
		public, ok := eth.ChainNamed(s.Network)
		if !ok {
			return nil, fmt.Errorf("node: there is no network %s", s.Network)
		}
		cfg.Network, cfg.Genesis, cfg.Forks = public.Network, public.Genesis, public.Forks
	}
	if s.ForkID != nil {
		cfg.ForkID, cfg.Forks = s.ForkID, eth.ForkList{}
	}
	if s.Head != nil {
		cfg.Head = *s.Head
	}
	service, err := eth.New(cfg)
	if err != nil {
		return nil, err
	}
	return &chain{Service: service, network: cfg.Network}, nil
}

// networkName names the network for the log.
func networkName(s *config.Settings) string {
	if s.Network == config.NetworkAny && s.NetworkID != nil {
		return fmt.Sprintf("private %d", *s.NetworkID)
	}
	return s.Network
}
