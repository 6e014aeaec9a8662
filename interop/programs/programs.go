// Package programs installs the programs that the interop tests drive and says
// where they are. Nothing has to be prepared by hand: what is missing is built
// with the Go tool, which fetches it from the module proxy, or is installed with
// apt-get.
package programs

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The versions that the tests were written against.
const (
	// GethVersion is the newest geth that can be installed by its path.
	GethVersion = "v1.17.8"
	// Devp2pVersion is the version of the devp2p tool and of its test chain.
	Devp2pVersion = "v1.17.10"
)

const (
	ethereumModule = "github.com/ethereum/go-ethereum"

	// installTimeout bounds one build. A cold one takes about 3 minutes on two
	// cores.
	installTimeout = 20 * time.Minute
)

// A Set is the programs of one work tree. Each is installed when it is first
// asked for; the result, a failure too, is kept. Its methods are safe for
// concurrent use.
type Set struct {
	module string    // directory of the interop module
	notes  io.Writer // one line for each program that has to be built

	geth, devp2p, parley, chain, nameServer func() (string, error)
}

// Open returns the programs of the work tree that the current directory lies
// in. It writes a line to notes before it builds something.
func Open(notes io.Writer) (*Set, error) {
	out, err := run("", nil, "go", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	gomod := strings.TrimSpace(string(out))
	if filepath.Base(filepath.Dir(gomod)) != "interop" {
		return nil, fmt.Errorf("programs: open: the current module is %q, want that of interop", gomod)
	}
	s := &Set{module: filepath.Dir(gomod), notes: notes}
	s.geth = sync.OnceValues(func() (string, error) { return s.install(ethereumModule+"/cmd/geth", GethVersion) })
	s.devp2p = sync.OnceValues(func() (string, error) { return s.install(ethereumModule+"/cmd/devp2p", Devp2pVersion) })
	s.parley = sync.OnceValues(s.build)
	s.chain = sync.OnceValues(chainDir)
	s.nameServer = sync.OnceValues(s.findNameServer)
	return s, nil
}

// Geth returns the path of geth, GethVersion.
func (s *Set) Geth() (string, error) { return s.geth() }

// Devp2p returns the path of the devp2p tool, Devp2pVersion.
func (s *Set) Devp2p() (string, error) { return s.devp2p() }

// Parley returns the path of parley, built from this work tree without cgo.
func (s *Set) Parley() (string, error) { return s.parley() }

// ChainDir returns the directory of the chain that the devp2p tool tests
// against.
func (s *Set) ChainDir() (string, error) { return s.chain() }

// LogDir returns the directory in which the logs of failed tests are kept.
func (s *Set) LogDir() string { return filepath.Join(s.module, "logs") }

// install returns the program at an import path, from bin if it is there in that
// version.
func (s *Set) install(path, version string) (string, error) {
	bin := filepath.Join(s.module, "bin")
	file := filepath.Join(bin, filepath.Base(path)+"-"+version)
	if checkVersion(file, path, version) == nil {
		return file, nil
	}
	fmt.Fprintf(s.notes, "interop: installing %s@%s, which takes some minutes if nothing is cached\n", path, version)
	return place(file, func(dir string) error {
		if _, err := run("", []string{"GOBIN=" + dir, "GOWORK=off"}, "go", "install", path+"@"+version); err != nil {
			return err
		}
		return checkVersion(filepath.Join(dir, filepath.Base(path)), path, version)
	}, filepath.Base(path))
}

// build builds parley. It does so every time: the Go tool knows what changed.
func (s *Set) build() (string, error) {
	return place(filepath.Join(s.module, "bin", "parley"), func(dir string) error {
		_, err := run(filepath.Join(filepath.Dir(s.module), "daemon"), []string{"CGO_ENABLED=0", "GOWORK=off"},
			"go", "build", "-o", filepath.Join(dir, "parley"), "./cmd/parley")
		return err
	}, "parley")
}

// place has a program made in a new directory and moves it to file. The move is
// atomic: another test process may be doing the same, or running the old one.
func place(file string, build func(dir string) error, name string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", fmt.Errorf("programs: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return "", fmt.Errorf("programs: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return "", fmt.Errorf("programs: %s: %w", filepath.Base(file), err)
	}
	if err := os.Rename(filepath.Join(dir, name), file); err != nil {
		return "", fmt.Errorf("programs: %w", err)
	}
	return file, nil
}

// checkVersion reports whether file is the program at an import path in a
// version, going by what the linker wrote into it.
func checkVersion(file, path, version string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	if info.Path != path || info.Main.Version != version {
		return fmt.Errorf("%s is %s@%s, want %s@%s", file, info.Path, info.Main.Version, path, version)
	}
	return nil
}

// chainDir finds the chain in the module cache; it is data of the devp2p tool's
// module, so both have the same version.
func chainDir() (string, error) {
	out, err := run("", []string{"GOWORK=off"}, "go", "mod", "download", "-json", ethereumModule+"@"+Devp2pVersion)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("programs: go mod download: %w", err)
	}
	dir := filepath.Join(module.Dir, "cmd", "devp2p", "internal", "ethtest", "testdata")
	if _, err := os.Stat(filepath.Join(dir, "chain.rlp")); err != nil {
		return "", fmt.Errorf("programs: test chain: %w", err)
	}
	return dir, nil
}

// run runs a command to its end and returns what it printed. The error carries
// what it complained of.
func run(dir string, env []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("programs: %s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out, nil
}
