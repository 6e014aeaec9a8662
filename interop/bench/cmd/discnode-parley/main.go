// Command discnode-parley is the node under test of rows D1 to D5 and C1, built on parley's discover.Service.
// It is the counterpart of discnode-geth: one node that speaks discovery v4 or v5 on loopback.
//
//	discnode-parley v4|v5
//
// It prints "ready CONTROL ENR". PeerCount in stat is the number of nodes in the table.
package main

import (
	"fmt"
	"os"

	"parley/discover"
	"parley/interop/bench/internal/loopnode"
	"parley/interop/bench/internal/srvctl"
)

// A backend is what srvctl reads.
type backend struct{ service *discover.Service }

// PeerCount returns the number of nodes in the table.
func (b backend) PeerCount() (n int) {
	t := b.service.Table()
	for _, buckets := range [][]discover.Bucket{t.V4, t.V5} {
		for _, bucket := range buckets {
			n += len(bucket.Entries)
		}
	}
	return n
}

// Broadcast does nothing: discovery has nothing to broadcast.
func (b backend) Broadcast([]byte, int) {}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "discnode-parley:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || args[0] != "v4" && args[0] != "v5" {
		return fmt.Errorf("arguments %q; want v4 or v5", args)
	}
	n, err := loopnode.Start(args[0])
	if err != nil {
		return err
	}
	defer n.Close()
	srvctl.Serve(backend{n.Service}, n.Self.String())
	return nil
}
