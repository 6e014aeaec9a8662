package p2p

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"parley/enode"
	"parley/internal/localnode"
	"parley/nat"
)

// externalAddr returns the address that the operator named, if it is one.
func externalAddr(m nat.Method) (netip.Addr, bool) {
	text, ok := strings.CutPrefix(m.String(), "extip:")
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}

// newNAT makes what keeps the ports mapped and learns the external addresses. It is
// nil if there is nothing to be done.
func (s *Server) newNAT(cfg *Config) (*nat.Mapper, []nat.Port, error) {
	var ports []nat.Port
	for _, p := range []struct {
		protocol nat.Protocol
		open     bool
		at       func() netip.AddrPort
	}{
		{nat.TCP, s.listener != nil, func() netip.AddrPort { return addrPort(s.listener.Addr()) }},
		{nat.UDP, s.disc != nil, func() netip.AddrPort { return s.disc.Addr() }},
	} {
		// Nobody outside could reach a port of the loopback interface.
		if p.open && p.at().Port() != 0 && !p.at().Addr().IsLoopback() {
			ports = append(ports, nat.Port{Protocol: p.protocol, Internal: p.at().Port(), Description: "parley p2p"})
		}
	}
	if _, known := externalAddr(cfg.NAT); known || cfg.NAT == nat.None() || len(ports) == 0 {
		return nil, nil, nil
	}
	// The gateway lets only whoever made a mapping change it. After a crash that is
	// us again, and nobody else can be.
	seed := sha256.Sum256(append([]byte("parley nat "), enode.AppendKeyText(nil, cfg.PrivateKey)...))
	m, err := nat.NewMapper(nat.Config{Method: cfg.NAT, Ports: ports, Seed: seed[:], Logger: cfg.Logger})
	if err != nil {
		return nil, nil, fmt.Errorf("p2p: %w", err)
	}
	return m, ports, nil
}

// followNAT puts what is known of the outside into the own record, until Stop.
func (s *Server) followNAT(m *nat.Mapper, ports []nat.Port) {
	// Who names an address means that it be announced, and nothing else.
	named := strings.HasPrefix(s.cfg.NAT.String(), "extip:")
	for state := range m.Run(s.ctx) {
		err := s.changeLocal(func(l *localnode.Local) error {
			return errors.Join(announce(l, state.IPv4, false, named, ports), announce(l, state.IPv6, true, named, ports))
		})
		if err != nil && !errors.Is(err, ErrStopped) {
			s.log.Error("Cannot change the own record", "err", err)
		}
	}
}

// announce puts the external address of one family into the record, with the ports
// that lead to ours. A port without a mapping is announced as it is: the operator,
// or a gateway that maps nothing, may have seen to it. While no address is known,
// what other nodes say counts, unless it is held.
func announce(l *localnode.Local, out nat.Outside, ipv6, held bool, ports []nat.Port) error {
	if held {
		l.Hold(ipv6)
	}
	if !out.Addr.IsValid() {
		if !held {
			l.Free(ipv6)
		}
		return nil
	}
	seen := make(map[nat.Protocol]uint16)
	for _, p := range ports {
		seen[p.Protocol] = out.Endpoint(p.Protocol, p.Internal).Port()
	}
	return l.FixEndpoint(out.Addr, seen[nat.TCP], seen[nat.UDP])
}
