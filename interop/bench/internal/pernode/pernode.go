// Package pernode prints what each of the nodes in one process takes of it.
package pernode

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"parley/interop/bench/internal/srvctl"
)

// Settled returns the state of the process without garbage.
func Settled() srvctl.Stat {
	runtime.GC()
	debug.FreeOSMemory()
	return srvctl.Read(nil)
}

// Print writes a line "sim PROTOCOL: n=N WHEN: …" with what each of n nodes takes
// beyond base, memory in units of 1024 bytes. The program compare reads it.
func Print(w io.Writer, protocol string, n int, when string, base srvctl.Stat) {
	now, k := Settled(), float64(n)
	kb := func(bytes int64) float64 { return float64(bytes) / 1024 / k }
	fmt.Fprintf(w, "sim %s: n=%d %s: goroutines/node=%.1f rss/node=%.1fKB heapInuse/node=%.1fKB heapAlloc/node=%.1fKB stack/node=%.1fKB\n",
		protocol, n, when, float64(now.Goroutines-base.Goroutines)/k, kb(now.RSS-base.RSS), kb(int64(now.HeapInuse-base.HeapInuse)),
		kb(int64(now.HeapAlloc-base.HeapAlloc)), kb(int64(now.StackInuse-base.StackInuse)))
}
