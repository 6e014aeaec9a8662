// Command discidle-geth runs a number of idle discovery nodes of go-ethereum in one process, each with v4 and v5
// on one socket, and prints what a node takes. It is what discsim-geth does not do, for row D8, and
// prints the same line:
//
//	discidle-geth -n 50 -warm 5s
//
// V4 reads the socket and hands on what it does not know, as the reference's
// Server does it.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"parley/interop/bench/internal/pernode"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// A sharedConn is the socket as v5 sees it: it reads what v4 hands on.
type sharedConn struct {
	*net.UDPConn
	rest <-chan discover.ReadPacket
}

func (c sharedConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	p, ok := <-c.rest
	if !ok {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	return copy(b, p.Data), p.Addr, nil
}

func main() {
	n := flag.Int("n", 50, "nodes")
	warm := flag.Duration("warm", 5*time.Second, "time to let the nodes settle")
	flag.Parse()
	log.SetDefault(log.NewLogger(log.DiscardHandler()))
	if err := run(os.Stdout, *n, *warm); err != nil {
		fmt.Fprintln(os.Stderr, "discidle-geth:", err)
		os.Exit(1)
	}
}

// run ends without closing the nodes: the process ends.
func run(w io.Writer, n int, warm time.Duration) error {
	if n < 1 {
		return fmt.Errorf("%d nodes", n)
	}
	base := pernode.Settled()
	nodes := make([]any, 0, 2*n) // keeps them
	for range n {
		v4, v5, err := start()
		if err != nil {
			return err
		}
		nodes = append(nodes, v4, v5)
	}
	<-time.After(warm)
	pernode.Print(w, "both", n, "settled", base)
	runtime.KeepAlive(nodes)
	return nil
}

func start() (*discover.UDPv4, *discover.UDPv5, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, nil, err
	}
	db, err := enode.OpenDB("")
	if err != nil {
		return nil, nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	ln := enode.NewLocalNode(db, key)
	ln.SetStaticIP(at.Addr().AsSlice())
	ln.SetFallbackUDP(int(at.Port()))
	rest := make(chan discover.ReadPacket, 100)
	v4, err := discover.ListenV4(conn, ln, discover.Config{PrivateKey: key, Unhandled: rest})
	if err != nil {
		return nil, nil, err
	}
	v5, err := discover.ListenV5(sharedConn{conn, rest}, ln, discover.Config{PrivateKey: key})
	return v4, v5, err
}
