package repotest

import (
	"go/ast"
	"slices"
	"strings"
)

// adapters are the folders that implement the port to a broker, each on one technology.
func adapters() []string {
	return []string{"framework/bus/natsbus", "framework/bus/redisbus", "framework/bus/membus"}
}

// technology is a foreign library that only certain folders may import.
type technology struct {
	// path is the beginning of its import paths.
	path string
	// home are the folders that may import it.
	home []string
	// tests are the folders whose tests may import it too.
	tests []string
}

func technologies() []technology {
	natsbus, embedded := []string{"framework/bus/natsbus"}, []string{"embedded"}

	return []technology{
		{path: "github.com/nats-io/nats.go", home: natsbus, tests: embedded},
		{path: "github.com/nats-io/nkeys", home: natsbus, tests: embedded},
		{path: "github.com/nats-io/jwt", home: natsbus, tests: embedded},
		{path: "github.com/synadia-io", home: natsbus},
		{path: "github.com/nats-io/nats-server", home: embedded},
		{path: "github.com/redis/go-redis", home: []string{"framework/bus/redisbus"}},
		{path: "go.opentelemetry.io", home: []string{"framework/telemetry", "internal/otlptest"}},
		{path: "github.com/openai/openai-go", home: []string{"services/llm"}},
		{path: "github.com/anthropics/anthropic-sdk-go", home: []string{"services/llm"}},
	}
}

// testLibraries are what only tests may import, and the packages whose folder ends in "test".
func testLibraries() []string {
	return []string{
		"testing", "github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak",
		module + "/embedded/embeddedtest", module + "/framework/bus/bustest",
		module + "/internal/redistest", module + "/internal/otlptest",
	}
}

func imports(f *File, report func(Breach)) {
	f.imports(func(spec *ast.ImportSpec, importPath string) bool {
		for _, why := range []string{
			technologyImport(f, importPath), inwardImport(f, importPath), adapterImport(f, importPath), testImport(f, importPath),
		} {
			if why != "" {
				report(f.breach(spec, "imports %s: %s", importPath, why))
			}
		}

		return true
	})
}

func technologyImport(f *File, importPath string) string {
	for _, t := range technologies() {
		if !within(importPath, t.path) || f.under(t.home...) || f.test() && f.under(t.tests...) {
			continue
		}

		return "only " + strings.Join(t.home, " and ") + " may"
	}

	return ""
}

// inwardImport keeps lower layers from knowing higher ones.
func inwardImport(f *File, importPath string) string {
	switch {
	case f.under("subjects") && !f.test() && !standard(importPath):
		return "subjects needs the standard library only"
	case f.under("framework", "embedded") && (within(importPath, module+"/services") || within(importPath, module+"/cmd")):
		return "a library knows no program"
	case f.under("framework/bus") && !f.test() && within(importPath, module) &&
		!f.under(append(adapters(), "framework/bus/dial", "framework/bus/bustest", "framework/bus/internal")...):
		return "the port depends on nothing of this repository"
	case f.under("services") && !f.test() && within(importPath, module+"/embedded"):
		return "a service uses the broker that is there"
	default:
		return ""
	}
}

// adapterImport keeps adapters apart from each other, and everything else from adapters.
func adapterImport(f *File, importPath string) string {
	for _, adapter := range adapters() {
		if !within(importPath, module+"/"+adapter) || f.under(adapter) {
			continue
		}
		if f.under(adapters()...) {
			return "an adapter knows no other adapter"
		}
		if f.under("framework") && f.folder() != "framework" && !f.under("framework/bus/dial") && !f.test() {
			return "only framework and framework/bus/dial know the adapters"
		}
	}

	return ""
}

func testImport(f *File, importPath string) string {
	if f.testing() {
		return ""
	}
	if slices.ContainsFunc(testLibraries(), func(lib string) bool { return within(importPath, lib) }) {
		return "test code stays out of binaries"
	}

	return ""
}

// within reports whether an import path is root or below it.
func within(importPath, root string) bool {
	return importPath == root || strings.HasPrefix(importPath, root+"/")
}

// standard reports whether a package is of the standard library: no other import path begins without a domain.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")

	return !strings.Contains(first, ".")
}
