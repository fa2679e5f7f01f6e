package redisbus

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// begun counts the outcomes of appends.
type begun struct {
	stored, failed, again atomic.Int32
	all                   chan error
}

// start begins n appends, each to a stream of its own.
func (g *begun) start(t *testing.T, b *Bus, n int, text string) {
	t.Helper()
	g.all = make(chan error, 2*n)
	for i := range n {
		var calls atomic.Int32
		err := b.Start(frame(bus.StreamID{Session: fmt.Sprint("s", i), Stream: "out"}, 0, text), nil, func(e *bus.Entry, err error) {
			switch {
			case calls.Add(1) > 1:
				g.again.Add(1)
			case err == nil && e != nil:
				g.stored.Add(1)
			default:
				g.failed.Add(1)
			}
			g.all <- err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		receive(t, "outcome", g.all)
	}
}

// Appends that are begun at once are all stored, whatever their size, and each has one outcome.
func TestManyAppendsAtOnce(t *testing.T) {
	t.Parallel()
	b := single(t)
	for _, size := range []int{6, batchBytes / 3, maxBody} {
		const n = 3 * batchMost
		var g begun
		g.start(t, b, min(n, 16<<20/size), string(make([]byte, size)))
		if g.failed.Load() > 0 || g.again.Load() > 0 {
			t.Errorf("%d bytes: %d stored, %d failed, %d outcomes came again", size, g.stored.Load(), g.failed.Load(), g.again.Load())
		}
		for i := range min(n, 16<<20/size) {
			id := bus.StreamID{Session: fmt.Sprint("s", i), Stream: "out"}
			if e, err := b.Last(t.Context(), id); err != nil || e == nil || len(e.Body) != size {
				t.Fatalf("the last entry of %v is %+v, %v", id, e, err)
			}
			names := must(b.logNames(id))(t)
			must(b.client.Del(t.Context(), names.log, names.head).Result())(t)
		}
	}
}

// A server that has forgotten the script is told it again, in the middle of a batch.
func TestForgottenScript(t *testing.T) {
	t.Parallel()
	b := single(t)
	must(b.client.ScriptFlush(t.Context()).Result())(t)
	var g begun
	g.start(t, b, 10, "x")
	if n := g.stored.Load(); n != 10 {
		t.Errorf("%d of 10 appends are stored", n)
	}
}

// What a server keeps waiting ends as unknown after the time for one try, and what still waits here when the bus closes as
// closed: nothing is left without an outcome.
func TestAppendsToAServerThatIsPaused(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{AppendTimeout: 200 * time.Millisecond})
	must(c.Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Result())(t)
	const n = 10 * batchMost
	outcomes := make(chan error, n)
	for i := range n {
		id := bus.StreamID{Session: fmt.Sprint("s", i), Stream: "out"}
		if err := b.Start(frame(id, 0, "x"), nil, func(_ *bus.Entry, err error) { outcomes <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := receive(t, "outcome", outcomes); !errors.Is(err, bus.ErrUnknown) {
		t.Errorf("append to a paused server: %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	closed := 0
	for range n - 1 {
		switch err := receive(t, "outcome", outcomes); {
		case errors.Is(err, bus.ErrClosed):
			closed++
		case !errors.Is(err, bus.ErrUnknown):
			t.Errorf("append that was under way: %v", err)
		}
	}
	if closed == 0 {
		t.Error("no append was still waiting")
	}
	if err := b.Start(frame(testID(1), 0, "x"), nil, nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("append after the end: %v", err)
	}
	must(c.Do(t.Context(), "CLIENT", "UNPAUSE").Result())(t)
}
