package redisbus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// discard reads a sequence to its end and returns the error it ends with.
func discard[T any](seq func(func(T, error) bool)) (last error) {
	for _, err := range seq {
		last = err
	}

	return last
}

// TestEachCallEndsOnAServerThatStalls: no call waits for longer than the port says, though the context that it is given
// never ends, on a server that takes what it is sent and answers nothing. Those that insist end with their context.
func TestEachCallEndsOnAServerThatStalls(t *testing.T) {
	t.Parallel()

	const (
		appendTimeout = 400 * time.Millisecond
		given         = 2 * time.Second // to those that insist
		margin        = time.Second     // of a busy machine
	)

	s := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: s.URL(), AppendTimeout: appendTimeout})
	id := testID(1)
	last := fill(t, b, id, 3)
	letter := turnLetter("s", 0)
	dead := &bus.DeadLetter{Letter: *letter, Reason: "x", At: time.Now()}

	claims := make(chan bus.Claim, 1)
	release := make(chan struct{})
	working(t, b, bus.WorkConfig{Lease: time.Second}, func(_ context.Context, c bus.Claim) {
		claims <- c
		<-release
	})
	t.Cleanup(func() { close(release) })
	posted(t, b, "s", 0, 1)
	claim := receive(t, "claim", claims)
	got := must(claim.Next(t.Context()))(t)

	type call struct {
		name  string
		bound time.Duration
		do    func(ctx context.Context) error
	}
	calls := []call{
		{"append", appendTimeout, func(ctx context.Context) error {
			_, err := b.Append(ctx, frame(id, 3, "x"), last)

			return err
		}},
		{"last", callTimeout, func(ctx context.Context) error { _, err := b.Last(ctx, id); return err }},
		{"read", callTimeout, func(ctx context.Context) error { return discard(b.Read(ctx, last, bus.Cursor{})) }},
		{"get", callTimeout, func(ctx context.Context) error { _, err := b.Get(ctx, bus.Registry, "k"); return err }},
		{"set", callTimeout, func(ctx context.Context) error {
			_, err := b.Set(ctx, bus.Registry, "k", nil, 0, 0)

			return err
		}},
		{"delete", callTimeout, func(ctx context.Context) error { return b.Delete(ctx, bus.Registry, "k", 0) }},
		{"peek", callTimeout, func(ctx context.Context) error { _, err := b.Peek(ctx, "c", "s"); return err }},
		{"backlog", callTimeout, func(ctx context.Context) error { _, err := b.Backlog(ctx, "c"); return err }},
		{"next", callTimeout, func(ctx context.Context) error { _, err := claim.Next(ctx); return err }},
		{"done", callTimeout, func(ctx context.Context) error { return claim.Done(ctx, got) }},
		{"release", callTimeout, func(ctx context.Context) error { return claim.Release(ctx, 0) }},
		{"dead", callTimeout, func(ctx context.Context) error { return discard(b.Dead(ctx, "")) }},
		{"buried", callTimeout, func(ctx context.Context) error { _, err := b.Buried(ctx, letter); return err }},
		{"drop", callTimeout, func(ctx context.Context) error { return b.Drop(ctx, dead) }},
		{"signal", callTimeout, func(ctx context.Context) error { return errors.Join(b.Signal(ctx, id, nil), bus.ErrUnknown) }},
		{"post", given, func(ctx context.Context) error { return b.Post(ctx, turnLetter("s", 1)) }},
		{"bury", given, func(ctx context.Context) error { return b.Bury(ctx, dead) }},
		{"follow", given, func(ctx context.Context) error {
			stop, err := b.Follow(ctx, testID(2), func(*bus.Entry) {})
			if err == nil {
				stop()
			}

			return err
		}},
		{"listen", given, func(ctx context.Context) error {
			stop, err := b.Listen(ctx, testID(2), func([]byte) {})
			if err == nil {
				stop()
			}

			return err
		}},
		{"call", given, func(ctx context.Context) error {
			return discard(b.Call(ctx, bus.Endpoint{Component: "c", Instance: "i"}, &bus.Message{}))
		}},
	}
	type outcome struct {
		call

		took time.Duration
		err  error
	}

	s.Pause()

	ended := make(chan outcome, len(calls))

	for _, c := range calls {
		go func() {
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			if c.bound == given {
				ctx, cancel = context.WithTimeout(ctx, given)
			}
			defer cancel()

			begun := time.Now()
			err := c.do(ctx)
			ended <- outcome{c, time.Since(begun), err}
		}()
	}

	for range calls {
		o := receive(t, "end of a call", ended)
		t.Logf("%s: %v, %v", o.name, o.took, o.err)
		if o.err == nil || o.took > o.bound+margin {
			t.Errorf("%s ends after %v, of at most %v, with %v", o.name, o.took, o.bound, o.err)
		}
	}

	s.Resume()
}

// TestWaitingAppendsEndOnAServerThatStalls: appends that come after more than a batch of others don't wait for the time-out
// of each batch before them.
func TestWaitingAppendsEndOnAServerThatStalls(t *testing.T) {
	t.Parallel()

	const (
		appends       = 64
		appendTimeout = 400 * time.Millisecond
		margin        = 2 * time.Second // of a busy machine
	)

	s := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: s.URL(), AppendTimeout: appendTimeout})

	fill(t, b, testID(0), 1)
	s.Pause()

	text := string(make([]byte, 128<<10))
	ended := make(chan error, appends)
	begun := time.Now()

	for i := range appends {
		go func() {
			_, err := b.Append(context.WithoutCancel(t.Context()), frame(testID(i+1), 0, text), nil)
			ended <- err
		}()
	}

	for range appends {
		wantErr(t, "append", receive(t, "end of an append", ended), bus.ErrUnknown)
	}

	if took := time.Since(begun); took > 2*appendTimeout+margin {
		t.Errorf("the last of %d appends ended after %v, of at most %v", appends, took, 2*appendTimeout)
	}

	s.Resume()
}

// TestCloseEndsEachWaitOnAServerThatStalls: whatever waits under a context that never ends returns when the bus is closed,
// and Close itself needs no answer.
func TestCloseEndsEachWaitOnAServerThatStalls(t *testing.T) {
	t.Parallel()

	const bound = 10 * time.Second // several times what one try of anything may take

	s := redistest.Run(t, redistest.Options{})
	b := must(Open(t.Context(), Config{URL: s.URL(), AppendTimeout: 400 * time.Millisecond}))(t)
	endless := context.WithoutCancel(t.Context())
	at := bus.Endpoint{Component: "c", Instance: "i"}
	served := make(chan struct{}, 1)

	must(b.Serve(endless, at, func(ctx context.Context, _ *bus.Message, _ func(*bus.Message) error) error {
		served <- struct{}{}
		<-ctx.Done()

		return ctx.Err()
	}))(t)

	dead := &bus.DeadLetter{Letter: *turnLetter("s", 0), Reason: "x", At: time.Now()}
	ended := make(chan error, 16)
	waits := []func() error{
		func() error { return discard(b.Call(endless, at, &bus.Message{})) },
		func() error { return b.Work(endless, "c", bus.WorkConfig{}, func(context.Context, bus.Claim) {}) },
		func() error { return discard(b.Watch(endless, bus.Registry, "k")) },
	}
	stalled := []func() error{
		func() error { return b.Post(endless, turnLetter("s", 0)) },
		func() error { return b.Bury(endless, dead) },
		func() error { return discard(b.Watch(endless, bus.Sessions, "k")) },
		func() error { _, err := b.Follow(endless, testID(1), func(*bus.Entry) {}); return err },
		func() error { _, err := b.Listen(endless, testID(1), func([]byte) {}); return err },
		func() error { return b.Work(endless, "other", bus.WorkConfig{}, func(context.Context, bus.Claim) {}) },
	}

	for _, wait := range waits {
		go func() { ended <- wait() }()
	}

	receive(t, "a call that is served", served)
	s.Pause()

	for _, wait := range stalled {
		go func() { ended <- wait() }()
	}

	time.AfterFunc(time.Second, func() { ended <- b.Close(endless) })

	begun := time.Now()

	for range len(waits) + len(stalled) + 1 {
		if err := receive(t, "end of what waits", ended); err != nil && !errors.Is(err, bus.ErrClosed) {
			t.Errorf("a wait ends with %v", err)
		}
	}

	if took := time.Since(begun); took > time.Second+bound {
		t.Errorf("the last wait ended %v after Close began", took-time.Second)
	}

	s.Resume()
}
