// Package house_test holds the house to its plan (ARCHITECTURE.md): which room
// may import which, and what users get to see.
package house_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/bearerguard/bearerguard"

// mayImport has the arrows of the plan: each room of the root module, and what
// it may import of the others.
var mayImport = map[string][]string{
	"scope":                {},
	"internal/strictjson":  {},
	"internal/fetch":       {"internal/strictjson"},
	"internal/discovery":   {"internal/fetch", "internal/strictjson"},
	"internal/jws":         {"internal/strictjson"},
	"jwks":                 {"internal/discovery", "internal/fetch", "internal/known", "internal/strictjson", "internal/wiring"},
	"claims":               {"scope", "jwks", "internal/contextkey", "internal/jws", "internal/known", "internal/plain", "internal/strictjson", "internal/wiring"},
	"middleware":           {"scope", "claims", "internal/contextkey", "internal/known", "internal/wiring"},
	"userinfo":             {"scope", "jwks", "claims", "middleware", "internal/contextkey", "internal/discovery", "internal/fetch", "internal/jws", "internal/strictjson", "internal/wiring"},
	"internal/fakeissuer":  {},
	"authtest":             {"claims", "jwks", "internal/fakeissuer", "middleware"},
	"internal/adaptertest": {"scope", "claims", "middleware", "authtest"},
	"internal/wiring":      {},
	"internal/house":       {},
	"internal/plain":       {},
	"internal/contextkey":  {},
	"internal/known":       {},
	"cmd/bearerguard":      {"cmd/bearerguard/internal/command"},
	"cmd/bearerguard/internal/command": {
		"scope", "jwks", "claims", "middleware",
		"internal/discovery", "internal/fakeissuer", "internal/fetch", "internal/jws", "internal/plain", "internal/strictjson",
	},
}

// mayImportTesting has the rooms that are made for tests: what imports testing
// has its flags and its weight in every program.
var mayImportTesting = []string{"authtest", "internal/adaptertest"}

// jwxFiles are the only ones that know jwx, so that it can be exchanged.
var jwxFiles = []string{"jwks/import.go", "internal/fakeissuer/sign.go"}

// A listed is a package as go list tells of it.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func (p listed) room() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// public reports whether users can import the package.
func (p listed) public() bool {
	return p.Name != "main" && !strings.Contains(p.ImportPath+"/", "/internal/")
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "%s", stderr.Bytes())
	return out
}

// packages returns the packages of the root module.
func packages(t *testing.T) []listed {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(run(t, "go", "list", "-json", "./...")))
	var all []listed
	for decoder.More() {
		var p listed
		require.NoError(t, decoder.Decode(&p))
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

func TestRoomsImportAsThePlanSays(t *testing.T) {
	for _, p := range packages(t) {
		allowed, planned := mayImport[p.room()]
		require.True(t, planned, "%s is not in the plan", p.room())
		for _, imported := range p.Imports {
			if room, ours := strings.CutPrefix(imported, module+"/"); ours {
				require.Contains(t, allowed, room, "imported by %s", p.room())
			}
			if imported == "testing" {
				require.Contains(t, mayImportTesting, p.room(), "it imports testing")
			}
		}
	}
}

func TestJWXStandsInTwoFiles(t *testing.T) {
	var found []string
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range parsed.Imports {
				if strings.Contains(spec.Path.Value, "/jwx/") {
					found = append(found, path.Join(p.room(), file))
					break
				}
			}
		}
	}
	require.ElementsMatch(t, jwxFiles, found)
}

// A type of a dependency in a signature would make the dependency's next major
// version ours.
func TestNoTypeOfADependencyIsInThePublicAPI(t *testing.T) {
	for _, p := range packages(t) {
		if !p.public() {
			continue
		}
		doc := string(run(t, "go", "doc", "-all", "-short=false", p.ImportPath))
		require.Contains(t, doc, "package "+path.Base(p.ImportPath))
		for _, foreign := range []string{"jwx", "jwk.", "jws.", "jwa.", "jwt.", "singleflight", "fakeissuer.", "strictjson."} {
			require.NotContains(t, doc, foreign, p.ImportPath)
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if !p.public() {
			continue
		}
		documented := false
		for _, file := range p.GoFiles {
			files := token.NewFileSet()
			parsed, err := parser.ParseFile(files, filepath.Join(p.Dir, file), nil, parser.ParseComments)
			require.NoError(t, err)
			documented = documented || parsed.Doc.Text() != ""
			for _, name := range undocumented(parsed) {
				t.Errorf("%s: %s is exported and has no comment", files.Position(name.Pos()), name.Name)
			}
		}
		require.True(t, documented, "%s has no package doc", p.ImportPath)
	}
}

// undocumented returns the exported names of a file that have no comment.
func undocumented(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	note := func(doc *ast.CommentGroup, idents ...*ast.Ident) {
		if doc.Text() != "" {
			return
		}
		names = append(names, slices.DeleteFunc(slices.Clone(idents), func(n *ast.Ident) bool { return !n.IsExported() })...)
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || exportedReceiver(d.Recv) {
				note(d.Doc, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					note(either(s.Doc, d.Doc), s.Name)
					if structure, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
						for _, field := range structure.Fields.List {
							note(either(field.Doc, field.Comment, beside(structure, field)), field.Names...)
						}
					}
				case *ast.ValueSpec:
					note(either(s.Doc, s.Comment, d.Doc), s.Names...)
				}
			}
		}
	}
	return names
}

// beside returns the comment of the field before, where the two stand on lines
// that follow each other: one comment may speak of both.
func beside(structure *ast.StructType, field *ast.Field) *ast.CommentGroup {
	fields := structure.Fields.List
	if i := slices.Index(fields, field); i > 0 && fields[i-1].End()+3 >= field.Pos() {
		return fields[i-1].Doc
	}
	return nil
}

func exportedReceiver(receiver *ast.FieldList) bool {
	of := receiver.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	name, ok := of.(*ast.Ident)
	return ok && name.IsExported()
}

func either(comments ...*ast.CommentGroup) *ast.CommentGroup {
	for _, c := range comments {
		if c.Text() != "" {
			return c
		}
	}
	return nil
}
