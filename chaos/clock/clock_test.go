package clock_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch is a program that says, for each line that it reads, what its clocks say: the wall clock in seconds, and the
// milliseconds since it began.
const watch = `package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	begun := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(time.Now().Unix(), time.Since(begun).Milliseconds())
	}
}
`

// program is a running watch.
type program struct {
	*bufio.Scanner

	t  *testing.T
	in io.Writer
}

// run builds and runs the program, with a clock.
func run(t *testing.T, c *clock.Clock) *program {
	t.Helper()
	dir := t.TempDir()
	overlay, err := clock.Overlay(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "watch")
	if err := os.WriteFile(source, []byte(watch), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-overlay="+overlay, "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary) // it ends with its input
	cmd.Env = []string{clock.Env + "=" + c.Path()}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})

	return &program{bufio.NewScanner(out), t, in}
}

// clocks returns by how much the program's wall clock is wrong, and its time since it began.
func (p *program) clocks() (wrong, since time.Duration) {
	p.t.Helper()
	before := time.Now().Unix()
	if _, err := io.WriteString(p.in, "\n"); err != nil || !p.Scan() {
		p.t.Fatalf("the program says nothing: %v, %v", err, p.Err())
	}
	words := strings.Fields(p.Text())
	wall, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	milliseconds, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}

	return time.Duration(wall-before) * time.Second, time.Duration(milliseconds) * time.Millisecond
}

func TestAProgramHasTheClockOfItsRun(t *testing.T) {
	t.Parallel()
	c, err := clock.New(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// What stood still before it began is none of its time.
	if err := c.Stand(time.Hour); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	p := run(t, c)
	for _, by := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 0} {
		if err := c.Step(by); err != nil {
			t.Fatal(err)
		}
		wrong, since := p.clocks()
		if wrong < by || wrong > by+time.Minute {
			t.Errorf("the wall clock is wrong by %v, not %v", wrong, by)
		}
		if since < 0 || since > time.Since(begun) {
			t.Errorf("%v since it began, which is less than %v ago", since, time.Since(begun))
		}
	}
	_, before := p.clocks()
	// As if it had been stopped for all of its life so far and an hour.
	if err := c.Stand(time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, since := p.clocks(); since > before-time.Hour+time.Minute {
		t.Errorf("%v since it began, as if nothing had stood still", since)
	}
}

func TestAnUnknownSourceIsNotChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.go")
	if err := os.WriteFile(path, []byte("package a // one two two"), 0o600); err != nil {
		t.Fatal(err)
	}
	for old, want := range map[string]bool{"one": true, "two": false, "three": false} {
		_, err := clock.Overlay(t.Context(), dir, clock.Edit{Path: path, Old: regexp.MustCompile(old), New: "new"})
		if (err == nil) != want {
			t.Errorf("a change of %q: %v", old, err)
		}
	}
}
