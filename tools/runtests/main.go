// Command runtests runs the tests of several Go modules and prints what
// matters: a line for each package, the output of what failed, and at the very
// end "N passed, N failed".
//
//	runtests MODULE[,MODULE…] [go test flags and packages]
//
// Each module is the folder of a go.mod and runs with GOWORK=off. Counted are
// the events of go test -json: every test, subtest and example that has no
// subtests of its own. A package that fails otherwise, because it does not
// build or ends in a panic, counts as one failure, and so does a module whose
// tests cannot be run at all. The exit status is 1 if anything failed.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: runtests MODULE[,MODULE…] [go test flags and packages]")
		os.Exit(2)
	}
	s := newSummary(os.Stdout)
	for module := range strings.SplitSeq(os.Args[1], ",") {
		run(s, module, os.Args[2:])
	}
	if !s.close() {
		os.Exit(1)
	}
}

// run adds the tests of one module to the summary.
func run(s *summary, module string, args []string) {
	before := s.failed
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = filepath.Clean(module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		s.read(out)
		err = cmd.Wait()
	}
	if err != nil && s.failed == before {
		// Nothing that was counted explains it: a broken go.mod, a bad flag.
		fmt.Fprintf(s.out, "FAIL %s: %v\n%s", module, err, stderr.Bytes())
		s.failed++
	}
}
