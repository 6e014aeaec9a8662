package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v3"

	"parley/daemon/ipc"
	"parley/daemon/jsonrpc"
)

// daemonFlags are those of a command that talks to the running node.
func daemonFlags(more ...cli.Flag) []cli.Flag {
	return append(optionFlags("datadir", "ipcpath", "network"), append(more, jsonFlag())...)
}

// ask calls one method of the running node.
func (a *app) ask(ctx context.Context, c *cli.Command, result any, method string, params ...any) error {
	client, err := a.connect(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Call(ctx, result, method, params...)
}

// connect returns a client of the running node.
func (a *app) connect(ctx context.Context, c *cli.Command) (*jsonrpc.Client, error) {
	loaded, err := a.load(c)
	if err != nil {
		return nil, err
	}
	path := loaded.Settings.Socket()
	conn, err := ipc.Dial(ctx, path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	return jsonrpc.NewClient(conn), nil
}

// unreachable says what to do if the node cannot be reached.
func unreachable(path string, err error) error {
	advice := "start one with parley run, or name its socket with --ipcpath or --datadir"
	switch {
	case errors.Is(err, fs.ErrPermission):
		advice = "its socket is for the user who runs it"
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no socket")
	}
	return &exitError{exitUnreachable, fmt.Errorf("no running node at %s: %w\n%s", path, err, advice)}
}
