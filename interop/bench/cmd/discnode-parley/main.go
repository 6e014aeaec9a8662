// Command discnode-parley is the node under test of rows D1 to D5 and C1, built on parley's discover.Service.
// It is the counterpart of discnode-geth: one node that speaks discovery v4 or v5 on loopback.
//
//	discnode-parley v4|v5
//
// It prints "ready CONTROL ENR". PeerCount in stat is the number of nodes in the table.
package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"parley/discover"
	"parley/enode"
	"parley/enr"
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
	key, err := enode.GenerateKey()
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	record, err := enr.Sign(key, 1, enr.IP(at.Addr()), enr.UDP(at.Port()))
	if err != nil {
		return err
	}
	self, err := enode.New(record)
	if err != nil {
		return err
	}
	s, err := discover.Listen(discover.Config{
		PrivateKey: key, Self: self, Conn: conn, V4: args[0] == "v4", V5: args[0] == "v5",
	})
	if err != nil {
		return err
	}
	defer s.Close()
	srvctl.Serve(backend{s}, self.String())
	return nil
}
