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
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Environ: os.Environ(),
		Color:   showsColor(os.Stderr),
		Build:   version,
	}))
}

// showsColor reports whether f is a terminal and its user has nothing against
// colours. https://no-color.org
func showsColor(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0 &&
		os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
