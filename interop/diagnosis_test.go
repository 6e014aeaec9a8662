//go:build interop

package interop

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley/interop/nodes"
	"parley/interop/programs"
)

var update = flag.Bool("update", false, "write what parley why and doctor print into testdata")

// timesAndPorts are what differs from run to run in what parley prints of a geth.
var timesAndPorts = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "DATE"},
	{regexp.MustCompile(`(?m)^ \d\d:\d\d:\d\d `), " HH:MM:SS "},
	{regexp.MustCompile(`(last tried|next try in) \d+[smhd]`), "$1 N"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`(?i)geth/[^ "]*`), "geth/VERSION"},
	{regexp.MustCompile(`"(count|failures)": \d+`), `"$1": N`},
	{regexp.MustCompile(`offered \d+ → dialed \d+ → tcp \d+ → hello \d+ → peer \d+; refused: [^"\n]*`), "offered N → dialed N → tcp N → hello N → peer N; refused: N"},
	{regexp.MustCompile(`eth sessions: \d+; refused: [^"\n]*`), "eth sessions: N; refused: N"},
	{regexp.MustCompile(`(?m)^ (ok  |warn) from inbound .*\n`), ""},
	{regexp.MustCompile(`  \{\n    "check": "from inbound",[^}]*\},\n`), ""},
	// Both sides find out at the same time: see TestMismatch.
	{regexp.MustCompile(`eth: genesis mismatch: ours 0x606f31c3…, theirs 0x6200b0a6…|subprotocol error \(said by the other side\)`), "REFUSED"},
	{regexp.MustCompile(`REFUSED: REFUSED`), "REFUSED"},
}

// printed compares what parley prints with testdata/NAME, and its exit code.
func printed(t *testing.T, name string, code int, parley *nodes.Parley, geth *nodes.Geth, args ...string) {
	t.Helper()
	out := nodes.Tool(t, path(t, (*programs.Set).Parley), append(args, "--ipcpath", parley.Socket)...)
	if out.Code != code {
		t.Errorf("%s: exit code %d, want %d: %s", strings.Join(args, " "), out.Code, code, out.Stderr)
	}
	key, _, _ := strings.Cut(strings.TrimPrefix(geth.URL(), "enode://"), "@")
	got := strings.NewReplacer(geth.ID, "GETH", geth.ID[:16], "GETH", key, "KEY").Replace(out.Stdout)
	for _, m := range timesAndPorts {
		got = m.pattern.ReplaceAllString(got, m.with)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s prints\n%s\nwant, as in %s,\n%s", strings.Join(args, " "), got, file, want)
	}
}

// parley why and doctor name the gate that a geth keeps them out at, and what to do:
// one of another genesis, and one that is full.
func TestDiagnosis(t *testing.T) {
	t.Parallel()
	network, other := nodes.Private(), nodes.OtherGenesis(t)
	geth := startGeth(t, "geth", network, func(o *nodes.GethOptions) { o.MaxPeers = oneInbound })

	stranger := startParley(t, "stranger", &other, "--nodiscover")
	stranger.AddPeer(geth.URL())
	told := func(parley *nodes.Parley) {
		t.Helper()
		nodes.Wait(t, soon, "parley has a verdict on geth", func() bool {
			e := parley.Explain(geth.ID)
			return len(e.Verdicts) > 0 && !e.Connected
		})
	}
	told(stranger)
	id := geth.ID
	printed(t, "why-genesis.txt", 0, stranger, geth, "why", id)
	printed(t, "why-genesis.json", 0, stranger, geth, "why", id, "--json")
	printed(t, "doctor-genesis.txt", 1, stranger, geth, "doctor")
	printed(t, "doctor-genesis.json", 1, stranger, geth, "doctor", "--json")

	first, second := startParley(t, "first", &network, "--nodiscover"), startParley(t, "second", &network, "--nodiscover")
	first.AddPeer(geth.URL())
	linked(t, first.Node, geth.Node)
	second.AddPeer(geth.URL())
	told(second)
	printed(t, "why-full.txt", 0, second, geth, "why", id)
	printed(t, "why-full.json", 0, second, geth, "why", id, "--json")
	printed(t, "doctor-full.txt", 1, second, geth, "doctor")
	printed(t, "doctor-full.json", 1, second, geth, "doctor", "--json")
}
