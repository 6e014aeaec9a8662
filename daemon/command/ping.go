package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/datadir"
	"parley/enode"
	"parley/p2p"
)

func (a *app) pingCommand() *cli.Command {
	return &cli.Command{
		Name: "ping", Usage: "exchange Hello with a node and print what it says", ArgsUsage: "NODE",
		Description: "NODE is an enode:// URL or an enr: record. The node sees a new identity, unless --nodekey names one.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "timeout", Value: 10 * time.Second, Usage: "`TIME` to wait (default: 10s)"},
			&cli.StringFlag{Name: "nodekey", Usage: "`FILE` with the node key to use (default: a new key)"},
			jsonFlag(),
		},
		Action: a.ping,
	}
}

// A pong is the outcome of a ping.
type pong struct {
	OK         bool     `json:"ok"`
	ID         string   `json:"id"` // 64 hex digits
	Enode      string   `json:"enode"`
	Name       string   `json:"name,omitempty"`
	Version    uint64   `json:"version,omitempty"` // of the base protocol
	Caps       []string `json:"caps,omitempty"`
	ListenPort uint64   `json:"listenPort,omitempty"`
	Millis     float64  `json:"ms"`               // until Hello, or the failure
	Step       string   `json:"step,omitempty"`   // where it failed
	Reason     string   `json:"reason,omitempty"` // of their Disconnect
	Error      string   `json:"error,omitempty"`
}

func (a *app) ping(ctx context.Context, c *cli.Command) error {
	url, err := oneArg(c)
	if err != nil {
		return err
	}
	n, err := enode.Parse(url)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	key, err := pingKey(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Duration("timeout"))
	defer cancel()
	start := time.Now()
	hello, err := p2p.Probe(ctx, key, nil, n)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v: %w", c.Duration("timeout"), errors.Join(err, ctx.Err()))
	}
	result := newPong(n, hello, err, time.Since(start))
	if c.Bool("json") {
		if printErr := a.printJSON(result); printErr != nil {
			return printErr
		}
	} else if err == nil {
		return result.write(a.Stdout)
	}
	return err
}

func pingKey(c *cli.Command) (*enode.PrivateKey, error) {
	if path := c.String("nodekey"); path != "" {
		return datadir.ReadKey(path)
	}
	return enode.GenerateKey()
}

func newPong(n *enode.Node, hello *p2p.Hello, err error, took time.Duration) *pong {
	p := &pong{OK: err == nil, ID: n.ID().String(), Enode: n.URL(), Millis: float64(took.Microseconds()) / 1000}
	if err != nil {
		p.Error = printable(err.Error())
		if e, ok := errors.AsType[*p2p.SetupError](err); ok {
			p.Step = string(e.Step)
		}
		if reason, ok := errors.AsType[p2p.DiscReason](err); ok {
			p.Reason = reason.String()
		}
		return p
	}
	p.Name, p.Version, p.ListenPort = printable(hello.Name), hello.Version, hello.ListenPort
	for _, capability := range hello.Caps {
		p.Caps = append(p.Caps, capability.String())
	}
	return p
}

func (p *pong) write(w io.Writer) error {
	return printTable(w, [][]string{
		{"name", dash(p.Name)},
		{"id", p.ID},
		{"p2p version", fmt.Sprint(p.Version)},
		{"capabilities", dash(strings.Join(p.Caps, " "))},
		{"listen port", fmt.Sprint(p.ListenPort)},
		{"time", fmt.Sprintf("%.1f ms", p.Millis)},
	})
}
