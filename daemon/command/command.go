// Package command is the command line: it reads arguments, asks the packages that
// do the work, and prints. Results go to standard output, everything else to
// standard error.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
	"parley/daemon/version"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2   // wrong arguments or configuration
	exitUnreachable = 3   // no running node
	exitPartial     = 4   // done for a part of the nodes
	exitTimeout     = 124 // as timeout(1) has it
)

// An Env is what a command has around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ returns it
	Color          bool     // whether Stderr shows colours
	Terminal       bool     // whether Stderr is a terminal
	Build          string   // what the program was built from; empty if nobody said so
}

// Main runs the command in args, whose first element is the program's name, and
// returns the exit code. A program called bootnode is that command alone.
func Main(ctx context.Context, args []string, env Env) int {
	a := &app{Env: env}
	root := a.root()
	if isBootnode(args) {
		root = a.bootnodeRoot()
	}
	err := root.Run(ctx, args)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
	} else if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		code = exitTimeout
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(env.Stderr, "%s: %s\n", root.Name, indent(text))
	}
	return code
}

// indent sets off the lines of a text after the first.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n        ") }

// An exitError is an error with its exit code. Without an error everything has
// been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef returns an error of whoever typed the command.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// An app is one run of the program.
type app struct{ Env }

func (a *app) root() *cli.Command {
	root := &cli.Command{
		Name:  "parley",
		Usage: "a node of Ethereum's peer-to-peer network",
		Commands: []*cli.Command{
			a.runCommand(),
			a.peersCommand(),
			a.whyCommand(),
			a.doctorCommand(),
			a.banCommand(),
			a.unbanCommand(),
			a.bansCommand(),
			a.pingCommand(),
			a.keyCommand(),
			a.enrCommand(),
			a.nodesetCommand(),
			a.discv4Command(),
			a.discv5Command(),
			a.dnsCommand(),
			a.bootnodeCommand(),
			a.configCommand(),
		},
	}
	return a.finishRoot(root)
}

// finishRoot gives a root what it needs beside its commands.
func (a *app) finishRoot(root *cli.Command) *cli.Command {
	root.Version = version.String(a.Build)
	root.Writer, root.ErrWriter = a.Stdout, a.Stderr
	root.ExitErrHandler = func(context.Context, *cli.Command, error) {} // Main does it
	finish(root)
	return root
}

// finish gives a command and those below it what all have in common. parents are
// the words before the command's name.
func finish(c *cli.Command, parents ...string) {
	c.OnUsageError = func(_ context.Context, c *cli.Command, err error, _ bool) error {
		return usagef("%w%s\nSee: %s --help", err, didYouMeanFlag(c, err), c.FullName())
	}
	c.HideHelpCommand = true
	text := helpText(c, parents)
	c.CustomHelpTemplate, c.CustomRootCommandHelpTemplate = text, text // it has no {{
	if len(c.Commands) > 0 {
		c.Action = noCommand
		c.SkipFlagParsing = len(parents) > 0 // they have none, and would not use our text for --help
	}
	for _, below := range c.Commands {
		finish(below, append(slices.Clip(parents), c.Name)...)
	}
}

// didYouMeanFlag names the flag that is closest to one that does not exist.
func didYouMeanFlag(c *cli.Command, err error) string {
	_, written, ok := strings.Cut(err.Error(), "flag provided but not defined: -")
	if !ok {
		return ""
	}
	var names []string
	for _, f := range c.Flags {
		names = append(names, f.Names()...)
	}
	return config.DidYouMean(strings.TrimLeft(written, "-"), names)
}

// noCommand runs when a word that should be a command is none, or is missing.
func noCommand(_ context.Context, c *cli.Command) error {
	if slices.Contains([]string{"", "-h", "-help", "--help"}, c.Args().First()) {
		_, err := io.WriteString(c.Root().Writer, c.CustomHelpTemplate)
		return err
	}
	var names []string
	for _, below := range c.Commands {
		names = append(names, below.Name)
	}
	return usagef("there is no command %q: %s has %s\nSee: %[2]s --help", c.Args().First(), c.FullName(), strings.Join(names, ", "))
}

// oneArg returns the only argument.
func oneArg(c *cli.Command) (string, error) {
	if c.NArg() != 1 || c.Args().First() == "" {
		return "", usagef("want one argument, %s, and got %d\nSee: %s --help", c.ArgsUsage, c.NArg(), c.FullName())
	}
	return c.Args().First(), nil
}

// noArgs refuses arguments.
func noArgs(c *cli.Command) error {
	if c.NArg() > 0 {
		return usagef("want no arguments, and got %q\nSee: %s --help", c.Args().First(), c.FullName())
	}
	return nil
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }
