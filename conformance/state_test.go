package conformance

// No package keeps state of its own: what changes lives in a value that someone
// made, owns and can make twice.

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"
)

// state may stay: "package.variable" -> why it cannot live in a value.
var state = map[string]string{}

func TestSourceNoPackageState(t *testing.T) { report(t, packageState(readSource(t))) }

const whyNoState = "what a package keeps is shared by all who import it, in tests too; it belongs in a value that its owner makes"

// packageState finds package variables that are written after their
// declaration (assigned, counted, deleted from, cleared) by the package itself,
// and those of a type whose only use is to change (sync, sync/atomic).
func packageState(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		files := src.written(pkg)
		uses := resolve(src, pkg, files)
		for _, f := range files {
			for _, spec := range packageVars(f.ast) {
				if typ := changingType(spec); typ != "" && state[pkg+"."+spec.Names[0].Name] == "" {
					broken = append(broken, fmt.Sprintf("%s: %s.%s is a package variable of type %s: %s", src.at(spec), pkg, spec.Names[0].Name, typ, whyNoState))
				}
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				for _, id := range written(n) {
					v, ok := uses[id].(*types.Var)
					if ok && v.Parent() != nil && v.Parent() == v.Pkg().Scope() && state[pkg+"."+id.Name] == "" {
						broken = append(broken, fmt.Sprintf("%s: %s.%s is a package variable and is written here: %s", src.at(id), pkg, id.Name, whyNoState))
					}
				}
				return true
			})
		}
	}
	return broken
}

// resolve says which declaration each name of the package's files means. Imports
// stay unknown: only our own variables matter here.
func resolve(src *source, pkg string, files []*file) map[*ast.Ident]types.Object {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	var parsed []*ast.File
	for _, f := range files {
		parsed = append(parsed, f.ast)
	}
	_, err := conf.Check(pkg, src.fset, parsed, info)
	_ = err // unknown imports are errors, as they must be
	return info.Uses
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not read") }

func packageVars(f *ast.File) (specs []*ast.ValueSpec) {
	for _, d := range f.Decls {
		if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			for _, spec := range gen.Specs {
				specs = append(specs, spec.(*ast.ValueSpec))
			}
		}
	}
	return specs
}

// changingType names the sync or atomic type that a variable is declared with,
// "" if it has none.
func changingType(spec *ast.ValueSpec) string {
	typ := spec.Type
	if typ == nil && len(spec.Values) > 0 {
		value := spec.Values[0]
		if addr, ok := value.(*ast.UnaryExpr); ok {
			value = addr.X
		}
		if lit, ok := value.(*ast.CompositeLit); ok {
			typ = lit.Type
		}
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	sel, ok := typ.(*ast.SelectorExpr)
	if ok && (isIdent(sel.X, "sync") || isIdent(sel.X, "atomic")) {
		return sel.X.(*ast.Ident).Name + "." + sel.Sel.Name
	}
	return ""
}

// written are the names whose value, element or field a statement changes.
func written(n ast.Node) (ids []*ast.Ident) {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			targets = n.Lhs
		}
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			targets = []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		if len(n.Args) > 0 && (isIdent(n.Fun, "delete") || isIdent(n.Fun, "clear") || isIdent(n.Fun, "copy")) {
			targets = n.Args[:1]
		}
	}
	for _, target := range targets {
		if id := root(target); id != nil && !strings.HasPrefix(id.Name, "_") {
			ids = append(ids, id)
		}
	}
	return ids
}

// root is the variable that an expression changes: m in m[k], v in v.f.g.
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
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}
