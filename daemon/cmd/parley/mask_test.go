package main

import (
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"parley/enode"
)

// masks stand for what differs from run to run: times, and what the system picked.
// The nodes that a script started are masked before, by their names.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "DATE"},
	{regexp.MustCompile(`(?m)^ \d\d:\d\d:\d\d `), " HH:MM:SS "},
	{regexp.MustCompile(`\d+(\.\d+)? ms`), "N ms"},
	{regexp.MustCompile(`(last tried|next try in) \d+[smhd]`), "$1 N"},
	{regexp.MustCompile(`next try now`), "next try in N"},
	{regexp.MustCompile(`\(\d+ times in \d+[smhd]\)`), "(N times)"},
	{regexp.MustCompile(`"(count|failures)": \d+`), `"$1": N`},
	{regexp.MustCompile(`Parley/v0\.1\.0/[^ "]*`), "Parley"},
	{regexp.MustCompile(`lookup ([a-z.-]+)( on [0-9a-f.:\[\]]+)?: (no such host|server misbehaving|Temporary failure in name resolution|[^"\n]*timeout|[^"\n]*refused)`), "lookup $1: not found"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{4,5}`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`discv[45] N ms`), "discvN N ms"},
	{regexp.MustCompile(`offered \d+ → dialed \d+ → tcp \d+ → hello \d+ → peer \d+; refused: [^"\n]*`), "offered N → dialed N → tcp N → hello N → peer N; refused: N"},
	{regexp.MustCompile(`eth sessions: \d+; refused: [^"\n]*`), "eth sessions: N; refused: N"},
	// What came in the meantime, from this script or from what it started.
	{regexp.MustCompile(`(?m)^ (ok  |warn) from (discv4|discv5|inbound|other|db|anchor) .*\n(      → .*\n)?`), ""},
	{regexp.MustCompile(`  \{\n    "check": "from (discv4|discv5|inbound|other|db|anchor)",[^}]*\},\n`), ""},
	// Who is first, when both sides find out at the same time.
	{regexp.MustCompile(`subprotocol error \(said by the other side\): eth: `), "eth: "},
}

// masked runs a command as exec does and prints its standard output with what differs
// from run to run replaced.
func masked(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	out := ts.ReadFile("stdout")
	for name := range ts.Value(nodesKey{}).(map[string]*process) {
		n, err := enode.Parse(ts.Getenv(name))
		if err != nil {
			continue
		}
		id := n.ID().String()
		key, _, _ := strings.Cut(strings.TrimPrefix(n.URL(), "enode://"), "@")
		out = strings.NewReplacer(id, "id-"+name, id[:16], "id-"+name, id[:8], "id-"+name, key, "key-"+name).Replace(out)
		if ep, ok := n.TCPEndpoint(); ok {
			out = strings.ReplaceAll(out, ep.String(), "127.0.0.1:port-"+name)
		}
	}
	for _, m := range masks {
		out = m.pattern.ReplaceAllString(out, m.with)
	}
	ts.Stdout().Write([]byte(out))
	ts.Stderr().Write([]byte(ts.ReadFile("stderr")))
	if (err != nil) != neg {
		ts.Fatalf("%v: %v\n%s", args, err, out)
	}
}
