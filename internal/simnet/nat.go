package simnet

import (
	"fmt"
	"net/netip"
	"time"
)

// A NATKind says what a NAT lets in and which ports it gives. The names are those
// of RFC 3489 section 5.
type NATKind int

// The kinds of NAT, from the most open to the most closed.
const (
	FullCone       NATKind = iota // one port for each inside endpoint, anybody may send to it
	Restricted                    // only addresses that the inside has sent to
	PortRestricted                // only endpoints that the inside has sent to
	Symmetric                     // a port for each pair of inside and outside endpoint
)

// A NAT hides hosts behind one public address. Datagrams from inside get a port
// of it; those from outside reach the inside as the kind permits. Hosts behind
// the same NAT reach each other directly; from outside their own addresses do
// not exist. Connections go out, but do not come in.
type NAT struct {
	kind    NATKind
	host    *Host         // holds the public address
	timeout time.Duration // of a mapping without traffic from inside

	// Guarded by net.mu.
	maps  map[natKey]*mapping
	ports map[uint16]*mapping
}

// natKey names what a mapping belongs to; outside is only set for Symmetric.
type natKey struct{ inside, outside netip.AddrPort }

type mapping struct {
	key     natKey
	port    uint16
	host    *Host
	used    int64                    // when the inside last sent through it
	allowed map[netip.AddrPort]int64 // whom the inside sent to, and when
}

// NAT puts hosts behind a NAT with the given public address. A mapping is
// forgotten when nothing was sent from inside for the timeout, 2 minutes if it is
// zero. It panics if a host is behind one already.
func (n *Network) NAT(kind NATKind, public netip.Addr, timeout time.Duration, hosts ...*Host) *NAT {
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	g := &NAT{kind: kind, host: n.Host(public), timeout: timeout, maps: make(map[natKey]*mapping), ports: make(map[uint16]*mapping)}
	n.mu.Lock()
	defer n.mu.Unlock()
	g.host.gateway = g
	for _, h := range hosts {
		if h.nat != nil {
			panic(fmt.Sprintf("simnet: %v is behind a NAT already", h.addrs[0]))
		}
		h.nat = g
	}
	return g
}

// translate carries an endpoint pair through the NATs on the way: it returns
// the source that the receiver sees, the endpoint it is received at and by
// whom; nil if nobody. n.mu is held.
func (n *Network) translate(h *Host, from, to netip.AddrPort, now int64) (seen, target netip.AddrPort, dst *Host) {
	to = netip.AddrPortFrom(plain(to.Addr()), to.Port())
	dst = n.host(h, to.Addr())
	switch {
	case dst == nil || dst.nat != nil && dst.nat != h.nat:
		return from, to, nil
	case h.nat != nil && dst != h && dst.nat == nil:
		from = h.nat.outbound(h, from, to, now)
	}
	if dst.gateway == nil {
		return from, to, dst
	}
	m := dst.gateway.inbound(from, to.Port(), now)
	if m == nil {
		return from, to, nil
	}
	return from, m.key.inside, m.host
}

// outbound returns the public endpoint of what the inside endpoint sends to the
// outside one.
func (g *NAT) outbound(h *Host, inside, outside netip.AddrPort, now int64) netip.AddrPort {
	key := natKey{inside: inside}
	if g.kind == Symmetric {
		key.outside = outside
	}
	m := g.maps[key]
	if m != nil && now-m.used > int64(g.timeout) {
		g.forget(m)
		m = nil
	}
	if m == nil {
		port, ok := g.host.udp.take(0)
		if !ok {
			panic("simnet: the NAT has no port left")
		}
		m = &mapping{key: key, port: port, host: h, allowed: make(map[netip.AddrPort]int64)}
		g.maps[key], g.ports[port] = m, m
	}
	m.used = now
	m.allowed[outside] = now
	return netip.AddrPortFrom(g.host.addrs[0], m.port)
}

// inbound returns the mapping through which a datagram from outside comes in, or
// nil.
func (g *NAT) inbound(from netip.AddrPort, port uint16, now int64) *mapping {
	m := g.ports[port]
	if m == nil {
		return nil
	}
	if now-m.used > int64(g.timeout) {
		g.forget(m)
		return nil
	}
	switch g.kind {
	case FullCone:
		return m
	case Restricted:
		for a := range m.allowed {
			if a.Addr() == from.Addr() {
				return m
			}
		}
		return nil
	}
	if _, ok := m.allowed[from]; !ok {
		return nil
	}
	return m
}

func (g *NAT) forget(m *mapping) {
	delete(g.maps, m.key)
	delete(g.ports, m.port)
	g.host.udp.release(m.port)
}
