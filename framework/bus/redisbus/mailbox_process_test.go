//go:build unix

package redisbus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// workerURL tells a copy of this test's process to be a worker on a server.
const workerURL = "WOODWORK_TEST_REDIS_WORKER_URL"

const pausedLease = 1500 * time.Millisecond

// TestPausedProcess stops a worker's process for longer than its lease. Another one does its letter meanwhile, and the
// paused one finds out by its own clock, before it touches anything.
func TestPausedProcess(t *testing.T) {
	t.Parallel()

	if url := os.Getenv(workerURL); url != "" {
		beWorker(t, url)

		return
	}

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})
	posted(t, b, "s", 0, 2)

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPausedProcess$")
	cmd.Env = append(os.Environ(), workerURL+"="+url)
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())(t)
	out := bufio.NewScanner(must(cmd.StdoutPipe())(t))

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	said := func() string {
		if !out.Scan() {
			t.Fatalf("the worker ended: %v", out.Err())
		}

		return out.Text()
	}

	if got := said(); got != "claimed t0 1" {
		t.Fatalf("the worker said %q", got)
	}

	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	paused := time.Now()
	seen := make(chan string, 2)
	working(t, b, bus.WorkConfig{Lease: pausedLease},
		eachLetter(t, func(l *bus.Letter) { seen <- fmt.Sprint(l.ID, " ", l.Deliveries) }))

	if got := receive(t, "first letter", seen); got != "t0 2" {
		t.Errorf("the other worker got %s", got)
	}

	t.Logf("taken over after %v", time.Since(paused).Round(time.Millisecond))

	if got := receive(t, "second letter", seen); got != "t1 1" && got != "t1 2" {
		t.Errorf("the other worker got %s", got)
	}

	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"done lost", "next lost", "release lost", "context lost"} {
		must(in.Write([]byte("go on\n")))(t)

		if got := said(); got != want {
			t.Errorf("the worker said %q, want %q", got, want)
		}
	}

	_ = in.Close()

	if err := cmd.Wait(); err != nil {
		t.Errorf("the worker ended: %v", err)
	}
}

// beWorker claims a mailbox, says so, and tries everything that a claim allows, each when it is told to go on.
func beWorker(t *testing.T, url string) {
	t.Helper()

	b := open(t, Config{URL: url})
	in := bufio.NewScanner(os.Stdin)
	ctx, stop := context.WithCancel(t.Context())

	defer stop()

	say := func(what string, err error) {
		outcome := "well"
		if errors.Is(err, bus.ErrLost) {
			outcome = "lost"
		}

		fmt.Fprintln(os.Stdout, what, outcome)
	}

	err := b.Work(ctx, worksFor, bus.WorkConfig{Lease: pausedLease}, func(ctx context.Context, c bus.Claim) {
		defer stop()

		l, err := c.Next(ctx)
		if err != nil || l == nil {
			t.Errorf("next: %v, %v", l, err)

			return
		}

		fmt.Fprintln(os.Stdout, "claimed", l.ID, l.Deliveries)
		in.Scan()
		say("done", c.Done(ctx, l))
		in.Scan()

		_, err = c.Next(ctx)
		say("next", err)
		in.Scan()
		say("release", c.Release(ctx, 0))
		in.Scan()
		say("context", context.Cause(ctx))
	})
	if err != nil {
		t.Errorf("work: %v", err)
	}
}
