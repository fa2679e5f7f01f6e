package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// slowBus takes a millisecond for an append and counts how many are in flight.
type slowBus struct {
	bus.Bus

	mu             sync.Mutex
	inFlight, most int
	frames         []int // chunks of each
}

func (b *slowBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	b.mu.Lock()
	b.inFlight++
	b.most = max(b.most, b.inFlight)
	b.frames = append(b.frames, len(f.Lengths))
	b.mu.Unlock()
	pause(ctx, time.Millisecond)
	defer func() {
		b.mu.Lock()
		b.inFlight--
		b.mu.Unlock()
	}()

	return b.Bus.Append(ctx, f, after)
}

// startingBus is one whose appends can be begun without waiting.
type startingBus struct{ *slowBus }

func (b startingBus) Start(f *bus.Frame, after *bus.Entry, done func(*bus.Entry, error)) error {
	go func() { done(b.Append(context.Background(), f, after)) }()

	return nil
}

// eachWay runs a test, in a bubble, on a bus whose appends are waited for, and on one whose appends are begun.
func eachWay(t *testing.T, test func(t *testing.T, b *slowBus, log bus.Bus)) {
	t.Helper()
	for name, wrap := range map[string]func(b *slowBus) bus.Bus{
		"waited for": func(b *slowBus) bus.Bus { return b },
		"begun":      func(b *slowBus) bus.Bus { return startingBus{b} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &slowBus{Bus: membus.New(membus.Config{})}
				test(t, b, wrap(b))
			})
		})
	}
}

func TestChunksThatArriveDuringAnAppendGoTogether(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *slowBus, log bus.Bus) {
		s := stream.NewStore(log, b.Info(), stream.Config{FrameBytes: 10, WindowChunks: 20})
		defer s.Close()
		w := open(t, s, writing)
		if err := w.Send(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // its append has begun
		send(t, w, "b", "c", "dddddddddd", "e", "ffffffffffffffffffff", "g", "h")
		end(t, w)
		if diff := cmp.Diff([]int{1, 2, 1, 1, 1, 2, 0}, b.frames); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFramesHoldABoundedNumberOfChunks(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *slowBus, log bus.Bus) {
		s := stream.NewStore(log, b.Info(), stream.Config{WindowChunks: 5000})
		defer s.Close()
		w := open(t, s, writing)
		for range 3000 {
			if err := w.Send(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		end(t, w)
		if most := slices.Max(b.frames); most != 1000 {
			t.Errorf("%d chunks in a frame", most)
		}
	})
}

func TestSendWaitsWhileTheWindowIsFull(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, _ *slowBus, log bus.Bus) {
		s := stream.NewStore(log, log.Info(), stream.Config{WindowChunks: 2, WindowBytes: 10})
		defer s.Close()
		w := open(t, s, writing)
		begin := time.Now()
		for _, c := range []string{strings.Repeat("a", 11), "b", "c", "d", "0123456789"} {
			if err := w.Send(t.Context(), []byte(c)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < 3*time.Millisecond {
			t.Errorf("five chunks fitted into a window of two after %v", took)
		}
		end(t, w)
	})
}

func TestAppendsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *slowBus, log bus.Bus) {
		s := stream.NewStore(log, b.Info(), stream.Config{InFlight: 3})
		defer s.Close()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				w := open(t, s, stream.WriterConfig{Info: stream.Info{Stream: fmt.Sprint(i)}, Unlisted: i%2 == 0})
				send(t, w, "a", "b")
				end(t, w)
			})
		}
		all.Wait()
		if b.most != 3 {
			t.Errorf("%d appends were in flight", b.most)
		}
	})
}

func TestSendCopiesAndMayBeCalledConcurrently(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{WindowChunks: 5})
	w := open(t, s, writing)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			data := []byte(fmt.Sprint(i))
			if err := w.Send(t.Context(), data); err != nil {
				t.Error(err)
			}
			clear(data)
		})
	}
	all.Wait()
	end(t, w)
	seen := make(map[string]bool)
	for c, err := range read(t, s, w.ID(), bus.Cursor{}).Chunks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen[string(c.Data)] = true
	}
	if len(seen) != 50 || !seen["49"] {
		t.Errorf("%d different chunks", len(seen))
	}
}

func TestMetaTravelsWithTheEnd(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, stream.WriterConfig{Info: stream.Info{Type: bus.Audio}, Trace: map[string]string{"traceparent": "x"}})
	w.SetMeta("tokens", "3")
	w.SetMeta("timeline", "reserved")
	end(t, w)
	w.SetMeta("late", "x")
	ev, err := read(t, s, w.ID(), bus.Cursor{}).Next(t.Context())
	want := stream.End{State: bus.Completed, Meta: map[string]string{"tokens": "3"}}
	if diff := cmp.Diff(want, ev.End); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
}

func TestAbandonedWriterIsClosed(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, writing)
	send(t, w, "a")
	w.Abandon()
	w.Abandon()
	for _, err := range []error{w.Send(t.Context(), nil), w.Flush(t.Context()), w.Close(t.Context())} {
		if !errors.Is(err, stream.ErrClosed) {
			t.Error(err)
		}
	}
	if w := open(t, s, writing); w.Attempt() != 2 {
		t.Errorf("attempt %d", w.Attempt())
	}
}

func TestCloseGoesOnAfterItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &slowBus{Bus: membus.New(membus.Config{})}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()
		w := open(t, s, writing)
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		defer cancel()
		if err := w.Send(ctx, []byte("a")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		end(t, w)
	})
}

// A bubble ends only when no goroutine is left in it, and its time would not stand still with a ticker.
func TestIdleWriterHoldsNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membus.New(membus.Config{})
		s := stream.NewStore(b, b.Info(), stream.Config{}) // is not closed
		send(t, open(t, s, writing), "a")
		_ = s
	})
}

func TestStoreCloseIsIdempotent(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	w := open(t, s, writing)
	s.Close()
	s.Close()
	if err := w.Send(t.Context(), nil); !errors.Is(err, stream.ErrClosed) {
		t.Error(err)
	}
}
