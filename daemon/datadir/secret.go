package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// errNoFile is for paths that lead to something else than a file.
var errNoFile = errors.New("it is not a file")

// maxSecret is the size of the largest file that readSecret reads, in bytes.
const maxSecret = 4096

// WriteNew writes a file that must not exist yet, readable by its owner only.
// After a crash at any moment there is either no file at path or the whole one;
// a file that is there is never replaced (the error is fs.ErrExist).
func WriteNew(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := writeSynced(f, content); err != nil {
		return err
	}
	// A link, unlike a rename, fails if the name is taken.
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	case err != nil:
		// A file system without links. Readers refuse what a crash leaves behind.
		if err := writeExclusive(path, content); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// writeSynced writes, waits until the disk has it, and closes.
func writeSynced(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func writeExclusive(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return writeSynced(f, content)
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// readSecret reads a small file that only its owner may be able to read.
func readSecret(path string) ([]byte, error) {
	// Looked at first, because opening a pipe would wait for a writer.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s can be read by other users (mode %v): they may have copied it; if they have not, run chmod 600 on it", path, info.Mode().Perm())
	case info.Size() > maxSecret:
		return nil, fmt.Errorf("%s has %d bytes, which is more than a secret needs", path, info.Size())
	}
	return io.ReadAll(io.LimitReader(f, maxSecret))
}
