package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/daemon/ipc"
	"parley/daemon/jsonrpc"
	"parley/enode"
	"parley/p2p"
)

var soak = flag.Bool("soak", false, "run the long forms of tests, as make soak does")

const (
	firstKill, lastKill = 10 * time.Millisecond, 500 * time.Millisecond // after the start

	startsWithin   = 2 * time.Second
	connectsWithin = 10 * time.Second
)

// L4: a node that is killed at a random moment starts again within 2 s, with the
// same ID and a record that is not older, and if it is left to run, finds within
// 10 s a peer that it knows from its database only. It is killed 50 times, and
// 1,000 times in make soak.
func TestL4Kill(t *testing.T) {
	kills, connectEvery := 50, 10 // of the starts, one in connectEvery is left to run
	if *soak {
		kills = 1000
	}
	partner := startCrasher(t, t.TempDir(), "--nodial")
	about, ok := partner.info(time.Now().Add(startsWithin))
	if !ok {
		t.Fatalf("the partner has not started:\n%s", partner.log())
	}
	// The directory's name is short, because a socket in it must fit into 104 bytes.
	dir, err := os.MkdirTemp("", "l4-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	// The first run is told of its partner and ends in order.
	p := startCrasher(t, dir, "--bootnodes", about.Enode)
	first, ok := p.info(time.Now().Add(startsWithin))
	if _, connected := p.connected(connectsWithin); !ok || !connected {
		t.Fatalf("started %v, and connected %v, want both:\n%s", ok, connected, p.log())
	}
	p.end(t, syscall.SIGTERM)

	seq := recordSeq(t, first)
	same := func(p *crasher, info *p2p.NodeInfo) {
		t.Helper()
		now := recordSeq(t, info)
		if info.ID != first.ID || now < seq {
			t.Errorf("came back as %s with record %d, want %s with %d or later\n%s", info.ID, now, first.ID, seq, p.log())
		}
		seq = max(seq, now)
	}
	var starts, connects []time.Duration
	for i := range kills {
		p := startCrasher(t, dir)
		moment := p.began.Add(firstKill + rand.N(lastKill-firstKill))
		if info, ok := p.info(moment); ok {
			same(p, info)
		}
		<-time.After(time.Until(moment))
		p.end(t, syscall.SIGKILL)

		p = startCrasher(t, dir)
		info, ok := p.info(p.began.Add(startsWithin))
		if !ok {
			t.Fatalf("kill %d, %v after the start: not started again within %v:\n%s", i, moment.Sub(p.began), startsWithin, p.log())
		}
		starts = append(starts, time.Since(p.began))
		same(p, info)
		if i%connectEvery == connectEvery-1 {
			took, ok := p.connected(connectsWithin)
			if !ok {
				t.Fatalf("kill %d: no peer within %v:\n%s", i, connectsWithin, p.log())
			}
			connects = append(connects, took)
		}
		p.end(t, syscall.SIGKILL)
	}
	t.Logf("%d starts after a kill took %v at most, %d connections %v", len(starts), slices.Max(starts), len(connects), slices.Max(connects))
}

// A crasher is a running parley in a directory that outlives it.
type crasher struct {
	dir   string
	began time.Time
	cmd   *exec.Cmd
	wait  func() error
}

// log returns what the node has logged.
func (p *crasher) log() []byte {
	text, err := os.ReadFile(filepath.Join(p.dir, "log.txt"))
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// startCrasher starts a node on the loopback interface that knows nobody but from
// dir and args.
func startCrasher(t *testing.T, dir string, args ...string) *crasher {
	t.Helper()
	path, err := exec.LookPath("parley") // testscript.Main has put it into PATH
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"run", "--datadir", dir, "--port", "0", "--listen.addr", "127.0.0.1", "--netrestrict", "127.0.0.0/8",
		"--nat", "none", "--bootnodes", "", "--discovery.dns", "",
		"--networkid", "1001", "--eth.genesis", "0x" + strings.Repeat("17", 32), // two mirrors would not be peers
	}, args...)
	log, err := os.Create(filepath.Join(dir, "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the node has its own descriptor
	p := &crasher{dir: dir, cmd: exec.Command(path, args...)}
	p.cmd.Env = append(os.Environ(), "HOME="+dir, "GORACE=atexit_sleep_ms=10")
	p.cmd.Stderr = log
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.wait()
	})
	return p
}

// end sends a signal and waits for the end.
func (p *crasher) end(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("%v: the node has ended already\n%s", err, p.log())
	}
	if err := p.wait(); signal != syscall.SIGKILL && err != nil {
		t.Fatalf("%v: %v\n%s", signal, err, p.log())
	}
}

// info returns what the node says of itself as soon as it answers, at deadline at
// the latest.
func (p *crasher) info(deadline time.Time) (info *p2p.NodeInfo, ok bool) {
	ok = p.ask(deadline, func(ctx context.Context, client *jsonrpc.Client) bool {
		return client.Call(ctx, &info, "admin_nodeInfo") == nil && info.Ports.Listener != 0
	})
	return info, ok
}

// connected waits until the node has a peer and returns how long after its start
// that was.
func (p *crasher) connected(within time.Duration) (time.Duration, bool) {
	ok := p.ask(p.began.Add(within), func(ctx context.Context, client *jsonrpc.Client) bool {
		var count string
		return client.Call(ctx, &count, "net_peerCount") == nil && count != "0x0"
	})
	return time.Since(p.began), ok
}

// ask asks the node until it answers as it should, at deadline at the latest.
func (p *crasher) ask(deadline time.Time, claim func(context.Context, *jsonrpc.Client) bool) bool {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var client *jsonrpc.Client
	for {
		if client == nil {
			if conn, err := ipc.Dial(ctx, filepath.Join(p.dir, "parley.ipc")); err == nil {
				client = jsonrpc.NewClient(conn)
				defer client.Close() // once: client is kept
			}
		}
		if client != nil && claim(ctx, client) {
			return true
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
}

// recordSeq returns the sequence number of the record that a node shows.
func recordSeq(t *testing.T, info *p2p.NodeInfo) uint64 {
	t.Helper()
	n, err := enode.Parse(info.ENR)
	if err != nil {
		t.Fatal(err)
	}
	return n.Seq()
}
