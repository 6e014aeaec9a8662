package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// timeLimit is how long one program may run. None takes a quarter of it.
const timeLimit = 3 * time.Minute

// A command is one run of a program that was built for a column.
type command struct {
	program string
	column  column
	server  string // the server that the program starts, of the same column; empty: none
	args    []string
	env     []string
	read    func(output string) map[string]float64
}

// run returns the figures that the program prints, and its output.
func (c command) run(ctx context.Context, bin string) (map[string]float64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	args := c.args
	if c.server != "" {
		args = append([]string{"-server", filepath.Join(bin, string(c.column), c.server)}, args...)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, string(c.column), c.program), args...)
	// The program ends with the server that it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Env = append(os.Environ(), c.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return nil, out.String(), fmt.Errorf("%s: %w: %s", c.program, err, firstLine(out.String()))
	}
	figures := c.read(out.String())
	if figures["fail"] > 0 || strings.Contains(out.String(), "connect:") {
		return nil, out.String(), fmt.Errorf("%s: connections failed: %s", c.program, firstLine(out.String()))
	}
	return figures, out.String(), nil
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// exact makes a pattern for -test.bench that matches one benchmark only.
func exact(name string) string {
	return "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
}

// readBenchmark reads the figures of one benchmark: pairs of value and unit.
func readBenchmark(output string) map[string]float64 {
	figures := make(map[string]float64)
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				figures[words[i+1]] = v
			}
		}
	}
	return figures
}

var (
	value = regexp.MustCompile(`([A-Za-z0-9./-]+)=([0-9][^\s)|]*)`)

	// What the mode hold prints for each number of peers.
	perPeer = []struct {
		name string
		re   *regexp.Regexp
	}{
		{"goroutines/peer", regexp.MustCompile(`goroutines=\d+ \(\+([0-9.]+)/peer\)`)},
		{"rss-KB/peer", regexp.MustCompile(`FreeOSMemory: rss=\S+ \(\+([0-9.]+) KB/peer\)`)},
		{"heapInuse-KB/peer", regexp.MustCompile(`heapInuse \+([0-9.]+) KB/peer`)},
		{"stack-KB/peer", regexp.MustCompile(`stack \+([0-9.]+) KB/peer`)},
	}
)

// readFirstPass reads what discsim prints, up to the first pass of its lookups.
func readFirstPass(output string) map[string]float64 {
	first, _, _ := strings.Cut(output, ": pass 2 ")
	return readValues(first)
}

// readValues reads "name=value"; times come in microseconds, sizes in KB. Of a name
// that comes twice the last value counts.
func readValues(output string) map[string]float64 {
	figures := make(map[string]float64)
	for _, m := range value.FindAllStringSubmatch(output, -1) {
		if v, err := strconv.ParseFloat(m[2], 64); err == nil {
			figures[m[1]] = v
		} else if v, err := strconv.ParseFloat(strings.TrimSuffix(m[2], "KB"), 64); err == nil {
			figures[m[1]] = v
		} else if d, err := time.ParseDuration(m[2]); err == nil {
			figures[m[1]] = float64(d) / 1e3
		}
	}
	for _, p := range perPeer {
		if m := p.re.FindStringSubmatch(output); m != nil {
			figures[p.name], _ = strconv.ParseFloat(m[1], 64) // the pattern admits numbers only
		}
	}
	return figures
}
