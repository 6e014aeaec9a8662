package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"parley/daemon/bootnode"
	"parley/daemon/config"
	"parley/daemon/datadir"
	"parley/daemon/logging"
	"parley/enode"
)

// isBootnode reports whether the program was called by the name of the bootnode
// program that many scripts know: through a symbolic link or a copy.
func isBootnode(args []string) bool {
	return len(args) > 0 && strings.TrimSuffix(filepath.Base(args[0]), ".exe") == "bootnode"
}

func (a *app) bootnodeRoot() *cli.Command { return a.finishRoot(a.bootnodeCommand()) }

func (a *app) bootnodeCommand() *cli.Command {
	return &cli.Command{
		Name: "bootnode", Usage: "run a node that others ask first for nodes",
		Description: "It speaks discovery v4 and v5 on one UDP port and does nothing else. Its enode URL and record go to standard\n" +
			"output, the log to standard error. All flags of the bootnode program of old are taken, with one dash or two, and a\n" +
			"symbolic link of the name bootnode to this program behaves like it.\n" +
			"Nothing is kept on disk: the sequence number of the record begins at the clock.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Value: ":30301", Usage: "`HOST:PORT` UDP address to listen on (default: :30301)"},
			&cli.StringFlag{Name: "genkey", Usage: "`FILE` make a node key, write it to the file and end"},
			&cli.BoolFlag{Name: "writeaddress", Usage: "print the public key as 128 hex digits and end"},
			&cli.StringFlag{Name: "nodekey", Usage: "`FILE` with the node key"},
			&cli.StringFlag{Name: "nodekeyhex", Usage: "`HEX` node key as 64 hex digits, for testing: other users of the machine can read it"},
			&cli.StringFlag{Name: "nat", Value: "none", Usage: "`WHAT` extip:IP puts the address into the record; none learns it from others (default: none)"},
			&cli.StringFlag{Name: "netrestrict", Usage: "`CIDR,…` talk only to addresses in these networks"},
			&cli.BoolFlag{Name: "v5", Usage: "taken for old scripts: v5 is spoken anyway, beside v4"},
			&cli.StringFlag{Name: "verbosity", Value: "3", Usage: "`N` 0 silent, 1 errors, 2 warnings, 3 what happens, 4 debug, 5 everything (default: 3)"},
			&cli.StringFlag{Name: "vmodule", Usage: "`PATTERN` taken for old scripts, without effect: verbosity is for everything"},
			jsonFlag(),
		},
		Action: a.bootnode,
	}
}

// aboutBootnode is what --json prints of a bootnode that runs.
type aboutBootnode struct {
	ID    string `json:"id"` // 64 hex digits
	Enode string `json:"enode"`
	ENR   string `json:"enr"`
	UDP   string `json:"udp"` // endpoint in the record
}

func (a *app) bootnode(ctx context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	if path := c.String("genkey"); path != "" {
		return a.bootnodeGenkey(c, path)
	}
	s, err := a.bootnodeSettings(c)
	if err != nil {
		return err
	}
	key := s.NodeKeyHex
	if key == nil {
		if key, err = datadir.ReadKey(s.NodeKey); err != nil {
			return fmt.Errorf("%w (make one with: %s --genkey %s)", err, c.FullName(), s.NodeKey)
		}
	}
	if c.Bool("writeaddress") {
		about := about(s.NodeKey, key)
		return a.print(c, about, about.PublicKey)
	}
	external, err := bootnodeNAT(c.String("nat"))
	if err != nil {
		return err
	}
	log, file, err := logging.New(logging.Options{Level: s.LogLevel, Format: "terminal", Writer: a.Stderr, Color: a.Color})
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, the next one has its usual effect.
	context.AfterFunc(ctx, stop)

	return bootnode.Run(ctx, bootnode.Config{
		PrivateKey: key, Addr: c.String("addr"), External: external, NetRestrict: s.NetRestrict, Logger: log,
		Started: func(self *enode.Node) error {
			at, _ := self.UDPEndpoint()
			about := aboutBootnode{ID: self.ID().String(), Enode: self.URL(), ENR: self.Record().String(), UDP: at.String()}
			return a.print(c, about, about.Enode+"\n"+about.ENR)
		},
	})
}

func (a *app) bootnodeGenkey(c *cli.Command, path string) error {
	key, err := datadir.NewKey(path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: choose another name", path)
	}
	if err != nil || !c.Bool("json") && !c.Bool("writeaddress") {
		return err
	}
	about := about(path, key)
	return a.print(c, about, about.PublicKey)
}

// bootnodeSettings checks the options that parley run has too.
func (a *app) bootnodeSettings(c *cli.Command) (*config.Settings, error) {
	if c.String("nodekey") == "" && c.String("nodekeyhex") == "" {
		return nil, usagef("there is no node key: name its file with --nodekey, or make one with --genkey FILE")
	}
	host, port, err := net.SplitHostPort(c.String("addr"))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if _, ipErr := netip.ParseAddr(host); err != nil || host != "" && ipErr != nil {
		return nil, usagef("--addr %q is not an address and port, such as :30301 or 127.0.0.1:30301", c.String("addr"))
	}
	flags := map[string]string{"datadir": "."} // of which there is none
	for _, name := range []string{"nodekey", "nodekeyhex", "netrestrict", "verbosity"} {
		if c.IsSet(name) {
			flags[name] = c.String(name)
		}
	}
	loaded, err := config.Load(config.Sources{Flags: flags})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return &loaded.Settings, nil
}

// bootnodeNAT returns the address that --nat names, none if it is to be learned.
func bootnodeNAT(text string) (netip.Addr, error) {
	method, ip, _ := strings.Cut(text, ":")
	switch method {
	case "", "none", "off":
		return netip.Addr{}, nil
	case "extip", "ip":
		addr, err := netip.ParseAddr(ip)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
			return addr, usagef("--nat %q: want the address that others reach this node at, such as extip:203.0.113.9", text)
		}
		return addr.Unmap(), nil
	case "any", "auto", "on", "upnp", "pmp", "natpmp", "nat-pmp", "stun":
		return netip.Addr{}, usagef("--nat %s: this command does not ask a gateway for a port mapping yet; forward the UDP port there and say --nat extip:IP", text)
	}
	return netip.Addr{}, usagef("--nat %q: want none or extip:IP", text)
}
