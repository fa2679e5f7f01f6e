package repotest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxText is the size in bytes up to which a file is looked at; nobody writes longer ones.
const maxText = 1 << 20

// File is a text file of the repository.
type File struct {
	// Path is relative to the root of the repository, with slashes.
	Path string
	// Text is the content.
	Text []byte
	// Syntax is the parsed content of a Go file of this module, and nil for others.
	Syntax *ast.File

	fset *token.FileSet
}

// Load reads all text files under root but those in hidden folders and in bin. Go files of other modules under root
// and of testdata are read as text only.
func Load(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); entry.IsDir() {
			return skip(rel)
		}
		f, err := load(os.DirFS(root), rel, entry)
		if f != nil {
			files = append(files, f)
		}

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load sources: %w", err)
	}

	return files, nil
}

func skip(folder string) error {
	if folder == "bin" || folder != "." && strings.HasPrefix(path.Base(folder), ".") {
		return fs.SkipDir
	}

	return nil
}

// load returns nil for what is no text.
func load(root fs.FS, name string, entry fs.DirEntry) (*File, error) {
	if info, err := entry.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > maxText {
		return nil, err
	}
	text, err := fs.ReadFile(root, name)
	if err != nil || bytes.IndexByte(text, 0) >= 0 {
		return nil, err
	}
	if !strings.HasSuffix(name, ".go") || foreign(root, name) {
		return &File{Path: name, Text: text}, nil
	}

	return Parse(name, string(text))
}

// foreign reports whether a file is of another module or below testdata.
func foreign(root fs.FS, name string) bool {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if _, err := fs.Stat(root, path.Join(folder, "go.mod")); err == nil || path.Base(folder) == "testdata" {
			return true
		}
	}

	return false
}

// Parse makes a File of Go source.
func Parse(name, text string) (*File, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}

	return &File{Path: name, Text: []byte(text), Syntax: syntax, fset: fset}, nil
}

// test reports whether the file is compiled into tests only.
func (f *File) test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// testing reports whether the file is for tests: a test, or in a folder whose name ends in "test".
func (f *File) testing() bool { return f.test() || strings.HasSuffix(path.Base(f.folder()), "test") }

// under reports whether the file is in one of the folders or below.
func (f *File) under(folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(f.Path, folder+"/") })
}

// folder returns the folder of the file, "." at the root.
func (f *File) folder() string { return path.Dir(f.Path) }

// imports yields import paths and the local names under which their packages may be known.
func (f *File) imports(yield func(spec *ast.ImportSpec, importPath string) bool) {
	for _, spec := range f.Syntax.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err == nil && !yield(spec, importPath) {
			return
		}
	}
}

// breach reports something at a node.
func (f *File) breach(node ast.Node, format string, args ...any) Breach {
	return Breach{Path: f.Path, Line: f.fset.Position(node.Pos()).Line, Text: fmt.Sprintf(format, args...)}
}
