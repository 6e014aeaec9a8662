package datadir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// An InUseError says that another process runs on the directory.
type InUseError struct {
	Dir string
	PID int // 0 if it is not known
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("datadir: %s is in use by %s: stop that one, or give this one its own with --datadir", e.Dir, who)
}

// errLocked is what tryLock returns if another process has the lock.
var errLocked = errors.New("locked")

// lock takes the lock of dir, which is held through the file, until it is closed
// or the process ends, however it ends. The file tells the process id to those
// who come later.
func lock(dir, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("datadir: %w", err)
	}
	switch err := tryLock(f); {
	case err == errLocked:
		pid := readPID(f)
		f.Close()
		return nil, &InUseError{Dir: dir, PID: pid}
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("datadir: lock %s: %w", path, err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("datadir: lock %s: %w", path, err)
	}
	return f, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// readPID returns the process id in the file, 0 if there is none.
func readPID(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}
