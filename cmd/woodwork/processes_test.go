package main_test

import (
	"bufio"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// TestThreeProcesses pipes 500 prompts of real text through input, llm and output as separate processes that share
// nothing but a server, and compares every answer byte for byte.
func TestThreeProcesses(t *testing.T) {
	t.Parallel()

	prompts := realText(t, 500)
	env := []string{"NATS_URL=" + embeddedtest.Run(t).URL(), "WOODWORK_SESSION=books", "WOODWORK_PACE=0s"}

	llm := start(t, nil, env, "woodwork-llm")
	output := start(t, nil, env, "woodwork-output")
	input := start(t, strings.NewReader(strings.Join(prompts, "\n")+"\n"), env, "woodwork-input")

	if code := input.wait(); code != 0 {
		t.Fatalf("input exited with %d:\n%s", code, input.stderr)
	}

	var want strings.Builder
	for _, p := range prompts {
		fmt.Fprintln(&want, offline.Answer(p))
	}

	output.until(output.stdout, offline.Answer(prompts[len(prompts)-1])+"\n")

	if code := output.terminate(); code != 0 {
		t.Errorf("output exited with %d", code)
	}

	if code := llm.terminate(); code != 0 {
		t.Errorf("llm exited with %d", code)
	}

	if got := output.stdout.String(); got != want.String() {
		t.Errorf("the output differs from what the model said, from byte %d of %d on", differs(got, want.String()), want.Len())
	}
}

func differs(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}

	return min(len(a), len(b))
}

// realText takes prompts from the comments of the Go source tree: first lines with characters of two, three and four
// bytes, then whatever comes.
func realText(t *testing.T, n int) []string {
	t.Helper()

	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}

	byWidth := map[int][]string{}
	root := filepath.Join(strings.TrimSpace(string(goroot)), "src")

	for _, dir := range []string{"unicode", "strings", "regexp", "text", "net/http", "html", "encoding", "fmt"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") {
				return err
			}

			return collect(path, byWidth)
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	var prompts []string
	for _, width := range []int{4, 3, 2, 1} {
		lines := byWidth[width]
		if len(lines) == 0 {
			t.Fatalf("no text with characters of %d bytes in %s", width, root)
		}

		prompts = append(prompts, lines[:min(len(lines), n-len(prompts))]...)
	}

	if len(prompts) != n {
		t.Fatalf("found %d prompts, want %d", len(prompts), n)
	}

	return prompts
}

// collect sorts a file's comments and strings by their widest character.
func collect(path string, byWidth map[int][]string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}

	file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments)
	if err != nil {
		return nil //nolint:nilerr // test data that isn't meant to parse
	}

	for _, group := range file.Comments {
		lines := bufio.NewScanner(strings.NewReader(group.Text()))
		for lines.Scan() {
			line := strings.TrimSpace(lines.Text())
			if len(line) < 3 || !utf8.ValidString(line) {
				continue
			}

			width := 1
			for _, r := range line {
				width = max(width, utf8.RuneLen(r))
			}

			byWidth[width] = append(byWidth[width], line)
		}
	}

	return nil
}
