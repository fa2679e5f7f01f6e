package repotest_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/internal/repotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func root() string { return filepath.Join("..", "..") }

func TestRepository(t *testing.T) {
	t.Parallel()
	files := load(t)
	for _, rule := range repotest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			for breach := range rule.Check(files) {
				t.Error(breach)
			}
		})
	}
}

func TestBinariesOfServices(t *testing.T) {
	t.Parallel()
	for _, command := range repotest.Services(load(t)) {
		deps, err := repotest.Deps(t.Context(), root(), command)
		if err != nil {
			t.Fatal(err)
		}
		if len(deps) < 10 {
			t.Errorf("%s has %d dependencies; was it listed?", command, len(deps))
		}
		for _, dep := range repotest.Unwanted(deps) {
			t.Errorf("%s is linked with %s", command, dep)
		}
	}
}

// load reads the repository and makes sure that it was read.
func load(t *testing.T) []*repotest.File {
	t.Helper()
	files, err := repotest.Load(root())
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]bool{}
	for _, f := range files {
		parsed[f.Path] = f.Syntax != nil
	}
	for path, isGo := range map[string]bool{"go.mod": false, "subjects/id.go": true, "internal/repotest/repo_test.go": true} {
		if got, found := parsed[path]; !found || got != isGo {
			t.Errorf("%s: read %v, parsed %v", path, found, got)
		}
	}

	return files
}
