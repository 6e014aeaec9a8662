package main

import (
	"fmt"
	"slices"
)

// A column says how both sides are built.
type column string

const (
	pure column = "go" // without cgo, both
	libC column = "c"  // cgo, parley with the tag libsecp256k1
)

// A side is one of the two that are compared. Its value is the name that the
// harness has for it.
type side string

const (
	reference side = "geth"
	ours      side = "parley"
)

// A goal says when a line is met.
type goal struct {
	kind  goalKind
	limit float64
}

type goalKind int

const (
	noGoal  goalKind = iota // the line explains another one
	atMost                  // median of ours/reference
	atLeast                 // the same, for what is better when it is more
	within                  // median of ours alone
	reaches                 // the same, for what is better when it is more
)

// A line is one line of the table, a figure of its job.
type line struct {
	what string
	key  string // in the figures of the job
	unit string
	goal goal
}

// A job is a program that is run for one side and then for the other.
type job struct {
	id      string
	column  column
	command func(side) command
	lines   []line
	every   int // run in each every-th round only; 0 means in all

	// against, if set, is measured in place of the reference.
	against func() command
}

// selectJobs returns the jobs of a row, or all without an id.
func selectJobs(all []job, id string) []job {
	return slices.DeleteFunc(all, func(j job) bool { return id != "" && j.id != id })
}

// jobs returns what is measured, in the order of the table.
func jobs(short bool) []job {
	span := func(long, brief string) string {
		if short {
			return brief
		}
		return long
	}
	all := []job{
		rlpx("H1", libC, "BenchmarkHandshake/pipe", span("500ms", "200ms"),
			line{"RLPx handshake, both sides, CPU", "cpu-ns/op", "ns", goal{atMost, 0.65}},
			line{"  allocations", "allocs/op", "", goal{within, 100}}),
		rlpx("H2", pure, "BenchmarkHandshake/pipe", span("500ms", "200ms"),
			line{"RLPx handshake, both sides, CPU", "cpu-ns/op", "ns", goal{atMost, 0.75}}),
	}
	for _, f := range []struct {
		id, size string
		limit    float64
	}{{"F1", "64B", 3}, {"F2", "1KB", 1.8}, {"F3", "32KB", 0.95}, {"F3", "256KB", 0.95}, {"F3", "1MB", 0.95}} {
		all = append(all, rlpx(f.id, pure, "BenchmarkTCP/rand/"+f.size, span("300ms", "100ms"),
			line{"stream of " + f.size + ", a write call each, messages/s", "msg/s", "/s", goal{atLeast, f.limit}},
			line{"  CPU, sender and receiver", "cpu-ns/op", "ns", goal{}}))
		if n := map[string]string{"F1": span("200000", "50000"), "F2": span("100000", "25000")}[f.id]; n != "" {
			size := map[string]string{"F1": "64", "F2": "1024"}[f.id]
			all = append(all, server(f.id, pure, []string{"BENCH_BURST=256"},
				[]string{"bcast", "-peers", "1", "-size", size, "-n", n, "-kind", "rand"},
				line{"stream of " + f.size + " through the server, messages/s", "msg/s", "/s", goal{atLeast, f.limit}},
				line{"  CPU of the server", "server-cpu-us/msg", "µs", goal{}}))
		}
	}
	all = append(all,
		rlpx("F4", pure, "BenchmarkWriteMem/rand/64B", span("200ms", "50ms"),
			line{"a frame of 64 B sealed, CPU in user space", "cpu-ns/op", "ns", goal{atMost, 0.6}}),
		rlpx("F4", pure, "BenchmarkReadMem/rand/64B", span("200ms", "50ms"),
			line{"a frame of 64 B opened, CPU in user space", "cpu-ns/op", "ns", goal{atMost, 0.6}}))

	rate := []string{"rate", "-workers", "8", "-secs", span("3", "1")}
	paced := []string{"paced", "-secs", span("3", "1.5")}
	all = append(all,
		load("S1", libC, paced,
			line{"accept to running protocol, server CPU, 150/s", "server-cpu-us/conn", "µs", goal{atMost, 0.5}},
			line{"  in the kernel", "server-kern-us/conn", "µs", goal{}},
			line{"  allocations", "server-allocs/conn", "", goal{within, 120}}),
		server("S1", libC, nil, rate,
			line{"  as fast as each side lets 8 clients", "server-cpu-us/conn", "µs", goal{}},
			line{"  connections/s of it", "conn/s", "/s", goal{}}),
		load("S1", pure, paced,
			line{"accept to running protocol, server CPU, 150/s", "server-cpu-us/conn", "µs", goal{}}),
		floor("connection", load("S1", pure, paced,
			line{"  against the curve operations alone", "server-cpu-us/conn", "µs", goal{atMost, 1.2}})))

	hold := server("S2", pure, []string{"BENCH_NOBCAST=1"}, []string{"hold", "-secs", "1", "-peers", span("2000", "500")},
		line{"RSS per idle peer", "rss-KB/peer", "KB", goal{within, 12}},
		line{"  heap in use", "heapInuse-KB/peer", "KB", goal{}},
		line{"  stacks", "stack-KB/peer", "KB", goal{}},
		line{"  goroutines", "goroutines/peer", "", goal{within, 2}})
	hold.every = 3
	big := load("S3", pure, []string{"big"},
		line{"heap kept by a connection after one 800 KB message", "heap-KB/peer", "KB", goal{within, 64}})
	big.every = 3
	all = append(all, hold, big,
		server("S4", pure, nil, []string{"ping", "-size", "32", "-n", span("20000", "5000")},
			line{"request/response round trip, p50", "p50", "µs", goal{atMost, 0.8}},
			line{"  p99", "p99", "µs", goal{atMost, 0.8}},
			line{"  CPU of the server", "server-cpu-us/rt", "µs", goal{}}))

	for _, c := range []struct{ id, what, burst, size, n string }{
		{"B1", "broadcast 1 KB to 100 peers, server CPU per message", "1", "1024", span("600", "300")},
		{"B1", "  in bursts of 16", "16", "1024", span("1600", "320")},
		{"B2", "broadcast 128 KB to 100 peers, server CPU per message", "1", "131072", span("20", "10")},
	} {
		limit := map[string]float64{"B1": 0.55, "B2": 0.4}[c.id]
		if c.burst == "16" {
			limit = 0.2
		}
		all = append(all, server(c.id, pure, []string{"BENCH_BURST=" + c.burst},
			[]string{"bcast", "-peers", "100", "-kind", "tx", "-size", c.size, "-n", c.n},
			line{c.what, "server-cpu-us/msg", "µs", goal{atMost, limit}}))
	}
	return append(all, discovery(short)...)
}

// rlpx is a benchmark of both sides' RLPx in one process.
func rlpx(id string, c column, benchmark, span string, lines ...line) job {
	return job{id: id, column: c, lines: lines, command: func(s side) command {
		return command{program: "rlpxb.test", column: c, read: readBenchmark,
			args: []string{"-test.run", "^$", "-test.bench", exact(benchmark + "/" + string(s)), "-test.benchtime", span}}
	}}
}

// server loads a server with p2pcli.
func server(id string, c column, env, args []string, lines ...line) job {
	return job{id: id, column: c, lines: lines, command: func(s side) command {
		return command{program: "p2pcli", server: fmt.Sprintf("p2psrv-%s", s), column: c, env: env, read: readValues,
			args: append(slices.Clone(args), "-reps", "1")}
	}}
}

// load loads a server with p2pload.
func load(id string, c column, args []string, lines ...line) job {
	return job{id: id, column: c, lines: lines, command: func(s side) command {
		return command{program: "p2pload", server: fmt.Sprintf("p2psrv-%s", s), column: c, read: readValues, args: args}
	}}
}

// floor sets a job against the curve operations alone of what secpfloor names so.
func floor(of string, j job) job {
	j.against = func() command {
		return command{program: "secpfloor", column: j.column, args: []string{of}, read: func(text string) map[string]float64 {
			figures := readValues(text)
			if v, ok := figures["cpu-us/op"]; ok {
				figures[j.lines[0].key] = v
			}
			return figures
		}}
	}
	return j
}
