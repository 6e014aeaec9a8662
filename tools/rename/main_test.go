package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The path changes where it is the module's, nowhere else, and can be changed
// again.
func TestRename(t *testing.T) {
	root := t.TempDir()
	before := map[string]string{
		"go.mod":            "module parley\n\ngo 1.26\n\nrequire example.org/parley v1.0.0\n",
		"daemon/go.mod":     "module parley/daemon\n\nrequire parley v0.0.0\n\nreplace parley => ../\n",
		"a/a.go":            "package a\n\nimport (\n\t\"fmt\"\n\t\"parleyvous/x\"\n\n\tb \"parley/b\" // \"parley/b\"\n)\n\nvar _, _ = fmt.Sprint(\"parley/b\"), b.X\n",
		"README.md":         "`\"parley/p2p\"` is the parley/p2p package\n",
		"testdata/x.go":     "package x\n\nimport \"parley/b\"\n",
		".hidden/hidden.md": "\"parley/p2p\"\n",
	}
	after := map[string]string{
		"go.mod":            "module example.org/new\n\ngo 1.26\n\nrequire example.org/parley v1.0.0\n",
		"daemon/go.mod":     "module example.org/new/daemon\n\nrequire example.org/new v0.0.0\n\nreplace example.org/new => ../\n",
		"a/a.go":            "package a\n\nimport (\n\t\"fmt\"\n\t\"parleyvous/x\"\n\n\tb \"example.org/new/b\" // \"parley/b\"\n)\n\nvar _, _ = fmt.Sprint(\"parley/b\"), b.X\n",
		"README.md":         "`\"example.org/new/p2p\"` is the parley/p2p package\n",
		"testdata/x.go":     before["testdata/x.go"],
		".hidden/hidden.md": before[".hidden/hidden.md"],
	}
	for name, text := range before {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want map[string]string) {
		t.Helper()
		for name, text := range want {
			got, err := os.ReadFile(filepath.Join(root, name))
			if err != nil || string(got) != text {
				t.Errorf("%s:\n%s%v\nwant:\n%s", name, got, err, text)
			}
		}
	}
	if n, err := rename(root, "example.org/new"); n != 4 || err != nil {
		t.Errorf("rename = %d, %v; want 4 files", n, err)
	}
	check(after)
	if n, err := rename(root, "parley"); n != 4 || err != nil {
		t.Errorf("rename back = %d, %v; want 4 files", n, err)
	}
	check(before)
	for _, bad := range []string{"", "/x", "a b", "x/", "../x", `x"`} {
		if _, err := rename(root, bad); err == nil {
			t.Errorf("rename to %q succeeds", bad)
		}
	}
}
