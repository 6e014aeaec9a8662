//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/dnsdisc"
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

	// A definition's test vector is the key.
	key, err := os.ReadFile("../daemon/keystore/testdata/pbkdf2.json")
	if err != nil {
		t.Fatal(err)
	}
	set := newNodes(t, parley, 20)
	write(t, in("key.json"), key)
	write(t, in("password"), []byte("testpassword\n"))
	write(t, in("ours/nodes.json"), set)
	write(t, in("theirs/nodes.json"), set)

	signTheirs := func(tree string) { signDevp2p(t, devp2p, in(tree), in("key.json"), "nodes.example.org") }
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

// A list that one of the two programs signs is published by a DNS server of a
// third, and the other program downloads it: the same nodes with the same records.
// The devp2p tool asks the resolver of the system, parley the server it is told.
func TestDNSServed(t *testing.T) {
	t.Parallel()
	devp2p, parley, knotd := path(t, (*programs.Set).Devp2p), path(t, (*programs.Set).Parley), path(t, (*programs.Set).NameServer)
	const domain = "nodes.example.org"
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	set := newNodes(t, parley, 20)
	run(t, parley, "key", "generate", in("key"))
	want, err := dnsdisc.ParseNodeSet(set)
	if err != nil {
		t.Fatal(err)
	}
	check := func(signed, synced string) {
		t.Helper()
		text, err := os.ReadFile(in(synced + "/nodes.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := dnsdisc.ParseNodeSet(text)
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b dnsdisc.NodeStatus) bool { return a.Record.String() == b.Record.String() }
		if !maps.EqualFunc(got, want, same) {
			t.Errorf("%d nodes downloaded, %d published, or others", len(got), len(want))
		}
		if a, b := signedInfo(t, in(signed)), signedInfo(t, in(synced)); a != b || a.Signature == "" {
			t.Errorf("published %+v, downloaded %+v", a, b)
		}
	}

	t.Run("signed by parley", func(t *testing.T) {
		write(t, in("ours/nodes.json"), set)
		run(t, parley, "dns", "sign", in("ours"), in("key"), "--domain", domain)
		server := nodes.StartNameServer(t, knotd, domain, run(t, parley, "dns", "to-txt", "--zone", in("ours")))
		began := time.Now()
		out := server.Tool(t, true, devp2p, "dns", "sync", signedInfo(t, in("ours")).URL, in("ours-synced"))
		if out.Code != 0 {
			t.Fatalf("devp2p dns sync: exit code %d: %s", out.Code, out.Stderr)
		}
		t.Logf("devp2p has downloaded %d nodes in %v", len(want), time.Since(began))
		check("ours", "ours-synced")
	})
	t.Run("signed by devp2p", func(t *testing.T) {
		write(t, in("theirs/nodes.json"), set)
		// The tool signs with a keystore file; the key need not be the same.
		key, err := os.ReadFile("../daemon/keystore/testdata/pbkdf2.json")
		if err != nil {
			t.Fatal(err)
		}
		write(t, in("key.json"), key)
		signDevp2p(t, devp2p, in("theirs"), in("key.json"), domain)
		run(t, devp2p, "dns", "to-txt", in("theirs"), in("records.json"))
		server := nodes.StartNameServer(t, knotd, domain, zoneText(records(t, in("records.json"))))
		began := time.Now()
		out := server.Tool(t, false, parley, "dns", "sync", "--resolver", nodes.NameServerAddr, signedInfo(t, in("theirs")).URL, in("theirs-synced"))
		if out.Code != 0 {
			t.Fatalf("parley dns sync: exit code %d: %s", out.Code, out.Stderr)
		}
		t.Logf("parley has downloaded %d nodes in %v", len(want), time.Since(began))
		check("theirs", "theirs-synced")
	})
}

// newNodes returns a nodes.json with n new nodes.
func newNodes(t *testing.T, parley string, n int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "node.key")
	list := make(map[string]any)
	for len(list) < n {
		os.Remove(file)
		run(t, parley, "key", "generate", file)
		var node struct{ ID, ENR string }
		if err := json.Unmarshal([]byte(run(t, parley, "key", "to-enr", "--json", "--ip", "203.0.113.7", file)), &node); err != nil {
			t.Fatal(err)
		}
		list[node.ID] = map[string]any{"seq": 1, "record": node.ENR, "score": 1, "lastCheck": "2026-11-01T10:00:00Z"}
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signDevp2p has the devp2p tool sign a list. The tool asks for the password of the
// key where it is run.
func signDevp2p(t *testing.T, devp2p, tree, key, domain string) {
	t.Helper()
	cmd := exec.Command(devp2p, "dns", "sign", "--domain", domain, tree, key)
	cmd.Stdin = strings.NewReader("testpassword\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("devp2p dns sign: %v\n%s", err, out)
	}
}

// zoneText writes records, texts by their names, as lines of a zone file. A text is
// given in strings of at most 255 bytes, as DNS has them (RFC 1035, section 3.3).
func zoneText(records map[string]string) string {
	var zone strings.Builder
	for name, text := range records {
		fmt.Fprintf(&zone, "%s. 60 IN TXT", name)
		for part := range slices.Chunk([]byte(text), 255) {
			fmt.Fprintf(&zone, " \"%s\"", part) // no text of a list has a quote in it
		}
		zone.WriteString("\n")
	}
	return zone.String()
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
