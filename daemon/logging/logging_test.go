package logging

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/daemon/config"
)

var levels = []slog.Level{config.LevelCrit, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, config.LevelTrace}

// A verbosity shows its level and those above it, by their names.
func TestLevels(t *testing.T) {
	for format, names := range map[string][]string{
		"terminal": {" CRT ", " ERR ", " WRN ", " INF ", " DBG ", " TRC "},
		"logfmt":   {"level=CRIT", "level=ERROR", "level=WARN", "level=INFO", "level=DEBUG", "level=TRACE"},
		"json":     {`"level":"CRIT"`, `"level":"ERROR"`, `"level":"WARN"`, `"level":"INFO"`, `"level":"DEBUG"`, `"level":"TRACE"`},
	} {
		for verbosity, level := range levels {
			var b bytes.Buffer
			log, _, err := New(Options{Level: level, Format: format, Writer: &b})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range levels {
				log.Log(context.Background(), l, "message")
			}
			for i, name := range names {
				if got := strings.Contains(b.String(), name); got != (i <= verbosity) {
					t.Errorf("%s, verbosity %d: %q shown is %v", format, verbosity, name, got)
				}
			}
		}
	}
}

// One record is one line without control characters, whatever its values hold.
func TestOneLine(t *testing.T) {
	const bad = "x\n\r\t\x1b[31m\x00\a\u202e\u2028\xff"
	for _, format := range []string{"terminal", "logfmt", "json"} {
		var b bytes.Buffer
		log, _, err := New(Options{Format: format, Writer: &b})
		if err != nil {
			t.Fatal(err)
		}
		log.With("with", bad).Info("message", "text", bad, "err", errors.New(bad), "any", []string{bad}, bad, 1, slog.Group(bad, "a", bad))
		line := strings.TrimSuffix(b.String(), "\n")
		for _, r := range line {
			if r < ' ' || r == 0x7f {
				t.Errorf("%s: %q has the character %q", format, line, r)
				break
			}
		}
	}
}

// The file gets what the terminal gets, without colours, for the owner only, and
// what it had before stays.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 2 {
		var b bytes.Buffer
		log, file, err := New(Options{Format: "terminal", Writer: &b, Color: true, File: path})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("message", "a", 1)
		file.Close()
		if !strings.Contains(b.String(), "\x1b[") {
			t.Errorf("no colours on the terminal: %q", &b)
		}
	}
	text, _ := os.ReadFile(path)
	info, err := os.Stat(path)
	if strings.Count(string(text), "INF message a=1\n") != 2 || err != nil || info.Mode() != 0o600 {
		t.Errorf("file %q, mode %v, %v", text, info.Mode(), err)
	}
	if _, _, err := New(Options{Format: "terminal", File: filepath.Join(path, "below")}); err == nil {
		t.Error("a file that cannot be opened was accepted")
	}
	if _, _, err := New(Options{Format: "xml"}); err == nil {
		t.Error("an unknown format was accepted")
	}
}
