//go:build unix && !solaris && !aix

package nodedb

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock that bbolt takes too, so that nobody writes the file while
// it is checked. bbolt then gets the same file, whose lock is taken already.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
