package discover_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"parley/discover"
	"parley/enode"
)

// Two services on this machine, of which the second finds the first.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	listen := func(bootnodes ...*enode.Node) (*discover.Service, *enode.Node) {
		key, err := enode.GenerateKey()
		if err != nil {
			panic(err)
		}
		s, err := discover.Listen(discover.Config{
			PrivateKey: key, V4: true, V5: true, Addr: "127.0.0.1:0", Bootnodes: bootnodes,
		})
		if err != nil {
			panic(err)
		}
		return s, enode.NewV4(key.Public(), netip.MustParseAddr("127.0.0.1"), 0, s.Addr().Port())
	}

	first, node := listen()
	defer first.Close()
	second, _ := listen(node)
	defer second.Close()

	for n := range second.Nodes(ctx) {
		fmt.Println("found the first:", n.ID() == node.ID())
		break
	}
	// Output: found the first: true
}
