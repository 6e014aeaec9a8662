//go:build unix && !linux

package ipc

import (
	"net"
	"syscall"
)

// bind makes and listens on the socket. The umask is the process's, so a file
// that is made elsewhere at the same moment may get fewer rights than it
// asked for, never more.
func bind(path string) (*net.UnixListener, error) {
	mask := syscall.Umask(0o177)
	defer syscall.Umask(mask)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, plain(err)
	}
	return l, nil
}
