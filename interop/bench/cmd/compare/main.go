// Command compare measures parley against the reference in interleaved rounds and prints one table. It is what
// `make bench` runs, in the folder interop/bench:
//
//	go run ./cmd/compare                 all rows
//	go run ./cmd/compare -id B2 -rounds 3 one row
//	go run ./cmd/compare -short          all rows, in less time
//
// Each round measures the reference and parley directly after each other, one
// first and then the other, and takes the ratio of the two. It asserts nothing:
// timings are not tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	id := flag.String("id", "", "only the row with this id")
	short := flag.Bool("short", false, "less and shorter rounds")
	rounds := flag.Int("rounds", 0, "number of rounds; 0 means 7, or 3 if short")
	out := flag.String("out", "results", "folder for binaries and results")
	flag.Parse()
	if err := run(strings.ToUpper(*id), *short, *rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(id string, short bool, rounds int, out string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if rounds <= 0 {
		rounds = 7
		if short {
			rounds = 3
		}
	}
	selected := selectJobs(jobs(short), id)
	if len(selected) == 0 {
		return fmt.Errorf("no row has the id %q", id)
	}
	b := &bench{bin: filepath.Join(out, "bin"), progress: os.Stderr}
	if err := b.build(ctx); err != nil {
		return err
	}
	began := time.Now()
	raw, err := os.Create(filepath.Join(out, "raw.txt"))
	if err != nil {
		return err
	}
	b.raw = raw
	measured := b.rounds(ctx, selected, rounds)
	if err := raw.Close(); err != nil {
		return err
	}
	var table strings.Builder
	writeTable(&table, selected, measured)
	fmt.Fprintf(&table, "\n%d rounds in %v, %s\n", rounds, time.Since(began).Round(time.Second), machine())
	fmt.Print(table.String())
	name := "table.txt"
	if id != "" {
		name = "table-" + id + ".txt"
	}
	return errors.Join(os.WriteFile(filepath.Join(out, name), []byte(table.String()), 0o644), ctx.Err())
}

// machine names the processor and the load, which say how much the figures are
// worth.
func machine() string {
	model, load := "unknown processor", "unknown"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	return fmt.Sprintf("%s, load %s at the end", model, load)
}
