package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
	"parley/daemon/logging"
	"parley/daemon/node"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "run a node until interrupted",
		Description: "Every option can also be set by an environment variable (--http.port by PARLEY_HTTP_PORT)\n" +
			"and in a TOML file (port in the table [http]); parley config init prints one.\n" +
			"The log goes to standard error. The first interrupt ends the node in order, the second at once.\n" +
			"SIGHUP reads the file and those of nodes again: maxpeers, netrestrict, staticpeers, trustedpeers,\n" +
			"nodial and verbosity change at once, others with the next start.",
		Flags:  optionFlags(),
		Action: a.run,
	}
}

func (a *app) run(ctx context.Context, c *cli.Command) error {
	if err := noArgs(c); err != nil {
		return err
	}
	loaded, err := a.load(c)
	if err != nil {
		return err
	}
	s := &loaded.Settings
	level := new(slog.LevelVar)
	level.Set(s.LogLevel)
	log, file, err := logging.New(logging.Options{
		Level: level, Format: s.LogFormat, Writer: a.Stderr, Color: a.Color, File: s.LogFile,
	})
	if err != nil {
		return err
	}
	for _, warning := range loaded.Warnings {
		log.Warn(warning)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, the next one has its usual effect.
	context.AfterFunc(ctx, stop)

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	err = node.Run(ctx, node.Options{
		Config: loaded, Build: a.Build, Log: log, Level: level,
		Hangup: hangup, Reload: func() (*config.Loaded, error) { return config.Load(a.sources(c)) },
	})
	if closeErr := file.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("log file: %w", closeErr))
	}
	return err
}
