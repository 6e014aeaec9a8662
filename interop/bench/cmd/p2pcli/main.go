// Command p2pcli drives a server under test (started by it as a child process) and prints the section C figures.
//
//	p2pcli -server bin/p2psrv-geth rate -secs 5 -workers 8
//	p2pcli -server bin/p2psrv-geth hold -peers 200,1000,2000
//	p2pcli -server bin/p2psrv-geth ping -n 20000 -size 32
//	p2pcli -server bin/p2psrv-geth bcast -peers 100 -size 1024 -n 500 -kind tx [-full]
//
//nolint:errcheck,forbidigo // kept as it is: figures must stay comparable
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/payload"
	"parley/interop/bench/internal/srvctl"
	"parley/interop/bench/internal/wirecli"

	"github.com/ethereum/go-ethereum/p2p/enode"
)

var (
	server = flag.String("server", "bin/p2psrv-geth", "server binary")
	prof   = flag.String("prof", "", "server CPU profile file")
)

func start() (*srvctl.Client, *enode.Node, *exec.Cmd) {
	cmd := exec.Command(*server)
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	var ctl, url string
	l, _ := bufio.NewReader(out).ReadString('\n')
	fmt.Sscanf(l, "ready %s %s", &ctl, &url)
	return srvctl.Dial(ctl), enode.MustParse(url), cmd
}

func main() {
	flag.Parse()
	mode := flag.Arg(0)
	fs := flag.NewFlagSet(mode, flag.ExitOnError)
	secs := fs.Float64("secs", 5, "")
	workers := fs.Int("workers", 8, "")
	peers := fs.String("peers", "100", "")
	n := fs.Int("n", 20000, "")
	size := fs.Int("size", 32, "")
	kind := fs.String("kind", "tx", "rand|comp|tx")
	full := fs.Bool("full", false, "clients decrypt and decode (default: read and discard raw bytes)")
	reps := fs.Int("reps", 5, "")
	fs.Parse(flag.Args()[1:])

	ctl, node, cmd := start()
	defer func() { ctl.Do("quit"); cmd.Wait() }()
	profile := func(d float64) {
		if *prof != "" {
			ctl.Do("prof %s %f", *prof, d)
		}
	}
	switch mode {
	case "rate":
		keys := wirecli.Keys(4000)
		var next, ok, fail atomic.Int64
		run := func(d time.Duration) {
			var wg sync.WaitGroup
			end := time.Now().Add(d)
			for w := 0; w < *workers; w++ {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for time.Now().Before(end) {
						c, err := wirecli.Connect(node, keys[int(next.Add(1))%len(keys)])
						if err == nil {
							if err = c.Ping([]byte{0xC0}); err == nil {
								ok.Add(1)
							}
							c.Write(1, []byte{0xC1, 0x08})
							c.TCP.Close()
						}
						if err != nil {
							fail.Add(1)
						}
					}
				}()
			}
			wg.Wait()
		}
		run(time.Second)
		profile(*secs * float64(*reps))
		for r := 0; r < *reps; r++ {
			ok.Store(0)
			fail.Store(0)
			s0, c0, t0 := ctl.Do("stat"), cpu.Process(), time.Now()
			run(time.Duration(*secs * 1e9))
			d := time.Since(t0)
			s1 := ctl.Do("stat")
			k := float64(ok.Load())
			fmt.Printf("rate: workers=%d ok=%.0f fail=%d conn/s=%.1f server-cpu-us/conn=%.0f (user %.0f kern %.0f) client-cpu-us/conn=%.0f server-allocs/conn=%.0f server-KB/conn=%.1f\n", *workers, k, fail.Load(), k/d.Seconds(),
				us(s1.CPU-s0.CPU)/k, us(s1.User-s0.User)/k, us(s1.Kern-s0.Kern)/k, us(cpu.Process()-c0)/k, float64(s1.Mallocs-s0.Mallocs)/k, float64(s1.TotalAlloc-s0.TotalAlloc)/k/1024)
		}
	case "hold":
		s0 := ctl.Do("gc")
		fmt.Printf("hold: peers=0 rss=%.1fMB heapInuse=%.2fMB heapAlloc=%.2fMB stack=%.2fMB goroutines=%d\n", mb(s0.RSS), mb(s0.HeapInuse), mb(s0.HeapAlloc), mb(s0.StackInuse), s0.Goroutines)
		have := 0
		for _, p := range strings.Split(*peers, ",") {
			var want int
			fmt.Sscan(p, &want)
			connect(node, want-have, func(c *wirecli.Conn) { go drain(c, true) })
			have = want
			waitPeers(ctl, want)
			time.Sleep(time.Second)
			raw := ctl.Do("stat")
			s := ctl.Do("gc")
			k := float64(s.Peers)
			fmt.Printf("hold: peers=%d goroutines=%d (+%.2f/peer) | no GC: rss=%.1fMB (+%.1f KB/peer) | after GC+FreeOSMemory: rss=%.1fMB (+%.1f KB/peer) heapInuse +%.1f KB/peer heapAlloc +%.1f KB/peer stack +%.1f KB/peer\n", s.Peers, s.Goroutines, float64(s.Goroutines-s0.Goroutines)/k,
				mb(raw.RSS), kb(raw.RSS-s0.RSS)/k, mb(s.RSS), kb(s.RSS-s0.RSS)/k, kb(int64(s.HeapInuse-s0.HeapInuse))/k, kb(int64(s.HeapAlloc-s0.HeapAlloc))/k, kb(int64(s.StackInuse-s0.StackInuse))/k)
		}
		// idle CPU
		a := ctl.Do("stat")
		time.Sleep(time.Duration(*secs * 1e9))
		b := ctl.Do("stat")
		fmt.Printf("hold: idle CPU with %d peers over %.0fs: %.3f%% of one core\n", b.Peers, *secs, float64(b.CPU-a.CPU)/(*secs*1e9)*100)
		if *prof != "" {
			ctl.Do("heap %s", *prof)
			ctl.Do("goroutines %s.goroutines", *prof)
		}
	case "ping":
		c, err := wirecli.Connect(node, wirecli.Keys(1)[0])
		if err != nil {
			panic(err)
		}
		body := payload.Random(*size)
		for i := 0; i < 2000; i++ {
			if err := c.Ping(body); err != nil {
				panic(err)
			}
		}
		profile(3)
		for r := 0; r < *reps; r++ {
			lat := make([]time.Duration, *n)
			s0, t0 := ctl.Do("stat"), time.Now()
			for i := range lat {
				t := time.Now()
				if err := c.Ping(body); err != nil {
					panic(err)
				}
				lat[i] = time.Since(t)
			}
			d := time.Since(t0)
			s1 := ctl.Do("stat")
			sort.Slice(lat, func(i, j int) bool { return lat[i] < lat[j] })
			fmt.Printf("ping: size=%d n=%d min=%v p50=%v p90=%v p99=%v p99.9=%v rt/s=%.0f server-cpu-us/rt=%.2f (kern %.2f) server-allocs/rt=%.1f\n", *size, *n, lat[0], lat[*n/2], lat[*n*9/10], lat[*n*99/100], lat[*n*999/1000], float64(*n)/d.Seconds(), us(s1.CPU-s0.CPU)/float64(*n), us(s1.Kern-s0.Kern)/float64(*n), float64(s1.Mallocs-s0.Mallocs)/float64(*n))
		}
	case "bcast":
		var want int
		fmt.Sscan(*peers, &want)
		connect(node, want, func(c *wirecli.Conn) { go drain(c, *full) })
		waitPeers(ctl, want)
		ctl.Do("bcast %d %d %s", *size, max(1, *n/10), *kind)
		profile(30)
		for r := 0; r < *reps; r++ {
			s0, c0 := ctl.Do("stat"), cpu.Process()
			s1 := ctl.Do("bcast %d %d %s", *size, *n, *kind)
			c1 := cpu.Process()
			k := float64(*n * want)
			fmt.Printf("bcast: peers=%d size=%d kind=%s n=%d full=%v msg/s=%.0f MB/s=%.1f server-cpu-us/msg=%.2f (user %.2f kern %.2f) client-cpu-us/msg=%.2f server-allocs/msg=%.2f server-B/msg=%.0f\n", want, *size, *kind, *n, *full, k/s1.Wall.Seconds(), k*float64(*size)/1e6/s1.Wall.Seconds(),
				us(s1.CPU-s0.CPU)/k, us(s1.User-s0.User)/k, us(s1.Kern-s0.Kern)/k, us(c1-c0)/k, float64(s1.Mallocs-s0.Mallocs)/k, float64(s1.TotalAlloc-s0.TotalAlloc)/k)
		}
		if *prof != "" {
			ctl.Do("prof /dev/null 0")
			time.Sleep(200 * time.Millisecond)
		}
	default:
		fmt.Println("mode: rate|hold|ping|bcast")
	}
}

func connect(node *enode.Node, n int, f func(*wirecli.Conn)) {
	keys := wirecli.Keys(n)
	ch := make(chan int)
	var wg sync.WaitGroup
	for w := 0; w < 8; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range ch {
				c, err := wirecli.Connect(node, keys[i])
				if err != nil {
					fmt.Println("connect:", err)
					continue
				}
				f(c)
			}
		}()
	}
	for i := 0; i < n; i++ {
		ch <- i
	}
	close(ch)
	wg.Wait()
}

func waitPeers(ctl *srvctl.Client, want int) {
	for i := 0; i < 100 && ctl.Do("stat").Peers < want; i++ {
		time.Sleep(50 * time.Millisecond)
	}
}

// drain keeps one client alive. full: decrypt every message and answer base pings.
func drain(c *wirecli.Conn, full bool) {
	if full {
		for {
			code, _, _, err := c.Read()
			if err != nil {
				return
			}
			if code == 2 {
				c.Write(3, []byte{0xC0})
			}
		}
	}
	go func() {
		for {
			time.Sleep(10 * time.Second)
			if _, err := c.Write(2, []byte{0xC0}); err != nil {
				return
			}
		}
	}()
	io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c.TCP}, make([]byte, 256<<10))
}

func us(d time.Duration) float64       { return float64(d) / 1e3 }
func mb[T int64 | uint64](x T) float64 { return float64(x) / (1 << 20) }
func kb(x int64) float64               { return float64(x) / 1024 }
