// Command discsim-geth runs N discovery nodes of go-ethereum on loopback in one process and measures
// memory and goroutines per node, and lookup time. Usage: discsim-geth -v v4|v5 -n 200 -lookups 60 -warm 60s
//
//nolint:errcheck,forbidigo // kept as it is: figures must stay comparable
package main

import (
	"crypto/ecdsa"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sort"
	"time"

	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/srvctl"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

type node struct {
	key *ecdsa.PrivateKey
	ln  *enode.LocalNode
	v4  *discover.UDPv4
	v5  *discover.UDPv5
}

func (n *node) tab() (k int) {
	if n.v4 != nil {
		for _, b := range n.v4.TableBuckets() {
			k += len(b)
		}
		return k
	}
	return len(n.v5.AllNodes())
}

func mem() srvctl.Stat {
	runtime.GC()
	debug.FreeOSMemory()
	return srvctl.Read(nil)
}

func main() {
	v := flag.String("v", "v4", "")
	n := flag.Int("n", 200, "")
	warm := flag.Duration("warm", 60*time.Second, "time to let the network form")
	lookups := flag.Int("lookups", 60, "")
	refresh := flag.Duration("refresh", 0, "table refresh interval; 0 = default of 30 minutes")
	prof := flag.String("prof", "", "")
	flag.Parse()
	log.SetDefault(log.NewLogger(log.DiscardHandler()))

	s0 := mem()
	nodes := make([]*node, *n)
	var boot []*enode.Node
	for i := range nodes {
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
		cfg := discover.Config{PrivateKey: key, Bootnodes: boot, RefreshInterval: *refresh}
		nd := &node{key: key, ln: ln}
		if *v == "v4" {
			nd.v4, err = discover.ListenV4(conn, ln, cfg)
		} else {
			nd.v5, err = discover.ListenV5(conn, ln, cfg)
		}
		if err != nil {
			panic(err)
		}
		nodes[i] = nd
		if len(boot) < 3 {
			boot = append(boot, ln.Node())
		}
	}
	s1 := mem()
	k := float64(*n)
	fmt.Printf("sim %s: n=%d right after start: goroutines/node=%.1f rss/node=%.1fKB heapInuse/node=%.1fKB heapAlloc/node=%.1fKB stack/node=%.1fKB\n", *v, *n, float64(s1.Goroutines-s0.Goroutines)/k, kb(s1.RSS-s0.RSS)/k, kb(int64(s1.HeapInuse-s0.HeapInuse))/k, kb(int64(s1.HeapAlloc-s0.HeapAlloc))/k, kb(int64(s1.StackInuse-s0.StackInuse))/k)
	t0, c0 := time.Now(), cpu.Process()
	for time.Since(t0) < *warm {
		time.Sleep(*warm / 4)
		sum, mn := 0, 1<<30
		for _, nd := range nodes {
			t := nd.tab()
			sum += t
			mn = min(mn, t)
		}
		fmt.Printf("sim %s: t=%v table mean=%.1f min=%d cpu=%v\n", *v, time.Since(t0).Round(time.Second), float64(sum)/k, mn, (cpu.Process() - c0).Round(time.Millisecond))
	}
	s2 := mem()
	fmt.Printf("sim %s: settled: goroutines/node=%.1f rss/node=%.1fKB heapInuse/node=%.1fKB heapAlloc/node=%.1fKB stack/node=%.1fKB\n", *v, float64(s2.Goroutines-s0.Goroutines)/k, kb(s2.RSS-s0.RSS)/k, kb(int64(s2.HeapInuse-s0.HeapInuse))/k, kb(int64(s2.HeapAlloc-s0.HeapAlloc))/k, kb(int64(s2.StackInuse-s0.StackInuse))/k)
	if *prof != "" {
		f, _ := os.Create(*prof + ".heap")
		pprof.WriteHeapProfile(f)
		f.Close()
		f, _ = os.Create(*prof)
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	for pass := 0; pass < 2; pass++ {
		var lat []time.Duration
		var lcpu time.Duration
		found, exact := 0, 0
		for i := 0; i < *lookups; i++ {
			nd := nodes[(i*37)%len(nodes)]
			tgt := nodes[(i*53+11)%len(nodes)]
			if tgt == nd {
				continue
			}
			t, c := time.Now(), cpu.Process()
			var res []*enode.Node
			if nd.v4 != nil {
				res = nd.v4.LookupPubkey(&tgt.key.PublicKey)
			} else {
				res = nd.v5.Lookup(tgt.ln.ID())
			}
			lat = append(lat, time.Since(t))
			lcpu += cpu.Process() - c
			found += len(res)
			for _, r := range res {
				if r.ID() == tgt.ln.ID() {
					exact++
				}
			}
		}
		sort.Slice(lat, func(i, j int) bool { return lat[i] < lat[j] })
		fmt.Printf("sim %s: pass %d lookups=%d p50=%v p90=%v max=%v mean-results=%.1f found-target=%d cpu/lookup=%v\n", *v, pass+1, len(lat), lat[len(lat)/2].Round(time.Microsecond), lat[len(lat)*9/10].Round(time.Microsecond), lat[len(lat)-1].Round(time.Microsecond), float64(found)/float64(len(lat)), exact, (lcpu / time.Duration(len(lat))).Round(time.Microsecond))
	}
}

func kb(x int64) float64 { return float64(x) / 1024 }
