package netaddr

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// The rows of the two IANA registries of special-purpose addresses (and of the
// multicast registries), with the class this package gives them. For each, the
// first and the last address are checked, and the addresses just outside where
// they belong to no other row.
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
var registry = []struct {
	prefix string
	class  Class
	name   string
	inner  bool // lies in or beside another row: its neighbours are not public
}{
	{"0.0.0.0/8", Special, "this network", false},
	{"10.0.0.0/8", Private, "private use", false},
	{"100.64.0.0/10", Shared, "shared address space", false},
	{"127.0.0.0/8", Loopback, "loopback", false},
	{"169.254.0.0/16", LinkLocal, "link local", false},
	{"172.16.0.0/12", Private, "private use", false},
	{"192.0.0.0/24", Special, "IETF protocol assignments", false},
	{"192.0.2.0/24", Special, "documentation (TEST-NET-1)", false},
	{"192.31.196.0/24", Special, "AS112-v4", false},
	{"192.52.193.0/24", Special, "AMT", false},
	{"192.88.99.0/24", Special, "6to4 relay anycast", false},
	{"192.168.0.0/16", Private, "private use", false},
	{"192.175.48.0/24", Special, "direct delegation AS112", false},
	{"198.18.0.0/15", Special, "benchmarking", false},
	{"198.51.100.0/24", Special, "documentation (TEST-NET-2)", false},
	{"203.0.113.0/24", Special, "documentation (TEST-NET-3)", false},
	{"224.0.0.0/4", Special, "multicast", true},
	{"240.0.0.0/4", Special, "reserved", true},
	{"255.255.255.255/32", Special, "limited broadcast", true},

	{"::1/128", Loopback, "loopback", true},
	{"::/128", Special, "unspecified", true},
	{"64:ff9b::/96", Special, "IPv4-IPv6 translation", true},
	{"64:ff9b:1::/48", Special, "IPv4-IPv6 translation", true},
	{"100::/64", Special, "discard only", true},
	{"100:0:0:1::/64", Special, "dummy prefix", true},
	{"2001::/23", Special, "IETF protocol assignments", true},
	{"2001::/32", Special, "Teredo", true},
	{"2001:2::/48", Special, "benchmarking", true},
	{"2001:10::/28", Special, "ORCHID", true},
	{"2001:20::/28", Special, "ORCHIDv2", true},
	{"2001:db8::/32", Special, "documentation", false},
	{"2002::/16", Special, "6to4", false},
	{"2620:4f:8000::/48", Special, "direct delegation AS112", false},
	{"3fff::/20", Special, "documentation", false},
	{"5f00::/16", Special, "segment routing", true},
	{"fc00::/7", Private, "unique local", true},
	{"fe80::/10", LinkLocal, "link local", true},
	{"fec0::/10", Special, "site local, deprecated", true},
	{"ff00::/8", Special, "multicast", true},
}

func TestClassOfRegistry(t *testing.T) {
	for _, row := range registry {
		p := netip.MustParsePrefix(row.prefix)
		first, last := p.Addr(), lastOf(p)
		for _, addr := range []netip.Addr{first, last} {
			if got := ClassOf(addr); got != row.class {
				t.Errorf("%s (%s): ClassOf(%v) = %v, want %v", row.prefix, row.name, addr, got, row.class)
			}
		}
		if row.inner {
			continue
		}
		for _, addr := range []netip.Addr{first.Prev(), last.Next()} {
			if addr.IsValid() && ClassOf(addr) != Public {
				t.Errorf("%s (%s): neighbour ClassOf(%v) = %v, want public", row.prefix, row.name, addr, ClassOf(addr))
			}
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func TestClassOf(t *testing.T) {
	for text, want := range map[string]Class{
		"1.1.1.1":              Public,
		"8.8.8.8":              Public,
		"223.255.255.255":      Public,
		"2000::":               Public,
		"2001:200::":           Public,
		"2606:4700::1111":      Public,
		"3ffe:ffff:ffff::1":    Public,
		"3fff:1000::":          Public,
		"::2":                  Special, // IPv4-compatible, deprecated
		"::ffff:10.1.2.3":      Private,
		"::ffff:127.0.0.1":     Loopback,
		"::ffff:8.8.8.8":       Public,
		"fe80::1%eth0":         LinkLocal,
		"::ffff:8.8.8.8%zone":  Public,
		"64:ff9b::10.0.0.1":    Special,
		"2002:a00:1::1":        Special,
		"fdff:ffff::1":         Private,
		"fe00::1":              Special,
		"4000::1":              Special,
		"1fff:ffff:ffff::ffff": Special,
	} {
		if got := ClassOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("ClassOf(%s) = %v, want %v", text, got, want)
		}
	}
	if got := ClassOf(netip.Addr{}); got != Special {
		t.Errorf("ClassOf(zero Addr) = %v, want special", got)
	}
}

func TestClassString(t *testing.T) {
	for c, want := range map[Class]string{Special: "special", Loopback: "loopback", LinkLocal: "link-local", Private: "private", Shared: "shared", Public: "public"} {
		if c.String() != want {
			t.Errorf("Class(%d) = %s, want %s", c, c, want)
		}
	}
}

// A11: one host has one form, whatever way its address came in.
func TestNormalize(t *testing.T) {
	t.Run("A11", func(t *testing.T) {
		for text, want := range map[string]string{
			"::ffff:1.2.3.4":      "1.2.3.4",
			"::ffff:1.2.3.4%eth0": "1.2.3.4",
			"fe80::1%eth0":        "fe80::1",
			"1.2.3.4":             "1.2.3.4",
			"2001:db8::1":         "2001:db8::1",
		} {
			if got := Normalize(netip.MustParseAddr(text)); got.String() != want {
				t.Errorf("Normalize(%s) = %v, want %s", text, got, want)
			}
		}
		if got := Normalize(netip.Addr{}); got.IsValid() {
			t.Errorf("Normalize(zero Addr) = %v", got)
		}
	})
}

func TestExempt(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "169.254.1.1": true, "fe80::1%2": true,
		"10.0.0.1": true, "192.168.1.1": true, "fd00::1": true, "::ffff:10.0.0.1": true,
		"100.64.0.1": false, "8.8.8.8": false, "203.0.113.1": false, "2606:4700::1": false, "0.0.0.0": false,
	} {
		if got := Exempt(netip.MustParseAddr(text)); got != want {
			t.Errorf("Exempt(%s) = %v, want %v", text, got, want)
		}
	}
	if Exempt(netip.Addr{}) {
		t.Error("the zero Addr is exempt")
	}
}

func TestContactable(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0.0.0": false, "::": false, "::ffff:0.0.0.0": false, "224.0.0.1": false, "239.255.255.255": false,
		"ff02::1": false, "255.255.255.255": false, "::ffff:224.0.0.1": false,
		"127.0.0.1": true, "203.0.113.7": true, "10.0.0.1": true, "240.0.0.1": true, "fe80::1": true, "64:ff9b::1": true,
	} {
		if got := Contactable(netip.MustParseAddr(text)); got != want {
			t.Errorf("Contactable(%s) = %v, want %v", text, got, want)
		}
	}
	if Contactable(netip.Addr{}) {
		t.Error("the zero Addr is contactable")
	}
}

// anyAddr draws addresses that are often mapped, zoned or on the edge of a row
// of the registry.
func anyAddr(t *rapid.T, label string) netip.Addr {
	switch rapid.IntRange(0, 4).Draw(t, label+" kind") {
	case 0:
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
	case 1:
		a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
		return netip.AddrFrom16(a.As16()) // mapped
	case 2:
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))).WithZone("z")
	case 3:
		row := rapid.SampledFrom(registry).Draw(t, label)
		return netip.MustParsePrefix(row.prefix).Addr()
	}
	return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
}

// No function tells two forms of one address apart.
func TestFormsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddr(t, "addr")
		n := Normalize(a)
		if Normalize(n) != n || n.Is4In6() || n.Zone() != "" {
			t.Fatalf("Normalize(%v) = %v is not a normal form", a, n)
		}
		if ClassOf(a) != ClassOf(n) || Exempt(a) != Exempt(n) || Contactable(a) != Contactable(n) ||
			HostKey(a) != HostKey(n) || NetKey(a) != NetKey(n) {
			t.Fatalf("%v and %v are treated differently", a, n)
		}
		if !HostKey(a).Contains(n) || !NetKey(a).Contains(n) || !NetKey(a).Contains(HostKey(a).Addr()) {
			t.Fatalf("%v is not in its own prefixes %v, %v", n, HostKey(a), NetKey(a))
		}
		if Exempt(a) && ClassOf(a) == Public {
			t.Fatalf("public address %v is exempt", a)
		}
	})
}

func BenchmarkClassOf(b *testing.B) {
	addr := netip.MustParseAddr("2606:4700::1111")
	b.ReportAllocs()
	for b.Loop() {
		_ = ClassOf(addr)
	}
}
