package ipc

import (
	"context"
	"net"
	"syscall"
)

// bind makes and listens on the socket. Linux gives the file the mode of the
// socket itself, so setting that before bind leaves no moment at which the file
// is open to others, whatever the umask.
func bind(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return failed
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, plain(err)
	}
	return l.(*net.UnixListener), nil
}
