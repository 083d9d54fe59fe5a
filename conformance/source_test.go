package conformance

// The module's source as the rules see it: parsed, not built. What go list would
// say depends on the machine; what is written does not.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/attache-mesh/attache"

// source is every Go file of the module, by package path below the module's
// root ("proxy/loop"; "." is the root).
type source struct {
	fset     *token.FileSet
	packages map[string][]*file
}

// file is one parsed Go file.
type file struct {
	name      string // path below the module's root
	ast       *ast.File
	test      bool
	generated bool // by protoc: the suffix says so
}

// readSource parses the module around this package.
func readSource(t *testing.T) *source {
	t.Helper()
	src := &source{fset: token.NewFileSet(), packages: map[string][]*file{}}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && notOurs(root, name):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return src.add(name, string(text))
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(src.packages) < 2 {
		t.Fatalf("only %d packages below %s: not the module's root?", len(src.packages), abs(".."))
	}
	return src
}

// notOurs are directories that hold no package of the module.
func notOurs(root fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	nested := err == nil // a module of its own: a tool with what it needs
	return nested || dir == "bin" || base == "testdata" || base[0] == '.' || base[0] == '_'
}

func abs(dir string) string {
	full, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	return full
}

func (src *source) add(name, text string) error {
	parsed, err := parser.ParseFile(src.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	src.packages[dir] = append(src.packages[dir], &file{
		name:      name,
		ast:       parsed,
		test:      strings.HasSuffix(name, "_test.go"),
		generated: strings.HasSuffix(name, ".pb.go") || strings.HasSuffix(name, ".pb.validate.go"),
	})
	return nil
}

// written are the files of a package that a person wrote and that ship.
func (src *source) written(pkg string) []*file {
	var files []*file
	for _, f := range src.packages[pkg] {
		if !f.test && !f.generated {
			files = append(files, f)
		}
	}
	return files
}

// at says where a node is, as a compiler would.
func (src *source) at(n ast.Node) string {
	p := src.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// imports are a shipping package's import paths with the file of each, tests
// left out: a test may stand wherever it sees best. Paths inside the module are
// cut to the form of source.packages.
func (src *source) imports(pkg string) map[string]string {
	found := map[string]string{}
	for _, f := range src.packages[pkg] {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err == nil {
				found[inModule(imported)] = src.at(spec)
			}
		}
	}
	return found
}

// inModule turns github.com/attache-mesh/attache/proxy/loop into proxy/loop and
// leaves what is not ours as it is.
func inModule(imported string) string {
	if imported == module {
		return "."
	}
	return strings.TrimPrefix(imported, module+"/")
}

// under reports whether pkg is dir or below it.
func under(pkg, dir string) bool {
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}
