package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"parley/internal/netaddr"
)

// ErrNoGateway means that this host has no default gateway in a family of
// addresses, or that the system does not tell which one. A gateway can be named:
// pmp:IP, pcp:IP.
var ErrNoGateway = errors.New("nat: no default gateway is known")

// errNoFamily means that a host, this one or another, has no address in a family.
var errNoFamily = errors.New("no address in this family")

// A Network is how a [Mapper] reaches others and sees the system's routes. Fields
// that are nil are the system's.
type Network struct {
	// ListenPacket opens a UDP socket, as [net.ListenConfig.ListenPacket] does.
	// The network is udp4 or udp6.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)

	// DialFrom opens a TCP connection to a gateway, from an own address and a
	// port of the system's choice.
	DialFrom func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)

	// LookupNetIP looks a host name up, as [net.Resolver.LookupNetIP] does. The
	// network is ip.
	LookupNetIP func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// Gateway returns the default gateway for IPv4 or IPv6, with a zone if it
	// is link-local.
	Gateway func(v6 bool) (netip.Addr, error)

	// Source returns the own address from which the system sends to another.
	Source func(to netip.Addr) (netip.Addr, error)

	// Watch calls changed whenever routes or addresses of this host may have
	// changed, until ctx ends.
	Watch func(ctx context.Context, changed func())
}

// orSystem returns n with the system's functions where it has none.
func (n Network) orSystem() Network {
	if n.ListenPacket == nil {
		n.ListenPacket = new(net.ListenConfig).ListenPacket
	}
	if n.DialFrom == nil {
		n.DialFrom = dialFrom
	}
	if n.LookupNetIP == nil {
		n.LookupNetIP = new(net.Resolver).LookupNetIP
	}
	if n.Gateway == nil {
		n.Gateway = defaultGateway
	}
	if n.Source == nil {
		n.Source = source
	}
	if n.Watch == nil {
		n.Watch = watch
	}
	return n
}

func dialFrom(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}

// source asks the routing table by connecting a UDP socket, which sends nothing.
func source(to netip.Addr) (netip.Addr, error) {
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return netaddr.Normalize(conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()), nil
}

// pollInterval is how often a system that tells no changes is looked at.
const pollInterval = 30 * time.Second

// poll calls changed at intervals until ctx ends.
func poll(ctx context.Context, changed func()) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			changed()
		case <-ctx.Done():
			return
		}
	}
}

// Somebody far away in each family, to see which own address leads there: a root
// name server. Nothing is sent to it.
var (
	farAway4 = netip.AddrFrom4([4]byte{198, 41, 0, 4})
	farAway6 = netip.AddrFrom16([16]byte{0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, 13: 2, 15: 0x30})
)

// A place is where this host is in the network. When it changes, what was learned
// from a gateway has to be learned again.
type place struct{ gateway4, gateway6, source4, source6 netip.Addr }

func (n Network) place() (p place) {
	// Who has no gateway or no address has the zero Addr, which compares well.
	p.gateway4, _ = n.Gateway(false)
	p.gateway6, _ = n.Gateway(true)
	p.source4, _ = n.Source(farAway4)
	p.source6, _ = n.Source(farAway6)
	return p
}

// publicIPv6 returns the own public IPv6 address, if there is one.
func (n Network) publicIPv6() (netip.Addr, error) {
	addr, err := n.Source(farAway6)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("nat: no IPv6: %w: %w", errNoFamily, err)
	}
	if addr = netaddr.Normalize(addr); !addr.Is6() || netaddr.ClassOf(addr) != netaddr.Public {
		return netip.Addr{}, fmt.Errorf("nat: this host has no public IPv6 address: %w", errNoFamily)
	}
	return addr, nil
}
