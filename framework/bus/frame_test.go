package bus_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func TestFrameEnd(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		frame bus.Frame
		want  bus.Cursor
	}{
		"no chunk":          {bus.Frame{Attempt: 2, First: 7}, bus.Cursor{Attempt: 2, Index: 7}},
		"one chunk":         {bus.Frame{Attempt: 1, First: 7, Lengths: []int{3}}, bus.Cursor{Attempt: 1, Index: 8}},
		"an empty chunk":    {bus.Frame{Attempt: 1, Lengths: []int{0}}, bus.Cursor{Attempt: 1, Index: 1}},
		"three chunks":      {bus.Frame{Attempt: 1, First: 7, Lengths: []int{1, 0, 2}}, bus.Cursor{Attempt: 1, Index: 10}},
		"part of a chunk":   {bus.Frame{Attempt: 1, First: 7, Lengths: []int{3}, More: true}, bus.Cursor{Attempt: 1, Index: 7}},
		"last part":         {bus.Frame{Attempt: 1, First: 7, Lengths: []int{3}, Offset: 3}, bus.Cursor{Attempt: 1, Index: 8}},
		"middle of a chunk": {bus.Frame{First: 7, Lengths: []int{3}, Offset: 3, More: true}, bus.Cursor{Index: 7}},
	} {
		if got := test.frame.End(); got != test.want {
			t.Errorf("%s: ends at %+v, want %+v", name, got, test.want)
		}
	}
}

func frame() *rapid.Generator[bus.Frame] {
	return rapid.Custom(func(t *rapid.T) bus.Frame {
		return bus.Frame{
			ID:      bus.StreamID{Session: "session", Stream: rapid.StringMatching(`[ab]`).Draw(t, "stream")},
			Attempt: rapid.Uint32Range(1, 2).Draw(t, "attempt"),
			Writer:  rapid.StringMatching(`[ab]`).Draw(t, "writer"),
			First:   rapid.Uint64Range(0, 1).Draw(t, "first"),
			Lengths: rapid.SliceOfN(rapid.IntRange(0, 1), 0, 2).Draw(t, "lengths"),
			Offset:  rapid.IntRange(0, 1).Draw(t, "offset"),
			State:   rapid.SampledFrom([]bus.State{bus.Active, bus.Completed}).Draw(t, "state"),
		}
	})
}

// Two tries of one append have everything in common that says who appends what where; what is only carried along,
// such as trace context, does not make another append of it.
func TestFrameSame(t *testing.T) {
	t.Parallel()

	type place struct {
		id            bus.StreamID
		writer        string
		attempt       uint32
		first         uint64
		offset, count int
		state         bus.State
	}

	at := func(f bus.Frame) place {
		return place{f.ID, f.Writer, f.Attempt, f.First, f.Offset, len(f.Lengths), f.State}
	}

	rapid.Check(t, func(t *rapid.T) {
		f, g := frame().Draw(t, "one"), frame().Draw(t, "other")

		if got, want := f.Same(&g), at(f) == at(g); got != want {
			t.Errorf("%+v and %+v: same is %v, want %v", f, g, got, want)
		}

		again := f
		again.Trace, again.Reason = map[string]string{"traceparent": "x"}, "reason"

		if !f.Same(&again) || !again.Same(&f) {
			t.Errorf("%+v is not the same as its repetition", f)
		}
	})
}

func TestStates(t *testing.T) {
	t.Parallel()

	for state, final := range map[bus.State]bool{
		bus.Active: false, bus.Completed: true, bus.Failed: true, bus.Cancelled: true,
	} {
		if state.Final() != final {
			t.Errorf("state %q: final is %v", state, !final)
		}
	}
}

func TestDialError(t *testing.T) {
	t.Parallel()

	reason := errors.New("connection refused")
	err := error(&bus.DialError{URL: "nats://127.0.0.1:4222", Err: reason})

	if got, want := err.Error(), "open bus nats://127.0.0.1:4222: connection refused"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}

	if !errors.Is(err, reason) {
		t.Error("the reason is lost")
	}

	err = &bus.DialError{URL: "memory:", Hint: "start one", Err: reason}
	if got, want := err.Error(), "open bus memory:: connection refused; start one"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}
