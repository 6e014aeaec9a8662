package nat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"parley/internal/netaddr"
)

// A side is one family of addresses: how it is asked about, and what is known.
// Owned by Run; during a check by the goroutine of that.
type side struct {
	v6      bool
	ways    []way // to ask, the better first
	outlook *outlook
	network Network
	log     *slog.Logger

	via    string // of teller
	teller teller // nil before somebody answered, and after nobody did
	former teller // the one before, if it only stopped answering: it may still have mappings
	lost   bool   // a check showed that the gateway may have lost all mappings
}

// A way opens a teller by one protocol.
type way struct {
	name string
	open func(ctx context.Context) (teller, error)
}

// sides returns the sides that the method has.
func (m *Mapper) sides() []*side {
	var sides []*side
	for _, v6 := range []bool{false, true} {
		s := &side{v6: v6, outlook: newOutlook(v6, m.ports), network: m.network, log: m.log}
		pcp := way{"pcp", func(context.Context) (teller, error) { return m.openPCP(v6) }}
		pmp := way{"pmp", func(context.Context) (teller, error) { return m.openPMP() }}
		upnp := way{"upnp", func(ctx context.Context) (teller, error) { return m.openUPnP(ctx, s) }}
		switch m.method.kind {
		case kindAny:
			if s.ways = []way{pcp, upnp}; !v6 {
				s.ways = []way{pcp, pmp, upnp}
			}
		case kindUPnP:
			s.ways = []way{upnp}
		case kindPMP:
			if !v6 {
				s.ways = []way{pmp}
			}
		case kindPCP:
			if g := m.method.gateway; !g.IsValid() || g.Is6() == v6 {
				s.ways = []way{pcp}
			}
		case kindExternal:
			if addr, err := netip.ParseAddr(m.method.host); err != nil || netaddr.Normalize(addr).Is6() == v6 {
				s.outlook.interval, s.outlook.operator = outsideInterval, true
				s.ways = []way{{"extip", func(context.Context) (teller, error) {
					return &hostTeller{net: m.network, host: m.method.host, v6: v6}, nil
				}}}
			}
		case kindSTUN:
			servers := m.method.serverList()
			if len(servers) == 0 {
				servers = publicServers()
			}
			s.outlook.interval = outsideInterval
			s.ways = []way{{"stun", func(context.Context) (teller, error) {
				return &stunTeller{net: m.network, servers: servers, v6: v6}, nil
			}}}
		}
		if len(s.ways) > 0 {
			sides = append(sides, s)
		}
	}
	return sides
}

// gateway returns the gateway that is to be asked.
func (m *Mapper) gateway(v6 bool) (netip.Addr, error) {
	if m.method.gateway.IsValid() {
		return m.method.gateway, nil
	}
	return m.network.Gateway(v6)
}

func (m *Mapper) openPMP() (teller, error) {
	addr, err := m.gateway(false)
	if err != nil {
		return nil, err
	}
	return &pmpGateway{net: m.network, server: netip.AddrPortFrom(addr, gatewayPort)}, nil
}

func (m *Mapper) openPCP(v6 bool) (teller, error) {
	addr, err := m.gateway(v6)
	if err != nil {
		return nil, err
	}
	g := &pcpGateway{
		net: m.network, server: netip.AddrPortFrom(addr, gatewayPort), nonce: m.nonce,
		// The discard port is for asking about the address alone, RFC 6887
		// section 11.6.
		probe: Port{Protocol: UDP, Internal: 9}, assigned: make(map[Port]netip.AddrPort),
	}
	if len(m.ports) > 0 {
		g.probe = m.ports[0]
	}
	return g, nil
}

func (m *Mapper) openUPnP(ctx context.Context, s *side) (teller, error) {
	addr, err := m.gateway(false)
	if err != nil {
		return nil, err
	}
	if s.v6 {
		return openPinholes(ctx, m.network, addr)
	}
	return openUPnP(ctx, m.network, addr, s.outlook.usable)
}

// An opened is a way that was tried.
type opened struct {
	way    string
	teller teller
	addr   netip.Addr
	err    error
	done   chan struct{} // closed when the fields above are set
}

// open tries all ways at once and takes the first, in their order, that tells an
// address that can be true; otherwise the first that answered.
func (s *side) open(ctx context.Context) (addr netip.Addr, err error) {
	if s.v6 && !s.outlook.operator {
		if _, err := s.network.publicIPv6(); err != nil {
			return netip.Addr{}, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	all := make([]*opened, len(s.ways))
	for i, w := range s.ways {
		o := &opened{way: w.name, done: make(chan struct{})}
		all[i] = o
		wg.Go(func() {
			defer close(o.done)
			if o.teller, o.err = w.open(ctx); o.err == nil {
				o.addr, _, o.err = o.teller.external(ctx)
			}
		})
	}
	var second *opened
	var errs []error
	for _, o := range all {
		<-o.done
		switch {
		case o.err != nil:
			errs = append(errs, o.err)
		case s.outlook.usable(o.addr):
			s.via, s.teller = o.way, o.teller
			return o.addr, nil
		case second == nil:
			second = o
		}
	}
	if second != nil {
		s.via, s.teller = second.way, second.teller
		return second.addr, nil
	}
	return netip.Addr{}, noAnswer(errs)
}

// noAnswer says why no way led to an answer; one line.
func noAnswer(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	for _, err := range errs {
		if !errors.Is(err, ErrNoGateway) {
			return fmt.Errorf("nat: no gateway answers: %w", joined(errs))
		}
	}
	return ErrNoGateway
}

// move forgets who was asked, because this host is elsewhere now.
func (s *side) move() {
	s.teller, s.former = nil, nil
	s.outlook.wake = time.Time{}
}

// check asks for the external address, maps and renews what is due, and takes the
// answers in.
func (s *side) check(ctx context.Context) {
	o := s.outlook
	o.begin(time.Now())
	failed := s.ask(ctx)
	o.end(time.Now(), failed)
}

// ask reports whether nobody answered.
func (s *side) ask(ctx context.Context) (failed bool) {
	o := s.outlook
	var addr netip.Addr
	var lost bool
	var err error
	if s.teller != nil {
		addr, lost, err = s.teller.external(ctx)
	}
	if s.teller == nil || err != nil {
		// The gateway may be another one now, or where it was restarted be
		// found elsewhere, and have lost everything.
		before := s.via
		if s.teller != nil {
			s.former = s.teller
		}
		s.teller, lost = nil, true
		if addr, err = s.open(ctx); err != nil {
			// That there is nothing to do with IPv6 is no problem.
			if !s.v6 || !errors.Is(err, errNoFamily) {
				o.problem(err)
			}
			return true
		}
		if s.via == before {
			s.former = nil // it is the same one
		}
	}
	if lost {
		o.lost()
		s.lost = true
	}
	// The address may be another one since.
	if changed, told := s.mapPorts(ctx); told.IsValid() {
		addr = told
	} else if changed {
		if again, _, err := s.teller.external(ctx); err == nil {
			addr = again
		}
	}
	before := o.addr
	o.learned(time.Now(), s.via, addr)
	s.lost = s.lost || o.addr != before
	return false
}

// mapPorts asks the gateway for what is due and for what it has lost. It reports
// whether it was asked for anything, and the external address if that came back.
func (s *side) mapPorts(ctx context.Context) (changed bool, told netip.Addr) {
	g, ok := s.teller.(gateway)
	if !ok {
		return false, told
	}
	o := s.outlook
	for i, p := range o.ports {
		if !o.due(time.Now(), i) {
			if g.has(ctx, p, o.leases[i].external) {
				o.confirmed(time.Now(), i)
				continue
			}
			s.lost = true
		}
		if ctx.Err() != nil {
			return changed, told
		}
		changed = true
		granted, err := g.add(ctx, p, o.suggest(i))
		if err != nil {
			o.denied(err)
			continue
		}
		o.granted(time.Now(), i, granted)
		told = granted.addr
	}
	return changed, told
}

// leave removes the mappings, as far as somebody is there to be asked. Those too
// that were not granted: the answer may have been lost.
func (s *side) leave(ctx context.Context) {
	for _, t := range []teller{s.teller, s.former} {
		g, ok := t.(gateway)
		if !ok {
			continue
		}
		for i, p := range s.outlook.ports {
			if err := g.remove(ctx, p, s.outlook.leases[i].external); err != nil {
				s.log.Debug("nat: removal failed", "err", err)
			}
		}
	}
}
