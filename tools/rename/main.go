// Command rename gives the library another module path: in the go.mod files, in
// the imports of all Go files, and in quoted import paths of the documentation.
//
//	rename ROOT PATH
//
// ROOT is the folder of the library's go.mod, which names the old path.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: rename ROOT PATH")
		os.Exit(2)
	}
	changed, err := rename(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files changed\n", changed)
}

var (
	modulePath = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9._~-]*(/[a-zA-Z0-9._~-]+)*$`)
	moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)
)

// rename changes the files below root and returns how many.
func rename(root, path string) (changed int, err error) {
	if !modulePath.MatchString(path) {
		return 0, fmt.Errorf("%q is not a module path", path)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, err
	}
	line := moduleLine.FindSubmatch(mod)
	if line == nil {
		return 0, fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
	}
	old := string(line[1])

	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (name[0] == '.' || slices.Contains([]string{"testdata", "node_modules", "bin"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		var change func(text []byte, old, path string) ([]byte, error)
		switch {
		case name == "go.mod":
			change = inMod
		case strings.HasSuffix(name, ".go"):
			change = inGo
		case strings.HasSuffix(name, ".md"):
			change = inText
		default:
			return nil
		}
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		after, err := change(before, old, path)
		if err != nil || bytes.Equal(before, after) {
			return err
		}
		changed++
		return os.WriteFile(file, after, 0o644)
	})
	return changed, err
}

// inMod replaces the path, alone or as the beginning of another, where it
// stands as a word.
func inMod(text []byte, old, path string) ([]byte, error) {
	word := regexp.MustCompile(`(?m)(^|[ \t])` + regexp.QuoteMeta(old) + `(/|[ \t]|$)`)
	return word.ReplaceAll(text, []byte("${1}"+path+"${2}")), nil
}

// inGo replaces import paths.
func inGo(text []byte, old, path string) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	found := false
	for _, spec := range slices.Backward(file.Imports) {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		rest, ok := strings.CutPrefix(imported, old)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		found = true
		begin, end := fset.Position(spec.Path.Pos()).Offset, fset.Position(spec.Path.End()).Offset
		text = slices.Concat(text[:begin], []byte(strconv.Quote(path+rest)), text[end:])
	}
	if !found {
		return text, nil
	}
	return format.Source(text)
}

// inText replaces import paths in double quotes.
func inText(text []byte, old, path string) ([]byte, error) {
	return bytes.ReplaceAll(text, []byte(`"`+old+`/`), []byte(`"`+path+`/`)), nil
}
