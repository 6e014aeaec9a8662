package enode_test

import (
	"fmt"
	"net/netip"

	"parley/enode"
	"parley/enr"
)

func ExampleParse() {
	n, err := enode.Parse("enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8")
	if err != nil {
		fmt.Println(err)
		return
	}
	udp, _ := n.UDPEndpoint()
	fmt.Println(n.ID().TerminalString(), n.Seq(), udp)
	// Output: a448f24c6d18e575 1 127.0.0.1:30303
}

func ExampleParse_error() {
	_, err := enode.Parse("enode://ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@2001:db8::7:30303")
	fmt.Println(err)
	// Output: enode: parse: host: "2001:db8::7": an IPv6 address must be in brackets
}

// A node publishes where it is in a record, from which others make a Node.
func ExampleNew() {
	key, err := enode.ParseKeyText([]byte("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := enr.Sign(key, 5,
		enr.IP(netip.MustParseAddr("198.51.100.7")),
		enr.IP(netip.MustParseAddr("2001:db8::7")),
		enr.TCP(30303), enr.UDP(30303), enr.UDP6(30304))
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := enode.New(record)
	if err != nil {
		fmt.Println(err)
		return
	}
	for endpoint := range n.UDPEndpoints() {
		fmt.Println(endpoint)
	}
	// Output:
	// 198.51.100.7:30303
	// [2001:db8::7]:30304
}

func ExampleLogDistance() {
	a, b := enode.ID{0x00, 0x01}, enode.ID{0x00, 0x02}
	fmt.Println(enode.LogDistance(a, a), enode.LogDistance(a, b))
	// Output: 0 242
}
