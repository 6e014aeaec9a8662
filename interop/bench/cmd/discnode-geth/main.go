// Command discnode-geth is the node under test for section D: one discv4 or discv5 node of go-ethereum on loopback.
// It prints "ready CONTROL ENR". PeerCount in stat = nodes in the table.
package main

import (
	"net"
	"os"

	"parley/interop/bench/internal/srvctl"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

type backend struct{ count func() int }

func (b backend) PeerCount() int        { return b.count() }
func (b backend) Broadcast([]byte, int) {}

func main() {
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	key, _ := crypto.GenerateKey()
	db, err := enode.OpenDB("")
	if err != nil {
		panic(err)
	}
	ln := enode.NewLocalNode(db, key)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	ln.SetStaticIP(net.IPv4(127, 0, 0, 1))
	ln.SetFallbackUDP(conn.LocalAddr().(*net.UDPAddr).Port)
	cfg := discover.Config{PrivateKey: key, NoFindnodeLivenessCheck: true}
	var count func() int
	if os.Args[1] == "v4" {
		u, err := discover.ListenV4(conn, ln, cfg)
		if err != nil {
			panic(err)
		}
		count = func() (n int) {
			for _, b := range u.TableBuckets() {
				n += len(b)
			}
			return
		}
	} else {
		u, err := discover.ListenV5(conn, ln, cfg)
		if err != nil {
			panic(err)
		}
		count = func() int { return len(u.AllNodes()) }
	}
	srvctl.Serve(backend{count}, ln.Node().String())
}
