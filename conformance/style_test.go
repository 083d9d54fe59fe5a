package conformance

// What every package of the house owes its reader, as far as a parser can see it.

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// sleeps may stay: file of a test that calls time.Sleep -> why nothing else
// says it.
var sleeps = map[string]string{
	"xds/server/admission_test.go":    "it sleeps in a synctest bubble, where time is virtual",
	"xds/server/control/loop_test.go": "it sleeps in a synctest bubble, where time is virtual",
	"xds/server/script_test.go":       "it sleeps in a synctest bubble, where time is virtual",
	"discovery/catalog_test.go":       "it sleeps in a synctest bubble, where time is virtual",
	"discovery/dns/watch_test.go":     "it sleeps in a synctest bubble, where time is virtual",
	"proxy/upstream/dns_test.go":      "it sleeps in a synctest bubble, where time is virtual",
}

func TestSourcePackageSentences(t *testing.T) { report(t, silentPackages(readSource(t))) }
func TestSourceNoInit(t *testing.T)           { report(t, initFuncs(readSource(t))) }
func TestSourceNoSleep(t *testing.T)          { report(t, sleepingTests(readSource(t))) }
func TestSourceExportedDocs(t *testing.T)     { report(t, undocumented(readSource(t))) }

// silentPackages: a reader of the tree must learn from one sentence what a
// package is for.
func silentPackages(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		files := src.written(pkg)
		if len(files) == 0 {
			continue // only tests, or only what protoc wrote
		}
		said := slices.ContainsFunc(files, func(f *file) bool {
			first, _, _ := strings.Cut(f.ast.Doc.Text(), "\n\n")
			return len(strings.Fields(first)) >= 4 && strings.ContainsAny(first, ".:")
		})
		if !said {
			broken = append(broken, fmt.Sprintf("%s: no file says above its package clause, in a sentence, what the package is", pkg))
		}
	}
	return broken
}

// initFuncs: what runs before main cannot be ordered, tested or left out;
// registration here is one literal table.
func initFuncs(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		for _, f := range src.packages[pkg] {
			if f.generated {
				continue
			}
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					broken = append(broken, fmt.Sprintf("%s: func init: what runs before main cannot be ordered, tested or left out", src.at(fn)))
				}
			}
		}
	}
	return broken
}

// sleepingTests: a test that sleeps is slow when all is well and fails when the
// machine is busy. Conformance waits on real processes and may.
func sleepingTests(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		if under(pkg, "conformance") {
			continue
		}
		for _, f := range src.packages[pkg] {
			if !f.test || sleeps[f.name] != "" {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" && isIdent(sel.X, "time") {
					broken = append(broken, fmt.Sprintf("%s: time.Sleep in a test: wait for a condition, a virtual clock or the simulator", src.at(sel)))
				}
				return true
			})
		}
	}
	return broken
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// undocumented: units, bounds, errors and who may call cannot be guessed from a
// name.
func undocumented(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		for _, f := range src.written(pkg) {
			if f.ast.Name.Name == "main" {
				continue
			}
			for _, d := range f.ast.Decls {
				for _, id := range bareNames(d) {
					broken = append(broken, fmt.Sprintf("%s: %s.%s has no doc comment: an exported name says its units, bounds, errors and who may call it", src.at(id), pkg, id.Name))
				}
			}
		}
	}
	return broken
}

// saidByGo: methods whose meaning the language or errors fixes.
func saidByGo(fn *ast.FuncDecl) bool {
	return fn.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap"}, fn.Name.Name)
}

// isEnum: constants counted from a typed first one are told by their type's
// comment.
func isEnum(d *ast.GenDecl) bool {
	first, ok := d.Specs[0].(*ast.ValueSpec)
	return ok && d.Tok == token.CONST && first.Type != nil && len(first.Values) == 1 && mentionsIota(first.Values[0])
}

func mentionsIota(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == "iota"
		return true
	})
	return found
}

// bareNames are the exported names that a declaration leaves without a comment.
// A comment on a group covers it; so does one at the end of the line.
func bareNames(d ast.Decl) (bare []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d.Recv) && !saidByGo(d) {
			bare = append(bare, d.Name)
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil || isEnum(d) {
			return nil
		}
		for _, spec := range d.Specs {
			bare = append(bare, bareInSpec(spec)...)
		}
	}
	return bare
}

func bareInSpec(spec ast.Spec) (bare []*ast.Ident) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			bare = append(bare, s.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if s.Doc == nil && s.Comment == nil && name.IsExported() {
				bare = append(bare, name)
			}
		}
	}
	return bare
}

// exportedReceiver reports whether a method can be reached by its type's name;
// a plain function can.
func exportedReceiver(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	typ := recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
