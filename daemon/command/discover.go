package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
	"parley/daemon/datadir"
	"parley/daemon/logging"
	"parley/discover"
	"parley/enode"
	"parley/enr"
)

// A dialect is one of the two discovery protocols.
type dialect struct {
	name string // of the command
	v4   bool
}

func (a *app) discv4Command() *cli.Command { return a.discoveryCommand(dialect{"discv4", true}) }
func (a *app) discv5Command() *cli.Command { return a.discoveryCommand(dialect{"discv5", false}) }

func (a *app) discoveryCommand(d dialect) *cli.Command {
	const node = "NODE is an enode:// URL or an enr: record."
	timeout := func(value time.Duration) cli.Flag {
		return &cli.DurationFlag{Name: "timeout", Value: value, Usage: fmt.Sprintf("`TIME` to wait at most (default: %v)", value)}
	}
	return &cli.Command{
		Name:  d.name,
		Usage: "ask nodes, and crawl the network, by discovery " + strings.TrimPrefix(d.name, "disc"),
		Commands: []*cli.Command{{
			Name: "ping", Usage: "ask a node for a sign of life", ArgsUsage: "NODE", Description: node,
			Flags: discoveryFlags(":0", timeout(10*time.Second), jsonFlag()), Action: a.probe(d, pingQuestion()),
		}, {
			Name: "requestenr", Usage: "ask a node for its record", ArgsUsage: "NODE", Description: node,
			Flags: discoveryFlags(":0", timeout(10*time.Second), jsonFlag()), Action: a.probe(d, recordQuestion()),
		}, {
			Name: "resolve", Usage: "find out where a node is, from itself or from the network", ArgsUsage: "NODE",
			Description: node + " A public key of 128 hex digits does, if there are bootnodes.",
			Flags:       discoveryFlags(":0", timeout(30*time.Second), jsonFlag()), Action: a.probe(d, resolveQuestion()),
		}, {
			Name: "listen", Usage: "take part in discovery until interrupted",
			Description: "Prints the enode URL and the record of the node.",
			Flags:       discoveryFlags(":30303", append(rpcFlags(), jsonFlag())...), Action: a.listen(d),
		}, {
			Name: "crawl", Usage: "find all nodes of the network", ArgsUsage: "[FILE]",
			Description: "FILE is a nodes.json, which need not exist. Nodes in it are checked, and new ones added: each node\n" +
				"that answers gains a point, each that does not loses half of its points, and with 0 its place. Without\n" +
				"FILE the nodes are printed, with - they are read from standard input and printed. An interrupt ends\n" +
				"the crawl, and what was found is kept.",
			Flags: discoveryFlags(":0", crawlFlags(timeout)...), Action: a.crawl(d, false),
		}, {
			Name: "resolve-json", Usage: "check the nodes of a file, and get their records anew", ArgsUsage: "FILE",
			Description: "FILE is a nodes.json. It is treated as by crawl, but nobody is asked for other nodes. The exit code is\n" +
				"4 if some did not answer.",
			Flags: discoveryFlags(":0", crawlFlags(timeout)...), Action: a.crawl(d, true),
		}},
	}
}

// discoveryFlags are those of every command that takes part in discovery.
func discoveryFlags(addr string, more ...cli.Flag) []cli.Flag {
	where := "a port of the system's choice, on all addresses"
	if addr != ":0" {
		where = addr
	}
	flags := append(optionFlags("netrestrict", "network"),
		&cli.StringFlag{Name: "bootnodes", Category: "networking", Usage: "`NODE,…|FILE` nodes to ask first for others, or network: those of --network (default: none)"},
		&cli.StringFlag{Name: "nodekey", Usage: "`FILE|HEX` node key: a file, or 64 hex digits (default: a new key)"},
		&cli.StringFlag{Name: "nodekeyhex", Usage: "`HEX` node key as 64 hex digits, for testing: other users of the machine can read it"},
		&cli.StringFlag{Name: "addr", Value: addr, Usage: "`HOST:PORT` UDP address to listen on (default: " + where + ")"},
		&cli.StringFlag{Name: "extaddr", Usage: "`IP[:PORT][,IP6]` endpoints to announce (default: the address that is listened on)"},
	)
	return append(flags, more...)
}

// namedBootnodes returns the bootnodes that somebody named. A tool asks nobody else
// by itself, as the daemon does.
func namedBootnodes(loaded *config.Loaded) []*enode.Node {
	for _, v := range loaded.Values {
		if v.Option.Name == "bootnodes" && v.Origin == config.DefaultOrigin {
			return nil
		}
	}
	return loaded.Settings.Bootnodes
}

// A station is a place in a discovery network.
type station struct {
	*discover.Service
	self      *enode.Node
	bootnodes []*enode.Node
	restrict  []netip.Prefix
	log       *slog.Logger
}

// openStation starts discovery as the flags say. The caller closes it.
func (a *app) openStation(ctx context.Context, c *cli.Command, d dialect, level slog.Level) (*station, error) {
	key, err := discoveryKey(c)
	if err != nil {
		return nil, err
	}
	announced, err := parseExtAddr(c.String("extaddr"))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	addr := c.String("addr")
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, usagef("--addr %q: want HOST:PORT or :PORT", addr)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, usagef("--addr %q: want a port from 0 to 65535", addr)
	}
	loaded, err := a.load(c)
	if err != nil {
		return nil, err
	}
	a.warn(loaded.Warnings)
	log, _, err := logging.New(logging.Options{Level: level, Format: "terminal", Writer: a.Stderr, Color: a.Color})
	if err != nil {
		return nil, err
	}
	s := &station{restrict: loaded.Settings.NetRestrict, log: log}
	for _, n := range namedBootnodes(loaded) {
		if n, err = withAddress(ctx, n); err != nil {
			return nil, err
		}
		s.bootnodes = append(s.bootnodes, n)
	}
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w\n--addr names another address", err)
	}
	if s.self, err = announce(key, conn.LocalAddr(), announced); err == nil {
		s.Service, err = discover.Listen(discover.Config{
			PrivateKey: key, Self: s.self, V4: d.v4, V5: !d.v4, Conn: conn,
			Bootnodes: s.bootnodes, NetRestrict: s.restrict, Logger: log,
		})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// discoveryKey returns the key that the flags name, or a new one.
func discoveryKey(c *cli.Command) (*enode.PrivateKey, error) {
	name, digits := c.String("nodekey"), c.String("nodekeyhex")
	switch {
	case name != "" && digits != "":
		return nil, usagef("--nodekey and --nodekeyhex are both there: there is one key")
	case digits != "":
		key, err := enode.ParseKeyText([]byte(digits))
		if err != nil {
			return nil, usagef("--nodekeyhex: %w", err)
		}
		return key, nil
	case name == "":
		return enode.GenerateKey()
	}
	if len(name) == 64 {
		if key, err := enode.ParseKeyText([]byte(name)); err == nil {
			return key, nil
		}
	}
	return datadir.ReadKey(name)
}

// withAddress returns n with the addresses of its host name, if it has one.
func withAddress(ctx context.Context, n *enode.Node) (*enode.Node, error) {
	if n.Hostname() == "" || n.Addr().IsValid() {
		return n, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", n.Hostname())
	if err != nil {
		return nil, err
	}
	return n.WithAddr(addrs...), nil
}

// announce returns the node that others are told of: at the endpoints of
// --extaddr, or where it listens. A socket on all addresses is announced at the
// loopback one, which is of use to other programs of this machine.
func announce(key *enode.PrivateKey, local net.Addr, endpoints []netip.AddrPort) (*enode.Node, error) {
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return nil, err
	}
	if len(endpoints) == 0 {
		addr := at.Addr().Unmap().WithZone("")
		if addr.IsUnspecified() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		endpoints = []netip.AddrPort{netip.AddrPortFrom(addr, at.Port())}
	}
	var entries []enr.Entry
	for _, e := range endpoints {
		port := e.Port()
		if port == 0 {
			port = at.Port()
		}
		entries = append(entries, endpointEntries(e.Addr(), 0, port)...)
	}
	// The time makes every record newer than those that were made of the key before.
	record, err := enr.Sign(key, uint64(time.Now().UnixMilli()), entries...)
	if err != nil {
		return nil, err
	}
	return enode.New(record)
}

// parseExtAddr reads at most one IPv4 and one IPv6 address, each with a port or
// without: then the port of the result is 0.
func parseExtAddr(text string) (endpoints []netip.AddrPort, err error) {
	if text == "" {
		return nil, nil
	}
	families := make(map[bool]bool)
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		at, err := netip.ParseAddrPort(item)
		if err != nil {
			addr, addrErr := netip.ParseAddr(strings.Trim(item, "[]"))
			if addrErr != nil {
				return nil, fmt.Errorf("--extaddr %q: want IP, IP:PORT or [IP6]:PORT", item)
			}
			at = netip.AddrPortFrom(addr, 0)
		}
		addr := at.Addr().Unmap()
		switch {
		case addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast():
			return nil, fmt.Errorf("--extaddr %q is not the address of one host", item)
		case families[addr.Is6()]:
			return nil, fmt.Errorf("--extaddr %q: want one address of each family", text)
		}
		families[addr.Is6()] = true
		endpoints = append(endpoints, netip.AddrPortFrom(addr, at.Port()))
	}
	return endpoints, nil
}
