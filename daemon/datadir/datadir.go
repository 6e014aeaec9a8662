// Package datadir owns the files of a node: where they lie, the lock that keeps a
// second process out, and the secrets, which are written once, whole, and for
// the owner's eyes only.
//
//	DIR/parley.ipc          the socket, see package ipc
//	DIR/static-nodes.json   nodes to stay connected to (optional)
//	DIR/trusted-nodes.json  nodes to admit above the limits (optional)
//	DIR/parley/nodekey      the node's identity
//	DIR/parley/http.token   what HTTP clients must send
//	DIR/parley/LOCK         held by the process that runs
package datadir

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Default returns the directory that is used if none is named: ~/.parley, on
// macOS ~/Library/Parley, on Windows %LOCALAPPDATA%\Parley.
func Default() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("datadir: no home directory: %w; name a directory with --datadir", err)
	}
	switch runtime.GOOS {
	case "darwin", "ios":
		return filepath.Join(home, "Library", "Parley"), nil
	case "windows":
		if local := os.Getenv("LOCALAPPDATA"); local != "" {
			return filepath.Join(local, "Parley"), nil
		}
		return filepath.Join(home, "AppData", "Local", "Parley"), nil
	}
	return filepath.Join(home, ".parley"), nil
}

// A Dir is a data directory that this process holds the lock of.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the directory if it is not there, readable by the owner only, and
// takes its lock. If another process has it, the error is an *InUseError.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("datadir: %w", err)
	}
	d := &Dir{path: path}
	if err := os.MkdirAll(d.instance(), 0o700); err != nil {
		return nil, fmt.Errorf("datadir: %w", err)
	}
	if d.lock, err = lock(d.Path(), filepath.Join(d.instance(), "LOCK")); err != nil {
		return nil, err
	}
	return d, nil
}

// Path returns the absolute path of the directory.
func (d *Dir) Path() string { return d.path }

// Close gives the lock back. The LOCK file stays: removing it would let two
// processes hold locks on two files of one name.
func (d *Dir) Close() error { return d.lock.Close() }

// KeyFile returns the path of the node key.
func (d *Dir) KeyFile() string { return filepath.Join(d.instance(), "nodekey") }

// TokenFile returns the path of the token for HTTP clients.
func (d *Dir) TokenFile() string { return filepath.Join(d.instance(), "http.token") }

// Database returns the path of the node database, a disposable cache.
func (d *Dir) Database() string { return filepath.Join(d.instance(), "nodes.db") }

// Find returns the path of the file called name, if there is one in the directory.
func (d *Dir) Find(name string) (path string, ok bool) {
	path = filepath.Join(d.path, name)
	_, err := os.Stat(path)
	return path, err == nil
}

func (d *Dir) instance() string { return filepath.Join(d.path, "parley") }

// Socket returns the path of the socket called name: one without a directory lies
// in the data directory, any other is taken as it is.
func Socket(dir, name string) string {
	if filepath.Base(name) == name {
		return filepath.Join(dir, name)
	}
	return name
}
