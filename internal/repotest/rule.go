package repotest

import (
	"fmt"
	"go/ast"
	"iter"
)

// module is the import path of this repository.
const module = "github.com/woodwork-go/woodwork"

// Breach is a place where a rule is broken.
type Breach struct {
	Path string
	Line int
	// Text says what is wrong, and what is right where that isn't obvious.
	Text string
}

// String returns the breach in the form that editors jump to.
func (b Breach) String() string { return fmt.Sprintf("%s:%d: %s", b.Path, b.Line, b.Text) }

// Rule is one rule of the repository.
type Rule struct {
	// Name says what holds, in a few words.
	Name string
	// Check yields the breaches in files, which are all files of the repository.
	Check func(files []*File) iter.Seq[Breach]
}

// Rules returns all rules about source files.
func Rules() []Rule {
	return []Rule{
		{"imports point inward", eachGo(imports)},
		{"technologies stay in their folder", eachGo(signatures)},
		{"names of the broker are built in subjects", eachGo(literals)},
		{"interfaces are small", eachGo(interfaces)},
		{"config fields say their default", eachGo(configs)},
		{"no init", eachGo(inits)},
		{"nothing sleeps", eachGo(sleeps)},
		{"packages say what they are for", packageDocs},
		{"no path of one machine", machinePaths},
	}
}

// eachGo makes a check of all files of one that looks at a single Go file.
func eachGo(check func(f *File, report func(Breach))) func([]*File) iter.Seq[Breach] {
	return func(files []*File) iter.Seq[Breach] {
		return func(yield func(Breach) bool) {
			more := true
			for _, f := range files {
				if f.Syntax == nil || !more {
					continue
				}
				check(f, func(b Breach) { more = more && yield(b) })
			}
		}
	}
}

// inspect calls visit for every node of the type N in the file.
func inspect[N ast.Node](f *File, visit func(N)) {
	ast.Inspect(f.Syntax, func(node ast.Node) bool {
		if n, ok := node.(N); ok {
			visit(n)
		}

		return true
	})
}
