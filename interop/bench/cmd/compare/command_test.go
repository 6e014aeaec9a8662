package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the programs print is read in one unit: times in microseconds, sizes in KB. Of a
// name that comes twice the last value counts.
func TestReadValues(t *testing.T) {
	got := readValues("sim v5: n=200 settled: goroutines/node=2.0 rss/node=720.3KB\n" +
		"sim v5: pass 1 lookups=20 p50=7.555ms p90=1.5s max=900ns word=x\nn=3 cpu-us/op=1.2e3\n")
	want := map[string]float64{
		"n": 3, "goroutines/node": 2, "rss/node": 720.3, "lookups": 20, "p50": 7555, "p90": 1.5e6, "max": 0.9, "cpu-us/op": 1200,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestReadPerPeer(t *testing.T) {
	got := readValues("peers=2000 goroutines=4001 (+2.0/peer)\nafter FreeOSMemory: rss=50000 (+21.4 KB/peer) heapInuse +7.9 KB/peer stack +12.0 KB/peer\n")
	for name, want := range map[string]float64{"goroutines/peer": 2, "rss-KB/peer": 21.4, "heapInuse-KB/peer": 7.9, "stack-KB/peer": 12} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}

// The second pass of lookups finds full tables; the first one counts.
func TestReadFirstPass(t *testing.T) {
	got := readFirstPass("sim v4: pass 1 lookups=5 p50=31ms\nsim v4: pass 2 lookups=5 p50=11ms\n")
	if got["p50"] != 31000 {
		t.Errorf("p50 = %v, want 31000", got["p50"])
	}
}

func TestReadBenchmark(t *testing.T) {
	got := readBenchmark("goos: linux\nBenchmarkHandshake/pipe/geth-2 \t 600\t 826000 ns/op\t 790.5 cpu-ns/op\t 367 allocs/op\nPASS\n")
	if want := map[string]float64{"ns/op": 826000, "cpu-ns/op": 790.5, "allocs/op": 367}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A program that fails, or whose connections did, gives an error with what it said
// first; a figure that a line needs and that is not printed is one too.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := func(name, script string) {
		if err := os.WriteFile(filepath.Join(dir, "go", name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program("load-geth", "echo t=30\n")
	program("load-parley", "echo t=$1\n")
	jobFor := func(arg, key string) job {
		return job{id: "X1", column: pure, lines: []line{{what: "w", key: key}}, command: func(s side) command {
			return command{program: "load-" + string(s), column: pure, args: []string{arg}, read: readValues}
		}}
	}
	raw := new(strings.Builder)
	b := &bench{bin: dir, progress: new(strings.Builder), raw: raw}
	for _, first := range []bool{false, true} {
		raw.Reset()
		s, err := b.measure(t.Context(), jobFor("6", "t"), first)
		if err != nil || s.reference["t"] != 30 || s.ours["t"] != 6 {
			t.Errorf("ours first %v: %v, %v; want 30 and 6", first, s, err)
		}
		if got := strings.Index(raw.String(), "t=6") < strings.Index(raw.String(), "t=30"); got != first {
			t.Errorf("ours first %v, want %v:\n%s", got, first, raw)
		}
	}
	against := jobFor("6", "t")
	against.against = func() command {
		return command{program: "load-parley", column: pure, args: []string{"5"}, read: readValues}
	}
	if s, err := b.measure(t.Context(), against, false); err != nil || s.reference["t"] != 5 {
		t.Errorf("against: %v, %v; want 5", s, err)
	}
	for _, c := range []struct{ name, script, want string }{
		{"fails", "echo no socket\necho more\nexit 1\n", "no socket"},
		{"connections fail", "echo t=6 fail=3\n", "connections failed"},
		{"nothing printed", "echo u=6\n", "printed no t"},
	} {
		program("load-parley", c.script)
		if _, err := b.measure(t.Context(), jobFor("6", "t"), false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Rows run in each round, or in each so-manieth; without libsecp256k1 its column says
// so.
func TestRounds(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go", "p"), []byte("#!/bin/sh\necho t=1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(side) command { return command{program: "p", column: pure, read: readValues} }
	lines := []line{{what: "w", key: "t"}}
	b := &bench{bin: dir, progress: new(strings.Builder), raw: new(strings.Builder), missing: "needs it"}
	results := b.rounds(t.Context(), []job{
		{id: "X1", column: pure, lines: lines, command: run},
		{id: "X2", column: pure, lines: lines, command: run, every: 3},
		{id: "X3", column: libC, lines: lines, command: run},
	}, 5)
	if n := len(results[0].samples); n != 5 {
		t.Errorf("%d rounds of the first job, want 5", n)
	}
	if n := len(results[1].samples); n != 2 {
		t.Errorf("%d rounds of that which runs in each third, want 2", n)
	}
	if err := results[2].err; len(results[2].samples) != 0 || err == nil || !strings.Contains(err.Error(), "needs it") {
		t.Errorf("the column that cannot be built: %v", results[2])
	}
}

// Every job has lines, and each id that is asked for selects its own jobs.
func TestJobs(t *testing.T) {
	for _, short := range []bool{false, true} {
		all := jobs(short)
		for _, j := range all {
			if len(j.lines) == 0 || j.id == "" || j.command(ours).program == "" || j.command(ours).read == nil {
				t.Errorf("job %q is not complete", j.id)
			}
			for _, mine := range selectJobs(jobs(short), j.id) {
				if mine.id != j.id {
					t.Errorf("%s selects %s", j.id, mine.id)
				}
			}
		}
		if n := len(selectJobs(jobs(short), "")); n != len(all) {
			t.Errorf("%d of %d jobs without an id", n, len(all))
		}
		if n := len(selectJobs(jobs(short), "NONE")); n != 0 {
			t.Errorf("%d jobs have an id that there is not", n)
		}
	}
}

func TestExact(t *testing.T) {
	if got := exact("BenchmarkTCP/rand/64B/geth"); got != "^BenchmarkTCP$/^rand$/^64B$/^geth$" {
		t.Errorf("got %s", got)
	}
}
