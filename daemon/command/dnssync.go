package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/datadir"
	"parley/dnsdisc"
)

func (a *app) dnsSync(ctx context.Context, c *cli.Command) error {
	if n := c.NArg(); n != 1 && n != 2 {
		return usagef("want one or two arguments, %s, and got %d\nSee: %s --help", c.ArgsUsage, n, c.FullName())
	}
	link, err := dnsdisc.ParseLink(c.Args().First())
	if err != nil {
		return usagef("%q: %w; want enrtree://KEY@DOMAIN", c.Args().First(), err)
	}
	show, err := a.setOutput(c)
	if err != nil {
		return err
	}
	dir := c.Args().Get(1)
	if dir != "" && (c.IsSet("output") || c.Bool("quiet")) {
		return usagef("-o and -q are for printing: leave %s out", dir)
	}
	if c.Int("rate") < 1 {
		return usagef("--rate %d is not a number of lookups", c.Int("rate"))
	}
	cfg := dnsdisc.Config{Rate: c.Int("rate")}
	if c.IsSet("resolver") {
		server, err := netip.ParseAddrPort(c.String("resolver"))
		if err != nil {
			return usagef("--resolver %q is not the address of a name server, such as 192.0.2.1:53", c.String("resolver"))
		}
		cfg.Resolver = resolverAt(server)
	}
	if dir != "" {
		if cfg.Store, err = earlier(dir, link); err != nil {
			return err
		}
	}
	client, err := dnsdisc.NewClient(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Duration("timeout"))
	defer cancel()
	tree, err := client.Sync(ctx, link, a.progress())
	if ctx.Err() != nil {
		return fmt.Errorf("the list was not read within %v: %w\nA higher --timeout gives it more", c.Duration("timeout"), ctx.Err())
	}
	if err != nil {
		return err
	}
	if dir == "" {
		return show(tree.NodeSet())
	}
	if err := writeTree(dir, tree, link); err != nil {
		return err
	}
	about := treeInfo(tree, link)
	about.Dir = dir
	return a.print(c, about, fmt.Sprintf("%s: %d nodes, %d links, seq %d", dir, about.Nodes, about.Links, about.Seq))
}

// resolverAt returns a resolver that asks one server and no other.
func resolverAt(server netip.AddrPort) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server.String())
	}}
}

// progress returns a function that tells how far a download is, every few
// seconds.
func (a *app) progress() func(read, left int) {
	const every = 3 * time.Second
	began := time.Now()
	told := began
	return func(read, left int) {
		now := time.Now()
		if left > 0 && now.Sub(told) < every {
			return
		}
		told = now
		took := now.Sub(began)
		state := fmt.Sprintf("%d more known", left)
		if left == 0 {
			state = "complete"
		}
		fmt.Fprintf(a.Stderr, "%d entries read in %v, %.0f/s, %s\n", read, took.Round(time.Second), float64(read)/max(took.Seconds(), 1e-3), state)
	}
}

// A seqOf is a Store with the number of the list that a directory has already, so that
// an older one does not take its place.
type seqOf struct {
	name string
	seq  uint64
}

func (s seqOf) Seq(name string) (uint64, bool)       { return s.seq, name == s.name }
func (s seqOf) StoreSeq(name string, _ uint64) error { return nil } // writeTree does

// earlier returns what dir says of the list at link. A directory with another list is
// left alone.
func earlier(dir string, link dnsdisc.Link) (dnsdisc.Store, error) {
	info, err := readInfo(dir)
	if err != nil {
		return nil, err
	}
	if info.URL != "" && info.URL != link.String() {
		return nil, fmt.Errorf("%s has another list already, %s: choose another directory", dir, printable(info.URL))
	}
	return seqOf{link.String(), info.Seq}, nil
}

// writeTree writes the files of a tree directory.
func writeTree(dir string, tree *dnsdisc.Tree, link dnsdisc.Link) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := tree.NodeSet().AppendJSON(nil)
	if err == nil {
		err = datadir.Replace(filepath.Join(dir, dnsdisc.NodesFile), text)
	}
	// The signature comes last: until then a crash leaves files that do not
	// belong together, and whoever reads them is told so.
	return errors.Join(err, writeTreeInfo(dir, tree.Info(link, time.Now().UTC().Truncate(time.Second))))
}
