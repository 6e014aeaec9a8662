package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// measured returns a result of rounds with the given figures of both sides.
func measured(key string, pairs ...[2]float64) result {
	var r result
	for _, p := range pairs {
		r.samples = append(r.samples, sample{
			reference: map[string]float64{key: p[0]}, ours: map[string]float64{key: p[1]},
		})
	}
	return r
}

// A row has the medians of both sides, and smallest, middle and largest of the ratios
// of single rounds, which is not the ratio of the medians.
func TestTableRow(t *testing.T) {
	j := job{id: "X1", column: pure}
	rounds := measured("t", [2]float64{100, 40}, [2]float64{200, 60}, [2]float64{50, 45})
	for _, c := range []struct {
		name string
		goal goal
		want []string
	}{
		{"no goal", goal{}, []string{"", ""}},
		{"ratio met", goal{atMost, 0.4}, []string{"≤ 0.4 ×", "yes"}},
		{"ratio not met", goal{atMost, 0.39}, []string{"≤ 0.39 ×", "no"}},
		{"at least met", goal{atLeast, 0.4}, []string{"≥ 0.4 ×", "yes"}},
		{"at least not met", goal{atLeast, 0.41}, []string{"≥ 0.41 ×", "no"}},
		{"within", goal{within, 45}, []string{"≤ 45 µs", "yes"}},
		{"not within", goal{within, 44}, []string{"≤ 44 µs", "no"}},
		{"reaches", goal{reaches, 45}, []string{"≥ 45 µs", "yes"}},
		{"does not reach", goal{reaches, 46}, []string{"≥ 46 µs", "no"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := tableRow(j, line{"what", "t", "µs", c.goal}, rounds)
			want := append([]string{"X1", "go", "what", "100 µs", "45 µs", "0.30", "0.40", "0.90"}, c.want...)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// A reference of zero has no ratio: a goal that is one is not met, and another may be.
func TestTableRowNoRatio(t *testing.T) {
	none := measured("n", [2]float64{0, 3}, [2]float64{0, 5})
	for _, c := range []struct {
		goal goal
		met  string
	}{{goal{atMost, 1}, "no"}, {goal{atLeast, 0}, "no"}, {goal{within, 4}, "yes"}} {
		got := tableRow(job{id: "X1", column: pure}, line{"what", "n", "", c.goal}, none)
		if got[4] != "4" || got[5]+got[6]+got[7] != "" || got[9] != c.met {
			t.Errorf("goal %v: %q; want 4, no ratio, %s", c.goal, got, c.met)
		}
	}
}

// A job that gave nothing says why.
func TestTableRowNotMeasured(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{{errors.New("first line\nsecond"), "first line"}, {nil, "not measured"}} {
		got := tableRow(job{id: "X1", column: libC}, line{"what", "t", "µs", goal{atMost, 1}}, result{err: c.err})
		if got[9] != c.want || got[3]+got[6] != "" {
			t.Errorf("%q, want %q and no figures", got, c.want)
		}
	}
}

// All lines of a table have the same width, and letters of several bytes count once.
func TestWriteTable(t *testing.T) {
	jobs := []job{
		{id: "X1", column: pure, lines: []line{{"short", "t", "µs", goal{atMost, 0.5}}, {"  a longer one", "t", "", goal{}}}},
		{id: "X2", column: libC, lines: []line{{"none", "t", "ns", goal{}}}},
	}
	var b strings.Builder
	writeTable(&b, jobs, []result{measured("t", [2]float64{1000, 250}), {}})
	want := `
| id | build | what           | reference |   ours |  min | median |  max | goal    | met          |
|----|-------|----------------|-----------|--------|------|--------|------|---------|--------------|
| X1 | go    | short          |   1000 µs | 250 µs | 0.25 |   0.25 | 0.25 | ≤ 0.5 × | yes          |
| X1 | go    |   a longer one |      1000 |    250 | 0.25 |   0.25 | 0.25 |         |              |
| X2 | c     | none           |           |        |      |        |      |         | not measured |
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got:%swant:%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 1, 4, 2}, 3}} {
		before := slices.Clone(c.in)
		if got := median(c.in); got != c.want || !slices.Equal(c.in, before) {
			t.Errorf("median(%v) = %v, want %v and the list as it was", before, got, c.want)
		}
	}
}

func TestFigure(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{9999, "ns", "9999 ns"}, {10_000, "ns", "10 µs"}, {1234.5, "µs", "1234 µs"}, {12.345, "µs", "12.3 µs"},
		{1.2345, "µs", "1.23 µs"}, {3, "", "3"}, {0.5, "", "0.50"}, {91932.4, "/s", "91932/s"},
	} {
		if got := figure(c.v, c.unit); got != c.want {
			t.Errorf("figure(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}
