package nat

import (
	"context"
	"errors"
	"net/netip"
	"strconv"

	"github.com/huin/goupnp/soap"
)

// A pinholeGateway opens ports of IPv6 by UPnP: WANIPv6FirewallControl:1, which
// gateways of version 2 have.
type pinholeGateway struct {
	net Network
	igd *igd
	ids map[Port]string // the gateway's name of each hole
}

// openPinholes finds the service at the gateway for IPv4, where gateways are found,
// and speaks with it over IPv6 if it can: most let a host open ports only for the
// address that it asks from.
func openPinholes(ctx context.Context, n Network, gateway netip.Addr) (*pinholeGateway, error) {
	services, err := findServices(ctx, n, gateway, firewall1)
	if err != nil {
		return nil, err
	}
	own, err := n.publicIPv6()
	if err != nil {
		return nil, err
	}
	over4 := &pinholeGateway{net: n, igd: services[0], ids: make(map[Port]string)}
	gateway6, err := n.Gateway(true)
	if err != nil {
		return over4, nil //nolint:nilerr // there is no other way then
	}
	client := soap.NewSOAPClient(services[0].client.EndpointURL)
	client.HTTPClient = *gatewayClient(n, gateway, own, gateway6)
	over6 := &pinholeGateway{net: n, igd: &igd{service: firewall1, client: client, gateway: gateway6}, ids: over4.ids}
	if _, _, err := over6.external(ctx); err != nil {
		return over4, nil //nolint:nilerr // the gateway may not listen there
	}
	return over6, nil
}

// external returns the own address, which no gateway of IPv6 changes, after
// asking whether the gateway is there and lets holes be made.
func (g *pinholeGateway) external(ctx context.Context) (addr netip.Addr, lost bool, err error) {
	var out struct{ FirewallEnabled, InboundPinholeAllowed string }
	if err := g.igd.call(ctx, "GetFirewallStatus", &struct{}{}, &out); err != nil {
		return netip.Addr{}, false, err
	}
	if on, err := strconv.ParseBool(out.FirewallEnabled); err == nil && on {
		if allowed, err := strconv.ParseBool(out.InboundPinholeAllowed); err == nil && !allowed {
			return netip.Addr{}, false, errors.New("nat: upnp: the gateway's IPv6 firewall lets no program open ports")
		}
	}
	addr, err = g.net.publicIPv6()
	return addr, false, err
}

func (g *pinholeGateway) add(ctx context.Context, p Port, _ uint16) (grant, error) {
	if id, ok := g.ids[p]; ok {
		in := struct{ UniqueID, NewLeaseTime string }{id, seconds(leaseTime)}
		if g.igd.call(ctx, "UpdatePinhole", &in, nil) == nil {
			return grant{external: p.Internal, lease: leaseTime}, nil
		}
		delete(g.ids, p)
	}
	own, err := g.net.publicIPv6()
	if err != nil {
		return grant{}, err
	}
	in := struct{ RemoteHost, RemotePort, InternalClient, InternalPort, Protocol, LeaseTime string }{
		RemotePort: "0", InternalClient: own.String(), InternalPort: decimal(p.Internal),
		Protocol: strconv.Itoa(int(p.Protocol.number())), LeaseTime: seconds(leaseTime),
	}
	var out struct{ UniqueID string }
	if err := g.igd.call(ctx, "AddPinhole", &in, &out); err != nil {
		return grant{}, err
	}
	g.ids[p] = out.UniqueID
	return grant{external: p.Internal, lease: leaseTime}, nil
}

// has asks for the hole's packets, which every gateway can tell.
func (g *pinholeGateway) has(ctx context.Context, p Port, _ uint16) bool {
	in := struct{ UniqueID string }{g.ids[p]}
	return in.UniqueID != "" && code(g.igd.call(ctx, "GetPinholePackets", &in, nil)) != upnpNoSuchPinhole
}

func (g *pinholeGateway) remove(ctx context.Context, p Port, _ uint16) error {
	id, ok := g.ids[p]
	if !ok {
		return nil
	}
	delete(g.ids, p)
	return g.igd.call(ctx, "DeletePinhole", &struct{ UniqueID string }{id}, nil)
}
