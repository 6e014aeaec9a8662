package p2p

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"parley/enode"
	"parley/internal/netaddr"
)

// maxAddrs is how many addresses of each family a host name may stand for; those
// after are left out.
const maxAddrs = 4

// A Resolver looks up the addresses of host names. A net.Resolver is one.
type Resolver interface {
	// LookupNetIP returns the addresses of a host, of both families if network is
	// "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// lookup returns the addresses of a host at which one can be contacted, in their
// order and without repeats.
func lookup(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	var of [2]int
	for _, addr := range found {
		addr = netaddr.Normalize(addr)
		family := familyOf(netip.AddrPortFrom(addr, 0))
		if netaddr.Contactable(addr) && !slices.Contains(addrs, addr) && of[family] < maxAddrs {
			addrs = append(addrs, addr)
			of[family]++
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("host name %q has no address that can be dialed", host)
	}
	return addrs, nil
}

// locate finds out where a node is: by its host name, which is looked up each time
// because that is what names are for, and otherwise from the node itself. The node
// that it returns has the first address of each family.
func locate(ctx context.Context, r Resolver, n *enode.Node) (*enode.Node, []netip.Addr, error) {
	if n.Hostname() == "" {
		var addrs []netip.Addr
		for ep := range n.TCPEndpoints() {
			addrs = append(addrs, ep.Addr())
		}
		return n, addrs, nil
	}
	addrs, err := lookup(ctx, r, n.Hostname())
	if err != nil {
		return n, nil, err
	}
	return n.WithAddr(addrs...), addrs, nil
}

// endpointsAt returns the TCP endpoints of a node at the given addresses.
func endpointsAt(n *enode.Node, addrs []netip.Addr) (eps []netip.AddrPort) {
	for _, addr := range addrs {
		if ep, ok := n.WithAddr(addr).TCPEndpoint(); ok {
			eps = append(eps, ep)
		}
	}
	return eps
}
