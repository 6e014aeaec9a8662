// Package ipc is the local way to a running node: a Unix socket that only its
// owner can open. Windows 10 and later have Unix sockets too; there the access
// rights of the directory take the place of the file mode.
package ipc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
)

// ErrInUse is wrapped when somebody answers on the socket already.
var ErrInUse = errors.New("another process answers on it")

// A Listener accepts connections from the socket's owner, and from root.
type Listener struct {
	net.Listener
	path    string
	file    fs.FileInfo // the socket file that we made
	trusted func(conn net.Conn) error
	close   func() error
}

// Listen makes the socket at path and listens on it. The file has mode 0600 from
// the moment it exists. Nothing is ever removed but a socket on which nobody
// answers: not a file, not a link, not the socket of a living process.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("ipc: listen on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (*Listener, error) {
	if err := checkLength(path); err != nil {
		return nil, err
	}
	inner, err := bind(path)
	if errors.Is(err, errAddrInUse) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		inner, err = bind(path)
	}
	if err != nil {
		return nil, err
	}
	// The file is removed by Close, and only if it is still ours.
	inner.SetUnlinkOnClose(false)
	l := &Listener{Listener: inner, path: path, trusted: checkOwner}
	l.close = sync.OnceValue(l.closeOnce)
	if l.file, err = os.Lstat(path); err == nil {
		err = checkMode(l.file)
	}
	if err != nil {
		inner.Close()
		return nil, err
	}
	return l, nil
}

// Accept returns the next connection of the owner. Others are closed unread.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.trusted(conn) == nil {
			return conn, nil
		}
		conn.Close()
	}
}

// Close stops listening and removes the socket file, unless another has taken its
// place.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) closeOnce() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return l.Listener.Close()
}

// Path returns the path of the socket file.
func (l *Listener) Path() string { return l.path }

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := checkLength(path); err != nil {
		return nil, fmt.Errorf("ipc: dial %s: %w", path, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("ipc: dial %s: %w", path, plain(err))
	}
	return conn, nil
}

// removeStale removes the socket that a process left behind when it died.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is a %s in its place, which is left alone: remove it or choose another path", kind(info.Mode()))
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		conn.Close()
		return ErrInUse
	case !errors.Is(err, errConnRefused):
		return fmt.Errorf("there is a socket in its place, and whether it is in use cannot be told: %w", plain(err))
	}
	return os.Remove(path)
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "directory"
	case mode.Type() == fs.ModeSymlink:
		return "symbolic link"
	}
	return "special file"
}

// checkLength names the limit that the system's "invalid argument" hides.
func checkLength(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("the path has %d bytes, and the system allows %d for a socket: choose a shorter one", len(path), maxPath)
	}
	return nil
}

// maxPath is the longest path of a socket in bytes: sun_path without the NUL
// that ends it.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// plain returns the system's error without the operation and address, which the
// caller tells.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}
