// Command discsim-parley runs a number of discovery nodes of parley on loopback in one process and measures
// memory and goroutines of a node, and lookups. It is the counterpart of discsim-geth and prints
// the same lines; but "table" counts the nodes that are live, that is, proved their
// endpoint and answered ever since.
//
//	discsim-parley -v v4|v5 -n 200 -lookups 60 -warm 60s
//	discsim-parley -v both -n 50 -lookups 0 -warm 5s
//
// With -v both the nodes speak both protocols on one socket and do not know each
// other: idle nodes, the counterpart of discidle-geth.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"parley/discover"
	"parley/enode"
	"parley/enr"
	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/srvctl"
)

// A node is one of those that run.
type node struct {
	*discover.Service
	self *enode.Node
}

type options struct {
	protocol   string
	n, lookups int
	warm       time.Duration
	prof       string
}

func main() {
	var o options
	flag.StringVar(&o.protocol, "v", "v4", "v4, v5 or both")
	flag.IntVar(&o.n, "n", 200, "nodes")
	flag.DurationVar(&o.warm, "warm", time.Minute, "time to let the network form")
	flag.IntVar(&o.lookups, "lookups", 60, "lookups in each of two passes")
	flag.StringVar(&o.prof, "prof", "", "file for a CPU profile of the lookups")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "discsim-parley:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, o options) (err error) {
	if !slices.Contains([]string{"v4", "v5", "both"}, o.protocol) || o.n < 1 {
		return fmt.Errorf("protocol %q with %d nodes; want v4, v5 or both", o.protocol, o.n)
	}
	base := settled()
	var nodes []node
	defer func() {
		for _, nd := range nodes {
			nd.Close()
		}
	}()
	var boot []*enode.Node
	for range o.n {
		nd, err := start(o.protocol, boot)
		if err != nil {
			return err
		}
		nodes = append(nodes, nd)
		if len(boot) < 3 && o.protocol != "both" {
			boot = append(boot, nd.self)
		}
	}
	memory(w, o, "right after start", base)
	began, used := time.Now(), cpu.Process()
	for time.Since(began) < o.warm {
		<-time.After(o.warm / 4)
		sum, least := 0, 1<<30
		for _, nd := range nodes {
			v4, v5 := nd.Table().Live()
			sum, least = sum+v4+v5, min(least, v4+v5)
		}
		fmt.Fprintf(w, "sim %s: t=%v table mean=%.1f min=%d cpu=%v\n", o.protocol, time.Since(began).Round(time.Second),
			float64(sum)/float64(o.n), least, (cpu.Process() - used).Round(time.Millisecond))
	}
	memory(w, o, "settled", base)
	if o.prof != "" {
		f, err := os.Create(o.prof)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() { pprof.StopCPUProfile(); err = errors.Join(err, f.Close()) }()
	}
	for pass := range 2 {
		if o.lookups > 0 && o.protocol != "both" {
			if err := lookups(w, o, pass+1, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}

// start starts a node that knows the given ones.
func start(protocol string, boot []*enode.Node) (node, error) {
	key, err := enode.GenerateKey()
	if err != nil {
		return node{}, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return node{}, err
	}
	at := netip.MustParseAddrPort(conn.LocalAddr().String())
	record, err := enr.Sign(key, 1, enr.IP(at.Addr()), enr.UDP(at.Port()))
	if err != nil {
		return node{}, err
	}
	self, err := enode.New(record)
	if err != nil {
		return node{}, err
	}
	s, err := discover.Listen(discover.Config{
		PrivateKey: key, Self: self, Conn: conn, Bootnodes: boot, V4: protocol != "v5", V5: protocol != "v4",
	})
	return node{s, self}, err
}

// settled returns the state of the process without garbage.
func settled() srvctl.Stat {
	runtime.GC()
	debug.FreeOSMemory()
	return srvctl.Read(nil)
}

// memory prints what a node takes beyond the process.
func memory(w io.Writer, o options, when string, base srvctl.Stat) {
	now, k := settled(), float64(o.n)
	kb := func(bytes int64) float64 { return float64(bytes) / 1024 / k }
	fmt.Fprintf(w, "sim %s: n=%d %s: goroutines/node=%.1f rss/node=%.1fKB heapInuse/node=%.1fKB heapAlloc/node=%.1fKB stack/node=%.1fKB\n",
		o.protocol, o.n, when, float64(now.Goroutines-base.Goroutines)/k, kb(now.RSS-base.RSS), kb(int64(now.HeapInuse-base.HeapInuse)),
		kb(int64(now.HeapAlloc-base.HeapAlloc)), kb(int64(now.StackInuse-base.StackInuse)))
}

// lookups measures lookups of one node by another, the same pairs in each pass.
func lookups(w io.Writer, o options, pass int, nodes []node) error {
	var took []time.Duration
	var used time.Duration
	found, exact := 0, 0
	for i := range o.lookups {
		nd, target := nodes[i*37%len(nodes)], nodes[(i*53+11)%len(nodes)].self
		if target.ID() == nd.self.ID() {
			continue
		}
		began, before := time.Now(), cpu.Process()
		var list []*enode.Node
		var err error
		if o.protocol == "v4" {
			list, err = nd.Lookup(context.Background(), target.PublicKey())
		} else {
			list, err = nd.LookupID(context.Background(), target.ID())
		}
		if err != nil {
			return err
		}
		took, used = append(took, time.Since(began)), used+cpu.Process()-before
		found += len(list)
		if slices.ContainsFunc(list, func(n *enode.Node) bool { return n.ID() == target.ID() }) {
			exact++
		}
	}
	if len(took) == 0 {
		return errors.New("no pair of nodes for a lookup; use more nodes")
	}
	slices.Sort(took)
	k := len(took)
	fmt.Fprintf(w, "sim %s: pass %d lookups=%d p50=%v p90=%v max=%v mean-results=%.1f found-target=%d cpu/lookup=%v\n", o.protocol, pass, k,
		took[k/2].Round(time.Microsecond), took[k*9/10].Round(time.Microsecond), took[k-1].Round(time.Microsecond), float64(found)/float64(k), exact,
		(used / time.Duration(k)).Round(time.Microsecond))
	return nil
}
