//go:build interop

package interop

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/interop/nodes"
	"parley/interop/programs"
)

// The devp2p tool and parley sign the same list alike with the same key, and each
// writes the records of what the other signed.
func TestDNSLists(t *testing.T) {
	t.Parallel()
	devp2p, parley := path(t, (*programs.Set).Devp2p), path(t, (*programs.Set).Parley)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }

	// A definition's test vector is the key, twenty new nodes are the list.
	key, err := os.ReadFile("../daemon/keystore/testdata/pbkdf2.json")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]any)
	for len(list) < 20 {
		file := in("node.key")
		os.Remove(file)
		run(t, parley, "key", "generate", file)
		var node struct{ ID, ENR string }
		if err := json.Unmarshal([]byte(run(t, parley, "key", "to-enr", "--json", "--ip", "203.0.113.7", file)), &node); err != nil {
			t.Fatal(err)
		}
		list[node.ID] = map[string]any{"seq": 1, "record": node.ENR, "score": 1, "lastCheck": "2026-11-01T10:00:00Z"}
	}
	set, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("key.json"), key)
	write(t, in("password"), []byte("testpassword\n"))
	write(t, in("ours/nodes.json"), set)
	write(t, in("theirs/nodes.json"), set)

	// The tool asks for the password where it is run.
	signTheirs := func(tree string) {
		cmd := exec.Command(devp2p, "dns", "sign", "--domain", "nodes.example.org", in(tree), in("key.json"))
		cmd.Stdin = strings.NewReader("testpassword\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("devp2p dns sign: %v\n%s", err, out)
		}
	}
	signOurs := func(tree string) {
		run(t, parley, "dns", "sign", in(tree), in("key.json"), "--password", in("password"), "--domain", "nodes.example.org")
	}
	for round := range 2 { // in the second each signs what the other has signed
		if round == 0 {
			signOurs("ours")
			signTheirs("theirs")
		} else {
			signOurs("theirs")
			signTheirs("ours")
		}
		a, b := signedInfo(t, in("ours")), signedInfo(t, in("theirs"))
		if a != b || a.Seq != uint64(round+1) || a.Signature == "" {
			t.Errorf("round %d: %+v and %+v", round, a, b)
		}
		run(t, devp2p, "dns", "to-txt", in("ours"), in("records.json"))
		theirs := records(t, in("records.json"))
		run(t, parley, "dns", "to-txt", in("theirs"), in("records.json"))
		if ours := records(t, in("records.json")); !maps.Equal(ours, theirs) || len(ours) != 25 {
			t.Errorf("round %d: %d records by parley, %d by devp2p, or others; want the same 25", round, len(ours), len(theirs))
		}
	}
}

// run runs a program that must succeed and returns what it printed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out := nodes.Tool(t, program, args...)
	if out.Code != 0 {
		t.Fatalf("%s %s: exit code %d: %s", filepath.Base(program), strings.Join(args, " "), out.Code, out.Stderr)
	}
	return out.Stdout
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An info is what matters here of enrtree-info.json.
type info struct {
	URL       string
	Seq       uint64
	Signature string
}

func signedInfo(t *testing.T, tree string) (i info) {
	t.Helper()
	readJSON(t, filepath.Join(tree, "enrtree-info.json"), &i)
	return i
}

func records(t *testing.T, file string) (m map[string]string) {
	t.Helper()
	readJSON(t, file, &m)
	return m
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
}
