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
	"parley/nat"
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
			&cli.StringFlag{Name: "nat", Value: "none", Usage: "`METHOD` how to learn the address from outside and map the port: any, upnp, pmp, pcp, stun, extip:IP or none (default: none)"},
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
	outside, err := nat.Parse(c.String("nat"))
	if err != nil {
		return usagef("--nat: %w", err)
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
		PrivateKey: key, Addr: c.String("addr"), NAT: outside, NetRestrict: s.NetRestrict, Logger: log,
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
