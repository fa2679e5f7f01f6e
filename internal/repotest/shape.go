package repotest

import (
	"go/ast"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxMethods is how many methods an interface declares itself, at most.
const maxMethods = 5

func interfaces(f *File, report func(Breach)) {
	inspect(f, func(i *ast.InterfaceType) {
		methods := 0
		for _, field := range i.Methods.List {
			methods += len(field.Names)
		}
		if methods > maxMethods {
			report(f.breach(i, "an interface of %d methods; make it at most %d", methods, maxMethods))
		}
	})
}

// saysDefault matches what each comment of a config field says.
var saysDefault = regexp.MustCompile(`\bDefaults?\s+to\s|\b[Rr]equired\b`)

// configs looks at the exported fields of a library's exported structs whose names end in Config. A comment speaks for
// its field, and for the fields right below it that it names.
func configs(f *File, report func(Breach)) {
	if f.testing() || !f.under("framework", "embedded") {
		return
	}
	inspect(f, func(spec *ast.TypeSpec) {
		s, ok := spec.Type.(*ast.StructType)
		if !ok || !spec.Name.IsExported() || !strings.HasSuffix(spec.Name.Name, "Config") {
			return
		}
		text := ""
		for _, field := range s.Fields.List {
			own := field.Doc.Text() + field.Comment.Text()
			if own != "" {
				text = own
			}
			for _, name := range field.Names {
				if name.IsExported() && (!saysDefault.MatchString(text) || own == "" && !names(text, name.Name)) {
					report(f.breach(name, `%s.%s: end its comment with "Defaults to …", or say that it is required`, spec.Name.Name, name.Name))
				}
			}
		}
	})
}

// names reports whether a text holds a word.
func names(text, word string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(text)
}

func inits(f *File, report func(Breach)) {
	for _, decl := range f.Syntax.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
			report(f.breach(d, "init runs unasked; let the caller call it"))
		}
	}
}

func sleeps(f *File, report func(Breach)) {
	name := ""
	f.imports(func(spec *ast.ImportSpec, importPath string) bool {
		if importPath == "time" {
			name = localNames(spec, importPath)[0]
		}

		return name == ""
	})
	inspect(f, func(sel *ast.SelectorExpr) {
		if pkg, ok := sel.X.(*ast.Ident); ok && name != "" && pkg.Name == name && sel.Sel.Name == "Sleep" {
			report(f.breach(sel, "time.Sleep; wait for what you wait for"))
		}
	})
}

// packageDocs looks for a package comment in the right form in each folder with code.
func packageDocs(files []*File) iter.Seq[Breach] {
	return func(yield func(Breach) bool) {
		best := map[string]*File{} // of each folder: the file with the comment, or any
		for _, f := range files {
			if f.Syntax != nil && !f.test() && (best[f.folder()] == nil || documented(f)) {
				best[f.folder()] = f
			}
		}
		for _, folder := range slices.Sorted(maps.Keys(best)) {
			f := best[folder]
			if !documented(f) && !yield(f.breach(f.Syntax, "package %s has no comment that says what it is for", f.Syntax.Name.Name)) {
				return
			}
		}
	}
}

func documented(f *File) bool {
	doc := f.Syntax.Doc.Text()
	if f.Syntax.Name.Name == "main" {
		return doc != ""
	}

	return strings.HasPrefix(doc, "Package "+f.Syntax.Name.Name+" ")
}
