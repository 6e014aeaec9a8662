package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"

	"parley/dnsdisc"
	"parley/enode"
	"parley/nat"
)

// Defaults of Config.
const (
	DefaultMaxPeers        = 50
	DefaultMaxPendingPeers = 50
	DefaultDialRatio       = 2
)

// A Config says how a Server behaves. Start copies and checks it; changes to the
// fields after Start are ignored.
type Config struct {
	// PrivateKey is the node's identity. It must be set.
	PrivateKey *enode.PrivateKey

	// MaxPeers bounds the number of peers; trusted nodes come on top. Zero means
	// 50, negative none.
	MaxPeers int

	// MaxPendingPeers bounds the handshakes in flight, inbound and dialed each.
	// Zero means 50; it cannot be turned off.
	MaxPendingPeers int

	// DialRatio is the share of dialed peers: 1/DialRatio of MaxPeers is dialed,
	// the rest is for inbound connections. Zero means 2. Static nodes are not
	// counted.
	DialRatio int

	// Name is the client name sent in Hello, usually "name/version/os/runtime".
	// Empty means "parley". At most 128 bytes of printable ASCII.
	Name string

	// StaticNodes are kept connected: dialed again whenever they are not peers.
	StaticNodes []*enode.Node

	// TrustedNodes may connect above MaxPeers.
	TrustedNodes []*enode.Node

	// NetRestrict, if not empty, is the list of networks outside of which
	// nobody is dialed or accepted.
	NetRestrict []netip.Prefix

	// Protocols are the sub-protocols to run. At least one is needed for a peer
	// to be of use; without one every connection ends as a useless peer. At run time they are
	// changed by [Server.AddProtocol] and [Server.RemoveProtocol].
	Protocols []Protocol

	// ListenAddr is the TCP address to accept connections on, such as ":30303".
	// Port 0 lets the system pick. Empty means not to listen.
	ListenAddr string

	// Listener, if set, is used instead of opening ListenAddr, for example one
	// handed over by a service manager. The Server closes it.
	Listener net.Listener

	// NoDiscovery turns discovery off. Otherwise nodes are looked for and others
	// are answered over UDP: on DiscAddr or else at the address and port of
	// ListenAddr. Without these and DiscConn there is no discovery.
	NoDiscovery bool

	// DiscoveryV4 and DiscoveryV5 choose the protocols of discovery. If neither is
	// set, both run.
	DiscoveryV4, DiscoveryV5 bool

	// BootstrapNodes and BootstrapNodesV5 are asked first for other nodes, by
	// whatever protocols run.
	BootstrapNodes, BootstrapNodesV5 []*enode.Node

	// NAT is how the node finds out its address as seen from outside, and has the
	// gateway lead its ports to it, such as nat.Any(). Both are put into the record.
	// The zero Method does nothing: then the address is learned from other nodes.
	NAT nat.Method

	// DNSDiscovery are lists of nodes in DNS (EIP-1459), as enrtree:// URLs. They are
	// read while more peers are wanted, also without discovery over UDP. Addresses
	// that are not public are taken from them only if NetRestrict has them.
	DNSDiscovery []string

	// DNSResolver looks them up. Nil means the system's.
	DNSResolver dnsdisc.Resolver

	// DiscAddr is the UDP address, where it is not that of TCP.
	DiscAddr string

	// DiscConn, if set, is used instead of opening DiscAddr. The Server closes it.
	DiscConn net.PacketConn

	// DiscoveryRate is how many packets of discovery v4 a second are looked at, and
	// DiscoverySessions how many sessions of v5 are kept; see [discover.Config]. Zero
	// means what does for a node; one that many ask first needs more.
	DiscoveryRate, DiscoverySessions int

	// NodeDatabase is the file, or a folder for it, in which nodes and the record's
	// sequence number are kept across restarts. Nothing that is wrong with it stops
	// the Server. Empty means to forget.
	NodeDatabase string

	// Dialer opens connections to nodes. Nil means TCP by the system, to whichever
	// of a node's endpoints answers: IPv6 first, and 250 ms later IPv4 beside it. A
	// family of addresses that does not work from here is tried last, and first
	// again every 10 minutes. See [EndpointDialer] for another one of this kind.
	Dialer NodeDialer

	// Resolver looks up the host names of nodes, at each dial. Nil means the
	// system's. An address outside of NetRestrict, or banned, is not dialed.
	Resolver Resolver

	// Proxy, if not nil, is a SOCKS5 proxy, socks5://[user:password@]host:port, through
	// which all nodes are dialed. It is one switch: the proxy looks up host names, and
	// all that would go past it is off, whatever else the Config says: discovery over
	// UDP, DNSDiscovery, and NAT. Without it nobody is dialed. Only the name of the proxy
	// itself is looked up here, if it is no IP address. With NetRestrict nodes with a
	// host name are not dialed, because nobody here learns their addresses.
	//
	// Listening is up to ListenAddr: who connects does not come through the proxy.
	Proxy *url.URL

	// Policy, if not nil, is asked at each gate and can refuse. See [DryRun] for
	// trying it out.
	Policy Policy

	// NoDial turns dialing off; static nodes must then connect to us.
	NoDial bool

	// EnableMsgEvents adds an event for every message sent and received.
	EnableMsgEvents bool

	// CrashOnPanic lets a panic in a Protocol.Run end the process. By default it
	// ends the connection and is logged and counted.
	CrashOnPanic bool

	// Logger takes the Server's log. Nil means slog.Default(). Its handler must not
	// call the Server.
	Logger *slog.Logger
}

// check reports every mistake in the configuration at once.
func (c *Config) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("p2p: config: "+format, args...)) }

	if c.PrivateKey == nil {
		fail("PrivateKey is missing")
	}
	if c.MaxPendingPeers < 0 {
		fail("MaxPendingPeers is %d; it bounds the handshakes in flight and cannot be turned off", c.MaxPendingPeers)
	}
	if c.DialRatio < 0 {
		fail("DialRatio is %d, want 1 or more (0 means %d)", c.DialRatio, DefaultDialRatio)
	}
	if c.DiscoveryRate < 0 {
		fail("DiscoveryRate is %d, want 1 or more (0 means the default)", c.DiscoveryRate)
	}
	if c.DiscoverySessions < 0 {
		fail("DiscoverySessions is %d, want 1 or more (0 means the default)", c.DiscoverySessions)
	}
	if err := checkName(c.Name); err != nil {
		fail("Name: %w", err)
	}
	if c.Proxy != nil {
		if err := checkProxy(c.Proxy); err != nil {
			fail("Proxy: %w", err)
		}
		if c.Dialer != nil {
			fail("both Proxy and Dialer: they are two ways to dial")
		}
		if c.DiscConn != nil {
			fail("both Proxy and DiscConn: a proxy carries no discovery")
		}
	}
	seen := make(map[Cap]bool)
	for i := range c.Protocols {
		p := &c.Protocols[i]
		if err := p.check(); err != nil {
			fail("Protocols[%d]: %w", i, err)
		} else if seen[p.Cap()] {
			fail("Protocols[%d]: %v is listed twice", i, p.Cap())
		}
		seen[p.Cap()] = true
	}
	if len(seen) > maxCaps {
		fail("%d capabilities, at most %d fit into Hello", len(seen), maxCaps)
	}
	for _, list := range []struct {
		name  string
		nodes []*enode.Node
	}{
		{"StaticNodes", c.StaticNodes}, {"TrustedNodes", c.TrustedNodes},
		{"BootstrapNodes", c.BootstrapNodes}, {"BootstrapNodesV5", c.BootstrapNodesV5},
	} {
		for i, n := range list.nodes {
			if n == nil {
				fail("%s[%d] is nil", list.name, i)
			}
		}
	}
	if _, err := c.dnsLinks(); err != nil {
		fail("DNSDiscovery: %w", err)
	}
	return errors.Join(errs...)
}

// withDefaults returns a copy of the configuration with zero fields replaced.
func (c Config) withDefaults() Config {
	c.Protocols = slices.Clone(c.Protocols)
	c.StaticNodes, c.TrustedNodes = slices.Clone(c.StaticNodes), slices.Clone(c.TrustedNodes)
	c.DNSDiscovery = slices.Clone(c.DNSDiscovery)
	c.BootstrapNodes, c.BootstrapNodesV5 = slices.Clone(c.BootstrapNodes), slices.Clone(c.BootstrapNodesV5)
	if c.MaxPeers == 0 {
		c.MaxPeers = DefaultMaxPeers
	}
	c.MaxPeers = max(c.MaxPeers, 0)
	if c.MaxPendingPeers == 0 {
		c.MaxPendingPeers = DefaultMaxPendingPeers
	}
	if c.DialRatio == 0 {
		c.DialRatio = DefaultDialRatio
	}
	if c.Name == "" {
		c.Name = "parley"
	}
	if !c.DiscoveryV4 && !c.DiscoveryV5 {
		c.DiscoveryV4, c.DiscoveryV5 = true, true
	}
	if c.Proxy != nil {
		c.confine()
	}
	if c.Dialer == nil {
		c.Dialer = &tcpDialer{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
