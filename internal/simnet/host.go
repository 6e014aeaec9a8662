package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Host is a machine on a [Network]. Its methods are safe for concurrent use.
type Host struct {
	net   *Network
	seq   int // place in the order of creation
	addrs []netip.Addr

	// Guarded by net.mu.
	hole      bool
	listeners map[netip.AddrPort]*Listener // no address means all of them
	ports     ports                        // of TCP
	packets   map[uint16]*PacketConn       // by port
	udp       ports                        // of UDP
	nat       *NAT                         // which it is behind, or nil
	gateway   *NAT                         // whose public address it holds, or nil
}

// connectAttempts is how often a dial asks: at once, and then after 1, 2, 4, 8,
// 16 and 32 more seconds; 64 s later it gives up. That is what Linux does.
const connectAttempts = 7

// Addr returns the host's first address.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// AddrPort returns the host's first address with the given port.
func (h *Host) AddrPort(port uint16) netip.AddrPort { return netip.AddrPortFrom(h.addrs[0], port) }

// Addrs returns all addresses of the host, in the order given to
// [Network.Host].
func (h *Host) Addrs() []netip.Addr { return slices.Clone(h.addrs) }

// Conns returns this host's ends of all open connections, in the order in
// which they were opened.
func (h *Host) Conns() []*Conn {
	var own []*Conn
	for _, c := range h.net.Conns() {
		if c.s.hosts[c.side] == h {
			own = append(own, c)
		}
	}
	return own
}

// SetEphemeralPorts sets from which ports those are taken that nobody chose.
// It is 32768 to 60999 at first.
func (h *Host) SetEphemeralPorts(first, last uint16) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.ports.first, h.ports.last, h.ports.next = first, last, 0
}

// DialContext connects to an address of the form "192.0.2.1:30303" or
// "[2001:db8::1]:30303"; names are not known here. The network is tcp, tcp4 or
// tcp6. The source is the host's first address of the same family, with a port
// of the host's choice. The call takes a round trip.
//
// Where a host does not listen, the dial is refused after a round trip. Where
// there is no host, or one that cannot be reached, it is not answered: the
// call ends with the context or after 127 s with ETIMEDOUT.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, dialError(nil, nil, &net.AddrError{Err: "not an address and port", Addr: address})
	}
	dst := net.TCPAddrFromAddrPort(to)
	if err := family(network, to.Addr()); err != nil {
		return nil, dialError(nil, dst, err)
	}
	src, ok := h.source(to.Addr())
	if !ok {
		return nil, dialError(nil, dst, os.NewSyscallError("connect", syscall.ENETUNREACH))
	}
	port, err := h.takePort(0)
	if err != nil {
		return nil, dialError(nil, dst, os.NewSyscallError("connect", err))
	}
	c, err := h.dial(ctx, netip.AddrPortFrom(src, port), to, func() { h.ports.release(port) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// DialFrom is [Host.DialContext] with a source that is taken as it is: it need
// not be an address of the host, its port may be 0 or in use, it may be
// IPv4-mapped or have a zone, and that is what the other side sees. What comes
// back reaches this host.
func (h *Host) DialFrom(ctx context.Context, from, to netip.AddrPort) (*Conn, error) {
	return h.dial(ctx, from, to, func() {})
}

// dial asks until it is answered. Release is called with net.mu held when the
// source port is free again.
func (h *Host) dial(ctx context.Context, from, to netip.AddrPort, release func()) (_ *Conn, err error) {
	n := h.net
	defer func() {
		if err != nil {
			n.mu.Lock()
			release()
			n.mu.Unlock()
			err = dialError(net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to), err)
		}
	}()
	if !n.begin() {
		return nil, net.ErrClosed
	}
	defer n.busy.Done()

	luck := newRand(n.source(from, to), 2)
	wait := time.Second
	for range connectAttempts {
		if link, up := n.path(h, to.Addr()); up {
			if err := n.sleep(ctx, link.transit(luck)+link.transit(luck)); err != nil {
				return nil, err
			}
			if c, err := n.connect(h, from, to, release); !errors.Is(err, errUnanswered) {
				return c, err
			}
		}
		if err := n.sleep(ctx, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
	return nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
}

// errUnanswered says that a packet got lost.
var errUnanswered = errors.New("unanswered")

// connect opens a stream if the listener has room for it.
func (n *Network) connect(h *Host, from, to netip.AddrPort, release func()) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	dst := n.host(h, to.Addr())
	if n.closed {
		return nil, net.ErrClosed
	}
	if dst == nil || dst.nat != nil && dst.nat != h.nat || dst.gateway != nil {
		return nil, errUnanswered
	}
	if h.nat != nil && dst.nat == nil {
		from = netip.AddrPortFrom(h.nat.host.addrs[0], from.Port())
	}
	link, up := n.route(h, dst)
	if !up {
		return nil, errUnanswered
	}
	l := dst.listener(netip.AddrPortFrom(plain(to.Addr()), to.Port()))
	if l == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}

	n.opened++
	s := newStream(link, from, to, n.source(from, to))
	s.seq, s.hosts, s.busy = n.opened, [2]*Host{h, dst}, &n.busy
	s.ended = func(side int, last bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if side == 0 {
			release()
		}
		if last {
			delete(n.streams, s)
		}
	}
	if !l.offer(&s.conns[1], n.now()+s.lanes[0].arrival(0, 0)) {
		return nil, errUnanswered
	}
	n.streams[s] = struct{}{}
	return &s.conns[0], nil
}

// path returns the link from h to whoever has an address.
func (n *Network) path(h *Host, to netip.Addr) (l Link, up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	dst := n.host(h, to)
	if dst == nil {
		return Link{}, false
	}
	return n.route(h, dst)
}

// begin counts a call that [Network.Close] waits for, unless it is too late.
func (n *Network) begin() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.busy.Add(1)
	return true
}

// sleep waits for d, the context or the end of the network.
func (n *Network) sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d == 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return net.ErrClosed
	}
}

// source returns the address from which h reaches another.
func (h *Host) source(to netip.Addr) (netip.Addr, bool) {
	to = to.Unmap()
	for _, a := range h.addrs {
		if a.Is4() == to.Is4() && a.IsLoopback() == to.IsLoopback() {
			return a, true
		}
	}
	if to.IsLoopback() { // its own loopback, which need not be listed
		if to.Is4() {
			return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
		}
		return netip.IPv6Loopback(), true
	}
	return netip.Addr{}, false
}

// family checks an address against the name of a network.
func family(network string, a netip.Addr) error {
	version, ok := strings.CutPrefix(network, "tcp")
	switch {
	case !ok || version != "" && version != "4" && version != "6":
		return net.UnknownNetworkError(network)
	case version == "4" && !a.Unmap().Is4() || version == "6" && a.Unmap().Is4():
		return &net.AddrError{Err: fmt.Sprintf("not an address of %s", network), Addr: a.String()}
	}
	return nil
}

func dialError(from, to net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Source: from, Addr: to, Err: err}
}

// ports are the ports of a host that are in use.
type ports struct {
	first, last uint16 // the ephemeral ones
	next        uint16 // where to look next
	used        map[uint16]int
}

func newPorts() ports {
	return ports{first: 32768, last: 60999, used: make(map[uint16]int)}
}

// take returns the port that was asked for, or a free ephemeral one for 0.
func (p *ports) take(port uint16) (uint16, bool) {
	if port == 0 {
		for range int(p.last) - int(p.first) + 1 {
			candidate := max(p.next, p.first)
			if p.next = candidate + 1; candidate >= p.last {
				p.next = p.first
			}
			if p.used[candidate] == 0 {
				port = candidate
				break
			}
		}
		if port == 0 {
			return 0, false
		}
	}
	p.used[port]++
	return port, true
}

func (p *ports) release(port uint16) {
	if p.used[port]--; p.used[port] == 0 {
		delete(p.used, port)
	}
}

func (h *Host) takePort(port uint16) (uint16, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	port, ok := h.ports.take(port)
	if !ok {
		return 0, syscall.EADDRNOTAVAIL
	}
	return port, nil
}
