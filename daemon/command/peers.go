package command

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/p2p"
)

func (a *app) peersCommand() *cli.Command {
	return &cli.Command{
		Name: "peers", Usage: "list the peers of the running node",
		Flags:  daemonFlags(&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print node ids only"}),
		Action: a.peers,
	}
}

func (a *app) peers(ctx context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	var raw json.RawMessage
	if err := a.ask(ctx, c, &raw, "admin_peers"); err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(raw)
	}
	var peers []*p2p.PeerInfo
	if err := json.Unmarshal(raw, &peers); err != nil {
		return fmt.Errorf("admin_peers: %w", err)
	}
	if c.Bool("quiet") {
		for _, p := range peers {
			fmt.Fprintln(a.Stdout, printable(p.ID))
		}
		return nil
	}
	if len(peers) == 0 {
		fmt.Fprintln(a.Stderr, "no peers; parley why NODE tells what keeps one away")
		return nil
	}
	rows := [][]string{{"ID", "ADDRESS", "CONN", "KIND", "PROTOCOLS", "NAME"}}
	for _, p := range peers {
		rows = append(rows, peerRow(p))
	}
	return printTable(a.Stdout, rows)
}

func peerRow(p *p2p.PeerInfo) []string {
	conn := "dialed"
	if p.Network.Inbound {
		conn = "inbound"
	}
	var kinds []string
	if p.Network.Static {
		kinds = append(kinds, "static")
	}
	if p.Network.Trusted {
		kinds = append(kinds, "trusted")
	}
	row := []string{short(p.ID), p.Network.RemoteAddress, conn, dash(strings.Join(kinds, ",")), dash(running(p)), p.Name}
	for i := range row {
		row[i] = printable(row[i])
	}
	return row
}

// running lists the protocols that run with a peer, with their version if they
// tell it.
func running(p *p2p.PeerInfo) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(p.Protocols)) {
		if about, ok := p.Protocols[name].(map[string]any); ok && about["version"] != nil {
			name = fmt.Sprintf("%s/%v", name, about["version"])
		}
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

// short returns the beginning of a node id, enough to recognise it by.
func short(id string) string { return id[:min(16, len(id))] }
