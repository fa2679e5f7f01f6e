package bustest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func frame(n uint64) *bus.Frame {
	return &bus.Frame{
		ID:      bus.StreamID{Session: "session", Stream: "stream"},
		Attempt: 1, Writer: "writer", First: n, Lengths: []int{1}, Type: bus.Text, Body: []byte("x"),
	}
}

// stored returns how many frames a bus holds.
func stored(t *testing.T, b bus.Bus) int {
	t.Helper()

	last, err := b.Last(t.Context(), frame(0).ID)
	if err != nil {
		t.Fatal(err)
	}

	n := 0

	for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
		if err != nil {
			t.Fatal(err)
		}

		n++
	}

	return n
}

func TestFaultsOfAppends(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		cfg         bustest.FaultConfig
		want        error
		now, closed int // frames that are stored after the call and after Close
	}{
		"none":     {bustest.FaultConfig{}, nil, 1, 1},
		"stored":   {bustest.FaultConfig{Stored: 1}, bus.ErrUnknown, 1, 1},
		"unstored": {bustest.FaultConfig{Unstored: 1}, bus.ErrUnknown, 0, 0},
		"late":     {bustest.FaultConfig{Late: 1}, bus.ErrUnknown, 0, 1},
		"busy":     {bustest.FaultConfig{Busy: 1}, bus.ErrBusy, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			broker := membus.NewBroker(membus.Config{})
			b, witness := bustest.Faulty(broker.Open(), test.cfg), broker.Open()
			f := frame(0)

			if _, err := b.Append(t.Context(), f, nil); !errors.Is(err, test.want) {
				t.Errorf("%s: append returns %v, want %v", name, err, test.want)
			}

			if n := stored(t, witness); n != test.now {
				t.Errorf("%s: %d frames stored, want %d", name, n, test.now)
			}

			f.Body[0] = 'y' // The caller may go on with its buffers.

			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}

			if n := stored(t, witness); n != test.closed {
				t.Errorf("%s: %d frames stored after close, want %d", name, n, test.closed)
			}
		})
	}
}

func TestScriptedFaults(t *testing.T) {
	t.Parallel()

	b := bustest.Faulty(membus.New(membus.Config{}), bustest.FaultConfig{Busy: 1})
	mine := errors.New("mine")

	b.FailNext(bustest.OpAppend, mine, true)
	b.FailNext(bustest.OpAppend, bus.ErrFull, false)

	for _, want := range []error{mine, bus.ErrFull, bus.ErrBusy} {
		if _, err := b.Append(t.Context(), frame(0), nil); !errors.Is(err, want) {
			t.Errorf("append returns %v, want %v", err, want)
		}
	}

	if n := stored(t, b); n != 1 {
		t.Errorf("%d frames stored, want 1", n)
	}

	for op, call := range map[bustest.Op]func(context.Context) error{
		bustest.OpLast:   func(ctx context.Context) error { _, err := b.Last(ctx, frame(0).ID); return err },
		bustest.OpFollow: func(ctx context.Context) error { _, err := b.Follow(ctx, frame(0).ID, nil); return err },
		bustest.OpGet:    func(ctx context.Context) error { _, err := b.Get(ctx, bus.Sessions, "k"); return err },
		bustest.OpSet:    func(ctx context.Context) error { _, err := b.Set(ctx, bus.Sessions, "k", nil, 0, 0); return err },
		bustest.OpDelete: func(ctx context.Context) error { return b.Delete(ctx, bus.Sessions, "k", 0) },
		bustest.OpPost: func(ctx context.Context) error {
			return b.Post(ctx, &bus.Letter{ID: "l", Component: "c", Session: "s"})
		},
	} {
		b.FailNext(op, mine, false)

		if err := call(t.Context()); !errors.Is(err, mine) {
			t.Errorf("%s returns %v, want %v", op, err, mine)
		}
	}

	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFaultsOfDeliveries(t *testing.T) {
	t.Parallel()

	// Deliveries of frames 0, 1 and 2; "-" is one that says that something is missing.
	for name, test := range map[string]struct {
		cfg  bustest.FaultConfig
		want string
	}{
		"none":       {bustest.FaultConfig{}, "012"},
		"dropped":    {bustest.FaultConfig{Drop: 1}, ""},
		"duplicated": {bustest.FaultConfig{Duplicate: 1}, "001122"},
		"missed":     {bustest.FaultConfig{Missed: 1}, "-0-1-2"},
		"delayed":    {bustest.FaultConfig{Delay: 1}, "012"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := bustest.Faulty(membus.New(membus.Config{}), test.cfg)
			if got := deliveries(t, b, 3); got != test.want {
				t.Errorf("%s: delivered %q, want %q", name, got, test.want)
			}
		})
	}
}

func TestReorderedDeliveries(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := bustest.Faulty(membus.New(membus.Config{}), bustest.FaultConfig{Seed: 3, Reorder: 0.5})

		got := deliveries(t, b, 9)
		if sorted := "012345678"; got == sorted || len(got) != len(sorted) {
			t.Errorf("delivered %q, want another order", got)
		}
	})
}

// deliveries appends frames one after another, lets time pass after each, closes the bus and returns what came.
func deliveries(t *testing.T, b bus.Bus, n int) string {
	t.Helper()

	var got strings.Builder

	stop, err := b.Follow(t.Context(), frame(0).ID, func(e *bus.Entry) {
		if e == nil {
			got.WriteByte('-')
		} else {
			got.WriteByte('0' + byte(e.First))
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	var last *bus.Entry

	for i := range n {
		if last, err = b.Append(t.Context(), frame(uint64(i)), last); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		if i%3 == 2 || n == 3 {
			<-time.After(time.Second) // Of the bubble: whatever is late comes now.
		}
	}

	stop()

	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}

	return got.String()
}
