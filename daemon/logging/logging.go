// Package logging makes the daemon's logger: coloured lines for a terminal, or
// logfmt, or JSON, and a copy in a file.
//
// Values may hold what strangers chose, such as client names. Every format
// quotes what is not plainly printable, so that one record is one line and no
// escape sequence reaches a terminal. Messages are always our own words.
package logging

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"

	"parley/daemon/config"
)

// Options say where the log goes and how it looks.
type Options struct {
	Level  slog.Leveler // may change while the log is in use, as a *slog.LevelVar; nil is info
	Format string       // terminal, logfmt or json
	Writer io.Writer    // usually os.Stderr
	Color  bool         // whether Writer shows colours
	File   string       // also append to this file; empty: none
}

// New returns the logger, and what to close when the program ends.
func New(o Options) (*slog.Logger, io.Closer, error) {
	handler, err := newHandler(o.Writer, o.Level, o.Format, o.Color)
	if err != nil {
		return nil, nil, err
	}
	if o.File == "" {
		return slog.New(handler), io.NopCloser(nil), nil
	}
	f, err := os.OpenFile(o.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("logging: %w", err)
	}
	copied, err := newHandler(f, o.Level, o.Format, false)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return slog.New(slog.NewMultiHandler(handler, copied)), f, nil
}

func newHandler(w io.Writer, level slog.Leveler, format string, color bool) (slog.Handler, error) {
	switch format {
	case "terminal":
		return tint.NewTextHandler(w, &tint.Options{
			Level: level, NoColor: !color, ReplaceAttr: shortLevels, TimeFormat: "01-02 15:04:05.000",
		}), nil
	case "logfmt":
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: longLevels}), nil
	case "json":
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: longLevels}), nil
	}
	return nil, fmt.Errorf("logging: unknown format %q", format)
}

// shortLevels names the levels that slog does not know, for a terminal.
func shortLevels(groups []string, a slog.Attr) slog.Attr {
	if level, ok := levelOf(groups, a); ok {
		switch level {
		case config.LevelTrace:
			return slog.String(a.Key, "TRC")
		case config.LevelCrit:
			return slog.String(a.Key, "CRT")
		}
	}
	return a
}

// longLevels names the levels that slog does not know, for programs.
func longLevels(groups []string, a slog.Attr) slog.Attr {
	if level, ok := levelOf(groups, a); ok {
		switch level {
		case config.LevelTrace:
			return slog.String(a.Key, "TRACE")
		case config.LevelCrit:
			return slog.String(a.Key, "CRIT")
		}
	}
	return a
}

func levelOf(groups []string, a slog.Attr) (slog.Level, bool) {
	if a.Key != slog.LevelKey || len(groups) > 0 {
		return 0, false
	}
	level, ok := a.Value.Any().(slog.Level)
	return level, ok
}
