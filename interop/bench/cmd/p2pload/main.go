// Command p2pload loads a server in ways that p2pcli does not. It starts the
// server as a child process.
//
//	p2pload -server bin/p2psrv-geth big -peers 8
//	p2pload -server bin/p2psrv-geth paced -secs 3 -rate 150
//
// The mode big measures what the server keeps for a connection after one large
// message: 800 KB on the wire that inflate to 16 MiB - 1, the most that a message
// may hold.
//
// The mode paced measures the CPU time of a connection as `p2pcli rate` does, but
// at a given rate, in bursts. Parley answers at most 200 handshakes a second, 50
// of them at once, so that a server without this limit would be compared under a
// load several times higher, which costs less for each connection.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"parley/interop/bench/internal/srvctl"
	"parley/interop/bench/internal/wirecli"

	"github.com/ethereum/go-ethereum/p2p/enode"
)

const (
	codeDrop = 16 + 2 // code 2 of bench/1: read and dropped
	size     = 1<<24 - 1

	// Connections that are opened in a burst, and how many at a time.
	burst   = 40
	workers = 8
)

// empty is the body of a message without content.
var empty = []byte{0xc0}

func main() {
	server := flag.String("server", "bin/p2psrv-geth", "server binary")
	flag.Parse()
	var err error
	switch mode := flag.Arg(0); mode {
	case "big", "paced":
		set := flag.NewFlagSet(mode, flag.ExitOnError)
		peers := set.Int("peers", 8, "big: connections")
		secs := set.Float64("secs", 3, "paced: seconds")
		rate := set.Int("rate", 150, "paced: connections a second")
		_ = set.Parse(flag.Args()[1:]) // ends the program if it fails
		err = with(*server, func(ctl *srvctl.Client, node *enode.Node) error {
			if mode == "big" {
				return big(ctl, node, *peers)
			}
			return paced(ctl, node, time.Duration(*secs*1e9), *rate)
		})
	default:
		err = fmt.Errorf("mode %q is neither big nor paced", mode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "p2pload:", err)
		os.Exit(1)
	}
}

// with starts a server, calls do and ends the server.
func with(server string, do func(*srvctl.Client, *enode.Node) error) error {
	cmd := exec.Command(server)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	var control, url string
	if _, err := fmt.Sscanf(line, "ready %s %s", &control, &url); err != nil {
		return err
	}
	ctl := srvctl.Dial(control)
	defer func() {
		ctl.Do("quit")
		_ = cmd.Wait() // it was told to end
	}()
	node, err := enode.ParseV4(url)
	if err != nil {
		return err
	}
	return do(ctl, node)
}

func big(ctl *srvctl.Client, node *enode.Node, peers int) error {
	conns := make([]*wirecli.Conn, peers)
	for i, key := range wirecli.Keys(peers) {
		var err error
		if conns[i], err = wirecli.Connect(node, key); err != nil {
			return err
		}
		if err := conns[i].Ping(empty); err != nil {
			return err
		}
	}
	before := ctl.Do("gc")
	body := make([]byte, size)
	for _, c := range conns {
		if _, err := c.Write(codeDrop, body); err != nil {
			return err
		}
		if err := c.Ping(empty); err != nil { // answered when the message was read
			return err
		}
	}
	after := ctl.Do("gc")
	kb := func(bytes int64) float64 { return max(0, float64(bytes)/1024/float64(peers)) }
	fmt.Printf("big: peers=%d heap-KB/peer=%.1f rss-KB/peer=%.1f\n", after.Peers,
		kb(int64(after.HeapAlloc)-int64(before.HeapAlloc)), kb(after.RSS-before.RSS))
	return nil
}

func paced(ctl *srvctl.Client, node *enode.Node, span time.Duration, rate int) error {
	keys := wirecli.Keys(4 * rate)
	next := 0
	run := func(bursts int) error {
		tick := time.NewTicker(time.Second * burst / time.Duration(rate))
		defer tick.Stop()
		for range bursts {
			<-tick.C
			var turn atomic.Int64
			var group sync.WaitGroup
			errs := make([]error, workers)
			for w := range errs {
				group.Go(func() {
					for i := turn.Add(1); i <= burst && errs[w] == nil; i = turn.Add(1) {
						errs[w] = visit(node, keys[(next+int(i))%len(keys)])
					}
				})
			}
			group.Wait()
			next += burst
			if err := errors.Join(errs...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := run(2); err != nil { // warm up
		return err
	}
	bursts := max(1, int(span.Seconds()*float64(rate))/burst)
	before, began := ctl.Do("stat"), time.Now()
	if err := run(bursts); err != nil {
		return err
	}
	took, after, k := time.Since(began), ctl.Do("stat"), float64(bursts*burst)
	us := func(d time.Duration) float64 { return float64(d) / 1e3 / k }
	fmt.Printf("paced: conn/s=%.1f server-cpu-us/conn=%.1f server-user-us/conn=%.1f server-kern-us/conn=%.1f server-allocs/conn=%.1f\n", k/took.Seconds(),
		us(after.CPU-before.CPU), us(after.User-before.User), us(after.Kern-before.Kern), float64(after.Mallocs-before.Mallocs)/k)
	return nil
}

// visit connects, has one message answered and leaves.
func visit(node *enode.Node, key *ecdsa.PrivateKey) error {
	c, err := wirecli.Connect(node, key)
	if err != nil {
		return err
	}
	defer c.TCP.Close()
	if err := c.Ping(empty); err != nil {
		return err
	}
	_, err = c.Write(1, []byte{0xc1, 0x08}) // Disconnect: quitting
	return err
}
