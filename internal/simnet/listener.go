package simnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
)

// backlog is how many connections wait to be accepted. Further ones are not
// answered, and ask again.
const backlog = 4096

// A Listener is a [net.Listener] of a [Host].
type Listener struct {
	host *Host
	addr netip.AddrPort // no address means all of the host's

	mu     sync.Mutex // guards the fields below; taken after the network's
	closed bool
	queue  []arrival // in the order of their times
	gate   gate      // where Accept waits
	fail   error     // what Accept returns instead,
	times  int       // so many times; negative means until further notice
}

// An arrival is a connection and the time of the network at which it can be
// accepted.
type arrival struct {
	conn *Conn
	at   int64
}

var _ net.Listener = (*Listener)(nil)

// Listen listens on all addresses of the host. With port 0 the host picks one.
func (h *Host) Listen(port uint16) (*Listener, error) {
	return h.listen(netip.AddrPortFrom(netip.Addr{}, port))
}

// ListenContext listens on an address of the form ":30303", "192.0.2.1:0" or
// "[::]:0". Without an address, or with an unspecified one of either family,
// it listens on all addresses of the host. It has the form of
// [net.ListenConfig.Listen]; the context has no effect.
func (h *Host) ListenContext(_ context.Context, network, address string) (net.Listener, error) {
	if len(address) > 0 && address[0] == ':' {
		address = "[::]" + address
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, listenError(nil, &net.AddrError{Err: "not an address and port", Addr: address})
	}
	if err := family(network, at.Addr()); err != nil && !at.Addr().IsUnspecified() {
		return nil, listenError(net.TCPAddrFromAddrPort(at), err)
	}
	if a := plain(at.Addr()); a.IsUnspecified() {
		at = netip.AddrPortFrom(netip.Addr{}, at.Port())
	} else if at = netip.AddrPortFrom(a, at.Port()); !slices.Contains(h.addrs, a) && !a.IsLoopback() {
		return nil, listenError(net.TCPAddrFromAddrPort(at), os.NewSyscallError("bind", syscall.EADDRNOTAVAIL))
	}
	l, err := h.listen(at)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (h *Host) listen(at netip.AddrPort) (*Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.closed {
		return nil, listenError(tcpAddr(at), net.ErrClosed)
	}
	for other := range h.listeners {
		if at.Port() != 0 && other.Port() == at.Port() && (other.Addr() == at.Addr() || !other.Addr().IsValid() || !at.Addr().IsValid()) {
			return nil, listenError(tcpAddr(at), os.NewSyscallError("bind", syscall.EADDRINUSE))
		}
	}
	port, ok := h.ports.take(at.Port())
	if !ok {
		return nil, listenError(tcpAddr(at), os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &Listener{host: h, addr: netip.AddrPortFrom(at.Addr(), port)}
	l.gate.init(&l.mu)
	h.listeners[l.addr] = l
	return l, nil
}

// listener returns who listens at an address of h. net.mu is held.
func (h *Host) listener(at netip.AddrPort) *Listener {
	if l := h.listeners[at]; l != nil {
		return l
	}
	return h.listeners[netip.AddrPortFrom(netip.Addr{}, at.Port())]
}

// Accept waits for the next connection. Its dynamic type is [*Conn].
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		now, until := l.host.net.now(), int64(never)
		switch {
		case l.closed:
			return nil, l.acceptError(net.ErrClosed)
		case l.times != 0:
			if l.times > 0 {
				l.times--
			}
			return nil, l.acceptError(l.fail)
		case len(l.queue) > 0 && l.queue[0].at <= now:
			c := l.queue[0].conn
			l.queue = slices.Delete(l.queue, 0, 1)
			return c, nil
		case len(l.queue) > 0:
			until = l.queue[0].at
		}
		l.gate.wait(now, until, &l.host.net.busy)
	}
}

// FailAccept makes the next calls of Accept return err in a [*net.OpError], so
// many times; a negative number means until further notice, 0 ends it. An
// Accept that is waiting returns at once. With syscall.EMFILE the errors are
// temporary, as of a process that has no file descriptor left.
func (l *Listener) FailAccept(err error, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail, l.times = err, times
	l.gate.cond.Broadcast()
}

// Close stops listening and resets the connections that were not accepted.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	queue := l.queue
	l.queue = nil
	l.gate.stop()
	l.gate.cond.Broadcast()
	l.mu.Unlock()

	h := l.host
	h.net.mu.Lock()
	delete(h.listeners, l.addr)
	h.ports.release(l.addr.Port())
	h.net.mu.Unlock()
	for _, a := range queue {
		a.conn.Reset()
		a.conn.Close()
	}
	return nil
}

// Addr returns the listener's address, a [*net.TCPAddr]: unspecified if it
// listens on all addresses of the host.
func (l *Listener) Addr() net.Addr { return tcpAddr(l.addr) }

// offer queues a connection, unless there is no room or nobody to accept it.
func (l *Listener) offer(c *Conn, at int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= backlog {
		return false
	}
	i, _ := slices.BinarySearchFunc(l.queue, at, func(a arrival, at int64) int {
		if a.at <= at {
			return -1
		}
		return 1
	})
	l.queue = slices.Insert(l.queue, i, arrival{c, at})
	l.gate.cond.Broadcast()
	return true
}

func tcpAddr(a netip.AddrPort) *net.TCPAddr {
	if !a.Addr().IsValid() {
		a = netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
	}
	return net.TCPAddrFromAddrPort(a)
}

func (l *Listener) acceptError(err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError("accept", errno)
	}
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
}

func listenError(a net.Addr, err error) error {
	return &net.OpError{Op: "listen", Net: "tcp", Addr: a, Err: err}
}
