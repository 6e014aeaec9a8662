// Command summ prints min/median/max of every metric of `go test -bench -count=N` output.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
)

func main() {
	units := flag.String("u", "cpu-ns/op,ns/op,MB/s,B/op,allocs/op", "units")
	flag.Parse()
	for _, f := range flag.Args() {
		fh, err := os.Open(f)
		if err != nil {
			panic(err)
		}
		vals := map[string]map[string][]float64{}
		var order []string
		sc := bufio.NewScanner(fh)
		for sc.Scan() {
			w := strings.Fields(sc.Text())
			if len(w) < 4 || !strings.HasPrefix(w[0], "Benchmark") {
				continue
			}
			n := strings.TrimSuffix(w[0], "-2")
			if vals[n] == nil {
				vals[n] = map[string][]float64{}
				order = append(order, n)
			}
			for i := 2; i+1 < len(w); i += 2 {
				v, err := strconv.ParseFloat(w[i], 64)
				if err == nil {
					vals[n][w[i+1]] = append(vals[n][w[i+1]], v)
				}
			}
		}
		fmt.Println("#", f)
		for _, n := range order {
			fmt.Printf("%-52s", strings.TrimPrefix(n, "Benchmark"))
			for _, u := range strings.Split(*units, ",") {
				v := vals[n][u]
				if len(v) == 0 {
					continue
				}
				sort.Float64s(v)
				fmt.Printf("  %s %s/%s/%s", u, g(v[0]), g(v[len(v)/2]), g(v[len(v)-1]))
			}
			fmt.Println()
		}
	}
}

func g(f float64) string {
	switch {
	case f >= 1000:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
