package ipc

import (
	"fmt"
	"net"
	"os"
)

// checkOwner refuses a connection of another user. The mode of the socket file
// keeps them out already; this holds even if somebody changed it.
func checkOwner(conn net.Conn) error {
	uid, known, err := peerUID(conn)
	if err != nil {
		return err
	}
	if known && !trustedUID(uid, os.Geteuid()) {
		return fmt.Errorf("ipc: connection of user %d refused", uid)
	}
	return nil
}

// trustedUID reports whether user uid may talk to a process of user own.
func trustedUID(uid uint32, own int) bool {
	return uid == 0 || int64(uid) == int64(own)
}
