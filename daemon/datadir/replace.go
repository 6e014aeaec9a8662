package datadir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file that may exist, whole or not at all: after an error, or a
// crash at any moment, path has its old content or the new one. A file that was
// there keeps its permissions, others are readable by everybody. A symbolic link
// stays, and what it points to is replaced.
func Replace(path string, content []byte) error {
	f, target, mode, err := beside(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	if err := writeSynced(f, content); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), mode); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return err
	}
	return syncDir(filepath.Dir(target))
}

// CanReplace returns the error that Replace would, as far as that is known before
// there is anything to write.
func CanReplace(path string) error {
	f, _, _, err := beside(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// beside makes an empty file beside the one that is to be replaced. It returns the
// path of that one, without links, and the permissions that the new one gets.
func beside(path string) (f *os.File, target string, mode fs.FileMode, err error) {
	if target, err = filepath.EvalSymlinks(path); err != nil {
		target = path
	}
	mode = 0o644
	if info, err := os.Stat(target); err == nil {
		if !info.Mode().IsRegular() {
			return nil, "", 0, &fs.PathError{Op: "replace", Path: path, Err: errNoFile}
		}
		mode = info.Mode().Perm()
	}
	f, err = os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".new-*")
	return f, target, mode, err
}
