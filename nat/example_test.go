package nat_test

import (
	"context"
	"fmt"

	"parley/nat"
)

// A node has its port mapped and publishes the endpoint that comes of it. Here the
// operator gives the address, so that the example needs no gateway.
func ExampleMapper() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	method, err := nat.Parse("extip:25.1.2.3") // or any, upnp, pmp, pcp, stun
	if err != nil {
		panic(err)
	}
	m, err := nat.NewMapper(nat.Config{
		Method: method,
		Ports:  []nat.Port{{Protocol: nat.TCP, Internal: 30303}, {Protocol: nat.UDP, Internal: 30303}},
	})
	if err != nil {
		panic(err)
	}
	for state := range m.Run(ctx) {
		fmt.Println("TCP", state.IPv4.Endpoint(nat.TCP, 30303))
		fmt.Println("UDP", state.IPv4.Endpoint(nat.UDP, 30303))
		cancel() // a node goes on until it is stopped
	}
	// Output:
	// TCP 25.1.2.3:30303
	// UDP 25.1.2.3:30303
}

func ExampleParse() {
	m, err := nat.Parse("natpmp:192.168.0.1")
	fmt.Println(m, err)
	// Output: pmp:192.168.0.1 <nil>
}
