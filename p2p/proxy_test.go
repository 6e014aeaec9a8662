package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"parley/enode"
	"parley/internal/peerset"
)

// A socksServer is a SOCKS5 proxy on loopback that knows names of its own and asks
// for a password.
type socksServer struct {
	t        *testing.T
	listener net.Listener
	names    map[string]string // host:port to where it is
	tasks    sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	targets []string   // asked for, in their order
	conns   []net.Conn
}

const socksUser, socksPassword = "alice", "p/w"

func newSocksServer(t *testing.T) *socksServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &socksServer{t: t, listener: l, names: make(map[string]string)}
	p.tasks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(p.close)
	return p
}

func (p *socksServer) close() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
}

func (p *socksServer) url() *url.URL {
	return &url.URL{Scheme: "socks5", Host: p.listener.Addr().String(), User: url.UserPassword(socksUser, socksPassword)}
}

func (p *socksServer) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.targets)
}

// serve serves one connection, as RFC 1928 and RFC 1929 say.
func (p *socksServer) serve(in net.Conn) {
	defer in.Close()
	p.keep(in)
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	read(int(read(2)[1]))
	in.Write([]byte{5, 2}) // user and password
	user := string(read(int(read(2)[1])))
	password := string(read(int(read(1)[0])))
	if user != socksUser || password != socksPassword {
		in.Write([]byte{1, 1})
		return
	}
	in.Write([]byte{1, 0})
	var host string
	switch read(4)[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	port := binary.BigEndian.Uint16(read(2))
	target := net.JoinHostPort(host, strconv.Itoa(int(port)))
	p.mu.Lock()
	p.targets = append(p.targets, target)
	p.mu.Unlock()
	if at, ok := p.names[target]; ok {
		target = at
	}
	out, err := net.Dial("tcp", target)
	if err != nil {
		in.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer out.Close()
	p.keep(out)
	in.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	p.tasks.Go(func() {
		io.Copy(in, out)
		in.(*net.TCPConn).CloseWrite()
	})
	io.Copy(out, in)
	out.(*net.TCPConn).CloseWrite()
}

func (p *socksServer) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

// onLoopback returns a Server on loopback that has not been started.
func onLoopback(n int, configure func(*Config)) *Server {
	s := &Server{Config: Config{
		PrivateKey: testKey(n), Name: "test", ListenAddr: "127.0.0.1:0",
		Logger: slog.New(slog.DiscardHandler), Protocols: []Protocol{idleProtocol()},
	}}
	configure(&s.Config)
	return s
}

// runServer starts a Server and stops it when the test ends.
func runServer(t *testing.T, s *Server) *Server {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// noLookups counts what the Server looks up in DNS.
type noLookups struct{ phoneBook }

func (n *noLookups) LookupTXT(context.Context, string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	return nil, errors.New("no DNS here")
}

// With a proxy every connection goes through it, host names are looked up by it, and
// nothing else leaves the host: no datagram and no question to DNS, though discovery
// and lists in DNS are configured.
func TestProxyCarriesEverything(t *testing.T) {
	p := newSocksServer(t)
	hidden := runServer(t, onLoopback(2, func(c *Config) { c.NoDiscovery = true }))
	plain := runServer(t, onLoopback(3, func(c *Config) { c.NoDiscovery = true }))
	at := addrPort(plain.Addr())
	p.names[theirName+":30303"] = hidden.Addr().String()

	bootnode, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bootnode.Close()
	var dns noLookups
	s := onLoopback(1, func(c *Config) {
		c.Proxy = p.url()
		c.Resolver, c.DNSResolver = &dns, &dns
		c.DNSDiscovery = []string{"enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@example.org"}
		c.DiscAddr = "127.0.0.1:0"
		c.BootstrapNodes = []*enode.Node{nodeAt(4, addrPort(bootnode.LocalAddr()).Addr()).WithUDP(addrPort(bootnode.LocalAddr()).Port())}
		c.StaticNodes = []*enode.Node{named(t, 2), nodeAt(3, at.Addr()).WithTCP(at.Port())}
	})
	events := s.Events(t.Context())
	runServer(t, s)
	added := 0
	for e := range events {
		if e.Type == EventAdd {
			if added++; added == 2 {
				break
			}
		}
	}
	for _, peer := range s.Peers() {
		if want := (map[enode.ID]netip.AddrPort{newID(3): at})[peer.ID()]; peer.RemoteAddr() != want {
			t.Errorf("the peer %v is at %v, want %v", peer.ID(), peer.RemoteAddr(), want)
		}
	}
	if s.Discovery() != nil {
		t.Error("discovery runs")
	}
	s.Stop()

	asked := p.asked()
	slices.Sort(asked)
	if want := []string{at.String(), theirName + ":30303"}; !slices.Equal(asked, want) {
		t.Errorf("the proxy was asked for %v, want %v", asked, want)
	}
	if n := hidden.Stats().Accepted + plain.Stats().Accepted; n != 2 {
		t.Errorf("the nodes got %d connections, want the 2 of the proxy", n)
	}
	if dns.asked != 0 {
		t.Errorf("%d lookups, want none", dns.asked)
	}
	// What arrives first is what this test sends now.
	if _, err := bootnode.WriteTo([]byte("end"), bootnode.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	var b [64]byte
	if n, _, err := bootnode.ReadFrom(b[:]); err != nil || string(b[:n]) != "end" {
		t.Errorf("a datagram of %d bytes, %v; want none", n, err)
	}
}

// A proxy that is gone or lets us not in means that nobody is dialed.
func TestProxyFailsClosed(t *testing.T) {
	other := runServer(t, onLoopback(2, func(c *Config) { c.NoDiscovery = true }))
	at := addrPort(other.Addr())
	node := nodeAt(2, at.Addr()).WithTCP(at.Port())
	p := newSocksServer(t)
	for name, proxy := range map[string]*url.URL{
		"gone":           {Scheme: "socks5", Host: "127.0.0.1:1"},
		"no password":    {Scheme: "socks5", Host: p.url().Host},
		"wrong password": {Scheme: "socks5", Host: p.url().Host, User: url.UserPassword(socksUser, "x")},
	} {
		var dns noLookups
		s := runServer(t, onLoopback(1, func(c *Config) { c.Proxy, c.Resolver = proxy, &dns }))
		for _, n := range []*enode.Node{node, named(t, 2)} {
			if _, _, err := s.open(n); err == nil {
				t.Errorf("%s: connected to %v", name, n)
			}
		}
		if dns.asked != 0 {
			t.Errorf("%s: %d lookups", name, dns.asked)
		}
	}
	if n := other.Stats().Accepted; n != 0 {
		t.Errorf("%d connections past the proxy", n)
	}
}

// Behind a proxy a host name cannot be held against NetRestrict, so it is not dialed.
func TestProxyKeepsToNetRestrict(t *testing.T) {
	p := newSocksServer(t)
	s := runServer(t, onLoopback(1, func(c *Config) {
		c.Proxy, c.NetRestrict = p.url(), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}))
	for _, n := range []*enode.Node{named(t, 2), nodeAt(2, privateAddr(2))} {
		if _, _, err := s.open(n); !errors.Is(err, peerset.ErrRestricted) {
			t.Errorf("open(%v) = %v, want ErrRestricted", n, err)
		}
	}
	if asked := p.asked(); len(asked) != 0 {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

// Start says what is wrong with a proxy, and does not repeat a password.
func TestProxyConfig(t *testing.T) {
	for text, want := range map[string]string{
		"http://u:secret@h:1":     "scheme \"http\"",
		"socks5://u:secret@h":     "a host and a port",
		"socks5://u:secret@h:0":   "a host and a port",
		"socks5://u:secret@:1":    "a host and a port",
		"socks5://u:secret@h:1/x": "something follows",
		"socks5://:secret@h:1":    "user name",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		s := onLoopback(1, func(c *Config) { c.Proxy = u })
		if err := s.Start(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: Start = %v, want %q", text, err, want)
		}
	}
	s := onLoopback(1, func(c *Config) {
		c.Proxy, c.Dialer = &url.URL{Scheme: "socks5", Host: "h:1"}, &tcpDialer{}
		c.DiscConn = new(net.UDPConn)
	})
	err := s.Start()
	for _, want := range []string{"Dialer", "DiscConn"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start = %v, want it to name %s", err, want)
		}
	}
}
