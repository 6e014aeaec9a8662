package enode

import (
	"errors"
	"net/netip"

	"parley/enr"
	"parley/internal/netaddr"
)

// A Node is a participant of the network as it is known: its ID and key, where it
// can be reached, and the record or URL that said so. It is made by [New],
// [NewV4] or [Parse], immutable, and safe for concurrent use.
//
// Addresses are normalised (IPv4 not mapped into IPv6, no zone). An address that
// cannot be that of one host (unspecified, multicast, broadcast) is left out
// wherever it comes from; a Node without any address is still a Node.
type Node struct {
	id     ID
	key    PublicKey
	record *enr.Record // nil if the node has not signed one that we know
	host   string      // as written in the URL

	addr4, addr6 netip.Addr // zero if absent

	// Ports for each family, zero if absent. That a port for IPv6 may be
	// omitted from a record is settled when the node is made.
	tcp4, udp4, tcp6, udp6 uint16
}

// New returns the node that published r.
//
// Endpoint entries that do not fit their type, or hold an address at which no
// host can be, count as absent: they make the node unreachable, not invalid. The
// port of "tcp6" or "udp6" is that of "tcp" or "udp" if omitted. The only error
// is a nil or zero record.
func New(r *enr.Record) (*Node, error) {
	if r == nil || r.Len() == 0 {
		return nil, errors.New("enode: new: no record")
	}
	n := &Node{key: r.PublicKey(), record: r}
	n.id = PubkeyID(n.key)
	var ip4 enr.IP4
	var ip6 enr.IP6
	// The addresses stay zero if loading fails, which is what is wanted.
	_, _ = r.Load(&ip4), r.Load(&ip6)
	n.setAddrs(netip.Addr(ip4), netip.Addr(ip6))
	n.tcp4 = loadPort(r, enr.TCP(0), 0)
	n.udp4 = loadPort(r, enr.UDP(0), 0)
	n.tcp6 = loadPort(r, enr.TCP6(0), n.tcp4)
	n.udp6 = loadPort(r, enr.UDP6(0), n.udp4)
	return n, nil
}

// loadPort returns the port in the entry with e's key, or omitted if there is no
// such entry, or 0 if its value is not a port.
func loadPort(r *enr.Record, e enr.Entry, omitted uint16) uint16 {
	if !r.Has(e.ENRKey()) {
		return omitted
	}
	var port uint16
	if r.Load(enr.With(e.ENRKey(), &port)) != nil {
		return 0
	}
	return port
}

// NewV4 returns a node without a record, as discovery v4 and connections show
// them: a key, an address of either family (zero if unknown) and the two ports
// (zero if none).
func NewV4(pub PublicKey, addr netip.Addr, tcp, udp uint16) *Node {
	n := &Node{id: PubkeyID(pub), key: pub, tcp4: tcp, tcp6: tcp, udp4: udp, udp6: udp}
	n.setAddrs(addr)
	return n
}

// setAddrs replaces the addresses by the first usable one of each family.
func (n *Node) setAddrs(addrs ...netip.Addr) {
	n.addr4, n.addr6 = netip.Addr{}, netip.Addr{}
	for _, addr := range addrs {
		addr = netaddr.Normalize(addr)
		switch {
		case !netaddr.Contactable(addr):
		case addr.Is4() && !n.addr4.IsValid():
			n.addr4 = addr
		case addr.Is6() && !n.addr6.IsValid():
			n.addr6 = addr
		}
	}
}

// WithAddr returns a copy of n that has the given addresses and no others: the
// first usable one of each family. It is for what a host name resolved to and for
// addresses learned otherwise. Ports, host name and record stay; the record may
// then tell of other addresses than the methods of the copy.
func (n *Node) WithAddr(addrs ...netip.Addr) *Node {
	c := *n
	c.setAddrs(addrs...)
	return &c
}

// WithTCP returns a copy of n with this TCP port for both families, 0 for none.
func (n *Node) WithTCP(port uint16) *Node {
	c := *n
	c.tcp4, c.tcp6 = port, port
	return &c
}

// WithUDP returns a copy of n with this UDP port for both families, 0 for none.
func (n *Node) WithUDP(port uint16) *Node {
	c := *n
	c.udp4, c.udp6 = port, port
	return &c
}

// ID returns the hash of the public key, by which the node is known.
func (n *Node) ID() ID { return n.id }

// PublicKey returns the node's key.
func (n *Node) PublicKey() PublicKey { return n.key }

// Record returns the node's signed record, or nil if it is known by a URL or a
// connection only.
func (n *Node) Record() *enr.Record { return n.record }

// Seq returns the sequence number of the record, or 0 without one.
func (n *Node) Seq() uint64 {
	if n.record == nil {
		return 0
	}
	return n.record.Seq()
}

// Load decodes an entry of the node's record as [enr.Record.Load] does. Without a
// record no entry is found.
func (n *Node) Load(e enr.Entry) error {
	if n.record == nil {
		return &enr.EntryError{Key: e.ENRKey(), Err: enr.ErrNotFound}
	}
	return n.record.Load(e)
}

// Hostname returns the host name of the URL that the node was read from, as
// written there, or "" if it had none. Such a node has no address until somebody
// resolves the name and calls [Node.WithAddr].
func (n *Node) Hostname() string { return n.host }
