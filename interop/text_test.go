//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/interop/nodes"
	"parley/interop/programs"
)

// tool runs a tool that must succeed and returns its standard output.
func tool(t *testing.T, program string, args ...string) string {
	t.Helper()
	out := nodes.Tool(t, program, args...)
	if out.Code != 0 {
		t.Fatalf("%s %q: exit code %d\n%s%s", filepath.Base(program), args, out.Code, out.Stdout, out.Stderr)
	}
	return strings.TrimSpace(out.Stdout)
}

// A node key file made by either program gives the same ID, URL and record with
// both.
func TestKeyFiles(t *testing.T) {
	t.Parallel()
	parley, devp2p := path(t, (*programs.Set).Parley), path(t, (*programs.Set).Devp2p)
	for name, generate := range map[string]string{"parley": parley, "devp2p": devp2p} {
		file := filepath.Join(t.TempDir(), "node.key")
		tool(t, generate, "key", "generate", file)
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: key file: %v, %v; want mode 0600", name, info, err)
		}
		for _, args := range [][]string{
			{"to-id", file},
			{"to-enode", file},
			{"to-enode", "--ip", "10.1.2.3", "--tcp", "30304", "--udp", "30305", file},
		} {
			theirs, ours := tool(t, devp2p, append([]string{"key"}, args...)...), tool(t, parley, append([]string{"key"}, args...)...)
			if ours != theirs {
				t.Errorf("key of %s: %s: parley prints %s, devp2p %s", name, args[0], ours, theirs)
			}
		}
		args := []string{"key", "to-enr", "--ip", "10.1.2.3", "--tcp", "30304", "--udp", "30305", file}
		ours, theirs := tool(t, devp2p, "enrdump", tool(t, parley, args...)), tool(t, devp2p, "enrdump", tool(t, devp2p, args...))
		if withoutSeq(ours) != withoutSeq(theirs) || strings.Contains(ours, "INVALID") {
			t.Errorf("key of %s: the record of parley is\n%s\nof devp2p\n%s", name, ours, theirs)
		}
	}
}

// withoutSeq removes the line with the sequence number, which may be any.
func withoutSeq(dump string) string {
	var kept strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.Contains(line, "sequence number") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Each program reads and verifies the record of the other's running node.
func TestRecords(t *testing.T) {
	t.Parallel()
	network := nodes.Private()
	geth, parley := startGeth(t, "geth", network, nil), startParley(t, "parley", &network)

	dump := tool(t, path(t, (*programs.Set).Devp2p), "enrdump", parley.Info.ENR)
	for _, part := range []string{
		"Node ID: " + parley.ID + "\n",
		`"eth"       c7c68423c846ce80 (!)` + "\n", // [[fork hash, next]], EIP-2124
		`"id"        "v4"` + "\n",
		fmt.Sprintf(`"tcp"       %d`, parley.Ports.Listener),
	} {
		if !strings.Contains(dump, part) {
			t.Errorf("devp2p reads the record as\n%s\nwant %q in it", dump, part)
		}
	}
	if strings.Contains(dump, "INVALID") {
		t.Errorf("devp2p says\n%s", dump)
	}

	explained := tool(t, path(t, (*programs.Set).Parley), "enr", "explain", geth.Info.ENR)
	for _, part := range []string{geth.ID, "127.0.0.1", fmt.Sprint(geth.Ports.Listener), "23c846ce"} {
		if !strings.Contains(explained, part) {
			t.Errorf("parley explains the record as\n%s\nwant %q in it", explained, part)
		}
	}
}
