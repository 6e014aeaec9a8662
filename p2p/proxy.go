package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/net/proxy"

	"parley/enode"
	"parley/internal/peerset"
	"parley/nat"
)

// proxyStart is the head start of the first endpoint of a node behind a proxy, where
// every answer comes from far away: the second one is for when the first fails.
const proxyStart = dialTimeout / 2

// A proxyDialer connects to nodes by way of a SOCKS5 proxy, and in no other way.
// https://www.rfc-editor.org/rfc/rfc1928
type proxyDialer struct {
	addr string
	auth *proxy.Auth // nil without a user
}

// checkProxy returns what is wrong with the URL of a proxy. It does not repeat the URL,
// which may hold a password.
func checkProxy(u *url.URL) error {
	password, _ := u.User.Password()
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme != "socks5" && u.Scheme != "socks5h":
		return fmt.Errorf("scheme %q, want socks5", u.Scheme)
	case u.Hostname() == "" || err != nil || port == 0:
		return errors.New("want a host and a port: socks5://host:port")
	case u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("something follows host and port; in a password, write / as %2F, ? as %3F and # as %23")
	case u.User != nil && (u.User.Username() == "" || len(u.User.Username()) > 255 || len(password) > 255):
		return errors.New("user name and password have 1 to 255 and at most 255 bytes")
	}
	return nil
}

func newProxyDialer(u *url.URL) *proxyDialer {
	p := &proxyDialer{addr: u.Host}
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	return p
}

// DialNode connects to a node at its host name, which the proxy looks up, or else at
// its first endpoint.
func (p *proxyDialer) DialNode(ctx context.Context, n *enode.Node) (net.Conn, error) {
	if name := n.Hostname(); name != "" {
		ep, ok := n.WithAddr(netip.AddrFrom4([4]byte{127, 0, 0, 1})).TCPEndpoint() // for its port
		if !ok {
			return nil, errNoTCP
		}
		target := net.JoinHostPort(name, strconv.Itoa(int(ep.Port())))
		return p.dial(ctx, target, nameAddr(target))
	}
	ep, ok := n.TCPEndpoint()
	if !ok {
		return nil, errNoTCP
	}
	return p.DialEndpoint(ctx, n, ep)
}

func (p *proxyDialer) DialEndpoint(ctx context.Context, _ *enode.Node, at netip.AddrPort) (net.Conn, error) {
	return p.dial(ctx, at.String(), net.TCPAddrFromAddrPort(at))
}

// dial has the proxy connect to target. The connection says that remote is at its
// other end, not the proxy.
func (p *proxyDialer) dial(ctx context.Context, target string, remote net.Addr) (net.Conn, error) {
	var way wayToProxy
	d, err := proxy.SOCKS5("tcp", p.addr, p.auth, &way)
	if err != nil {
		return nil, err
	}
	if _, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", target); err != nil {
		return nil, err
	}
	return &proxied{way.conn, remote}, nil
}

// A wayToProxy opens one connection to the proxy, and keeps it: what the SOCKS client
// makes of it can no longer be closed for writing only.
type wayToProxy struct{ conn *net.TCPConn }

func (w *wayToProxy) Dial(network, addr string) (net.Conn, error) {
	return w.DialContext(context.Background(), network, addr)
}

func (w *wayToProxy) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: noKeepAlive}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.conn = conn.(*net.TCPConn) // for network is tcp
	return conn, nil
}

// A proxied is a connection by way of a proxy.
type proxied struct {
	*net.TCPConn
	remote net.Addr
}

func (p *proxied) RemoteAddr() net.Addr { return p.remote }

// A nameAddr is the address of a node of which only the host name is known.
type nameAddr string

func (a nameAddr) Network() string { return "tcp" }
func (a nameAddr) String() string  { return string(a) }

// openByName has the proxy look up the node's host name and connect to it. Nobody here
// learns the address, so NetRestrict, if there is one, permits none, and bans of
// networks do not meet it.
func (s *Server) openByName(ctx context.Context, n *enode.Node) (net.Conn, error) {
	s.mu.Lock()
	confined := s.set.Restricted(netip.Addr{})
	s.mu.Unlock()
	if confined {
		return nil, fmt.Errorf("%w: behind a proxy nobody knows the address of %q", peerset.ErrRestricted, n.Hostname())
	}
	if err := s.mayDial(n); err != nil {
		return nil, err
	}
	return s.cfg.Dialer.DialNode(ctx, n)
}

// confine turns off all that would go past the proxy.
func (c *Config) confine() {
	c.NoDiscovery, c.DNSDiscovery = true, nil
	if _, named := externalAddr(c.NAT); !named {
		c.NAT = nat.None()
	}
	c.Dialer = newProxyDialer(c.Proxy)
}

// announceProxy tells what the proxy means for a Server that has just started.
func (s *Server) announceProxy() {
	s.log.Info("All dials go through the proxy; discovery, lists in DNS and the search for the own address are off", "proxy", s.cfg.Proxy.Host)
	if s.listener == nil {
		return
	}
	if at := addrPort(s.listener.Addr()).Addr(); !at.IsLoopback() {
		s.log.Warn("Whoever connects to us does so past the proxy: to accept nobody, leave ListenAddr empty", "addr", s.listener.Addr())
	}
}

// startOf returns how long an attempt has for itself with a dialer.
func startOf(d NodeDialer) time.Duration {
	if _, ok := d.(*proxyDialer); ok {
		return proxyStart
	}
	return headStart
}
