package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// unfinished are words of work left undone; nolintForm is the one way to silence a
// linter: which one, and why.
var (
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)
	nolintForm = regexp.MustCompile(`^//nolint:[a-z0-9,]+ // \S`)
)

// checkFile applies every rule that needs one file only.
func (c *checker) checkFile(s *source, lines int) {
	if !s.test && lines > maxFileLines {
		c.found = append(c.found, Violation{File: s.path, Text: "a file has at most 500 lines"})
	}
	c.checkImports(s)
	c.checkComments(s)
	c.checkFunctions(s)
	c.checkUses(s)
}

func (c *checker) checkImports(s *source) {
	from, known := law[part(s.dir)]
	for _, imp := range s.ast.Imports {
		p := importPath(imp)
		if why, bad := forbiddenImports[p]; bad {
			c.add(imp.Pos(), "nobody imports %s: %s", p, why)
		}
		if why, bad := impureImports[p]; bad && purePackages[s.dir] && !s.test {
			c.add(imp.Pos(), "a pure package does not import %s: %s", p, why)
		}
		inside, own := ours(p)
		switch {
		case !known: // reported as a folder
		case own && !slices.Contains(from.mayImport, part(inside)):
			c.add(imp.Pos(), "%s does not import %s: %s", part(s.dir), part(inside), from.reason)
		case part(s.dir) == "cdn" && !s.test && !own && !standard(p):
			c.add(imp.Pos(), "cdn does not import %s: %s", p, from.reason)
		}
	}
	if s.dir == "." {
		c.add(s.ast.Package, "no Go files at the top: each belongs to a part")
	}
}

func (c *checker) checkComments(s *source) {
	for _, group := range s.ast.Comments {
		for _, comment := range group.List {
			if word := unfinished.FindString(comment.Text); word != "" {
				c.add(comment.Pos(), "%s: finish it, or write an issue", word)
			}
			if strings.HasPrefix(comment.Text, "//nolint") && !nolintForm.MatchString(comment.Text) {
				c.add(comment.Pos(), "nolint has a linter's name and a reason: //nolint:name // reason")
			}
		}
	}
}

func (c *checker) checkFunctions(s *source) {
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if fn.Name.Name == "init" && fn.Recv == nil {
			c.add(fn.Pos(), "no func init: whoever needs it calls it")
		}
		lines := c.fset.Position(fn.End()).Line - c.fset.Position(fn.Pos()).Line + 1
		if !s.test && lines > maxFunctionLines {
			c.add(fn.Pos(), "%s has %d lines, a function has at most %d", fn.Name.Name, lines, maxFunctionLines)
		}
	}
}

// checkUses looks at the names that a file takes from its imports, and at go
// statements.
func (c *checker) checkUses(s *source) {
	pure := purePackages[s.dir] && !s.test
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if pure {
				c.add(n.Pos(), "a pure package starts no goroutine")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				c.checkUse(s, n, s.imports[x.Name], pure)
			}
		}
		return true
	})
}

func (c *checker) checkUse(s *source, n *ast.SelectorExpr, from string, pure bool) {
	name := n.Sel.Name
	switch {
	case from == "time" && name == "Sleep" && s.test:
		c.add(n.Pos(), "a test does not sleep: it waits for what it needs, or runs in testing/synctest")
	case slices.Contains(forbiddenNames[from], name):
		c.add(n.Pos(), "nobody uses %s.%s: it is shared by the whole process", from, name)
	case pure && slices.Contains(impureNames[from], name):
		c.add(n.Pos(), "a pure package does not use %s.%s: it comes in as a value", from, name)
	}
}

// checkPackages applies the rules that need all files of a package.
func (c *checker) checkPackages() {
	for dir, p := range c.packages {
		if !p.documented {
			c.found = append(c.found, Violation{File: dir, Text: "a package has a doc comment: what it is for, and what not"})
		}
		for _, s := range p.files {
			for _, decl := range s.ast.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
					c.checkWrites(p, fn)
				}
			}
		}
	}
}

// checkWrites reports assignments to the package's variables. A local variable of
// the same name hides the package's one from this check, which has no scopes.
func (c *checker) checkWrites(p *pkg, fn *ast.FuncDecl) {
	local := localNames(fn)
	report := func(target ast.Expr) {
		if name := root(target); name != nil && p.vars[name.Name] && !local[name.Name] {
			c.add(target.Pos(), "%s is a package-level variable: it never changes", name.Name)
		}
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, target := range n.Lhs {
				report(target)
			}
		case *ast.IncDecStmt:
			report(n.X)
		}
		return true
	})
}

// root returns the variable that an assignment to the expression changes, or nil.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// localNames returns every name that a function declares anywhere in it.
func localNames(fn *ast.FuncDecl) map[string]bool {
	names := make(map[string]bool)
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, target := range n.Lhs {
					if id, ok := target.(*ast.Ident); ok {
						names[id.Name] = true
					}
				}
			}
		case *ast.ValueSpec:
			addNames(names, n.Names)
		case *ast.Field:
			addNames(names, n.Names)
		case *ast.RangeStmt:
			for _, e := range [...]ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					names[id.Name] = true
				}
			}
		}
		return true
	})
	return names
}

func addNames(names map[string]bool, ids []*ast.Ident) {
	for _, id := range ids {
		names[id.Name] = true
	}
}
