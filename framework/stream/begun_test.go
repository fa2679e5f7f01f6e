package stream_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// heldBus begins appends and leaves their outcomes to the test.
type heldBus struct {
	bus.Bus

	begun   chan func(*bus.Entry, error)
	appends atomic.Int32
}

func newHeldBus() *heldBus {
	return &heldBus{Bus: membus.New(membus.Config{}), begun: make(chan func(*bus.Entry, error), 10)}
}

func (b *heldBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	b.appends.Add(1)

	return b.Bus.Append(ctx, f, after)
}

func (b *heldBus) Start(_ *bus.Frame, _ *bus.Entry, done func(*bus.Entry, error)) error {
	b.begun <- done

	return nil
}

// heldWriter returns a writer whose first frame is stored, and the outcome of the second, which is under way.
func heldWriter(t *testing.T, s *stream.Store, b *heldBus, id string) (*stream.Writer, func(*bus.Entry, error)) {
	t.Helper()
	w := open(t, s, stream.WriterConfig{Session: "s", Info: stream.Info{Stream: id}})
	send(t, w, "a")
	if err := w.Send(t.Context(), []byte("b")); err != nil {
		t.Fatal(err)
	}

	return w, <-b.begun
}

// What was abandoned is not tried again, and its slot serves others.
func TestAbandonedAppendIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newHeldBus()
		s := stream.NewStore(b, b.Info(), stream.Config{InFlight: 1})
		defer s.Close()
		w, done := heldWriter(t, s, b, "one")
		w.Abandon()
		before := b.appends.Load()
		done(nil, bus.ErrUnknown)
		synctest.Wait()
		if n := b.appends.Load() - before; n > 0 || len(b.begun) > 0 {
			t.Errorf("%d appends and %d begun ones after the writer was abandoned", n, len(b.begun))
		}
		if err := w.Send(t.Context(), []byte("c")); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("send after abandoning: %v", err)
		}
		other, done := heldWriter(t, s, b, "other") // needs the slot
		other.Abandon()
		done(nil, bus.ErrClosed)
	})
}

// A store closes when what was begun has its outcome, and begins nothing after that.
func TestCloseWaitsForBegunAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newHeldBus()
		s := stream.NewStore(b, b.Info(), stream.Config{})
		w, done := heldWriter(t, s, b, "one")
		if err := w.Send(t.Context(), []byte("c")); err != nil { // waits for the outcome of the one before
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() { defer close(closed); s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while an append was under way")
		default:
		}
		done(nil, bus.ErrClosed)
		<-closed
		if err := w.Flush(t.Context()); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("flush after the end: %v", err)
		}
		if len(b.begun) > 0 {
			t.Error("an append was begun after the end")
		}
	})
}

// Whatever its outcome, a begun append ends as one that was waited for: here another writer was faster.
func TestBegunAppendIsFenced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newHeldBus()
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		w, done := heldWriter(t, s, b, "one")
		successor := open(t, s, stream.WriterConfig{Session: "s", Info: stream.Info{Stream: "one"}})
		send(t, successor, "new")
		done(nil, bus.ErrConflict)
		if err := w.Flush(t.Context()); !errors.Is(err, stream.ErrFenced) {
			t.Errorf("flush of the earlier attempt: %v", err)
		}
		successor.Abandon()
	})
}
