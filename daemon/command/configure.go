package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
	"parley/daemon/datadir"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "show, check and write the configuration",
		Commands: []*cli.Command{{
			Name: "show", Usage: "print the value of every option",
			Description: "Takes the flags of parley run, and looks at the same environment and file.",
			Flags:       append(optionFlags(), &cli.BoolFlag{Name: "origin", Usage: "print where each value comes from"}, jsonFlag()),
			Action:      a.configShow,
		}, {
			Name: "check", Usage: "check a configuration file", ArgsUsage: "FILE",
			Action: a.configCheck,
		}, {
			Name: "init", Usage: "write a configuration file with every option explained", ArgsUsage: "[FILE]",
			Description: "Without FILE it is printed. FILE must not exist.",
			Action:      a.configInit,
		}},
	}
}

// aboutOption is what --json prints about an option.
type aboutOption struct {
	Name   string        `json:"name"`
	Value  string        `json:"value"`
	Origin config.Origin `json:"origin"`
}

func (a *app) configShow(_ context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	loaded, err := a.load(c)
	if err != nil {
		return err
	}
	a.warn(loaded.Warnings)
	list := []aboutOption{}
	rows := [][]string{}
	for _, v := range loaded.Values {
		text := v.Text
		switch {
		case v.Option.Secret && text != "":
			text = "(hidden)"
		case v.Option.Name == "datadir":
			text = loaded.Settings.DataDir
		}
		list = append(list, aboutOption{v.Option.Name, text, v.Origin})
		row := []string{v.Option.Name, dash(printable(text))}
		if c.Bool("origin") {
			row = append(row, printable(string(v.Origin)))
		}
		rows = append(rows, row)
	}
	if c.Bool("json") {
		return a.printJSON(list)
	}
	return printTable(a.Stdout, rows)
}

func (a *app) configCheck(_ context.Context, c *cli.Command) error {
	path, err := oneArg(c)
	if err != nil {
		return err
	}
	loaded, err := config.Load(config.Sources{File: path})
	a.warn(loaded.Warnings)
	if err != nil {
		return err
	}
	set := 0
	for _, v := range loaded.Values {
		if v.Origin != config.DefaultOrigin {
			set++
		}
	}
	_, err = fmt.Fprintf(a.Stdout, "%s is right: it sets %d options\n", path, set)
	return err
}

func (a *app) configInit(_ context.Context, c *cli.Command) error {
	text := config.Template()
	if !c.Args().Present() {
		_, err := io.WriteString(a.Stdout, text)
		return err
	}
	path, err := oneArg(c)
	if err != nil {
		return err
	}
	err = datadir.WriteNew(path, []byte(text))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: choose another name", path)
	}
	return err
}

func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(a.Stderr, "warning:", w)
	}
}
