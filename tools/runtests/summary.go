package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxLines is how much of the output of one failed test is shown: its end.
const maxLines = 60

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// A summary turns events into a short report.
type summary struct {
	out                     io.Writer
	passed, failed, skipped int

	packages map[string]*pkg
	builds   map[string][]string // output of the compiler, by import path
	skips    []string
}

// A pkg is what is known of a package whose tests run.
type pkg struct {
	passed, failed int
	output         map[string][]string // by test; "" is the package's own
	parents        map[string]bool     // tests with subtests, and whether one of those failed
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, packages: make(map[string]*pkg), builds: make(map[string][]string)}
}

// read takes the output of one go test -json to its end. Lines that are no
// events are passed on.
func (s *summary) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				s.add(e)
			} else {
				fmt.Fprintf(s.out, "%s\n", strings.TrimSuffix(string(line), "\n"))
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *summary) add(e event) {
	if e.ImportPath != "" {
		if e.Action == "build-output" {
			s.builds[e.ImportPath] = append(s.builds[e.ImportPath], e.Output)
		}
		return
	}
	p := s.packages[e.Package]
	if p == nil {
		p = &pkg{output: make(map[string][]string), parents: make(map[string]bool)}
		s.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case e.Test != "":
		s.endTest(p, e)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		s.endPackage(p, e)
		delete(s.packages, e.Package)
	}
}

// endTest counts a test that has ended; other events of tests say nothing.
func (s *summary) endTest(p *pkg, e event) {
	failedBelow, parent := p.parents[e.Test]
	switch e.Action {
	case "pass":
		if !parent {
			s.passed++
			p.passed++
		}
	case "skip":
		s.skipped++
		s.skips = append(s.skips, e.Package+" "+e.Test)
	case "fail":
		if !failedBelow {
			s.failed++
			p.failed++
		}
		s.show(fmt.Sprintf("FAIL %s %s", e.Package, e.Test), p.output[e.Test])
	default:
		return
	}
	delete(p.output, e.Test)
	for name := e.Test; ; {
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return
		}
		name = name[:i]
		p.parents[name] = p.parents[name] || e.Action == "fail"
	}
}

// endPackage prints the line of a package that has ended.
func (s *summary) endPackage(p *pkg, e event) {
	switch {
	case e.Action == "fail" && p.failed == 0:
		s.failed++
		s.show("FAIL "+e.Package, slices.Concat(s.builds[e.FailedBuild], p.output[""]))
	case e.Action == "fail":
		s.show(fmt.Sprintf("FAIL %s: %d passed, %d failed", e.Package, p.passed, p.failed), p.output[""])
	case p.passed > 0:
		fmt.Fprintf(s.out, "ok   %s: %d passed, %.1fs\n", e.Package, p.passed, e.Elapsed)
	}
}

// show prints a headline and the end of some output, indented, without the
// lines that only repeat what the summary says anyway.
func (s *summary) show(headline string, output []string) {
	fmt.Fprintln(s.out, headline)
	lines := slices.DeleteFunc(slices.Clone(output), func(l string) bool {
		l = strings.TrimSpace(l)
		return l == "" || l == "FAIL" || l == "PASS" ||
			strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "FAIL\t") || strings.HasPrefix(l, "exit status ")
	})
	if left := len(lines) - maxLines; left > 0 {
		fmt.Fprintf(s.out, "     … %d lines more\n", left)
		lines = lines[left:]
	}
	for _, l := range lines {
		fmt.Fprintf(s.out, "     %s\n", strings.TrimRight(l, "\n"))
	}
}

// close prints the closing lines and reports whether all is well: something
// ran and nothing failed.
func (s *summary) close() bool {
	for name := range s.packages { // began and never ended: go test was killed
		s.failed++
		fmt.Fprintf(s.out, "FAIL %s: it did not end\n", name)
	}
	for _, name := range s.skips {
		fmt.Fprintf(s.out, "skipped: %s\n", name)
	}
	fmt.Fprintf(s.out, "%d passed, %d failed\n", s.passed, s.failed)
	return s.failed == 0 && s.passed > 0
}
