package enode

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
)

// String returns the text that says most about the node: the record as "enr:…" if
// it has one, and [Node.URL] otherwise. [Parse] reads it back.
func (n *Node) String() string {
	if n.record != nil {
		return n.record.String()
	}
	return n.URL()
}

// URL returns the enode URL of the node, with or without a record:
//
//	enode://<key, 128 hex digits>@<host>:<tcp port>?discport=<udp port>
//
// The host is the host name if there is one, the IPv4 address, or the IPv6
// address if that is the only one with a port. discport is there only if the
// ports differ. A node without host and address is enode://<key>.
func (n *Node) URL() string {
	b := make([]byte, 0, len(urlScheme)+2*len(n.key)+64)
	b = append(b, urlScheme...)
	b = hex.AppendEncode(b, n.key[:])

	addr, tcp, udp := n.addr4, n.tcp4, n.udp4
	if !n.reachable4() && (n.reachable6() || !addr.IsValid()) {
		addr, tcp, udp = n.addr6, n.tcp6, n.udp6
	}
	switch {
	case n.host != "":
		b = append(b, '@')
		b = append(b, n.host...)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(tcp), 10)
	case addr.IsValid():
		b = append(b, '@')
		b = netip.AddrPortFrom(addr, tcp).AppendTo(b)
	default:
		return string(b)
	}
	if udp != tcp {
		b = append(b, "?discport="...)
		b = strconv.AppendUint(b, uint64(udp), 10)
	}
	return string(b)
}

// MarshalText returns the text of [Node.String].
func (n *Node) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what [Parse] reads. It fills only a zero Node, because any
// other is immutable and may be in use elsewhere.
func (n *Node) UnmarshalText(text []byte) error {
	if n.id != (ID{}) {
		return errors.New("enode: unmarshal: the Node already holds one")
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*n = *parsed
	return nil
}
