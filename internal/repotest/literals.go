package repotest

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// literals looks for subjects in strings. The rule knows what it looks for, and natsbus and the operator of
// fault runs the broker's own interface.
func literals(f *File, report func(Breach)) {
	if f.under("subjects", "internal/repotest") {
		return
	}
	inspect(f, func(lit *ast.BasicLit) {
		if lit.Kind != token.STRING {
			return
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			return
		}
		if ourName(s) || brokerName(s) && !f.under("framework/bus/natsbus", "chaos/operator") {
			report(f.breach(lit, "%.60q spells out a name of the broker; package subjects builds it", s))
		}
	})
}

// ourName reports whether a text holds what our names begin with; "www.example.com" and "hello.ww" hold none.
func ourName(s string) bool { return indexToken(s, "ww.") >= 0 || strings.Contains(s, "WW_") }

// brokerName reports whether a text holds a subject of the broker itself.
func brokerName(s string) bool {
	return strings.Contains(s, "$JS.") || strings.Contains(s, "$KV.") || strings.Contains(s, "$SYS.")
}
