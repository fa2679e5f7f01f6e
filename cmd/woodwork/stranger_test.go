package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAStrangersService takes the first service of the README into a module of its own, outside of this repository,
// builds it, and talks to it through "woodwork up".
func TestAStrangersService(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), firstService(t))

	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}

	sums, err := os.ReadFile(filepath.Join(repo, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}

	write(t, filepath.Join(dir, "go.sum"), string(sums))

	shout := filepath.Join(bin, "shout")
	run(t, dir, "go", "mod", "init", "example.org/shout")
	run(t, dir, "go", "mod", "edit", "-require=github.com/woodwork-go/woodwork@v0.0.0",
		"-replace=github.com/woodwork-go/woodwork="+repo)
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "build", "-o", shout, ".")

	stdin, typed := pipe(t)
	up := start(t, stdin, nil, "woodwork", append(embeddedBroker(t.TempDir()), "-to", "shout")...)
	up.until(up.stderr, "session ")

	service := start(t, nil, []string{"NATS_URL=" + busURL(up.stderr.String())}, "shout")

	write := func(s string) {
		if _, err := typed.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("hello from outside\n")
	up.until(up.stdout, "HELLO FROM OUTSIDE\n")

	_ = typed.Close() // the end of the input

	if code := up.wait(); code != 0 {
		t.Errorf("woodwork up exited with %d", code)
	}

	_ = service.cmd.Process.Kill() // its broker is gone; it would wait for it
}

// firstService returns the program that the README shows under "A first service".
func firstService(t *testing.T) string {
	t.Helper()

	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}

	_, rest, ok := strings.Cut(string(readme), "```go\n")
	program, _, closed := strings.Cut(rest, "```")

	if !ok || !closed {
		t.Fatal("the README shows no Go program")
	}

	return program
}

// busURL finds the broker's URL in what "woodwork up" says at its start.
func busURL(stderr string) string {
	_, rest, _ := strings.Cut(stderr, "bus ")
	url, _, _ := strings.Cut(rest, " ")

	return url
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})

	return r, w
}

func write(t *testing.T, path, text string) {
	t.Helper()

	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()

	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir

	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
