package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"parley/daemon/admin"
	"parley/enode"
)

func (a *app) whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", Usage: "tell why a node is, or is not, a peer of the running node", ArgsUsage: "NODE",
		Description: "NODE is an enode:// URL, an enr: record or a node id of 64 hex digits.",
		Flags:       daemonFlags(), Action: a.why,
	}
}

func (a *app) why(ctx context.Context, c *cli.Command) error {
	who, err := oneArg(c)
	if err != nil {
		return err
	}
	if _, err := enode.ParseID(who); err != nil {
		n, err := enode.Parse(who)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		who = n.ID().String()
	}
	var raw json.RawMessage
	if err := a.ask(ctx, c, &raw, "p2p_explain", who); err != nil {
		return err
	}
	if c.Bool("json") {
		return a.printJSON(raw)
	}
	var x admin.Explanation
	if err := json.Unmarshal(raw, &x); err != nil {
		return fmt.Errorf("p2p_explain: %w", err)
	}
	return tell(a.Stdout, &x)
}

// tell writes the story of a node: who it is, what each gate said about it in the
// order of time, and what to do.
func tell(w io.Writer, x *admin.Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "node %s\n", strings.Join(headline(x), "   "))
	for i := range x.Verdicts {
		tellVerdict(&b, &x.Verdicts[i])
	}
	switch {
	case len(x.Verdicts) > 0:
	case x.Connected:
		b.WriteString(" it is a peer, and nothing was ever held against it\n")
	default:
		b.WriteString(" nothing has happened with it yet\n")
	}
	if x.Advice != "" {
		fmt.Fprintf(&b, " → %s\n", printable(x.Advice))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func headline(x *admin.Explanation) []string {
	parts := []string{short(x.ID)}
	if n, err := enode.Parse(x.Enode); err == nil {
		if endpoint, ok := n.TCPEndpoint(); ok {
			parts = append(parts, endpoint.String())
		} else if n.Hostname() != "" {
			parts = append(parts, n.Hostname())
		}
	}
	add := func(is bool, word string) {
		if is {
			parts = append(parts, word)
		}
	}
	add(x.Static, "static")
	add(x.Trusted, "trusted")
	add(x.Connected, "connected")
	add(!x.Connected, "not connected")
	if n := len(x.Verdicts); n > 0 {
		parts = append(parts, "last tried "+age(x.Now.Sub(x.Verdicts[n-1].Time))+" ago")
	}
	switch {
	case x.Dialing:
		parts = append(parts, "being dialed now")
	case x.NextDial != nil && !x.Connected && x.NextDial.After(x.Now):
		parts = append(parts, "next try in "+age(x.NextDial.Sub(x.Now)))
	case x.NextDial != nil && !x.Connected:
		parts = append(parts, "next try now")
	}
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return parts
}

func tellVerdict(b *strings.Builder, v *admin.Verdict) {
	fmt.Fprintf(b, " %s %s", v.Time.Local().Format(time.TimeOnly), stepsBefore(v))
	if v.Remote != "" {
		fmt.Fprintf(b, "  %s", printable(v.Remote))
	}
	if v.Detail != "" {
		fmt.Fprintf(b, "  %s", printable(v.Detail))
	}
	fmt.Fprintf(b, "\n          ✗ %s", printable(v.Error))
	if v.Count > 1 {
		fmt.Fprintf(b, "  (%d times in %s)", v.Count, age(v.Time.Sub(v.First)))
	}
	b.WriteString("\n")
}

// stepsBefore tells how far a connection came: what was passed, and where it ended.
func stepsBefore(v *admin.Verdict) string {
	steps := []string{"dial", "rlpx", "hello", "protocol"}
	if v.Inbound {
		steps[0] = "they connected"
	}
	var told []string
	for i, step := range steps {
		if v.Gate == step {
			return strings.Join(append(told, step), " → ")
		}
		if i > 0 || !v.Inbound {
			step += " ok"
		}
		told = append(told, step)
	}
	if v.Inbound {
		return "they connected → " + printable(v.Gate)
	}
	return printable(v.Gate)
}

// age returns a duration as people say it: 12s, 3m, 2h.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
