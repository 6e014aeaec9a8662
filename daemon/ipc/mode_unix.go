//go:build unix

package ipc

import (
	"fmt"
	"io/fs"
	"syscall"
)

const (
	errAddrInUse   = syscall.EADDRINUSE
	errConnRefused = syscall.ECONNREFUSED
)

// checkMode makes sure that the file system kept the mode.
func checkMode(info fs.FileInfo) error {
	if mode := info.Mode(); mode.Type() != fs.ModeSocket || mode.Perm()&0o077 != 0 {
		return fmt.Errorf("the socket has mode %v; this file system does not keep others out", mode)
	}
	return nil
}
