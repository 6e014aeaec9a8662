package port

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The diff in docs/porting.md, applied to the protocol as it was before, gives
// the one in this directory.
func TestDiff(t *testing.T) {
	doc := read(t, "../../docs/porting.md")
	_, rest, _ := strings.Cut(doc, "\n```diff\n")
	diff, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("there is no diff in docs/porting.md")
	}
	got, err := apply(lines(read(t, "../../docs/porting/board.go.before")), lines(diff))
	if err != nil {
		t.Fatalf("docs/porting.md: %v", err)
	}
	want := lines(read(t, "board.go"))
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("board.go:%d: the diff gives %q, the file has %q", i+1, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the diff gives %d lines, the file has %d", len(got), len(want))
	}
}

// apply applies a unified diff.
func apply(before, diff []string) (after []string, err error) {
	at := 0 // lines of before that are done
	for i, line := range diff {
		var start int
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "@@ "):
			if _, err := fmt.Sscanf(line, "@@ -%d", &start); err != nil || start-1 < at || start-1 > len(before) {
				return nil, fmt.Errorf("line %d of the diff: bad hunk %q", i+1, line)
			}
			after = append(after, before[at:start-1]...)
			at = start - 1
		case strings.HasPrefix(line, "+"):
			after = append(after, line[1:])
		default:
			if at == len(before) || line[min(1, len(line)):] != before[at] {
				return nil, fmt.Errorf("line %d of the diff: %q is not line %d of the file", i+1, line, at+1)
			}
			if !strings.HasPrefix(line, "-") {
				after = append(after, before[at])
			}
			at++
		}
	}
	return slices.Concat(after, before[at:]), nil
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
