package natlab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"parley/interop/nodes"
)

// A Street is hosts that a router joins, each in a namespace and in networks of its
// own: the host at link 3 is 25.25.3.2 and 2a0e:3::2, and the router's end is .1 and
// ::1. Addresses look public, so that no limit is lifted for them.
type Street struct {
	t         testing.TB
	router    string // name of its namespace
	namespace func(name string) string
	links     int
}

// A Host is a host of a Street. It knows its addresses by a name of its own.
type Host struct {
	*Link     // the first
	street    *Street
	namespace string
}

// A Link is a cable from a host to the router, with a network for each family that
// it has.
type Link struct {
	host       *Host
	number     int
	device     string     // the host's end
	port       string     // the router's end
	IPv4, IPv6 netip.Addr // of the host; not valid if it has none
}

// ownName is what every host calls itself.
const ownName = "self.example"

// OpenStreet builds the router. The test's end takes everything down.
func OpenStreet(t testing.TB) *Street {
	t.Helper()
	s := &Street{t: t, namespace: namespaces(t)}
	s.router = s.namespace("router")
	s.do("", "ip", "netns", "exec", s.router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	return s
}

// do runs a command that has to succeed, with text as its standard input.
func (s *Street) do(text, name string, args ...string) string {
	s.t.Helper()
	out, err := run(text, name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// batch runs commands of ip in a namespace, one a line.
func (s *Street) batch(namespace, format string, args ...any) {
	s.t.Helper()
	s.do(fmt.Sprintf(format, args...), "ip", "-n", namespace, "-batch", "-")
}

// NewHost adds a host with one link, of which the families are given.
func (s *Street) NewHost(v4, v6 bool) *Host {
	s.t.Helper()
	h := &Host{street: s, namespace: s.namespace("host" + strconv.Itoa(s.links+1))}
	h.Link = h.Plug(v4, v6)
	h.Link.Configure()

	// ip shows this file to what it runs in the namespace.
	dir := filepath.Join("/etc/netns", h.namespace)
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	text := "127.0.0.1 localhost\n"
	for _, addr := range []netip.Addr{h.IPv4, h.IPv6} {
		if addr.IsValid() {
			text += addr.String() + " " + ownName + "\n"
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return h
}

// Plug adds a link to the host, which knows nothing of it yet.
func (h *Host) Plug(v4, v6 bool) *Link {
	s := h.street
	s.t.Helper()
	s.links++
	l := &Link{host: h, number: s.links, device: fmt.Sprintf("eth%d", s.links), port: fmt.Sprintf("port%d", s.links)}
	s.do("", "ip", "link", "add", l.device, "netns", h.namespace, "type", "veth", "peer", "name", l.port, "netns", s.router)
	if v4 {
		l.IPv4 = netip.MustParseAddr(fmt.Sprintf("25.25.%d.2", l.number))
		s.batch(s.router, "addr add 25.25.%d.1/24 dev %s\n", l.number, l.port)
	}
	if v6 {
		l.IPv6 = netip.MustParseAddr(fmt.Sprintf("2a0e:%d::2", l.number))
		s.batch(s.router, "addr add 2a0e:%d::1/64 dev %s nodad\n", l.number, l.port)
	}
	s.batch(s.router, "link set %s up\n", l.port)
	return l
}

// Configure does what a host's network manager does when the link is there: the
// host has its addresses, and this link is its default route.
func (l *Link) Configure() {
	s, in := l.host.street, l.host.namespace
	s.t.Helper()
	s.batch(in, "link set %s up\n", l.device)
	if l.IPv4.IsValid() {
		s.batch(in, "addr replace %v/24 dev %s\nroute replace default via 25.25.%d.1\n", l.IPv4, l.device, l.number)
	}
	if l.IPv6.IsValid() {
		s.batch(in, "addr replace %v/64 dev %s nodad\nroute replace ::/0 via 2a0e:%d::1\n", l.IPv6, l.device, l.number)
	}
}

// Down takes the host's end down, as when the cable is pulled: the system forgets
// the routes, and the addresses of IPv6.
func (l *Link) Down() {
	l.host.street.t.Helper()
	l.host.street.batch(l.host.namespace, "link set %s down\n", l.device)
}

// SetMTU bounds the size of packets at both ends.
func (l *Link) SetMTU(size int) {
	s := l.host.street
	s.t.Helper()
	s.batch(l.host.namespace, "link set %s mtu %d\n", l.device, size)
	s.batch(s.router, "link set %s mtu %d\n", l.port, size)
}

// LoseIPv6 takes the address of IPv6 from the link, and its routes with it.
func (l *Link) LoseIPv6() {
	l.host.street.t.Helper()
	l.host.street.batch(l.host.namespace, "route del ::/0 via 2a0e:%d::1\naddr del %v/64 dev %s\n", l.number, l.IPv6, l.device)
}

// Swallow6 has the router drop what comes for the link over IPv6, and tell nobody.
func (l *Link) Swallow6() {
	l.host.street.t.Helper()
	l.host.street.batch(l.host.street.router, "route add blackhole %v/128\n", l.IPv6)
}

// Set sets a parameter of the host's kernel.
func (h *Host) Set(name, value string) {
	h.street.t.Helper()
	h.street.do("", "ip", "netns", "exec", h.namespace, "sysctl", "-qw", name+"="+value)
}

// Counter returns one of the counters that the host's kernel keeps of a protocol,
// such as ActiveOpens of Tcp, the connections that it was asked to make.
func (h *Host) Counter(protocol, name string) int {
	t := h.street.t
	t.Helper()
	var names []string
	for line := range strings.Lines(h.street.do("", "ip", "netns", "exec", h.namespace, "cat", "/proc/net/snmp")) {
		fields := strings.Fields(line)
		switch {
		case fields[0] != protocol+":":
		case names == nil:
			names = fields
		default:
			for i, value := range fields {
				if names[i] == name {
					n, err := strconv.Atoi(value)
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
			}
		}
	}
	t.Fatalf("natlab: the kernel keeps no counter %s of %s", name, protocol)
	return 0
}

// Ask asks the node at a URL from the host, as that of a Lab does.
func (h *Host) Ask(url string, questions ...string) (failed []string) {
	h.street.t.Helper()
	return ask(h.street.t, h.namespace, url, questions)
}

// Run starts a parley on the host that listens on a port, knows the bootnodes and
// announces the host's addresses.
func (h *Host) Run(port int, bootnodes []string, args ...string) *Runner {
	t := h.street.t
	t.Helper()
	path, logs := parleyPath(t)
	network := nodes.Private()
	r := &Runner{t: t, port: port, Parley: nodes.StartParley(t, nodes.ParleyOptions{
		Path: path, Logs: logs, Name: fmt.Sprintf("host%d-%d", h.number, port), Network: &network,
		Namespace: h.namespace, NAT: "extip:" + ownName, Bootnodes: bootnodes,
		Args: append([]string{"--port", strconv.Itoa(port)}, args...),
	})}
	nodes.Wait(t, soon, "the record has the host's addresses", func() bool {
		n := r.Record()
		for _, addr := range []netip.Addr{h.IPv4, h.IPv6} {
			if addr.IsValid() && !has(n.TCPEndpoints, netip.AddrPortFrom(addr, uint16(port))) {
				return false
			}
		}
		return true
	})
	return r
}
