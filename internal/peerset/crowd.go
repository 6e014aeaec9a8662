package peerset

import (
	"net/netip"

	"parley/enode"
	"parley/internal/netaddr"
)

// How many nodes of one network are dialed or, once dialed, are peers: whoever
// holds a network can fill it with nodes that always answer. For IPv6 a host is a
// network too, and a site of many such may have a few more.
const (
	crowdHost = 2 // IPv4 /24, IPv6 /64
	crowdSite = 4 // IPv6 /48
)

// A crowd counts by network. Addresses to which limits by network do not apply
// are not counted.
type crowd map[netip.Prefix]int

// keysOf returns the networks of addr that are limited, each with its limit.
func keysOf(addr netip.Addr) (keys [2]netip.Prefix, limits [2]int, n int) {
	addr = netaddr.Normalize(addr)
	switch {
	case !addr.IsValid() || netaddr.Exempt(addr):
		return keys, limits, 0
	case addr.Is4():
		keys[0], limits[0] = netaddr.NetKey(addr), crowdHost
		return keys, limits, 1
	}
	keys = [2]netip.Prefix{netaddr.HostKey(addr), netaddr.NetKey(addr)}
	return keys, [2]int{crowdHost, crowdSite}, 2
}

// count adds by for each of the networks of addrs.
func (c crowd) count(by int, addrs ...netip.Addr) {
	for _, addr := range addrs {
		keys, _, n := keysOf(addr)
		for _, key := range keys[:n] {
			if c[key] += by; c[key] == 0 {
				delete(c, key)
			}
		}
	}
}

// full reports whether one of the networks of addrs has as many as it may, scale
// times the usual.
func (c crowd) full(scale int, addrs ...netip.Addr) bool {
	for _, addr := range addrs {
		keys, limits, n := keysOf(addr)
		for i, key := range keys[:n] {
			if c[key] >= scale*limits[i] {
				return true
			}
		}
	}
	return false
}

// addrsOf returns the addresses at which a node might be dialed.
func addrsOf(n *enode.Node) []netip.Addr {
	var addrs []netip.Addr
	for ep := range n.TCPEndpoints() {
		addrs = append(addrs, ep.Addr())
	}
	return addrs
}

// netOf returns the network under which experience with a node is kept, the zero
// Prefix if none is.
func netOf(n *enode.Node) netip.Prefix {
	ep, ok := n.TCPEndpoint()
	if !ok || netaddr.Exempt(ep.Addr()) {
		return netip.Prefix{}
	}
	return netaddr.NetKey(ep.Addr())
}
