package netaddr

import "net/netip"

// Who holds one prefix of these lengths holds every address in it: a host may
// take any address of its IPv6 /64, and a /24 or /48 is about the least that is
// routed and handed out to one party.
const (
	hostBits4, hostBits6 = 32, 64
	netBits4, netBits6   = 24, 48
)

// HostKey returns the prefix that counts as one host: IPv4 /32, IPv6 /64. It is
// the zero Prefix for the zero Addr.
func HostKey(addr netip.Addr) netip.Prefix { return key(addr, hostBits4, hostBits6) }

// NetKey returns the prefix that counts as one network: IPv4 /24, IPv6 /48. It
// is the zero Prefix for the zero Addr.
func NetKey(addr netip.Addr) netip.Prefix { return key(addr, netBits4, netBits6) }

func key(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	addr = Normalize(addr)
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, _ := addr.Prefix(bits) // fails only for lengths that do not fit the family
	return p
}
