package datadir

import (
	"os"
	"path/filepath"
)

// Replace writes a file that may exist, whole or not at all: after an error, or a
// crash at any moment, path has its old content or the new one. A file that was
// there keeps its permissions, others are readable by everybody. A symbolic link
// stays, and what it points to is replaced.
func Replace(path string, content []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return &os.PathError{Op: "replace", Path: path, Err: errNoFile}
		}
		mode = info.Mode().Perm()
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*")
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
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}
