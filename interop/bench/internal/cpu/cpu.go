// Package cpu adds a CPU-time metric to benchmarks: the machine is shared, so
// wall-clock ns/op is noisy, CPU time per op is far less so.
//
//nolint:errcheck // kept as it is: figures must stay comparable
package cpu

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Process returns the CPU time (user+system, all threads) used by this process.
func Process() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// Rusage returns user and system time of this process.
func Rusage() (user, sys time.Duration) {
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano()), time.Duration(ru.Stime.Nano())
}

// Track is called right before the b.N loop.
func Track(b *testing.B) {
	start := Process()
	b.Cleanup(func() {
		b.ReportMetric(float64(Process()-start)/float64(b.N), "cpu-ns/op")
	})
}
