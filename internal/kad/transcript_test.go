package kad

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/enode"
)

var update = flag.Bool("update", false, "write what the transcripts in testdata should be")

// A script carries out the commands of a transcript. A node is named by its
// distance from the table's own ID and a letter: 256a, 256b.
type script struct {
	table  *Table
	lookup *Lookup
	now    time.Time
	names  map[enode.ID]string
	nodes  map[string]*enode.Node
}

// TestTranscripts plays the files in testdata: lines that begin with two spaces
// are what the commands before them are expected to say, # begins a comment.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d transcripts, %v; want 4 or more", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{table: newTable(Config{}), now: at, names: map[enode.ID]string{self: "self"}, nodes: make(map[string]*enode.Node)}
			var got strings.Builder
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				got.WriteString(line)
				command := strings.Fields(line)
				if len(command) == 0 || command[0] == "#" {
					continue
				}
				for said := range strings.Lines(s.do(t, command[0], command[1:])) {
					got.WriteString("  " + said)
				}
				check(t, s.table)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := strings.Split(string(text), "\n")
			for i, line := range strings.Split(got.String(), "\n") {
				if i >= len(want) || line != want[i] {
					t.Fatalf("%s:%d: %q, want %q", file, i+1, line, want[min(i, len(want)-1)])
				}
			}
		})
	}
}

// do carries out a command and returns what it says, in whole lines.
func (s *script) do(t *testing.T, command string, args []string) string {
	t.Helper()
	switch command {
	case "at": // sets the time since the start
		s.now = at.Add(duration(t, args[0]))
	case "seen":
		var out strings.Builder
		for _, n := range s.list(t, args) {
			fmt.Fprintf(&out, "%s: %v\n", s.name(n), s.table.Seen(s.now, n))
		}
		return out.String()
	case "verified":
		for _, n := range s.list(t, args) {
			s.table.Verified(s.now, n)
		}
	case "failed":
		for _, n := range s.list(t, args) {
			s.table.Failed(s.now, n.ID())
		}
	case "remove":
		for _, n := range s.list(t, args) {
			s.table.Remove(s.now, n.ID())
		}
	case "checks": // answers checks up to a time; the nodes named after it do not answer
		return s.checks(t, at.Add(duration(t, args[0])), args[1:])
	case "refresh":
		target, wake := s.table.NextRefresh(s.now)
		if wake.IsZero() {
			return fmt.Sprintf("distance %d\n", enode.LogDistance(self, target))
		}
		return fmt.Sprintf("not before %v\n", s.since(wake))
	case "closest", "told":
		n := s.list(t, args[:1])[0]
		return s.line(s.table.Closest(n.ID(), 16, command == "told"))
	case "table":
		return s.show()
	case "lookup": // target, paths, seeds
		paths, err := strconv.Atoi(args[1])
		if err != nil {
			t.Fatal(err)
		}
		s.lookup = NewLookup(self, s.list(t, args[:1])[0].ID(), s.list(t, args[2:]), LookupConfig{Paths: paths, Width: 4})
	case "next":
		var nodes []*enode.Node
		for {
			n, ok := s.lookup.Next()
			if !ok {
				break
			}
			nodes = append(nodes, n)
		}
		return s.line(nodes)
	case "answer":
		nodes := s.list(t, args)
		s.lookup.Answer(nodes[0].ID(), nodes[1:])
	case "fail":
		for _, n := range s.list(t, args) {
			s.lookup.Fail(n.ID())
		}
	case "result":
		return fmt.Sprintf("done %v: %s", s.lookup.Done(), s.line(s.lookup.Result()))
	default:
		t.Fatalf("no command %q", command)
	}
	return ""
}

func (s *script) checks(t *testing.T, end time.Time, dead []string) string {
	var out strings.Builder
	silent := make(map[string]bool)
	for _, n := range s.list(t, dead) {
		silent[s.name(n)] = true
	}
	for {
		n, wake := s.table.NextCheck(s.now)
		switch {
		case n != nil:
			ok := !silent[s.name(n)]
			s.table.Checked(s.now, n.ID(), ok, nil)
			answer := map[bool]string{true: "answers", false: "does not answer"}[ok]
			fmt.Fprintf(&out, "%v %s %s\n", s.since(s.now), s.name(n), answer)
		case wake.IsZero() || wake.After(end):
			s.now = end
			return out.String()
		default:
			s.now = wake
		}
	}
}

// list returns the nodes of the given names; 256a@80.1.1.1:1 gives one its address.
func (s *script) list(t *testing.T, names []string) (nodes []*enode.Node) {
	t.Helper()
	for _, name := range names {
		name, addr, elsewhere := strings.Cut(name, "@")
		d, err := strconv.Atoi(name[:len(name)-1])
		if err != nil {
			t.Fatal(err)
		}
		n := s.nodes[name]
		if n == nil || elsewhere {
			i := int(name[len(name)-1] - 'a')
			key := keysAt(d, i+1)[i]
			if !elsewhere {
				addr = apart(key)
			}
			n = node(key, addr)
			s.nodes[name], s.names[n.ID()] = n, name
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func (s *script) name(n *enode.Node) string { return s.names[n.ID()] }

func (s *script) line(nodes []*enode.Node) string {
	if len(nodes) == 0 {
		return "nobody\n"
	}
	var names []string
	for _, n := range nodes {
		names = append(names, s.name(n))
	}
	return strings.Join(names, " ") + "\n"
}

func (s *script) show() string {
	var out strings.Builder
	all, live := s.table.Len()
	fmt.Fprintf(&out, "%d nodes, %d live\n", all, live)
	for _, b := range s.table.Snapshot() {
		fmt.Fprintf(&out, "%d:", b.Distance)
		for _, e := range b.Entries {
			fmt.Fprintf(&out, " %s(%s,%d)", s.name(e.Node), where(s.table, e.Node.ID()), e.Checks)
		}
		if len(b.Replacements) > 0 {
			fmt.Fprintf(&out, " | %s", strings.TrimSpace(s.line(b.Replacements)))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func (s *script) since(when time.Time) time.Duration {
	return when.Sub(at).Round(10 * time.Millisecond)
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
