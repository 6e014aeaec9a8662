package ipc

import (
	"io/fs"
	"net"
	"syscall"
)

// The errors of Winsock, which package syscall does not name.
const (
	errAddrInUse   = syscall.Errno(10048) // WSAEADDRINUSE
	errConnRefused = syscall.Errno(10061) // WSAECONNREFUSED
)

// bind makes and listens on the socket. Who may open it follows from the access
// rights of its directory, which below a user's profile are that user's alone.
func bind(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, plain(err)
	}
	return l, nil
}

func checkMode(fs.FileInfo) error { return nil }
