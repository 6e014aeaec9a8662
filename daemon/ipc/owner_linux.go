package ipc

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerUID returns the user that made the connection, as the kernel knows it.
func peerUID(conn net.Conn) (uid uint32, known bool, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, false, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return 0, false, err
	}
	if failed != nil {
		return 0, false, failed
	}
	return cred.Uid, true, nil
}
