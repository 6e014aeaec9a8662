package dnsdisc_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"parley/dnsdisc"
	"parley/enode"
	"parley/enr"
)

// A list of one node, made for the domain nodes.example.org.
func Example() {
	key, err := enode.ParseKeyText([]byte(strings.Repeat("01", 32)))
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := enr.Sign(key, 1, enr.IP(netip.MustParseAddr("1.2.3.4")), enr.TCP(30303), enr.UDP(30303))
	if err != nil {
		fmt.Println(err)
		return
	}
	node, err := enode.New(record)
	if err != nil {
		fmt.Println(err)
		return
	}

	tree, err := dnsdisc.New(1, []*enode.Node{node}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := tree.Sign(key, "nodes.example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(link)
	for name := range tree.Records(link.Domain) {
		fmt.Println(name)
	}
	// Output:
	// enrtree://AMNYJRKWPMJGIQEZLU7NLKV2AVS5OHQYGRQEQGP7TQL7L2OV3UDY6@nodes.example.org
	// nodes.example.org
	// JPAAOGGTQK73633UBPVLGMOTXA.nodes.example.org
	// FDXN3SN67NA5DKA4J2GOK7BVQI.nodes.example.org
}

// The first ten nodes of a list, or as many as are found within a minute.
func ExampleClient_Nodes() {
	link, err := dnsdisc.ParseLink("enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@nodes.example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := dnsdisc.NewClient(dnsdisc.Config{Lists: []dnsdisc.Link{link}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found := 0
	for node := range client.Nodes(ctx) {
		fmt.Println(node)
		if found++; found == 10 {
			break
		}
	}
}
