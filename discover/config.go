package discover

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"parley/enode"
	"parley/enr"
	"parley/internal/netaddr"
)

// A Config says who the node is and how it takes part in discovery. Listen copies
// it. PrivateKey and a protocol are required.
type Config struct {
	// PrivateKey is the node's identity.
	PrivateKey *enode.PrivateKey

	// Self is the node with its record as others are told it, see
	// [Service.SetSelf]. Nil means a record of the key and what is known of the
	// socket, which does for tools that ask and are not asked.
	Self *enode.Node

	// V4 and V5 are the protocols to speak. Both share the socket.
	V4, V5 bool

	// Conn is the UDP socket, for one family or both; Conn6, if not nil, one more
	// for IPv6, and Conn is for IPv4 then. A *net.UDPConn is read and written in
	// batches where the system can; any other net.PacketConn must have addresses
	// of type *net.UDPAddr. From the moment that Listen succeeds they belong to
	// the Service, which closes them.
	Conn, Conn6 net.PacketConn

	// Addr is where to listen if there is no Conn, as "host:port". Empty means
	// all addresses and a port of the system's choice.
	Addr string

	// Bootnodes are asked first, and again when no other node is left. Those
	// without a UDP endpoint are of no use: host names have to be resolved before.
	Bootnodes []*enode.Node

	// Seeds are nodes known from before, at most 64 of which are tried. They get
	// into the table if they answer.
	Seeds []*enode.Node

	// Exempt are nodes, such as static and trusted ones, to which limits for
	// single hosts and networks do not apply. Bootnodes are so too.
	Exempt []*enode.Node

	// NetRestrict, if not empty, is the list of networks outside of which nobody
	// is answered or contacted.
	NetRestrict []netip.Prefix

	// ProtocolID is what packets of discovery v5 begin with, 6 bytes. Nodes with
	// another one do not hear each other. Empty means "discv5", the public network.
	ProtocolID string

	// Rate is how many packets of discovery v4 a second may have their signature
	// checked, at about 100 µs each. Zero means 8000.
	Rate int

	// Sessions is how many sessions of discovery v5 are kept, at about 4 KiB each.
	// Zero means 1024.
	Sessions int

	// Logger gets what an operator should know. Nil means nobody does. Its handler
	// must not call the Service, which may wait for it.
	Logger *slog.Logger
}

// maxSeeds is how many of the seeds are tried.
const maxSeeds = 64

// validate reports all that is wrong with c at once.
func (c *Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.PrivateKey == nil {
		wrong("no private key")
	}
	if !c.V4 && !c.V5 {
		wrong("neither v4 nor v5")
	}
	if c.Conn == nil && c.Conn6 != nil {
		wrong("Conn6 without Conn")
	}
	if c.Conn != nil && c.Addr != "" {
		wrong("both Conn and Addr")
	}
	if c.Rate < 0 {
		wrong("Rate %d is negative", c.Rate)
	}
	if c.Sessions < 0 {
		wrong("Sessions %d is negative", c.Sessions)
	}
	for _, list := range [][]*enode.Node{c.Bootnodes, c.Seeds, c.Exempt} {
		if slices.Contains(list, nil) {
			wrong("a nil node")
		}
	}
	if self := c.Self; self != nil && c.PrivateKey != nil {
		switch {
		case self.Record() == nil:
			wrong("Self has no record")
		case self.PublicKey() != c.PrivateKey.Public():
			wrong("Self has another key")
		}
	}
	return errors.Join(errs...)
}

// exempt returns the IDs and the addresses of the nodes that c names.
func (c *Config) exempt() ([]enode.ID, netaddr.List, error) {
	var ids []enode.ID
	var prefixes []netip.Prefix
	for _, n := range slices.Concat(c.Bootnodes, c.Exempt) {
		ids = append(ids, n.ID())
		for at := range n.UDPEndpoints() {
			prefixes = append(prefixes, netip.PrefixFrom(at.Addr(), at.Addr().BitLen()))
		}
	}
	addrs, err := netaddr.ListOf(prefixes...)
	return ids, addrs, err
}

// ownRecord returns the node that a socket at the given address makes, without
// knowing more of it.
func ownRecord(key *enode.PrivateKey, at netip.AddrPort) (*enode.Node, error) {
	entries := []enr.Entry{enr.UDP(at.Port())}
	if addr := at.Addr(); netaddr.Contactable(addr) {
		entries = append(entries, enr.IP(addr))
	}
	r, err := enr.Sign(key, 1, entries...)
	if err != nil {
		return nil, err
	}
	return enode.New(r)
}
