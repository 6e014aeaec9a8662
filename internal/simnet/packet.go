package simnet

import (
	"cmp"
	"container/heap"
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// maxQueue bounds, in bytes, the datagrams that wait on one PacketConn. What
// comes on top is lost, as in a socket whose buffer is full.
const maxQueue = 1 << 20

// A PacketConn is a UDP socket of a [Host]. All methods are safe for concurrent
// use. It is a [net.PacketConn] and has the methods of [*net.UDPConn] that use
// netip.
type PacketConn struct {
	host *Host
	addr netip.AddrPort // no address means all of the host's

	mu       sync.Mutex // guards the fields below; taken after the network's
	closed   bool
	queue    datagrams
	bytes    int
	sent     uint64 // number of the newest datagram put into queue
	deadline int64
	gate     gate // where reads wait
	fail     error
	times    int
	stats    Stats
	lost     int
}

var _ net.PacketConn = (*PacketConn)(nil)

// A datagram is what one write sent, and the time of the network at which it
// can be read.
type datagram struct {
	data []byte
	from netip.AddrPort
	at   int64
	seq  uint64 // order among those that arrive at the same time
}

// datagrams is a heap, what arrives first on top.
type datagrams []datagram

func (q datagrams) Len() int { return len(q) }
func (q datagrams) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].at, q[j].at), cmp.Compare(q[i].seq, q[j].seq)) < 0
}
func (q datagrams) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *datagrams) Push(x any)   { *q = append(*q, x.(datagram)) }
func (q *datagrams) Pop() any {
	old := *q
	d := old[len(old)-1]
	old[len(old)-1] = datagram{}
	*q = old[:len(old)-1]
	return d
}

// ListenPacket opens a UDP socket on all addresses of the host. With port 0 the
// host picks one. UDP and TCP ports are apart.
func (h *Host) ListenPacket(port uint16) (*PacketConn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	at := netip.AddrPortFrom(netip.Addr{}, port)
	fail := func(err error) (*PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: "udp", Addr: udpAddr(at), Err: err}
	}
	if n.closed {
		return fail(net.ErrClosed)
	}
	if port != 0 && h.packets[port] != nil {
		return fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	port, ok := h.udp.take(port)
	if !ok {
		return fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	c := &PacketConn{host: h, addr: netip.AddrPortFrom(netip.Addr{}, port), deadline: never}
	c.gate.init(&c.mu)
	h.packets[port] = c
	return c, nil
}

// ListenPacketContext is [Host.ListenPacket] in the form of
// [net.ListenConfig.ListenPacket]: the address is ":30303" or an unspecified one
// with a port; the context has no effect.
func (h *Host) ListenPacketContext(_ context.Context, _, address string) (net.PacketConn, error) {
	if len(address) > 0 && address[0] == ':' {
		address = "[::]" + address
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Err: &net.AddrError{Err: "not an address and port", Addr: address}}
	}
	return h.ListenPacket(at.Port())
}

// WriteToUDPAddrPort sends a datagram. That it is lost, for whatever reason, is
// not reported.
func (c *PacketConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.stats.Writes++
		c.stats.BytesWritten += int64(len(b))
	}
	c.mu.Unlock()
	switch {
	case closed:
		return 0, c.opError("write", net.ErrClosed)
	case len(b) > 65507:
		return 0, c.opError("write", os.NewSyscallError("sendto", syscall.EMSGSIZE))
	}
	if err := c.host.net.send(c, to, b); err != nil {
		return 0, c.opError("write", err)
	}
	return len(b), nil
}

// WriteTo is [PacketConn.WriteToUDPAddrPort] for a *net.UDPAddr.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	addr, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.opError("write", syscall.EINVAL)
	}
	return c.WriteToUDPAddrPort(b, addr.AddrPort())
}

// send puts a datagram on its way from a socket.
func (n *Network) send(c *PacketConn, to netip.AddrPort, b []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	source, ok := c.host.source(plain(to.Addr()))
	if !ok {
		return os.NewSyscallError("sendto", syscall.ENETUNREACH)
	}
	from := netip.AddrPortFrom(source, c.addr.Port())
	now := n.now()
	seen, target, dst := n.translate(c.host, from, to, now)
	if dst == nil {
		return nil
	}
	link, up := n.route(c.host, dst)
	if !up {
		return nil
	}
	luck := n.luck(c.host, dst)
	copies := 1
	if link.Duplicate > 0 && luck.Float64() < link.Duplicate {
		copies = 2
	}
	for range copies {
		if link.Loss > 0 && luck.Float64() < link.Loss {
			continue
		}
		at := now + int64(link.Delay)
		if link.Jitter > 0 {
			at += luck.Int64N(int64(link.Jitter) + 1)
		}
		if r := dst.packets[target.Port()]; r != nil {
			r.deliver(datagram{data: slices.Clone(b), from: seen, at: at})
		}
	}
	return nil
}

// deliver queues a datagram that is on its way.
func (c *PacketConn) deliver(d datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.bytes+len(d.data) > maxQueue {
		c.lost++
		return
	}
	c.sent++
	d.seq = c.sent
	c.bytes += len(d.data)
	heap.Push(&c.queue, d)
	if c.queue[0].seq == d.seq {
		c.gate.cond.Broadcast()
	}
}

// ReadFromUDPAddrPort waits for the next datagram. What does not fit b is cut
// off.
func (c *PacketConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Reads++
	for {
		now, until := c.host.net.now(), c.deadline
		switch {
		case c.closed:
			return 0, netip.AddrPort{}, c.opError("read", net.ErrClosed)
		case c.times != 0:
			if c.times > 0 {
				c.times--
			}
			return 0, netip.AddrPort{}, c.opError("read", c.fail)
		case c.deadline <= now:
			return 0, netip.AddrPort{}, c.opError("read", os.ErrDeadlineExceeded)
		case len(c.queue) > 0 && c.queue[0].at <= now:
			d := heap.Pop(&c.queue).(datagram)
			c.bytes -= len(d.data)
			c.stats.BytesRead += int64(len(d.data))
			return copy(b, d.data), d.from, nil
		case len(c.queue) > 0:
			until = min(until, c.queue[0].at)
		}
		c.gate.wait(now, until, &c.host.net.busy)
	}
}

// ReadFrom is [PacketConn.ReadFromUDPAddrPort] with a *net.UDPAddr.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// FailRead makes the next reads return err in a [*net.OpError], so many times; a
// negative number means until further notice, 0 ends it. A read that is waiting
// returns at once.
func (c *PacketConn) FailRead(err error, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.times = err, times
	c.gate.cond.Broadcast()
}

// Close closes the socket. What was sent is still delivered.
func (c *PacketConn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.close()
}

// close is Close with the network's mutex held.
func (c *PacketConn) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.queue, c.bytes = nil, 0
	c.gate.stop()
	c.gate.cond.Broadcast()
	delete(c.host.packets, c.addr.Port())
	c.host.udp.release(c.addr.Port())
	return nil
}

// LocalAddr returns the socket's address, a *net.UDPAddr, unspecified as that of
// a socket on all addresses.
func (c *PacketConn) LocalAddr() net.Addr { return udpAddr(c.addr) }

// SetDeadline sets the read deadline: writes do not block.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes do not block.
func (c *PacketConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets when a read fails with os.ErrDeadlineExceeded. Zero means
// never.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.deadline = never
	if !t.IsZero() {
		c.deadline = int64(t.Sub(c.host.net.epoch))
	}
	c.gate.cond.Broadcast()
	return nil
}

// Stats returns the socket's counters.
func (c *PacketConn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Overflow returns how many datagrams were lost because nobody read.
func (c *PacketConn) Overflow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *PacketConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
}

func udpAddr(at netip.AddrPort) *net.UDPAddr {
	if !at.Addr().IsValid() {
		at = netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())
	}
	return net.UDPAddrFromAddrPort(at)
}
