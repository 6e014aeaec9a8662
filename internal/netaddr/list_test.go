package netaddr

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseList(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"  \n":                          "",
		"10.0.0.0/8":                    "10.0.0.0/8",
		"10.0.0.0/8,::1/128":            "10.0.0.0/8,::1/128",
		" 10.0.0.0/8 ,\t::1/128 ":       "10.0.0.0/8,::1/128",
		"10.1.2.3/8":                    "10.0.0.0/8",
		"2001:db8::1/32":                "2001:db8::/32",
		"::ffff:10.1.2.3/104":           "10.0.0.0/8",
		"::ffff:0:0/96":                 "0.0.0.0/0",
		"0.0.0.0/0,::/0":                "0.0.0.0/0,::/0",
		"192.168.1.1/32,192.168.1.1/32": "192.168.1.1/32,192.168.1.1/32",
	} {
		l, err := ParseList(text)
		if err != nil || l.String() != want {
			t.Errorf("ParseList(%q) = %v, %v; want %s", text, l, err, want)
		}
	}
}

func TestParseListRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8,":        "element 2: empty",
		",":                  "element 1: empty",
		"10.0.0.1":           "element 1: 10.0.0.1 has no prefix length; a single address is 10.0.0.1/32",
		"10.0.0.0/8,fd00::1": "element 2: fd00::1 has no prefix length; a single address is fd00::1/128",
		"10.0.0.0/33":        `element 1: "10.0.0.0/33" is not a network like 10.0.0.0/8`,
		"fe80::%eth0/10":     `element 1: "fe80::%eth0/10" is not a network like 10.0.0.0/8`,
		"fe80::%eth0":        `element 1: "fe80::%eth0" is not a network like 10.0.0.0/8`,
		"lan":                `element 1: "lan" is not a network like 10.0.0.0/8`,
		"10.0.0.0/8 ::1/128": `element 1: "10.0.0.0/8 ::1/128" is not a network like 10.0.0.0/8`,
		"::ffff:0:0/95":      "element 1: ::ffff:0.0.0.0/95 is wider than the IPv4-mapped addresses",
	} {
		l, err := ParseList(text)
		if err == nil || err.Error() != "netaddr: parse list: "+want {
			t.Errorf("ParseList(%q) = %v, %v; want error %q", text, l, err, want)
		}
	}
}

// The empty list contains nothing, and as a restriction it allows everything.
func TestListContains(t *testing.T) {
	var empty List
	a := netip.MustParseAddr("8.8.8.8")
	if empty.Contains(a) || !empty.Allows(a) || !empty.Empty() {
		t.Errorf("empty list: Contains %v, Allows %v, Empty %v; want false, true, true", empty.Contains(a), empty.Allows(a), empty.Empty())
	}
	l, err := ParseList("10.0.0.0/8,fe80::/10,::ffff:192.168.0.0/112")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"10.255.0.1": true, "::ffff:10.0.0.1": true, "fe80::1%eth0": true, "192.168.3.4": true, "::ffff:192.168.0.1": true,
		"11.0.0.0": false, "9.255.255.255": false, "fec0::": false, "192.169.0.0": false, "::10.0.0.1": false,
	} {
		a := netip.MustParseAddr(text)
		if l.Contains(a) != want || l.Allows(a) != want {
			t.Errorf("%s: Contains %v, Allows %v; want %v", text, l.Contains(a), l.Allows(a), want)
		}
	}
	if l.Contains(netip.Addr{}) || l.Allows(netip.Addr{}) {
		t.Error("the zero Addr is in the list")
	}
}

func TestListOf(t *testing.T) {
	l, err := ListOf(netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("::1/128"))
	if err != nil || l.String() != "10.0.0.0/8,::1/128" {
		t.Errorf("ListOf = %v, %v", l, err)
	}
	if got := slices.Collect(l.Prefixes()); len(got) != 2 || got[0].String() != "10.0.0.0/8" {
		t.Errorf("Prefixes = %v", got)
	}
	if _, err := ListOf(netip.MustParsePrefix("10.0.0.0/8"), netip.Prefix{}); err == nil || !strings.Contains(err.Error(), "element 2") {
		t.Errorf("ListOf(invalid) = %v, want an error that names element 2", err)
	}
}

func TestListText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ps []netip.Prefix
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			a := Normalize(anyAddr(t, "addr"))
			ps = append(ps, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
		}
		l, err := ListOf(ps...)
		if err != nil {
			t.Fatal(err)
		}
		text, err := l.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back List
		if err := back.UnmarshalText(text); err != nil || !slices.Equal(back.prefixes, l.prefixes) {
			t.Fatalf("%s reads back as %v, %v", text, back, err)
		}
		for _, p := range ps {
			if !l.Contains(p.Addr()) {
				t.Fatalf("%v does not contain %v", l, p.Addr())
			}
		}
	})
	l, _ := ParseList("10.0.0.0/8")
	if err := l.UnmarshalText([]byte("x")); err == nil || l.String() != "10.0.0.0/8" {
		t.Errorf("after a failed UnmarshalText (%v) the list is %v", err, l)
	}
}

// Whatever is accepted has one canonical text.
func FuzzParseList(f *testing.F) {
	for _, s := range []string{"", "10.0.0.0/8,::1/128", "::ffff:10.0.0.0/104", "fe80::%1/64", "10.0.0.1", ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseList(s)
		if err != nil {
			return
		}
		back, err := ParseList(l.String())
		if err != nil || back.String() != l.String() {
			t.Errorf("%q -> %v -> %v, %v", s, l, back, err)
		}
	})
}
