// Command parley is a node of Ethereum's peer-to-peer network, and the tools
// around it. See parley --help.
package main

import (
	"context"
	"io/fs"
	"os"

	"parley/daemon/command"
)

// version is what git describe says about the source. The linker sets it.
var version string

func main() {
	os.Exit(command.Main(context.Background(), os.Args, command.Env{
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Environ:  os.Environ(),
		Color:    isTerminal(os.Stderr) && os.Getenv("NO_COLOR") == "", // https://no-color.org
		Terminal: isTerminal(os.Stderr),
		Build:    version,
	}))
}

// isTerminal reports whether f is a terminal that can move its cursor.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
