package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// bin is where TestMain puts the binaries.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "woodwork-chaos-test-")
	if err == nil {
		bin = dir
		err = system.Build(context.Background(), dir, 0)
	}
	defer os.RemoveAll(dir)
	code := 1
	if err == nil {
		code = m.Run()
		err = goleak.Find()
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")

		return 1
	}

	return code
}

// TestFailover is the scene that Woodwork is for: a phone, a laptop and a second service end with the same, complete
// text although the worker is killed in the middle of it.
func TestFailover(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := demo(t.Context(), t.TempDir(), bin, &out); err != nil {
		t.Errorf("%v; what was shown:\n%s", err, &out)
	}
	for _, want := range []string{"kill -9", "the other llm goes on", "all screens show the same"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the scene does not show %q:\n%s", want, &out)
		}
	}
}

func TestAShortRunKeepsItsPromises(t *testing.T) {
	t.Parallel()
	shortRun(t, redisproc.NoLog)
}

func TestAShortRunOnRedisKeepsItsPromises(t *testing.T) {
	t.Parallel()
	shortRun(t, redisproc.Always)
}

func shortRun(t *testing.T, redis redisproc.Fsync) {
	t.Helper()
	o := &options{
		redis: redis,
		seed:  1, duration: 3 * time.Second, gap: 250 * time.Millisecond, pace: 5 * time.Millisecond, quiet: 20 * time.Second,
		rate: 10, hooks: 0.1, sessions: 6, turns: 4, llms: 2, relays: 2, lifelong: 2,
	}
	var out strings.Builder
	r := newRunner(o, t.TempDir(), bin, &out)
	if err := r.run(t.Context()); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if strings.Contains(out.String(), "turns acknowledged           0") || len(r.faults) == 0 {
		t.Errorf("nothing happened:\n%s", &out)
	}
}

func TestTurnsOfASessionRunInOrder(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := crowd{instances: 3, sessions: 20, turns: 5, rate: 100}
	if err := order(t.Context(), t.TempDir(), bin, c, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if want := "order: 100 turns of 20 sessions"; !strings.Contains(out.String(), want) {
		t.Errorf("the report does not say %q:\n%s", want, &out)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-bus", "pigeon"}, {"-bus", "redis", "-fsync", "never"}, {"-bus", "redis", "-fsync", ""}, {"-bus", "redis", "-demo"},
	} {
		if err := mainErr(t.Context(), args); err == nil {
			t.Errorf("%v: a run that there is not", args)
		}
	}
}
