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
	err = ask(ctx, g.net, g.server, appendPMPAddress(nil), func(b []byte) (err error) {
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

// has is always true: what the gateway loses, its epoch tells.
func (g *pmpGateway) has(context.Context, Port, uint16) bool { return true }

// remove goes by the internal port, RFC 6886 section 3.4.
func (g *pmpGateway) remove(ctx context.Context, p Port, _ uint16) error {
	if _, err := g.request(ctx, pmpMapping{protocol: p.Protocol, internal: p.Internal}); err != nil {
		return fmt.Errorf("nat: pmp: remove the mapping of %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return nil
}

func (g *pmpGateway) request(ctx context.Context, want pmpMapping) (got pmpMapping, err error) {
	err = ask(ctx, g.net, g.server, appendPMPMap(nil, want), func(b []byte) (err error) {
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
}

// external asks for a mapping, since no other answer tells the address.
func (g *pcpGateway) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	external := g.probe.wanted()
	if was, ok := g.assigned[g.probe]; ok {
		external = was.Port()
	}
	got, seconds, err := g.request(ctx, g.probe, external, uint32(leaseTime/time.Second))
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("nat: pcp: ask %v for the external address: %w", g.server.Addr(), err)
	}
	return got.external.Addr(), g.epoch.advance(seconds, time.Now()), nil
}

func (g *pcpGateway) add(ctx context.Context, p Port, external uint16) (grant, error) {
	got, _, err := g.request(ctx, p, external, uint32(leaseTime/time.Second))
	if err == nil && (got.lifetime == 0 || got.external.Port() == 0) {
		err = errors.New("the gateway gives no port")
	}
	if err != nil {
		return grant{}, fmt.Errorf("nat: pcp: map %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return grant{external: got.external.Port(), lease: time.Duration(got.lifetime) * time.Second}, nil
}

// has is always true: what the gateway loses, its epoch tells.
func (g *pcpGateway) has(context.Context, Port, uint16) bool { return true }

// remove goes by the internal port and the nonce, RFC 6887 section 15.
func (g *pcpGateway) remove(ctx context.Context, p Port, _ uint16) error {
	if _, _, err := g.request(ctx, p, 0, 0); err != nil {
		return fmt.Errorf("nat: pcp: remove the mapping of %v port %d: %w", p.Protocol, p.Internal, err)
	}
	return nil
}

func (g *pcpGateway) request(ctx context.Context, p Port, external uint16, lifetime uint32) (got pcpMapping, seconds uint32, err error) {
	client, err := g.net.Source(g.server.Addr())
	if err != nil {
		return pcpMapping{}, 0, err
	}
	want := pcpMapping{nonce: g.nonce(p), protocol: p.Protocol, internal: p.Internal, lifetime: lifetime}
	if lifetime != 0 {
		// The address it had is suggested too, so that after a restart it gets
		// the same one back if that is still there.
		want.external = netip.AddrPortFrom(g.assigned[p].Addr(), external)
	}
	err = ask(ctx, g.net, g.server, appendPCPMap(nil, client, want), func(b []byte) (err error) {
		got, seconds, err = parsePCPMap(b, want)
		return err
	})
	if err == nil && lifetime != 0 {
		g.assigned[p] = got.external
	}
	return got, seconds, err
}
