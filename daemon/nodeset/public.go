package nodeset

import "net/netip"

// special are the blocks of addresses that are not reachable all over the
// Internet. They are those that the IANA registries mark so, with the anycast
// services and the IPv6 blocks that wrap IPv4 addresses, where no node can be:
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
func special() []netip.Prefix {
	texts := [...]string{
		"0.0.0.0/8",       // this network, RFC 791
		"10.0.0.0/8",      // private, RFC 1918
		"100.64.0.0/10",   // between provider and customers, RFC 6598
		"127.0.0.0/8",     // loopback, RFC 1122
		"169.254.0.0/16",  // link-local, RFC 3927
		"172.16.0.0/12",   // private, RFC 1918
		"192.0.0.0/24",    // protocol assignments, RFC 6890
		"192.0.2.0/24",    // documentation, RFC 5737
		"192.31.196.0/24", // AS112 name service, RFC 7535
		"192.52.193.0/24", // multicast tunnelling, RFC 7450
		"192.88.99.0/24",  // 6to4 relays, RFC 7526
		"192.168.0.0/16",  // private, RFC 1918
		"192.175.48.0/24", // AS112 name service, RFC 7534
		"198.18.0.0/15",   // benchmarking, RFC 2544
		"198.51.100.0/24", // documentation, RFC 5737
		"203.0.113.0/24",  // documentation, RFC 5737
		"224.0.0.0/3",     // multicast, RFC 5771; reserved, RFC 1112

		"2001::/23",         // protocol assignments, RFC 2928
		"2001:db8::/32",     // documentation, RFC 3849
		"2002::/16",         // 6to4, RFC 3056
		"2620:4f:8000::/48", // AS112 name service, RFC 7534
		"3fff::/20",         // documentation, RFC 9637
	}
	blocks := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		blocks[i] = netip.MustParsePrefix(text)
	}
	return blocks
}

// global is the only block of IPv6 from which addresses are given to hosts on the
// Internet, RFC 4291.
func global() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// A publicTest tells addresses that anybody on the Internet can reach.
type publicTest struct {
	global  netip.Prefix
	special []netip.Prefix
}

func newPublicTest() *publicTest { return &publicTest{global(), special()} }

// public reports whether addr, which is not an IPv4 address mapped into IPv6, is
// reachable all over the Internet.
func (t *publicTest) public(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Is6() && !t.global.Contains(addr) {
		return false
	}
	for _, block := range t.special {
		if block.Contains(addr) {
			return false
		}
	}
	return true
}
