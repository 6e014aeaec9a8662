// Command kvsum summarises the "mode: key=value ..." lines of p2pcli and disccli.
// One file: min/median/max per key. Two files (A B, line i of A paired with line i of B):
// both, and the median of the per-line ratio B/A.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

var re = regexp.MustCompile(`([A-Za-z0-9./-]+)=([0-9][^ )]*)|\((user|kern) ([0-9.]+)| kern ([0-9.]+)\)`)

func num(s string) (float64, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return float64(d) / 1e3, true // microseconds
	}
	return 0, false
}

func load(f string) (keys []string, v map[string][]float64) {
	v = map[string][]float64{}
	fh, err := os.Open(f)
	if err != nil {
		panic(err)
	}
	sc := bufio.NewScanner(fh)
	for sc.Scan() {
		for _, m := range re.FindAllStringSubmatch(sc.Text(), -1) {
			k, s := m[1], m[2]
			if k == "" {
				continue
			}
			if x, ok := num(strings.TrimSuffix(s, ",")); ok {
				if v[k] == nil {
					keys = append(keys, k)
				}
				v[k] = append(v[k], x)
			}
		}
	}
	return
}

func stat(x []float64) string {
	s := append([]float64(nil), x...)
	sort.Float64s(s)
	return fmt.Sprintf("%10.4g %10.4g %10.4g", s[0], s[len(s)/2], s[len(s)-1])
}

func main() {
	keys, a := load(os.Args[1])
	if len(os.Args) == 2 {
		for _, k := range keys {
			fmt.Printf("%-24s min/med/max %s  n=%d\n", k, stat(a[k]), len(a[k]))
		}
		return
	}
	_, b := load(os.Args[2])
	for _, k := range keys {
		n := min(len(a[k]), len(b[k]))
		if n == 0 {
			continue
		}
		r := make([]float64, n)
		for i := range r {
			r[i] = b[k][i] / a[k][i]
		}
		sort.Float64s(r)
		fmt.Printf("%-24s A %s | B %s | median B/A %.3f (min %.3f max %.3f) n=%d\n", k, stat(a[k]), stat(b[k]), r[n/2], r[0], r[n-1], n)
	}
}
