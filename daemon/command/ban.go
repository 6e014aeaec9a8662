package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/admin"
	"parley/enode"
)

const aboutBanned = "NODE is an enode:// URL, an enr: record or a node id of 64 hex digits."

func (a *app) banCommand() *cli.Command {
	return &cli.Command{
		Name: "ban", Usage: "keep a node or a network out of the running node", ArgsUsage: "NODE|IP|CIDR",
		Description: aboutBanned + "\n" +
			"Connections are ended and refused, and it is not dialed, after restarts too.\n" +
			"Trusted nodes are let in in spite of the ban of a network.",
		Flags: daemonFlags(
			&cli.DurationFlag{Name: "for", Usage: "`TIME` that the ban holds, such as 6h (default: until it is lifted)"},
			&cli.StringFlag{Name: "why", Usage: "`TEXT` that is shown with the ban, at most 200 bytes"},
		),
		Action: a.ban,
	}
}

func (a *app) unbanCommand() *cli.Command {
	return &cli.Command{
		Name: "unban", Usage: "lift a ban", ArgsUsage: "NODE|IP|CIDR",
		Description: aboutBanned + " A network is named as parley bans does.",
		Flags:       daemonFlags(), Action: a.unban,
	}
}

func (a *app) bansCommand() *cli.Command {
	return &cli.Command{
		Name: "bans", Usage: "list whom the running node keeps out",
		Flags: daemonFlags(), Action: a.bans,
	}
}

// banTarget reads what a ban is about.
func banTarget(text string) (admin.BanTarget, error) {
	if _, err := enode.ParseID(text); err == nil {
		return admin.BanTarget{Node: text}, nil
	}
	if strings.HasPrefix(text, "enode:") || strings.HasPrefix(text, "enr:") || len(text) == 128 {
		n, err := enode.Parse(text)
		if err != nil {
			return admin.BanTarget{}, &exitError{exitUsage, err}
		}
		return admin.BanTarget{Node: n.ID().String()}, nil
	}
	net, err := admin.ParseNet(text)
	if err != nil {
		return admin.BanTarget{}, usagef("%q is neither a node (URL, record or id) nor an IP address or network", text)
	}
	return admin.BanTarget{Net: net.String()}, nil
}

// banArg returns what the only argument of a command names.
func banArg(c *cli.Command) (admin.BanTarget, error) {
	text, err := oneArg(c)
	if err != nil {
		return admin.BanTarget{}, err
	}
	return banTarget(text)
}

func (a *app) ban(ctx context.Context, c *cli.Command) error {
	target, err := banArg(c)
	if err != nil {
		return err
	}
	q := admin.BanRequest{BanTarget: target, Why: c.String("why")}
	if len(q.Why) > 200 {
		return usagef("--why has %d bytes, at most 200 are kept", len(q.Why))
	}
	if c.IsSet("for") {
		if c.Duration("for") <= 0 {
			return usagef("--for %v: want a time such as 6h", c.Duration("for"))
		}
		q.For = c.Duration("for").String()
	}
	var r admin.BanResult
	if err := a.ask(ctx, c, &r, "p2p_ban", q); err != nil {
		return err
	}
	a.warnBan(&r)
	if r.Ban == nil {
		return fmt.Errorf("p2p_ban: the answer has no ban")
	}
	return a.print(c, r.Ban, printable("banned "+r.Ban.Target()+" "+until(r.Ban)))
}

func (a *app) unban(ctx context.Context, c *cli.Command) error {
	target, err := banArg(c)
	if err != nil {
		return err
	}
	var r admin.BanResult
	if err := a.ask(ctx, c, &r, "p2p_unban", target); err != nil {
		return err
	}
	a.warnBan(&r)
	return a.print(c, target, "lifted the ban of "+target.Node+target.Net)
}

// warnBan tells what else there is to know of a change that was made.
func (a *app) warnBan(r *admin.BanResult) {
	if r.Static {
		a.warn([]string{"it is a static node: while it is banned it is not dialed"})
	}
	if r.Warning != "" {
		a.warn([]string{printable(r.Warning)})
	}
}

func (a *app) bans(ctx context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	var raw json.RawMessage
	if err := a.ask(ctx, c, &raw, "p2p_bans"); err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(raw)
	}
	var list []admin.Ban
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("p2p_bans: %w", err)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Stderr, "nobody is banned")
		return nil
	}
	rows := [][]string{{"BANNED", "SINCE", "UNTIL", "BY", "WHY"}}
	for i := range list {
		rows = append(rows, banRow(&list[i]))
	}
	return printTable(a.Stdout, rows)
}

func banRow(b *admin.Ban) []string {
	end, by := "lifted", "operator"
	if b.Until != nil {
		end = b.Until.Format(time.RFC3339)
	}
	if b.Earned {
		by = "score"
	}
	return []string{printable(b.Target()), b.Since.Format(time.RFC3339), end, by, dash(printable(b.Why))}
}

// until tells when a ban ends.
func until(b *admin.Ban) string {
	if b.Until == nil {
		return "until it is lifted"
	}
	return "until " + b.Until.Format(time.RFC3339)
}
