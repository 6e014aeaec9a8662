//go:build unix

package datadir

import (
	"os"
	"path/filepath"
	"testing"
)

// A file is replaced whole, keeps its permissions, and stays where a link to it
// leads.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	check := func(want string, mode os.FileMode) {
		t.Helper()
		text, err := os.ReadFile(path)
		info, statErr := os.Lstat(path)
		if err != nil || statErr != nil || string(text) != want || info.Mode() != mode {
			t.Errorf("%q, %v, %v, %v; want %q, %v", text, info.Mode(), err, statErr, want, mode)
		}
	}
	if err := Replace(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	check("one", 0o644)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("two")); err != nil {
		t.Fatal(err)
	}
	check("two", 0o600)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info.Mode(), err)
	}
}

// What cannot be replaced is left alone, and nothing is left beside it.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "sub")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(target, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if err := Replace(filepath.Join(dir, "none", "file"), []byte("x")); err == nil {
		t.Error("a file was written into a directory that does not exist")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v; want the directory alone", left, err)
	}
}
