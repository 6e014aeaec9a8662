// Package loopnode starts discovery nodes of parley on loopback, for the programs
// that measure them.
package loopnode

import (
	"fmt"
	"net"
	"net/netip"

	"parley/discover"
	"parley/enode"
	"parley/enr"
)

// A Node is a discovery node that runs until Close.
type Node struct {
	*discover.Service
	Self *enode.Node
}

// Start starts a node with a new key on a free port of 127.0.0.1. It speaks the
// protocol "v4", "v5" or "both" and knows the given nodes.
func Start(protocol string, boot ...*enode.Node) (Node, error) {
	if protocol != "v4" && protocol != "v5" && protocol != "both" {
		return Node{}, fmt.Errorf("protocol %q; want v4, v5 or both", protocol)
	}
	key, err := enode.GenerateKey()
	if err != nil {
		return Node{}, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return Node{}, err
	}
	n, err := listen(key, conn, protocol, boot)
	if err != nil {
		conn.Close()
	}
	return n, err
}

func listen(key *enode.PrivateKey, conn *net.UDPConn, protocol string, boot []*enode.Node) (Node, error) {
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	record, err := enr.Sign(key, 1, enr.IP(at.Addr()), enr.UDP(at.Port()))
	if err != nil {
		return Node{}, err
	}
	self, err := enode.New(record)
	if err != nil {
		return Node{}, err
	}
	s, err := discover.Listen(discover.Config{
		PrivateKey: key, Self: self, Conn: conn, Bootnodes: boot, V4: protocol != "v5", V5: protocol != "v4",
	})
	return Node{s, self}, err
}
