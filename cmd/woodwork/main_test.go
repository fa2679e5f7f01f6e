package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// bin is where TestMain puts the binaries under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "woodwork-bin-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)

	bin = dir

	if err := os.Setenv("CGO_ENABLED", "0"); err != nil { // programs are built as they are shipped
		return fail(err)
	}

	for name, pkg := range map[string]string{
		"woodwork": ".", "woodwork-input": "../../services/input", "woodwork-llm": "../../services/llm",
		"woodwork-output": "../../services/output", "tool": "./testdata/tool",
	} {
		//nolint:noctx // our own packages; the test binary's own time-out bounds it
		out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput()
		if err != nil {
			return fail(fmt.Errorf("build %s: %w\n%s", name, err, out))
		}
	}

	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		return fail(err)
	}

	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)

	return 1
}

// process is a running program under test.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	exited chan struct{}
	err    error
}

// start runs a program with its own state directory and no settings of the test's environment. It is killed when the
// test ends.
func start(t *testing.T, stdin io.Reader, env []string, name string, args ...string) *process {
	t.Helper()

	p := &process{
		t: t, name: name, stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{}),
		cmd: exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(bin, name), args...),
	}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}, env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, p.stdout, p.stderr

	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}

	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()

	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has mostly ended already
		<-p.exited

		if t.Failed() {
			t.Logf("stderr of %s:\n%s", name, p.stderr.String())
		}
	})

	return p
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()

	select {
	case <-p.exited:
	case <-p.t.Context().Done():
		p.t.Fatalf("%s did not end", p.name)
	}

	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatalf("wait for %s: %v", p.name, p.err)
	}

	return p.cmd.ProcessState.ExitCode()
}

// terminate sends SIGTERM and returns the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)

	return p.wait()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()

	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", p.name, err)
	}
}

// until waits for texts that follow one another in the output and fails the test when the process ends without them.
func (p *process) until(o *output, texts ...string) {
	p.t.Helper()

	for {
		changed, now := o.state()
		if containsAll(now, texts) {
			return
		}

		select {
		case <-changed:
		case <-p.exited:
			if !containsAll(o.String(), texts) {
				p.t.Fatalf("%s ended without %q; stdout:\n%s\nstderr:\n%s", p.name, texts, p.stdout, p.stderr)
			}
		case <-p.t.Context().Done():
			p.t.Fatalf("%s did not print %q", p.name, texts)
		}
	}
}

func containsAll(s string, texts []string) bool {
	for _, text := range texts {
		_, rest, found := strings.Cut(s, text)
		if !found {
			return false
		}

		s = rest
	}

	return true
}

// output collects what a process prints and tells of changes.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	close(o.changed)
	o.changed = make(chan struct{})

	return o.text.Write(p)
}

// String returns everything that was printed so far.
func (o *output) String() string {
	_, now := o.state()

	return now
}

func (o *output) state() (changed <-chan struct{}, now string) {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.changed, o.text.String()
}
