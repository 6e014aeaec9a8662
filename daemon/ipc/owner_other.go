//go:build !linux && !darwin

package ipc

import "net"

// peerUID does not know: here the rights on the file and its directory decide.
func peerUID(net.Conn) (uid uint32, known bool, err error) { return 0, false, nil }
