package framework_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/call"
)

// TestNoCallIsForgotten: whatever can be called, or can be said in a call, by who has a tenant's client, a turn or a
// request, is tried in TestTenantsAreApart, or is listed with the reason why it reaches no session.
func TestNoCallIsForgotten(t *testing.T) {
	t.Parallel()

	inv := inventory{}
	inv.handle(reflect.TypeFor[*framework.Client]())
	inv.handle(reflect.TypeFor[*framework.Turn]())
	inv.handle(reflect.TypeFor[*call.Incoming]())
	inv.said(reflect.TypeFor[framework.Turn]())
	inv.said(reflect.TypeFor[call.Incoming]())
	inv.functions(t, "framework", ".")
	inv.functions(t, "session", "session")

	known := map[string]bool{}

	for _, a := range attempts() {
		for name := range strings.FieldsSeq(a.calls) {
			known[name] = true
		}
	}

	for _, h := range harmless() {
		for name := range strings.FieldsSeq(h.names) {
			name = h.of + "." + name
			if known[name] || h.why == "" {
				t.Errorf("%s is listed as harmless (%q), and has no reason or is listed twice", name, h.why)
			}

			known[name] = true
		}
	}

	for name := range inv {
		if !known[name] {
			t.Errorf("%s is not tried: add it to an attempt of TestTenantsAreApart, or to harmless with the reason", name)
		}
	}

	for name := range known {
		if !inv[name] {
			t.Errorf("%s is listed, and does not exist", name)
		}
	}
}

// inventory are the names of what can be called and said: "package.Type.Method", "package.Type.Field" and
// "package.Function".
type inventory map[string]bool

const module = "github.com/woodwork-go/woodwork/"

// handle adds the methods of a type, those of what they return, and the fields of what they take.
func (inv inventory) handle(t reflect.Type) {
	each(t, func(named reflect.Type) {
		if opaque(named) {
			return
		}

		p := reflect.PointerTo(named)
		for m := range p.Methods() {
			name := nameOf(named) + "." + m.Name
			if inv[name] {
				continue
			}

			inv[name] = true

			for in := range m.Type.Ins() {
				if in != p {
					inv.said(in)
				}
			}

			for out := range m.Type.Outs() {
				inv.handle(out)
			}
		}

		if named.Kind() == reflect.Struct {
			for f := range named.Fields() {
				if f.IsExported() {
					inv.handle(f.Type)
				}
			}
		}
	})
}

// said adds the fields of a type that a caller fills in.
func (inv inventory) said(t reflect.Type) {
	each(t, func(named reflect.Type) {
		if named.Kind() != reflect.Struct || opaque(named) {
			return
		}

		for f := range named.Fields() {
			name := nameOf(named) + "." + f.Name
			if !f.IsExported() || inv[name] {
				continue
			}

			if !f.Anonymous {
				inv[name] = true
			}

			inv.said(f.Type)
		}
	})
}

// functions adds the exported functions of a package in a folder.
func (inv inventory) functions(t *testing.T, name, folder string) {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}

	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}

		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}

		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() {
				inv[name+"."+f.Name.Name] = true
			}
		}
	}
}

// each calls f with the named types of this module of which a type is made.
func each(t reflect.Type, f func(named reflect.Type)) {
	if strings.HasPrefix(t.PkgPath(), module) {
		f(t)

		return
	}

	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		each(t.Elem(), f)
	case reflect.Map:
		each(t.Key(), f)
		each(t.Elem(), f)
	case reflect.Func:
		for in := range t.Ins() {
			each(in, f)
		}

		for out := range t.Outs() {
			each(out, f)
		}
	default:
	}
}

func nameOf(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")

	return path.Base(t.PkgPath()) + "." + name
}

// opaque reports whether a type is of a package that knows of no session: what components are there, which of them are
// not called, and how spans are made.
func opaque(t reflect.Type) bool {
	switch strings.TrimPrefix(t.PkgPath(), module) {
	case "framework/registry", "framework/breaker", "framework/telemetry":
		return true
	default:
		return false
	}
}

// reason says why calls and fields of something need no attempt.
type reason struct{ of, names, why string }

// harmless are the calls and fields that reach no session but their own.
func harmless() []reason {
	const (
		process = "is about the process"
		value   = "makes or describes a value"
		bound   = "is bound to the stream or session that was opened, and takes no id"
		said    = "names no session, stream or turn"
	)

	return []reason{
		{"framework.Client", "Close Log Tracer", process},
		{"framework", "CheckHealth Connect ExitCode Main Run Version", process},
		{"framework", "RetryAfter Terminate", value},
		{"session", "Chain DefaultGraph", value},
		{"session", "Mark NewStore NewWatch Post", "needs a bus or a stream.Store, and no client gives one away"},
		{"session.Graph", "Has", value},
		{"session.Store", "Interval", process},
		{"bus.Cursor", "Alive Before Number String", value},
		{"bus.State", "Final", value},
		{"bus.StreamID", "String", value},
		{"stream.SessionCursor", "String", value},
		{"stream.Chunk", "Attempt Data Index Type", "is what was read"},
		{"stream.Follower", "Close Trace", bound},
		{"stream.Reader", "Chunks Close Cursor ID Next Prefetch ReadAll Release Trace", bound},
		{"stream.Writer", "Abandon Attempt Cancel CloseWith Ends Fail Flush Next Rewind SetMeta Trace TrySend Withdraw", bound},
		{"framework.Turn", "Attempt Log Partial", "is what the turn is told, and nothing is done by it"},
		{"framework.Post", "From Trace Type", said},
		{"session.Session", "Graph Metadata State Updated", said},
		{"call.Request", "Body Capability Component Fallback Hedge Idempotent JSON Operation Sticky Timeout", said},
		{"call.Incoming", "Body From ID Operation", said},
		{"call.Incoming", "Reply", "answers who asked"},
	}
}
