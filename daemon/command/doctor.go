package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/daemon/doctor"
	"parley/daemon/jsonrpc"
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "check what the running node needs to find and keep peers",
		Description: "Each check ends with ok, warn, FAIL or skip. With a FAIL the exit code is 1.",
		Flags: daemonFlags(
			&cli.StringFlag{Name: "ntp", Usage: "`HOST` time server to compare the clock with (default: the clock is not checked)"},
		),
		Action: a.doctor,
	}
}

func (a *app) doctor(ctx context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	client, err := a.connect(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	facts, err := askNode(ctx, client)
	if err != nil {
		return err
	}
	tryOut(ctx, facts, c.String("ntp"), func() (*jsonrpc.Client, error) { return a.connect(ctx, c) })
	checks := doctor.Examine(facts)
	if c.Bool("json") {
		err = a.printJSON(checks)
	} else {
		err = printChecks(a.Stdout, checks)
	}
	if err == nil && doctor.Failed(checks) {
		err = &exitError{exitFailed, nil}
	}
	return err
}

// askNode asks the node for what it knows about itself.
func askNode(ctx context.Context, client *jsonrpc.Client) (*doctor.Facts, error) {
	f := &doctor.Facts{}
	for _, q := range []struct {
		method string
		result any
	}{
		{"p2p_setup", &f.Setup},
		{"admin_nodeInfo", &f.Info},
		{"p2p_stats", &f.Stats},
		{"p2p_explainStatic", &f.Static},
		{"p2p_bans", &f.Bans},
	} {
		if err := client.Call(ctx, q.result, q.method); err != nil {
			return nil, fmt.Errorf("%s: %w", q.method, err)
		}
	}
	return f, nil
}

// printChecks prints one line for each check and below it, for what is not right, what
// to do.
func printChecks(w io.Writer, checks []doctor.Check) error {
	width := 0
	for _, c := range checks {
		width = max(width, len(c.Name))
	}
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, " %-4s %-*s  %s\n", c.Status, width, printable(c.Name), printable(c.Detail))
		if c.Remedy != "" {
			fmt.Fprintf(&b, "      → %s\n", printable(c.Remedy))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
