package main

import (
	"fmt"
	"slices"
)

// discovery returns the rows of discovery and of the node database.
func discovery(short bool) []job {
	n := func(long int) string {
		if short {
			long /= 3
		}
		return fmt.Sprint(long)
	}
	span := func(long, brief string) string {
		if short {
			return brief
		}
		return long
	}
	// Where parley has a limit both sides get requests at the same rate: one that
	// the reference can follow and that the limit lets through.
	ping4 := []string{"-n", n(3000), "-rate", "1500", "v4ping"}
	find4 := []string{"-n", n(1500), "-rate", "500", "v4findnode"}
	ping5 := []string{"-n", n(30000), "-rate", "0", "v5ping"}
	find5 := []string{"-n", n(6000), "-rate", "0", "v5findnode"}
	hands := []string{"-n", n(600), "-rate", "200", "v5handshake"}
	junk4 := []string{"-n", n(30000), "-rate", "10000", "v4junk"}
	junk5 := []string{"-n", n(30000), "-rate", "0", "v5junk"}

	cost := func(what string, g goal) line { return line{what, "server-cpu-us/op", "µs", g} }
	kern := line{"  in the kernel", "server-kern-us/op", "µs", goal{}}
	allocs := func(g goal) line { return line{"  allocations", "server-allocs/op", "", g} }
	alone := cost("  against the curve operations alone", goal{atMost, 1.2})

	jobs := []job{
		node("D1", libC, ping4, cost("discv4 PING, server CPU", goal{atMost, 0.5}), kern, allocs(goal{within, 10})),
		node("D1", pure, ping4, cost("discv4 PING, server CPU", goal{})),
		floor("v4ping", node("D1", pure, ping4, alone)),
		node("D2", libC, find4, cost("discv4 FINDNODE, server CPU", goal{atMost, 0.45}), kern, allocs(goal{within, 16})),
		node("D2", pure, find4, cost("discv4 FINDNODE, server CPU", goal{})),
		floor("v4findnode", node("D2", pure, find4, alone)),
		node("D3", pure, ping5, cost("discv5 PING in a session, server CPU", goal{atMost, 0.35}), kern, allocs(goal{within, 6})),
		node("D4", pure, find5, cost("discv5 FINDNODE, server CPU", goal{atMost, 0.25}), kern, allocs(goal{within, 10})),
		node("D5", libC, hands, cost("discv5 handshake, server CPU", goal{atMost, 0.55}), kern, allocs(goal{})),
		node("D5", pure, hands, cost("discv5 handshake, server CPU", goal{})),
		floor("v5handshake", node("D5", pure, hands, alone)),
		network("D6", "v4", span("10", "5"), "20s", // before that, all are busy with each other
			line{"first discv4 lookup in a 200-node network, p50", "p50", "µs", goal{atMost, 0.05}},
			line{"  nodes that a lookup returned", "mean-results", "", goal{}}),
		network("D7", "v5", span("60", "20"), span("30s", "15s"),
			line{"discv5 lookup in a 200-node network, p50", "p50", "µs", goal{atMost, 1}},
			line{"  nodes in the smallest table after " + span("30s", "15s"), "min", "", goal{reaches, 32}},
			line{"  nodes in a table", "mean", "", goal{}}),
		idle("D8", line{"idle node, v4 and v5 on one socket, goroutines", "goroutines/node", "", goal{within, 4}},
			line{"  RSS", "rss/node", "KB", goal{within, 120}}),
		database("N1", line{"open a node database of 10,000 nodes", "open", "µs", goal{atMost, 1}},
			line{"  CPU", "cpu", "µs", goal{}}),
		node("C1", pure, junk4, cost("discv4 packet with a wrong hash, server CPU", goal{atMost, 1}), kern, allocs(goal{})),
		node("C1", pure, junk5, cost("discv5 packet that cannot be decrypted, server CPU", goal{within, 2}),
			line{"  in user space", "server-user-us/op", "µs", goal{}}, kern, allocs(goal{})),
	}
	return jobs
}

// node loads a discovery node with discload.
func node(id string, c column, args []string, lines ...line) job {
	return job{id: id, column: c, lines: lines, command: func(s side) command {
		return command{program: "discload", server: fmt.Sprintf("discnode-%s", s), column: c, read: readValues, args: slices.Clone(args)}
	}}
}

// network runs a network of discovery nodes. It takes long, so not in all rounds.
func network(id, protocol, lookups, warm string, lines ...line) job {
	return job{id: id, column: pure, lines: lines, every: 3, command: func(s side) command {
		return command{program: fmt.Sprintf("discsim-%s", s), column: pure, read: readFirstPass,
			args: []string{"-v", protocol, "-n", "200", "-lookups", lookups, "-warm", warm}}
	}}
}

// idle runs discovery nodes that know nobody.
func idle(id string, lines ...line) job {
	return job{id: id, column: pure, lines: lines, every: 3, command: func(s side) command {
		c := command{program: "discidle-geth", column: pure, read: readValues, args: []string{"-n", "50", "-warm", "3s"}}
		if s == ours {
			c.program, c.args = "discsim-parley", append([]string{"-v", "both"}, c.args...)
		}
		return c
	}}
}

// database opens a file with nodes. Parley keeps no more than these.
func database(id string, lines ...line) job {
	return job{id: id, column: pure, lines: lines, command: func(s side) command {
		return command{program: "dbopen", column: pure, read: readValues, args: []string{"-n", "10000", string(s)}}
	}}
}
