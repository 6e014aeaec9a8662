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
	"os"
	"runtime/pprof"
	"slices"
	"time"

	"parley/enode"
	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/loopnode"
	"parley/interop/bench/internal/pernode"
)

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
	base := pernode.Settled()
	var nodes []loopnode.Node
	defer func() {
		for _, nd := range nodes {
			nd.Close()
		}
	}()
	var boot []*enode.Node
	for range o.n {
		nd, err := loopnode.Start(o.protocol, boot...)
		if err != nil {
			return err
		}
		nodes = append(nodes, nd)
		if len(boot) < 3 && o.protocol != "both" {
			boot = append(boot, nd.Self)
		}
	}
	pernode.Print(w, o.protocol, o.n, "right after start", base)
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
	pernode.Print(w, o.protocol, o.n, "settled", base)
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

// lookups measures lookups of one node by another, the same pairs in each pass.
func lookups(w io.Writer, o options, pass int, nodes []loopnode.Node) error {
	var took []time.Duration
	var used time.Duration
	found, exact := 0, 0
	for i := range o.lookups {
		nd, target := nodes[i*37%len(nodes)], nodes[(i*53+11)%len(nodes)].Self
		if target.ID() == nd.Self.ID() {
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
