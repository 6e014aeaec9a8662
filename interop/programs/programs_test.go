package programs

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// A program is taken from the cache only if its build says that it is the one
// asked for: this test's own binary is not, and neither is a text file.
func TestCheckVersion(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("this test has no build information")
	}
	if err := checkVersion(self, info.Path, info.Main.Version); err != nil {
		t.Errorf("own binary: %v", err)
	}
	if checkVersion(self, info.Path, "v0.0.1") == nil {
		t.Error("own binary passes as another version")
	}
	if checkVersion(self, ethereumModule+"/cmd/geth", info.Main.Version) == nil {
		t.Error("own binary passes as geth")
	}
	text := filepath.Join(t.TempDir(), "geth")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if checkVersion(text, ethereumModule+"/cmd/geth", GethVersion) == nil {
		t.Error("a script passes as geth")
	}
}

// A program that could not be made leaves neither itself nor a half-made file.
func TestPlaceFailure(t *testing.T) {
	bin := t.TempDir()
	_, err := place(filepath.Join(bin, "tool"), func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("half"), 0o755); err != nil {
			t.Fatal(err)
		}
		return os.ErrDeadlineExceeded
	}, "tool")
	if err == nil {
		t.Error("place succeeded, want the error of the build")
	}
	if left, _ := os.ReadDir(bin); len(left) != 0 {
		t.Errorf("%d files left, want none: %v", len(left), left)
	}
}

// A program of the system is found, and one that is not there is not.
func TestSystem(t *testing.T) {
	if path, err := system("sh"); err != nil || filepath.Base(path) != "sh" {
		t.Errorf("system(sh) = %q, %v", path, err)
	}
	if path, err := system("no-such-program-of-parley"); err == nil {
		t.Errorf("a program that does not exist is %s", path)
	}
}
