package repotest

import (
	"go/ast"
	"path"
	"regexp"
	"strings"
)

// versionSuffix is the last element of an import path that names a major version.
var versionSuffix = regexp.MustCompile(`/v\d+$`)

// hiddenTechnologies are those whose types no exported signature shows, not even in their own folder: what a program
// compiles against must not change when the library does.
func hiddenTechnologies() []string {
	known := technologies()
	paths := make([]string, 0, len(known)+1)
	for _, t := range known {
		paths = append(paths, t.path)
	}

	return append(paths, "github.com/failsafe-go")
}

// signatures looks for foreign types in what a package exports. A package main exports nothing.
func signatures(f *File, report func(Breach)) {
	if f.test() || f.Syntax.Name.Name == "main" {
		return
	}
	names := technologyNames(f)
	if len(names) == 0 {
		return
	}
	for expr := range exported(f) {
		ast.Inspect(expr, func(node ast.Node) bool {
			if sel, ok := node.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && names[pkg.Name] != "" {
					report(f.breach(sel, "%s.%s of %s is in an exported signature", pkg.Name, sel.Sel.Name, names[pkg.Name]))
				}
			}

			return true
		})
	}
}

// technologyNames maps the local names of imported technologies to their import paths.
func technologyNames(f *File) map[string]string {
	names := map[string]string{}
	f.imports(func(spec *ast.ImportSpec, importPath string) bool {
		for _, hidden := range hiddenTechnologies() {
			if !within(importPath, hidden) {
				continue
			}
			for _, name := range localNames(spec, importPath) {
				names[name] = importPath
			}
		}

		return true
	})

	return names
}

// localNames returns the name that an import is given, or all that its package may have.
func localNames(spec *ast.ImportSpec, importPath string) []string {
	if spec.Name != nil {
		return []string{spec.Name.Name}
	}
	base := path.Base(versionSuffix.ReplaceAllString(importPath, ""))

	return []string{
		base, strings.TrimSuffix(base, ".go"), strings.TrimPrefix(base, "go-"),
		strings.TrimSuffix(base, "-go"), strings.TrimSuffix(base, "-sdk-go"),
	}
}

// exported yields the type expressions of everything that the file exports.
func exported(f *File) func(yield func(ast.Expr) bool) {
	return func(yield func(ast.Expr) bool) {
		for _, decl := range f.Syntax.Decls {
			for _, expr := range exportedBy(decl) {
				if !yield(expr) {
					return
				}
			}
		}
	}
}

func exportedBy(decl ast.Decl) []ast.Expr {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
			return []ast.Expr{d.Type}
		}
	case *ast.GenDecl:
		var exprs []ast.Expr
		for _, spec := range d.Specs {
			exprs = append(exprs, exportedBySpec(spec)...)
		}

		return exprs
	}

	return nil
}

func exportedBySpec(spec ast.Spec) []ast.Expr {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			return append(fieldTypes(s.TypeParams), visible(s.Type)...)
		}
	case *ast.ValueSpec:
		if s.Type != nil && ast.IsExported(s.Names[0].Name) {
			return []ast.Expr{s.Type}
		}
	}

	return nil
}

// visible returns the parts of a type that its users see: all but a struct's unexported fields.
func visible(typ ast.Expr) []ast.Expr {
	s, ok := typ.(*ast.StructType)
	if !ok {
		return []ast.Expr{typ}
	}
	var exprs []ast.Expr
	for _, field := range s.Fields.List {
		if len(field.Names) == 0 || field.Names[0].IsExported() {
			exprs = append(exprs, visible(field.Type)...)
		}
	}

	return exprs
}

func fieldTypes(fields *ast.FieldList) []ast.Expr {
	if fields == nil {
		return nil
	}
	exprs := make([]ast.Expr, 0, len(fields.List))
	for _, field := range fields.List {
		exprs = append(exprs, field.Type)
	}

	return exprs
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(node ast.Node) bool {
		if id, ok := node.(*ast.Ident); ok && name == "" {
			name = id.Name
		}

		return name == ""
	})

	return name
}
