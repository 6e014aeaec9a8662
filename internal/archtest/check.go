package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// check returns what in the tree breaks the rules, one line each beginning with
// the place. The tree's root is the library's module. Every Go file is read,
// whatever its build constraints say.
func check(tree fs.FS) ([]string, error) {
	c := &checker{tree: tree, fset: token.NewFileSet()}
	mod, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		return nil, err
	}
	c.library = moduleName(mod)
	c.checkRequirements(mod)
	if err := c.walk(".", ""); err != nil {
		return nil, err
	}
	slices.Sort(c.broken)
	return c.broken, nil
}

// A checker walks a tree and collects what is broken.
type checker struct {
	tree    fs.FS
	fset    *token.FileSet
	library string // the library's module path
	broken  []string
}

func (c *checker) report(place, format string, args ...any) {
	c.broken = append(c.broken, place+": "+fmt.Sprintf(format, args...))
}

// at is the place of a node, as file:line.
func (c *checker) at(n ast.Node) string {
	p := c.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

var (
	moduleLine  = regexp.MustCompile(`(?m)^module\s+(\S+)`)
	requireLine = regexp.MustCompile(`(?m)^(?:require\s+|\t)([^\s()]+)\s+v\S+`)
)

func moduleName(mod []byte) string {
	if m := moduleLine.FindSubmatch(mod); m != nil {
		return string(m[1])
	}
	return ""
}

func (c *checker) checkRequirements(mod []byte) {
	for _, m := range requireLine.FindAllSubmatch(mod, -1) {
		if name := string(m[1]); licences[name] == "" {
			c.report("go.mod", "requires %s, whose licence is not in the table", name)
		}
	}
}

// walk checks the packages in dir and below. In is the folder of the module
// that dir belongs to, empty for the library.
func (c *checker) walk(dir, in string) error {
	entries, err := fs.ReadDir(c.tree, dir)
	if err != nil {
		return err
	}
	if _, err := fs.Stat(c.tree, path.Join(dir, "go.mod")); err == nil && dir != "." {
		in = dir
		if !slices.ContainsFunc(modules, func(m module) bool { return m.dir == dir }) {
			c.report(dir, "is a module that is not in the table")
		}
	}
	var files []*ast.File
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			if strings.ContainsRune("._", rune(e.Name()[0])) || slices.Contains([]string{"testdata", "node_modules", "bin", "dist"}, e.Name()) {
				continue
			}
			if err := c.walk(name, in); err != nil {
				return err
			}
		case strings.HasSuffix(name, ".go"):
			text, err := fs.ReadFile(c.tree, name)
			if err != nil {
				return err
			}
			f, err := parser.ParseFile(c.fset, name, text, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil
	}
	c.checkPackage(dir, files)
	if in != "" {
		c.checkModule(in, files)
		return nil
	}
	i := slices.IndexFunc(packages, func(r row) bool { return r.path == dir })
	if i < 0 {
		c.report(dir, "is a package that is not in the table")
		return nil
	}
	for _, f := range files {
		c.checkFile(packages[i], f)
	}
	return nil
}

// checkPackage holds for the packages of all modules.
func (c *checker) checkPackage(dir string, files []*ast.File) {
	name, comment := "", ""
	for _, f := range files {
		if c.isTest(f) && name != "" {
			continue
		}
		name = strings.TrimSuffix(f.Name.Name, "_test")
		if f.Doc != nil && !c.isTest(f) {
			comment += f.Doc.Text()
		}
	}
	want := "Package " + name + " "
	if name == "main" {
		want = "Command "
	}
	switch {
	case comment == "":
		c.report(dir, "package %s has no comment", name)
	case !strings.HasPrefix(comment, want):
		c.report(dir, "the comment of package %s does not begin with %q", name, want)
	}
	for _, n := range []string{name, path.Base(dir)} {
		if slices.Contains(empty, n) {
			c.report(dir, "%s is a name that says nothing", n)
			break
		}
	}
}

// checkModule holds for the files of the modules beside the library.
func (c *checker) checkModule(in string, files []*ast.File) {
	i := slices.IndexFunc(modules, func(m module) bool { return m.dir == in })
	if i < 0 {
		return
	}
	for _, f := range files {
		for _, spec := range f.Imports {
			imported := importPath(spec)
			for _, no := range modules[i].forbid {
				if rest, ok := strings.CutPrefix(no, "./"); ok {
					no = c.library + "/" + rest
				}
				if within(imported, no) {
					c.report(c.at(spec), "%s must not import %s", in, imported)
				}
			}
		}
	}
}

// checkFile holds for the files of the library.
func (c *checker) checkFile(r row, f *ast.File) {
	test := c.isTest(f)
	for _, spec := range f.Imports {
		imported := importPath(spec)
		switch own, ok := strings.CutPrefix(imported, c.library+"/"); {
		case ok:
			if within(own, "daemon") || within(own, "interop") || within(own, "tools") {
				c.report(c.at(spec), "the library must not import %s", own)
			} else if !test && !slices.Contains(r.imports, own) {
				c.report(c.at(spec), "%s must not import %s: its row does not name it", r.path, own)
			}
		case imported == "C" || strings.Contains(strings.Split(imported, "/")[0], "."):
			inModule := func(m string) bool { return within(imported, m) }
			if !slices.ContainsFunc(r.modules, inModule) && !(test && slices.ContainsFunc(testModules, inModule)) {
				c.report(c.at(spec), "%s must not import %s: its row does not name that module", r.path, imported)
			}
		}
	}
	if test {
		return
	}
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
			c.report(c.at(d), "func init: state belongs to a value that somebody makes")
		}
	}
	c.checkNames(f, r.forbid, r.path+" must not use")
	if r.floor <= cores || slices.Contains(r.pure, path.Base(c.fset.Position(f.Pos()).Filename)) {
		c.checkPure(r, f)
	}
}

// checkPure holds for files that only decide.
func (c *checker) checkPure(r row, f *ast.File) {
	for _, spec := range f.Imports {
		imported := importPath(spec)
		below := func(p string) bool { return within(imported, p) }
		if slices.ContainsFunc(impure, below) && !slices.Contains(harmless, imported) && !slices.Contains(r.except, imported) {
			c.report(c.at(spec), "a pure file must not import %s", imported)
		}
		if spec.Name != nil && spec.Name.Name == "." {
			c.report(c.at(spec), "a pure file must not import %s into its own names, because they cannot be checked", imported)
		}
	}
	c.checkNames(f, clocks, "a pure file must not use")
	ast.Inspect(f, func(n ast.Node) bool {
		what := ""
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.ChanType:
			what = "a channel type"
		case *ast.SendStmt:
			what = "a send"
		case *ast.SelectStmt:
			what = "a select"
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				what = "a receive"
			}
		}
		if what != "" {
			c.report(c.at(n), "a pure file must not contain %s", what)
		}
		return true
	})
}

// checkNames reports uses of names like "time.Now", under whatever name the
// file imports the package.
func (c *checker) checkNames(f *ast.File, forbidden []string, complaint string) {
	local := make(map[string]string) // the file's name of a package to its path
	for _, spec := range f.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		local[name] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			// An identifier that the parser resolves is a variable of that name.
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && slices.Contains(forbidden, local[x.Name]+"."+sel.Sel.Name) {
				c.report(c.at(sel), "%s %s.%s", complaint, local[x.Name], sel.Sel.Name)
			}
		}
		return true
	})
}

func (c *checker) isTest(f *ast.File) bool {
	return strings.HasSuffix(c.fset.Position(f.Pos()).Filename, "_test.go")
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
	return p
}

// within reports whether a path is another or below it.
func within(p, top string) bool {
	return p == top || strings.HasPrefix(p, top+"/")
}
