package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/crawl"
	"parley/daemon/datadir"
	"parley/daemon/nodeset"
	"parley/dnsdisc"
)

// How often progress is shown: on a terminal in one line that changes, elsewhere
// in a line of its own.
const (
	liveEvery  = 500 * time.Millisecond
	plainEvery = 10 * time.Second
)

const (
	maxParallel = 128
	maxRate     = 10_000
)

func crawlFlags(timeout func(time.Duration) cli.Flag) []cli.Flag {
	return []cli.Flag{
		timeout(30 * time.Minute),
		&cli.IntFlag{Name: "parallel", Value: 16, Usage: "`N` questions that are out at a time (default: 16)"},
		&cli.Float64Flag{Name: "rate", Value: 200, Usage: "`N` questions a second at most (default: 200)"},
		&cli.IntFlag{Name: "max-nodes", Value: 100_000, Usage: "`N` new nodes at most, at about 1.5 KiB of memory each (default: 100000)"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress"},
		jsonFlag(),
	}
}

// crawled is the summary of a crawl.
type crawled struct {
	crawl.Progress
	File     string  `json:"file,omitempty"`
	Nodes    int     `json:"nodes"`    // in the result
	Added    int     `json:"added"`    // of those
	Removed  int     `json:"removed"`  // of those that were there before
	Complete bool    `json:"complete"` // nobody was left to be asked
	Seconds  float64 `json:"seconds"`
}

// crawl returns the action that crawls; with checkOnly it asks only the nodes that
// the file has.
func (a *app) crawl(d dialect, checkOnly bool) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		path, err := crawlFile(c, checkOnly)
		if err != nil {
			return err
		}
		if err := checkCrawlFlags(c); err != nil {
			return err
		}
		known, err := a.readKnown(path, checkOnly)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		// From the first signal on, the next one has its usual effect.
		context.AfterFunc(ctx, stop)
		s, err := a.openStation(ctx, c, d, slog.LevelWarn)
		if err != nil {
			return err
		}
		defer s.Close()
		if len(s.bootnodes) == 0 && len(known) == 0 && !checkOnly {
			return usagef("there is nobody to ask: name nodes with --bootnodes (network: those of --network), or a FILE that has some")
		}
		core, err := crawl.New(crawl.Config{
			Self: s.self.ID(), V4: d.v4, Known: known, Seeds: s.bootnodes, CheckOnly: checkOnly, Restrict: s.restrict,
			MaxNodes: c.Int("max-nodes"), Rate: c.Float64("rate"), Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		})
		if err != nil {
			return err
		}
		result, err := a.runCrawl(ctx, c, core, s)
		if err != nil {
			return err
		}
		return a.finishCrawl(c, core, result, known, path, checkOnly)
	}
}

// crawlFile returns the path of the file to read and write.
func crawlFile(c *cli.Command, needed bool) (string, error) {
	if needed || c.Args().Present() {
		path, err := oneArg(c)
		if err != nil || path != nodeset.Stdio || !c.Bool("json") {
			return path, err
		}
	} else if !c.Bool("json") {
		return "", nil
	}
	return "", usagef("--json prints the summary, so the nodes need a file: name one")
}

func checkCrawlFlags(c *cli.Command) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	parallel, rate, most := c.Int("parallel"), c.Float64("rate"), c.Int("max-nodes")
	check(c.Duration("timeout") > 0, "--timeout %v: want a time such as 30m", c.Duration("timeout"))
	check(parallel >= 1 && parallel <= maxParallel, "--parallel %d: want a number from 1 to %d", parallel, maxParallel)
	check(rate >= 0.1 && rate <= maxRate, "--rate %v: want a number from 0.1 to %d", rate, maxRate)
	check(most >= 1, "--max-nodes %d: want a number from 1 on", most)
	if len(errs) > 0 {
		return &exitError{exitUsage, errors.Join(errs...)}
	}
	return nil
}

// readKnown reads the nodes that are known. A crawl can begin with no file. One that
// could not be written in the end is told of now.
func (a *app) readKnown(path string, needed bool) (dnsdisc.NodeSet, error) {
	if path == "" {
		return nil, nil
	}
	known, err := nodeset.Read(path, a.Stdin)
	if err != nil && (needed || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	if path != nodeset.Stdio {
		if err := datadir.CanReplace(path); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// runCrawl crawls and shows how far it is.
func (a *app) runCrawl(ctx context.Context, c *cli.Command, core *crawl.Core, s *station) (*crawled, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Duration("timeout"))
	defer cancel()
	o := crawl.Options{Parallel: c.Int("parallel")}
	meter := &progressLine{w: a.Stderr, live: a.Terminal, timeout: c.Duration("timeout")}
	if !c.Bool("quiet") {
		o.Show, o.Every = meter.show, plainEvery
		if a.Terminal {
			o.Every = liveEvery
		}
		fmt.Fprintf(a.Stderr, "asking %d nodes, for %v at most; an interrupt ends it and keeps what was found\n", core.Progress(time.Now()).Found, meter.timeout)
	}
	complete, err := crawl.Run(ctx, core, s.Service, o)
	meter.end()
	p := core.Progress(time.Now())
	return &crawled{Progress: p, Complete: complete, Seconds: p.Elapsed.Round(time.Millisecond).Seconds()}, err
}

// finishCrawl writes the result and the summary. If nobody at all answered it is
// more likely our side than all of them, and the file stays as it is.
func (a *app) finishCrawl(c *cli.Command, core *crawl.Core, result *crawled, known dnsdisc.NodeSet, path string, checkOnly bool) error {
	if result.Alive == 0 && result.Checked > 0 {
		return fmt.Errorf("none of %d nodes answered: is the network up? Nothing was changed", result.Checked)
	}
	set := core.NodeSet()
	result.File, result.Nodes = path, len(set)
	for id := range set {
		if _, ok := known[id]; !ok {
			result.Added++
		}
	}
	result.Removed = len(known) + result.Added - len(set)
	out := path
	if path == "" || path == nodeset.Stdio {
		out, result.File = nodeset.Stdio, ""
	}
	if err := nodeset.Write(out, set, a.Stdout); err != nil {
		return err
	}
	if c.Bool("json") {
		if err := a.printJSON(result); err != nil {
			return err
		}
	} else if !c.Bool("quiet") {
		result.write(a.Stderr)
	}
	if failed := result.Checked - result.Alive; checkOnly && (failed > 0 || !result.Complete) {
		return &exitError{exitPartial, fmt.Errorf("%d of %d nodes did not answer, %d were not asked", failed, result.Checked, len(known)-result.Checked)}
	}
	return nil
}

// write writes the summary for people.
func (r *crawled) write(w io.Writer) {
	end := "nobody is left to be asked"
	if !r.Complete {
		end = "ended early, with nodes left to be asked"
	}
	fmt.Fprintf(w, "%s: %s\n", end, &r.Progress)
	fmt.Fprintf(w, "%d nodes: %d added, %d removed", r.Nodes, r.Added, r.Removed)
	if r.File != "" {
		fmt.Fprintf(w, ", in %s", r.File)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "; %d times one was left out, as too many are known already or at one host", r.Dropped)
	}
	fmt.Fprintln(w)
}

// A progressLine shows how far a crawl is.
type progressLine struct {
	w       io.Writer
	live    bool // the line is written over
	timeout time.Duration
	shown   bool
}

func (l *progressLine) show(p crawl.Progress) {
	if rest := l.timeout - p.Elapsed; p.Left == 0 || p.Left > rest {
		p.Left = max(rest, 0)
	}
	if l.live {
		// What is too long is cut: without line wrap it stays one line.
		fmt.Fprintf(l.w, "\r\x1b[?7l%s\x1b[K\x1b[?7h", &p)
	} else {
		fmt.Fprintln(l.w, &p)
	}
	l.shown = true
}

// end leaves the line.
func (l *progressLine) end() {
	if l.shown && l.live {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}
