// Package netaddr classifies IP addresses: which kind an address is of, whether
// an address told by another host may be used, and under which prefixes hosts
// are counted.
//
// Every function normalises its arguments (see [Normalize]), so that one host
// has one class and one limiter key however its address is written.
package netaddr

import "net/netip"

// A Class is what an address can be used for, after the IANA registries of
// special-purpose addresses:
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
type Class uint8

// Every address is of exactly one class.
const (
	// Special addresses belong to no host that a packet should be sent to:
	// unspecified, multicast, broadcast, reserved, documentation, benchmarking,
	// anycast services, and IPv6 addresses that wrap an IPv4 address for a
	// tunnel or translator. The zero [netip.Addr] is special too.
	Special Class = iota
	Loopback
	LinkLocal
	// Private networks: RFC 1918 and IPv6 unique local addresses.
	Private
	// Shared is the address space between a provider and its customers, RFC
	// 6598. It is not reachable from outside, but the hosts in it are strangers
	// to each other: told like private addresses, limited like public ones.
	Shared
	Public
)

// String returns the name of the class in lower case.
func (c Class) String() string {
	switch c {
	case Loopback:
		return "loopback"
	case LinkLocal:
		return "link-local"
	case Private:
		return "private"
	case Shared:
		return "shared"
	case Public:
		return "public"
	}
	return "special"
}

// Normalize returns the one form under which the host at addr is known: an IPv4
// address mapped into IPv6 becomes IPv4 and a zone is dropped. The zero Addr
// stays as it is.
func Normalize(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// ClassOf returns the class of addr.
func ClassOf(addr netip.Addr) Class {
	addr = Normalize(addr)
	switch {
	case addr.Is4():
		return class4(addr.As4())
	case addr.Is6():
		return class6(addr.As16())
	}
	return Special
}

func class4(a [4]byte) Class {
	switch a[0] {
	case 0: // "this network", RFC 791
		return Special
	case 10: // RFC 1918
		return Private
	case 100:
		if a[1]&0xc0 == 64 { // 100.64.0.0/10, RFC 6598
			return Shared
		}
	case 127: // RFC 1122
		return Loopback
	case 169:
		if a[1] == 254 { // RFC 3927
			return LinkLocal
		}
	case 172:
		if a[1]&0xf0 == 16 { // 172.16.0.0/12, RFC 1918
			return Private
		}
	case 192:
		return class192(a)
	case 198:
		if a[1]&0xfe == 18 || // 198.18.0.0/15 benchmarking, RFC 2544
			a[1] == 51 && a[2] == 100 { // documentation, RFC 5737
			return Special
		}
	case 203:
		if a[1] == 0 && a[2] == 113 { // documentation, RFC 5737
			return Special
		}
	}
	if a[0] >= 224 { // multicast RFC 5771, reserved RFC 1112, broadcast RFC 919
		return Special
	}
	return Public
}

func class192(a [4]byte) Class {
	switch [2]byte{a[1], a[2]} {
	case [2]byte{0, 0}, // IETF protocol assignments, RFC 6890
		[2]byte{0, 2},    // documentation, RFC 5737
		[2]byte{31, 196}, // AS112 name service, RFC 7535
		[2]byte{52, 193}, // multicast tunnelling, RFC 7450
		[2]byte{88, 99},  // 6to4 relays, RFC 7526
		[2]byte{175, 48}: // AS112 name service, RFC 7534
		return Special
	}
	if a[1] == 168 { // RFC 1918
		return Private
	}
	return Public
}

func class6(a [16]byte) Class {
	switch {
	case a == [16]byte{15: 1}: // RFC 4291
		return Loopback
	case a[0] == 0xfe && a[1]&0xc0 == 0x80: // fe80::/10, RFC 4291
		return LinkLocal
	case a[0]&0xfe == 0xfc: // fc00::/7, RFC 4193
		return Private
	case a[0]&0xe0 != 0x20:
		// Only 2000::/3 is assigned for global unicast. Outside it are, among
		// others, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64),
		// segment routing (5f00::/16) and multicast (ff00::/8).
		return Special
	case a[0] == 0x20 && a[1] == 0x01 && a[2]&0xfe == 0:
		// 2001::/23, IETF protocol assignments, RFC 2928: Teredo, benchmarking,
		// ORCHID and anycast services.
		return Special
	case a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8: // documentation, RFC 3849
		return Special
	case a[0] == 0x20 && a[1] == 0x02:
		// 2002::/16, 6to4, RFC 3056. The IPv4 address inside would go around the
		// rules for IPv4, to 10.0.0.1 for example.
		return Special
	case [6]byte(a[:6]) == [6]byte{0x26, 0x20, 0, 0x4f, 0x80, 0}: // AS112 name service, RFC 7534
		return Special
	case a[0] == 0x3f && a[1] == 0xff && a[2]&0xf0 == 0: // 3fff::/20 documentation, RFC 9637
		return Special
	}
	return Public
}

// Exempt reports whether limits for each address and each prefix do not apply to
// addr because it is a loopback, link-local or private address. There, hosts are
// few or all the operator's own, and a test network often shares one prefix.
func Exempt(addr netip.Addr) bool {
	switch ClassOf(addr) {
	case Loopback, LinkLocal, Private:
		return true
	}
	return false
}

// Contactable reports whether addr can be the address of one host at all: it is
// not the zero Addr, unspecified, multicast or the IPv4 broadcast address. It
// says less than [ClassOf]: an operator may run a network on addresses that are
// special or reserved elsewhere.
func Contactable(addr netip.Addr) bool {
	addr = Normalize(addr)
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() &&
		addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
