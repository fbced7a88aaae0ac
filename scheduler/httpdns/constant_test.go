package httpdns

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// How long it takes to refuse a signature must not tell how much of it is right. That cannot be measured reliably, so this looks at the source: what was
// sent as signature, and what it should be, meet in hmac.Equal and nowhere else.
func TestConstantTime(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "signature.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Name.Name != "verify" {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if secret(n.X) || secret(n.Y) {
					t.Errorf("a signature is compared by %s", n.Op)
				}
			case *ast.CallExpr:
				name := called(n)
				if !slices.ContainsFunc(n.Args, secret) || name == "hex.DecodeString" {
					return true
				}
				if found = name == "hmac.Equal" && len(n.Args) == 2; !found {
					t.Errorf("a signature is given to %s", name)
				}
			}
			return true
		})
	}
	if !found {
		t.Error("verify does not use hmac.Equal")
	}
}

// secret reports whether an expression is the signature that was sent, or the right one.
func secret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "sign" || e.Name == "got"
	case *ast.CallExpr:
		return called(e) == "code"
	}
	return false
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}
