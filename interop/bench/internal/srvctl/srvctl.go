// Package srvctl is the control channel every server-under-test offers on a
// second loopback port: one text command per line, one JSON line back.
//
//	stat            memory, goroutines, CPU
//	gc              runtime.GC + FreeOSMemory, then stat
//	bcast SIZE N KIND  broadcast N messages of SIZE bytes (KIND rand|comp|tx) to all peers, wait until written
//	prof FILE SECS  CPU profile for SECS seconds
//	quit
//
//nolint:errcheck,forbidigo,gocritic,revive // kept as it is: figures must stay comparable
package srvctl

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"parley/interop/bench/internal/cpu"
	"parley/interop/bench/internal/payload"
)

type Backend interface {
	PeerCount() int
	// Broadcast sends raw (one message body) n times to every peer and returns when all is written.
	Broadcast(raw []byte, n int)
}

type Stat struct {
	Peers      int
	Goroutines int
	RSS        int64
	HeapInuse  uint64
	HeapAlloc  uint64
	StackInuse uint64
	Sys        uint64
	Mallocs    uint64
	TotalAlloc uint64
	NumGC      uint32
	CPU        time.Duration
	User, Kern time.Duration
	Wall       time.Duration // of the command, where it takes time
	FDs        int
}

func Read(b Backend) Stat {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := Stat{Goroutines: runtime.NumGoroutine(), HeapInuse: m.HeapInuse, HeapAlloc: m.HeapAlloc, StackInuse: m.StackInuse, Sys: m.Sys, Mallocs: m.Mallocs, TotalAlloc: m.TotalAlloc, NumGC: m.NumGC, CPU: cpu.Process()}
	s.User, s.Kern = cpu.Rusage()
	if b != nil {
		s.Peers = b.PeerCount()
	}
	buf, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(buf), "\n") {
		if strings.HasPrefix(l, "VmRSS:") {
			fmt.Sscanf(l, "VmRSS: %d kB", &s.RSS)
			s.RSS *= 1024
		}
	}
	return s
}

// Serve prints "ready CONTROLADDR INFO" and answers commands until quit.
func Serve(b Backend, info string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("ready %s %s\n", ln.Addr(), info)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go handle(b, c)
	}
}

func handle(b Backend, c net.Conn) {
	defer c.Close()
	sc := bufio.NewScanner(c)
	enc := json.NewEncoder(c)
	for sc.Scan() {
		w := strings.Fields(sc.Text())
		start := time.Now()
		switch w[0] {
		case "gc":
			runtime.GC()
			debug.FreeOSMemory()
		case "bcast":
			var size, n int
			fmt.Sscan(w[1], &size)
			fmt.Sscan(w[2], &n)
			var raw []byte
			switch w[3] {
			case "comp":
				raw = payload.Compressible(size)
			case "tx":
				raw = payload.TxLike(size)
			default:
				raw = payload.Random(size)
			}
			start = time.Now()
			b.Broadcast(raw, n)
		case "prof":
			var secs float64
			fmt.Sscan(w[2], &secs)
			f, _ := os.Create(w[1])
			pprof.StartCPUProfile(f)
			go func() {
				time.Sleep(time.Duration(secs * 1e9))
				pprof.StopCPUProfile()
				f.Close()
			}()
		case "heap":
			f, _ := os.Create(w[1])
			runtime.GC()
			pprof.WriteHeapProfile(f)
			f.Close()
		case "goroutines":
			f, _ := os.Create(w[1])
			pprof.Lookup("goroutine").WriteTo(f, 1)
			f.Close()
		case "quit":
			os.Exit(0)
		}
		s := Read(b)
		s.Wall = time.Since(start)
		enc.Encode(s)
	}
}

// Client side.
type Client struct {
	c  net.Conn
	sc *bufio.Scanner
}

func Dial(addr string) *Client {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	return &Client{c, bufio.NewScanner(c)}
}

func (c *Client) Do(cmd string, args ...any) (s Stat) {
	fmt.Fprintf(c.c, cmd+"\n", args...)
	if cmd == "quit" {
		return
	}
	if !c.sc.Scan() {
		panic("control connection closed")
	}
	json.Unmarshal(c.sc.Bytes(), &s)
	return s
}
