package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Violation is one place where a rule is broken.
type Violation struct {
	// File is the path within the tree, or a folder's.
	File string
	// Line counts from 1; zero means all of File.
	Line int
	// Text says which rule it is, and why.
	Text string
}

// String returns "file:line: text", the form that editors jump to.
func (v Violation) String() string {
	if v.Line == 0 {
		return v.File + ": " + v.Text
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Text)
}

// Check reads the Go files of a module's tree and returns every violation, sorted.
// An error means that the tree could not be read or parsed.
func Check(tree fs.FS) ([]Violation, error) {
	c := &checker{tree: tree, fset: token.NewFileSet(), packages: make(map[string]*pkg)}
	if err := fs.WalkDir(tree, ".", c.visit); err != nil {
		return nil, fmt.Errorf("checking the architecture: %w", err)
	}
	c.checkPackages()
	slices.SortFunc(c.found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(c.found), nil
}

// checker is one run of [Check].
type checker struct {
	tree     fs.FS
	fset     *token.FileSet
	packages map[string]*pkg // by folder
	found    []Violation
}

// pkg is what is known of a package when all its files are read.
type pkg struct {
	documented bool
	vars       map[string]bool // names of its package-level variables
	files      []*source       // without tests
}

// source is one parsed file.
type source struct {
	path    string
	dir     string
	test    bool
	ast     *ast.File
	imports map[string]string // import path by the name it has in the file
}

// visit implements [fs.WalkDirFunc].
func (c *checker) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if d.IsDir() {
		return c.visitFolder(name)
	}
	if !strings.HasSuffix(name, ".go") {
		return nil
	}
	text, err := fs.ReadFile(c.tree, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(c.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s := &source{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: file}
	s.imports = importNames(file)
	c.remember(s)
	c.checkFile(s, strings.Count(string(text), "\n"))
	return nil
}

func (c *checker) visitFolder(name string) error {
	base := path.Base(name)
	if base == "testdata" || base == "node_modules" || (name != "." && base[0] == '.') {
		return fs.SkipDir
	}
	if name == "." || strings.Contains(name, "/") {
		return nil
	}
	if otherFolders[name] {
		return fs.SkipDir
	}
	if _, ok := law[name]; !ok {
		c.found = append(c.found, Violation{File: name, Text: "no such part: the top-level folders are fixed by the design"})
	}
	return nil
}

// remember adds a file to its package.
func (c *checker) remember(s *source) {
	if s.test {
		return
	}
	p := c.packages[s.dir]
	if p == nil {
		p = &pkg{vars: make(map[string]bool)}
		c.packages[s.dir] = p
	}
	p.documented = p.documented || s.ast.Doc != nil
	p.files = append(p.files, s)
	for _, decl := range s.ast.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names { //nolint:errcheck // the grammar of a var declaration
					p.vars[name.Name] = true
				}
			}
		}
	}
}

// add reports a violation at a place of a file.
func (c *checker) add(pos token.Pos, format string, args ...any) {
	p := c.fset.Position(pos)
	c.found = append(c.found, Violation{File: p.Filename, Line: p.Line, Text: fmt.Sprintf(format, args...)})
}

// importNames maps the name of each import in a file to its path. An import
// without a name of its own is taken to be called like its path's last element,
// a major version apart.
func importNames(f *ast.File) map[string]string {
	names := make(map[string]string, len(f.Imports))
	for _, imp := range f.Imports {
		p := importPath(imp)
		name := path.Base(p)
		if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(p))
		}
		if imp.Name != nil {
			name = imp.Name.Name
		}
		names[name] = p
	}
	return names
}

func importPath(imp *ast.ImportSpec) string { return strings.Trim(imp.Path.Value, "`\"") }
