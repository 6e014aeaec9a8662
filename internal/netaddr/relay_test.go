package netaddr

import (
	"errors"
	"net/netip"
	"testing"
)

// Each class of address, told by a host of each class.
func TestCheckRelay(t *testing.T) {
	const (
		special = "224.0.0.1"
		loop    = "127.0.0.1"
		link    = "169.254.7.7"
		lan     = "10.0.0.7"
		shared  = "100.64.0.7"
		public  = "8.8.8.8"
	)
	for _, c := range []struct {
		sender string
		addrs  map[string]error
	}{
		{special, map[string]error{special: ErrSpecial, loop: ErrLoopback, link: ErrLAN, lan: ErrLAN, shared: ErrLAN, public: nil}},
		{loop, map[string]error{special: ErrSpecial, loop: nil, link: nil, lan: nil, shared: nil, public: nil}},
		{link, map[string]error{special: ErrSpecial, loop: ErrLoopback, link: nil, lan: nil, shared: nil, public: nil}},
		{lan, map[string]error{special: ErrSpecial, loop: ErrLoopback, link: nil, lan: nil, shared: nil, public: nil}},
		{shared, map[string]error{special: ErrSpecial, loop: ErrLoopback, link: nil, lan: nil, shared: nil, public: nil}},
		{public, map[string]error{special: ErrSpecial, loop: ErrLoopback, link: ErrLAN, lan: ErrLAN, shared: ErrLAN, public: nil}},
	} {
		for addr, want := range c.addrs {
			err := CheckRelay(netip.MustParseAddr(c.sender), netip.MustParseAddr(addr))
			if !errors.Is(err, want) {
				t.Errorf("%s told by %s: %v, want %v", addr, c.sender, err, want)
			}
		}
	}
}

// F9, G6: what a public host may not say in an answer, in each way to write it.
func TestCheckRelayFromWAN(t *testing.T) {
	t.Run("F9", func(t *testing.T) {
		for addr, want := range map[string]error{
			"0.0.0.0": ErrSpecial, "127.0.0.1": ErrLoopback, "127.255.255.254": ErrLoopback,
			"10.1.2.3": ErrLAN, "172.16.0.1": ErrLAN, "192.168.1.1": ErrLAN, "169.254.1.1": ErrLAN,
			"224.0.0.1": ErrSpecial, "255.255.255.255": ErrSpecial, "::": ErrSpecial, "::1": ErrLoopback,
			"fe80::1": ErrLAN, "fe80::1%eth0": ErrLAN, "fd00::1": ErrLAN, "ff02::1": ErrSpecial,
			"::ffff:10.0.0.1": ErrLAN, "::ffff:127.0.0.1": ErrLoopback,
			"2002:a00:1::1": ErrSpecial, "64:ff9b::a00:1": ErrSpecial,
			"9.9.9.9": nil, "2606:4700::1": nil,
		} {
			for _, sender := range []string{"8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"} {
				err := CheckRelay(netip.MustParseAddr(sender), netip.MustParseAddr(addr))
				if !errors.Is(err, want) {
					t.Errorf("%s told by %s: %v, want %v", addr, sender, err, want)
				}
			}
		}
		if err := CheckRelay(netip.Addr{}, netip.MustParseAddr("10.0.0.1")); !errors.Is(err, ErrLAN) {
			t.Errorf("10.0.0.1 told by nobody: %v, want ErrLAN", err)
		}
		if err := CheckRelay(netip.MustParseAddr("10.0.0.1"), netip.Addr{}); !errors.Is(err, ErrSpecial) {
			t.Errorf("no address told by 10.0.0.1: %v, want ErrSpecial", err)
		}
	})
}

// Judging and counting an address costs no allocation.
func TestAllocs(t *testing.T) {
	sender, addr := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("fd00::1")
	l, err := ParseList("10.0.0.0/8,fc00::/7")
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() {
		_ = CheckRelay(sender, addr)
		_, _ = HostKey(addr), NetKey(addr)
		_ = l.Allows(addr)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
