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
	"parley/p2p"
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
			return usagef("%q is neither a node id of 64 hex digits nor the URL or record of a node: %w", who, err)
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
	if x.Ban != nil {
		tellBan(&b, x.Ban, x.ID)
	}
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
	if x.Gate != "" {
		fmt.Fprintf(&b, " kept out at: %s%s\n", printable(x.Gate), gateMeaning(x.Gate))
	}
	if x.Points > 0 {
		fmt.Fprintf(&b, " held against it: %.1f of the %d points that lead to a ban; half of them go every 30 minutes\n", x.Points, p2p.BanPoints)
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
	add(!x.Static && x.Source != "", "from "+x.Source)
	add(x.Ban != nil, "banned")
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

// tellBan tells of a ban, and of whose it is if it is not the node's.
func tellBan(b *strings.Builder, ban *admin.Ban, id string) {
	by := "the operator"
	if ban.Earned {
		by = "what it did"
	}
	fmt.Fprintf(b, " banned %s by %s", until(ban), by)
	if ban.Node != id {
		fmt.Fprintf(b, " (%s)", printable(ban.Target()))
	}
	if ban.Why != "" {
		fmt.Fprintf(b, ": %s", printable(ban.Why))
	}
	b.WriteString("\n")
}

// gateMeaning says in brackets what a gate stands for.
func gateMeaning(gate string) string {
	meaning := map[p2p.Gate]string{
		p2p.GateSource:      "it was named and not taken",
		p2p.GateRecord:      "what is known of it: key, endpoint, protocols",
		p2p.GateNetRestrict: "the networks that are permitted here",
		p2p.GateRelay:       "an address that its teller may not tell",
		p2p.GateHistory:     "seen or dialed a moment ago",
		p2p.GateQuota:       "the number of peers and connections here",
		p2p.GateBan:         "the bans here",
		p2p.GatePolicy:      "the policy here",
		p2p.GateDial:        "name and TCP connection",
		p2p.GateRLPx:        "encryption handshake",
		p2p.GateHello:       "identity and capabilities",
		p2p.GateProtocol:    "what a protocol made of it",
	}[p2p.Gate(gate)]
	if meaning == "" {
		return ""
	}
	return " (" + meaning + ")"
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
