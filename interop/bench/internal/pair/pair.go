// Package pair compares functions fairly on a noisy shared machine: it
// interleaves short slices of each function and reports, per function, the
// min/median/max CPU time per op and the median of the per-round ratio to the first.
//
//nolint:revive // kept as it is: figures must stay comparable
package pair

import (
	"fmt"
	"io"
	"sort"
	"time"

	"parley/interop/bench/internal/cpu"
)

type F struct {
	Name  string
	Do    func() // one call = Ops operations
	Ops   int    // default 1
	Bytes int    // per op, for MB/s
}

func Run(w io.Writer, title string, rounds int, slice time.Duration, fs ...F) {
	n := make([]int, len(fs))
	for i, f := range fs { // calibrate
		if fs[i].Ops == 0 {
			fs[i].Ops = 1
		}
		n[i] = 1
		for {
			t := time.Now()
			for k := 0; k < n[i]; k++ {
				f.Do()
			}
			if d := time.Since(t); d > slice/2 || n[i] > 1<<26 {
				n[i] = max(1, int(float64(n[i])*float64(slice)/float64(d)))
				break
			}
			n[i] *= 2
		}
	}
	per := make([][]float64, len(fs))
	for r := 0; r < rounds; r++ {
		for i, f := range fs {
			t := cpu.Process()
			for k := 0; k < n[i]; k++ {
				f.Do()
			}
			per[i] = append(per[i], float64(cpu.Process()-t)/float64(n[i]*fs[i].Ops))
		}
	}
	fmt.Fprintf(w, "## %s  (%d interleaved rounds of %v, CPU time)\n", title, rounds, slice)
	fmt.Fprintf(w, "%-34s %12s %12s %12s %10s %s\n", "", "min ns/op", "med ns/op", "max ns/op", "MB/s@min", "time ratio vs first (median of rounds)")
	for i, f := range fs {
		ratio := make([]float64, rounds)
		for r := range ratio {
			ratio[r] = per[i][r] / per[0][r]
		}
		sort.Float64s(ratio)
		s := append([]float64(nil), per[i]...)
		sort.Float64s(s)
		mbs := "-"
		if f.Bytes > 0 {
			mbs = fmt.Sprintf("%.0f", float64(f.Bytes)/s[0]*1e3)
		}
		fmt.Fprintf(w, "%-34s %12.1f %12.1f %12.1f %10s %.2f\n", f.Name, s[0], s[len(s)/2], s[len(s)-1], mbs, ratio[rounds/2])
	}
}
