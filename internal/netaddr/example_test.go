package netaddr_test

import (
	"fmt"
	"net/netip"

	"parley/internal/netaddr"
)

func ExampleCheckRelay() {
	lan := netip.MustParseAddr("192.168.1.20")
	fmt.Println(netaddr.CheckRelay(netip.MustParseAddr("8.8.8.8"), lan))
	fmt.Println(netaddr.CheckRelay(netip.MustParseAddr("192.168.1.1"), lan))
	// Output:
	// netaddr: local address told from outside the local network
	// <nil>
}

func ExampleParseList() {
	restrict, err := netaddr.ParseList("10.0.0.0/8, fd00::/8")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(restrict, restrict.Allows(netip.MustParseAddr("10.7.0.1")), restrict.Allows(netip.MustParseAddr("8.8.8.8")))
	// Output: 10.0.0.0/8,fd00::/8 true false
}
