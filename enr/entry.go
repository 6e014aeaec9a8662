package enr

import (
	"errors"
	"net/netip"

	"parley/internal/secp"
	"parley/rlp"
)

// An Entry is one key and value of a record. A type that implements it with a
// value receiver serves for [Sign] by value and for [Record.Load] by pointer; its
// value is encoded and decoded by the rules of package rlp.
type Entry interface {
	// ENRKey returns the key. It must not depend on the value.
	ENRKey() string
}

const (
	keyID        = "id"
	keySecp256k1 = "secp256k1"
	schemeV4     = "v4"
)

// Entries with a meaning fixed by the specification.
type (
	// ID is the identity scheme, "id". [Sign] adds it.
	ID string

	// Secp256k1 is the public key, "secp256k1", compressed in the record. [Sign]
	// adds it, and [Record.PublicKey] returns it.
	Secp256k1 secp.PublicKey

	// IP4 is the IPv4 address, "ip". IPv4-mapped IPv6 addresses count as IPv4 and
	// any other is an error.
	IP4 netip.Addr

	// IP6 is the IPv6 address, "ip6", without zone. IPv4 addresses are an error,
	// also mapped into IPv6: they would be a second name for an IPv4 host.
	IP6 netip.Addr

	// TCP is the TCP port of RLPx, "tcp": for IPv4, and for IPv6 too if the
	// record has no "tcp6".
	TCP uint16

	// UDP is the UDP port of node discovery, "udp": for IPv4, and for IPv6 too if
	// the record has no "udp6".
	UDP uint16

	// TCP6 is the TCP port for IPv6 alone, "tcp6".
	TCP6 uint16

	// UDP6 is the UDP port for IPv6 alone, "udp6".
	UDP6 uint16
)

// ENRKey implements [Entry].
func (ID) ENRKey() string { return keyID }

// ENRKey implements [Entry].
func (Secp256k1) ENRKey() string { return keySecp256k1 }

// ENRKey implements [Entry].
func (IP4) ENRKey() string { return "ip" }

// ENRKey implements [Entry].
func (IP6) ENRKey() string { return "ip6" }

// ENRKey implements [Entry].
func (TCP) ENRKey() string { return "tcp" }

// ENRKey implements [Entry].
func (UDP) ENRKey() string { return "udp" }

// ENRKey implements [Entry].
func (TCP6) ENRKey() string { return "tcp6" }

// ENRKey implements [Entry].
func (UDP6) ENRKey() string { return "udp6" }

// IP returns the entry for addr, [IP4] or [IP6] by its family.
func IP(addr netip.Addr) Entry {
	if addr.Unmap().Is4() {
		return IP4(addr)
	}
	return IP6(addr)
}

var (
	errNotIP4 = errors.New("not an IPv4 address")
	errNotIP6 = errors.New("not an IPv6 address")
)

// AppendRLP implements [rlp.Appender].
func (ip IP4) AppendRLP(b []byte) ([]byte, error) {
	addr := netip.Addr(ip).Unmap()
	if !addr.Is4() {
		return b, errNotIP4
	}
	a := addr.As4()
	return rlp.AppendBytes(b, a[:]), nil
}

// DecodeRLP implements [rlp.Decoder].
func (ip *IP4) DecodeRLP(c *rlp.Cursor) error {
	var a [4]byte
	if err := c.Fixed(a[:]); err != nil {
		return err
	}
	*ip = IP4(netip.AddrFrom4(a))
	return nil
}

// AppendRLP implements [rlp.Appender].
func (ip IP6) AppendRLP(b []byte) ([]byte, error) {
	addr := netip.Addr(ip)
	if !addr.Is6() || addr.Is4In6() {
		return b, errNotIP6
	}
	a := addr.As16()
	return rlp.AppendBytes(b, a[:]), nil
}

// DecodeRLP implements [rlp.Decoder].
func (ip *IP6) DecodeRLP(c *rlp.Cursor) error {
	var a [16]byte
	if err := c.Fixed(a[:]); err != nil {
		return err
	}
	addr := netip.AddrFrom16(a)
	if addr.Is4In6() {
		return errNotIP6
	}
	*ip = IP6(addr)
	return nil
}

// AppendRLP implements [rlp.Appender].
func (key Secp256k1) AppendRLP(b []byte) ([]byte, error) {
	compressed := secp.PublicKey(key).Compress()
	return rlp.AppendBytes(b, compressed[:]), nil
}

// DecodeRLP implements [rlp.Decoder].
func (key *Secp256k1) DecodeRLP(c *rlp.Cursor) error {
	raw, err := c.Raw()
	if err != nil {
		return err
	}
	pub, err := parseKey(raw)
	*key = Secp256k1(pub)
	return err
}

// With returns an entry with any key and value. For [Sign], value is what package
// rlp can encode; an [rlp.Raw] is taken as it is. For [Record.Load], value is a
// non-nil pointer. Like every entry it encodes, by [rlp.Encode], as its value.
func With(key string, value any) Entry { return with{key, value} }

type with struct {
	key   string
	value any
}

// ENRKey implements [Entry].
func (w with) ENRKey() string { return w.key }

// AppendRLP implements [rlp.Appender].
func (w with) AppendRLP(b []byte) ([]byte, error) { return rlp.Append(b, w.value) }

// decode decodes an encoded value into e.
func decode(value rlp.Raw, e Entry) error {
	if w, ok := e.(with); ok {
		return rlp.Decode(value, w.value)
	}
	return rlp.Decode(value, e)
}
