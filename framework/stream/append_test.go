package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// These are the rows of the writer's decision table, one test each.

var writing = stream.WriterConfig{Session: "session", Info: stream.Info{Stream: "stream"}, Unlisted: true}

// faulty returns a store on a bus in memory that fails on command.
func faulty(t *testing.T, cfg stream.Config) (*stream.Store, *bustest.FaultyBus) {
	t.Helper()
	b := bustest.Faulty(membus.New(membus.Config{MaxAge: time.Hour}), bustest.FaultConfig{})
	s := stream.NewStore(b, b.Info(), cfg)
	t.Cleanup(func() {
		s.Close()
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return s, b
}

// stored returns the whole text and the number of frames.
func stored(t *testing.T, s *stream.Store, b bus.Log, id bus.StreamID) (text string, frames int) {
	t.Helper()
	data, err := read(t, s, id, bus.Cursor{}).ReadAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := readLog(t.Context(), b, id)
	if err != nil {
		t.Fatal(err)
	}

	return string(data), len(log)
}

func TestAppendPassingFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		stored bool
	}{
		{"unknown and stored", bus.ErrUnknown, true},
		{"unknown and not stored", bus.ErrUnknown, false},
		{"busy", bus.ErrBusy, false},
		{"full", bus.ErrFull, false},
		{"a try's own deadline", context.DeadlineExceeded, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, b := faulty(t, stream.Config{})
				w := open(t, s, writing)
				b.FailNext(bustest.OpAppend, c.err, c.stored)
				send(t, w, "a")
				b.FailNext(bustest.OpAppend, c.err, c.stored)
				b.FailNext(bustest.OpAppend, c.err, c.stored)
				send(t, w, "b")
				b.FailNext(bustest.OpAppend, c.err, c.stored)
				b.FailNext(bustest.OpLast, bus.ErrUnknown, false)
				end(t, w)
				if text, frames := stored(t, s, b, w.ID()); text != "ab" || frames != 3 {
					t.Errorf("%q in %d frames", text, frames)
				}
			})
		})
	}
}

func TestAppendPermanentFailureStays(t *testing.T) {
	t.Parallel()
	s, b := faulty(t, stream.Config{})
	w := open(t, s, writing)
	send(t, w, "a")
	b.FailNext(bustest.OpAppend, bus.ErrClosed, false)
	if err := w.Send(t.Context(), []byte("b")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for name, err := range map[string]error{
			"flush": w.Flush(t.Context()), "send": w.Send(t.Context(), nil), "close": w.Close(t.Context()),
			"fail": w.Fail(t.Context(), "x"),
		} {
			if !errors.Is(err, bus.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAppendFencedByALaterAttempt(t *testing.T) {
	t.Parallel()
	s, b := faulty(t, stream.Config{})
	w1, w2, w3 := open(t, s, writing), open(t, s, writing), open(t, s, writing)
	send(t, w1, "a")
	w4 := open(t, s, writing) // attempt 2
	send(t, w4, "A")
	for name, w := range map[string]*stream.Writer{"begun": w1, "same attempt": w2, "earlier attempt": w3} {
		if err := w.Close(t.Context()); !errors.Is(err, stream.ErrFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	end(t, w4)
	if err := w1.Close(t.Context()); !errors.Is(err, stream.ErrFenced) {
		t.Errorf("fenced stays: %v", err)
	}
	if text, _ := stored(t, s, b, w4.ID()); text != "A" {
		t.Errorf("text %q", text)
	}
}

func TestAppendFencedByTheSameAttempt(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, stream.Config{})
	send(t, open(t, s, writing), "a")
	w1, w2 := open(t, s, writing), open(t, s, writing)
	send(t, w1, "b")
	if err := w2.Close(t.Context()); !errors.Is(err, stream.ErrFenced) {
		t.Errorf("second execution: %v", err)
	}
}

// An attempt that was opened and has not begun goes behind what the one before it wrote meanwhile.
func TestAppendMovesBehindAZombie(t *testing.T) {
	t.Parallel()
	for policy, want := range map[stream.Policy]string{stream.Restart: "C", stream.Resume: "aC"} {
		s, b := faulty(t, stream.Config{})
		zombie := open(t, s, writing)
		send(t, zombie, "a")
		cfg := writing
		cfg.Policy = policy
		w := open(t, s, cfg)
		send(t, zombie, "b")
		if err := w.Send(t.Context(), []byte("C")); err != nil {
			t.Fatal(err)
		}
		end(t, w)
		if err := zombie.Close(t.Context()); !errors.Is(err, stream.ErrFenced) {
			t.Errorf("zombie: %v", err)
		}
		if text, _ := stored(t, s, b, w.ID()); text != want {
			t.Errorf("policy %d: text %q, want %q", policy, text, want)
		}
	}
}

func TestAppendAfterAZombieEndedTheStream(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, stream.Config{})
	zombie := open(t, s, writing)
	send(t, zombie, "a")
	w := open(t, s, writing)
	end(t, zombie)
	var ended *stream.EndedError
	if err := w.Close(t.Context()); !errors.As(err, &ended) || ended.End.State != bus.Completed {
		t.Errorf("close: %v", err)
	}
}

func TestAppendToAnExpiredLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := faulty(t, stream.Config{})
		begun := open(t, s, writing)
		send(t, begun, "a")
		opened := open(t, s, writing)
		pause(t.Context(), 2*time.Hour)
		for name, w := range map[string]*stream.Writer{"begun": begun, "opened": opened} {
			if err := w.Close(t.Context()); !errors.Is(err, stream.ErrExpired) || errors.Is(err, stream.ErrFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A read of the last entry that is older than what the writer knows is no verdict.
func TestAppendIgnoresThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &pastBus{FaultyBus: bustest.Faulty(membus.New(membus.Config{}), bustest.FaultConfig{})}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		w := open(t, s, writing)
		send(t, w, "a")
		b.past, _ = b.Last(t.Context(), w.ID())
		send(t, w, "b")
		b.lies = 3
		b.FailNext(bustest.OpAppend, bus.ErrUnknown, true)
		send(t, w, "c")
		if b.lies != 0 {
			t.Errorf("%d reads from the past were left", b.lies)
		}
		end(t, w)
		if text, _ := stored(t, s, b, w.ID()); text != "abc" {
			t.Errorf("text %q", text)
		}
	})
}

// pastBus answers some reads from the past.
type pastBus struct {
	*bustest.FaultyBus

	past *bus.Entry
	lies int
}

func (b *pastBus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	if b.lies > 0 {
		b.lies--

		return b.past, nil
	}

	return b.FaultyBus.Last(ctx, id)
}

func TestAppendGivesUp(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{bus.ErrFull, bus.ErrBusy, bus.ErrUnknown, bus.ErrConflict} {
		t.Run(reason.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &deadBus{Bus: membus.New(membus.Config{}), err: reason}
				s := stream.NewStore(b, b.Info(), stream.Config{GiveUp: 10 * time.Second})
				defer s.Close()
				w := open(t, s, writing)
				begin := time.Now()
				err := w.Close(t.Context())
				if took := time.Since(begin); !errors.Is(err, reason) || took != 10*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				if again := w.Flush(t.Context()); !errors.Is(again, reason) {
					t.Errorf("again: %v", again)
				}
				// Backing off holds no slot and ends with the store; so do others' appends go on meanwhile.
			})
		})
	}
}

// deadBus refuses every append.
type deadBus struct {
	bus.Bus

	err error
}

func (b *deadBus) Append(context.Context, *bus.Frame, *bus.Entry) (*bus.Entry, error) {
	return nil, b.err
}

// hangingBus answers no append before its bound.
type hangingBus struct{ bus.Bus }

func (*hangingBus) Append(ctx context.Context, _ *bus.Frame, _ *bus.Entry) (*bus.Entry, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Second, bus.ErrUnknown)
	defer cancel()
	<-ctx.Done()

	return nil, context.Cause(ctx)
}

func TestAppendGivesUpOnABusThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &hangingBus{Bus: membus.New(membus.Config{})}
		s := stream.NewStore(b, b.Info(), stream.Config{WindowChunks: 1})
		defer s.Close()
		w := open(t, s, writing)
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Send(ctx, []byte("b")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send into a full window: %v", err)
		}
		if err := w.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "gave up after 30s") {
			t.Errorf("flush: %v", err)
		}
		w = open(t, s, writing)
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the append hangs
		begin := time.Now()
		w.Abandon()
		s.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("an abandoned append held the store for %v", took)
		}
	})
}
