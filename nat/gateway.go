package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// A pmpGateway speaks NAT-PMP.
type pmpGateway struct {
	net    Network
	server netip.AddrPort
	epoch  epoch
}

func (g *pmpGateway) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	var seconds uint32
	err = ask(ctx, g.net, netip.AddrPort{}, g.server, appendPMPAddress(nil), func(b []byte) (err error) {
		addr, seconds, err = parsePMPAddress(b)
		return err
	})
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("nat: pmp: ask %v for the external address: %w", g.server.Addr(), err)
	}
	return addr, g.epoch.advance(seconds, time.Now()), nil
}

func (g *pmpGateway) add(ctx context.Context, p Port, external uint16) (grant, error) {
	got, err := g.request(ctx, pmpMapping{
		protocol: p.Protocol, internal: p.Internal, external: external, lifetime: uint32(leaseTime / time.Second),
	})
	if err == nil && (got.lifetime == 0 || got.external == 0) {
		err = errors.New("the gateway gives no port")
	}
	if err != nil {
		return grant{}, fmt.Errorf("nat: pmp: map %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return grant{external: got.external, lease: time.Duration(got.lifetime) * time.Second}, nil
}

// has asks for the mapping again, since there is no other way to see it. The epoch
// should tell what the gateway loses, but that of many is the time since the
// system was started, and not since the daemon was.
func (g *pmpGateway) has(ctx context.Context, p Port, external uint16) bool {
	granted, err := g.add(ctx, p, external)
	return err == nil && granted.external == external
}

// remove goes by the internal port, RFC 6886 section 3.4.
func (g *pmpGateway) remove(ctx context.Context, p Port, _ uint16) error {
	if _, err := g.request(ctx, pmpMapping{protocol: p.Protocol, internal: p.Internal}); err != nil {
		return fmt.Errorf("nat: pmp: remove the mapping of %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return nil
}

func (g *pmpGateway) request(ctx context.Context, want pmpMapping) (got pmpMapping, err error) {
	err = ask(ctx, g.net, netip.AddrPort{}, g.server, appendPMPMap(nil, want), func(b []byte) (err error) {
		got, _, err = parsePMPMap(b, want)
		return err
	})
	return got, err
}

// A pcpGateway speaks PCP.
type pcpGateway struct {
	net    Network
	server netip.AddrPort
	nonce  func(p Port) pcpNonce
	probe  Port // asked for to learn the external address
	epoch  epoch

	assigned map[Port]netip.AddrPort // by the gateway
	fresh    grant                   // of probe, from the last call of external; zero if there was none
}

// external asks for a mapping, since no other answer tells the address. With IPv6
// it is the own one, and renewing a hole in a firewall each minute for nothing is
// more than some gateways can take: once there is one, it is enough that the
// gateway answers.
func (g *pcpGateway) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	g.fresh = grant{}
	was, ok := g.assigned[g.probe]
	if ok && g.server.Addr().Is6() {
		if lost, err = g.announce(ctx); err == nil {
			addr, err = g.net.publicIPv6()
		}
		return addr, lost, err
	}
	external := g.probe.wanted()
	if ok {
		external = was.Port()
	}
	got, seconds, err := g.request(ctx, g.probe, external, uint32(leaseTime/time.Second))
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("nat: pcp: ask %v for the external address: %w", g.server.Addr(), err)
	}
	if got.lifetime != 0 {
		g.fresh = got.grant()
	}
	return got.external.Addr(), g.epoch.advance(seconds, time.Now()), nil
}

// announce asks whether the gateway is there, and reports whether it has lost its
// mappings.
func (g *pcpGateway) announce(ctx context.Context) (lost bool, err error) {
	client, err := g.source()
	if err != nil {
		return false, err
	}
	var seconds uint32
	err = ask(ctx, g.net, netip.AddrPortFrom(client, 0), g.server, appendPCPAnnounce(nil, client), func(b []byte) (err error) {
		seconds, err = parsePCPAnnounce(b)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("nat: pcp: ask %v whether it is there: %w", g.server.Addr(), err)
	}
	return g.epoch.advance(seconds, time.Now()), nil
}

// add does not ask for what external has just asked for.
func (g *pcpGateway) add(ctx context.Context, p Port, external uint16) (granted grant, err error) {
	if p == g.probe && g.fresh.external != 0 {
		granted, g.fresh = g.fresh, grant{}
		return granted, nil
	}
	got, _, err := g.request(ctx, p, external, uint32(leaseTime/time.Second))
	if err == nil && (got.lifetime == 0 || got.external.Port() == 0) {
		err = errors.New("the gateway gives no port")
	}
	if err != nil {
		return grant{}, fmt.Errorf("nat: pcp: map %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return got.grant(), nil
}

func (m pcpMapping) grant() grant {
	return grant{external: m.external.Port(), addr: m.external.Addr(), lease: time.Duration(m.lifetime) * time.Second}
}

// has asks for the mapping again, as that of pmpGateway does; but with IPv6 the
// epoch has to be enough.
func (g *pcpGateway) has(ctx context.Context, p Port, external uint16) bool {
	if g.server.Addr().Is6() {
		return true
	}
	granted, err := g.add(ctx, p, external)
	return err == nil && granted.external == external
}

// remove goes by the internal port and the nonce, RFC 6887 section 15. A gateway
// that refuses although it gave the mapping, as miniupnpd 2.3.1 does with holes for
// IPv6 that were asked for twice, still lets it be made short.
func (g *pcpGateway) remove(ctx context.Context, p Port, external uint16) error {
	_, _, err := g.request(ctx, p, 0, 0)
	if errors.Is(err, pcpNotAuthorized) && external != 0 && g.server.Addr().Is6() {
		_, _, err = g.request(ctx, p, external, 1)
	}
	if err != nil {
		return fmt.Errorf("nat: pcp: remove the mapping of %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return nil
}

// source returns the address that a request is sent from, which is in it too. It
// is also the one that ports are mapped to, so with IPv6 it has to be public,
// although the gateway may be link-local.
func (g *pcpGateway) source() (netip.Addr, error) {
	if g.server.Addr().Is6() {
		return g.net.publicIPv6()
	}
	return g.net.Source(g.server.Addr())
}

func (g *pcpGateway) request(ctx context.Context, p Port, external uint16, lifetime uint32) (got pcpMapping, seconds uint32, err error) {
	client, err := g.source()
	if err != nil {
		return pcpMapping{}, 0, err
	}
	want := pcpMapping{nonce: g.nonce(p), protocol: p.Protocol, internal: p.Internal, lifetime: lifetime}
	if lifetime != 0 {
		// The address it had is suggested too, so that after a restart it gets
		// the same one back if that is still there.
		want.external = netip.AddrPortFrom(g.assigned[p].Addr(), external)
	}
	err = ask(ctx, g.net, netip.AddrPortFrom(client, 0), g.server, appendPCPMap(nil, client, want), func(b []byte) (err error) {
		got, seconds, err = parsePCPMap(b, want)
		return err
	})
	if err == nil && lifetime != 0 {
		g.assigned[p] = got.external
	}
	return got, seconds, err
}
