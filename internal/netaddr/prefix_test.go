package netaddr

import (
	"net/netip"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct{ addr, host, net string }{
		{"198.51.100.77", "198.51.100.77/32", "198.51.100.0/24"},
		{"::ffff:198.51.100.77", "198.51.100.77/32", "198.51.100.0/24"},
		{"2606:4700:1:2:3:4:5:6", "2606:4700:1:2::/64", "2606:4700:1::/48"},
		{"fe80::1:2%eth0", "fe80::/64", "fe80::/48"},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got := HostKey(addr).String(); got != c.host {
			t.Errorf("HostKey(%s) = %s, want %s", c.addr, got, c.host)
		}
		if got := NetKey(addr).String(); got != c.net {
			t.Errorf("NetKey(%s) = %s, want %s", c.addr, got, c.net)
		}
	}
	if h, n := HostKey(netip.Addr{}), NetKey(netip.Addr{}); h != (netip.Prefix{}) || n != (netip.Prefix{}) {
		t.Errorf("keys of the zero Addr = %v, %v; want zero", h, n)
	}
}

// A5: 50,000 addresses of one IPv6 /64 are one host; the /64s of one /48 are one
// network.
func TestKeysOfOneHost(t *testing.T) {
	t.Run("A5", func(t *testing.T) {
		hosts, nets := map[netip.Prefix]bool{}, map[netip.Prefix]bool{}
		a := netip.MustParseAddr("2606:4700:1:2::").As16()
		for i := range 50_000 {
			a[14], a[15] = byte(i>>8), byte(i)
			hosts[HostKey(netip.AddrFrom16(a))] = true
		}
		if len(hosts) != 1 {
			t.Errorf("one /64 counts as %d hosts", len(hosts))
		}
		for i := range 1 << 16 {
			a[6], a[7] = byte(i>>8), byte(i)
			nets[NetKey(netip.AddrFrom16(a))] = true
		}
		if len(nets) != 1 {
			t.Errorf("one /48 counts as %d networks", len(nets))
		}
	})
}
