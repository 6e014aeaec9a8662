package enode

import (
	"errors"
	"iter"
	"net/netip"
)

// Addr returns the IPv4 address, or the IPv6 address if there is no other, or the
// zero Addr if there is none.
func (n *Node) Addr() netip.Addr {
	if n.addr4.IsValid() {
		return n.addr4
	}
	return n.addr6
}

// Addr4 returns the IPv4 address, or the zero Addr if there is none.
func (n *Node) Addr4() netip.Addr { return n.addr4 }

// Addr6 returns the IPv6 address, or the zero Addr if there is none.
func (n *Node) Addr6() netip.Addr { return n.addr6 }

// TCPEndpoints yields where the node accepts RLPx connections: IPv4 first, then
// IPv6, each only if both address and port are known.
func (n *Node) TCPEndpoints() iter.Seq[netip.AddrPort] { return n.endpoints(n.tcp4, n.tcp6) }

// UDPEndpoints yields where the node takes part in discovery: IPv4 first, then
// IPv6, each only if both address and port are known.
func (n *Node) UDPEndpoints() iter.Seq[netip.AddrPort] { return n.endpoints(n.udp4, n.udp6) }

func (n *Node) endpoints(port4, port6 uint16) iter.Seq[netip.AddrPort] {
	return func(yield func(netip.AddrPort) bool) {
		if n.addr4.IsValid() && port4 != 0 && !yield(netip.AddrPortFrom(n.addr4, port4)) {
			return
		}
		if n.addr6.IsValid() && port6 != 0 {
			yield(netip.AddrPortFrom(n.addr6, port6))
		}
	}
}

// TCPEndpoint returns the first of [Node.TCPEndpoints], and whether there is one.
func (n *Node) TCPEndpoint() (netip.AddrPort, bool) { return first(n.TCPEndpoints()) }

// UDPEndpoint returns the first of [Node.UDPEndpoints], and whether there is one.
func (n *Node) UDPEndpoint() (netip.AddrPort, bool) { return first(n.UDPEndpoints()) }

func first(endpoints iter.Seq[netip.AddrPort]) (netip.AddrPort, bool) {
	for e := range endpoints {
		return e, true
	}
	return netip.AddrPort{}, false
}

// Causes of [Node.ValidateComplete].
var (
	ErrNoAddress = errors.New("enode: node has neither an address nor a host name")
	ErrNoPort    = errors.New("enode: node has no port")
)

// ValidateComplete returns nil if the node could be contacted, by TCP or UDP, now
// or after its host name is resolved. Otherwise it returns [ErrNoAddress] or
// [ErrNoPort].
func (n *Node) ValidateComplete() error {
	switch {
	case n.host == "" && !n.Addr().IsValid():
		return ErrNoAddress
	case n.host != "" && n.tcp4 == 0 && n.udp4 == 0 && n.tcp6 == 0 && n.udp6 == 0:
		return ErrNoPort
	case n.host == "" && !n.reachable4() && !n.reachable6():
		return ErrNoPort
	}
	return nil
}

// Incomplete reports whether [Node.ValidateComplete] returns an error: the node is
// known by its key, but not where it is.
func (n *Node) Incomplete() bool { return n.ValidateComplete() != nil }

func (n *Node) reachable4() bool { return n.addr4.IsValid() && (n.tcp4 != 0 || n.udp4 != 0) }
func (n *Node) reachable6() bool { return n.addr6.IsValid() && (n.tcp6 != 0 || n.udp6 != 0) }
