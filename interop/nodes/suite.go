package nodes

import (
	"fmt"
	"strings"
	"testing"
)

// A Suite is the outcome of a run of the devp2p tool's conformance tests.
type Suite struct {
	Passed, Failed []string // names of the tests, in their order
	Output         string
}

// EthSuite runs the eth tests that match a pattern against the node at an enode
// URL. chain is the directory of the tool's test chain. The tests that need a
// chain behind the node also need its engine API, which is not offered here.
func EthSuite(t testing.TB, devp2p, chain, pattern, enode string) Suite {
	t.Helper()
	return runSuite(t, devp2p, "rlpx", "eth-test", "--run", pattern, "--chain", chain, "--node", enode,
		"--engineapi", "http://127.0.0.1:1", "--jwtsecret", zeroHash)
}

// Discv4Suite runs all discovery v4 tests against the node at an enode URL, from
// 127.0.0.1 and 127.0.0.2.
func Discv4Suite(t testing.TB, devp2p, enode string) Suite {
	t.Helper()
	return runSuite(t, devp2p, "discv4", "test", "--remote", enode)
}

// Discv5Suite runs all discovery v5 tests against the node with a record, from
// 127.0.0.1 and 127.0.0.2.
func Discv5Suite(t testing.TB, devp2p, record string) Suite {
	t.Helper()
	return runSuite(t, devp2p, "discv5", "test", record)
}

// runSuite runs the tests of a command of the devp2p tool.
func runSuite(t testing.TB, devp2p string, args ...string) Suite {
	t.Helper()
	out := Tool(t, devp2p, args...)
	s, err := parseSuite(out.Stdout)
	s.Output = out.Stdout + out.Stderr
	if err == nil && (out.Code == 0) != (len(s.Failed) == 0) {
		err = fmt.Errorf("exit code %d with %d failed tests", out.Code, len(s.Failed))
	}
	if err != nil {
		t.Fatalf("devp2p %s %s: %v\n%s", args[0], args[1], err, s.Output)
	}
	return s
}

// parseSuite reads the lines `-- OK name (time)` and `-- FAIL name (time)`, and
// holds their number against the last line, which is `5/5 tests passed.` or the like.
func parseSuite(text string) (Suite, error) {
	var s Suite
	var passed, all int
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "-- OK "); ok {
			s.Passed = append(s.Passed, firstWord(name))
		} else if name, ok := strings.CutPrefix(line, "-- FAIL "); ok {
			s.Failed = append(s.Failed, firstWord(name))
		} else if strings.Contains(line, "tests passed") {
			_, _ = fmt.Sscanf(line, "%d/%d", &passed, &all) // zero of zero is a failure
		}
	}
	if all == 0 || passed != len(s.Passed) || all != passed+len(s.Failed) {
		return s, fmt.Errorf("the summary says %d of %d passed, the lines %d and %d failed", passed, all, len(s.Passed), len(s.Failed))
	}
	return s, nil
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
}
