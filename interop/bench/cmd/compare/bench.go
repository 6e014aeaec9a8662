package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A bench builds and runs.
type bench struct {
	bin      string // binaries, in a folder for each column
	missing  string // why the column libC cannot be measured; empty: it can
	progress io.Writer
	raw      io.Writer // all output of all programs
}

// programs are those that jobs run.
var programs = []string{
	"p2pcli", "p2pload", "p2psrv-geth", "p2psrv-parley", "secpfloor",
	"discload", "discnode-geth", "discnode-parley", "discsim-geth", "discsim-parley", "discidle-geth", "dbopen",
}

// build compiles both sides in both columns.
func (b *bench) build(ctx context.Context) error {
	if err := exec.CommandContext(ctx, "pkg-config", "--exists", "libsecp256k1").Run(); err != nil {
		b.missing = "needs libsecp256k1 and pkg-config"
	} else if _, err := exec.LookPath("cc"); err != nil {
		b.missing = "needs a C compiler"
	}
	for _, c := range []column{pure, libC} {
		if c == libC && b.missing != "" {
			continue
		}
		fmt.Fprintf(b.progress, "building: %s\n", c)
		dir := filepath.Join(b.bin, string(c))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for _, p := range programs {
			if err := build(ctx, c, "build", "-o", dir+string(filepath.Separator), "./cmd/"+p); err != nil {
				return err
			}
		}
		if err := build(ctx, c, "test", "-c", "-o", filepath.Join(dir, "rlpxb.test"), "./rlpxb"); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, c column, verb string, args ...string) error {
	env := []string{"GOWORK=off", "CGO_ENABLED=0"}
	flags := []string{verb}
	if c == libC {
		env[1] = "CGO_ENABLED=1"
		flags = append(flags, "-tags", "libsecp256k1")
	}
	cmd := exec.CommandContext(ctx, "go", append(flags, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build for column %s: %w\n%s", c, err, out)
	}
	return nil
}

// A sample is what one round of a job gave.
type sample struct{ reference, ours map[string]float64 }

// A result is all that was measured for a job.
type result struct {
	samples []sample
	err     error // why a round or all of them are missing; the last one
}

// rounds measures all jobs in turn, as often as told.
func (b *bench) rounds(ctx context.Context, jobs []job, rounds int) []result {
	results := make([]result, len(jobs))
	for n := range rounds {
		for i, j := range jobs {
			if j.every > 0 && n%j.every != 0 {
				continue
			}
			if j.column == libC && b.missing != "" {
				results[i].err = fmt.Errorf("not measured: %s", b.missing)
				continue
			}
			fmt.Fprintf(b.progress, "round %d of %d: %s %s\n", n+1, rounds, j.id, j.lines[0].what)
			s, err := b.measure(ctx, j, n%2 == 1)
			if ctx.Err() != nil {
				return results
			}
			if err != nil {
				fmt.Fprintf(b.progress, "  %v\n", err)
				results[i].err = err
				continue
			}
			results[i].samples = append(results[i].samples, s)
		}
	}
	return results
}

// measure runs a job for both sides, one directly after the other.
func (b *bench) measure(ctx context.Context, j job, oursFirst bool) (sample, error) {
	base := j.command(reference)
	if j.against != nil {
		base = j.against()
	}
	var s sample
	runs := []struct {
		c  command
		to *map[string]float64
	}{{base, &s.reference}, {j.command(ours), &s.ours}}
	if oursFirst {
		slices.Reverse(runs)
	}
	for _, r := range runs {
		figures, output, err := r.c.run(ctx, b.bin)
		fmt.Fprintf(b.raw, "%s %s %s %s %v\n%s\n", time.Now().Format(time.TimeOnly), j.id, j.column, r.c.server, r.c.args, output)
		if err != nil {
			return sample{}, err
		}
		for _, l := range j.lines {
			if _, ok := figures[l.key]; !ok {
				return sample{}, fmt.Errorf("%s printed no %s", r.c.program, l.key)
			}
		}
		*r.to = figures
	}
	return s, nil
}
