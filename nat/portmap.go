package nat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
)

// A upnpGateway maps ports of IPv4 by UPnP: the services WANIPConnection:1 and :2
// and WANPPPConnection:1.
type upnpGateway struct {
	net     Network
	gateway netip.Addr
	igd     *igd

	permanent bool // the gateway gives only leases without end
}

// maxConflicts bounds how many external ports are tried for one mapping.
const maxConflicts = 4

// openUPnP finds the default gateway. If it has several connections, the first
// that tells an external address which good accepts is taken, otherwise the
// first.
func openUPnP(ctx context.Context, n Network, gateway netip.Addr, good func(netip.Addr) bool) (*upnpGateway, error) {
	services, err := findServices(ctx, n, gateway, ipConnection2, ipConnection1, pppConnection1)
	if err != nil {
		return nil, err
	}
	g := &upnpGateway{net: n, gateway: gateway, igd: services[0]}
	if len(services) == 1 {
		return g, nil
	}
	for _, s := range services[:min(len(services), maxLocations)] {
		other := &upnpGateway{net: n, gateway: gateway, igd: s}
		if addr, _, err := other.external(ctx); err == nil && good(addr) {
			return other, nil
		}
	}
	return g, nil
}

func (g *upnpGateway) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	var out struct{ NewExternalIPAddress string }
	if err := g.igd.call(ctx, "GetExternalIPAddress", &struct{}{}, &out); err != nil {
		return netip.Addr{}, false, err
	}
	addr, err = netip.ParseAddr(strings.TrimSpace(out.NewExternalIPAddress))
	if err != nil {
		// Some tell nothing while the line is down.
		return netip.Addr{}, false, errors.New("nat: upnp: the gateway tells no external address; is its line up?")
	}
	return addr, false, nil
}

// add maps a port. A port that leads to another host or another port is left
// alone, though many gateways would overwrite it.
func (g *upnpGateway) add(ctx context.Context, p Port, external uint16) (grant, error) {
	own, err := g.net.Source(g.gateway)
	if err != nil {
		return grant{}, fmt.Errorf("nat: upnp: %w", err)
	}
	for try := 0; ; try++ {
		err := g.addAt(ctx, p, own, external)
		if err == nil {
			return g.grant(external), nil
		}
		switch code(err) {
		case upnpSamePortRequired:
			if external == p.Internal {
				return grant{}, err
			}
			external = p.Internal
			continue
		case upnpConflict, upnpConflictElsewhere:
		default:
			return grant{}, err
		}
		// Version 2 can choose a port that is free.
		if g.igd.service == ipConnection2 {
			if reserved, err := g.addAny(ctx, p, own, external); err == nil {
				return g.grant(reserved), nil
			}
		}
		if try == maxConflicts-1 {
			return grant{}, err
		}
		external = 49152 + rand.N[uint16](65535-49152)
	}
}

func (g *upnpGateway) grant(external uint16) grant {
	if g.permanent {
		return grant{external: external}
	}
	return grant{external: external, lease: leaseTime}
}

// A mappingArgs is the arguments of AddPortMapping and AddAnyPortMapping.
type mappingArgs struct {
	NewRemoteHost             string
	NewExternalPort           string
	NewProtocol               string
	NewInternalPort           string
	NewInternalClient         string
	NewEnabled                string
	NewPortMappingDescription string
	NewLeaseDuration          string
}

func (g *upnpGateway) args(p Port, own netip.Addr, external uint16) *mappingArgs {
	a := &mappingArgs{
		NewExternalPort: decimal(external), NewProtocol: upnpProtocol(p.Protocol),
		NewInternalPort: decimal(p.Internal), NewInternalClient: own.String(), NewEnabled: "1",
		NewPortMappingDescription: p.description(), NewLeaseDuration: seconds(leaseTime),
	}
	if g.permanent {
		a.NewLeaseDuration = "0"
	}
	return a
}

func upnpProtocol(p Protocol) string { return strings.ToUpper(p.String()) }

// addAt maps one external port, unless it leads elsewhere.
func (g *upnpGateway) addAt(ctx context.Context, p Port, own netip.Addr, external uint16) error {
	if e, err := g.entry(ctx, p, external); err == nil && !e.leadsTo(own, p) {
		return &upnpError{code: upnpConflict, text: fmt.Sprintf("port %d leads to %s:%s", external, e.NewInternalClient, e.NewInternalPort)}
	}
	return g.leased(func() error {
		return g.igd.call(ctx, "AddPortMapping", g.args(p, own, external), nil)
	})
}

// leased calls add, and again with a lease without end if the gateway knows no
// other.
func (g *upnpGateway) leased(add func() error) error {
	err := add()
	if code(err) == upnpOnlyPermanentLeases && !g.permanent {
		g.permanent = true
		err = add()
	}
	return err
}

func (g *upnpGateway) addAny(ctx context.Context, p Port, own netip.Addr, external uint16) (uint16, error) {
	var out struct{ NewReservedPort string }
	err := g.leased(func() error {
		return g.igd.call(ctx, "AddAnyPortMapping", g.args(p, own, external), &out)
	})
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(out.NewReservedPort), 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("nat: upnp: the gateway reserved no port")
	}
	return uint16(n), nil
}

// An entry is what a gateway tells of one external port.
type entry struct {
	NewInternalPort   string
	NewInternalClient string
	NewEnabled        string
}

func (e entry) leadsTo(own netip.Addr, p Port) bool {
	client, err := netip.ParseAddr(strings.TrimSpace(e.NewInternalClient))
	return err == nil && client == own && strings.TrimSpace(e.NewInternalPort) == decimal(p.Internal)
}

func (g *upnpGateway) entry(ctx context.Context, p Port, external uint16) (e entry, err error) {
	in := struct{ NewRemoteHost, NewExternalPort, NewProtocol string }{
		NewExternalPort: decimal(external), NewProtocol: upnpProtocol(p.Protocol),
	}
	return e, g.igd.call(ctx, "GetSpecificPortMappingEntry", &in, &e)
}

// has is false if the gateway says that there is no such mapping, or that it
// leads elsewhere. What it answers otherwise says nothing.
func (g *upnpGateway) has(ctx context.Context, p Port, external uint16) bool {
	e, err := g.entry(ctx, p, external)
	if err != nil {
		return code(err) != upnpNoSuchEntry
	}
	own, err := g.net.Source(g.gateway)
	return err != nil || e.leadsTo(own, p)
}

// remove removes a mapping if it is still ours.
func (g *upnpGateway) remove(ctx context.Context, p Port, external uint16) error {
	if external == 0 || !g.has(ctx, p, external) {
		return nil
	}
	in := struct{ NewRemoteHost, NewExternalPort, NewProtocol string }{
		NewExternalPort: decimal(external), NewProtocol: upnpProtocol(p.Protocol),
	}
	return g.igd.call(ctx, "DeletePortMapping", &in, nil)
}
