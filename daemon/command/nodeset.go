package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
	"parley/daemon/nodeset"
	"parley/dnsdisc"
	"parley/eth"
)

func (a *app) nodesetCommand() *cli.Command {
	return &cli.Command{
		Name:  "nodeset",
		Usage: "count and filter the nodes that a crawl found",
		Commands: []*cli.Command{{
			Name: "info", Usage: "count what is in a set of nodes", ArgsUsage: "FILE",
			Description: "FILE is a nodes.json, or - for standard input.",
			Flags:       []cli.Flag{jsonFlag()}, Action: a.nodesetInfo,
		}, {
			Name: "filter", Usage: "print the nodes of a set that meet all conditions", ArgsUsage: "FILE",
			Description: "FILE is a nodes.json, or - for standard input. The result has the same form, unless -o names another.",
			Flags:       nodesetFlags(), Action: a.nodesetFilter,
		}},
	}
}

func nodesetFlags() []cli.Flag {
	const conditions = "conditions"
	return append([]cli.Flag{
		&cli.IntFlag{Name: "limit", Category: conditions, Usage: "`N` no more than these, those with the highest scores"},
		&cli.StringSliceFlag{Name: "ip", Category: conditions, Usage: "`CIDR,…` with an address in one of these networks"},
		&cli.DurationFlag{Name: "min-age", Category: conditions, Usage: "`TIME` at least this long between the first and the last answer"},
		&cli.StringFlag{Name: "eth-network", Category: conditions, Usage: "`NAME` with a fork id of mainnet, sepolia or hoodi"},
		&cli.BoolFlag{Name: "les-server", Category: conditions, Usage: "with an les entry"},
		&cli.BoolFlag{Name: "snap", Category: conditions, Usage: "with a snap entry"},
		&cli.BoolFlag{Name: "dialable", Category: conditions, Usage: "with a TCP port at a public address, and a score above 0"},
	}, setFlags("json")...)
}

// setFlags are those of a command that prints a set of nodes.
func setFlags(format string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: format, Usage: "`FORMAT` json (a nodes.json), ndjson, csv, table, enr or enode (default: " + format + ")"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print node ids only"},
		jsonFlag(),
	}
}

func (a *app) nodesetInfo(_ context.Context, c *cli.Command) error {
	path, err := oneArg(c)
	if err != nil {
		return err
	}
	set, err := nodeset.Read(path, a.Stdin)
	if err != nil {
		return err
	}
	info, err := nodeset.InfoOf(set)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(info)
	}
	return writeInfo(a.Stdout, info)
}

func writeInfo(w io.Writer, info *nodeset.Info) error {
	count := func(name string, n int) []string { return []string{name, fmt.Sprint(n)} }
	rows := [][]string{
		count("nodes", info.Nodes), count("IPv4", info.IPv4), count("IPv6", info.IPv6),
		count("TCP", info.TCP), count("UDP", info.UDP), count("dialable", info.Dialable),
	}
	if info.Nodes == 0 {
		return printTable(w, rows)
	}
	spread := func(name string, values ...any) []string {
		return []string{name, fmt.Sprintf("%v to %v, median %v, 90%% at most %v", values...)}
	}
	rows = append(rows,
		spread("score", info.Score.Min, info.Score.Max, info.Score.Median, info.Score.P90),
		spread("age", info.Age.Min, info.Age.Max, info.Age.Median, info.Age.P90),
		spread("seq", info.Seq.Min, info.Seq.Max, info.Seq.Median, info.Seq.P90),
	)
	if err := printTable(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nentries of the records")
	rows = nil
	for _, e := range info.Entries {
		rows = append(rows, count("  "+printable(e.Key), e.Nodes))
	}
	if err := printTable(w, rows); err != nil || len(info.Forks) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nfork ids")
	rows = nil
	for _, f := range info.Forks {
		rows = append(rows, []string{"  " + f.ID.String(), dash(f.Network), fmt.Sprint(f.Nodes)})
	}
	return printTable(w, rows)
}

func (a *app) nodesetFilter(_ context.Context, c *cli.Command) error {
	path, err := oneArg(c)
	if err != nil {
		return err
	}
	filter, err := filterOf(c)
	if err != nil {
		return err
	}
	show, err := a.setOutput(c)
	if err != nil {
		return err
	}
	set, err := nodeset.Read(path, a.Stdin)
	if err != nil {
		return err
	}
	if set, err = filter.Apply(set); err != nil {
		return err
	}
	return show(set)
}

// filterOf returns the filter that the flags describe, or all that is wrong with
// them.
func filterOf(c *cli.Command) (*nodeset.Filter, error) {
	f := &nodeset.Filter{
		MinAge: c.Duration("min-age"), Limit: c.Int("limit"),
		LESServer: c.Bool("les-server"), Snap: c.Bool("snap"), Dialable: c.Bool("dialable"),
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.IsSet("limit") && f.Limit < 1 {
		wrong("--limit %d: want a number from 1 on", f.Limit)
	}
	if f.MinAge < 0 {
		wrong("--min-age %v is negative", f.MinAge)
	}
	for _, text := range c.StringSlice("ip") {
		network, err := parseNetwork(text)
		if err != nil {
			wrong("--ip %q: want an IP address or a network such as 203.0.113.0/24", text)
		}
		f.Networks = append(f.Networks, network)
	}
	if name := c.String("eth-network"); c.IsSet("eth-network") {
		chain, ok := eth.ChainNamed(name)
		if !ok {
			var names []string
			for _, chain := range eth.Chains() {
				names = append(names, chain.Name)
			}
			wrong("--eth-network %q: want one of %s%s", name, strings.Join(names, ", "), config.DidYouMean(name, names))
		}
		f.Chain = &chain
	}
	if len(errs) > 0 {
		return nil, &exitError{exitUsage, errors.Join(errs...)}
	}
	return f, nil
}

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}

// setOutput returns what prints a set in the form that the flags ask for.
func (a *app) setOutput(c *cli.Command) (func(dnsdisc.NodeSet) error, error) {
	forms := []struct {
		name string
		show func(dnsdisc.NodeSet) error
	}{
		{"json", func(set dnsdisc.NodeSet) error { return nodeset.Write(nodeset.Stdio, set, a.Stdout) }},
		{"ndjson", a.rows(writeNDJSON)},
		{"csv", a.rows(writeCSV)},
		{"table", a.rows(writeRows)},
		{"enr", a.rows(func(w io.Writer, rows []nodeset.Row) error {
			return writeLines(w, rows, func(r *nodeset.Row) string { return r.ENR })
		})},
		{"enode", a.rows(func(w io.Writer, rows []nodeset.Row) error {
			return writeLines(w, rows, func(r *nodeset.Row) string { return r.Enode })
		})},
	}
	name := c.String("output")
	switch {
	case c.Bool("json") && c.IsSet("output") && name != "json", c.Bool("quiet") && (c.Bool("json") || c.IsSet("output")):
		return nil, usagef("choose one of --json, --output and --quiet\nSee: %s --help", c.FullName())
	case c.Bool("json"):
		name = "json"
	case c.Bool("quiet"):
		return a.rows(func(w io.Writer, rows []nodeset.Row) error {
			return writeLines(w, rows, func(r *nodeset.Row) string { return r.ID.String() })
		}), nil
	}
	var names []string
	for _, form := range forms {
		if form.name == name {
			return form.show, nil
		}
		names = append(names, form.name)
	}
	slices.Sort(names)
	return nil, usagef("--output %q: want one of %s%s", name, strings.Join(names, ", "), config.DidYouMean(name, names))
}
